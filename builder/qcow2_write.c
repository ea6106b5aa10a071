/* SPDX-License-Identifier: Apache-2.0 */
/* Writes qcow2: header, first table, then data and tables of the second level as they come, reference counts last. */
#include "qcow2_write.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "clusters.h"
#include "fsutil.h"
#include "text.h"

#define CLUSTER_BITS 16u
#define CLUSTER PV_CLUSTER_LEN
#define SECTOR 512u
#define HEADER_LEN 112u
#define L2_ENTRIES (CLUSTER / 8)		/* of 64 KiB each: 512 MiB of the disk */
#define REFCOUNT_ENTRIES (CLUSTER / 2)		/* of 16 bits */
#define COPIED (UINT64_C(1) << 63)		/* referred to once */
#define COMPRESSED (UINT64_C(1) << 62)
#define COMPRESSED_SECTORS_SHIFT 54u		/* 62 - (cluster bits - 8) */
#define INCOMPATIBLE_COMPRESSION (UINT64_C(1) << 3)
#define SIZE_MAX_BYTES (UINT64_C(64) << 40)	/* first table of 1 MiB */

struct pv_qcow2_writer {
	int fd;
	const char *name;
	bool zlib;
	uint64_t size, at;		/* at: where the file ends now */
	uint8_t *l1;			/* as it will be written */
	uint32_t l1_entries;
	uint8_t *l2;			/* the one that runs: of L1's entry l2_of */
	uint32_t l2_of;
	bool l2_used;
	uint16_t *refs;			/* by cluster of the file */
	size_t nrefs, cap;
	uint8_t *pad;			/* an uncompressed cluster */
};

