/* SPDX-License-Identifier: Apache-2.0 */
/* Decompresses .debs beside other work, on the processors that debootstrap and dpkg leave idle. */
#ifndef PV_REPACK_H
#define PV_REPACK_H

#include <stddef.h>
#include <stdint.h>

#include "digest.h"
#include "error.h"

struct pv_repack_job {
	char *from, *to;		/* owned */
	char from_sha256[PV_SHA256_HEX];	/* what `from` must be; else PV_ERR_ARCHIVE, and `from` is removed: a
					 * store object that was changed is fetched anew by the next run */
	char sha256[PV_SHA256_HEX];	/* of the result */
	uint64_t size;
};

struct pv_repack;

/* Begins with the jobs, which are taken over, in their order; folders of `to` exist. max: bytes of one result. Threads:
 * one a processor but `spare` of them, one at least and two at most, since each holds a decompressor's window. */
int pv_repack_start(struct pv_repack_job *jobs, size_t n, uint64_t max, unsigned spare, struct pv_repack **ret,
		    struct pv_error *err) PV_MUST_CHECK;

/* Waits for all of them; the first failure is the error. Afterwards the jobs' results may be read. */
int pv_repack_wait(struct pv_repack *r, struct pv_error *err) PV_MUST_CHECK;
const struct pv_repack_job *pv_repack_jobs(const struct pv_repack *r, size_t *ret_n);

/* Stops what runs (a started package is finished) and frees; NULL is fine. */
void pv_repack_free(struct pv_repack *r);

#endif
