/* SPDX-License-Identifier: Apache-2.0 */
/* Whole-file reads and writes, folders, removal of trees, locks. */
#include "fsutil.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "proc.h"

void pv_closep(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

int pv_steal_fd(int *fd)
{
	int own = *fd;

	*fd = -1;
	return own;
}

void pv_fclosep(FILE **f)
{
	int saved = errno;

	if (*f)
		fclose(*f);
	*f = NULL;
	errno = saved;
}

static void closedirp(DIR **dir)
{
	int saved = errno;

	if (*dir)
		closedir(*dir);
	*dir = NULL;
	errno = saved;
}

/* --- reading and writing --- */

/* Reads fd to its end, at most max bytes and one to notice more. */
static int read_fd(int fd, const char *path, size_t max, size_t hint, struct pv_str *text, struct pv_error *err)
{
	/* Files of /proc and /sys say 0 and give all they have to the first read only. */
	size_t cap = hint >= 4096 && hint < max ? hint + 1 : 4096;
	pv_autofree char *buf = pv_xmalloc(cap);

	for (;;) {
		ssize_t n = read(fd, buf, cap);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot read", path);
		if (n == 0)
			return 0;
		if ((size_t)n > max - text->len)
			return pv_error_set(err, PV_ERR_STAGE, "%s: larger than %zu bytes", path, max);
		pv_str_addn(text, buf, (size_t)n);
	}
}

int pv_read_file(const char *path, size_t max, char **ret, size_t *ret_len, struct pv_error *err)
{
	/* O_NONBLOCK: a FIFO in place of the file must not hold us. */
	pv_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	pv_autostr text = PV_STR_INIT;
	struct stat st;

	if (fd < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot open", path);
	if (fstat(fd, &st) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot stat", path);
	if (!S_ISREG(st.st_mode))
		return pv_error_set(err, PV_ERR_STAGE, "%s: not a regular file", path);
	if (st.st_size > 0 && (uint64_t)st.st_size > max)
		return pv_error_set(err, PV_ERR_STAGE, "%s: larger than %zu bytes", path, max);
	/* st_size is 0 in /proc. */
	if (read_fd(fd, path, max, (size_t)st.st_size, &text, err) < 0)
		return -1;
	if (!ret_len && memchr(pv_str_text(&text), '\0', text.len))
		return pv_error_set(err, PV_ERR_STAGE, "%s: holds a NUL byte, is no text file", path);
	if (ret_len)
		*ret_len = text.len;
	*ret = pv_str_steal(&text);
	return 0;
}

int pv_write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int pv_pwrite_all(int fd, const void *data, size_t len, off_t offset)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = pwrite(fd, p, len, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		p += n;
		offset += n;
		len -= (size_t)n;
	}
	return 0;
}

ssize_t pv_pread_all(int fd, void *data, size_t len, off_t offset)
{
	char *p = data;
	size_t got = 0;

	while (got < len) {
		ssize_t n = pread(fd, p + got, len - got, offset + (off_t)got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

/* Fills the open temporary file. Always closes *fd. */
static int fill_temporary(int *fd, const void *data, size_t len, mode_t mode)
{
	int own = pv_steal_fd(fd);

	if (pv_write_all(own, data, len) < 0 || fchmod(own, mode) < 0 || fsync(own) < 0) {
		pv_closep(&own);
		return -1;
	}
	return close(own);
}

int pv_write_file(const char *path, const void *data, size_t len, mode_t mode, struct pv_error *err)
{
	const char *base = strrchr(path, '/');
	int dir_len = base ? (int)(base + 1 - path) : 0;
	pv_autofree char *tmp = NULL;
	pv_autoclose int fd = -1;

	base = base ? base + 1 : path;
	if (*base == '\0')
		return pv_error_set(err, PV_ERR_STAGE, "%s: no file name", path);
	/* A long name must leave room for ours: the temporary name need not contain it. */
	tmp = pv_fmt("%.*s.%.64s.XXXXXX", dir_len, path, base);
	fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot create", path);
	if (fill_temporary(&fd, data, len, mode) < 0) {
		pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot write", path);
		unlink(tmp);
		return -1;
	}
	if (rename(tmp, path) < 0) {
		pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot rename into place", path);
		unlink(tmp);
		return -1;
	}
	return 0;
}

/* --- folders --- */

int pv_mkdirs(const char *path, mode_t mode, struct pv_error *err)
{
	pv_autofree char *part = pv_xstrdup(path);
	struct stat st;

	if (*path == '\0')
		return pv_error_set(err, PV_ERR_STAGE, "cannot create a folder without a name");
	for (char *p = part + 1;; p++) {
		char was = *p;

		if (was != '/' && was != '\0')
			continue;
		*p = '\0';
		if (mkdir(part, mode) < 0 && errno != EEXIST) {
			int cause = errno;

			/* EROFS, EACCES and the like come first even where the folder is there. */
			if (stat(part, &st) < 0 || !S_ISDIR(st.st_mode))
				return pv_error_errno(err, PV_ERR_STAGE, cause, "%s: cannot create", part);
		}
		if (was == '\0')
			break;
		*p = '/';
	}
	if (stat(path, &st) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot create", path);
	if (!S_ISDIR(st.st_mode))
		return pv_error_set(err, PV_ERR_STAGE, "%s: exists and is no folder", path);
	return 0;
}

#define RM_DEPTH 48		/* deeper folders are moved up: no recursion or descriptor runs out */

struct rm {
	const char *path;	/* what the caller named, for messages */
	int top;		/* the folder that is being removed */
	unsigned moved;		/* folders moved up to top so far */
	struct pv_error *err;
	bool failed;
};

static int rm_fail(struct rm *rm, int errnum, const char *name)
{
	if (!rm->failed)
		pv_error_errno(rm->err, PV_ERR_STAGE, errnum, "%s: cannot remove '%s'", rm->path, name);
	rm->failed = true;
	return -1;
}

/* A folder beside the links: no symbolic link, no other mount. */
static int open_below(int dir, const char *name)
{
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS,
	};
	struct stat here, there;
	int fd = (int)syscall(SYS_openat2, dir, name, &how, sizeof(how));

	if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
		return fd;
	/* Kernels before 5.6 and old container filters: a bind mount of the same file system is not seen. */
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (fstat(dir, &here) < 0 || fstat(fd, &there) < 0 || here.st_dev != there.st_dev) {
		pv_closep(&fd);
		errno = EXDEV;
	}
	return fd;
}

static int rm_folder(struct rm *rm, int fd, unsigned depth);

/* Moves a folder that lies too deep to the top, where the walk finds it again. 1: moved. */
static int rm_move_up(struct rm *rm, int dir, const char *name)
{
	char up[32];

	for (;;) {
		snprintf(up, sizeof(up), ".pvimg-rm.%u", rm->moved++);
		if (renameat2(dir, name, rm->top, up, RENAME_NOREPLACE) == 0)
			return 1;
		if (errno != EEXIST)
			return 0;
	}
}

static int rm_subfolder(struct rm *rm, int dir, const char *name, unsigned depth)
{
	pv_autoclose int fd = open_below(dir, name);

	if (fd < 0 && errno == EACCES && fchmodat(dir, name, 0700, AT_SYMLINK_NOFOLLOW) == 0)
		fd = open_below(dir, name);
	if (fd < 0)
		return rm_fail(rm, errno, name);
	if (depth >= RM_DEPTH) {
		fchmod(fd, 0700);
		if (rm_move_up(rm, dir, name))
			return 0;
	}
	if (rm_folder(rm, pv_steal_fd(&fd), depth + 1) < 0)
		return -1;
	if (unlinkat(dir, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return rm_fail(rm, errno, name);
	return 0;
}

static int rm_entry(struct rm *rm, int dir, const char *name, unsigned depth)
{
	struct stat st;
	int rc;

	rc = unlinkat(dir, name, 0);
	if (rc < 0 && (errno == EACCES || errno == EPERM) && fchmod(dir, 0700) == 0)
		rc = unlinkat(dir, name, 0);
	if (rc == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return rm_fail(rm, errno, name);
	rc = errno;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
		return rm_fail(rm, rc, name);
	return rm_subfolder(rm, dir, name, depth);
}

int pv_list_dir(const char *path, struct pv_strv *ret, struct pv_error *err)
{
	__attribute__((cleanup(closedirp))) DIR *dir = opendir(path);
	const struct dirent *de;

	if (!dir)
		return errno == ENOENT ? 0 : pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot read", path);
	while ((de = readdir(dir)))
		if (!pv_streq(de->d_name, ".") && !pv_streq(de->d_name, ".."))
			pv_strv_add(ret, de->d_name);
	pv_strv_sort(ret);
	return 0;
}

/* Empties the folder; takes fd over. */
static int rm_folder(struct rm *rm, int fd, unsigned depth)
{
	__attribute__((cleanup(closedirp))) DIR *dir = fdopendir(fd);
	int rc = 0;

	if (!dir) {
		rc = rm_fail(rm, errno, ".");
		pv_closep(&fd);
		return rc;
	}
	for (;;) {
		struct dirent *de;

		errno = 0;
		de = readdir(dir);
		if (!de)
			return errno ? rm_fail(rm, errno, ".") : rc;
		if (pv_streq(de->d_name, ".") || pv_streq(de->d_name, ".."))
			continue;
		if (rm_entry(rm, dirfd(dir), de->d_name, depth) < 0)
			rc = -1;
	}
}

/* Empties the folder at rm->top; again while deep folders were moved up to it. */
static int rm_top(struct rm *rm)
{
	unsigned before;

	do {
		int fd = openat(rm->top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		before = rm->moved;
		if (fd < 0)
			return rm_fail(rm, errno, ".");
		if (rm_folder(rm, fd, 0) < 0)
			return -1;
	} while (rm->moved != before);
	return 0;
}

int pv_rmtree(const char *path, struct pv_error *err)
{
	struct rm rm = { .path = path, .top = -1, .err = err };
	int rc;

	if (unlink(path) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot remove", path);
	rm.top = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (rm.top < 0 && errno == EACCES && fchmodat(AT_FDCWD, path, 0700, AT_SYMLINK_NOFOLLOW) == 0)
		rm.top = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (rm.top < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot remove", path);
	rc = rm_top(&rm);
	pv_closep(&rm.top);
	if (rc < 0)
		return -1;
	if (rmdir(path) < 0 && errno != ENOENT)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot remove", path);
	return 0;
}

/* --- locks, space, paths --- */

/* The file that was locked is still the one at path (its last holder may have removed it). */
static bool same_file(int fd, const char *path)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int pv_lock(const char *path, bool wait, int *ret_fd, struct pv_error *err)
{
	const struct timespec pause = { .tv_nsec = 50 * 1000 * 1000 };

	for (;;) {
		pv_autoclose int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);

		if (fd < 0)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot open the lock", path);
		/* Short naps in place of a blocking flock: a signal just before the call must not be lost. */
		while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
			if (errno == EINTR)
				continue;
			if (errno != EWOULDBLOCK)
				return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot lock", path);
			if (!wait) {
				*ret_fd = -1;
				return 0;
			}
			if (pv_proc_check_interrupt(err) < 0)
				return -1;
			nanosleep(&pause, NULL);
		}
		if (same_file(fd, path)) {
			*ret_fd = pv_steal_fd(&fd);
			return 0;
		}
	}
}

int pv_free_space(const char *path, uint64_t *ret_bytes, struct pv_error *err)
{
	pv_autofree char *part = pv_xstrdup(path);
	struct statvfs vfs;

	while (statvfs(part, &vfs) < 0) {
		char *slash = strrchr(part, '/');

		if (errno == EINTR)
			continue;
		if (errno != ENOENT || pv_streq(part, ".") || pv_streq(part, "/"))
			return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot ask for free space", path);
		if (slash) {
			slash[slash == part] = '\0';
		} else {
			free(part);
			part = pv_xstrdup(".");
		}
	}
	*ret_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	return 0;
}

char *pv_path_join(const char *dir, const char *name)
{
	size_t len = strlen(dir);

	while (len > 0 && dir[len - 1] == '/')
		len--;
	while (*name == '/')
		name++;
	if (*dir == '\0')
		return pv_xstrdup(name);
	return pv_fmt("%.*s/%s", (int)len, dir, name);
}

char *pv_path_dir(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return pv_xstrdup(".");
	return pv_xstrndup(path, slash == path ? 1 : (size_t)(slash - path));
}

char *pv_cache_dir(void)
{
	const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

	/* The XDG base directory specification: a relative path is to be ignored. */
	if (xdg && *xdg == '/')
		return pv_path_join(xdg, "pvimg");
	if (home && *home == '/')
		return pv_path_join(home, ".cache/pvimg");
	return NULL;
}

bool pv_exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}
