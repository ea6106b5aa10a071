/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 by OpenSSL's EVP. */
#ifndef PV_DIGEST_H
#define PV_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

#define PV_SHA256_LEN 32
#define PV_SHA256_HEX 65		/* with its NUL */

struct pv_digest;			/* streaming */
struct pv_digest *pv_digest_new(void);
void pv_digest_add(struct pv_digest *d, const void *data, size_t len);
void pv_digest_hex(struct pv_digest *d, char ret_hex[PV_SHA256_HEX]);	/* ends it; add no more */
void pv_digest_raw(struct pv_digest *d, uint8_t ret[PV_SHA256_LEN]);	/* ends it; add no more */
void pv_digest_free(struct pv_digest *d);
void pv_digest_freep(struct pv_digest **d);
#define pv_autodigest __attribute__((cleanup(pv_digest_freep))) struct pv_digest

void pv_digest_mem(const void *data, size_t len, char ret_hex[PV_SHA256_HEX]);
/* A whole file, holes read as zeros. Asks for interruption. ret_size may be NULL. */
int pv_digest_file(const char *path, char ret_hex[PV_SHA256_HEX], uint64_t *ret_size, struct pv_error *err)
	PV_MUST_CHECK;
/* The same through a descriptor, from its beginning; its position means nothing afterwards. name: for errors. */
int pv_digest_fd(int fd, const char *name, char ret_hex[PV_SHA256_HEX], uint64_t *ret_size, struct pv_error *err)
	PV_MUST_CHECK;
/* 64 lower-case hex digits and nothing else. */
bool pv_digest_valid(const char *hex);

/* A version-8 UUID (RFC 9562, custom) from seed and purpose, so that ids are a function of the recipe. */
void pv_uuid_derive(const char *seed, const char *purpose, uint8_t ret[16]);
void pv_uuid_text(const uint8_t uuid[16], char ret[37]);

#endif
