/* SPDX-License-Identifier: Apache-2.0 */
/* Compresses clusters, by libzstd and by zlib. */
#include "clusters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "text.h"

/* Fast: the image is packed once more by nobody, and the higher levels gain 5 % for 4 times the time. */
#define ZSTD_LEVEL 1
#define DEFLATE_LEVEL 1
#define QCOW2_WINDOW (-12)		/* raw deflate, 4 KiB; QEMU block/qcow2-threads.c */

static void no_memory(const char *what)
{
	fprintf(stderr, "pvimg: %s: no memory\n", what);
	abort();
}

/* --- zstd --- */

static void *zstd_begin(void)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();

	if (!c || ZSTD_isError(ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, ZSTD_LEVEL)) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1)))
		no_memory("zstd");
	return c;
}

static void zstd_end(void *thread)
{
	ZSTD_freeCCtx(thread);
}

/* Bytes of the cluster that the disk has. */
static size_t cluster_len(const struct pv_block *b, size_t i)
{
	size_t at = i * PV_CLUSTER_LEN;

	if (at >= b->len)
		return 0;
	return b->len - at < PV_CLUSTER_LEN ? b->len - at : PV_CLUSTER_LEN;
}

static int zstd_run(void *thread, const struct pv_block *b, void *slot, struct pv_error *err)
{
	struct pv_clusters *c = slot;

	c->total = 0;
	for (size_t i = 0; i < PV_CLUSTERS && !b->zero; i++) {
		size_t len = cluster_len(b, i), n = 0;

		if (len > 0)
			n = ZSTD_compress2(thread, c->data + c->total, PV_CLUSTER_BOUND, b->data + i * PV_CLUSTER_LEN,
					   len);
		if (ZSTD_isError(n))
			return pv_error_set(err, PV_ERR_STAGE, "zstd: %s", ZSTD_getErrorName(n));
		c->len[i] = (uint32_t)n;
		c->total += (uint32_t)n;
	}
	return 0;
}

const struct pv_block_step pv_clusters_zstd = { sizeof(struct pv_clusters), zstd_begin, zstd_end, zstd_run };

size_t pv_clusters_zero_frame(size_t len, uint8_t ret[PV_CLUSTER_ZERO_BOUND])
{
	pv_autofree uint8_t *zeros = pv_xcalloc(1, len), *out = pv_xmalloc(ZSTD_compressBound(len));
	ZSTD_CCtx *c = zstd_begin();
	size_t n = ZSTD_compress2(c, out, ZSTD_compressBound(len), zeros, len);

	ZSTD_freeCCtx(c);
	if (ZSTD_isError(n) || n > PV_CLUSTER_ZERO_BOUND)
		no_memory("zstd");
	memcpy(ret, out, n);
	return n;
}

/* --- deflate --- */

static void *deflate_begin(void)
{
	z_stream *z = pv_xcalloc(1, sizeof(*z));

	if (deflateInit2(z, DEFLATE_LEVEL, Z_DEFLATED, QCOW2_WINDOW, 9, Z_DEFAULT_STRATEGY) != Z_OK)
		no_memory("zlib");
	return z;
}

static void deflate_end(void *thread)
{
	(void)deflateEnd(thread);
	free(thread);
}

static int deflate_run(void *thread, const struct pv_block *b, void *slot, struct pv_error *err)
{
	struct pv_clusters *c = slot;
	z_stream *z = thread;

	c->total = 0;
	for (size_t i = 0; i < PV_CLUSTERS && !b->zero; i++) {
		c->len[i] = 0;
		if (cluster_len(b, i) == 0 || pv_block_is_zero(b, i * PV_CLUSTER_LEN, PV_CLUSTER_LEN))
			continue;
		if (deflateReset(z) != Z_OK)
			return pv_error_set(err, PV_ERR_STAGE, "zlib: %s", z->msg ? z->msg : "cannot begin again");
		/* a whole cluster always: what the disk lacks at its end is zeros */
		z->next_in = (uint8_t *)(uintptr_t)(b->data + i * PV_CLUSTER_LEN);
		z->avail_in = PV_CLUSTER_LEN;
		z->next_out = c->data + c->total;
		z->avail_out = PV_CLUSTER_LEN - 1;
		if (deflate(z, Z_FINISH) != Z_STREAM_END)
			continue;
		c->len[i] = (uint32_t)(PV_CLUSTER_LEN - 1 - z->avail_out);
		c->total += c->len[i];
	}
	return 0;
}

const struct pv_block_step pv_clusters_deflate = { sizeof(struct pv_clusters), deflate_begin, deflate_end,
						   deflate_run };
