/* SPDX-License-Identifier: Apache-2.0 */
/* A raw image of 4 MiB, given as its sectors that are not empty (number in two bytes, little endian, then 512 bytes), read
 * the way lint reads it: GPT, ext4 and the EFI system partition; no crash, no loop, nothing beyond what was asked for. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fsutil.h"
#include "image.h"

#define SIZE (4u << 20)
#define SECTOR 512u
#define FILE_MAX 20000u
#define NAMES_MAX 300u			/* a damaged folder may hold itself: the walk's own limits are for whole systems */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void lay_out(int fd, const uint8_t *data, size_t size)
{
	for (; size > 2; ) {
		size_t sector = (size_t)(data[0] | data[1] << 8) % (SIZE / SECTOR);
		size_t n = size - 2 < SECTOR ? size - 2 : SECTOR;

		if (pwrite(fd, data + 2, n, (off_t)(sector * SECTOR)) != (ssize_t)n)
			abort();
		data += 2 + n;
		size -= 2 + n;
	}
}

struct seen {
	const struct pv_image *image;
	unsigned n;
};

/* What comparisons ask of an inode. */
static void look_closer(const struct pv_image *image, uint32_t ino)
{
	struct pv_image_inode inode;
	pv_autostrv xattrs = PV_STRV_INIT;
	char piece[512];

	if (!pv_image_inode(image, ino, &inode))
		return;
	pv_image_xattrs(image, ino, &xattrs);
	if (pv_image_inode_read(image, ino, piece, sizeof(piece), inode.stat.size / 2) > (ssize_t)sizeof(piece))
		abort();
}

static void look_at_blocks(const struct pv_image *image)
{
	const uint64_t blocks[] = { 0, 1, 2, 40, 1000, 1u << 20 };
	enum pv_image_block_use uses[sizeof(blocks) / sizeof(blocks[0])];

	pv_image_block_uses(image, blocks, sizeof(blocks) / sizeof(blocks[0]), uses);
	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++)
		if ((unsigned)uses[i] >= PV_BLOCK_USES)
			abort();
	(void)pv_image_fs_used(image);
}

static bool look(void *ctx, const char *path, const struct pv_image_stat *st)
{
	struct seen *seen = ctx;
	size_t len = 0;
	pv_autofree char *text = pv_image_read(seen->image, path, FILE_MAX, &len);
	pv_autofree char *link = pv_image_readlink(seen->image, path);

	if (path[0] != '/' || (text && (len > FILE_MAX || strlen(text) > len)))
		abort();
	if (link && !S_ISLNK(st->mode))
		abort();
	(void)pv_image_exists(seen->image, path);
	look_closer(seen->image, st->inode);
	return ++seen->n < NAMES_MAX;
}

static void read_all(const struct pv_image *image)
{
	pv_autostrv features = PV_STRV_INIT;
	struct seen seen = { image, 0 };
	char uuid[37], volume[10];
	size_t n;
	const struct pv_image_part *parts = pv_image_parts(image, &n);

	for (size_t i = 0; i < n; i++)
		if (parts[i].start > SIZE || parts[i].size > SIZE - parts[i].start)
			abort();
	pv_image_fs_uuid(image, uuid);
	if (strlen(uuid) != 36)
		abort();
	(void)pv_image_fs_clean(image);
	(void)pv_image_fs_size(image);
	pv_image_fs_features_beyond(image, "extent,filetype", &features);
	pv_image_walk(image, "/", look, &seen);
	free(pv_image_read(image, "/etc/os-release", FILE_MAX, NULL));
	free(pv_image_read(image, "/slow", FILE_MAX, NULL));
	look_at_blocks(image);
	pv_image_esp_volume_id(image, volume);
	if (strlen(volume) >= sizeof(volume))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	pv_autoclose int fd = memfd_create("image", MFD_CLOEXEC);
	pv_autofree char *path = pv_fmt("/proc/self/fd/%d", fd);
	pv_autoimage *image = NULL;
	pv_autoerror err = PV_ERROR_INIT;

	if (fd < 0 || ftruncate(fd, SIZE) < 0)
		abort();
	lay_out(fd, data, size);
	if (pv_image_open(path, &image, &err) == 0)
		read_all(image);
	else if (!err.text || image)
		abort();
	return 0;
}
