/* SPDX-License-Identifier: Apache-2.0 */
/* Reads an XVA as strictly as xapi does, and says what xapi would trip over. */
#include <archive.h>
#include <archive_entry.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proc.h"
#include "xva.h"
#include "xva_priv.h"

#define CHUNK_MAX ((size_t)16 << 20)
#define FAULTS_MAX 100u
#define READ_AHEAD ((size_t)1 << 20)
#define NAME_MAX_LEN 100u

struct reader {
	struct archive *tar;
	const char *name;
	struct pv_xva x;
	char *vdi;			/* the first disk's id */
	struct pv_strv *faults;
	pv_xva_chunk_fn *fn;
	void *ctx;
	char disk[NAME_MAX_LEN + 1];	/* whose chunks come now; "": none yet */
	char last[NAME_MAX_LEN + 1];	/* the number of its last chunk, as text */
	uint8_t *chunk;			/* the one that was read last */
	size_t chunk_len, length;	/* length: of the first chunk, which all must have */
	bool wants_sum;			/* a chunk was read and its checksum must follow */
	uint64_t end;			/* of the first disk's last chunk */
	bool seen;			/* a chunk of the first disk */
};

static void fault(struct reader *r, const char *fmt, ...) PV_PRINTF(2, 3);
static void fault(struct reader *r, const char *fmt, ...)
{
	va_list ap;

	if (r->faults->n >= FAULTS_MAX)
		return;
	va_start(ap, fmt);
	pv_strv_take(r->faults, pv_vfmt(fmt, ap));
	va_end(ap);
}

static int tar_error(struct reader *r, struct pv_error *err)
{
	const char *why = archive_error_string(r->tar);

	if (pv_proc_check_interrupt(err) < 0)
		return -1;
	return pv_error_set(err, PV_ERR_STAGE, "%s: damaged or cut off: %s", r->name, why ? why : "unknown error");
}

/* A member's whole data, of exactly len bytes. */
static int read_member(struct reader *r, void *data, size_t len, struct pv_error *err)
{
	size_t got = 0;

	while (got < len) {
		la_ssize_t n = archive_read_data(r->tar, (char *)data + got, len - got);

		if (n < 0)
			return tar_error(r, err);
		if (n == 0)
			return pv_error_set(err, PV_ERR_STAGE, "%s: a member is shorter than its header says", r->name);
		got += (size_t)n;
	}
	return 0;
}

static int read_ova(struct reader *r, struct pv_error *err)
{
	struct archive_entry *e;
	int rc = archive_read_next_header(r->tar, &e);

	if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
		return tar_error(r, err);
	const char *path = archive_entry_pathname(e);
	if (!pv_streq(path, "ova.xml"))
		return pv_error_set(err, PV_ERR_STAGE, "%s: no XVA: its first member is not ova.xml", r->name);
	la_int64_t size = archive_entry_size(e);
	if (size <= 0 || (uint64_t)size > PV_XVA_OVA_MAX)
		return pv_error_set(err, PV_ERR_STAGE, "%s: ova.xml has no possible size", r->name);
	pv_autofree char *xml = pv_xmalloc((size_t)size);
	if (read_member(r, xml, (size_t)size, err) < 0)
		return -1;
	return pv_xva_ova_read(xml, (size_t)size, r->name, &r->x, &r->vdi, r->faults, err);
}

static int take_sum(struct reader *r, const char *path, bool xxhash, la_int64_t size, struct pv_error *err)
{
	char want[PV_XVA_SUM], is[PV_XVA_SUM] = "";

	if (!r->wants_sum) {
		fault(r, "%s: a checksum that follows no chunk", path);
		return 0;
	}
	r->wants_sum = false;
	r->x.xxhash |= xxhash;
	if (size > 0 && size < PV_XVA_SUM && read_member(r, is, (size_t)size, err) < 0)
		return -1;
	pv_xva_sum(xxhash, r->chunk, r->chunk_len, want);
	if (!pv_streq(is, want))
		fault(r, "%s: the checksum is wrong", path);
	return 0;
}

/* Where the chunk lies on the first disk, and whether all of that is right; false: nothing to hand on. */
static bool place_chunk(struct reader *r, const char *path, uint64_t number, uint64_t *ret_offset)
{
	uint64_t offset = number * (uint64_t)r->length;

	if (!pv_streq(r->disk, r->vdi) || r->chunk_len == 0)
		return false;
	if (!r->seen && number != 0)
		fault(r, "the disk's first chunk is missing");
	r->seen = true;
	if (offset >= r->x.size) {
		fault(r, "%s: lies beyond the disk's end", path);
		return false;
	}
	r->x.chunks++;
	r->end = offset + r->chunk_len;
	*ret_offset = offset;
	return true;
}

