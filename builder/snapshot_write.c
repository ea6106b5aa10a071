/* SPDX-License-Identifier: Apache-2.0 */
/* Writes trees, or what has changed in them, as a tar file. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "fsutil.h"
#include "proc.h"
#include "snapshot_priv.h"
#include "text.h"
#include "tree.h"

#define BLOCK (1u << 20)
#define XATTR_MAX 65536			/* the kernel's XATTR_LIST_MAX and XATTR_SIZE_MAX */

/* The first name of a file that has several. */
struct first {
	ino_t ino;
	dev_t dev;
	char *path;
};

struct writer {
	const char *path;		/* of the snapshot */
	int fd;
	struct archive *archive;
	struct archive_entry *entry;
	struct pv_digest *digest;
	uint64_t size;
	char *block;
	void *firsts;			/* tsearch tree */
	const struct pv_snapshot_list *since;
	const char *part;
};

static int fail(const struct writer *w, struct pv_error *err)
{
	int errnum = archive_errno(w->archive);
	const char *text = archive_error_string(w->archive);

	if (errnum == ENOSPC || errnum == EDQUOT)
		return pv_error_errno(err, PV_ERR_STAGE, errnum, "%s", w->path);
	return pv_error_set(err, PV_ERR_STAGE, "%s: %s", w->path, text ? text : "cannot be written");
}

static la_ssize_t take_bytes(struct archive *a, void *ctx, const void *data, size_t len)
{
	struct writer *w = ctx;

	if (pv_write_all(w->fd, data, len) < 0) {
		archive_set_error(a, errno, "%s", strerror(errno));
		return -1;
	}
	pv_digest_add(w->digest, data, len);
	w->size += len;
	return (la_ssize_t)len;
}

static int compare_firsts(const void *a, const void *b)
{
	const struct first *x = a, *y = b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	return (x->ino > y->ino) - (x->ino < y->ino);
}

static void free_first(void *p)
{
	struct first *first = p;

	free(first->path);
	free(first);
}

/* The name under which this very file is in the snapshot already, or NULL; then it goes by `path` from now on. */
static const char *first_name(struct writer *w, const struct stat *st, const char *path)
{
	struct first *key, **found;

	if (S_ISDIR(st->st_mode) || st->st_nlink < 2)
		return NULL;
	key = pv_xcalloc(1, sizeof(*key));
	key->ino = st->st_ino;
	key->dev = st->st_dev;
	found = tsearch(key, &w->firsts, compare_firsts);
	if (found && *found != key) {
		free(key);
		return (*found)->path;
	}
	key->path = pv_xstrdup(path);
	return NULL;
}

bool pv_snapshot_has_xattr(const char *name)
{
	return pv_streq(name, "security.capability") || pv_starts(name, "system.posix_acl_") || pv_starts(name, "user.");
}

