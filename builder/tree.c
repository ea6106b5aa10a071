/* SPDX-License-Identifier: Apache-2.0 */
/* Reads trees of files folder by folder with openat, in bytewise order, and counts what they hold. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fsutil.h"
#include "proc.h"
#include "text.h"
#include "tree.h"

#define SPARSE_FROM (64ull << 20)	/* files from here on may count as what they take on the host */

int pv_tree_open_dir(int dir_fd, const char *name, const char *path, int *ret_fd, struct pv_error *err)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", path);
	*ret_fd = fd;
	return 0;
}

static int compare_entries(const void *a, const void *b)
{
	const struct pv_tree_entry *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* All names into one string, each with its NUL. */
static int read_names(DIR *dir, const char *path, struct pv_str *names, size_t *ret_n, struct pv_error *err)
{
	size_t n = 0;

	for (;;) {
		errno = 0;
		const struct dirent *de = readdir(dir);

		if (!de && errno)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", path);
		if (!de)
			break;
		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
			continue;
		pv_str_addn(names, de->d_name, strlen(de->d_name) + 1);
		n++;
	}
	*ret_n = n;
	return 0;
}

int pv_tree_read_dir(int dir_fd, const char *path, struct pv_tree_dir *ret, struct pv_error *err)
{
	pv_autotreedir list = PV_TREE_DIR_INIT;
	pv_autostr names = PV_STR_INIT;
	__attribute__((cleanup(closedirp))) DIR *dir = NULL;
	size_t n = 0;
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", path);
	dir = fdopendir(fd);
	if (!dir) {
		int saved = errno;

		close(fd);
		return pv_error_errno(err, PV_ERR_STAGE, saved, "%s", path);
	}
	if (read_names(dir, path, &names, &n, err) < 0)
		return -1;
	list.names = pv_str_steal(&names);
	list.v = pv_xcalloc(n ? n : 1, sizeof(*list.v));
	list.n = n;
	const char *name = list.names;

	for (size_t i = 0; i < n; i++) {
		list.v[i].name = name;
		name += strlen(name) + 1;
	}
	if (n > 1)
		qsort(list.v, n, sizeof(*list.v), compare_entries);
	for (size_t i = 0; i < n; i++)
		if (fstatat(dir_fd, list.v[i].name, &list.v[i].st, AT_SYMLINK_NOFOLLOW) < 0)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "%s/%s", path, list.v[i].name);
	*ret = list;
	memset(&list, 0, sizeof(list));		/* the caller's now */
	return 0;
}

void pv_tree_dir_done(struct pv_tree_dir *dir)
{
	free(dir->v);
	free(dir->names);
	*dir = (struct pv_tree_dir)PV_TREE_DIR_INIT;
}

/* Paths are relative to the root; the root's own folder is "". */
static int walk_dir(int dir_fd, struct pv_str *path, unsigned depth, pv_tree_walk_fn *fn, void *ctx,
		    struct pv_error *err)
{
	pv_autotreedir list = PV_TREE_DIR_INIT;
	size_t base = path->len;

	if (depth > PV_TREE_MAX_DEPTH)
		return pv_error_set(err, PV_ERR_STAGE, "%s: more than %u folders deep", pv_str_text(path),
				    PV_TREE_MAX_DEPTH);
	if (pv_proc_check_interrupt(err) < 0)
		return -1;
	if (pv_tree_read_dir(dir_fd, base ? path->data : ".", &list, err) < 0)
		return -1;
	for (size_t i = 0; i < list.n; i++) {
		if (base)
			pv_str_addc(path, '/');
		pv_str_add(path, list.v[i].name);
		if (fn(ctx, dir_fd, path->data, &list.v[i], err) < 0)
			return -1;
		if (S_ISDIR(list.v[i].st.st_mode)) {
			pv_autoclose int fd = -1;

			if (pv_tree_open_dir(dir_fd, list.v[i].name, path->data, &fd, err) < 0 ||
			    walk_dir(fd, path, depth + 1, fn, ctx, err) < 0)
				return -1;
		}
		path->len = base;
		path->data[base] = '\0';
	}
	return 0;
}

