/* SPDX-License-Identifier: Apache-2.0 */
/* Tells containers from each other. */
#include "container.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "diskfile.h"
#include "fsutil.h"
#include "proc.h"
#include "qcow2.h"
#include "vhd.h"
#include "zstdraw.h"

#define HEAD_LEN 4096u
#define READ_AHEAD ((size_t)256 << 10)

static const struct {
	const char *word, *what;
} kinds[] = {
	[PV_CONTAINER_RAW] = { "raw", "a raw disk" },
	[PV_CONTAINER_QCOW2] = { "qcow2", "a qcow2 image" },
	[PV_CONTAINER_VHD] = { "vhd", "a VHD" },
	[PV_CONTAINER_VHD_TAR] = { "vhd-tar-gz", "a tar with a VHD in it" },
	[PV_CONTAINER_XVA] = { "xva", "an XVA" },
	[PV_CONTAINER_ZSTD] = { "raw-zst", "packed with zstd" },
	[PV_CONTAINER_OTHER] = { "other", "of a format that pvimg does not read" },
};

const char *pv_container_what(enum pv_container kind)
{
	return kinds[kind].what;
}

const char *pv_container_word(enum pv_container kind)
{
	return kinds[kind].word;
}

/* --- tars --- */

static struct archive *open_tar(int fd)
{
	struct archive *a = archive_read_new();

	if (a && lseek(fd, 0, SEEK_SET) == 0 && archive_read_support_filter_gzip(a) == ARCHIVE_OK &&
	    archive_read_support_filter_zstd(a) == ARCHIVE_OK && archive_read_support_format_tar(a) == ARCHIVE_OK &&
	    archive_read_open_fd(a, fd, READ_AHEAD) == ARCHIVE_OK)
		return a;
	if (a)
		archive_read_free(a);
	return NULL;
}

/* By the first member; PV_CONTAINER_OTHER: a tar of something else, or none. */
static enum pv_container kind_of_tar(int fd)
{
	struct archive *a = open_tar(fd);
	struct archive_entry *e;
	enum pv_container kind = PV_CONTAINER_OTHER;

	if (!a)
		return kind;
	if (archive_read_next_header(a, &e) == ARCHIVE_OK) {
		const char *path = archive_entry_pathname(e);

		if (pv_streq(path, "ova.xml"))
			kind = PV_CONTAINER_XVA;
		else if (path && pv_ends(path, ".vhd"))
			kind = PV_CONTAINER_VHD_TAR;
	}
	archive_read_free(a);
	return kind;
}

static int copy_member(struct archive *a, struct archive_entry *e, const char *name, int out_fd, struct pv_error *err)
{
	const void *data;
	size_t len;
	la_int64_t at;
	int rc;

	if (archive_entry_filetype(e) != AE_IFREG || archive_entry_size(e) < 0 ||
	    (uint64_t)archive_entry_size(e) > PV_VHD_MAX + (UINT64_C(16) << 30))
		return pv_error_set(err, PV_ERR_STAGE, "%s: the VHD in it has no possible size", name);
	while ((rc = archive_read_data_block(a, &data, &len, &at)) == ARCHIVE_OK) {
		if (pv_proc_check_interrupt(err) < 0)
			return -1;
		if (at < 0 || pv_pwrite_all(out_fd, data, len, at) < 0)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot be unpacked", name);
	}
	if (rc != ARCHIVE_EOF)
		return pv_error_set(err, PV_ERR_STAGE, "%s: damaged or cut off: %s", name, archive_error_string(a));
	if (ftruncate(out_fd, archive_entry_size(e)) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot be unpacked", name);
	return 0;
}

int pv_container_vhd_of_tar(int fd, const char *name, int out_fd, struct pv_error *err)
{
	struct archive *a = open_tar(fd);
	struct archive_entry *e, *second;
	int rc = -1;

	if (!a)
		return pv_error_set(err, PV_ERR_STAGE, "%s: no tar", name);
	if (archive_read_next_header(a, &e) != ARCHIVE_OK)
		(void)pv_error_set(err, PV_ERR_STAGE, "%s: damaged or cut off: %s", name, archive_error_string(a));
	else
		rc = copy_member(a, e, name, out_fd, err);
	if (rc == 0) {
		/* 1.vhd would be the parent: the disk is in both then */
		int more = archive_read_next_header(a, &second);

		if (more == ARCHIVE_OK)
			rc = pv_error_set(err, PV_ERR_STAGE, "%s: has more than one member; only a single VHD is read",
					  name);
		else if (more != ARCHIVE_EOF)
			rc = pv_error_set(err, PV_ERR_STAGE, "%s: damaged or cut off: %s", name,
					  archive_error_string(a));
	}
	archive_read_free(a);
	return rc;
}

int pv_container_tmp(const char *dir, int *ret_fd, struct pv_error *err)
{
	int fd = open(dir, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);

	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
		pv_autofree char *path = pv_path_join(dir, ".pvimg.XXXXXX");

		fd = mkostemp(path, O_CLOEXEC);
		if (fd >= 0)
			unlink(path);
	}
	if (fd < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot write there", dir);
	*ret_fd = fd;
	return 0;
}

/* --- all --- */

static bool has(const uint8_t *head, size_t len, size_t at, const char *magic, size_t n)
{
	return at + n <= len && memcmp(head + at, magic, n) == 0;
}

int pv_container_detect(int fd, uint64_t file_size, const char *name, enum pv_container *ret, struct pv_error *err)
{
	uint8_t head[HEAD_LEN], tail[8];
	ssize_t n = pv_pread_all(fd, head, sizeof(head), 0);
	uint64_t back = file_size % PV_VHD_SECTOR == PV_VHD_SECTOR - 1 ? PV_VHD_SECTOR - 1 : PV_VHD_SECTOR;

	if (n < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot read", name);
	size_t len = (size_t)n;
	bool zstd = len >= 4 && pv_le32(head) == PV_ZSTDRAW_MAGIC;
	if (pv_qcow2_magic(head, len)) {
		*ret = PV_CONTAINER_QCOW2;
	} else if (has(head, len, 0, "conectix", 8)) {
		*ret = PV_CONTAINER_VHD;
	} else if (zstd || has(head, len, 0, "\x1f\x8b", 2) || has(head, len, 257, "ustar", 5)) {
		*ret = kind_of_tar(fd);
		if (*ret == PV_CONTAINER_OTHER && zstd)
			*ret = PV_CONTAINER_ZSTD;
	} else if (pv_diskfile_foreign(head, len)) {
		*ret = PV_CONTAINER_OTHER;
	} else {
		n = file_size > back ? pv_pread_all(fd, tail, sizeof(tail), (off_t)(file_size - back)) : 0;
		if (n < 0)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot read", name);
		*ret = has(tail, (size_t)n, 0, "conectix", 8) ? PV_CONTAINER_VHD : PV_CONTAINER_RAW;
	}
	return 0;
}
