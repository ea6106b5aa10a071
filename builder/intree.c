/* SPDX-License-Identifier: Apache-2.0 */
/* Opens and reads paths inside a target's tree without ever leaving it. */
#include "intree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fsutil.h"
#include "text.h"

/* A descriptor, or -1 with errno. */
static int open_in_root(const char *root, const char *path, int flags, uint64_t more_resolve)
{
	pv_autoclose int root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	const struct open_how how = {
		.flags = (uint64_t)(unsigned)flags | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | more_resolve,
	};

	if (root_fd < 0)
		return -1;
	return (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
}

int pv_intree_open(const char *root, const char *path, int flags, int *ret_fd, struct pv_error *err)
{
	int fd = open_in_root(root, path, flags, 0);

	if (fd < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "/%s in the target's tree", path);
	*ret_fd = fd;
	return 0;
}

int pv_intree_read(const char *root, const char *path, size_t max, char **ret, size_t *ret_len, struct pv_error *err)
{
	/* O_NONBLOCK: a fifo under that name must not hold us up. */
	pv_autoclose int fd = -1;
	struct stat st;

	if (pv_intree_open(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, &fd, err) < 0)
		return -1;
	if (fstat(fd, &st) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "/%s in the target's tree", path);
	if (!S_ISREG(st.st_mode) || st.st_size < 0 || (uint64_t)st.st_size > max)
		return pv_error_set(err, PV_ERR_STAGE, "/%s in the target's tree: not a file of at most %zu bytes", path,
				    max);
	size_t len = (size_t)st.st_size;
	pv_autofree char *data = pv_xmalloc(len + 1);
	if (pv_pread_all(fd, data, len, 0) != (ssize_t)len)
		return pv_error_set(err, PV_ERR_STAGE, "/%s in the target's tree: cannot be read whole", path);
	data[len] = '\0';
	*ret = pv_steal(&data);
	*ret_len = len;
	return 0;
}

int pv_intree_write(const char *root, const char *path, const void *data, size_t len, mode_t mode, struct pv_error *err)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	pv_autofree char *parent = slash ? pv_xstrndup(path, (size_t)(slash - path)) : pv_xstrdup(".");
	pv_autoclose int dir = -1, fd = -1;

	if (pv_intree_open(root, parent, O_RDONLY | O_DIRECTORY, &dir, err) < 0)
		return -1;
	/* What has the name goes, be it a link: nothing is written through it. */
	if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "/%s in the target's tree", path);
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || pv_write_all(fd, data, len) < 0 || fchmod(fd, mode) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "/%s in the target's tree", path);
	return 0;
}

bool pv_intree_is_file(const char *root, const char *path)
{
	pv_autoclose int fd = open_in_root(root, path, O_PATH, 0);
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

static void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

int pv_intree_empty(const char *root, const char *path, struct pv_error *err)
{
	int fd = open_in_root(root, path, O_RDONLY | O_DIRECTORY, RESOLVE_NO_SYMLINKS);

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "/%s in the target's tree", path);
	__attribute__((cleanup(closedirp))) DIR *dir = fdopendir(fd);
	if (!dir) {
		int errnum = errno;
		close(fd);
		return pv_error_errno(err, PV_ERR_STAGE, errnum, "/%s in the target's tree", path);
	}
	for (;;) {
		errno = 0;
		const struct dirent *entry = readdir(dir);
		if (!entry)
			break;
		if (pv_streq(entry->d_name, ".") || pv_streq(entry->d_name, ".."))
			continue;
		pv_autofree char *victim = pv_fmt("%s/%s/%s", root, path, entry->d_name);
		if (pv_rmtree(victim, err) < 0)
			return -1;
	}
	if (errno != 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "/%s in the target's tree", path);
	return 0;
}
