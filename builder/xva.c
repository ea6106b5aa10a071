/* SPDX-License-Identifier: Apache-2.0 */
/* Writes an XVA: a tar by libarchive, chunk after chunk with its checksum. */
#include "xva.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "fsutil.h"
#include "xva_priv.h"

#define CHUNKS (PV_BLOCK_LEN / PV_XVA_CHUNK)

struct pv_xva_writer {
	struct archive *tar;
	struct archive_entry *entry;
	const char *name;
	int fd, write_errno;		/* write_errno: of the first write that failed; nothing is written after it */
	bool xxhash;
	uint64_t last;			/* number of the last chunk */
	uint8_t *zeros;			/* a chunk of them */
	char zero_sum[PV_XVA_SUM];
};

const char *pv_xva_suffix(bool xxhash)
{
	return xxhash ? ".xxhash" : ".checksum";
}

void pv_xva_sum(bool xxhash, const void *data, size_t len, char ret[PV_XVA_SUM])
{
	unsigned char raw[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (xxhash) {
		snprintf(ret, PV_XVA_SUM, "%016llX", (unsigned long long)XXH64(data, len, 0));
		return;
	}
	if (EVP_Digest(data, len, raw, &n, EVP_sha1(), NULL) != 1) {
		fputs("pvimg: OpenSSL refuses SHA-1\n", stderr);
		abort();
	}
	for (unsigned i = 0; i < n && i < 20; i++)
		snprintf(ret + (size_t)i * 2, 3, "%02x", raw[i]);
}

/* --- the step: sums of a block's chunks --- */

struct sums {
	char text[CHUNKS][PV_XVA_SUM];
};

static int make_sums(bool xxhash, const struct pv_block *b, struct sums *ret)
{
	for (size_t i = 0; i < CHUNKS; i++)
		if (!pv_block_is_zero(b, i * PV_XVA_CHUNK, PV_XVA_CHUNK))
			pv_xva_sum(xxhash, b->data + i * PV_XVA_CHUNK, PV_XVA_CHUNK, ret->text[i]);
	return 0;
}

static int step_sha1(void *thread, const struct pv_block *b, void *slot, struct pv_error *err)
{
	(void)thread;
	(void)err;
	return make_sums(false, b, slot);
}

static int step_xxhash(void *thread, const struct pv_block *b, void *slot, struct pv_error *err)
{
	(void)thread;
	(void)err;
	return make_sums(true, b, slot);
}

const struct pv_block_step *pv_xva_step(bool xxhash)
{
	static const struct pv_block_step sha1 = { sizeof(struct sums), NULL, NULL, step_sha1 };
	static const struct pv_block_step xxh64 = { sizeof(struct sums), NULL, NULL, step_xxhash };

	return xxhash ? &xxh64 : &sha1;
}

/* --- the sink --- */

/* A failed write is not told to libarchive, which would not free its output's state then: put_member asks. */
static la_ssize_t write_out(struct archive *tar, void *ctx, const void *data, size_t len)
{
	struct pv_xva_writer *w = ctx;

	(void)tar;
	if (!w->write_errno && pv_write_all(w->fd, data, len) < 0)
		w->write_errno = errno;
	return (la_ssize_t)len;
}

static int tar_error(const struct pv_xva_writer *w, struct pv_error *err)
{
	const char *why = archive_error_string(w->tar);
	int number = w->write_errno ? w->write_errno : archive_errno(w->tar);

	if (number > 0)
		return pv_error_errno(err, PV_ERR_STAGE, number, "%s: cannot write", w->name);
	return pv_error_set(err, PV_ERR_STAGE, "%s: cannot write: %s", w->name, why ? why : "unknown error");
}

/* Owner, mode and time are the same everywhere. */
static int put_member(struct pv_xva_writer *w, const char *path, const void *data, size_t len, struct pv_error *err)
{
	archive_entry_clear(w->entry);
	archive_entry_set_pathname(w->entry, path);
	archive_entry_set_filetype(w->entry, AE_IFREG);
	archive_entry_set_perm(w->entry, 0644);
	archive_entry_set_size(w->entry, (la_int64_t)len);
	archive_entry_set_mtime(w->entry, 0, 0);
	if (archive_write_header(w->tar, w->entry) != ARCHIVE_OK ||
	    archive_write_data(w->tar, data, len) != (la_ssize_t)len || w->write_errno)
		return tar_error(w, err);
	return 0;
}

static int put_chunk(struct pv_xva_writer *w, uint64_t n, const void *data, const char *sum, struct pv_error *err)
{
	char path[sizeof(PV_XVA_VDI "/00000000.checksum") + 16];
	int len = snprintf(path, sizeof(path), PV_XVA_VDI "/%08llu", (unsigned long long)n);

	if (put_member(w, path, data, PV_XVA_CHUNK, err) < 0)
		return -1;
	snprintf(path + len, sizeof(path) - (size_t)len, "%s", pv_xva_suffix(w->xxhash));
	return put_member(w, path, sum, strlen(sum), err);
}

int pv_xva_writer_new(const struct pv_xva_machine *machine, bool xxhash, int fd, const char *name,
		      struct pv_xva_writer **ret, struct pv_error *err)
{
	if (machine->disk_size == 0 || machine->disk_size % PV_XVA_CHUNK || machine->disk_size > PV_XVA_MAX)
		return pv_error_set(err, PV_ERR_USAGE, "an XVA's disk is whole MiB, not %llu bytes",
				    (unsigned long long)machine->disk_size);
	struct pv_xva_writer *w = pv_xcalloc(1, sizeof(*w));
	pv_autofree char *ova = pv_xva_ova(machine);

	w->name = name;
	w->fd = fd;
	w->xxhash = xxhash;
	w->last = machine->disk_size / PV_XVA_CHUNK - 1;
	w->zeros = pv_xcalloc(1, PV_XVA_CHUNK);
	pv_xva_sum(xxhash, w->zeros, PV_XVA_CHUNK, w->zero_sum);
	w->tar = archive_write_new();
	w->entry = archive_entry_new();
	/* no blocking: what is written goes out as it is, after two empty sectors at the end nothing */
	if (!w->tar || !w->entry || archive_write_set_format_ustar(w->tar) != ARCHIVE_OK ||
	    archive_write_set_bytes_per_block(w->tar, 0) != ARCHIVE_OK ||
	    archive_write_open(w->tar, w, NULL, write_out, NULL) != ARCHIVE_OK ||
	    put_member(w, "ova.xml", ova, strlen(ova), NULL) < 0) {
		(void)(w->tar ? tar_error(w, err) : pv_error_set(err, PV_ERR_STAGE, "%s: no memory", name));
		pv_xva_writer_free(w);
		return -1;
	}
	*ret = w;
	return 0;
}

void pv_xva_writer_free(struct pv_xva_writer *w)
{
	if (!w)
		return;
	if (!w->write_errno)
		w->write_errno = ECANCELED;	/* where it was finished, nothing is left to write */
	archive_write_free(w->tar);
	archive_entry_free(w->entry);
	free(w->zeros);
	free(w);
}

int pv_xva_write(void *writer, const struct pv_block *b, const void *slot, struct pv_error *err)
{
	struct pv_xva_writer *w = writer;
	const struct sums *sums = slot;

	for (size_t i = 0; i < CHUNKS && i * PV_XVA_CHUNK < b->len; i++) {
		uint64_t n = b->index * CHUNKS + i;
		bool zero = pv_block_is_zero(b, i * PV_XVA_CHUNK, PV_XVA_CHUNK);

		if (zero && n != 0 && n != w->last)
			continue;
		if (put_chunk(w, n, zero ? w->zeros : b->data + i * PV_XVA_CHUNK, zero ? w->zero_sum : sums->text[i],
			      err) < 0)
			return -1;
	}
	return 0;
}

int pv_xva_finish(struct pv_xva_writer *w, struct pv_error *err)
{
	return archive_write_close(w->tar) == ARCHIVE_OK && !w->write_errno ? 0 : tar_error(w, err);
}
