/* SPDX-License-Identifier: Apache-2.0 */
/* Measures an XVA, and makes it in a thread for who reads the other end of a pipe. */
#include "xva_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fsutil.h"

#define SECTOR 512u
#define PIPE_BYTES (1 << 20)

/* What both readings do: the digest of the disk. */
struct hash {
	struct pv_digest *digest;
	uint8_t *zeros;				/* PV_BLOCK_LEN of them */
};

static void hash_begin(struct hash *h)
{
	h->digest = pv_digest_new();
	h->zeros = pv_xcalloc(1, PV_BLOCK_LEN);
}

static void hash_done(struct hash *h)
{
	pv_digest_free(h->digest);
	free(h->zeros);
}

static int hash_write(void *ctx, const struct pv_block *b, const void *slot, struct pv_error *err)
{
	const struct hash *h = ctx;

	(void)slot;
	(void)err;
	pv_digest_add(h->digest, b->zero ? h->zeros : b->data, b->len);
	return 0;
}

/* --- the length --- */

struct count {
	uint64_t chunks, last;
};

static int count_write(void *ctx, const struct pv_block *b, const void *slot, struct pv_error *err)
{
	struct count *c = ctx;

	(void)slot;
	(void)err;
	for (size_t at = 0; at < b->len; at += PV_XVA_CHUNK) {
		uint64_t n = (b->offset + at) / PV_XVA_CHUNK;

		c->chunks += n == 0 || n == c->last || !pv_block_is_zero(b, at, PV_XVA_CHUNK);
	}
	return 0;
}

/* A member's header and contents, in whole sectors. */
static uint64_t member_size(uint64_t contents)
{
	return SECTOR + (contents + SECTOR - 1) / SECTOR * SECTOR;
}

int pv_xva_measure(const struct pv_xva_source *src, struct pv_xva_measure *ret, struct pv_error *err)
{
	uint64_t size = src->machine->disk_size;
	pv_autofree char *ova = pv_xva_ova(src->machine);
	struct count count = { 0, size / PV_XVA_CHUNK - 1 };
	struct hash hash;

	hash_begin(&hash);
	const struct pv_block_sink sinks[] = { { NULL, hash_write, &hash }, { NULL, count_write, &count } };
	const struct pv_blocks_request req = { .fd = src->fd,
					       .size = size,
					       .name = src->name,
					       .sinks = sinks,
					       .nsinks = PV_COUNT(sinks),
					       .progress = src->progress,
					       .progress_ctx = src->progress_ctx };
	int rc = pv_blocks_run(&req, err);
	if (rc == 0) {
		pv_digest_hex(hash.digest, ret->sha256);
		/* ova.xml; each chunk and its sum; two empty sectors */
		ret->size = member_size(strlen(ova)) +
			    count.chunks * (member_size(PV_XVA_CHUNK) + member_size(1)) + 2 * (uint64_t)SECTOR;
	}
	hash_done(&hash);
	return rc;
}

/* --- the bytes --- */

struct pv_xva_stream {
	const struct pv_xva_source *src;
	int in, out;				/* of the pipe: read, write */
	pthread_t thread;
	struct hash hash;
	struct pv_xva_writer *writer;
	int rc;
	struct pv_error err;
};

static void *run(void *arg)
{
	struct pv_xva_stream *s = arg;
	struct pv_block_sink sinks[] = { { pv_xva_step(false), pv_xva_write, NULL }, { NULL, hash_write, &s->hash } };
	const struct pv_blocks_request req = { .fd = s->src->fd,
					       .size = s->src->machine->disk_size,
					       .name = s->src->name,
					       .sinks = sinks,
					       .nsinks = PV_COUNT(sinks) };

	/* made here, not in begin: its first bytes wait for who reads */
	s->rc = pv_xva_writer_new(s->src->machine, false, s->out, s->src->name, &s->writer, &s->err);
	sinks[0].ctx = s->writer;
	if (s->rc == 0)
		s->rc = pv_blocks_run(&req, &s->err);
	if (s->rc == 0)
		s->rc = pv_xva_finish(s->writer, &s->err);
	pv_xva_writer_free(s->writer);
	pv_closep(&s->out);
	return NULL;
}

static void free_stream(struct pv_xva_stream *s)
{
	hash_done(&s->hash);
	pv_closep(&s->in);
	pv_closep(&s->out);
	pv_error_clear(&s->err);
	free(s);
}

int pv_xva_stream_begin(const struct pv_xva_source *src, struct pv_xva_stream **ret, struct pv_error *err)
{
	struct pv_xva_stream *s = pv_xcalloc(1, sizeof(*s));
	int ends[2], number;

	if (pipe2(ends, O_CLOEXEC) < 0) {
		number = errno;
		free(s);
		return pv_error_errno(err, PV_ERR_STAGE, number, "no pipe");
	}
	(void)fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES);		/* smaller will do */
	s->src = src;
	s->in = ends[0];
	s->out = ends[1];
	hash_begin(&s->hash);
	number = pthread_create(&s->thread, NULL, run, s);
	if (number != 0) {
		free_stream(s);
		return pv_error_errno(err, PV_ERR_STAGE, number, "no thread");
	}
	*ret = s;
	return 0;
}

int pv_xva_stream_fd(const struct pv_xva_stream *s)
{
	return s->in;
}

int pv_xva_stream_end(struct pv_xva_stream *s, char ret_sha256[PV_SHA256_HEX], struct pv_error *err)
{
	int rc;

	pv_closep(&s->in);		/* a writer that still waits gets EPIPE */
	(void)pthread_join(s->thread, NULL);
	rc = s->rc;
	if (rc == 0)
		pv_digest_hex(s->hash.digest, ret_sha256);
	else
		(void)pv_error_set(err, s->err.kind, "%s", s->err.text ? s->err.text : "cannot write");
	free_stream(s);
	return rc;
}
