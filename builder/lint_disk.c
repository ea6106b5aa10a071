/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of the disk: partitions, GRUB for BIOS, the EFI system partition, the root file system as a whole. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "disk.h"
#include "grub.h"
#include "lint.h"

#define EFI_MAX ((size_t)16 << 20)
#define TAIL_MAX (2ull * PV_DISK_MIB)	/* behind the root: the backup GPT, rounded up */
#define SHIM "/usr/lib/shim/shimx64.efi.signed"
#define GRUB_SIGNED "/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed"

static void check_gpt(struct pv_lint *lint)
{
	const struct pv_strv *faults = pv_image_gpt_faults(lint->image);

	for (size_t i = 0; i < faults->n; i++)
		pv_lint_fault(lint, "%s", faults->v[i]);
}

static void check_partitions(struct pv_lint *lint)
{
	const struct pv_image_part *root = pv_image_root(lint->image);
	size_t n;
	const struct pv_image_part *parts = pv_image_parts(lint->image, &n);

	if (!pv_image_part_of_type(lint->image, PV_DISK_TYPE_BIOS))
		pv_lint_fault(lint, "no BIOS boot partition (type %s)", PV_DISK_TYPE_BIOS);
	if (!pv_image_part_of_type(lint->image, PV_DISK_TYPE_ESP))
		pv_lint_fault(lint, "no EFI system partition (type %s)", PV_DISK_TYPE_ESP);
	if (!pv_streq(root->type, PV_DISK_TYPE_ROOT))
		pv_lint_fault(lint, "partition %u holds the root but has type %s", root->number, root->type);
	for (size_t i = 0; i < n; i++)
		if (parts[i].start % PV_DISK_MIB && pv_streq(parts[i].type, PV_DISK_TYPE_ROOT))
			pv_lint_fault(lint, "partition %u does not begin at a whole MiB", parts[i].number);
}

static void check_root_last(struct pv_lint *lint)
{
	const struct pv_image_part *root = pv_image_root(lint->image);
	uint64_t end = root->start + root->size;
	size_t n;
	const struct pv_image_part *parts = pv_image_parts(lint->image, &n);

	for (size_t i = 0; i < n; i++)
		if (parts[i].start > root->start)
			pv_lint_fault(lint, "partition %u lies behind the root, partition %u", parts[i].number, root->number);
	if (pv_image_size(lint->image) - end > TAIL_MAX)
		pv_lint_fault(lint, "%llu bytes are unused behind the root",
			      (unsigned long long)(pv_image_size(lint->image) - end));
}

static void check_boot_sector(struct pv_lint *lint)
{
	const struct pv_image_part *bios = pv_image_part_of_type(lint->image, PV_DISK_TYPE_BIOS);
	uint8_t sector[PV_DISK_SECTOR], want[PV_DISK_SECTOR];
	pv_autoerror err = PV_ERROR_INIT;
	size_t len = 0;

	if (!bios)
		return;		/* "partitions" tells */
	pv_autofree char *boot = pv_image_read(lint->image, "/boot/grub/i386-pc/boot.img", PV_GRUB_BOOT_LEN, &len);
	if (!boot)
		return pv_lint_fault(lint, "/boot/grub/i386-pc/boot.img is missing or no boot sector");
	if (pv_image_pread(lint->image, sector, sizeof(sector), 0, &err) < 0 ||
	    pv_grub_patch_boot((const uint8_t *)boot, len, sector, bios->start / PV_DISK_SECTOR, want, &err) < 0)
		return pv_lint_fault(lint, "%s", err.text);
	if (memcmp(sector, want, sizeof(want)) != 0)
		pv_lint_fault(lint, "sector 0 is not /boot/grub/i386-pc/boot.img set to sector %llu, where core.img must be",
			      (unsigned long long)(bios->start / PV_DISK_SECTOR));
}