static int take_chunk(struct reader *r, const char *path, const char *digits, la_int64_t size, struct pv_error *err)
{
	char id[NAME_MAX_LEN + 1];
	uint64_t offset;

	snprintf(id, sizeof(id), "%.*s", (int)(digits - 1 - path), path);
	if (r->wants_sum)
		fault(r, "%s: the chunk before it has no checksum", path);
	if (strcmp(r->disk, id) != 0) {
		if (strcmp(id, r->disk) < 0)
			fault(r, "%s: the disks are not in the order of their ids", path);
		memcpy(r->disk, id, sizeof(id));
	} else if (strcmp(digits, r->last) <= 0) {
		fault(r, "%s: comes after chunk %s: the order is wrong", path, r->last);
	}
	snprintf(r->last, sizeof(r->last), "%s", digits);
	if (size < 0 || (uint64_t)size > CHUNK_MAX)
		return pv_error_set(err, PV_ERR_STAGE, "%s: %s: a chunk of more than 16 MiB", r->name, path);
	r->chunk_len = (size_t)size;
	if (r->length == 0)
		r->length = r->chunk_len;
	else if (r->chunk_len != r->length && r->chunk_len != 0)
		fault(r, "%s: has %zu bytes, the first chunk has %zu", path, r->chunk_len, r->length);
	if (read_member(r, r->chunk, r->chunk_len, err) < 0)
		return -1;
	r->wants_sum = true;
	if (!place_chunk(r, path, strtoull(digits, NULL, 10), &offset) || !r->fn)
		return 0;
	uint64_t left = r->x.size - offset;
	return r->fn(r->ctx, offset, r->chunk, left < r->chunk_len ? (size_t)left : r->chunk_len, err);
}

/* "ID/00000012", ".checksum" or ".xxhash" after it. */
static int take_member(struct reader *r, struct archive_entry *e, struct pv_error *err)
{
	const char *path = archive_entry_pathname(e), *slash = path ? strrchr(path, '/') : NULL;

	if (!slash || slash == path || strlen(path) > NAME_MAX_LEN || archive_entry_filetype(e) != AE_IFREG) {
		pv_autofree char *shown = pv_printable(path ? path : "?", path ? strnlen(path, 200) : 1);

		/* of exports without inline checksums */
		if (!pv_streq(path, "checksum.xml"))
			fault(r, "%s: a member that belongs to no disk", shown);
		return 0;
	}
	size_t digits = strspn(slash + 1, "0123456789");
	const char *rest = slash + 1 + digits;
	pv_autofree char *shown = pv_printable(path, strlen(path));
	if (digits > 0 && digits <= 12 && pv_streq(rest, ".checksum"))
		return take_sum(r, shown, false, archive_entry_size(e), err);
	if (digits > 0 && digits <= 12 && pv_streq(rest, ".xxhash"))
		return take_sum(r, shown, true, archive_entry_size(e), err);
	if (digits == 0 || digits > 12 || *rest || !pv_streq(shown, path)) {
		fault(r, "%s: a member that is neither chunk nor checksum", shown);
		return 0;
	}
	return take_chunk(r, path, slash + 1, archive_entry_size(e), err);
}

static int read_all(struct reader *r, struct pv_error *err)
{
	struct archive_entry *e;
	int rc;

	if (read_ova(r, err) < 0)
		return -1;
	while ((rc = archive_read_next_header(r->tar, &e)) == ARCHIVE_OK || rc == ARCHIVE_WARN)
		if (pv_proc_check_interrupt(err) < 0 || take_member(r, e, err) < 0)
			return -1;
	if (rc != ARCHIVE_EOF)
		return tar_error(r, err);
	if (r->wants_sum)
		fault(r, "the last chunk has no checksum");
	if (!r->seen)
		fault(r, "the disk %s has no chunk", r->vdi);
	else if (r->end < r->x.size)
		fault(r, "the disk's last chunk is missing: there is none at %" PRIu64, r->x.size - 1);
	return 0;
}

int pv_xva_read(int fd, const char *name, struct pv_xva *ret, pv_xva_chunk_fn *fn, void *ctx, struct pv_strv *faults,
		struct pv_error *err)
{
	struct reader r = { .tar = archive_read_new(), .name = name, .faults = faults, .fn = fn, .ctx = ctx };
	int rc = -1;

	r.chunk = pv_xmalloc(CHUNK_MAX);
	if (!r.tar || lseek(fd, 0, SEEK_SET) < 0 || archive_read_support_filter_gzip(r.tar) != ARCHIVE_OK ||
	    archive_read_support_filter_zstd(r.tar) != ARCHIVE_OK ||
	    archive_read_support_format_tar(r.tar) != ARCHIVE_OK)
		(void)pv_error_set(err, PV_ERR_STAGE, "%s: cannot be read from its beginning", name);
	else if (archive_read_open_fd(r.tar, fd, READ_AHEAD) != ARCHIVE_OK)
		(void)tar_error(&r, err);
	else
		rc = read_all(&r, err);
	if (r.tar)
		archive_read_free(r.tar);
	free(r.chunk);
	free(r.vdi);
	if (rc < 0) {
		pv_xva_done(&r.x);
		return -1;
	}
	*ret = r.x;
	return 0;
}
