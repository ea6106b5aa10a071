/* SPDX-License-Identifier: Apache-2.0 */
/* From a recipe to a plan with its packages: by the lock beside it; without one finds the mirrors, opens the archive,
 * resolves. Writes to the store, to work_dir, and what Date a suite had (freshness.h). */
#ifndef PV_PREPARE_H
#define PV_PREPARE_H

#include "archive.h"
#include "fetch.h"
#include "plan.h"
#include "store.h"

struct pv_prepared {
	struct pv_plan plan;
	char *lock_path;			/* the lock that the plan is from; NULL: from the archive */
	struct pv_archive *archive;		/* NULL with a lock */
	char *mirror, *security;		/* security NULL: without; may bear credentials. Both NULL with a lock
						 * whose packages are all in the store */
	const char *mirror_from;		/* "recipe or option", "this host's apt", "debootstrap's default",
						 * "snapshot"; NULL: no mirror */
};

enum pv_lock_use {
	PV_LOCK_AUTO,				/* by the lock when there is one */
	PV_LOCK_DEMAND,				/* no lock is PV_ERR_RECIPE */
	PV_LOCK_IGNORE,
};

struct pv_prepare_request {
	const struct pv_recipe *recipe;
	const char *overlays_dir;
	const char *cache_dir, *work_dir;	/* work_dir exists and outlives the result */
	struct pv_store *store;
	struct pv_fetch *fetch;
	bool allow_older;
	enum pv_lock_use lock_use;
	pv_fetch_progress_fn *progress;		/* of the indexes; may be NULL */
	void *ctx;
};

/* Errors as of pv_archive_open, pv_resolve and pv_lockfile_check. With an offline `fetch`, a recipe without a lock and a
 * package that is not in the store are errors before anything is tried. PV_ERR_HOST when the clock is before the epoch, and
 * when nobody named a mirror and none of the distribution can be reached from here: the one line names both ways out. */
int pv_prepare(const struct pv_prepare_request *req, struct pv_prepared *ret, struct pv_error *err) PV_MUST_CHECK;

void pv_prepared_done(struct pv_prepared *p);
#define pv_autoprepared __attribute__((cleanup(pv_prepared_done))) struct pv_prepared

#endif
