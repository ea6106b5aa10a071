/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the root file system, by libext2fs. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "image_priv.h"

#define LINK_MAX_LEN 4096u

void pv_image_fs_uuid(const struct pv_image *image, char ret[37])
{
	const uint8_t *u = image->fs->super->s_uuid;
	static const char digits[] = "0123456789abcdef";
	size_t at = 0;

	for (size_t i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			ret[at++] = '-';
		ret[at++] = digits[u[i] >> 4];
		ret[at++] = digits[u[i] & 15];
	}
	ret[at] = '\0';
}

bool pv_image_fs_clean(const struct pv_image *image)
{
	const struct ext2_super_block *super = image->fs->super;

	return (super->s_state & EXT2_VALID_FS) && !(super->s_state & EXT2_ERROR_FS) &&
	       !ext2fs_has_feature_journal_needs_recovery(image->fs->super);
}

static bool find(const struct pv_image *image, const char *path, bool follow, ext2_ino_t *ret)
{
	errcode_t rc = follow ? ext2fs_namei_follow(image->fs, EXT2_ROOT_INO, EXT2_ROOT_INO, path, ret)
			      : ext2fs_namei(image->fs, EXT2_ROOT_INO, EXT2_ROOT_INO, path, ret);

	return rc == 0;
}

bool pv_image_stat(const struct pv_image *image, const char *path, struct pv_image_stat *ret)
{
	ext2_ino_t ino;
	struct ext2_inode inode;

	if (!find(image, path, false, &ino) || ext2fs_read_inode(image->fs, ino, &inode))
		return false;
	*ret = (struct pv_image_stat){
		.mode = inode.i_mode, .uid = inode_uid(inode), .gid = inode_gid(inode),
		.size = EXT2_I_SIZE(&inode), .inode = ino, .links = inode.i_links_count,
	};
	return true;
}

bool pv_image_exists(const struct pv_image *image, const char *path)
{
	ext2_ino_t ino;

	return find(image, path, true, &ino);
}

/* At most `max` bytes of an inode's data. */
static char *read_data(const struct pv_image *image, ext2_ino_t ino, uint64_t size, size_t *ret_len)
{
	ext2_file_t file;
	unsigned got = 0;
	pv_autofree char *data = pv_xmalloc((size_t)size + 1);

	if (ext2fs_file_open(image->fs, ino, 0, &file))
		return NULL;
	errcode_t rc = ext2fs_file_read(file, data, (unsigned)size, &got);
	ext2fs_file_close(file);
	if (rc || got != size)
		return NULL;
	data[size] = '\0';
	if (ret_len)
		*ret_len = (size_t)size;
	return pv_steal(&data);
}

char *pv_image_read(const struct pv_image *image, const char *path, size_t max, size_t *ret_len)
{
	ext2_ino_t ino;
	struct ext2_inode inode;

	if (!find(image, path, true, &ino) || ext2fs_read_inode(image->fs, ino, &inode))
		return NULL;
	if (!LINUX_S_ISREG(inode.i_mode) || EXT2_I_SIZE(&inode) > max || EXT2_I_SIZE(&inode) > INT32_MAX)
		return NULL;
	return read_data(image, ino, EXT2_I_SIZE(&inode), ret_len);
}

char *pv_image_readlink(const struct pv_image *image, const char *path)
{
	ext2_ino_t ino;
	struct ext2_inode inode;

	if (!find(image, path, false, &ino) || ext2fs_read_inode(image->fs, ino, &inode) ||
	    !LINUX_S_ISLNK(inode.i_mode) || EXT2_I_SIZE(&inode) > LINK_MAX_LEN)
		return NULL;
	if (ext2fs_is_fast_symlink(&inode))
		return pv_xstrndup((const char *)inode.i_block, (size_t)EXT2_I_SIZE(&inode));
	return read_data(image, ino, EXT2_I_SIZE(&inode), NULL);
}

static int take_name(struct ext2_dir_entry *entry, int offset, int blocksize, char *buf, void *ctx)
{
	pv_autofree char *name = pv_xstrndup(entry->name, (size_t)ext2fs_dirent_name_len(entry));

	(void)offset, (void)blocksize, (void)buf;
	if (!pv_streq(name, ".") && !pv_streq(name, "..") && *name)
		pv_strv_add(ctx, name);
	return 0;
}

void pv_image_list(const struct pv_image *image, const char *path, struct pv_strv *ret)
{
	ext2_ino_t ino;

	if (!find(image, path, true, &ino) || ext2fs_check_directory(image->fs, ino))
		return;
	if (ext2fs_dir_iterate(image->fs, ino, 0, NULL, take_name, ret))
		return;		/* a damaged folder: what was read until there */
	pv_strv_sort(ret);
}
