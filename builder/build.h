/* SPDX-License-Identifier: Apache-2.0 */
/* One build: from a recipe to a folder with its results, which appears whole or not at all. */
#ifndef PV_BUILD_H
#define PV_BUILD_H

#include <stdbool.h>

#include "error.h"
#include "fetch.h"
#include "log.h"
#include "objects.h"
#include "plan.h"
#include "prepare.h"
#include "store.h"
#include "turns.h"

struct pv_cacheremote;
struct pv_report;
/* The last word on a result in folder `result`, before it gets its name: 0, or -1 and it is none. May write records there. */
typedef int pv_build_accept_fn(void *ctx, const char *result, struct pv_report *report, struct pv_error *err);

struct pv_build_request {
	const struct pv_recipe *recipe;
	const struct pv_paths *paths;		/* out_dir does not matter here */
	const char *dir;			/* made when missing */
	const char *name;			/* the result is dir/name; made in dir/.name.new under the lock dir/.name.lock;
						 * of a failed build dir/.failed/name keeps log and report; one
						 * that was not accepted with PV_ERR_VERDICT is there whole */
	struct pv_store *store;
	struct pv_fetch *fetch;
	struct pv_objects *objects;		/* NULL: nothing is kept or reused */
	struct pv_cacheremote *remote;		/* NULL: none */
	struct pv_turn *turn;			/* asked before the stages, and before accept; NULL: builds alone */
	struct pv_log *log;			/* its file is the result's build.log meanwhile, and none afterwards */
	bool allow_older;
	enum pv_lock_use lock_use;
	bool on_disk;				/* the tree is not kept in memory */
	bool no_wait;				/* another build of it is running: PV_ERR_STAGE, not waiting */
	pv_build_accept_fn *accept;		/* NULL: every result is fine */
	void *accept_ctx;
	bool keep;				/* a result that is there by the time the lock is ours will do */
};

/* Needs pv_ns_enter. Errors as of pv_prepare and the stages; what was there under the name stays then. */
int pv_build(const struct pv_build_request *req, struct pv_error *err) PV_MUST_CHECK;

/* What several builds of one run share: the store, and transfers with the proxies of this host's apt. Sweeps what gone
 * builds left in the cache (a failure is logged). */
int pv_build_begin(const struct pv_paths *paths, unsigned jobs, struct pv_log *log, struct pv_store **ret_store,
		   struct pv_fetch **ret_fetch, struct pv_error *err) PV_MUST_CHECK;

#endif
