/* SPDX-License-Identifier: Apache-2.0 */
/* What says in a remote cache that an object is a stage's result: the record, which is signed, and the manifest that leads to
 * record and signature. */
#ifndef PV_CACHERECORD_H
#define PV_CACHERECORD_H

#include <stddef.h>
#include <stdint.h>

#include "cachekey.h"
#include "digest.h"
#include "error.h"

/* A record is JSON (schema pvimg.cache-record/1); its very bytes are signed. It bears the stage and the digest of the stage's
 * key, since a blob's digest does not tell what the blob is of. */
#define PV_CACHERECORD_MAX ((size_t)4 << 20)
#define PV_CACHERECORD_OBJECT_MAX ((uint64_t)64 << 30)
struct pv_cacherecord {
	char *stage;			/* [a-z]{1,32} */
	char key[PV_SHA256_HEX];
	struct pv_cachekey seen;	/* as in objects.h */
	char sha256[PV_SHA256_HEX];	/* the object's */
	uint64_t size;			/* from 1 to PV_CACHERECORD_OBJECT_MAX */
};
void pv_cacherecord_done(struct pv_cacherecord *record);
#define pv_autocacherecord __attribute__((cleanup(pv_cacherecord_done))) struct pv_cacherecord

/* The caller frees. */
char *pv_cacherecord_text(const struct pv_cacherecord *record);
/* Hostile input: whatever is not exactly such a record is PV_ERR_ARCHIVE. */
int pv_cacherecord_parse(const char *text, size_t len, struct pv_cacherecord *ret, struct pv_error *err) PV_MUST_CHECK;

/* An OCI image manifest (https://github.com/opencontainers/image-spec/blob/main/manifest.md): the record is its config, the
 * signature its first layer, the object its second, so that the registry keeps all three as long as the manifest. */
#define PV_CACHEMANIFEST_MAX ((size_t)64 << 10)
#define PV_CACHEMANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"
#define PV_CACHEMANIFEST_SIGNATURE_MAX ((uint64_t)64 << 10)
struct pv_cacheblob {
	char sha256[PV_SHA256_HEX];
	uint64_t size;
};
struct pv_cachemanifest {
	struct pv_cacheblob record, signature, object;
};
/* The caller frees. */
char *pv_cachemanifest_text(const struct pv_cachemanifest *manifest);
/* Hostile input: sizes are from 1 to the bounds above. PV_ERR_ARCHIVE. */
int pv_cachemanifest_parse(const char *text, size_t len, struct pv_cachemanifest *ret, struct pv_error *err) PV_MUST_CHECK;

#endif