static void check_core_image(struct pv_lint *lint)
{
	const struct pv_image_part *bios = pv_image_part_of_type(lint->image, PV_DISK_TYPE_BIOS);
	pv_autoerror err = PV_ERROR_INIT;
	size_t len = 0;

	if (!bios)
		return;		/* "partitions" tells */
	pv_autofree char *core = pv_image_read(lint->image, "/boot/grub/i386-pc/core.img", PV_GRUB_CORE_MAX, &len);
	if (!core)
		return pv_lint_fault(lint, "/boot/grub/i386-pc/core.img is missing or too large");
	if (pv_grub_patch_core((uint8_t *)core, len, bios->start / PV_DISK_SECTOR, &err) < 0)
		return pv_lint_fault(lint, "/boot/grub/i386-pc/core.img: %s", err.text);
	pv_autofree uint8_t *found = pv_xmalloc(len);
	if (len > bios->size || pv_image_pread(lint->image, found, len, bios->start, &err) < 0)
		return pv_lint_fault(lint, "the BIOS boot partition is too small for core.img");
	if (memcmp(core, found, len) != 0)
		pv_lint_fault(lint, "the BIOS boot partition does not hold /boot/grub/i386-pc/core.img");
}

static uint32_t get32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Microsoft's PE format: an image for x86-64 whose optional header says PE32+; ret_signed: it carries a table of
 * certificates (data directory 4) that lies within it. */
static bool is_efi(const char *data, size_t len, bool *ret_signed)
{
	const uint8_t *p = (const uint8_t *)data;

	if (len < 0x40 || memcmp(p, "MZ", 2) != 0)
		return false;
	uint32_t pe = get32(p + 0x3c);
	if (pe > len || len - pe < 24 + 112 + 5 * 8 || memcmp(p + pe, "PE\0\0\x64\x86", 6) != 0)
		return false;
	const uint8_t *optional = p + pe + 24;
	if (optional[0] != 0x0b || optional[1] != 0x02)
		return false;
	uint32_t at = get32(optional + 112 + 4 * 8), size = get32(optional + 112 + 4 * 8 + 4);
	*ret_signed = size > 8 && at <= len && size <= len - at;
	return true;
}

static void check_uefi_loader(struct pv_lint *lint)
{
	static const char path[] = "EFI/BOOT/BOOTX64.EFI";
	size_t len = 0;
	bool is_signed;

	if (!pv_image_part_of_type(lint->image, PV_DISK_TYPE_ESP))
		return;		/* "partitions" tells */
	pv_autofree char *data = pv_image_esp_read(lint->image, path, EFI_MAX, &len);
	if (!data)
		pv_lint_fault(lint, "ESP: %s is missing or cannot be read", path);
	else if (!is_efi(data, len, &is_signed))
		pv_lint_fault(lint, "ESP: %s is no EFI program for x86-64", path);
}

/* A missing BOOTX64.EFI is told by "uefi-loader". */
static void compare_esp(struct pv_lint *lint, const char *folder, const char *name, const char *source,
			const char *data, size_t len)
{
	pv_autofree char *path = pv_fmt("EFI/%s/%s", folder, name);
	size_t esp_len = 0;
	pv_autofree char *found = pv_image_esp_read(lint->image, path, EFI_MAX, &esp_len);

	if (!found && strcasecmp(name, "BOOTX64.EFI") != 0)
		pv_lint_fault(lint, "ESP: %s is missing", path);
	else if (found && (esp_len != len || memcmp(found, data, len) != 0))
		pv_lint_fault(lint, "ESP: %s is not the image's own %s", path, source);
}

static void check_signed_pair(struct pv_lint *lint, const char *source, const char *boot_name, const char *id_name)
{
	size_t len = 0;
	bool is_signed = false;
	pv_autofree char *data = pv_image_read(lint->image, source, EFI_MAX, &len);

	if (!data)
		return pv_lint_fault(lint, "%s is missing", source);
	if (!is_efi(data, len, &is_signed) || !is_signed)
		return pv_lint_fault(lint, "%s carries no signature", source);
	compare_esp(lint, "BOOT", boot_name, source, data, len);
	if (lint->suite)
		compare_esp(lint, lint->suite->grub_efi_id, id_name, source, data, len);
}

