/* SPDX-License-Identifier: Apache-2.0 */
/* Lays a snapshot over trees. */
#include "snapshot.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "fsutil.h"
#include "intree.h"
#include "proc.h"
#include "snapshot_priv.h"
#include "text.h"

#define BLOCK (1u << 20)

/* A folder's own time comes last: what is put into it changes it. */
struct later {
	char *path;			/* in the part */
	size_t part;
	struct timespec mtime;
};

struct reader {
	const char *path;		/* of the snapshot */
	const struct pv_snapshot_part *parts;
	size_t n;
	int root[PV_SNAPSHOT_PARTS_MAX];
	struct archive *archive;
	/* the folder at hand, which mostly serves the next entry too */
	char *dir;			/* in its part; NULL: none */
	size_t dir_part;
	int dir_fd;
	struct later *later;
	size_t nlater, cap;
};

/* Where an entry goes. */
struct place {
	size_t part;
	const char *in_part;		/* "usr/bin/env"; "" is the part itself */
	const char *name;
	int dir;			/* the reader's */
};
#define NOWHERE { 0, "", "", -1 }

static int fail(const struct reader *r, const char *path, int errnum, struct pv_error *err)
{
	pv_autofree char *shown = pv_printable(path, strnlen(path, 300));

	return pv_error_errno(err, PV_ERR_STAGE, errnum, "%s: %s", r->path, shown);
}

static int refuse(const struct reader *r, const char *path, const char *why, struct pv_error *err)
{
	pv_autofree char *shown = pv_printable(path ? path : "?", path ? strnlen(path, 300) : 1);

	return pv_error_set(err, PV_ERR_STAGE, "%s: %s %s", r->path, shown, why);
}

/* Below the part, no link followed. */
static int open_dir(int root, const char *path, int *ret)
{
	struct open_how how = { .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };

	*ret = (int)syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof(how));
	return *ret < 0 ? -1 : 0;
}

static bool path_ok(const char *path)
{
	size_t len = strlen(path);

	if (len == 0 || len >= 4096)
		return false;
	for (const char *p = path; ; ) {
		size_t n = strcspn(p, "/");
		if (n == 0 || n > 255 || (p[0] == '.' && (n == 1 || (n == 2 && p[1] == '.'))))
			return false;
		if (!p[n])
			return true;
		p += n + 1;
	}
}

/* Takes "part/dir/name" apart and opens its folder. `path` has no slash at its end. */
static int find_place(struct reader *r, const char *path, struct place *ret, struct pv_error *err)
{
	size_t len = strcspn(path, "/");

	if (!path_ok(path))
		return refuse(r, path, "is no name in a tree", err);
	for (ret->part = 0; ret->part < r->n; ret->part++)
		if (strlen(r->parts[ret->part].name) == len && strncmp(r->parts[ret->part].name, path, len) == 0)
			break;
	if (ret->part == r->n)
		return refuse(r, path, "is in none of the trees", err);
	ret->in_part = path[len] ? path + len + 1 : "";
	const char *slash = strrchr(ret->in_part, '/');
	ret->name = slash ? slash + 1 : ret->in_part;
	pv_autofree char *dir = slash ? pv_xstrndup(ret->in_part, (size_t)(slash - ret->in_part)) : pv_xstrdup("");
	if (!r->dir || r->dir_part != ret->part || !pv_streq(r->dir, dir)) {
		pv_closep(&r->dir_fd);
		pv_freep(&r->dir);
		if (open_dir(r->root[ret->part], dir, &r->dir_fd) < 0)
			return fail(r, path, errno, err);
		r->dir = pv_steal(&dir);
		r->dir_part = ret->part;
	}
	ret->dir = r->dir_fd;
	return 0;
}

