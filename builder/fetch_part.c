/* SPDX-License-Identifier: Apache-2.0 */
/* Part files: where a download that is not whole yet lies, shared with other pvimg by a lock. */
#include "fetch_transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fsutil.h"
#include "proc.h"
#include "url.h"

#define BLOCK (256u << 10)

char *pv_transfer_name(const struct pv_transfer *t)
{
	pv_autofree char *site = pv_url_redacted(t->base_url);

	return t->path ? pv_fmt("%s from %s", t->path, site) : pv_steal(&site);
}

void pv_part_close(struct pv_transfer *t, bool keep)
{
	if (t->fd >= 0 && !keep && ftruncate(t->fd, 0) < 0)
		errno = 0;	/* its digest will not fit then, and it is begun afresh */
	pv_closep(&t->fd);
	pv_digest_freep(&t->digest);
}

/* Is what we have locked still what the name means? The one before us may have moved it into place. */
static bool still_named(int fd, const char *path)
{
	struct stat ours, named;

	return fstat(fd, &ours) == 0 && lstat(path, &named) == 0 && ours.st_dev == named.st_dev &&
	       ours.st_ino == named.st_ino;
}

/* Hashes what the part holds and leaves the offset at its end. */
static int hash_part(struct pv_transfer *t, const char *path, struct pv_error *err)
{
	pv_autofree char *block = pv_xmalloc(BLOCK);

	t->digest = pv_digest_new();
	t->have = 0;
	for (;;) {
		ssize_t n = pv_pread_all(t->fd, block, BLOCK, (off_t)t->have);

		if (n < 0)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot read", path);
		if (n == 0)
			break;
		pv_digest_add(t->digest, block, (size_t)n);
		t->have += (uint64_t)n;
		if (pv_proc_check_interrupt(err) < 0)
			return -1;
	}
	if (lseek(t->fd, (off_t)t->have, SEEK_SET) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot seek", path);
	t->start = t->have;
	return 0;
}

static int open_locked(struct pv_transfer *t, const char *path, bool *ret_busy, struct pv_error *err)
{
	struct stat st;

	*ret_busy = false;
	t->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (t->fd < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot open", path);
	if (flock(t->fd, LOCK_EX | LOCK_NB) < 0) {
		int errnum = errno;

		pv_closep(&t->fd);
		if (errnum != EWOULDBLOCK)
			return pv_error_errno(err, PV_ERR_STAGE, errnum, "%s: cannot lock", path);
		*ret_busy = true;
		return 0;
	}
	if (!still_named(t->fd, path)) {
		pv_closep(&t->fd);
		*ret_busy = true;
		return 0;
	}
	if (fstat(t->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		pv_closep(&t->fd);
		return pv_error_set(err, PV_ERR_STAGE, "%s: not a regular file", path);
	}
	if (((uint64_t)st.st_size > t->size || t->no_range) && ftruncate(t->fd, 0) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot empty", path);
	return 0;
}

int pv_part_open(struct pv_transfer *t, const struct pv_store *store, bool *ret_busy, bool *ret_whole,
		 struct pv_error *err)
{
	pv_autofree char *path = pv_store_part_path(store, t->sha256);

	*ret_busy = false;
	*ret_whole = pv_store_has(store, t->sha256, t->size);
	if (*ret_whole) {
		t->have = t->size;
		return 0;
	}
	if (open_locked(t, path, ret_busy, err) < 0 || (!*ret_busy && hash_part(t, path, err) < 0)) {
		pv_part_close(t, true);
		return -1;
	}
	if (*ret_busy)
		return 0;
	/* Between our first look and our lock, another may have finished. */
	if (pv_store_has(store, t->sha256, t->size)) {
		(void)unlink(path);
		pv_part_close(t, true);
		t->have = t->size;
		*ret_whole = true;
	} else if (t->have == t->size) {
		enum pv_transfer_end end = pv_part_finish(t, store, err);

		if (end == PV_TRANSFER_FAILED)
			return -1;
		*ret_whole = end == PV_TRANSFER_GOOD;
		if (!*ret_whole) {	/* a wrong one is empty now: from the first byte, once */
			pv_error_clear(err);
			return pv_part_open(t, store, ret_busy, ret_whole, err);
		}
	}
	return 0;
}

enum pv_transfer_end pv_part_finish(struct pv_transfer *t, const struct pv_store *store, struct pv_error *err)
{
	pv_autofree char *path = pv_store_part_path(store, t->sha256);
	pv_autofree char *name = NULL;
	char hex[PV_SHA256_HEX];

	pv_digest_hex(t->digest, hex);
	if (pv_streq(hex, t->sha256)) {
		int adopted = pv_store_adopt(store, path, t->sha256, err);

		pv_part_close(t, true);
		return adopted == 0 ? PV_TRANSFER_GOOD : PV_TRANSFER_FAILED;
	}
	name = pv_transfer_name(t);
	(void)pv_error_set(err, PV_ERR_ARCHIVE,
			   "%s: wrong digest: expected SHA-256 %s, got %s; the mirror is damaged or being "
			   "updated: try again later or another --mirror", name, t->sha256, hex);
	/* The bytes of an earlier run may be the wrong ones: those get one more chance. */
	if (t->start > 0 && !t->afresh) {
		t->afresh = true;
		pv_part_close(t, false);
		return PV_TRANSFER_AFRESH;
	}
	(void)unlink(path);
	pv_part_close(t, false);
	return PV_TRANSFER_FAILED;
}
