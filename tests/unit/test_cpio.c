/* SPDX-License-Identifier: Apache-2.0 */
/* Initramfs archives: what another reader finds in them, the same bytes twice, entries that are refused. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "cpio.h"
#include "fsutil.h"
#include "image_initramfs.h"

#define MTIME 1700000000

static int setup(void **state)
{
	char *dir = pv_xstrdup("/tmp/pvimg-cpio-XXXXXX");

	*state = mkdtemp(dir);
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	pv_autoerror err = PV_ERROR_INIT;
	int rc = pv_rmtree(*state, &err);

	free(*state);
	return rc;
}

/* A small archive; *ret is its bytes. */
static void make(const char *dir, const char *leaf, enum pv_cpio_packing packing, char **ret, size_t *ret_len)
{
	pv_autofree char *path = pv_path_join(dir, leaf);
	pv_autofree char *source = pv_path_join(dir, "source");
	pv_autoerror err = PV_ERROR_INIT;
	pv_autocpio *c = NULL;
	pv_autofree char *long_text = pv_xcalloc(1, 300001);

	memset(long_text, 'y', 300000);
	assert_int_equal(pv_write_file(source, long_text, 300000, 0600, &err), 0);
	pv_autoclose int fd = open(source, O_RDONLY | O_CLOEXEC);
	assert_int_equal(pv_cpio_new(path, packing, MTIME, &c, &err), 0);
	assert_int_equal(pv_cpio_link(c, "bin", "usr/bin", &err), 0);
	assert_int_equal(pv_cpio_data(c, "init", 04755, "#!/bin/sh\n", 10, &err), 0);
	assert_int_equal(pv_cpio_dir(c, "usr", 0755, &err), 0);
	assert_int_equal(pv_cpio_data(c, "usr/empty", 0644, "", 0, &err), 0);
	assert_int_equal(pv_cpio_file(c, "usr/file", 0644, fd, &err), 0);
	assert_int_equal(pv_cpio_end(c, &err), 0);
	assert_int_equal(pv_read_file(path, 1 << 20, ret, ret_len, &err), 0);
}

static void test_another_reader(void **state)
{
	static const enum pv_cpio_packing packings[] = { PV_CPIO_PLAIN, PV_CPIO_GZIP, PV_CPIO_ZSTD };

	for (size_t i = 0; i < PV_COUNT(packings); i++) {
		pv_autofree char *leaf = pv_fmt("a%zu", i);
		pv_autofree char *data = NULL;
		pv_autostrv names = PV_STRV_INIT;
		pv_autoerror err = PV_ERROR_INIT;
		size_t len;
		make(*state, leaf, packings[i], &data, &len);
		if (pv_initramfs_names((const uint8_t *)data, len, &names, &err) < 0)
			fail_msg("%s", err.text);
		pv_autofree char *all = pv_strv_join(&names, " ");
		assert_string_equal(all, "bin init usr usr/empty usr/file");
	}
}

/* Field `i` of the newc header at `at`. */
static unsigned long field(const char *at, unsigned i)
{
	char digits[9] = { 0 };

	memcpy(digits, at + 6 + i * 8, 8);
	return strtoul(digits, NULL, 16);
}

static void test_headers(void **state)
{
	enum { INO, MODE, UID, GID, NLINK, TIME, SIZE, DEVMAJOR, DEVMINOR, RDEVMAJOR, RDEVMINOR, NAMESIZE };
	pv_autofree char *data = NULL;
	size_t len;

	make(*state, "plain", PV_CPIO_PLAIN, &data, &len);
	const char *init = memmem(data, len, "init", 5);
	assert_non_null(init);
	init -= 110;
	assert_memory_equal(init, "070701", 6);
	assert_int_equal(field(init, INO), 2);
	assert_int_equal(field(init, MODE), 0100755);
	assert_int_equal(field(init, UID) + field(init, GID), 0);
	assert_int_equal(field(init, NLINK), 1);
	assert_int_equal(field(init, TIME), MTIME);
	assert_int_equal(field(init, SIZE), 10);
	assert_int_equal(field(init, DEVMAJOR) + field(init, DEVMINOR), 0);
	assert_int_equal(field(init, NAMESIZE), 5);
}

static void test_same_bytes_twice(void **state)
{
	static const enum pv_cpio_packing packings[] = { PV_CPIO_PLAIN, PV_CPIO_GZIP, PV_CPIO_ZSTD };

	for (size_t i = 0; i < PV_COUNT(packings); i++) {
		pv_autofree char *a = NULL, *b = NULL;
		pv_autofree char *one = pv_fmt("one%zu", i), *two = pv_fmt("two%zu", i);
		size_t alen, blen;
		make(*state, one, packings[i], &a, &alen);
		/* gzip counts in seconds */
		if (packings[i] == PV_CPIO_GZIP)
			sleep(1);
		make(*state, two, packings[i], &b, &blen);
		assert_int_equal(alen, blen);
		assert_memory_equal(a, b, alen);
	}
}

static void refuses(struct pv_cpio *c, const char *name, const char *words)
{
	pv_autoerror err = PV_ERROR_INIT;

	assert_int_equal(pv_cpio_dir(c, name, 0755, &err), -1);
	assert_int_equal(err.kind, PV_ERR_STAGE);
	if (!strstr(err.text, words))
		fail_msg("\"%s\" lacks \"%s\"", err.text, words);
}

static void test_refuses(void **state)
{
	pv_autofree char *path = pv_path_join(*state, "refused");
	pv_autoerror err = PV_ERROR_INIT;
	pv_autocpio *c = NULL;
	struct pv_cpio *again = NULL;

	assert_int_equal(pv_cpio_new(path, PV_CPIO_PLAIN, MTIME, &c, &err), 0);
	assert_int_equal(pv_cpio_dir(c, "b", 0755, &err), 0);
	refuses(c, "b", "out of order");
	refuses(c, "a", "out of order");
	refuses(c, "", "no name");
	refuses(c, "/c", "no name");
	refuses(c, "c/", "no name");
	refuses(c, "c/../d", "no name");
	refuses(c, "./c", "no name");
	pv_autoclose int folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(pv_cpio_file(c, "c", 0644, folder, &err), -1);
	pv_error_clear(&err);
	assert_int_equal(pv_cpio_dir(c, "c", 0755, &err), 0);
	assert_int_equal(pv_cpio_new(path, PV_CPIO_PLAIN, MTIME, &again, &err), -1);
	assert_null(again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_another_reader),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_same_bytes_twice),
		cmocka_unit_test(test_refuses),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
