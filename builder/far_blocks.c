/* SPDX-License-Identifier: Apache-2.0 */
/* Compares a disk with another host's, block by block. */
#include "far_blocks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "fsutil.h"
#include "proc.h"
#include "text.h"

void pv_far_blocks_done(struct pv_far_blocks *b)
{
	pv_freep(&b->data);
	pv_freep(&b->digest);
}

static size_t block_len(const struct pv_far_blocks *b, size_t i)
{
	uint64_t left = b->size - (uint64_t)i * PV_FAR_BLOCK;

	return left < PV_FAR_BLOCK ? (size_t)left : PV_FAR_BLOCK;
}

static int read_block(const struct pv_far_blocks *b, int fd, const char *name, size_t i, uint8_t *buf, struct pv_error *err)
{
	size_t len = block_len(b, i);
	ssize_t n = pv_pread_all(fd, buf, len, (off_t)i * PV_FAR_BLOCK);

	if (n < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", name);
	if ((size_t)n != len)
		return pv_error_set(err, PV_ERR_STAGE, "%s: became shorter while it was read", name);
	return pv_proc_check_interrupt(err);
}

static uint16_t units_with_data(const uint8_t *buf, size_t len)
{
	unsigned bits = 0;

	for (size_t u = 0; u * PV_FAR_UNIT < len; u++) {
		size_t left = len - u * PV_FAR_UNIT;

		if (!pv_all_zero(buf + u * PV_FAR_UNIT, left < PV_FAR_UNIT ? left : PV_FAR_UNIT))
			bits |= 1u << u;
	}
	return (uint16_t)bits;
}

int pv_far_blocks_read(int fd, const char *name, void (*progress)(void *ctx, uint64_t done, uint64_t total), void *ctx,
		       struct pv_far_blocks *ret, char ret_sha256[PV_SHA256_HEX], struct pv_error *err)
{
	pv_autofarblocks b = { 0 };
	pv_autodigest *whole = pv_digest_new();
	pv_autofree uint8_t *buf = pv_xmalloc(PV_FAR_BLOCK);
	off_t size = lseek(fd, 0, SEEK_END);

	if (size < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", name);
	b.size = (uint64_t)size;
	b.n = (size_t)((b.size + PV_FAR_BLOCK - 1) / PV_FAR_BLOCK);
	b.data = pv_xcalloc(b.n + 1, sizeof(*b.data));
	for (size_t i = 0; i < b.n; i++) {
		if (read_block(&b, fd, name, i, buf, err) < 0)
			return -1;
		pv_digest_add(whole, buf, block_len(&b, i));
		b.data[i] = units_with_data(buf, block_len(&b, i));
		if (progress)
			progress(ctx, (uint64_t)i * PV_FAR_BLOCK + block_len(&b, i), b.size);
	}
	pv_digest_hex(whole, ret_sha256);
	*ret = b;
	b = (struct pv_far_blocks){ 0 };
	return 0;
}

static void digest_of(const uint8_t *buf, size_t len, uint8_t ret[PV_SHA256_LEN])
{
	pv_autodigest *d = pv_digest_new();

	pv_digest_add(d, buf, len);
	pv_digest_raw(d, ret);
}

/* Zeros are hashed once. */
int pv_far_blocks_digest(struct pv_far_blocks *b, int fd, const char *name, struct pv_error *err)
{
	pv_autofree uint8_t *buf = pv_xcalloc(PV_FAR_BLOCK, 1);
	pv_autofree uint8_t *digests = pv_xcalloc(b->n + 1, PV_SHA256_LEN);
	uint8_t zero[PV_SHA256_LEN];

	digest_of(buf, PV_FAR_BLOCK, zero);
	for (size_t i = 0; i < b->n; i++) {
		uint8_t *to = digests + i * PV_SHA256_LEN;

		if (b->data[i] == 0 && block_len(b, i) == PV_FAR_BLOCK) {
			memcpy(to, zero, PV_SHA256_LEN);
			continue;
		}
		if (read_block(b, fd, name, i, buf, err) < 0)
			return -1;
		digest_of(buf, block_len(b, i), to);
	}
	free(b->digest);
	b->digest = (uint8_t (*)[PV_SHA256_LEN])pv_steal(&digests);
	return 0;
}

struct runs {
	struct pv_far_run *v;
	size_t n, cap;
};

/* Joins what follows upon itself. */
static void add_run(struct runs *r, uint64_t offset, uint64_t len, bool zero)
{
	struct pv_far_run *last = r->n > 0 ? &r->v[r->n - 1] : NULL;

	if (last && last->zero == zero && last->offset + last->len == offset && (zero || last->len + len <= PV_FAR_RUN_MAX)) {
		last->len += len;
		return;
	}
	if (r->n == r->cap) {
		r->cap = r->cap ? r->cap * 2 : 64;
		r->v = pv_xreallocarray(r->v, r->cap, sizeof(*r->v));
	}
	r->v[r->n++] = (struct pv_far_run){ offset, len, zero };
}

struct pv_far_run *pv_far_runs(const struct pv_far_blocks *ours, const uint8_t (*theirs)[PV_SHA256_LEN], size_t *ret_n)
{
	struct runs runs = { 0 };

	for (size_t i = 0; i < ours->n; i++) {
		size_t len = block_len(ours, i);

		if (theirs && memcmp(theirs[i], ours->digest[i], PV_SHA256_LEN) == 0)
			continue;
		for (size_t u = 0; u * PV_FAR_UNIT < len; u++) {
			uint64_t at = (uint64_t)i * PV_FAR_BLOCK + u * PV_FAR_UNIT;
			size_t left = len - u * PV_FAR_UNIT;
			bool zero = !(ours->data[i] >> u & 1);

			if (!zero || theirs)
				add_run(&runs, at, left < PV_FAR_UNIT ? left : PV_FAR_UNIT, zero);
		}
	}
	*ret_n = runs.n;
	return runs.v;
}
