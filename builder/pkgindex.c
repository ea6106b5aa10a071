/* SPDX-License-Identifier: Apache-2.0 */
/* Fetches, unpacks and checks Packages indexes, and looks single packages up in them. */
#include "pkgindex.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "deb822.h"
#include "fsutil.h"
#include "proc.h"
#include "url.h"

#define BLOCK (256u << 10)

struct packing {
	const char *suffix;
	int (*support)(struct archive *a);	/* NULL: stored as it is */
};

static const struct packing packings[] = {
	{ ".zst", archive_read_support_filter_zstd },
	{ ".xz", archive_read_support_filter_xz },
	{ ".gz", archive_read_support_filter_gzip },
	{ "", NULL },
};

/* One want on its way. */
struct job {
	struct pv_pkgindex_want *want;
	char *name;				/* main/binary-amd64/Packages */
	const struct pv_release_entry *plain, *packed;
	const struct packing *packing;
	char *fetch_path;
};

static void free_job(struct job *j)
{
	free(j->name);
	free(j->fetch_path);
	*j = (struct job){ 0 };
}

struct jobs {
	struct job *v;
	size_t n;
};

static void free_jobs(struct jobs *jobs)
{
	for (size_t i = 0; i < jobs->n; i++)
		free_job(&jobs->v[i]);
	free(jobs->v);
}

static int choose_packing(struct job *j, struct pv_error *err)
{
	const struct pv_release *r = j->want->release;

	j->plain = pv_release_find(r, j->name);
	if (!j->plain)
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: Release lists no %s", j->want->suite, j->name);
	for (size_t i = 0; i < PV_COUNT(packings) && !j->packed; i++) {
		pv_autofree char *name = pv_fmt("%s%s", j->name, packings[i].suffix);

		j->packed = pv_release_find(r, name);
		j->packing = &packings[i];
	}
	if (!j->packed || j->plain->size > PV_PKGINDEX_MAX || j->packed->size > PV_PKGINDEX_PACKED_MAX)
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: %s is larger than any index may be",
				    j->want->suite, j->name);
	return 0;
}

static char *fetch_path(const struct job *j, bool by_hash)
{
	const char *slash = strrchr(j->packed->path, '/');

	if (by_hash)
		return pv_fmt("dists/%s/%.*s/by-hash/SHA256/%s", j->want->suite,
			      (int)(slash - j->packed->path), j->packed->path, j->packed->sha256);
	return pv_fmt("dists/%s/%s", j->want->suite, j->packed->path);
}

static int fetch_jobs(struct jobs *jobs, bool by_hash, struct pv_fetch *fetch,
		      pv_fetch_progress_fn *progress, void *ctx, struct pv_error *err)
{
	pv_autofree struct pv_fetch_item *items = pv_xcalloc(jobs->n + 1, sizeof(*items));

	for (size_t i = 0; i < jobs->n; i++) {
		struct job *j = &jobs->v[i];

		free(j->fetch_path);
		j->fetch_path = fetch_path(j, by_hash && j->want->release->by_hash);
		items[i] = (struct pv_fetch_item){
			.base_url = j->want->base_url, .path = j->fetch_path, .size = j->packed->size,
		};
		memcpy(items[i].sha256, j->packed->sha256, PV_SHA256_HEX);
	}
	return pv_fetch_all(fetch, items, jobs->n, progress, ctx, err);
}

/* Partial mirrors often have no by-hash folders although their Release, made elsewhere, promises them. */
static int fetch_either(struct jobs *jobs, struct pv_fetch *fetch, pv_fetch_progress_fn *progress, void *ctx,
			struct pv_error *err)
{
	pv_autoerror first = PV_ERROR_INIT;
	bool by_hash = false;

	for (size_t i = 0; i < jobs->n; i++)
		by_hash = by_hash || jobs->v[i].want->release->by_hash;
	if (!by_hash)
		return fetch_jobs(jobs, false, fetch, progress, ctx, err);
	if (fetch_jobs(jobs, true, fetch, progress, ctx, &first) == 0)
		return 0;
	if (first.kind == PV_ERR_ARCHIVE)
		return fetch_jobs(jobs, false, fetch, progress, ctx, err);
	return pv_error_set(err, first.kind, "%s", first.text);
}

/* -- unpacking -- */

static void free_archive(struct archive **a)
{
	if (*a)
		archive_read_free(*a);
	*a = NULL;
}
#define autoarchive __attribute__((cleanup(free_archive))) struct archive

