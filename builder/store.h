/* SPDX-License-Identifier: Apache-2.0 */
/* The content store: files named by their SHA-256, shared by all builds of a user and by several pvimg at once. */
#ifndef PV_STORE_H
#define PV_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "digest.h"
#include "error.h"

/* cache_dir/store/sha256/ab/HEX (mode 0444, complete and hashed when they appear) and cache_dir/store/tmp/, where
 * what is not whole yet lies: HEX.part (fetch.h goes on with it) and put.* (removed by an open when nobody else has
 * the store open, or after an hour). Everything that appears in sha256/ was renamed into it; nothing there is ever
 * written again. */
struct pv_store;

/* Makes the folders. PV_ERR_STAGE names the path. */
int pv_store_open(const char *cache_dir, struct pv_store **ret, struct pv_error *err) PV_MUST_CHECK;
/* *ret_busy: somebody has it open, and it stays. */
int pv_store_remove(const char *cache_dir, bool *ret_busy, struct pv_error *err) PV_MUST_CHECK;
void pv_store_free(struct pv_store *store);		/* NULL is fine */
void pv_store_freep(struct pv_store **store);
#define pv_autostore __attribute__((cleanup(pv_store_freep))) struct pv_store

/* Where the object is or would be; `sha256` is 64 lower-case hex digits (anything else is a caller's bug and ends
 * the program). The caller frees. */
char *pv_store_path(const struct pv_store *store, const char *sha256);
/* Where a download that is not whole yet lies. The caller frees. */
char *pv_store_part_path(const struct pv_store *store, const char *sha256);
/* store/tmp, for files that are to be adopted. Lives as long as the store. */
const char *pv_store_tmp(const struct pv_store *store);

/* A regular file of just that size is there. The digest was checked when it was written; pv_store_check does it
 * again. */
bool pv_store_has(const struct pv_store *store, const char *sha256, uint64_t size);

/* Reads the object and compares; what does not fit is removed and *ret_ok false. A missing one is not ok either. */
int pv_store_check(const struct pv_store *store, const char *sha256, bool *ret_ok, struct pv_error *err)
	PV_MUST_CHECK;

/* Puts bytes in; ret_hex (may be NULL) gets their digest. What is there already is not written again. */
int pv_store_put_mem(const struct pv_store *store, const void *data, size_t len, char ret_hex[PV_SHA256_HEX],
		     struct pv_error *err) PV_MUST_CHECK;

/* Copies a file in, hashing as it goes. `sha256` NULL: whatever it is; else another digest is PV_ERR_ARCHIVE and
 * nothing is kept. ret_hex may be NULL. */
int pv_store_put_file(const struct pv_store *store, const char *path, const char *sha256,
		      char ret_hex[PV_SHA256_HEX], struct pv_error *err) PV_MUST_CHECK;

/* Moves a file of store/tmp, whose digest and size the caller has checked while writing it, into place. */
int pv_store_adopt(const struct pv_store *store, const char *tmp_path, const char *sha256, struct pv_error *err)
	PV_MUST_CHECK;

/* PV_ERR_STAGE "store PATH: needs N MiB, M MiB free: ..." when the store's file system cannot take `bytes` more. */
int pv_store_need(const struct pv_store *store, uint64_t bytes, struct pv_error *err) PV_MUST_CHECK;

#endif
