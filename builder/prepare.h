/* SPDX-License-Identifier: Apache-2.0 */
/* From a recipe to a plan with its packages: finds the mirrors, opens the archive, resolves. Writes to the store and to
 * work_dir only. */
#ifndef PV_PREPARE_H
#define PV_PREPARE_H

#include "aptree.h"
#include "archive.h"
#include "fetch.h"
#include "plan.h"
#include "store.h"

struct pv_prepared {
	struct pv_plan plan;
	struct pv_archive *archive;
	struct pv_aptree_index *indexes;	/* the archive's, borrowed strings */
	size_t nindexes;
	char *mirror, *security;		/* security NULL: without; may bear credentials */
	const char *mirror_from;		/* "recipe or option", "this host's apt", "debootstrap's default" */
};

struct pv_prepare_request {
	const struct pv_recipe *recipe;
	const char *overlays_dir;
	const char *cache_dir, *work_dir;	/* work_dir exists and outlives the result */
	struct pv_store *store;
	struct pv_fetch *fetch;
	bool allow_older;
	pv_fetch_progress_fn *progress;		/* of the indexes; may be NULL */
	void *ctx;
};

/* Errors as of pv_archive_open and pv_resolve; PV_ERR_HOST when nobody named a mirror and none of the distribution can
 * be reached from here: the one line names both ways out. */
int pv_prepare(const struct pv_prepare_request *req, struct pv_prepared *ret, struct pv_error *err) PV_MUST_CHECK;

void pv_prepared_done(struct pv_prepared *p);
#define pv_autoprepared __attribute__((cleanup(pv_prepared_done))) struct pv_prepared

#endif