/* A file of the store's tmp folder that is removed unless it was adopted. */
struct output {
	char *path;
	int fd;
	struct pv_digest *digest;
	uint64_t size;
};

static void drop_output(struct output *o)
{
	pv_closep(&o->fd);
	if (o->path)
		unlink(o->path);
	free(o->path);
	pv_digest_freep(&o->digest);
}

static int make_output(const struct pv_store *store, struct output *ret, struct pv_error *err)
{
	for (unsigned n = 0;; n++) {
		char *path = pv_fmt("%s/put.%ld.index%u", pv_store_tmp(store), (long)getpid(), n);

		ret->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (ret->fd >= 0) {
			ret->path = path;
			ret->digest = pv_digest_new();
			return 0;
		}
		pv_autofree char *shown = path;

		if (errno != EEXIST || n == 1000)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", shown);
	}
}

static int bad_index(const struct job *j, struct pv_error *err, const char *why)
{
	return pv_error_set(err, PV_ERR_ARCHIVE, "%s/%s: %s", j->want->suite, j->packed->path, why);
}

static int open_packed(const struct job *j, const char *path, struct archive *a, struct pv_error *err)
{
	struct archive_entry *entry;

	/* Anything but OK: libarchive would run a program for it. One filter alone: it was not packed at all. */
	if (!a || archive_read_support_format_raw(a) != ARCHIVE_OK || j->packing->support(a) != ARCHIVE_OK)
		return pv_error_set(err, PV_ERR_HOST, "libarchive cannot unpack %s files",
				    j->packing->suffix);
	if (archive_read_open_filename(a, path, BLOCK) != ARCHIVE_OK ||
	    archive_read_next_header(a, &entry) != ARCHIVE_OK || archive_filter_count(a) < 2)
		return bad_index(j, err, "damaged");
	return 0;
}

static int copy_unpacked(const struct job *j, struct archive *a, struct output *o, struct pv_error *err)
{
	pv_autofree char *buf = pv_xmalloc(BLOCK);

	for (;;) {
		la_ssize_t n = archive_read_data(a, buf, BLOCK);

		if (n < 0)
			return bad_index(j, err, "damaged");
		if (n == 0)
			return 0;
		o->size += (uint64_t)n;
		if (o->size > j->plain->size)
			return bad_index(j, err, "unpacks to more than Release says");
		pv_digest_add(o->digest, buf, (size_t)n);
		if (pv_write_all(o->fd, buf, (size_t)n) < 0)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", o->path);
		if (pv_proc_check_interrupt(err) < 0)
			return -1;
	}
}

static int unpack(const struct job *j, struct pv_store *store, struct pv_error *err)
{
	pv_autofree char *packed = pv_store_path(store, j->packed->sha256);
	__attribute__((cleanup(drop_output))) struct output o = { .fd = -1 };
	autoarchive *a = archive_read_new();
	char hex[PV_SHA256_HEX];

	if (!j->packing->support)
		return 0;	/* the store has it as it is wanted */
	if (pv_store_need(store, j->plain->size, err) < 0 || make_output(store, &o, err) < 0 ||
	    open_packed(j, packed, a, err) < 0 || copy_unpacked(j, a, &o, err) < 0)
		return -1;
	pv_digest_hex(o.digest, hex);
	if (o.size != j->plain->size || strcmp(hex, j->plain->sha256) != 0)
		return bad_index(j, err, "unpacks to something else than Release says");
	if (pv_store_adopt(store, o.path, hex, err) < 0)
		return -1;
	free(o.path);
	o.path = NULL;
	return 0;
}

static int put_empty(const struct job *j, struct pv_store *store, struct pv_error *err)
{
	char hex[PV_SHA256_HEX];

	if (pv_store_put_mem(store, "", 0, hex, err) < 0)
		return -1;
	if (strcmp(hex, j->plain->sha256) != 0)
		return bad_index(j, err, "declared empty with the digest of something else");
	return 0;
}

/* Is it in the store as Release says? Read again, since every digest of a package comes from here and a user's cache is a
 * user's file; what was changed is removed, and fetched anew. */
static int is_stored(const struct pv_store *store, const struct pv_release_entry *e, bool *ret, struct pv_error *err)
{
	*ret = false;
	return pv_store_has(store, e->sha256, e->size) ? pv_store_check(store, e->sha256, ret, err) : 0;
}