/* What has this name goes, a folder with all that is in it; not there is fine. */
static int clear(const struct reader *r, const struct place *at, struct pv_error *err)
{
	if (unlinkat(at->dir, at->name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return fail(r, at->in_part, errno, err);
	if (pv_intree_empty(r->parts[at->part].path, at->in_part, err) < 0)
		return -1;
	return unlinkat(at->dir, at->name, AT_REMOVEDIR) < 0 ? fail(r, at->in_part, errno, err) : 0;
}

/* Those that a new file got from its folder's default ACL, and those of a folder that has them no more. */
static int drop_xattrs(const struct reader *r, int fd, const char *path, struct pv_error *err)
{
	char list[PV_SNAPSHOT_XATTRS_MAX];
	ssize_t len = flistxattr(fd, list, sizeof(list));

	if (len < 0)
		return errno == ENOTSUP || errno == ENOSYS ? 0 : fail(r, path, errno, err);
	for (ssize_t at = 0; at < len; at += (ssize_t)strlen(list + at) + 1)
		if (pv_snapshot_has_xattr(list + at) && fremovexattr(fd, list + at) < 0 && errno != ENODATA)
			return fail(r, path, errno, err);
	return 0;
}

static int set_xattrs(const struct reader *r, struct archive_entry *e, int fd, const char *path, struct pv_error *err)
{
	const char *name;
	const void *value;
	size_t len;

	archive_entry_xattr_reset(e);
	while (archive_entry_xattr_next(e, &name, &value, &len) == ARCHIVE_OK)
		if (fsetxattr(fd, name, value, len, 0) < 0)
			return fail(r, path, errno, err);
	return 0;
}

/* Of a folder that was there before. */
static int clear_xattrs(const struct reader *r, int fd, const char *path, struct pv_error *err)
{
	char list[PV_SNAPSHOT_XATTRS_MAX];
	ssize_t len = flistxattr(fd, list, sizeof(list));

	if (len < 0)
		return errno == ENOTSUP || errno == ENOSYS ? 0 : fail(r, path, errno, err);
	for (ssize_t at = 0; at < len; at += (ssize_t)strlen(list + at) + 1)
		if (pv_snapshot_has_xattr(list + at) && fremovexattr(fd, list + at) < 0)
			return fail(r, path, errno, err);
	return 0;
}

static struct timespec mtime_of(struct archive_entry *e)
{
	return (struct timespec){ .tv_sec = archive_entry_mtime(e), .tv_nsec = archive_entry_mtime_nsec(e) };
}

/* Owner first: a change of owner takes setuid and capabilities away. */
static int set_meta(const struct reader *r, struct archive_entry *e, int fd, const char *path, struct pv_error *err)
{
	if (drop_xattrs(r, fd, path, err) < 0)
		return -1;
	if (fchown(fd, (uid_t)archive_entry_uid(e), (gid_t)archive_entry_gid(e)) < 0 ||
	    fchmod(fd, archive_entry_perm(e)) < 0)
		return fail(r, path, errno, err);
	return set_xattrs(r, e, fd, path, err);
}

static int write_data(struct reader *r, int fd, const char *path, struct pv_error *err)
{
	const void *data;
	size_t len;
	la_int64_t at;
	int rc;

	while ((rc = archive_read_data_block(r->archive, &data, &len, &at)) == ARCHIVE_OK) {
		if (pv_proc_check_interrupt(err) < 0)
			return -1;
		if (pv_pwrite_all(fd, data, len, at) < 0)
			return fail(r, path, errno, err);
	}
	return rc == ARCHIVE_EOF ? 0 : refuse(r, path, "cannot be read", err);
}

static int make_file(struct reader *r, struct archive_entry *e, const struct place *at, struct pv_error *err)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_NOW }, mtime_of(e) };

	if (clear(r, at, err) < 0)
		return -1;
	pv_autoclose int fd = openat(at->dir, at->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail(r, at->in_part, errno, err);
	if (write_data(r, fd, at->in_part, err) < 0 || set_meta(r, e, fd, at->in_part, err) < 0)
		return -1;
	return futimens(fd, times) < 0 ? fail(r, at->in_part, errno, err) : 0;
}

static int make_folder(struct reader *r, struct archive_entry *e, const struct place *at, struct pv_error *err)
{
	pv_autoclose int fd = -1;

	if (*at->in_part && mkdirat(at->dir, at->name, 0700) < 0 && errno != EEXIST)
		return fail(r, at->in_part, errno, err);
	if (open_dir(r->root[at->part], at->in_part, &fd) < 0)
		return fail(r, at->in_part, errno, err);
	if (r->nlater == r->cap) {
		r->cap = r->cap ? r->cap * 2 : 1024;
		r->later = pv_xreallocarray(r->later, r->cap, sizeof(*r->later));
	}
	r->later[r->nlater++] = (struct later){ pv_xstrdup(at->in_part), at->part, mtime_of(e) };
	if (clear_xattrs(r, fd, at->in_part, err) < 0)
		return -1;
	return set_meta(r, e, fd, at->in_part, err);
}

