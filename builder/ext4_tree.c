/* SPDX-License-Identifier: Apache-2.0 */
/* Fills a fresh ext4 from a tree of files: folders in bytewise order, inodes and blocks upwards. */
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "ext4_priv.h"
#include "fsutil.h"
#include "proc.h"
#include "text.h"

#define LINK_MAX_EXT4 65000u
#define FAST_LINK_MAX 59u		/* bytes of a symbolic link kept in the inode */

/* A file with several names. */
struct hard_link {
	dev_t dev;
	ino_t host_ino;
	ext2_ino_t ino;
	uint32_t links;
	bool written;
};

/* One entry of the folder at hand. */
struct child {
	const char *name;
	const struct stat *st;
	struct hard_link *hard;		/* NULL: one name only */
	ext2_ino_t ino;
	bool again;			/* a further name: its inode is somebody else's work */
};

/* What a folder holds while it is written. */
struct folder {
	struct pv_tree_dir list;
	struct child *v;
	size_t n;
	struct stat *node_stats;	/* of nodes the tree does not have */
};

static void folder_done(struct folder *f)
{
	pv_tree_dir_done(&f->list);
	free(f->v);
	free(f->node_stats);
}
#define autofolder __attribute__((cleanup(folder_done))) struct folder

static int compare_hard(const void *a, const void *b)
{
	const struct hard_link *x = a, *y = b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	return (x->host_ino > y->host_ino) - (x->host_ino < y->host_ino);
}

static int compare_children(const void *a, const void *b)
{
	const struct child *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static uint8_t dirent_type(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG: return EXT2_FT_REG_FILE;
	case S_IFDIR: return EXT2_FT_DIR;
	case S_IFLNK: return EXT2_FT_SYMLINK;
	case S_IFCHR: return EXT2_FT_CHRDEV;
	case S_IFBLK: return EXT2_FT_BLKDEV;
	case S_IFIFO: return EXT2_FT_FIFO;
	default: return EXT2_FT_UNKNOWN;
	}
}

static uint32_t time_extra(int64_t t)
{
	return (uint32_t)(((t - (int32_t)t) >> 32) & 3);
}

static void fill_inode(const struct pv_ext4 *w, const struct stat *st, uint32_t links,
		       struct ext2_inode_large *ret)
{
	int64_t epoch = w->options->epoch, mtime = st->st_mtim.tv_sec;

	if (mtime > epoch)
		mtime = epoch;
	if (mtime < 0)
		mtime = 0;
	memset(ret, 0, sizeof(*ret));
	ret->i_mode = (uint16_t)st->st_mode;
	ret->i_uid = (uint16_t)st->st_uid;
	ret->i_uid_high = (uint16_t)(st->st_uid >> 16);
	ret->i_gid = (uint16_t)st->st_gid;
	ret->i_gid_high = (uint16_t)(st->st_gid >> 16);
	ret->i_links_count = (uint16_t)links;
	ret->i_mtime = (uint32_t)mtime;
	ret->i_atime = ret->i_ctime = ret->i_crtime = (uint32_t)epoch;
	ret->i_mtime_extra = time_extra(mtime);
	ret->i_atime_extra = ret->i_ctime_extra = ret->i_crtime_extra = time_extra(epoch);
	ret->i_extra_isize = sizeof(*ret) - EXT2_GOOD_OLD_INODE_SIZE;
}

static int new_inode(struct pv_ext4 *w, bool dir, const char *path, ext2_ino_t *ret, struct pv_error *err)
{
	ext2_ino_t ino;
	errcode_t code = ext2fs_find_first_zero_inode_bitmap2(w->fs->inode_map, w->last_ino + 1,
							      w->fs->super->s_inodes_count, &ino);

	if (code == ENOENT)
		return pv_error_set(err, PV_ERR_STAGE, "%s: the file system has no inode left", path);
	if (code)
		return pv_ext4_fail(err, code, path);
	ext2fs_inode_alloc_stats2(w->fs, ino, +1, dir);
	w->last_ino = ino;
	*ret = ino;
	return 0;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && (a->st_mode & S_IFMT) == (b->st_mode & S_IFMT);
}

