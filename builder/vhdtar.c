/* SPDX-License-Identifier: Apache-2.0 */
/* 0.vhd in a gzip tar, in one pass. */
#include "vhdtar.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <libdeflate.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fsutil.h"
#include "text.h"

#define LEVEL 1
#define MEMBER_LEN (PV_VHD_PREFIX + PV_VHD_BLOCK)
#define MEMBER_BOUND (MEMBER_LEN + MEMBER_LEN / 1024 + 256)	/* stored blocks of 64 KiB, header, trailer */
#define TAR_HEADER 512u
#define TAR_END 1024u

/* --- the step: a block with its prefix, packed --- */

struct packed {
	size_t len;
	uint8_t data[MEMBER_BOUND];
};

struct packer {
	struct libdeflate_compressor *c;
	uint8_t *plain;
};

static struct libdeflate_compressor *compressor(int level)
{
	struct libdeflate_compressor *c = libdeflate_alloc_compressor(level);

	if (!c) {
		fputs("pvimg: libdeflate: no memory\n", stderr);
		abort();
	}
	return c;
}

static void *begin(void)
{
	struct packer *p = pv_xcalloc(1, sizeof(*p));

	p->c = compressor(LEVEL);
	p->plain = pv_xmalloc(MEMBER_LEN);
	pv_vhd_prefix(p->plain);
	return p;
}

static void end(void *thread)
{
	struct packer *p = thread;

	libdeflate_free_compressor(p->c);
	free(p->plain);
	free(p);
}

static int run(void *thread, const struct pv_block *b, void *slot, struct pv_error *err)
{
	struct packer *p = thread;
	struct packed *out = slot;

	if (b->zero)
		return 0;
	memcpy(p->plain + PV_VHD_PREFIX, b->data, PV_VHD_BLOCK);
	out->len = libdeflate_gzip_compress(p->c, p->plain, MEMBER_LEN, out->data, sizeof(out->data));
	return out->len > 0 ? 0 : pv_error_set(err, PV_ERR_STAGE, "libdeflate: a block did not fit");
}

const struct pv_block_step pv_vhdtar_step = { sizeof(struct packed), begin, end, run };

/* --- the sink --- */

static int append(struct pv_vhdtar_writer *w, const void *data, size_t len, uint64_t at, struct pv_error *err)
{
	if (pv_pwrite_all(w->fd, data, len, (off_t)at) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot write", w->name);
	return 0;
}

/* A gzip member of that level; *ret is the caller's. */
static size_t pack(const uint8_t *plain, size_t len, int level, uint8_t **ret)
{
	struct libdeflate_compressor *c = compressor(level);
	size_t bound = libdeflate_gzip_compress_bound(c, len), n;

	*ret = pv_xmalloc(bound);
	n = libdeflate_gzip_compress(c, plain, len, *ret, bound);
	libdeflate_free_compressor(c);
	return n;
}

/* The header of 0.vhd; GNU's tar format, which has sizes beyond 8 GiB. */
static int tar_header(uint64_t size, uint8_t *ret, struct pv_error *err)
{
	uint8_t out[4096];
	size_t used = 0;
	struct archive *a = archive_write_new();
	struct archive_entry *e = archive_entry_new();
	int rc = -1;

	archive_entry_set_pathname(e, "0.vhd");
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_perm(e, 0644);
	archive_entry_set_size(e, (la_int64_t)size);
	archive_entry_set_mtime(e, 0, 0);
	if (archive_write_set_format_gnutar(a) == ARCHIVE_OK && archive_write_set_bytes_per_block(a, 0) == ARCHIVE_OK &&
	    archive_write_open_memory(a, out, sizeof(out), &used) == ARCHIVE_OK &&
	    archive_write_header(a, e) == ARCHIVE_OK && used == TAR_HEADER)
		rc = 0;
	if (rc < 0)
		(void)pv_error_set(err, PV_ERR_STAGE, "0.vhd: no tar header: %s", archive_error_string(a));
	else
		memcpy(ret, out, TAR_HEADER);
	archive_write_fail(a);
	archive_write_free(a);
	archive_entry_free(e);
	return rc;
}

static size_t front_len(const struct pv_vhdtar_writer *w)
{
	return TAR_HEADER + w->vhd.head_len;
}

int pv_vhdtar_write(void *writer, const struct pv_block *b, const void *slot, struct pv_error *err)
{
	struct pv_vhdtar_writer *w = writer;
	const struct packed *p = slot;

	if (w->at == 0) {
		pv_autofree uint8_t *zeros = pv_xcalloc(1, front_len(w)), *packed = NULL;

		w->at = pack(zeros, front_len(w), 0, &packed);
	}
	if (b->zero)
		return 0;
	(void)pv_vhd_add_block(&w->vhd, b->index);
	if (append(w, p->data, p->len, w->at, err) < 0)
		return -1;
	w->at += p->len;
	return 0;
}

int pv_vhdtar_finish(struct pv_vhdtar_writer *w, struct pv_error *err)
{
	pv_autofree uint8_t *front = pv_xmalloc(front_len(w)), *packed = NULL, *last = NULL;
	uint8_t tail[PV_VHD_SECTOR + TAR_END] = { 0 };
	uint64_t end_at = pv_vhd_end(&w->vhd, tail);
	size_t n;

	if (tar_header(end_at + PV_VHD_SECTOR, front, err) < 0)
		return -1;
	pv_vhd_head(&w->vhd, front + TAR_HEADER);
	n = pack(front, front_len(w), 0, &packed);
	if (append(w, packed, n, 0, err) < 0)
		return -1;
	n = pack(tail, sizeof(tail), LEVEL, &last);
	return append(w, last, n, w->at, err);
}