/* Links and fifos: by name, since they cannot be opened. */
static int make_other(struct reader *r, struct archive_entry *e, const struct place *at, struct pv_error *err)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_NOW }, mtime_of(e) };
	bool link = archive_entry_filetype(e) == AE_IFLNK;
	const char *target = archive_entry_symlink(e);

	if (link && !target)
		return refuse(r, at->in_part, "is a link to nothing", err);
	if (clear(r, at, err) < 0)
		return -1;
	if ((link ? symlinkat(target, at->dir, at->name) : mkfifoat(at->dir, at->name, 0600)) < 0 ||
	    fchownat(at->dir, at->name, (uid_t)archive_entry_uid(e), (gid_t)archive_entry_gid(e), AT_SYMLINK_NOFOLLOW) < 0 ||
	    (!link && fchmodat(at->dir, at->name, archive_entry_perm(e), 0) < 0) ||
	    utimensat(at->dir, at->name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(r, at->in_part, errno, err);
	return 0;
}

static int make_hard_link(struct reader *r, const char *path, const char *first, struct pv_error *err)
{
	struct place from = NOWHERE, to = NOWHERE;

	if (find_place(r, first, &from, err) < 0)
		return -1;
	pv_autoclose int dir = dup(from.dir);	/* the next call may take another folder */
	if (dir < 0)
		return fail(r, first, errno, err);
	if (find_place(r, path, &to, err) < 0 || clear(r, &to, err) < 0)
		return -1;
	return linkat(dir, from.name, to.dir, to.name, 0) < 0 ? fail(r, path, errno, err) : 0;
}

static int take_entry(struct reader *r, struct archive_entry *e, struct pv_error *err)
{
	const char *raw = archive_entry_pathname(e), *first = archive_entry_hardlink(e);
	pv_autofree char *path = pv_xstrdup(raw ? raw : "");
	struct place at = NOWHERE;

	for (size_t len = strlen(path); len > 1 && path[len - 1] == '/'; )	/* folders have one */
		path[--len] = '\0';
	if (first)
		return make_hard_link(r, path, first, err);
	if (find_place(r, path, &at, err) < 0)
		return -1;
	if (!*at.in_part && archive_entry_filetype(e) != AE_IFDIR)
		return refuse(r, path, "is no folder", err);
	if (pv_starts(at.name, PV_SNAPSHOT_GONE)) {
		at.name += strlen(PV_SNAPSHOT_GONE);
		pv_autofree char *in_part = *r->dir ? pv_path_join(r->dir, at.name) : pv_xstrdup(at.name);
		at.in_part = in_part;
		return path_ok(at.name) ? clear(r, &at, err) : refuse(r, path, "is no name in a tree", err);
	}
	switch (archive_entry_filetype(e)) {
	case AE_IFREG: return make_file(r, e, &at, err);
	case AE_IFDIR: return make_folder(r, e, &at, err);
	case AE_IFLNK:
	case AE_IFIFO: return make_other(r, e, &at, err);
	default: return refuse(r, path, "is of a kind that no snapshot has", err);
	}
}

static int set_later(struct reader *r, struct pv_error *err)
{
	for (size_t i = r->nlater; i-- > 0; ) {
		const struct later *l = &r->later[i];
		const struct timespec times[2] = { { .tv_nsec = UTIME_NOW }, l->mtime };
		pv_autoclose int fd = -1;
		if (open_dir(r->root[l->part], l->path, &fd) < 0 || futimens(fd, times) < 0)
			return fail(r, l->path, errno, err);
	}
	return 0;
}

static int read_all(struct reader *r, struct pv_error *err)
{
	struct archive_entry *e;
	int rc;

	if (archive_read_support_format_tar(r->archive) != ARCHIVE_OK ||
	    archive_read_open_filename(r->archive, r->path, BLOCK) != ARCHIVE_OK)
		return refuse(r, archive_error_string(r->archive), "", err);
	while ((rc = archive_read_next_header(r->archive, &e)) == ARCHIVE_OK)
		if (take_entry(r, e, err) < 0)
			return -1;
	if (rc != ARCHIVE_EOF)
		return refuse(r, archive_error_string(r->archive), "", err);
	return set_later(r, err);
}

int pv_snapshot_apply(const char *path, const struct pv_snapshot_part *parts, size_t n, struct pv_error *err)
{
	struct reader r = { .path = path, .parts = parts, .n = n, .dir_fd = -1 };
	int rc = n <= PV_SNAPSHOT_PARTS_MAX ? 0 : pv_error_set(err, PV_ERR_STAGE, "%s: too many trees", path);

	for (size_t i = 0; i < PV_SNAPSHOT_PARTS_MAX; i++)
		r.root[i] = -1;
	for (size_t i = 0; rc == 0 && i < n; i++) {
		r.root[i] = open(parts[i].path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (r.root[i] < 0)
			rc = pv_error_errno(err, PV_ERR_STAGE, errno, "%s", parts[i].path);
	}
	r.archive = archive_read_new();
	if (rc == 0)
		rc = r.archive ? read_all(&r, err) : pv_error_set(err, PV_ERR_STAGE, "%s: no memory", path);
	archive_read_free(r.archive);
	pv_closep(&r.dir_fd);
	pv_freep(&r.dir);
	for (size_t i = 0; i < r.nlater; i++)
		free(r.later[i].path);
	free(r.later);
	for (size_t i = 0; i < PV_SNAPSHOT_PARTS_MAX; i++)
		pv_closep(&r.root[i]);
	return rc;
}