static int write_regular(struct pv_ext4 *w, int dir_fd, const struct child *c, struct ext2_inode_large *inode,
			 const char *path, struct pv_error *err)
{
	struct stat st;
	pv_autoclose int fd = openat(dir_fd, c->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", path);
	if (!same_file(&st, c->st) || st.st_size != c->st->st_size)
		return pv_error_set(err, PV_ERR_STAGE, "%s: changed while it was read", path);
	if (pv_ext4_copy(w, fd, &st, path, err) < 0)
		return -1;
	if (ext2fs_inode_size_set(w->fs, (struct ext2_inode *)inode, st.st_size))
		return pv_error_set(err, PV_ERR_STAGE, "%s: too large for ext4", path);
	w->stats.extents += w->runs.n;
	for (size_t i = 0; i < w->runs.n; i++)
		w->stats.data_bytes += (uint64_t)w->runs.v[i].len * PV_EXT4_BLOCK;
	if (pv_ext4_write_mapped(w, c->ino, inode, path, err) < 0 ||
	    pv_ext4_copy_xattrs(w, fd, c->ino, path, err) < 0)
		return -1;
	w->done += ((uint64_t)st.st_size + PV_EXT4_BLOCK - 1) / PV_EXT4_BLOCK * PV_EXT4_BLOCK;
	if (w->progress)
		w->progress(w->progress_ctx, w->done < w->total ? w->done : w->total, w->total);
	return 0;
}

static int write_symlink(struct pv_ext4 *w, int dir_fd, const struct child *c, struct ext2_inode_large *inode,
			 const char *path, struct pv_error *err)
{
	uint8_t target[PV_EXT4_BLOCK] = { 0 };
	ssize_t len = readlinkat(dir_fd, c->name, (char *)target, sizeof(target));

	if (len < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", path);
	if (len == 0 || (size_t)len >= sizeof(target))
		return pv_error_set(err, PV_ERR_STAGE, "%s: a symbolic link ext4 cannot hold", path);
	inode->i_size = (uint32_t)len;
	if (len > FAST_LINK_MAX) {
		if (pv_ext4_put(w, target, 0, 1, err) < 0)
			return -1;
		return pv_ext4_write_mapped(w, c->ino, inode, path, err);
	}
	memcpy(inode->i_block, target, (size_t)len);
	return pv_ext4_write_inode(w, c->ino, inode, path, err);
}

/* As the kernel writes it: the old 16 bits where both numbers fit, else the new form in the second word. */
static void set_device(struct ext2_inode_large *inode, dev_t dev)
{
	unsigned maj = major(dev), min = minor(dev);

	if (maj < 256 && min < 256)
		inode->i_block[0] = maj << 8 | min;
	else
		inode->i_block[1] = (min & 0xff) | maj << 8 | (min & ~0xffu) << 12;
}

/* Everything but folders. */
static int write_child(struct pv_ext4 *w, int dir_fd, const struct child *c, const char *path,
		       struct pv_error *err)
{
	struct ext2_inode_large inode;

	fill_inode(w, c->st, c->hard ? c->hard->links : 1, &inode);
	if (c->hard)
		c->hard->written = true;
	w->stats.inodes++;
	switch (c->st->st_mode & S_IFMT) {
	case S_IFREG:
		return write_regular(w, dir_fd, c, &inode, path, err);
	case S_IFLNK:
		return write_symlink(w, dir_fd, c, &inode, path, err);
	case S_IFCHR:
	case S_IFBLK:
		set_device(&inode, c->st->st_rdev);
		return pv_ext4_write_inode(w, c->ino, &inode, path, err);
	default:
		return pv_ext4_write_inode(w, c->ino, &inode, path, err);
	}
}

/* One more name for a file whose inode may be on disk already. */
static int add_link(struct pv_ext4 *w, struct hard_link *hard, const char *path, struct pv_error *err)
{
	struct ext2_inode_large inode;
	errcode_t code;

	if (++hard->links > LINK_MAX_EXT4)
		return pv_error_set(err, PV_ERR_STAGE, "%s: more than %u hard links", path, LINK_MAX_EXT4);
	if (!hard->written)
		return 0;
	code = ext2fs_read_inode_full(w->fs, hard->ino, (struct ext2_inode *)&inode, sizeof(inode));
	if (code)
		return pv_ext4_fail(err, code, path);
	inode.i_links_count = (uint16_t)hard->links;
	return pv_ext4_write_inode(w, hard->ino, &inode, path, err);
}

static struct hard_link *find_hard(struct pv_ext4 *w, const struct stat *st, bool *ret_new)
{
	struct hard_link *key = pv_xcalloc(1, sizeof(*key)), **found;

	key->dev = st->st_dev;
	key->host_ino = st->st_ino;
	found = tsearch(key, &w->hard_links, compare_hard);
	*ret_new = found && *found == key;
	if (found && *found != key)
		free(key);
	return found ? *found : key;
}

/* Gives the entry an inode number: a new one, or that of the file's first name. */
static int number_child(struct pv_ext4 *w, struct child *c, const char *path, struct pv_error *err)
{
	bool dir = S_ISDIR(c->st->st_mode), fresh = true;

	if (!dir && c->st->st_nlink > 1)
		c->hard = find_hard(w, c->st, &fresh);
	if (c->hard && !fresh) {
		c->again = true;
		c->ino = c->hard->ino;
		return add_link(w, c->hard, path, err);
	}
	if (new_inode(w, dir, path, &c->ino, err) < 0)
		return -1;
	if (c->hard) {
		c->hard->ino = c->ino;
		c->hard->links = 1;
	}
	return 0;
}

/* dir is "" for the root. */
static bool node_is_in(const struct pv_ext4_node *node, const char *dir)
{
	size_t len = strlen(dir);

	if (len && (strncmp(node->path, dir, len) != 0 || node->path[len] != '/'))
		return false;
	return strchr(node->path + (len ? len + 1 : 0), '/') == NULL;
}

/* Lays the extra nodes of this folder over what the tree has. */
static int merge_nodes(struct pv_ext4 *w, struct folder *f, const char *dir, struct pv_error *err)
{
	const struct pv_ext4_options *o = w->options;

	f->node_stats = pv_xcalloc(o->nnodes, sizeof(*f->node_stats));
	for (size_t i = 0; i < o->nnodes; i++) {
		const struct pv_ext4_node *node = &o->nodes[i];
		struct stat *st = &f->node_stats[i];
		struct child *c, key = { .name = node->path + (*dir ? strlen(dir) + 1 : 0) };

		if (!node_is_in(node, dir))
			continue;
		w->nodes_placed++;
		st->st_mode = node->mode;
		st->st_uid = node->uid;
		st->st_gid = node->gid;
		st->st_rdev = makedev(node->major, node->minor);
		st->st_mtim.tv_sec = o->epoch;
		st->st_nlink = 1;
		c = f->n ? bsearch(&key, f->v, f->n, sizeof(*f->v), compare_children) : NULL;
		if (c && S_ISDIR(c->st->st_mode))
			return pv_error_set(err, PV_ERR_STAGE, "%s: a folder where a device belongs", node->path);
		if (!c)
			c = &f->v[f->n++];
		*c = (struct child){ .name = key.name, .st = st };
		qsort(f->v, f->n, sizeof(*f->v), compare_children);
	}
	return 0;
}

/* mke2fs made lost+found; a tree that was an ext4 once has one too. */
static int check_lost_found(int dir_fd, const struct pv_tree_entry *e, struct pv_error *err)
{
	pv_autotreedir list = PV_TREE_DIR_INIT;
	pv_autoclose int fd = -1;

	if (pv_tree_open_dir(dir_fd, e->name, e->name, &fd, err) < 0 ||
	    pv_tree_read_dir(fd, e->name, &list, err) < 0)
		return -1;
	if (list.n)
		return pv_error_set(err, PV_ERR_STAGE, "lost+found: not empty; move or remove what is in it");
	return 0;
}

/* Lists a folder without its sockets. */
static int read_folder(struct pv_ext4 *w, int dir_fd, const char *path, struct folder *f, struct pv_error *err)
{
	if (pv_tree_read_dir(dir_fd, *path ? path : ".", &f->list, err) < 0)
		return -1;
	f->v = pv_xcalloc(f->list.n + w->options->nnodes + 1, sizeof(*f->v));
	for (size_t i = 0; i < f->list.n; i++) {
		const struct pv_tree_entry *e = &f->list.v[i];

		if (S_ISSOCK(e->st.st_mode))
			w->stats.sockets++;
		else if (*path || !pv_streq(e->name, "lost+found"))
			f->v[f->n++] = (struct child){ .name = e->name, .st = &e->st };
		else if (check_lost_found(dir_fd, e, err) < 0)
			return -1;
	}
	return w->options->nnodes ? merge_nodes(w, f, path, err) : 0;
}

static int write_folder_blocks(struct pv_ext4 *w, const struct folder *f, const struct stat *st, ext2_ino_t ino,
			       ext2_ino_t parent, const char *path, struct pv_error *err)
{
	pv_autofree struct pv_ext4_dirent *entries = pv_xcalloc(f->n + 1, sizeof(*entries));
	struct ext2_inode_large inode;
	uint32_t links = 2;
	size_t n = f->n;

	for (size_t i = 0; i < f->n; i++) {
		const struct child *c = &f->v[i];

		entries[i] = (struct pv_ext4_dirent){ .name = c->name, .ino = c->ino,
						      .type = dirent_type(c->st->st_mode) };
		links += S_ISDIR(c->st->st_mode);
	}
	if (ino == EXT2_ROOT_INO) {
		entries[n++] = (struct pv_ext4_dirent){ .name = "lost+found", .ino = w->lost_found,
							.type = EXT2_FT_DIR };
		links++;
	}
	/* dir_nlink: one link says "too many to count" */
	fill_inode(w, st, links >= LINK_MAX_EXT4 ? 1 : links, &inode);
	w->stats.inodes++;
	return pv_ext4_write_dir(w, ino, parent, &inode, entries, n, path, err);
}

static int write_folder(struct pv_ext4 *w, int dir_fd, struct pv_str *path, ext2_ino_t ino, ext2_ino_t parent,
			unsigned depth, struct pv_error *err);

static int write_children(struct pv_ext4 *w, int dir_fd, struct folder *f, struct pv_str *path, ext2_ino_t ino,
			  bool folders, unsigned depth, struct pv_error *err)
{
	size_t base = path->len;
	int rc = 0;

	for (size_t i = 0; i < f->n && rc == 0; i++) {
		const struct child *c = &f->v[i];

		if (c->again || !S_ISDIR(c->st->st_mode) == folders)
			continue;
		if (base)
			pv_str_addc(path, '/');
		pv_str_add(path, c->name);
		if (folders) {
			pv_autoclose int fd = -1;

			rc = pv_tree_open_dir(dir_fd, c->name, path->data, &fd, err);
			if (rc == 0)
				rc = write_folder(w, fd, path, c->ino, ino, depth + 1, err);
		} else {
			rc = write_child(w, dir_fd, c, path->data, err);
		}
		path->len = base;
		path->data[base] = '\0';
	}
	return rc;
}

/* A folder's own blocks come first, then its files, then the folders below it. */
static int write_folder(struct pv_ext4 *w, int dir_fd, struct pv_str *path, ext2_ino_t ino, ext2_ino_t parent,
			unsigned depth, struct pv_error *err)
{
	autofolder f = { .n = 0 };
	const char *name = path->len ? path->data : ".";
	struct stat st;

	if (depth > PV_TREE_MAX_DEPTH)
		return pv_error_set(err, PV_ERR_STAGE, "%s: more than %u folders deep", name, PV_TREE_MAX_DEPTH);
	if (pv_proc_check_interrupt(err) < 0)
		return -1;
	if (fstat(dir_fd, &st) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", name);
	if (read_folder(w, dir_fd, pv_str_text(path), &f, err) < 0)
		return -1;
	for (size_t i = 0; i < f.n; i++)
		if (number_child(w, &f.v[i], f.v[i].name, err) < 0)
			return pv_error_wrap(err, "%s", name);
	if (write_folder_blocks(w, &f, &st, ino, parent, name, err) < 0 ||
	    pv_ext4_copy_xattrs(w, dir_fd, ino, name, err) < 0 ||
	    write_children(w, dir_fd, &f, path, ino, false, depth, err) < 0)
		return -1;
	return write_children(w, dir_fd, &f, path, ino, true, depth, err);
}

/* The folder mke2fs made gives its block back: ours is written anew. */
static int free_old_root(struct pv_ext4 *w, struct pv_error *err)
{
	blk64_t block;
	errcode_t code = ext2fs_bmap2(w->fs, EXT2_ROOT_INO, NULL, NULL, 0, 0, NULL, &block);

	if (code)
		return pv_ext4_fail(err, code, w->image);
	ext2fs_block_alloc_stats2(w->fs, block, -1);
	return 0;
}

int pv_ext4_write_tree(struct pv_ext4 *w, const char *tree, struct pv_error *err)
{
	pv_autostr path = PV_STR_INIT;
	pv_autoclose int fd = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	errcode_t code;

	if (fd < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", tree);
	code = ext2fs_lookup(w->fs, EXT2_ROOT_INO, "lost+found", 10, NULL, &w->lost_found);
	if (code)
		return pv_ext4_fail(err, code, w->image);
	w->last_ino = w->lost_found;
	if (free_old_root(w, err) < 0)
		return -1;
	if (write_folder(w, fd, &path, EXT2_ROOT_INO, EXT2_ROOT_INO, 0, err) < 0)
		return pv_error_wrap(err, "%s", tree);
	if (w->nodes_placed < w->options->nnodes)
		return pv_error_set(err, PV_ERR_STAGE, "%s: the folder of an extra device node is missing (dev?)",
				    tree);
	return pv_ext4_flush(w, err);
}

void pv_ext4_forget_links(struct pv_ext4 *w)
{
	tdestroy(w->hard_links, free);
	w->hard_links = NULL;
}
