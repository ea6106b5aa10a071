/* SPDX-License-Identifier: Apache-2.0 */
/* Lays the entries of a .deb out in a tree without ever leaving it. */
#include "debtree.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "debfile.h"
#include "fsutil.h"
#include "intree.h"
#include "text.h"

#define BLOCK (256u << 10)

struct unpack {
	const char *deb, *root;
	const struct pv_debtree_options *options;
	uint64_t bytes;
	unsigned entries;
	char *block;
};

/* Where an entry goes: a folder of the tree, open, and a name in it. */
struct place {
	const char *path, *name;	/* path: for messages */
	int dir;
};

static int refuse(const struct unpack *u, const char *path, const char *why, struct pv_error *err)
{
	pv_autofree char *shown = pv_printable(path, strnlen(path, 200));

	return pv_error_set(err, PV_ERR_ARCHIVE, "%s: %s %s", u->deb, shown, why);
}

static int fail(const struct unpack *u, const char *path, struct pv_error *err)
{
	int errnum = errno;
	pv_autofree char *shown = pv_printable(path, strnlen(path, 200));

	return pv_error_errno(err, PV_ERR_STAGE, errnum, "%s: %s", u->deb, shown);
}

/* No empty component, no "." and no "..". */
static bool path_ok(const char *path)
{
	if (!*path || strlen(path) >= 4096)
		return false;
	for (const char *p = path; *p; ) {
		size_t len = strcspn(p, "/");
		if (len == 0 || len > 255 || (len == 2 && p[0] == '.' && p[1] == '.') ||
		    (len == 1 && p[0] == '.'))
			return false;
		p += len;
		p += *p == '/' && p[1];
		if (p[0] == '/' && !p[1])
			return true;
	}
	return true;
}

/* Opens the entry's folder. name is in `path`, whose one slash at the end is gone. The caller closes. */
static int find_place(const struct unpack *u, const char *path, struct place *ret, struct pv_error *err)
{
	const char *slash = strrchr(path, '/');
	pv_autofree char *parent = slash ? pv_xstrndup(path, (size_t)(slash - path)) : pv_xstrdup(".");
	pv_autoerror cause = PV_ERROR_INIT;

	ret->path = path;
	ret->name = slash ? slash + 1 : path;
	if (pv_intree_open(u->root, parent, O_PATH | O_DIRECTORY, &ret->dir, &cause) < 0)
		return refuse(u, path, "has no folder to be in", err);
	return 0;
}

