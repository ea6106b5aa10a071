/* SPDX-License-Identifier: Apache-2.0 */
/* An export that fails leaves nothing, however late it fails; what was there and is not its own stays. */
#include "check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "export.h"
#include "fsutil.h"
#include "scratch.h"

#define MIB ((off_t)1 << 20)

static void make_image(const char *path, off_t size)
{
	pv_autoclose int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	assert_int_equal(pv_pwrite_all(fd, "data", 4, size - 100), 0);
}

static int export(const char *image, const char *first, const char *second, struct pv_strv *files, struct pv_error *err)
{
	const char *const formats[] = { first, second };
	pv_automachine machine = { .name = NULL };
	const struct pv_export_request req = {
		.image = image, .machine = &machine, .formats = formats, .nformats = second ? 2 : 1, .dir = "out",
		.stream_fd = -1, .pad = true, .threads = 1,
	};

	assert_int_equal(pv_machine_of_image(image, 0, 0, &machine, NULL), 0);
	return pv_export(&req, files, err);
}

static void assert_names(const char *const *names)
{
	pv_autostrv found = PV_STRV_INIT;
	size_t n = 0;

	assert_int_equal(pv_list_dir("out", &found, NULL), 0);
	for (; names[n]; n++)
		assert_true(pv_strv_has(&found, names[n]));
	assert_int_equal(found.n, n);
}

/* A folder that has a side file's name is found when all formats have theirs. */
static void test_late_failure(void **state)
{
	static const char *const left[] = { "a.raw", "a.xl.cfg", NULL };
	pv_autostrv files = PV_STRV_INIT;

	(void)state;
	make_image("a.raw", 3 * MIB + 512);
	assert_int_equal(mkdir("out", 0755), 0);
	assert_int_equal(mkdir("out/a.xl.cfg", 0755), 0);
	assert_int_equal(pv_write_file("out/a.raw", "old", 3, 0644, NULL), 0);
	assert_int_equal(export("a.raw", "vhd", "xva", &files, NULL), -1);
	assert_int_equal(files.n, 0);
	assert_names(left);
}

/* One of the formats' own names. */
static void test_no_place(void **state)
{
	static const char *const left[] = { "a.xva", NULL };
	pv_autostrv files = PV_STRV_INIT;

	(void)state;
	make_image("a.raw", 3 * MIB);
	assert_int_equal(mkdir("out", 0755), 0);
	assert_int_equal(mkdir("out/a.xva", 0755), 0);
	assert_int_equal(export("a.raw", "vhd", "xva", &files, NULL), -1);
	assert_names(left);
}

/* The image itself is what --format raw would make; but not where that is padded. */
static void test_image_itself(void **state)
{
	static const char *const left[] = { "a.raw", NULL };
	pv_autostrv files = PV_STRV_INIT;
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	assert_int_equal(mkdir("out", 0755), 0);
	make_image("out/a.raw", MIB + 512);
	assert_int_equal(export("out/a.raw", "raw", NULL, &files, &err), -1);
	assert_int_equal(err.kind, PV_ERR_USAGE);
	assert_names(left);
	make_image("out/a.raw", MIB);
	assert_int_equal(export("out/a.raw", "raw", "vhd", &files, NULL), 0);
	assert_string_equal(files.v[0], "out/a.vhd");
}

/* The size before padding belongs to the disk of the last export. */
static void test_original_size(void **state)
{
	pv_autostrv files = PV_STRV_INIT;
	pv_autofree char *text = NULL;

	(void)state;
	assert_int_equal(mkdir("out", 0755), 0);
	make_image("a.raw", MIB + 512);
	assert_int_equal(export("a.raw", "vhd", NULL, &files, NULL), 0);
	assert_int_equal(pv_read_file("out/a.original-size", 100, &text, NULL, NULL), 0);
	assert_string_equal(text, "1049088\n");
	make_image("a.raw", 2 * MIB);
	assert_int_equal(export("a.raw", "vhd", NULL, &files, NULL), 0);
	assert_false(pv_exists("out/a.original-size"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, scratch_enter, scratch_leave)

int main(void)
{
	const struct CMUnitTest tests[] = { T(test_late_failure), T(test_no_place), T(test_image_itself),
					    T(test_original_size) };

	unsetenv("SOURCE_DATE_EPOCH");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