static void check_secure_boot(struct pv_lint *lint)
{
	if (!pv_image_part_of_type(lint->image, PV_DISK_TYPE_ESP))
		return;
	check_signed_pair(lint, SHIM, "BOOTX64.EFI", "shimx64.efi");
	check_signed_pair(lint, GRUB_SIGNED, "grubx64.efi", "grubx64.efi");
}

/* Does a line search for this file system by "search --fs-uuid ID" or "search.fs_uuid ID"? */
static bool finds_root(const char *text, const char *uuid)
{
	for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		pv_autofree char *copy = pv_xstrndup(line, strcspn(line, "\n"));
		pv_autostrv words = PV_STRV_INIT;
		pv_lint_words(copy, &words);
		if (words.n > 1 && pv_starts(words.v[0], "search") && pv_strv_has(&words, uuid))
			return true;
	}
	return false;
}

static void check_uefi_config(struct pv_lint *lint)
{
	const char *const folders[] = { "BOOT", lint->suite ? lint->suite->grub_efi_id : NULL };
	char uuid[37];

	if (!pv_image_part_of_type(lint->image, PV_DISK_TYPE_ESP))
		return;
	pv_image_fs_uuid(lint->image, uuid);
	for (size_t i = 0; i < PV_COUNT(folders) && folders[i]; i++) {
		pv_autofree char *path = pv_fmt("EFI/%s/grub.cfg", folders[i]);
		pv_autofree char *text = pv_image_esp_read(lint->image, path, 65536, NULL);
		if (!text)
			pv_lint_fault(lint, "ESP: %s is missing", path);
		else if (!finds_root(text, uuid))
			pv_lint_fault(lint, "ESP: %s does not search for the root file system %s", path, uuid);
		else if (!strstr(text, "configfile") || !strstr(text, "/boot/grub"))
			pv_lint_fault(lint, "ESP: %s does not go on to /boot/grub/grub.cfg", path);
	}
}

static void check_filesystem(struct pv_lint *lint)
{
	const struct pv_image_part *root = pv_image_root(lint->image);

	if (!pv_image_fs_clean(lint->image))
		pv_lint_fault(lint, "the root file system was not unmounted cleanly or has errors noted; run e2fsck");
	if (pv_image_fs_size(lint->image) > root->size)
		pv_lint_fault(lint, "the root file system is larger than its partition");
}

static void check_features(struct pv_lint *lint)
{
	const struct pv_suite *suite = lint->suite ? lint->suite : pv_suite_table();
	pv_autostrv beyond = PV_STRV_INIT;

	pv_image_fs_features_beyond(lint->image, suite->ext4_features, &beyond);
	for (size_t i = 0; i < beyond.n; i++)
		pv_lint_fault(lint, "the root file system has the feature %s, which %s's GRUB or e2fsck may not know",
			      beyond.v[i], suite->codename);
}

const struct pv_lint_check pv_lint_disk_checks[] = {
	{ "gpt", "GPT and its backup are whole: a grown disk keeps its partitions", check_gpt },
	{ "partitions", "BIOS boot, EFI system and root partitions, by their types", check_partitions },
	{ "root-last", "the root lies last, so that it can grow", check_root_last },
	{ "boot-sector", "sector 0 is GRUB's and leads to core.img: boots by BIOS", check_boot_sector },
	{ "core-image", "the BIOS boot partition holds the image's own core.img", check_core_image },
	{ "uefi-loader", "EFI/BOOT/BOOTX64.EFI is there: boots by UEFI with no boot entry", check_uefi_loader },
	{ "secure-boot", "shim and GRUB on the ESP are the signed ones of the packages", check_secure_boot },
	{ "uefi-config", "GRUB on the ESP finds the root file system by its UUID", check_uefi_config },
	{ "filesystem", "the root ext4 is clean and fits its partition", check_filesystem },
	{ "ext4-features", "only ext4 features that the suite's GRUB and e2fsck know", check_features },
	{ NULL, NULL, NULL },
};
