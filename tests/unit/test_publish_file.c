/* SPDX-License-Identifier: Apache-2.0 */
/* The file that goes to a target: that of the export, without a name, with the disk's digest from the same read. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "scratch.h"

#include "export.h"
#include "fsutil.h"
#include "publish_file.h"

#define MIB ((off_t)1 << 20)

static void put_image(void)
{
	pv_autoclose int fd = open("i.raw", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 5 * MIB), 0);
	assert_int_equal(pv_pwrite_all(fd, "something", 9, 3 * MIB + 4567), 0);
}

static void test_formats(void **state)
{
	static const char *const formats[][2] = { { "qcow2", "i.qcow2" }, { "qcow2-zlib", "i.qcow2" }, { "vhd", "i.vhd" } };
	const struct pv_machine m = { .name = (char *)"i" };
	char disk[PV_SHA256_HEX];

	(void)state;
	put_image();
	assert_int_equal(pv_digest_file("i.raw", disk, NULL, NULL), 0);
	assert_int_equal(mkdir("out", 0755), 0);
	for (size_t i = 0; i < PV_COUNT(formats); i++) {
		struct pv_publish_file f = PV_PUBLISH_FILE_INIT;
		const struct pv_export_request req = { .image = "i.raw", .machine = &m, .formats = &formats[i][0], .nformats = 1,
						       .dir = "out", .stream_fd = -1 };
		pv_autofree char *path = pv_fmt("out/%s", formats[i][1]), *ours = NULL;
		pv_autostrv files = PV_STRV_INIT;
		char theirs[PV_SHA256_HEX];

		assert_int_equal(pv_publish_file_make("i.raw", &m, formats[i][0], NULL, NULL, &f, NULL), 0);
		assert_int_equal(f.disk_size, 5 * MIB);
		assert_string_equal(f.sha256, disk);
		assert_int_equal(pv_export(&req, &files, NULL), 0);
		assert_int_equal(pv_digest_file(path, theirs, NULL, NULL), 0);
		assert_int_equal(pv_publish_file_hash(&f, "sha256", &ours, NULL), 0);
		assert_string_equal(ours, theirs);
		pv_publish_file_done(&f);
	}
}

static void test_raw(void **state)
{
	const struct pv_machine m = { .name = (char *)"i" };
	struct pv_publish_file f = PV_PUBLISH_FILE_INIT;
	pv_autofree char *before = NULL, *after = NULL, *none = NULL, *md5 = NULL;
	pv_autoclose int fd = -1;

	(void)state;
	put_image();
	assert_int_equal(pv_publish_file_make("i.raw", &m, "raw", NULL, NULL, &f, NULL), 0);
	assert_int_equal(f.size, 5 * MIB);
	assert_int_equal(pv_publish_file_hash(&f, "sha256", &before, NULL), 0);
	assert_string_equal(before, f.sha256);
	assert_int_equal(pv_publish_file_hash(&f, "no-such-hash", &none, NULL), 0);
	assert_null(none);
	assert_int_equal(pv_publish_file_hash(&f, "md5", &md5, NULL), 0);
	assert_int_equal(strlen(md5), 32);
	fd = open("i.raw", O_WRONLY | O_CLOEXEC);
	assert_int_equal(pv_pwrite_all(fd, "x", 1, MIB), 0);
	assert_int_equal(pv_publish_file_hash(&f, "sha256", &after, NULL), 0);
	assert_string_not_equal(after, f.sha256);
	pv_publish_file_done(&f);
}

static void test_refused(void **state)
{
	const struct pv_machine m = { .name = (char *)"i" };
	struct pv_publish_file f = PV_PUBLISH_FILE_INIT;
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	assert_int_equal(pv_publish_file_make("i.raw", &m, "qcow2", NULL, NULL, &f, &err), -1);
	assert_int_equal(err.kind, PV_ERR_STAGE);
	put_image();
	assert_int_equal(truncate("i.raw", 5 * MIB - 512), 0);
	assert_int_equal(pv_publish_file_make("i.raw", &m, "qcow2", NULL, NULL, &f, &err), -1);
	assert_int_equal(err.kind, PV_ERR_USAGE);
	put_image();
	assert_int_equal(pv_publish_file_make("i.raw", &m, "tape", NULL, NULL, &f, &err), -1);
	assert_non_null(strstr(err.text, "no such format"));
	assert_int_equal(truncate("i.raw", 3 * MIB * 1024 * 1024), 0);		/* 3 TiB */
	assert_int_equal(pv_publish_file_make("i.raw", &m, "vhd-tar-gz", NULL, NULL, &f, &err), -1);
	assert_int_equal(err.kind, PV_ERR_USAGE);
	assert_int_equal(f.fd, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_formats, scratch_enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_raw, scratch_enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_refused, scratch_enter, scratch_leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
