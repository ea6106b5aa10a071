/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs and manifests of one repository of an OCI registry, by libcurl. */
#ifndef PV_REGISTRY_H
#define PV_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "digest.h"
#include "error.h"
#include "text.h"

/* The distribution protocol (https://github.com/opencontainers/distribution-spec/blob/main/spec.md), monolithic uploads,
 * Basic and Bearer authentication (https://distribution.github.io/distribution/spec/auth/token/). Nothing is tried twice.
 * Certificates are checked by the system's authorities; redirections are followed from https to https only, and never with
 * a body. A server's answer is hostile: every one has a bound, every blob is hashed as it comes. Errors are PV_ERR_ARCHIVE
 * (the server), PV_ERR_STAGE (the local disk), or an interruption. */
struct pv_registry;

/* url: https://HOST[:PORT]/REPOSITORY; http for loopback addresses only; without user and password. credentials:
 * "user:password" or NULL; copied, never shown. PV_ERR_USAGE. */
int pv_registry_new(const char *url, const char *credentials, struct pv_registry **ret, struct pv_error *err) PV_MUST_CHECK;
void pv_registry_free(struct pv_registry *registry);		/* NULL is fine */
void pv_registry_freep(struct pv_registry **registry);
#define pv_autoregistry __attribute__((cleanup(pv_registry_freep))) struct pv_registry

/* tag: [a-z0-9-]{1,128}. *ret_found false: the registry has none. */
int pv_registry_manifest(struct pv_registry *registry, const char *tag, const char *type, size_t max, struct pv_str *ret,
			 bool *ret_found, struct pv_error *err) PV_MUST_CHECK;
/* A blob of exactly that digest and size, into memory or at the beginning of an empty file. */
int pv_registry_blob(struct pv_registry *registry, const char *sha256, uint64_t size, struct pv_str *ret, struct pv_error *err)
	PV_MUST_CHECK;
int pv_registry_blob_file(struct pv_registry *registry, const char *sha256, uint64_t size, int fd, struct pv_error *err)
	PV_MUST_CHECK;

/* Uploads what the registry does not have yet: from memory, or the file behind fd when data is NULL. */
int pv_registry_push_blob(struct pv_registry *registry, const char *sha256, uint64_t size, const void *data, int fd,
			  struct pv_error *err) PV_MUST_CHECK;
int pv_registry_push_manifest(struct pv_registry *registry, const char *tag, const char *type, const char *text,
			      struct pv_error *err) PV_MUST_CHECK;

#endif
