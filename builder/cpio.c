/* SPDX-License-Identifier: Apache-2.0 */
/* Writes newc cpio archives by libarchive, with everything fixed that could differ from run to run. */
#include "cpio.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fsutil.h"
#include "proc.h"
#include "text.h"

#define BLOCK (256u << 10)
#define FILE_MAX UINT32_MAX		/* newc has eight hexadecimal digits for a size */

struct pv_cpio {
	char *path, *last;		/* last: the newest entry's name */
	struct archive *a;
	int fd;
	int64_t mtime, ino;
	char *block;
};

static int fail(const struct pv_cpio *c, struct pv_error *err)
{
	const char *text = archive_error_string(c->a);

	return pv_error_set(err, PV_ERR_STAGE, "%s: %s", c->path, text ? text : "cannot be written");
}

static int refuse(const struct pv_cpio *c, const char *name, const char *why, struct pv_error *err)
{
	pv_autofree char *shown = pv_printable(name, strnlen(name, 200));

	return pv_error_set(err, PV_ERR_STAGE, "%s: %s: %s", c->path, shown, why);
}

/* gzip's header would hold the time of day. */
static int set_packing(struct archive *a, enum pv_cpio_packing packing)
{
	switch (packing) {
	case PV_CPIO_GZIP:
		if (archive_write_add_filter_gzip(a) != ARCHIVE_OK ||
		    archive_write_set_filter_option(a, "gzip", "compression-level", "6") != ARCHIVE_OK)
			return -1;
		return archive_write_set_filter_option(a, "gzip", "timestamp", NULL) == ARCHIVE_OK ? 0 : -1;
	case PV_CPIO_ZSTD:
		if (archive_write_add_filter_zstd(a) != ARCHIVE_OK)
			return -1;
		return archive_write_set_filter_option(a, "zstd", "compression-level", "3") == ARCHIVE_OK ? 0 : -1;
	case PV_CPIO_PLAIN:
		break;
	}
	return 0;
}

int pv_cpio_new(const char *path, enum pv_cpio_packing packing, int64_t mtime, struct pv_cpio **ret,
		struct pv_error *err)
{
	pv_autocpio *c = pv_xcalloc(1, sizeof(*c));

	c->path = pv_xstrdup(path);
	c->mtime = mtime;
	c->block = pv_xmalloc(BLOCK);
	c->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (c->fd < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", path);
	c->a = archive_write_new();
	if (!c->a || archive_write_set_format_cpio_newc(c->a) != ARCHIVE_OK || set_packing(c->a, packing) < 0)
		return pv_error_set(err, PV_ERR_HOST, "libarchive cannot write cpio, gzip or zstd");
	if (archive_write_open_fd(c->a, c->fd) != ARCHIVE_OK)
		return fail(c, err);
	*ret = pv_steal(&c);
	return 0;
}

static bool name_ok(const char *name)
{
	if (!*name || strlen(name) >= 4096)
		return false;
	for (const char *p = name; ; p++) {
		size_t len = strcspn(p, "/");
		if (len == 0 || (len == 1 && p[0] == '.') || (len == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		p += len;
		if (!*p)
			return true;
	}
}

/* Writes an entry's header. type: AE_IF*; target: of a link. */
static int put_header(struct pv_cpio *c, const char *name, unsigned type, mode_t mode, uint64_t size, const char *target,
		      struct pv_error *err)
{
	if (pv_proc_check_interrupt(err) < 0)
		return -1;
	if (!name_ok(name))
		return refuse(c, name, "no name of an entry", err);
	if (c->last && strcmp(c->last, name) >= 0)
		return refuse(c, name, "out of order, or there already", err);
	if (size > FILE_MAX)
		return refuse(c, name, "too large", err);
	free(c->last);
	c->last = pv_xstrdup(name);
	struct archive_entry *entry = archive_entry_new();
	archive_entry_set_pathname(entry, name);
	archive_entry_set_filetype(entry, type);
	archive_entry_set_perm(entry, mode & 0777);
	archive_entry_set_size(entry, (la_int64_t)size);
	archive_entry_set_mtime(entry, c->mtime, 0);
	archive_entry_set_ino64(entry, ++c->ino);
	archive_entry_set_nlink(entry, type == AE_IFDIR ? 2 : 1);
	if (target)
		archive_entry_set_symlink(entry, target);
	int rc = archive_write_header(c->a, entry);
	archive_entry_free(entry);
	return rc == ARCHIVE_OK ? 0 : fail(c, err);
}

int pv_cpio_dir(struct pv_cpio *c, const char *name, mode_t mode, struct pv_error *err)
{
	return put_header(c, name, AE_IFDIR, mode, 0, NULL, err);
}

int pv_cpio_link(struct pv_cpio *c, const char *name, const char *target, struct pv_error *err)
{
	return put_header(c, name, AE_IFLNK, 0777, 0, target, err);
}

static int put_data(struct pv_cpio *c, const void *data, size_t len, struct pv_error *err)
{
	return archive_write_data(c->a, data, len) == (la_ssize_t)len ? 0 : fail(c, err);
}

int pv_cpio_data(struct pv_cpio *c, const char *name, mode_t mode, const void *data, size_t len, struct pv_error *err)
{
	if (put_header(c, name, AE_IFREG, mode, len, NULL, err) < 0)
		return -1;
	return len > 0 ? put_data(c, data, len, err) : 0;
}

int pv_cpio_file(struct pv_cpio *c, const char *name, mode_t mode, int fd, struct pv_error *err)
{
	off_t at = lseek(fd, 0, SEEK_CUR);
	struct stat st;

	if (at < 0 || fstat(fd, &st) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: %s", c->path, name);
	if (!S_ISREG(st.st_mode) || st.st_size < at)
		return refuse(c, name, "no regular file", err);
	uint64_t left = (uint64_t)(st.st_size - at);
	if (put_header(c, name, AE_IFREG, mode, left, NULL, err) < 0)
		return -1;
	while (left > 0) {
		size_t want = left < BLOCK ? (size_t)left : BLOCK;
		ssize_t n = pv_pread_all(fd, c->block, want, at);
		if (n < 0)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: %s", c->path, name);
		if ((size_t)n != want)
			return refuse(c, name, "became shorter meanwhile", err);
		if (put_data(c, c->block, want, err) < 0)
			return -1;
		at += n;
		left -= want;
	}
	return 0;
}

int pv_cpio_end(struct pv_cpio *c, struct pv_error *err)
{
	if (archive_write_close(c->a) != ARCHIVE_OK)
		return fail(c, err);
	if (close(pv_steal_fd(&c->fd)) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", c->path);
	return 0;
}

void pv_cpio_free(struct pv_cpio *c)
{
	if (!c)
		return;
	if (c->a)
		archive_write_free(c->a);
	pv_closep(&c->fd);
	free(c->path);
	free(c->last);
	free(c->block);
	free(c);
}

void pv_cpio_freep(struct pv_cpio **c)
{
	pv_cpio_free(*c);
	*c = NULL;
}
