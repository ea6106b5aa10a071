/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a finished raw image: GPT by libfdisk, ext4 by libext2fs, ESP by mtools. Nothing is mounted or changed, and
 * nothing in the image is trusted. */
#ifndef PV_IMAGE_H
#define PV_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"
#include "text.h"

struct pv_image_part {
	unsigned number;
	uint64_t start, size;		/* bytes */
	char type[37], uuid[37];	/* upper case, as printed */
};

struct pv_image;

/* Opens path read-only: reads its GPT and the ext4 file system on its root partition (type root x86-64 or Linux,
 * the last one on the disk). PV_ERR_DIFFERS when it is no such disk, PV_ERR_STAGE when it cannot be read. */
int pv_image_open(const char *path, struct pv_image **ret, struct pv_error *err) PV_MUST_CHECK;
void pv_image_free(struct pv_image *image);
void pv_image_freep(struct pv_image **image);
#define pv_autoimage __attribute__((cleanup(pv_image_freep))) struct pv_image

const char *pv_image_path(const struct pv_image *image);
uint64_t pv_image_size(const struct pv_image *image);
/* In the order of their numbers. */
const struct pv_image_part *pv_image_parts(const struct pv_image *image, size_t *ret_n);
/* By partition type; NULL: none. */
const struct pv_image_part *pv_image_part_of_type(const struct pv_image *image, const char *type_guid);
const struct pv_image_part *pv_image_root(const struct pv_image *image);
/* What libfdisk finds wrong with the GPT or its backup, one line each; owned by the image. */
const struct pv_strv *pv_image_gpt_faults(const struct pv_image *image);

/* Of the root file system, lower case. */
void pv_image_fs_uuid(const struct pv_image *image, char ret[37]);
/* Cleanly unmounted, no errors noted, no journal to replay. */
bool pv_image_fs_clean(const struct pv_image *image);
uint64_t pv_image_fs_size(const struct pv_image *image);	/* bytes that it says it has */
uint64_t pv_image_fs_used(const struct pv_image *image);	/* bytes that are not free */
/* Its features that are not in `list` ("has_journal,extent,..."), by name or as "incompat 0x400". */
void pv_image_fs_features_beyond(const struct pv_image *image, const char *list, struct pv_strv *ret);

struct pv_image_stat {
	mode_t mode;			/* with its type */
	uint32_t uid, gid;
	uint64_t size;
	uint32_t inode, links;
};
/* Of the path itself, a final link not followed; false: not there. Paths begin with '/'. */
bool pv_image_stat(const struct pv_image *image, const char *path, struct pv_image_stat *ret);
/* The same with a final link followed (inside the image). */
bool pv_image_exists(const struct pv_image *image, const char *path);

/* A regular file of at most `max` bytes, links followed inside the image; NUL-terminated, the caller frees. NULL:
 * not there, no regular file, too large or damaged. ret_len may be NULL. */
char *pv_image_read(const struct pv_image *image, const char *path, size_t max, size_t *ret_len);

/* Where a symbolic link points; NULL: no link. The caller frees. */
char *pv_image_readlink(const struct pv_image *image, const char *path);

/* Everything below a folder, depth first, mount points of the guest too; ends early when fn returns false, and after
 * PV_IMAGE_WALK_MAX names or folders deeper than PV_IMAGE_WALK_DEPTH. */
#define PV_IMAGE_WALK_MAX 1000000u
#define PV_IMAGE_WALK_DEPTH 64u
typedef bool pv_image_walk_fn(void *ctx, const char *path, const struct pv_image_stat *st);
void pv_image_walk(const struct pv_image *image, const char *path, pv_image_walk_fn *fn, void *ctx);

/* Names in a folder without "." and "..", sorted; none when it is no folder. */
void pv_image_list(const struct pv_image *image, const char *path, struct pv_strv *ret);

/* All that an inode says, for comparisons; and its data and extended attributes. `ino` as pv_image_stat gives it. */
struct pv_image_time {
	int64_t s;
	uint32_t ns;
};
struct pv_image_inode {
	struct pv_image_stat stat;
	uint32_t device;		/* of a device node, as ext4 stores it; else 0 */
	uint32_t flags, generation;
	struct pv_image_time atime, ctime, mtime, crtime;
};
bool pv_image_inode(const struct pv_image *image, uint32_t ino, struct pv_image_inode *ret);
/* "name=HEX", sorted. */
void pv_image_xattrs(const struct pv_image *image, uint32_t ino, struct pv_strv *ret);
/* Short at the end of the data only; -1: damaged. */
ssize_t pv_image_inode_read(const struct pv_image *image, uint32_t ino, void *data, unsigned len, uint64_t offset);

/* What blocks of the root file system are for. */
enum pv_image_block_use {
	PV_BLOCK_DATA,			/* of files and folders, or free */
	PV_BLOCK_SUPER,
	PV_BLOCK_GROUPS,		/* group descriptors, and what is kept free for them */
	PV_BLOCK_BLOCK_BITMAP,
	PV_BLOCK_INODE_BITMAP,
	PV_BLOCK_INODES,
	PV_BLOCK_JOURNAL,
	PV_BLOCK_USES,			/* how many there are */
};
void pv_image_block_uses(const struct pv_image *image, const uint64_t *blocks, size_t n, enum pv_image_block_use *ret);
unsigned pv_image_fs_block(const struct pv_image *image);	/* bytes of a block */

/* Regular files of the ESP, "/EFI/BOOT/BOOTX64.EFI", sorted; none without an ESP. */
void pv_image_esp_list(const struct pv_image *image, struct pv_strv *ret);

/* A file of the ESP, "EFI/BOOT/BOOTX64.EFI"; NULL: not there or too large. The caller frees. */
char *pv_image_esp_read(const struct pv_image *image, const char *path, size_t max, size_t *ret_len);
/* "1A2B-3C4D", upper case; empty when there is no ESP. */
void pv_image_esp_volume_id(const struct pv_image *image, char ret[10]);

/* Raw bytes of the disk. */
int pv_image_pread(const struct pv_image *image, void *data, size_t len, uint64_t offset, struct pv_error *err)
	PV_MUST_CHECK;

#endif
