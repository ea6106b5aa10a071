/* SPDX-License-Identifier: Apache-2.0 */
/* A plan from a lock: no index is read, no resolver runs, and no archive is asked when the store has all packages. */
#include <string.h>

#include "lockfile.h"
#include "prepare_priv.h"

#define NAMES_IN_ERROR 5

static size_t list_missing(const struct pv_plan *plan, const struct pv_store *store, struct pv_strv *ret_names)
{
	size_t n = 0;

	for (size_t i = 0; i < plan->npackages; i++) {
		const struct pv_package *p = &plan->packages[i];

		if (pv_store_has(store, p->sha256, p->size))
			continue;
		if (n++ < NAMES_IN_ERROR)
			pv_strv_addf(ret_names, "%s %s", p->name, p->version);
	}
	return n;
}

/* As in the archive: the security suite has its own mirror, all others are on the main one. */
static int set_urls(const struct pv_prepared *ret, struct pv_plan *plan, struct pv_error *err)
{
	for (size_t i = 0; i < plan->npackages; i++) {
		struct pv_package *p = &plan->packages[i];
		const char *url = pv_streq(p->suite, plan->suite->security) ? ret->security : ret->mirror;

		if (!url)
			return pv_error_set(err, PV_ERR_RECIPE, "%s: %s is from %s, and security: none", ret->lock_path,
					    p->name, p->suite);
		p->base_url = pv_xstrdup(url);
	}
	return 0;
}

static int take_lock(struct pv_prepared *ret, struct pv_error *err)
{
	pv_autolockfile lock = { 0 };
	pv_autoresolution res = { 0 };

	if (pv_lockfile_read(ret->lock_path, &lock, err) < 0 ||
	    pv_lockfile_check(&lock, ret->lock_path, &ret->plan, err) < 0 ||
	    pv_prepare_epoch(&ret->plan, pv_lockfile_date(&lock), lock.stand_in, err) < 0)
		return -1;
	pv_lockfile_resolution(&lock, &res);
	ret->plan.locked = true;
	ret->plan.locked_tools = lock.tools;
	lock.tools = (struct pv_strv)PV_STRV_INIT;
	return pv_plan_set_packages(&ret->plan, &res, err);
}

int pv_prepare_locked(const struct pv_prepare_request *req, struct pv_prepared *ret, struct pv_error *err)
{
	pv_autostrv names = PV_STRV_INIT;

	if (take_lock(ret, err) < 0)
		return -1;
	size_t missing = list_missing(&ret->plan, req->store, &names);
	if (missing == 0)
		return 0;
	if (pv_fetch_offline(req->fetch)) {
		pv_autofree char *words = pv_strv_join(&names, ", ");

		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: %zu of %zu packages are not in the store (%s%s); build once "
				    "without --offline, or name a filled store with --cache", ret->plan.name, missing,
				    ret->plan.npackages, words, missing > NAMES_IN_ERROR ? ", ..." : "");
	}
	if (pv_prepare_mirrors(req->recipe, &ret->plan, ret, err) < 0)
		return -1;
	return set_urls(ret, &ret->plan, err);
}
