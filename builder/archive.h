/* SPDX-License-Identifier: Apache-2.0 */
/* An archive opened: its suites' InRelease files verified and fresh, its Packages indexes checked and in the store. */
#ifndef PV_ARCHIVE_H
#define PV_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "fetch.h"
#include "store.h"
#include "suite.h"
#include "text.h"

struct pv_archive_request {
	const struct pv_suite *suite;
	const char *mirror;		/* http:, https: or file: URL; may bear credentials */
	const char *security_mirror;	/* NULL: none wanted (security: none); may equal mirror */
	const struct pv_strv *components;	/* NULL or empty: the suite's default */
	const char *arch;		/* "amd64" */
	const char *keyring_option;	/* path, from --keyring or the recipe's keyring:; NULL: none */
	const struct pv_strv *trusted_keys;	/* the recipe's pins; NULL or empty: none (see keyring.h) */
	const char *keyring_host_path;	/* NULL: the suite table's; "": pretend there is none (tests) */
	const char *cache_dir;		/* freshness/ is below it */
	const char *work_dir;		/* must exist and outlive the archive: InRelease files, keyring */
	bool allow_older;		/* --allow-older, a lock or a snapshot: neither freshness nor Valid-Until is asked */
	int64_t now;			/* the true clock, not SOURCE_DATE_EPOCH */
};

/* One component of one suite, in the order main suite, updates, security; components in the request's order. */
struct pv_archive_index {
	char *base_url;			/* the mirror, without a slash at its end; may bear credentials */
	char *suite;			/* "bookworm-updates" */
	char *component;		/* "main" */
	char *inrelease_path;		/* as fetched, signature included, in work_dir; the same for all of a suite */
	char *release_path;		/* the signed text alone, as gpgv wrote it */
	char *packages_path;		/* uncompressed, in the store */
	uint64_t packages_size;
	char packages_sha256[65];	/* as Release says */
};

/* One suite, as its verified Release said. */
struct pv_archive_suite {
	char *name;
	char release_sha256[65];	/* of the signed text alone, as gpgv wrote it */
	int64_t date;
};

struct pv_archive {
	struct pv_archive_suite *suites;	/* main suite, updates, security */
	size_t nsuites;
	struct pv_archive_index *indexes;
	size_t n;
	int64_t newest_date;		/* newest Date of the suites: the image's epoch */
	char *keyring_path;		/* binary; for debootstrap --keyring */
	char *keyring_from;		/* for people: "/usr/share/...", "package ubuntu-keyring, pinned keys" */
	struct pv_strv signed_by;	/* primary fingerprints that were accepted, sorted, no repeats */
	char *origin, *label;		/* of the main suite's Release */
	char *codename, *version;
	bool stand_in;			/* the archive says that it is a test's */
};

/* Opens it: keyring, InRelease of each suite (verified, checked, fresh), Packages of each component. Freshness records
 * are raised at the very end, when all was good. Every missing suite is an error that names the way out. Errors:
 * PV_ERR_ARCHIVE, PV_ERR_HOST (no gpgv, no keyring); URLs in them bear no credentials. */
int pv_archive_open(const struct pv_archive_request *req, struct pv_store *store, struct pv_fetch *fetch,
		    pv_fetch_progress_fn *progress, void *ctx, struct pv_archive **ret, struct pv_error *err)
	PV_MUST_CHECK;
void pv_archive_free(struct pv_archive *a);
void pv_archive_freep(struct pv_archive **a);
#define pv_autoarchive __attribute__((cleanup(pv_archive_freep))) struct pv_archive

/* Where the security suite is when neither option, recipe nor the host's apt says: the same mirror (Ubuntu), or the
 * sibling path (Debian: .../debian becomes .../debian-security). NULL when the mirror's path does not end in the
 * distribution's name. The caller frees. */
char *pv_archive_security_url(const struct pv_suite *suite, const char *mirror);

#endif
