/* SPDX-License-Identifier: Apache-2.0 */
/* The digest of a disk: the SHA-256 over the SHA-256 of each chunk of 1 MiB (the last may be shorter), so that a hole costs
 * nothing and after a small change only what was written is read again. */
#ifndef PV_CHUNKS_H
#define PV_CHUNKS_H

#include <stddef.h>
#include <stdint.h>

#include "digest.h"
#include "error.h"

#define PV_CHUNK (1u << 20)
#define PV_CHUNKS_MAX (16u << 20)	/* of a disk of 16 TiB */

struct pv_chunks {
	uint8_t (*v)[PV_SHA256_LEN];
	size_t n;
	uint64_t size;			/* of the file */
};

/* Of a whole file. Asks for interruption. Frees nothing of *ret. */
int pv_chunks_file(const char *path, struct pv_chunks *ret, struct pv_error *err) PV_MUST_CHECK;
/* Of those chunks that [offset, offset + len) touches, again. */
int pv_chunks_again(struct pv_chunks *chunks, int fd, const char *path, uint64_t offset, uint64_t len,
		    struct pv_error *err) PV_MUST_CHECK;
void pv_chunks_digest(const struct pv_chunks *chunks, char ret[PV_SHA256_HEX]);
void pv_chunks_done(struct pv_chunks *chunks);
#define pv_autochunks __attribute__((cleanup(pv_chunks_done))) struct pv_chunks

#endif
