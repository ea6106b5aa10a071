/* SPDX-License-Identifier: Apache-2.0 */
/* The EFI system partition: sound by fsck.vfat, readable by mtools, the same bytes each time, nothing beside it. */
#include "check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "esp.h"
#include "fsutil.h"
#include "proc.h"
#include "scratch.h"

#define OFFSET (4ull << 20)
#define SIZE (48ull << 20)
#define IMAGE_SIZE (60ull << 20)
#define EPOCH 1700000000

static int enter(void **state)
{
	pv_autofree char *mkfs = pv_proc_which("mkfs.vfat");
	pv_autofree char *mcopy = pv_proc_which("mcopy");

	if (!mkfs || !mcopy) {
		print_message("skipped: mkfs.vfat and mcopy are needed\n");
		exit(77);
	}
	return scratch_enter(state);
}

static void new_image(const char *path)
{
	pv_autoclose int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0644);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)IMAGE_SIZE), 0);
}

static const struct pv_esp_options options = { OFFSET, SIZE, 0xabcd1234, "UEFI", EPOCH };

static void fill(const char *image)
{
	static char large[1 << 20];
	const struct pv_esp_file files[] = {
		{ "EFI/BOOT/BOOTX64.EFI", "source file", NULL, 0 },
		{ "EFI/debian/grub.cfg", NULL, "set prefix\n", 11 },
		{ "EFI/BOOT/a-long-file.name", NULL, large, sizeof(large) },
		{ "empty.txt", NULL, NULL, 0 },
	};
	pv_autoerror err = PV_ERROR_INIT;
	int rc;

	memset(large, 'L', sizeof(large));
	assert_int_equal(pv_write_file("source file", "shim", 4, 0600, NULL), 0);
	new_image(image);
	rc = pv_esp_write(image, &options, files, PV_COUNT(files), ".", &err);
	if (rc < 0)
		print_error("%s\n", err.text);
	assert_int_equal(rc, 0);
}

static void collect(void *ctx, const char *line, size_t len)
{
	pv_str_addn(ctx, line, len);
	pv_str_addc(ctx, '\n');
}

static char *output(const char *const *argv)
{
	const char *const env[] = { "TZ=UTC0", "LC_ALL=C", NULL };
	pv_autostr out = PV_STR_INIT;
	pv_autoerror err = PV_ERROR_INIT;
	struct pv_proc proc = { .argv = argv, .env = env, .on_stdout = collect, .ctx = &out };
	int rc = pv_proc_check(&proc, PV_ERR_STAGE, &err);

	if (rc < 0)
		print_error("%s\n%s", err.text, pv_str_text(&out));
	assert_int_equal(rc, 0);
	return pv_str_steal(&out);
}

static void test_content(void **state)
{
	pv_autofree char *data = NULL, *list = NULL, *cfg = NULL, *large = NULL, *check = NULL;
	size_t len;

	(void)state;
	fill("d");
	list = output((const char *[]){ "mdir", "-/", "-i", "d@@4194304", "::/", NULL });
	assert_non_null(strstr(list, "Volume in drive : is UEFI"));
	assert_non_null(strstr(list, "ABCD-1234"));
	assert_non_null(strstr(list, "BOOTX64  EFI         4 2023-11-14  22:13"));
	assert_non_null(strstr(list, "a-long-file.name"));
	assert_non_null(strstr(list, "empty    txt         0 2023-11-14  22:13"));
	assert_null(strstr(list, " 2024-"));
	cfg = output((const char *[]){ "mtype", "-i", "d@@4194304", "::/EFI/debian/grub.cfg", NULL });
	assert_string_equal(cfg, "set prefix\n");
	large = output((const char *[]){ "mtype", "-i", "d@@4194304", "::/EFI/BOOT/a-long-file.name", NULL });
	assert_true(strlen(large) >= 1 << 20);
	assert_int_equal(access("mtoolsrc", F_OK), -1);
	/* nothing outside the partition, and fsck.vfat, given the partition alone, is content */
	assert_int_equal(pv_read_file("d", IMAGE_SIZE, &data, &len, NULL), 0);
	for (size_t i = 0; i < len; i++)
		if (data[i] && (i < OFFSET || i >= OFFSET + SIZE))
			fail_msg("byte %zu was written", i);
	assert_int_equal(pv_write_file("part", data + OFFSET, SIZE, 0600, NULL), 0);
	check = output((const char *[]){ "fsck.vfat", "-n", "part", NULL });
	assert_non_null(strstr(check, "8 files"));
}

static void test_same_bytes(void **state)
{
	pv_autofree char *a = NULL, *b = NULL;
	size_t la, lb;
	struct stat st;

	(void)state;
	fill("a");
	sleep(2);			/* FAT's times have steps of two seconds */
	fill("b @@ 'q\"");
	assert_int_equal(pv_read_file("a", IMAGE_SIZE, &a, &la, NULL), 0);
	assert_int_equal(pv_read_file("b @@ 'q\"", IMAGE_SIZE, &b, &lb, NULL), 0);
	assert_memory_equal(a, b, la);
	assert_int_equal(stat("a", &st), 0);
	assert_int_equal(st.st_size, IMAGE_SIZE);
	assert_true(st.st_blocks * 512 < 8 << 20);
}

static void refused(const struct pv_esp_options *o, const char *path, const char *words)
{
	const struct pv_esp_file file = { path, NULL, "x", 1 };
	pv_autoerror err = PV_ERROR_INIT;

	assert_int_equal(pv_esp_write("d", o, &file, 1, ".", &err), -1);
	assert_int_equal(err.kind, PV_ERR_STAGE);
	if (!strstr(err.text, words))
		fail_msg("%s: not found in: %s", words, err.text);
}

static void test_refused(void **state)
{
	static const char *const paths[] = { "", "/a", "a/", "a//b", "..", "a/../b", "./a", "c:a", "a*", "a b",
					     "a\\b", "-\n", "\xc3\xa4" };
	struct pv_esp_options o = options;
	const struct pv_esp_file missing = { "a", "no such file", NULL, 0 };
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	new_image("d");
	for (size_t i = 0; i < PV_COUNT(paths); i++)
		refused(&o, paths[i], "not a path");
	o.label = "lower";
	refused(&o, "a", "label");
	o = options;
	o.epoch = 0;
	refused(&o, "a", "1980");
	o = options;
	o.size = 1 << 20;
	refused(&o, "a", "40 MiB");
	assert_int_equal(pv_esp_write("d", &options, &missing, 1, ".", &err), -1);
	assert_non_null(strstr(err.text, "no such file"));
	pv_error_clear(&err);
	assert_int_equal(pv_esp_write("not there", &options, NULL, 0, ".", &err), -1);
	assert_non_null(strstr(err.text, "not there: No such file"));
}

static void test_full(void **state)
{
	const size_t len = 60u << 20;
	pv_autofree char *data = pv_xcalloc(len, 1);
	const struct pv_esp_file file = { "EFI/large", NULL, data, len };
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	new_image("d");
	assert_int_equal(pv_esp_write("d", &options, &file, 1, ".", &err), -1);
	assert_non_null(strstr(err.text, "EFI/large: no room for"));
	assert_int_equal(access("mtoolsrc", F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_content, enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_same_bytes, enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_refused, enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_full, enter, scratch_leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
