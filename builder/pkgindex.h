/* SPDX-License-Identifier: Apache-2.0 */
/* Packages indexes: from what a Release file promises to a checked, uncompressed file in the store. */
#ifndef PV_PKGINDEX_H
#define PV_PKGINDEX_H

#include <stddef.h>
#include <stdint.h>

#include "digest.h"
#include "error.h"
#include "fetch.h"
#include "release.h"
#include "store.h"

#define PV_PKGINDEX_PACKED_MAX (128ull << 20)
#define PV_PKGINDEX_MAX (512ull << 20)	/* uncompressed */

struct pv_pkgindex_want {
	const char *base_url;		/* of the mirror; may bear credentials */
	const char *suite;		/* below dists/ */
	const char *component, *arch;
	const struct pv_release *release;
	char *path;			/* result: the uncompressed index in the store; owned by the want */
};

/* Fetches what the store lacks, all in parallel, smallest known compression first (zst, xz, gz, none), by-hash where the
 * Release offers it and by plain name where the mirror has no by-hash folder; uncompresses up to the declared
 * size and checks the declared SHA-256 of both forms. */
int pv_pkgindex_get(struct pv_pkgindex_want *wants, size_t n, struct pv_store *store, struct pv_fetch *fetch,
		    pv_fetch_progress_fn *progress, void *ctx, struct pv_error *err) PV_MUST_CHECK;

/* The first stanza of a package in an index: what a download needs, checked. */
struct pv_pkgindex_entry {
	char *filename;			/* passes pv_url_path_ok */
	char sha256[PV_SHA256_HEX];
	uint64_t size;
};
void pv_pkgindex_entry_done(struct pv_pkgindex_entry *e);
int pv_pkgindex_find(const char *packages_path, const char *package, struct pv_pkgindex_entry *ret,
		     struct pv_error *err) PV_MUST_CHECK;

/* Does any stanza of this package have this very digest and size? 1, 0, or -1 with *err. */
int pv_pkgindex_holds(const char *packages_path, const char *package, const char *sha256, uint64_t size,
		      struct pv_error *err) PV_MUST_CHECK;

#endif
