/* SPDX-License-Identifier: Apache-2.0 */
/* provenance.json: an in-toto Statement (v1) with a SLSA Provenance predicate (v1; slsa.dev/spec/v1.0/provenance) about a raw
 * image. A record. The verdict is a by-product of the run, its checks are annotations. */
#ifndef PV_PROVENANCE_H
#define PV_PROVENANCE_H

#include "digest.h"
#include "error.h"

struct json_t;

struct pv_provenance {
	const struct json_t *manifest;		/* pv_sbom_check_manifest took it */
	const char *image_sha256, *manifest_sha256;
	const struct json_t *verdict;		/* NULL: not verified */
	const char *verdict_sha256;
	const char *lock_sha256;		/* NULL: no lock, or one of other packages */
	const struct json_t *recipe;		/* "recipe" of the build's report; NULL: not known */
};

/* The file's text; the caller frees. */
char *pv_provenance_text(const struct pv_provenance *p);
/* The digest of its one subject, which has to have that name; NULL: something else. Borrowed. */
const char *pv_provenance_subject(const struct json_t *statement, const char *name);

#endif
