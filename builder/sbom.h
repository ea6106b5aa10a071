/* SPDX-License-Identifier: Apache-2.0 */
/* Bills of materials of an image, from its manifest: SPDX 2.3 (spdx.github.io/spdx-spec/v2.3) and CycloneDX 1.5. Artifacts:
 * their times are the epoch, their ids derive from the image's digest and the epoch. */
#ifndef PV_SBOM_H
#define PV_SBOM_H

#include "digest.h"
#include "error.h"

struct json_t;

/* 0 when the manifest (pvimg.manifest/1) has all that a bill needs, in the right types. PV_ERR_STAGE. path: for errors. */
int pv_sbom_check_manifest(const char *path, const struct json_t *manifest, struct pv_error *err) PV_MUST_CHECK;

/* The whole files' texts; the manifest is one that the check above took. The caller frees. */
char *pv_sbom_spdx(const struct json_t *manifest, const char image_sha256[PV_SHA256_HEX]);
char *pv_sbom_cyclonedx(const struct json_t *manifest, const char image_sha256[PV_SHA256_HEX]);

/* What the bill says it is of; NULL: nothing. Borrowed from the document. */
const char *pv_sbom_spdx_subject(const struct json_t *document);
const char *pv_sbom_cyclonedx_subject(const struct json_t *document);

/* pkg:deb/debian/NAME@VERSION?arch=ARCH&distro=SUITE (package-url's purl specification, type deb). The caller frees. */
char *pv_sbom_purl(const char *distribution, const char *name, const char *version, const char *arch, const char *suite);

/* "2026-11-23T00:00:00Z"; the caller frees. */
char *pv_sbom_time(long long epoch);

#endif