int pv_tree_walk(const char *root, pv_tree_walk_fn *fn, void *ctx, struct pv_error *err)
{
	pv_autostr path = PV_STR_INIT;
	pv_autoclose int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", root);
	if (walk_dir(fd, &path, 0, fn, ctx, err) < 0)
		return pv_error_wrap(err, "%s", root);
	return 0;
}

struct measure {
	struct pv_tree_stats stats;
	void *seen;		/* tsearch tree of struct seen */
};

struct seen {
	dev_t dev;
	ino_t ino;
};

static int compare_seen(const void *a, const void *b)
{
	const struct seen *x = a, *y = b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	return (x->ino > y->ino) - (x->ino < y->ino);
}

/* True when this very file was met under another name. */
static bool seen_before(struct measure *m, const struct stat *st)
{
	struct seen *key;
	struct seen **found;

	if (st->st_nlink < 2 || S_ISDIR(st->st_mode))
		return false;
	key = pv_xmalloc(sizeof(*key));
	*key = (struct seen){ st->st_dev, st->st_ino };
	found = tsearch(key, &m->seen, compare_seen);
	if (found && *found == key)
		return false;
	free(key);
	return true;
}

static uint64_t round_up(uint64_t n, uint64_t unit)
{
	return (n + unit - 1) / unit * unit;
}

static uint64_t file_bytes(const struct stat *st)
{
	uint64_t size = round_up((uint64_t)st->st_size, PV_TREE_BLOCK);
	uint64_t taken = round_up((uint64_t)st->st_blocks * 512, PV_TREE_BLOCK);

	return size >= SPARSE_FROM && taken < size ? taken : size;
}

static void count_inode(struct pv_tree_stats *s, const struct stat *st)
{
	s->inodes++;
	switch (st->st_mode & S_IFMT) {
	case S_IFREG:
		s->files++;
		s->data_bytes += file_bytes(st);
		break;
	case S_IFDIR:
		s->dirs++;
		s->dir_bytes += PV_TREE_BLOCK;
		break;
	case S_IFLNK:
		s->links++;
		if (st->st_size >= 60)
			s->dir_bytes += PV_TREE_BLOCK;
		break;
	default:
		s->special++;
		break;
	}
}

static int measure_entry(void *ctx, int dir_fd, const char *path, const struct pv_tree_entry *entry,
			 struct pv_error *err)
{
	struct measure *m = ctx;

	(void)dir_fd;
	(void)path;
	(void)err;
	if (S_ISSOCK(entry->st.st_mode)) {
		m->stats.sockets++;
		return 0;
	}
	/* an entry of 8 bytes and its name, in blocks filled to four fifths and an index: twice that is enough */
	m->stats.dir_bytes += 2 * (8 + strlen(entry->name) + 3);
	if (seen_before(m, &entry->st))
		m->stats.hard_links++;
	else
		count_inode(&m->stats, &entry->st);
	return 0;
}

int pv_tree_measure(const char *root, struct pv_tree_stats *ret, struct pv_error *err)
{
	struct measure m = { .stats = { .inodes = 1, .dir_bytes = PV_TREE_BLOCK } };
	int rc = pv_tree_walk(root, measure_entry, &m, err);

	tdestroy(m.seen, free);
	if (rc < 0)
		return -1;
	m.stats.dir_bytes = round_up(m.stats.dir_bytes, PV_TREE_BLOCK);
	*ret = m.stats;
	return 0;
}

uint64_t pv_tree_ext4_need(const struct pv_tree_stats *stats)
{
	const uint64_t mib = 1 << 20;
	uint64_t payload = stats->data_bytes + stats->dir_bytes + 4 * mib;
	uint64_t by_inodes = (stats->inodes + 1000) * 16384;
	/* Besides the payload: an inode table of 1/64, a journal of at most 64 MiB or 1/32, 1 % reserved, copies of
	 * the superblock with room to grow, up to 4 MiB each and about ten of them, extent trees. */
	uint64_t need = payload + payload / 20 + 48 * mib + (payload / 16 < 64 * mib ? payload / 16 : 64 * mib);

	if (need < by_inodes)
		need = by_inodes;
	if (need < 64 * mib)
		need = 64 * mib;	/* what pv_ext4_write takes at least */
	return round_up(need, mib);
}
