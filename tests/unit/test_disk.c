/* SPDX-License-Identifier: Apache-2.0 */
/* The GPT is what was asked for, sgdisk finds nothing wrong, nonsense is refused and leaves no file. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk.h"
#include "fsutil.h"
#include "proc.h"
#include "scratch.h"

#define SIZE (512ull << 20)

static const uint8_t disk_id[16] = { 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0x4d, 0xef, 0x80, 1, 2, 3, 4, 5, 6, 7 };

static const struct pv_disk_part parts[] = {
	{ 1, PV_DISK_ROOT_START, SIZE - PV_DISK_ROOT_START - PV_DISK_MIB, PV_DISK_TYPE_ROOT,
	  { 0xaa, 1, 2, 3, 4, 5, 0x46, 7, 0x88, 9 }, "root" },
	{ 14, PV_DISK_BIOS_START, PV_DISK_BIOS_SIZE, PV_DISK_TYPE_BIOS, { 0xbb, 1 }, "bios" },
	{ 15, PV_DISK_ESP_START, PV_DISK_ESP_SIZE, PV_DISK_TYPE_ESP, { 0xcc, 1 }, NULL },
};

static void collect(void *ctx, const char *line, size_t len)
{
	pv_str_addn(ctx, line, len);
	pv_str_addc(ctx, '\n');
}

/* Standard output of a program that must end well. */
static char *output(const char *const *argv)
{
	pv_autostr out = PV_STR_INIT;
	pv_autoerror err = PV_ERROR_INIT;
	struct pv_proc proc = { .argv = argv, .on_stdout = collect, .ctx = &out };
	int rc = pv_proc_check(&proc, PV_ERR_STAGE, &err);

	if (rc < 0)
		print_error("%s\n", err.text);
	assert_int_equal(rc, 0);
	return pv_str_steal(&out);
}

static void test_gpt(void **state)
{
	pv_autoerror err = PV_ERROR_INIT;
	struct stat st;

	(void)state;
	assert_int_equal(pv_disk_create("d 'x\".raw", SIZE, disk_id, parts, PV_COUNT(parts), &err), 0);
	assert_int_equal(stat("d 'x\".raw", &st), 0);
	assert_int_equal(st.st_size, SIZE);
	assert_true(st.st_blocks * 512 < 1 << 20);
	pv_autofree char *sgdisk = pv_proc_which("sgdisk");
	if (!sgdisk)
		skip();
	pv_autofree char *verdict = output((const char *[]){ "sgdisk", "-v", "d 'x\".raw", NULL });
	pv_autofree char *list = output((const char *[]){ "sgdisk", "-p", "d 'x\".raw", NULL });
	pv_autofree char *root = output((const char *[]){ "sgdisk", "-i", "1", "d 'x\".raw", NULL });
	pv_autofree char *bios = output((const char *[]){ "sgdisk", "-i", "14", "d 'x\".raw", NULL });

	assert_non_null(strstr(verdict, "No problems found"));
	assert_non_null(strstr(list, "12345678-9ABC-4DEF-8001-020304050607"));
	assert_non_null(strstr(root, PV_DISK_TYPE_ROOT));
	assert_non_null(strstr(root, "AA010203-0405-4607-8809-000000000000"));
	assert_non_null(strstr(root, "First sector: 262144 "));
	assert_non_null(strstr(root, "Last sector: 1046527 "));
	assert_non_null(strstr(root, "Partition name: 'root'"));
	assert_non_null(strstr(bios, PV_DISK_TYPE_BIOS));
	assert_non_null(strstr(bios, "First sector: 2048 "));
	assert_non_null(strstr(bios, "Partition size: 6144 sectors"));
}

static void test_same_bytes(void **state)
{
	pv_autofree char *a = NULL, *b = NULL;
	size_t la, lb;

	(void)state;
	assert_int_equal(pv_disk_create("a", SIZE, disk_id, parts, PV_COUNT(parts), NULL), 0);
	assert_int_equal(pv_disk_create("b", SIZE, disk_id, parts, PV_COUNT(parts), NULL), 0);
	assert_int_equal(pv_read_file("a", SIZE, &a, &la, NULL), 0);
	assert_int_equal(pv_read_file("b", SIZE, &b, &lb, NULL), 0);
	assert_int_equal(la, lb);
	assert_memory_equal(a, b, la);
}

static void refused(uint64_t size, const struct pv_disk_part *p, size_t n)
{
	pv_autoerror err = PV_ERROR_INIT;

	assert_int_equal(pv_disk_create("bad", size, disk_id, p, n, &err), -1);
	assert_int_equal(err.kind, PV_ERR_STAGE);
	assert_int_equal(access("bad", F_OK), -1);
}

static void test_refused(void **state)
{
	struct pv_disk_part p[3];

	(void)state;
	refused(SIZE + 512, parts, 3);
	refused(300ull << 20, parts, 3);
	memcpy(p, parts, sizeof(p));
	p[0].size += PV_DISK_MIB;		/* into the backup GPT */
	refused(SIZE, p, 3);
	memcpy(p, parts, sizeof(p));
	p[1].size += PV_DISK_MIB;		/* into the ESP */
	refused(SIZE, p, 3);
	memcpy(p, parts, sizeof(p));
	p[2].number = 14;
	refused(SIZE, p, 3);
	p[2].number = 129;
	refused(SIZE, p, 3);
	memcpy(p, parts, sizeof(p));
	p[1].start = 0;
	refused(SIZE, p, 3);
	memcpy(p, parts, sizeof(p));
	p[1].type_guid = "not a guid";
	refused(SIZE, p, 3);
	assert_int_equal(pv_write_file("there", "x", 1, 0644, NULL), 0);
	assert_int_equal(pv_disk_create("there", SIZE, disk_id, parts, 3, NULL), -1);
	assert_int_equal(access("there", F_OK), 0);
}

static void test_root_size(void **state)
{
	(void)state;
	assert_int_equal(pv_disk_root_size(0), 0);
	assert_int_equal(pv_disk_root_size(129ull << 20), 0);
	assert_int_equal(pv_disk_root_size(130ull << 20), 1 << 20);
	assert_int_equal(pv_disk_root_size(SIZE), parts[0].size);
	assert_int_equal(pv_disk_size_for_root(parts[0].size), SIZE);
	assert_int_equal(pv_disk_size_for_root(parts[0].size - 1), SIZE);
	for (uint64_t need = 1; need < 1ull << 40; need = need * 3 + 7) {
		uint64_t disk = pv_disk_size_for_root(need);

		assert_int_equal(disk % PV_DISK_MIB, 0);
		assert_true(pv_disk_root_size(disk) >= need);
		assert_true(pv_disk_root_size(disk - PV_DISK_MIB) < need);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_gpt, scratch_enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_same_bytes, scratch_enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_refused, scratch_enter, scratch_leave),
		cmocka_unit_test(test_root_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
