/* SPDX-License-Identifier: Apache-2.0 */
/* A plan from the lock, or from the archive as it is today: opened, its packages resolved. */
#include "prepare.h"

#include <string.h>
#include <time.h>

#include "aptree.h"
#include "fsutil.h"
#include "lockfile.h"
#include "overlay.h"
#include "planvars.h"
#include "prepare_priv.h"
#include "recipe_keys.h"
#include "resolve.h"
#include "url.h"

#define INRELEASE_MAX ((size_t)4 << 20)

/* True when the mirror does not even hand out its InRelease. */
static bool unreachable(const struct pv_prepare_request *req, const struct pv_suite *suite, const char *mirror)
{
	pv_autofree char *url = pv_fmt("%s/dists/%s/InRelease", mirror, suite->codename);
	pv_autostr text = PV_STR_INIT;
	pv_autoerror ignored = PV_ERROR_INIT;

	return pv_fetch_mem(req->fetch, url, INRELEASE_MAX, &text, &ignored) < 0 && ignored.kind == PV_ERR_ARCHIVE;
}

static int open_archive(const struct pv_prepare_request *req, struct pv_prepared *ret, struct pv_error *err)
{
	const struct pv_suite *suite = ret->plan.suite;
	const struct pv_archive_request want = {
		.suite = suite, .mirror = ret->mirror, .security_mirror = ret->security,
		.components = &req->recipe->components, .arch = ret->plan.arch,
		.keyring_option = req->recipe->keyring,
		/* Pins say whom to trust where nobody hands us a keyring; a keyring that is given speaks for itself. */
		.trusted_keys = req->recipe->keyring ? NULL : &req->recipe->trusted_keys,
		.cache_dir = req->cache_dir, .work_dir = req->work_dir,
		.allow_older = req->allow_older || req->recipe->snapshot,
		.now = (int64_t)time(NULL),
	};

	if (pv_archive_open(&want, req->store, req->fetch, req->progress, req->ctx, &ret->archive, err) == 0)
		return 0;
	if (err->kind == PV_ERR_ARCHIVE && !req->recipe->mirror && !req->recipe->snapshot &&
	    unreachable(req, suite, ret->mirror)) {
		pv_autofree char *cause = pv_steal(&err->text);
		pv_error_clear(err);
		return pv_prepare_no_archive(suite, cause, err);
	}
	return -1;
}

/* A server that gives another day than it was asked for is not believed. */
static int check_snapshot(const struct pv_prepare_request *req, const struct pv_prepared *ret, struct pv_error *err)
{
	const char *date = req->recipe->snapshot_date;
	struct tm tm = { 0 };

	if (!date || !strptime(date, PV_SNAPSHOT_FORMAT, &tm))
		return 0;
	for (size_t i = 0; i < ret->archive->nsuites; i++) {
		const struct pv_archive_suite *suite = &ret->archive->suites[i];

		if (suite->date <= (int64_t)timegm(&tm))
			continue;
		pv_autofree char *shown = pv_url_redacted(ret->mirror);
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: its %s is newer than the snapshot of %s that was asked for",
				    shown, suite->name, date);
	}
	return 0;
}

static int resolve(const struct pv_prepare_request *req, struct pv_prepared *ret, struct pv_error *err)
{
	const struct pv_suite *suite = ret->plan.suite;
	const struct pv_archive *a = ret->archive;
	const char *base_names[] = { suite->usr_is_merged, NULL };
	pv_autofree char *dir = pv_fmt("%s/resolve", req->work_dir);
	pv_autofree struct pv_aptree_index *indexes = pv_xcalloc(a->n + 1, sizeof(*indexes));
	pv_autoresolution res = { 0 };
	const struct pv_resolve_request want = {
		.work_dir = dir, .arch = ret->plan.arch, .indexes = indexes, .nindexes = a->n,
		.names = &ret->plan.install_packages, .base_names = base_names,
		.no_base = pv_recipe_is_dom0(req->recipe),
	};

	for (size_t i = 0; i < a->n; i++)
		indexes[i] = (struct pv_aptree_index){
			.base_url = a->indexes[i].base_url, .suite = a->indexes[i].suite,
			.component = a->indexes[i].component, .inrelease_path = a->indexes[i].inrelease_path,
			.packages_path = a->indexes[i].packages_path,
		};
	if (pv_resolve(&want, &res, err) < 0)
		return pv_error_wrap(err, "%s", ret->plan.name);
	return pv_plan_set_packages(&ret->plan, &res, err);
}

