/* SPDX-License-Identifier: Apache-2.0 */
/* Makes small images with our own GPT and ESP writers and with mke2fs -d. */
#include "image_help.h"

#include "check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk.h"
#include "esp.h"
#include "fsutil.h"
#include "proc.h"
#include "text.h"

#define BIOS_SIZE (1u << 20)
#define ESP_START (2u << 20)
#define ESP_SIZE (64u << 20)
#define ROOT_START (ESP_START + ESP_SIZE)
#define ROOT_SIZE (((uint64_t)IMAGE_MIB << 20) - ROOT_START - PV_DISK_MIB)

int image_enter(void **state)
{
	char *dir = pv_xstrdup("/tmp/pvimg-test-image.XXXXXX");

	if (!mkdtemp(dir) || chdir(dir) < 0)
		return -1;
	*state = dir;
	return 0;
}

int image_leave(void **state)
{
	int rc = chdir("/");

	rc |= pv_rmtree(*state, NULL);
	free(*state);
	return rc;
}

int image_tools(void)
{
	static const char *const names[] = { "mke2fs", "mkfs.vfat", "mcopy", "mtype" };

	for (size_t i = 0; i < PV_COUNT(names); i++) {
		pv_autofree char *path = pv_proc_which(names[i]);
		if (!path)
			return 0;
	}
	return 1;
}

void image_file(const char *path, const char *text)
{
	pv_autofree char *dir = pv_xstrndup(path, (size_t)(strrchr(path, '/') - path));

	assert_int_equal(pv_mkdirs(dir, 0755, NULL), 0);
	assert_int_equal(pv_write_file(path, text, strlen(text), 0644, NULL), 0);
}

static void make_esp(const char *path)
{
	static const char stub[] = "search.fs_uuid " IMAGE_ROOT_UUID " root\nset prefix=($root)'/boot/grub'\n"
				   "configfile $prefix/grub.cfg\n";
	static const struct pv_esp_file files[] = {
		{ .path = "EFI/BOOT/grub.cfg", .data = stub, .len = sizeof(stub) - 1 },
	};
	const struct pv_esp_options options = {
		.offset = ESP_START, .size = ESP_SIZE, .volume_id = 0x99d04afd, .label = "UEFI", .epoch = 1700000000,
	};
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_esp_write(path, &options, files, PV_COUNT(files), ".", &err) < 0)
		fail_msg("%s", err.text);
}

void image_make(const char *path, const char *tree)
{
	static const uint8_t id[16] = { 1, 2, 3 };
	const struct pv_disk_part parts[] = {
		{ 1, ROOT_START, ROOT_SIZE, PV_DISK_TYPE_ROOT, { 0xaa, 1 }, "root" },
		{ 14, PV_DISK_MIB, BIOS_SIZE, PV_DISK_TYPE_BIOS, { 0xbb, 1 }, "bios" },
		{ 15, ESP_START, ESP_SIZE, PV_DISK_TYPE_ESP, { 0xcc, 1 }, "esp" },
	};
	pv_autoerror err = PV_ERROR_INIT;

	unlink(path);
	if (pv_disk_create(path, (uint64_t)IMAGE_MIB << 20, id, parts, PV_COUNT(parts), &err) < 0)
		fail_msg("%s", err.text);
	make_esp(path);
	pv_autofree char *extended = pv_fmt("offset=%u", ROOT_START);
	pv_autofree char *blocks = pv_fmt("%lluk", (unsigned long long)(ROOT_SIZE >> 10));
	const char *const argv[] = {
		"mke2fs", "-q", "-F", "-t", "ext4", "-O", "^orphan_file,^metadata_csum_seed,metadata_csum", "-U",
		IMAGE_ROOT_UUID, "-E", extended, "-d", tree, path, blocks, NULL,
	};
	const struct pv_proc proc = { .argv = argv };
	if (pv_proc_check(&proc, PV_ERR_STAGE, &err) < 0)
		fail_msg("%s", err.text);
}

void image_peek(const char *path, uint64_t offset, void *data, unsigned len)
{
	pv_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0 && pv_pread_all(fd, data, len, (off_t)offset) == (ssize_t)len);
}

void image_poke(const char *path, uint64_t offset, const void *data, unsigned len)
{
	pv_autoclose int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0 && pv_pwrite_all(fd, data, len, (off_t)offset) == 0);
}
