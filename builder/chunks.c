/* SPDX-License-Identifier: Apache-2.0 */
/* Digests of a disk by chunks. */
#include "chunks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fsutil.h"
#include "proc.h"

static void hash(const void *data, size_t len, uint8_t ret[PV_SHA256_LEN])
{
	pv_autodigest *d = pv_digest_new();

	pv_digest_add(d, data, len);
	pv_digest_raw(d, ret);
}

static size_t chunk_len(const struct pv_chunks *c, size_t i)
{
	uint64_t left = c->size - (uint64_t)i * PV_CHUNK;

	return left < PV_CHUNK ? (size_t)left : PV_CHUNK;
}

static int hash_chunk(struct pv_chunks *c, size_t i, int fd, const char *path, uint8_t *buffer, struct pv_error *err)
{
	size_t len = chunk_len(c, i);
	ssize_t got = pv_pread_all(fd, buffer, len, (off_t)((uint64_t)i * PV_CHUNK));

	if (got < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", path);
	if ((size_t)got < len)
		return pv_error_set(err, PV_ERR_STAGE, "%s: became shorter while it was read", path);
	hash(buffer, len, c->v[i]);
	return 0;
}

/* Where data begins at or after `at`; the file's end when there is none. A file system that knows no holes has only data. */
static uint64_t next_data(int fd, uint64_t at, uint64_t size)
{
	off_t data = lseek(fd, (off_t)at, SEEK_DATA);

	if (data < 0)
		return errno == ENXIO ? size : at;
	return (uint64_t)data;
}

static int hash_all(struct pv_chunks *c, int fd, const char *path, struct pv_error *err)
{
	pv_autofree uint8_t *buffer = pv_xcalloc(1, PV_CHUNK);
	uint8_t zeros[PV_SHA256_LEN];
	uint64_t data = 0;

	hash(buffer, PV_CHUNK, zeros);
	for (size_t i = 0; i < c->n; i++) {
		uint64_t begin = (uint64_t)i * PV_CHUNK, end = begin + chunk_len(c, i);
		if (pv_proc_check_interrupt(err) < 0)
			return -1;
		if (data < begin || i == 0)
			data = next_data(fd, begin, c->size);
		if (data >= end && end - begin == PV_CHUNK)
			memcpy(c->v[i], zeros, sizeof(zeros));
		else if (hash_chunk(c, i, fd, path, buffer, err) < 0)
			return -1;
	}
	return 0;
}

int pv_chunks_file(const char *path, struct pv_chunks *ret, struct pv_error *err)
{
	pv_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	pv_autochunks c = { 0 };
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", path);
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size / PV_CHUNK >= PV_CHUNKS_MAX)
		return pv_error_set(err, PV_ERR_STAGE, "%s: no regular file, or too large", path);
	c.size = (uint64_t)st.st_size;
	c.n = (size_t)((c.size + PV_CHUNK - 1) / PV_CHUNK);
	c.v = pv_xcalloc(c.n + 1, sizeof(*c.v));
	if (hash_all(&c, fd, path, err) < 0)
		return -1;
	*ret = c;
	c.v = NULL;
	return 0;
}

int pv_chunks_again(struct pv_chunks *chunks, int fd, const char *path, uint64_t offset, uint64_t len,
		    struct pv_error *err)
{
	pv_autofree uint8_t *buffer = pv_xmalloc(PV_CHUNK);

	if (len == 0 || offset >= chunks->size || len > chunks->size - offset)
		return pv_error_set(err, PV_ERR_STAGE, "%s: nothing of it is there", path);
	for (uint64_t i = offset / PV_CHUNK; i <= (offset + len - 1) / PV_CHUNK; i++)
		if (hash_chunk(chunks, (size_t)i, fd, path, buffer, err) < 0)
			return -1;
	return 0;
}

void pv_chunks_digest(const struct pv_chunks *chunks, char ret[PV_SHA256_HEX])
{
	pv_digest_mem(chunks->v, chunks->n * sizeof(*chunks->v), ret);
}

void pv_chunks_done(struct pv_chunks *chunks)
{
	free(chunks->v);
	chunks->v = NULL;
	chunks->n = 0;
}