/* Overlays are checked before anything is fetched: with ids of some epoch, since only the names matter here. */
static int check_overlays(const struct pv_prepare_request *req, const struct pv_plan *plan, struct pv_error *err)
{
	struct pv_vars vars = { 0 };

	if (pv_recipe_is_dom0(req->recipe))
		return 0;
	pv_plan_vars(plan, &vars);
	int rc = pv_overlay_check(req->overlays_dir, &req->recipe->overlays, &vars, err);
	pv_vars_done(&vars);
	return rc;
}

int pv_prepare_epoch(struct pv_plan *plan, int64_t newest_date, bool stand_in, struct pv_error *err)
{
	int64_t now = (int64_t)time(NULL);

	if (pv_plan_set_epoch(plan, newest_date, stand_in, err) < 0)
		return -1;
	if (now >= plan->epoch)
		return 0;
	return pv_error_set(err, PV_ERR_HOST, "this host's clock (%lld) is before the epoch of %s (%lld, %s): set the clock",
			    (long long)now, plan->name, (long long)plan->epoch,
			    plan->epoch == newest_date ? "the newest Date of its suites" : "SOURCE_DATE_EPOCH");
}

/* Whether there is a lock to go by; *ret its path then. */
static int find_lock(const struct pv_prepare_request *req, char **ret, struct pv_error *err)
{
	pv_autofree char *path = pv_lockfile_path(req->recipe);

	*ret = NULL;
	if (req->lock_use == PV_LOCK_IGNORE)
		return 0;
	if (pv_exists(path))
		*ret = pv_steal(&path);
	else if (req->lock_use == PV_LOCK_DEMAND)
		return pv_error_set(err, PV_ERR_RECIPE, "%s: is not there, and --locked demands it; pvimg lock %s makes it",
				    path, req->recipe->name);
	return 0;
}

static int prepare_unlocked(const struct pv_prepare_request *req, struct pv_prepared *ret, struct pv_error *err)
{
	if (pv_fetch_offline(req->fetch))
		return pv_error_set(err, PV_ERR_RECIPE, "%s: --offline needs a lock, else today's archive decides what is "
				    "installed; pvimg lock %s makes one", req->recipe->name, req->recipe->name);
	if (pv_prepare_mirrors(req->recipe, &ret->plan, ret, err) < 0 || open_archive(req, ret, err) < 0 ||
	    check_snapshot(req, ret, err) < 0 ||
	    pv_prepare_epoch(&ret->plan, ret->archive->newest_date, ret->archive->stand_in, err) < 0)
		return -1;
	return resolve(req, ret, err);
}

static int prepare(const struct pv_prepare_request *req, struct pv_prepared *ret, struct pv_error *err)
{
	if (pv_plan_make(req->recipe, &ret->plan, err) < 0 || check_overlays(req, &ret->plan, err) < 0 ||
	    find_lock(req, &ret->lock_path, err) < 0)
		return -1;
	return ret->lock_path ? pv_prepare_locked(req, ret, err) : prepare_unlocked(req, ret, err);
}

int pv_prepare(const struct pv_prepare_request *req, struct pv_prepared *ret, struct pv_error *err)
{
	memset(ret, 0, sizeof(*ret));
	if (prepare(req, ret, err) == 0)
		return 0;
	pv_prepared_done(ret);
	return -1;
}

void pv_prepared_done(struct pv_prepared *p)
{
	pv_plan_done(&p->plan);
	pv_archive_free(p->archive);
	p->archive = NULL;
	pv_freep(&p->lock_path);
	pv_freep(&p->mirror);
	pv_freep(&p->security);
}
