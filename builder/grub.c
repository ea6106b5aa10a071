/* SPDX-License-Identifier: Apache-2.0 */
/* Puts GRUB's boot.img and core.img where a BIOS finds them, as grub-bios-setup does on a device. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fsutil.h"
#include "grub.h"
#include "text.h"

/* Places in the two images: GRUB's include/grub/i386/pc/boot.h and kernel.h, util/setup.c (2.06 and 2.12). */
#define BOOT_BPB_START 0x03		/* the BIOS parameter block: kept from the disk */
#define BOOT_BPB_END 0x5a
#define BOOT_KERNEL_ADDRESS 0x5a	/* 16 bits: 0x8000 */
#define BOOT_KERNEL_SECTOR 0x5c		/* 64 bits: first sector of core.img */
#define BOOT_DRIVE 0x64			/* 0xff: the drive the BIOS names */
#define BOOT_DRIVE_CHECK 0x66		/* a jump over the work-around for BIOSes that name a wrong drive */
#define BOOT_DISK_ID 0x1b8		/* disk signature, then the partition table: kept from the disk */
#define BOOT_PART_TABLE 0x1be
#define BOOT_PART_END 0x1fe
#define KERNEL_ADDRESS 0x8000
#define SECTOR 512u
#define CORE_LIST 0x1f4			/* diskboot.img's one entry: u64 start, u16 length, u16 segment */
#define CORE_SEGMENT 0x820		/* sectors after the first go to 0x8200 */
#define JMP_SHORT 0xeb
#define NOP 0x90
#define GPT_PROTECTIVE 0xee

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static void put16(uint8_t *p, uint16_t value)
{
	p[0] = (uint8_t)value;
	p[1] = (uint8_t)(value >> 8);
}

static void put64(uint8_t *p, uint64_t value)
{
	for (unsigned i = 0; i < 8; i++)
		p[i] = (uint8_t)(value >> (8 * i));
}

static bool has_signature(const uint8_t sector[512])
{
	return sector[510] == 0x55 && sector[511] == 0xaa;
}

int pv_grub_patch_boot(const uint8_t *boot, size_t boot_len, const uint8_t mbr[512], uint64_t core_lba,
		       uint8_t ret[512], struct pv_error *err)
{
	if (boot_len != PV_GRUB_BOOT_LEN || !has_signature(boot))
		return pv_error_set(err, PV_ERR_STAGE, "boot.img: not a boot sector of 512 bytes");
	if (boot[0] != JMP_SHORT || get16(boot + BOOT_KERNEL_ADDRESS) != KERNEL_ADDRESS ||
	    boot[BOOT_DRIVE] != 0xff || boot[BOOT_DRIVE_CHECK] != JMP_SHORT)
		return pv_error_set(err, PV_ERR_STAGE, "boot.img: not GRUB 2's for i386-pc");
	if (!has_signature(mbr) || mbr[BOOT_PART_TABLE + 4] != GPT_PROTECTIVE)
		return pv_error_set(err, PV_ERR_STAGE, "boot.img: the disk has no protective MBR");
	memcpy(ret, boot, PV_GRUB_BOOT_LEN);
	memcpy(ret + BOOT_BPB_START, mbr + BOOT_BPB_START, BOOT_BPB_END - BOOT_BPB_START);
	memcpy(ret + BOOT_DISK_ID, mbr + BOOT_DISK_ID, BOOT_PART_END - BOOT_DISK_ID);
	put64(ret + BOOT_KERNEL_SECTOR, core_lba);
	ret[BOOT_DRIVE_CHECK] = NOP;
	ret[BOOT_DRIVE_CHECK + 1] = NOP;
	return 0;
}

int pv_grub_patch_core(uint8_t *core, size_t core_len, uint64_t core_lba, struct pv_error *err)
{
	size_t sectors = (core_len + SECTOR - 1) / SECTOR;

	if (core_len <= 2 * SECTOR || core_len > PV_GRUB_CORE_MAX)
		return pv_error_set(err, PV_ERR_STAGE, "core.img: %zu bytes: no core image", core_len);
	/* grub-mkimage wrote the number of sectors behind the first one, and where they are loaded to */
	if (get16(core + CORE_LIST + 10) != CORE_SEGMENT || get16(core + CORE_LIST + 8) != sectors - 1)
		return pv_error_set(err, PV_ERR_STAGE, "core.img: not GRUB 2's for i386-pc");
	put64(core + CORE_LIST, core_lba + 1);
	put16(core + CORE_LIST + 8, (uint16_t)(sectors - 1));
	return 0;
}

int pv_grub_embed(int disk_fd, const uint8_t *boot, size_t boot_len, const uint8_t *core, size_t core_len,
		  uint64_t bios_start, uint64_t bios_size, struct pv_error *err)
{
	uint8_t mbr[512], sector[512];
	uint64_t lba = bios_start / SECTOR;

	if (bios_start == 0 || bios_start % SECTOR || core_len > bios_size)
		return pv_error_set(err, PV_ERR_STAGE, "core.img: %zu bytes do not fit into the BIOS boot partition "
				    "of %llu bytes", core_len, (unsigned long long)bios_size);
	if (pv_pread_all(disk_fd, mbr, sizeof(mbr), 0) != (ssize_t)sizeof(mbr))
		return pv_error_set(err, PV_ERR_STAGE, "boot.img: cannot read the disk's first sector");
	if (pv_grub_patch_boot(boot, boot_len, mbr, lba, sector, err) < 0)
		return -1;
	pv_autofree uint8_t *copy = pv_xmalloc(core_len ? core_len : 1);

	memcpy(copy, core, core_len);
	if (pv_grub_patch_core(copy, core_len, lba, err) < 0)
		return -1;
	if (pv_pwrite_all(disk_fd, copy, core_len, (off_t)bios_start) < 0 ||
	    pv_pwrite_all(disk_fd, sector, sizeof(sector), 0) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "cannot write GRUB to the disk");
	return 0;
}