static int give_to_root(const struct unpack *u, const struct place *p, struct pv_error *err)
{
	if (!u->options->owned_by_root || fchownat(p->dir, p->name, 0, 0, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	return fail(u, p->path, err);
}

/* What has the name goes, unless it is a folder. */
static int make_way(const struct unpack *u, const struct place *p, struct pv_error *err)
{
	if (unlinkat(p->dir, p->name, 0) == 0 || errno == ENOENT)
		return 0;
	return errno == EISDIR ? refuse(u, p->path, "stands where a folder is", err) : fail(u, p->path, err);
}

/* A folder, or a link to one, that is there already stays: that is how /bin becomes /usr/bin. */
static int put_folder(const struct unpack *u, const struct place *p, mode_t mode, struct pv_error *err)
{
	if (mkdirat(p->dir, p->name, 0700) == 0) {
		if (fchmodat(p->dir, p->name, mode & 0777, 0) < 0)
			return fail(u, p->path, err);
		return give_to_root(u, p, err);
	}
	if (errno != EEXIST)
		return fail(u, p->path, err);
	pv_autoclose int fd = -1;
	pv_autoerror cause = PV_ERROR_INIT;
	if (pv_intree_open(u->root, p->path, O_PATH | O_DIRECTORY, &fd, &cause) < 0)
		return refuse(u, p->path, "is a folder and there is a file", err);
	return 0;
}

static int copy_data(struct unpack *u, struct archive *a, const struct place *p, int fd, struct pv_error *err)
{
	for (;;) {
		la_ssize_t n = archive_read_data(a, u->block, BLOCK);

		if (n < 0)
			return refuse(u, p->path, "cannot be unpacked: the package is damaged", err);
		if (n == 0)
			return 0;
		if ((uint64_t)n > u->options->max_bytes - u->bytes)
			return refuse(u, p->path, "makes it larger than a package may be", err);
		u->bytes += (uint64_t)n;
		if (pv_write_all(fd, u->block, (size_t)n) < 0)
			return fail(u, p->path, err);
	}
}

static int put_file(struct unpack *u, struct archive *a, const struct place *p, mode_t mode, struct pv_error *err)
{
	if (make_way(u, p, err) < 0)
		return -1;
	pv_autoclose int fd = openat(p->dir, p->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail(u, p->path, err);
	if (copy_data(u, a, p, fd, err) < 0)
		return -1;
	if (fchmod(fd, mode & 0777) < 0)
		return fail(u, p->path, err);
	return give_to_root(u, p, err);
}

static int put_symlink(const struct unpack *u, const struct place *p, const char *target, struct pv_error *err)
{
	if (!*target)
		return refuse(u, p->path, "is a link to nothing", err);
	if (make_way(u, p, err) < 0)
		return -1;
	if (symlinkat(target, p->dir, p->name) < 0)
		return fail(u, p->path, err);
	return give_to_root(u, p, err);
}

static int put_hard_link(const struct unpack *u, const struct place *p, const char *target, struct pv_error *err)
{
	struct place old = { .dir = -1 };
	struct stat st;

	target = pv_deb_plain_name(target);
	if (!path_ok(target))
		return refuse(u, p->path, "is a link to a name that no file has", err);
	if (find_place(u, target, &old, err) < 0)
		return -1;
	pv_autoclose int old_dir = old.dir;
	if (fstatat(old_dir, old.name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return refuse(u, p->path, "is a link to what is no file", err);
	if (make_way(u, p, err) < 0)
		return -1;
	if (linkat(old_dir, old.name, p->dir, p->name, 0) < 0)
		return fail(u, p->path, err);
	return 0;
}

static int put(struct unpack *u, struct archive *a, struct archive_entry *entry, const struct place *p,
	       struct pv_error *err)
{
	const char *hard = archive_entry_hardlink(entry), *soft = archive_entry_symlink(entry);

	if (hard)
		return put_hard_link(u, p, hard, err);
	switch (archive_entry_filetype(entry)) {
	case AE_IFDIR:
		return put_folder(u, p, archive_entry_perm(entry), err);
	case AE_IFREG:
		return put_file(u, a, p, archive_entry_perm(entry), err);
	case AE_IFLNK:
		return put_symlink(u, p, soft ? soft : "", err);
	default:
		return refuse(u, p->path, "is no file, folder or link", err);
	}
}

static int take_entry(void *ctx, struct archive *a, struct archive_entry *entry, struct pv_error *err)
{
	struct unpack *u = ctx;
	const char *given = archive_entry_pathname(entry);
	pv_autofree char *path = pv_xstrdup(pv_deb_plain_name(given ? given : ""));
	size_t len = strlen(path);
	struct place p = { .dir = -1 };

	if (u->entries++ == PV_DEBTREE_ENTRIES_MAX)
		return refuse(u, path, "is a file too many", err);
	/* The root itself: "./". */
	if (given && *given && (len == 0 || pv_streq(path, ".")) && archive_entry_filetype(entry) == AE_IFDIR)
		return 0;
	if (!path_ok(path))
		return refuse(u, given ? given : "", "is no path of a package", err);
	if (len > 1 && path[len - 1] == '/')
		path[len - 1] = '\0';
	if (archive_entry_filetype(entry) != AE_IFDIR && u->options->wanted && !u->options->wanted(path))
		return 0;
	if (find_place(u, path, &p, err) < 0)
		return -1;
	pv_autoclose int dir = p.dir;
	return put(u, a, entry, &p, err);
}

int pv_debtree_unpack(const char *deb_path, const char *root, const struct pv_debtree_options *options,
		      struct pv_error *err)
{
	pv_autofree char *block = pv_xmalloc(BLOCK);
	struct unpack u = { .deb = deb_path, .root = root, .options = options, .block = block };

	return pv_deb_each_entry(deb_path, take_entry, &u, err);
}

int pv_debtree_begin(const char *root, const struct pv_debtree_options *options, struct pv_error *err)
{
	static const char *const folders[] = { "usr", "usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "dev", "proc", "sys",
					       "run", "tmp" };
	static const char *const merged[] = { "bin", "sbin", "lib", "lib64" };
	const struct unpack u = { .deb = root, .root = root, .options = options };

	for (size_t i = 0; i < PV_COUNT(folders) + PV_COUNT(merged); i++) {
		bool is_folder = i < PV_COUNT(folders);
		const char *path = is_folder ? folders[i] : merged[i - PV_COUNT(folders)];
		pv_autofree char *target = pv_fmt("usr/%s", path);
		struct place p = { .dir = -1 };
		if (find_place(&u, path, &p, err) < 0)
			return -1;
		pv_autoclose int dir = p.dir;
		if ((is_folder ? put_folder(&u, &p, 0755, err) : put_symlink(&u, &p, target, err)) < 0)
			return -1;
	}
	return 0;
}
