/* SPDX-License-Identifier: Apache-2.0 */
/* Output without a name (O_TMPFILE), or with a hidden one, until it is whole. */
#include "outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fsutil.h"
#include "text.h"

/* DIR/.NAME.SUFFIX; a long name must leave room for the suffix */
static char *hidden_name(const char *path, const char *suffix)
{
	const char *slash = strrchr(path, '/');
	int dir = slash ? (int)(slash - path) + 1 : 0;

	return pv_fmt("%.*s.%.64s.%s", dir, path, path + dir, suffix);
}

int pv_outfile_open(const char *path, struct pv_outfile *ret, struct pv_error *err)
{
	pv_autofree char *dir = pv_path_dir(path), *hidden = NULL;
	int fd = open(dir, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);

	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
		hidden = hidden_name(path, "XXXXXX");
		fd = mkostemp(hidden, O_CLOEXEC);
	}
	if (fd < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot write", path);
	*ret = (struct pv_outfile){ .path = pv_xstrdup(path), .hidden = pv_steal(&hidden), .fd = fd };
	return 0;
}

/* A file without a name gets a hidden one first: link() does not replace. */
static int give_name(struct pv_outfile *out)
{
	pv_autofree char *self = pv_fmt("/proc/self/fd/%d", out->fd);

	for (unsigned i = 0; i < 100; i++) {
		pv_autofree char *suffix = pv_fmt("%ld-%u", (long)getpid(), i);
		pv_autofree char *name = hidden_name(out->path, suffix);

		if (linkat(AT_FDCWD, self, AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0) {
			out->hidden = pv_steal(&name);
			return 0;
		}
		if (errno != EEXIST)
			return -1;
	}
	return -1;
}

int pv_outfile_commit(struct pv_outfile *out, struct pv_error *err)
{
	if (fchmod(out->fd, 0644) < 0 || (!out->hidden && give_name(out) < 0))
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot write", out->path);
	/* a full disk may be told as late as here */
	if (close(pv_steal_fd(&out->fd)) < 0 || rename(out->hidden, out->path) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot write", out->path);
	pv_freep(&out->hidden);
	return 0;
}

void pv_outfile_done(struct pv_outfile *out)
{
	if (out->hidden)
		unlink(out->hidden);
	pv_freep(&out->hidden);
	pv_freep(&out->path);
	pv_closep(&out->fd);
}
