/* SPDX-License-Identifier: Apache-2.0 */
/* The cache as a whole: how large it is, checking all of it, and removing what was of no use for longest. */
#ifndef PV_COLLECT_H
#define PV_COLLECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "store.h"

#define PV_CACHE_LIMIT (20ull << 30)	/* unless somebody says another */

struct pv_cache_part {
	size_t n;
	uint64_t bytes;			/* as they lie on the disk */
};
struct pv_cache_size {
	struct pv_cache_part packages;	/* .debs, indexes and all that no record names */
	struct pv_cache_part trees;	/* objects of stages, one a record */
	struct pv_cache_part results;	/* records of images */
	struct pv_cache_part dom0s;	/* with what they saved */
};

/* Counts; a folder that is not there is empty. */
int pv_cache_measure(const char *cache_dir, struct pv_cache_size *ret, struct pv_error *err) PV_MUST_CHECK;

/* Removes a dom0; *ret_busy: a verification holds its folder (dom0.h), and it stays. */
int pv_cache_remove_dom0(const char *folder, bool *ret_busy, struct pv_error *err) PV_MUST_CHECK;

/* Removes what was of no use for longest until at most `limit` bytes are left. *ret_busy: a build uses the cache, and nothing
 * was done; a dom0 that is in use just stays. The freed bytes count as the disk counts. */
int pv_cache_collect(const char *cache_dir, uint64_t limit, bool *ret_busy, struct pv_cache_part *ret_freed,
		     struct pv_error *err) PV_MUST_CHECK;

/* Hashes every object; a bad one is removed and counted in *ret_bad, and so is the record of one that is missing. Builds may
 * run meanwhile; who collects may not (PV_ERR_STAGE). */
int pv_cache_verify(const char *cache_dir, struct pv_cache_part *ret_good, size_t *ret_bad, struct pv_error *err)
	PV_MUST_CHECK;

#endif
