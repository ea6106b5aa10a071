/* SPDX-License-Identifier: Apache-2.0 */
/* Seekable zstd: frames with a table behind them, and back. */
#include "zstdraw.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "bytes.h"
#include "fsutil.h"
#include "proc.h"

#define SKIPPABLE 0x184d2a5eu		/* the table's frame */
#define SEEKABLE 0x8f92eab1u		/* the file's last four bytes */
#define FOOTER_LEN 9u			/* frames, descriptor, SEEKABLE */
#define HAS_CHECKSUMS 0x80u		/* descriptor: an entry has 4 bytes more */
#define RESERVED_BITS 0x7cu
#define FRAMES_MAX 0x8000000u
#define WINDOW_LOG_MAX 27

/* --- writing --- */

void pv_zstdraw_writer_init(int fd, const char *name, struct pv_zstdraw_writer *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->fd = fd;
	ret->name = name;
	ret->zero_len = pv_clusters_zero_frame(PV_BLOCK_LEN, ret->zero);
}

void pv_zstdraw_writer_done(struct pv_zstdraw_writer *w)
{
	pv_str_done(&w->table);
}

static int put(const struct pv_zstdraw_writer *w, const void *data, size_t len, struct pv_error *err)
{
	if (pv_write_all(w->fd, data, len) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot write", w->name);
	return 0;
}

static void note_frame(struct pv_zstdraw_writer *w, size_t packed, size_t len)
{
	uint8_t entry[8];

	pv_put_le32(entry, (uint32_t)packed);
	pv_put_le32(entry + 4, (uint32_t)len);
	pv_str_addn(&w->table, entry, sizeof(entry));
	w->frames++;
}

static int put_zeros(struct pv_zstdraw_writer *w, size_t len, struct pv_error *err)
{
	uint8_t last[PV_CLUSTER_ZERO_BOUND];
	const uint8_t *frame = w->zero;
	size_t n = w->zero_len;

	if (len != PV_BLOCK_LEN) {
		n = pv_clusters_zero_frame(len, last);
		frame = last;
	}
	note_frame(w, n, len);
	return put(w, frame, n, err);
}

int pv_zstdraw_write(void *writer, const struct pv_block *b, const void *slot, struct pv_error *err)
{
	struct pv_zstdraw_writer *w = writer;
	const struct pv_clusters *c = slot;

	if (b->zero)
		return put_zeros(w, b->len, err);
	for (size_t i = 0; i * PV_CLUSTER_LEN < b->len; i++) {
		size_t left = b->len - i * PV_CLUSTER_LEN;

		note_frame(w, c->len[i], left < PV_CLUSTER_LEN ? left : PV_CLUSTER_LEN);
	}
	return put(w, c->data, c->total, err);
}

int pv_zstdraw_finish(struct pv_zstdraw_writer *w, struct pv_error *err)
{
	uint8_t head[8], foot[FOOTER_LEN] = { 0 };

	if (w->frames > FRAMES_MAX)
		return pv_error_set(err, PV_ERR_STAGE, "%s: more frames than seekable zstd has numbers", w->name);
	pv_put_le32(head, SKIPPABLE);
	pv_put_le32(head + 4, (uint32_t)(w->table.len + FOOTER_LEN));
	pv_put_le32(foot, w->frames);
	pv_put_le32(foot + 5, SEEKABLE);
	if (put(w, head, sizeof(head), err) < 0 || put(w, pv_str_text(&w->table), w->table.len, err) < 0)
		return -1;
	return put(w, foot, sizeof(foot), err);
}

/* --- the table --- */

static int read_at(int fd, const char *name, void *data, size_t len, uint64_t at, struct pv_error *err)
{
	ssize_t n = pv_pread_all(fd, data, len, (off_t)at);

	if (n < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot read", name);
	if ((size_t)n != len)
		return pv_error_set(err, PV_ERR_STAGE, "%s: was cut short while it was read", name);
	return 0;
}

/* The entries, a piece at a time: they may be many. */
static int sum_table(int fd, const char *name, uint64_t at, uint32_t frames, size_t entry, uint64_t *ret_packed,
		     uint64_t *ret_size, struct pv_error *err)
{
	uint8_t piece[12 * 4096];

	*ret_packed = *ret_size = 0;
	for (uint32_t done = 0; done < frames;) {
		uint32_t n = frames - done < 4096 ? frames - done : 4096;

		if (read_at(fd, name, piece, n * entry, at + (uint64_t)done * entry, err) < 0)
			return -1;
		for (uint32_t i = 0; i < n; i++) {
			*ret_packed += pv_le32(piece + i * entry);
			*ret_size += pv_le32(piece + i * entry + 4);
		}
		done += n;
	}
	return 0;
}

int pv_zstdraw_open(int fd, uint64_t file_size, const char *name, struct pv_zstdraw *ret, struct pv_strv *faults,
		    struct pv_error *err)
{
	uint8_t foot[FOOTER_LEN], head[8];
	uint64_t packed, bytes;

	*ret = (struct pv_zstdraw){ .seekable = false };
	if (file_size < FOOTER_LEN + sizeof(head))
		return 0;
	if (read_at(fd, name, foot, sizeof(foot), file_size - FOOTER_LEN, err) < 0)
		return -1;
	if (pv_le32(foot + 5) != SEEKABLE)
		return 0;
	ret->seekable = true;
	ret->frames = pv_le32(foot);
	size_t entry = foot[4] & HAS_CHECKSUMS ? 12 : 8;
	bytes = ret->frames * entry + FOOTER_LEN;
	if (foot[4] & RESERVED_BITS)
		pv_strv_add(faults, "the seek table has reserved bits set");
	if (ret->frames > FRAMES_MAX || bytes + sizeof(head) > file_size) {
		pv_strv_addf(faults, "the seek table's %" PRIu64 " frames do not fit the file", ret->frames);
		return 0;
	}
	if (read_at(fd, name, head, sizeof(head), file_size - bytes - sizeof(head), err) < 0)
		return -1;
	if (pv_le32(head) != SKIPPABLE || pv_le32(head + 4) != bytes) {
		pv_strv_addf(faults, "at %" PRIu64 " the seek table should begin, and does not",
			     file_size - bytes - sizeof(head));
		return 0;
	}
	if (sum_table(fd, name, file_size - bytes, (uint32_t)ret->frames, entry, &packed, &ret->size, err) < 0)
		return -1;
	if (packed != file_size - bytes - sizeof(head))
		pv_strv_addf(faults, "the seek table's frames sum up to %" PRIu64 " bytes, there are %" PRIu64, packed,
			     file_size - bytes - (uint64_t)sizeof(head));
	return 0;
}

/* --- unpacking --- */

struct unpack {
	int fd;
	const char *name;
	uint64_t at, max, size;		/* at: in the file */
	pv_zstdraw_fn *fn;
	void *ctx;
	ZSTD_DCtx *d;
	uint8_t *in, *out;
	uint8_t zero[PV_CLUSTER_ZERO_BOUND];
	size_t zero_len;
};

/* Our own frame of a whole block of zeros, of which a sparse disk is full: known by its bytes. */
static bool skip_zeros(struct unpack *u, ZSTD_inBuffer *in)
{
	if (in->size - in->pos < u->zero_len || u->max - u->size < PV_BLOCK_LEN ||
	    memcmp((const uint8_t *)in->src + in->pos, u->zero, u->zero_len) != 0)
		return false;
	in->pos += u->zero_len;
	u->size += PV_BLOCK_LEN;
	return true;
}

/* One piece of the file; *left: what zstd still wants of the frame that runs, 0 at a frame's end. */
static int unpack_piece(struct unpack *u, size_t n, size_t *left, struct pv_error *err)
{
	ZSTD_inBuffer in = { u->in, n, 0 };
	bool full = true;

	while (in.pos < in.size || full) {
		ZSTD_outBuffer out = { u->out, ZSTD_DStreamOutSize(), 0 };

		if (*left == 0 && skip_zeros(u, &in)) {
			full = false;
			continue;
		}
		*left = ZSTD_decompressStream(u->d, &out, &in);
		if (ZSTD_isError(*left))
			return pv_error_set(err, PV_ERR_STAGE, "%s: damaged zstd before byte %" PRIu64 ": %s", u->name,
					    u->at + in.pos, ZSTD_getErrorName(*left));
		if (out.pos > u->max - u->size)
			return pv_error_set(err, PV_ERR_STAGE, "%s: unpacks to more than %" PRIu64 " bytes", u->name,
					    u->max);
		if (out.pos > 0 && u->fn(u->ctx, u->size, u->out, out.pos, err) < 0)
			return -1;
		u->size += out.pos;
		full = out.pos == out.size && *left != 0;
		if (out.pos == 0 && in.pos == in.size)
			break;
	}
	return 0;
}

static int unpack_all(struct unpack *u, struct pv_error *err)
{
	size_t left = 0;

	for (;;) {
		ssize_t n = pv_pread_all(u->fd, u->in, ZSTD_DStreamInSize(), (off_t)u->at);

		if (n < 0)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot read", u->name);
		if (n == 0)
			break;
		if (pv_proc_check_interrupt(err) < 0 || unpack_piece(u, (size_t)n, &left, err) < 0)
			return -1;
		u->at += (uint64_t)n;
	}
	if (left != 0)
		return pv_error_set(err, PV_ERR_STAGE, "%s: cut off: its last zstd frame does not end", u->name);
	return 0;
}

int pv_zstdraw_read(int fd, const char *name, uint64_t max, pv_zstdraw_fn *fn, void *ctx, uint64_t *ret_size,
		    struct pv_error *err)
{
	struct unpack u = { .fd = fd, .name = name, .max = max, .fn = fn, .ctx = ctx, .d = ZSTD_createDCtx() };
	int rc;

	if (!u.d || ZSTD_isError(ZSTD_DCtx_setParameter(u.d, ZSTD_d_windowLogMax, WINDOW_LOG_MAX))) {
		ZSTD_freeDCtx(u.d);
		return pv_error_set(err, PV_ERR_STAGE, "%s: zstd: no memory", name);
	}
	u.zero_len = pv_clusters_zero_frame(PV_BLOCK_LEN, u.zero);
	u.in = pv_xmalloc(ZSTD_DStreamInSize());
	u.out = pv_xmalloc(ZSTD_DStreamOutSize());
	rc = unpack_all(&u, err);
	ZSTD_freeDCtx(u.d);
	free(u.in);
	free(u.out);
	if (rc == 0)
		*ret_size = u.size;
	return rc;
}