static int put(struct pv_qcow2_writer *w, const void *data, size_t len, uint64_t at, struct pv_error *err)
{
	if (pv_pwrite_all(w->fd, data, len, (off_t)at) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot write", w->name);
	return 0;
}

/* One more reference to each cluster of the file that the bytes touch. */
static void refer(struct pv_qcow2_writer *w, uint64_t at, uint64_t len)
{
	size_t first = (size_t)(at / CLUSTER), last = (size_t)((at + len - 1) / CLUSTER);

	if (last >= w->cap) {
		size_t cap = w->cap ? w->cap * 2 : 65536;

		while (cap <= last)
			cap *= 2;
		w->refs = pv_xreallocarray(w->refs, cap, sizeof(*w->refs));
		memset(w->refs + w->cap, 0, (cap - w->cap) * sizeof(*w->refs));
		w->cap = cap;
	}
	for (size_t i = first; i <= last; i++)
		w->refs[i]++;
	if (last + 1 > w->nrefs)
		w->nrefs = last + 1;
}

/* Whole clusters at the end of the file. */
static uint64_t take_clusters(struct pv_qcow2_writer *w, uint64_t bytes)
{
	uint64_t at = (w->at + CLUSTER - 1) / CLUSTER * CLUSTER, len = (bytes + CLUSTER - 1) / CLUSTER * CLUSTER;

	refer(w, at, len);
	w->at = at + len;
	return at;
}

int pv_qcow2_writer_new(uint64_t size, bool zlib, int fd, const char *name, struct pv_qcow2_writer **ret,
			struct pv_error *err)
{
	uint64_t covered = (uint64_t)L2_ENTRIES * CLUSTER;

	if (size == 0 || size % SECTOR || size > SIZE_MAX_BYTES)
		return pv_error_set(err, PV_ERR_USAGE,
				    "a qcow2 disk is whole sectors, 64 TiB at most here, not %llu bytes",
				    (unsigned long long)size);
	struct pv_qcow2_writer *w = pv_xcalloc(1, sizeof(*w));
	w->fd = fd;
	w->name = name;
	w->zlib = zlib;
	w->size = size;
	w->l1_entries = (uint32_t)((size + covered - 1) / covered);
	w->l1 = pv_xcalloc(w->l1_entries, 8);
	w->l2 = pv_xcalloc(1, CLUSTER);
	w->pad = pv_xmalloc(CLUSTER);
	(void)take_clusters(w, HEADER_LEN);
	(void)take_clusters(w, (uint64_t)w->l1_entries * 8);
	*ret = w;
	return 0;
}

void pv_qcow2_writer_free(struct pv_qcow2_writer *w)
{
	if (!w)
		return;
	free(w->l1);
	free(w->l2);
	free(w->refs);
	free(w->pad);
	free(w);
}

static int end_l2(struct pv_qcow2_writer *w, struct pv_error *err)
{
	if (!w->l2_used)
		return 0;
	uint64_t at = take_clusters(w, CLUSTER);
	if (put(w, w->l2, CLUSTER, at, err) < 0)
		return -1;
	pv_put_be64(w->l1 + (size_t)w->l2_of * 8, at | COPIED);
	memset(w->l2, 0, CLUSTER);
	w->l2_used = false;
	return 0;
}

/* Compressed data lies byte after byte; its entry counts the sectors it touches after the first. */
static int put_compressed(struct pv_qcow2_writer *w, const uint8_t *data, size_t len, uint8_t *entry,
			  struct pv_error *err)
{
	uint64_t at = w->at, sectors = (at + len - 1) / SECTOR - at / SECTOR;

	if (put(w, data, len, at, err) < 0)
		return -1;
	refer(w, at / SECTOR * SECTOR, (sectors + 1) * SECTOR);
	w->at = at + len;
	pv_put_be64(entry, at | sectors << COMPRESSED_SECTORS_SHIFT | COMPRESSED);
	return 0;
}

static int put_plain(struct pv_qcow2_writer *w, const uint8_t *data, size_t len, uint8_t *entry, struct pv_error *err)
{
	uint64_t at = take_clusters(w, CLUSTER);

	memcpy(w->pad, data, len);
	memset(w->pad + len, 0, CLUSTER - len);
	pv_put_be64(entry, at | COPIED);
	return put(w, w->pad, CLUSTER, at, err);
}

int pv_qcow2_write(void *writer, const struct pv_block *b, const void *slot, struct pv_error *err)
{
	struct pv_qcow2_writer *w = writer;
	const struct pv_clusters *c = slot;
	const uint8_t *packed = c->data;
	uint32_t l2_of = (uint32_t)(b->offset / CLUSTER / L2_ENTRIES);

	if (b->zero)
		return 0;
	/* a block never lies in two tables */
	if (l2_of != w->l2_of && end_l2(w, err) < 0)
		return -1;
	w->l2_of = l2_of;
	for (size_t i = 0; i < PV_CLUSTERS && i * CLUSTER < b->len; packed += c->len[i], i++) {
		size_t at = i * CLUSTER, len = b->len - at < CLUSTER ? b->len - at : CLUSTER;
		uint8_t *entry = w->l2 + ((b->offset + at) / CLUSTER % L2_ENTRIES) * 8;
		/* what shrinks by less than a sector is not worth unpacking */
		bool shrunk = c->len[i] > 0 && c->len[i] < CLUSTER - SECTOR && len == CLUSTER;

		if (pv_block_is_zero(b, at, CLUSTER))
			continue;
		w->l2_used = true;
		if (shrunk ? put_compressed(w, packed, c->len[i], entry, err) < 0 :
			     put_plain(w, b->data + at, len, entry, err) < 0)
			return -1;
	}
	return 0;
}

/* Reference counts count their own clusters too: as many as it takes until nothing grows. */
static int put_refcounts(struct pv_qcow2_writer *w, uint64_t *ret_at, uint32_t *ret_clusters, struct pv_error *err)
{
	size_t before = (size_t)((w->at + CLUSTER - 1) / CLUSTER), blocks = 0, table = 0, total;

	do {
		total = before + blocks + table;
		blocks = (total + REFCOUNT_ENTRIES - 1) / REFCOUNT_ENTRIES;
		table = (blocks * 8 + CLUSTER - 1) / CLUSTER;
	} while (before + blocks + table != total);
	uint64_t blocks_at = take_clusters(w, blocks * CLUSTER), table_at = take_clusters(w, table * CLUSTER);
	pv_autofree uint8_t *out = pv_xcalloc(table, CLUSTER), *block = pv_xmalloc(CLUSTER);
	for (size_t i = 0; i < blocks; i++) {
		for (size_t k = 0; k < REFCOUNT_ENTRIES; k++) {
			size_t n = i * REFCOUNT_ENTRIES + k;

			pv_put_be16(block + k * 2, n < w->nrefs ? w->refs[n] : 0);
		}
		pv_put_be64(out + i * 8, blocks_at + i * CLUSTER);
		if (put(w, block, CLUSTER, blocks_at + i * CLUSTER, err) < 0)
			return -1;
	}
	*ret_at = table_at;
	*ret_clusters = (uint32_t)table;
	return put(w, out, table * CLUSTER, table_at, err);
}

int pv_qcow2_finish(struct pv_qcow2_writer *w, struct pv_error *err)
{
	uint8_t h[HEADER_LEN] = { 'Q', 'F', 'I', 0xfb };
	uint64_t refs_at;
	uint32_t refs_clusters;

	if (end_l2(w, err) < 0 || put_refcounts(w, &refs_at, &refs_clusters, err) < 0 ||
	    put(w, w->l1, (size_t)w->l1_entries * 8, CLUSTER, err) < 0)
		return -1;
	pv_put_be32(h + 4, 3);			/* version */
	pv_put_be32(h + 20, CLUSTER_BITS);
	pv_put_be64(h + 24, w->size);
	pv_put_be32(h + 36, w->l1_entries);
	pv_put_be64(h + 40, CLUSTER);		/* first table */
	pv_put_be64(h + 48, refs_at);
	pv_put_be32(h + 56, refs_clusters);
	pv_put_be64(h + 72, w->zlib ? 0 : INCOMPATIBLE_COMPRESSION);
	pv_put_be32(h + 96, 4);			/* reference counts of 2^4 bits */
	pv_put_be32(h + 100, HEADER_LEN);
	h[104] = w->zlib ? 0 : 1;		/* compression: zlib, zstd */
	return put(w, h, sizeof(h), 0, err);
}