/* What is still missing, as jobs. */
static int list_jobs(struct pv_pkgindex_want *wants, size_t n, struct pv_store *store, struct jobs *ret,
		     struct pv_error *err)
{
	ret->v = pv_xcalloc(n + 1, sizeof(*ret->v));
	for (size_t i = 0; i < n; i++) {
		struct job *j = &ret->v[ret->n++];
		struct pv_pkgindex_want *w = &wants[i];
		bool stored, packed_stored;

		j->want = w;
		j->name = pv_fmt("%s/binary-%s/Packages", w->component, w->arch);
		if (choose_packing(j, err) < 0 || (j->plain->size == 0 && put_empty(j, store, err) < 0))
			return -1;
		free(w->path);
		w->path = pv_store_path(store, j->plain->sha256);
		if (is_stored(store, j->plain, &stored, err) < 0 ||
		    (!stored && is_stored(store, j->packed, &packed_stored, err) < 0))
			return -1;
		if (j->plain->size == 0 || stored) {
			free_job(j);
			ret->n--;
		}
	}
	return 0;
}

int pv_pkgindex_get(struct pv_pkgindex_want *wants, size_t n, struct pv_store *store, struct pv_fetch *fetch,
		    pv_fetch_progress_fn *progress, void *ctx, struct pv_error *err)
{
	__attribute__((cleanup(free_jobs))) struct jobs jobs = { NULL, 0 };

	if (list_jobs(wants, n, store, &jobs, err) < 0)
		return -1;
	if (jobs.n == 0)
		return 0;
	if (fetch_either(&jobs, fetch, progress, ctx, err) < 0)
		return -1;
	for (size_t i = 0; i < jobs.n; i++)
		if (!pv_store_has(store, jobs.v[i].plain->sha256, jobs.v[i].plain->size) &&
		    unpack(&jobs.v[i], store, err) < 0)
			return -1;
	return 0;
}

/* -- looking packages up -- */

void pv_pkgindex_entry_done(struct pv_pkgindex_entry *e)
{
	free(e->filename);
	e->filename = NULL;
}

struct lookup {
	const char *package;
	struct pv_pkgindex_entry *entry;	/* pv_pkgindex_find */
	const char *sha256;			/* pv_pkgindex_holds */
	uint64_t size;
	bool found;
	struct pv_error *err;
};

static int read_entry(const struct pv_stanza *s, struct lookup *l)
{
	const char *filename = pv_stanza_get(s, "Filename");
	const char *sha256 = pv_stanza_get(s, "SHA256");
	const char *size = pv_stanza_get(s, "Size");
	uint64_t bytes;

	if (!filename || !sha256 || !size || !pv_url_path_ok(filename) || !pv_digest_valid(sha256) ||
	    pv_parse_u64(size, 1, INT64_MAX, &bytes) < 0)
		return pv_error_set(l->err, PV_ERR_ARCHIVE,
				    "package %s: bad Filename, SHA256 or Size in the index", l->package);
	l->entry->filename = pv_xstrdup(filename);
	memcpy(l->entry->sha256, sha256, PV_SHA256_HEX);
	l->entry->size = bytes;
	l->found = true;
	return 1;
}

static int on_stanza(void *ctx, const struct pv_stanza *s)
{
	struct lookup *l = ctx;
	const char *sha256, *size;
	uint64_t bytes;

	if (!pv_streq(pv_stanza_get(s, "Package"), l->package))
		return 0;
	if (l->entry)
		return read_entry(s, l);
	sha256 = pv_stanza_get(s, "SHA256");
	size = pv_stanza_get(s, "Size");
	l->found = pv_streq(sha256, l->sha256) && size && pv_parse_u64(size, 1, INT64_MAX, &bytes) == 0 &&
		   bytes == l->size;
	return l->found;
}

int pv_pkgindex_find(const char *packages_path, const char *package, struct pv_pkgindex_entry *ret,
		     struct pv_error *err)
{
	struct lookup l = { .package = package, .entry = ret, .err = err };

	if (pv_deb822_each_file(packages_path, on_stanza, &l, err) < 0)
		return -1;
	if (!l.found)
		return pv_error_set(err, PV_ERR_ARCHIVE, "the archive has no package %s", package);
	return 0;
}

int pv_pkgindex_holds(const char *packages_path, const char *package, const char *sha256, uint64_t size,
		      struct pv_error *err)
{
	struct lookup l = { .package = package, .sha256 = sha256, .size = size, .err = err };

	if (pv_deb822_each_file(packages_path, on_stanza, &l, err) < 0)
		return -1;
	return l.found;
}