static int add_xattrs(struct writer *w, int fd, const char *path, struct pv_error *err)
{
	char list[PV_SNAPSHOT_XATTRS_MAX];
	ssize_t len = flistxattr(fd, list, sizeof(list));

	if (len < 0 && (errno == ENOTSUP || errno == ENOSYS))
		return 0;
	if (len < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: xattrs", path);
	for (ssize_t at = 0; at < len; at += (ssize_t)strlen(list + at) + 1) {
		if (!pv_snapshot_has_xattr(list + at))
			continue;
		pv_autofree char *value = pv_xmalloc(XATTR_MAX);
		ssize_t got = fgetxattr(fd, list + at, value, XATTR_MAX);
		if (got < 0)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: xattr %s", path, list + at);
		archive_entry_xattr_add_entry(w->entry, list + at, value, (size_t)got);
	}
	return 0;
}

static int write_data(struct writer *w, int fd, uint64_t size, const char *path, struct pv_error *err)
{
	for (uint64_t at = 0; at < size; ) {
		size_t want = size - at < BLOCK ? (size_t)(size - at) : BLOCK;
		ssize_t got = pv_pread_all(fd, w->block, want, (off_t)at);

		if (pv_proc_check_interrupt(err) < 0)
			return -1;
		if (got < 0)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", path);
		if ((size_t)got < want)
			return pv_error_set(err, PV_ERR_STAGE, "%s: changed while it was read", path);
		if (archive_write_data(w->archive, w->block, want) != (la_ssize_t)want)
			return fail(w, err);
		at += want;
	}
	return 0;
}

static int write_symlink(struct writer *w, int dir_fd, const char *name, const char *path, struct pv_error *err)
{
	char target[4096];
	ssize_t len = readlinkat(dir_fd, name, target, sizeof(target) - 1);

	if (len < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", path);
	target[len] = '\0';
	archive_entry_set_symlink(w->entry, target);
	return archive_write_header(w->archive, w->entry) == ARCHIVE_OK ? 0 : fail(w, err);
}

static int write_entry(struct writer *w, int dir_fd, const char *name, const char *path, const struct stat *st,
		       struct pv_error *err)
{
	const char *first = first_name(w, st, path);

	archive_entry_clear(w->entry);
	archive_entry_set_pathname(w->entry, path);
	archive_entry_set_mode(w->entry, st->st_mode);
	archive_entry_set_uid(w->entry, st->st_uid);
	archive_entry_set_gid(w->entry, st->st_gid);
	archive_entry_set_mtime(w->entry, st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
	archive_entry_set_size(w->entry, S_ISREG(st->st_mode) && !first ? st->st_size : 0);
	if (first) {
		archive_entry_set_hardlink(w->entry, first);
		return archive_write_header(w->archive, w->entry) == ARCHIVE_OK ? 0 : fail(w, err);
	}
	if (S_ISLNK(st->st_mode))
		return write_symlink(w, dir_fd, name, path, err);
	if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode))
		return archive_write_header(w->archive, w->entry) == ARCHIVE_OK ? 0 : fail(w, err);
	pv_autoclose int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", path);
	if (add_xattrs(w, fd, path, err) < 0)
		return -1;
	if (archive_write_header(w->archive, w->entry) != ARCHIVE_OK)
		return fail(w, err);
	return S_ISREG(st->st_mode) ? write_data(w, fd, (uint64_t)st->st_size, path, err) : 0;
}

static bool unchanged(const struct writer *w, const char *path, const struct stat *st)
{
	const struct pv_snapshot_item *was = w->since ? pv_snapshot_find(w->since, path) : NULL;

	return was && was->ino == st->st_ino && was->mode == st->st_mode && was->ctime.tv_sec == st->st_ctim.tv_sec &&
	       was->ctime.tv_nsec == st->st_ctim.tv_nsec;
}

static int visit(void *ctx, int dir_fd, const char *path, const struct pv_tree_entry *entry, struct pv_error *err)
{
	struct writer *w = ctx;
	pv_autofree char *full = pv_fmt("%s/%s", w->part, path);

	if (S_ISSOCK(entry->st.st_mode) || unchanged(w, full, &entry->st))
		return 0;
	if (S_ISBLK(entry->st.st_mode) || S_ISCHR(entry->st.st_mode))
		return pv_error_set(err, PV_ERR_STAGE, "%s: a device node, which no snapshot can hold", full);
	if (pv_starts(entry->name, PV_SNAPSHOT_GONE))
		return pv_error_set(err, PV_ERR_STAGE, "%s: a name that no snapshot can hold", full);
	return write_entry(w, dir_fd, entry->name, full, &entry->st, err);
}

static int write_part(struct writer *w, const struct pv_snapshot_part *part, struct pv_error *err)
{
	struct stat st;

	if (stat(part->path, &st) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", part->path);
	w->part = part->name;
	if (write_entry(w, AT_FDCWD, part->path, part->name, &st, err) < 0)
		return -1;
	return pv_tree_walk(part->path, visit, w, err);
}

/* --- what is gone --- */

static int write_gone(struct writer *w, const char *path, struct pv_error *err)
{
	const char *slash = strrchr(path, '/');
	pv_autofree char *name = pv_fmt("%.*s" PV_SNAPSHOT_GONE "%s", (int)(slash + 1 - path), path, slash + 1);
	const struct stat st = { .st_mode = S_IFREG | 0644, .st_nlink = 1 };

	archive_entry_clear(w->entry);
	archive_entry_set_pathname(w->entry, name);
	archive_entry_set_mode(w->entry, st.st_mode);
	archive_entry_set_size(w->entry, 0);
	return archive_write_header(w->archive, w->entry) == ARCHIVE_OK ? 0 : fail(w, err);
}

/* A folder that is gone speaks for all that was in it, where that stands right behind it. */
static int write_all_gone(struct writer *w, const struct pv_snapshot_part *parts, size_t n, struct pv_error *err)
{
	pv_autofree char *below = NULL;

	for (size_t i = 0; i < w->since->n; i++) {
		const struct pv_snapshot_item *item = &w->since->v[i];
		const char *slash = strchr(item->path, '/');
		struct stat st;

		if (below && pv_starts(item->path, below))
			continue;
		for (size_t k = 0; k < n; k++) {
			if (strlen(parts[k].name) != (size_t)(slash - item->path) ||
			    strncmp(parts[k].name, item->path, strlen(parts[k].name)) != 0)
				continue;
			pv_autofree char *path = pv_path_join(parts[k].path, slash + 1);
			if (lstat(path, &st) == 0 && (st.st_mode & S_IFMT) == (item->mode & S_IFMT))
				break;
			if (write_gone(w, item->path, err) < 0)
				return -1;
			free(below);
			below = pv_fmt("%s/", item->path);
			break;
		}
	}
	return 0;
}

static int write_all(struct writer *w, const struct pv_snapshot_part *parts, size_t n, struct pv_error *err)
{
	if (archive_write_set_format_pax(w->archive) != ARCHIVE_OK ||
	    archive_write_set_options(w->archive, "hdrcharset=BINARY") != ARCHIVE_OK ||
	    archive_write_set_bytes_per_block(w->archive, BLOCK) != ARCHIVE_OK ||
	    archive_write_set_bytes_in_last_block(w->archive, 1) != ARCHIVE_OK ||
	    archive_write_open(w->archive, w, NULL, take_bytes, NULL) != ARCHIVE_OK)
		return fail(w, err);
	if (w->since && write_all_gone(w, parts, n, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (write_part(w, &parts[i], err) < 0)
			return -1;
	return archive_write_close(w->archive) == ARCHIVE_OK ? 0 : fail(w, err);
}

int pv_snapshot_write(const char *path, const struct pv_snapshot_part *parts, size_t n, const struct pv_snapshot_list *since,
		      char ret_hex[PV_SHA256_HEX], uint64_t *ret_size, struct pv_error *err)
{
	pv_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	pv_autodigest *digest = pv_digest_new();
	pv_autofree char *block = pv_xmalloc(BLOCK);
	struct writer w = { .path = path, .fd = fd, .digest = digest, .block = block, .since = since };

	if (fd < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", path);
	w.archive = archive_write_new();
	w.entry = archive_entry_new();
	int rc = w.archive && w.entry ? write_all(&w, parts, n, err) :
					pv_error_set(err, PV_ERR_STAGE, "%s: no memory", path);
	archive_entry_free(w.entry);
	archive_write_free(w.archive);
	tdestroy(w.firsts, free_first);
	if (rc == 0 && close(pv_steal_fd(&fd)) < 0)
		rc = pv_error_errno(err, PV_ERR_STAGE, errno, "%s", path);
	if (rc < 0) {
		(void)unlink(path);
		return -1;
	}
	pv_digest_hex(digest, ret_hex);
	*ret_size = w.size;
	return 0;
}
