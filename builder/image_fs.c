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

uint64_t pv_image_fs_size(const struct pv_image *image)
{
	return (uint64_t)ext2fs_blocks_count(image->fs->super) * image->fs->blocksize;
}

static const struct feature {
	const char *name;
	unsigned word;			/* 0 compat, 1 incompat, 2 read-only compat */
	uint32_t bit;
} features[] = {
	{ "has_journal", 0, EXT3_FEATURE_COMPAT_HAS_JOURNAL },
	{ "ext_attr", 0, EXT2_FEATURE_COMPAT_EXT_ATTR },
	{ "resize_inode", 0, EXT2_FEATURE_COMPAT_RESIZE_INODE },
	{ "dir_index", 0, EXT2_FEATURE_COMPAT_DIR_INDEX },
	{ "orphan_file", 0, 0x1000 },	/* e2fsprogs 1.47; not in older headers */
	{ "filetype", 1, EXT2_FEATURE_INCOMPAT_FILETYPE },
	{ "extent", 1, EXT3_FEATURE_INCOMPAT_EXTENTS },
	{ "64bit", 1, EXT4_FEATURE_INCOMPAT_64BIT },
	{ "flex_bg", 1, EXT4_FEATURE_INCOMPAT_FLEX_BG },
	{ "metadata_csum_seed", 1, EXT4_FEATURE_INCOMPAT_CSUM_SEED },
	{ "encrypt", 1, EXT4_FEATURE_INCOMPAT_ENCRYPT },
	{ "sparse_super", 2, EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER },
	{ "large_file", 2, EXT2_FEATURE_RO_COMPAT_LARGE_FILE },
	{ "huge_file", 2, EXT4_FEATURE_RO_COMPAT_HUGE_FILE },
	{ "dir_nlink", 2, EXT4_FEATURE_RO_COMPAT_DIR_NLINK },
	{ "extra_isize", 2, EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE },
	{ "metadata_csum", 2, EXT4_FEATURE_RO_COMPAT_METADATA_CSUM },
};

/* Is the word in "a,b,c"? */
static bool in_list(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = list; (p = strstr(p, word)); p += len)
		if ((p == list || p[-1] == ',') && (p[len] == ',' || p[len] == '\0'))
			return true;
	return false;
}

void pv_image_fs_features_beyond(const struct pv_image *image, const char *list, struct pv_strv *ret)
{
	static const char *const words[] = { "compat", "incompat", "ro_compat" };
	const struct ext2_super_block *super = image->fs->super;
	uint32_t left[3] = { super->s_feature_compat, super->s_feature_incompat, super->s_feature_ro_compat };

	for (size_t i = 0; i < PV_COUNT(features); i++) {
		const struct feature *f = &features[i];
		if ((left[f->word] & f->bit) && !in_list(list, f->name))
			pv_strv_add(ret, f->name);
		left[f->word] &= ~f->bit;
	}
	for (unsigned i = 0; i < 3; i++)
		if (left[i])
			pv_strv_addf(ret, "%s 0x%x", words[i], left[i]);
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

struct listing {
	struct pv_strv *names;
	size_t seen;
};

/* Empty entries are counted too, so that a damaged folder ends. */
static int take_name(struct ext2_dir_entry *entry, int offset, int blocksize, char *buf, void *ctx)
{
	struct listing *listing = ctx;

	(void)offset, (void)blocksize, (void)buf;
	if (++listing->seen > PV_IMAGE_WALK_MAX)
		return DIRENT_ABORT;
	if (entry->inode == 0)
		return 0;
	pv_autofree char *name = pv_xstrndup(entry->name, (size_t)ext2fs_dirent_name_len(entry));
	if (!pv_streq(name, ".") && !pv_streq(name, "..") && *name && !strchr(name, '/'))
		pv_strv_add(listing->names, name);
	return 0;
}

void pv_image_list(const struct pv_image *image, const char *path, struct pv_strv *ret)
{
	struct listing listing = { ret, 0 };
	ext2_ino_t ino;

	if (!find(image, path, true, &ino) || ext2fs_check_directory(image->fs, ino))
		return;
	/* a damaged folder: what was read until there */
	(void)ext2fs_dir_iterate(image->fs, ino, DIRENT_FLAG_INCLUDE_EMPTY, NULL, take_name, &listing);
	pv_strv_sort(ret);
}

struct walk {
	const struct pv_image *image;
	pv_image_walk_fn *fn;
	void *ctx;
	size_t seen;
};

static bool walk_below(struct walk *walk, const char *path, unsigned depth)
{
	pv_autostrv names = PV_STRV_INIT;

	if (depth > PV_IMAGE_WALK_DEPTH)
		return true;
	pv_image_list(walk->image, path, &names);
	for (size_t i = 0; i < names.n; i++) {
		pv_autofree char *full = pv_fmt("%s/%s", pv_streq(path, "/") ? "" : path, names.v[i]);
		struct pv_image_stat st;
		if (++walk->seen > PV_IMAGE_WALK_MAX)
			return false;
		if (!pv_image_stat(walk->image, full, &st))
			continue;
		if (!walk->fn(walk->ctx, full, &st) || (S_ISDIR(st.mode) && !walk_below(walk, full, depth + 1)))
			return false;
	}
	return true;
}

void pv_image_walk(const struct pv_image *image, const char *path, pv_image_walk_fn *fn, void *ctx)
{
	struct walk walk = { image, fn, ctx, 0 };

	(void)walk_below(&walk, path, 0);
}
