/* SPDX-License-Identifier: Apache-2.0 */
/* What goes with an image so that a stranger can check it: bills of materials, provenance, SHA256SUMS, a signature. */
#ifndef PV_ATTEST_H
#define PV_ATTEST_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"
#include "signature.h"
#include "text.h"

#define PV_ATTEST_SPDX "sbom.spdx.json"
#define PV_ATTEST_CYCLONEDX "sbom.cdx.json"
#define PV_ATTEST_PROVENANCE "provenance.json"

/* Writes the four files into DIR, which has NAME.raw and manifest.json of one build, and removes signatures of an earlier
 * SHA256SUMS. With key (else NULL) it signs. Everything is hashed anew. Refused before anything is written: a verdict or a
 * report of another image (PV_ERR_DIFFERS). lock: NAME.lock's path or NULL; it goes into the provenance when its packages are
 * the manifest's. *ret_verified: whether there is a verdict. */
int pv_attest_make(const char *dir, const char *lock, const char *key, bool *ret_verified, struct pv_error *err) PV_MUST_CHECK;

/* The name in DIR's manifest; the caller frees. */
int pv_attest_name(const char *dir, char **ret, struct pv_error *err) PV_MUST_CHECK;

/* Signature first; only then the files. 0: the signature is good; ret_findings is empty when all files are those that were
 * signed and speak of the same image, else it says in one line each what is "changed", "missing", "extra" or "another image's".
 * PV_ERR_ARCHIVE: signature not good, or SHA256SUMS is none of pvimg's. Touches no network. */
int pv_attest_check(const char *dir, const struct pv_signature_trust *trust, char **ret_signer, size_t *ret_files,
		    struct pv_strv *ret_findings, struct pv_error *err) PV_MUST_CHECK;

#endif
