/* SPDX-License-Identifier: Apache-2.0 */
/* The fields that GRUB's boot.img and core.img get, the bytes that stay, and what is refused. */
#include "check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fsutil.h"
#include "grub.h"

#define CORE_LEN (5 * 512 + 100)
#define BIOS_START (1ull << 20)
#define BIOS_SIZE (3ull << 20)

/* As GRUB 2.06's build makes it: jump, load address, sector 1, drive, drive check, signature. */
static void make_boot(uint8_t boot[512])
{
	memset(boot, 0x11, 512);
	memcpy(boot, "\xeb\x63\x90", 3);
	memcpy(boot + 0x5a, "\x00\x80\x01\0\0\0\0\0\0\0\xff\xfa\xeb\x05", 14);
	memset(boot + 0x1b8, 0, 70);
	memcpy(boot + 510, "\x55\xaa", 2);
}

static void make_core(uint8_t core[CORE_LEN])
{
	memset(core, 0x22, CORE_LEN);
	memcpy(core + 0x1f4, "\x02\0\0\0\0\0\0\0\x05\0\x20\x08", 12);
}

static void make_mbr(uint8_t mbr[512])
{
	memset(mbr, 0, 512);
	memcpy(mbr + 0x1b8, "\xde\xad\xbe\xef", 4);
	memcpy(mbr + 0x1be, "\x00\x00\x02\x00\xee\xff\xff\xff\x01\x00\x00\x00\xff\xff\x7f\x00", 16);
	memcpy(mbr + 510, "\x55\xaa", 2);
}

static void test_boot(void **state)
{
	uint8_t boot[512], mbr[512], got[512], want[512];

	(void)state;
	make_boot(boot);
	make_mbr(mbr);
	assert_int_equal(pv_grub_patch_boot(boot, 512, mbr, 0x123456789a, got, NULL), 0);
	memcpy(want, boot, 512);
	memset(want + 3, 0, 0x5a - 3);
	memcpy(want + 0x5c, "\x9a\x78\x56\x34\x12\0\0\0", 8);
	memcpy(want + 0x66, "\x90\x90", 2);
	memcpy(want + 0x1b8, mbr + 0x1b8, 72);
	assert_memory_equal(got, want, 512);
}

static void boot_refused(const uint8_t *boot, size_t len, const uint8_t *mbr)
{
	pv_autoerror err = PV_ERROR_INIT;
	uint8_t got[512];

	assert_int_equal(pv_grub_patch_boot(boot, len, mbr, 2048, got, &err), -1);
	assert_int_equal(err.kind, PV_ERR_STAGE);
	assert_non_null(strstr(err.text, "boot.img"));
}

static void test_boot_refused(void **state)
{
	static const unsigned places[] = { 0, 0x5b, 0x64, 0x66, 510, 511 };
	uint8_t boot[512], mbr[512];

	(void)state;
	make_mbr(mbr);
	for (size_t i = 0; i < PV_COUNT(places); i++) {
		make_boot(boot);
		boot[places[i]] ^= 0x40;
		boot_refused(boot, 512, mbr);
	}
	make_boot(boot);
	boot_refused(boot, 511, mbr);
	boot_refused(boot, 0, mbr);
	mbr[0x1c2] = 0x83;
	boot_refused(boot, 512, mbr);
	memset(mbr, 0, 512);
	boot_refused(boot, 512, mbr);
}

static void test_core(void **state)
{
	uint8_t core[CORE_LEN], want[CORE_LEN];

	(void)state;
	make_core(core);
	memcpy(want, core, CORE_LEN);
	memcpy(want + 0x1f4, "\x01\x08\0\0\0\0\0\0\x05\0\x20\x08", 12);
	assert_int_equal(pv_grub_patch_core(core, CORE_LEN, 2048, NULL), 0);
	assert_memory_equal(core, want, CORE_LEN);
}

static void test_core_refused(void **state)
{
	uint8_t core[CORE_LEN];
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	make_core(core);
	assert_int_equal(pv_grub_patch_core(core, CORE_LEN - 512, 2048, &err), -1);	/* cut short */
	assert_non_null(strstr(err.text, "core.img"));
	assert_int_equal(pv_grub_patch_core(core, 0, 2048, NULL), -1);
	assert_int_equal(pv_grub_patch_core(core, PV_GRUB_CORE_MAX + 1, 2048, NULL), -1);
	core[0x1ff] = 9;
	assert_int_equal(pv_grub_patch_core(core, CORE_LEN, 2048, NULL), -1);
}

static int new_disk(void)
{
	char name[] = "/tmp/pvimg-test-grub.XXXXXX";
	uint8_t mbr[512];
	int fd = mkstemp(name);

	assert_true(fd >= 0);
	unlink(name);
	make_mbr(mbr);
	assert_int_equal(ftruncate(fd, 8 << 20), 0);
	assert_int_equal(pv_pwrite_all(fd, mbr, 512, 0), 0);
	return fd;
}

static void test_embed(void **state)
{
	pv_autoclose int fd = new_disk();
	pv_autofree uint8_t *disk = pv_xmalloc(8 << 20);
	uint8_t boot[512], core[CORE_LEN], want_boot[512], mbr[512];

	(void)state;
	make_boot(boot);
	make_core(core);
	make_mbr(mbr);
	assert_int_equal(pv_grub_embed(fd, boot, 512, core, CORE_LEN, BIOS_START, BIOS_SIZE, NULL), 0);
	assert_int_equal(core[0x1f5], 0);		/* the caller's copy stays */
	assert_int_equal(pv_pread_all(fd, disk, 8 << 20, 0), 8 << 20);
	assert_int_equal(pv_grub_patch_boot(boot, 512, mbr, 2048, want_boot, NULL), 0);
	assert_int_equal(pv_grub_patch_core(core, CORE_LEN, 2048, NULL), 0);
	assert_memory_equal(disk, want_boot, 512);
	assert_memory_equal(disk + BIOS_START, core, CORE_LEN);
	memset(disk, 0, 512);
	memset(disk + BIOS_START, 0, CORE_LEN);
	for (size_t i = 0; i < 8 << 20; i++)
		if (disk[i])
			fail_msg("byte %zu was written", i);
}

static void test_embed_refused(void **state)
{
	pv_autoclose int fd = new_disk();
	uint8_t boot[512], core[CORE_LEN], before[512], after[512];
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	make_boot(boot);
	make_core(core);
	assert_int_equal(pv_pread_all(fd, before, 512, 0), 512);
	assert_int_equal(pv_grub_embed(fd, boot, 512, core, CORE_LEN, BIOS_START, 2048, &err), -1);
	assert_non_null(strstr(err.text, "do not fit"));
	assert_int_equal(pv_grub_embed(fd, boot, 512, core, CORE_LEN, 0, BIOS_SIZE, NULL), -1);
	assert_int_equal(pv_grub_embed(fd, boot, 512, core, 700, BIOS_START, BIOS_SIZE, NULL), -1);
	assert_int_equal(pv_pread_all(fd, after, 512, 0), 512);
	assert_memory_equal(before, after, 512);	/* a bad core leaves the first sector alone */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_boot),
		cmocka_unit_test(test_boot_refused),
		cmocka_unit_test(test_core),
		cmocka_unit_test(test_core_refused),
		cmocka_unit_test(test_embed),
		cmocka_unit_test(test_embed_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
