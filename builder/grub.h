/* SPDX-License-Identifier: Apache-2.0 */
/* GRUB for BIOS put into place: boot.img into the first sector, core.img into the BIOS boot partition. */
#ifndef PV_GRUB_H
#define PV_GRUB_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

#define PV_GRUB_BOOT_LEN 512u			/* boot.img is exactly this long */
#define PV_GRUB_CORE_MAX (1024u * 1024u)	/* far above any core.img (about 130 KiB with ext4 and GPT) */

/* The first sector: GRUB's boot.img with the disk's own disk signature and partition table kept (`mbr`, the sector
 * as it is) and core_lba as the place of core.img. Refuses what is no GRUB 2 boot.img. */
int pv_grub_patch_boot(const uint8_t *boot, size_t boot_len, const uint8_t mbr[512], uint64_t core_lba,
		       uint8_t ret[512], struct pv_error *err) PV_MUST_CHECK;

/* core.img, its first sector's list of blocks set to one run that begins behind it. core holds core_len bytes and is
 * changed in place. Refuses what is no i386-pc core.img. */
int pv_grub_patch_core(uint8_t *core, size_t core_len, uint64_t core_lba, struct pv_error *err) PV_MUST_CHECK;

/* Both, written to the disk. start and size of the BIOS boot partition in bytes. The disk must have a protective
 * MBR already. Copies its input; flushes nothing. */
int pv_grub_embed(int disk_fd, const uint8_t *boot, size_t boot_len, const uint8_t *core, size_t core_len,
		  uint64_t bios_start, uint64_t bios_size, struct pv_error *err) PV_MUST_CHECK;

#endif
