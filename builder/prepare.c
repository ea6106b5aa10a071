/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the mirrors, opening the archive, resolving the packages. */
#include "prepare.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hostapt.h"
#include "overlay.h"
#include "planvars.h"
#include "resolve.h"
#include "url.h"

#define INRELEASE_MAX ((size_t)4 << 20)

/* The mirror: the recipe's (an option is in there already), what this host's apt uses, debootstrap's default. */
static int find_mirror(const struct pv_recipe *recipe, const struct pv_suite *suite, const char *arch,
		       struct pv_prepared *ret, char **ret_host_security, struct pv_error *err)
{
	*ret_host_security = NULL;
	if (recipe->mirror) {
		ret->mirror = pv_xstrdup(recipe->mirror);
		ret->mirror_from = "recipe or option";
		return 0;
	}
	if (pv_hostapt_mirror(suite->distribution, suite->codename, &ret->mirror, ret_host_security, err) < 0)
		return -1;
	ret->mirror_from = "this host's apt";
	if (ret->mirror)
		return 0;
	ret->mirror_from = "debootstrap's default";
	return pv_hostapt_debootstrap_mirror(suite->codename, suite->debootstrap_script, arch, &ret->mirror, err);
}

/* Security updates come from where the recipe says; with a mirror of the host's apt from its security mirror; else
 * from the place beside the mirror. A host's security mirror is never mixed with another's packages. */
static int find_security(const struct pv_recipe *recipe, const struct pv_suite *suite, const char *host_security,
			 struct pv_prepared *ret, struct pv_error *err)
{
	if (pv_streq(recipe->security, "none"))
		return 0;
	if (recipe->security && !pv_streq(recipe->security, "auto"))
		ret->security = pv_xstrdup(recipe->security);
	else if (host_security)
		ret->security = pv_xstrdup(host_security);
	else
		ret->security = pv_archive_security_url(suite, ret->mirror);
	if (ret->security)
		return 0;
	pv_autofree char *shown = pv_url_redacted(ret->mirror);
	return pv_error_set(err, PV_ERR_ARCHIVE,
			    "%s: no security updates known beside %s: give --security URL, or --security none",
			    suite->security, shown);
}

static int no_archive(const struct pv_suite *suite, const char *cause, struct pv_error *err)
{
	static const char *const others[][2] = { { "ubuntu", "debian" }, { "debian", "ubuntu" } };
	const char *other = "debian";

	for (size_t i = 0; i < PV_COUNT(others); i++)
		if (pv_streq(others[i][0], suite->distribution))
			other = others[i][1];
	return pv_error_set(err, PV_ERR_HOST,
			    "%s %s: no archive of it can be reached from here (%s): give --mirror URL, or make the other "
			    "distribution's image: make image RECIPE=%s-2g", suite->distribution, suite->codename,
			    cause, other);
}

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
		.cache_dir = req->cache_dir, .work_dir = req->work_dir, .allow_older = req->allow_older,
		.now = (int64_t)time(NULL),
	};

	if (pv_archive_open(&want, req->store, req->fetch, req->progress, req->ctx, &ret->archive, err) == 0)
		return 0;
	if (err->kind == PV_ERR_ARCHIVE && !req->recipe->mirror && unreachable(req, suite, ret->mirror)) {
		pv_autofree char *cause = pv_steal(&err->text);
		pv_error_clear(err);
		return no_archive(suite, cause, err);
	}
	return -1;
}

static void list_indexes(struct pv_prepared *ret)
{
	const struct pv_archive *a = ret->archive;

	ret->indexes = pv_xcalloc(a->n, sizeof(*ret->indexes));
	ret->nindexes = a->n;
	for (size_t i = 0; i < a->n; i++)
		ret->indexes[i] = (struct pv_aptree_index){
			.base_url = a->indexes[i].base_url, .suite = a->indexes[i].suite,
			.component = a->indexes[i].component, .inrelease_path = a->indexes[i].inrelease_path,
			.packages_path = a->indexes[i].packages_path,
		};
}

static int resolve(const struct pv_prepare_request *req, struct pv_prepared *ret, struct pv_error *err)
{
	const struct pv_suite *suite = ret->plan.suite;
	const char *base_names[] = { suite->usr_is_merged, NULL };
	pv_autofree char *dir = pv_fmt("%s/resolve", req->work_dir);
	pv_autoresolution res = { 0 };
	const struct pv_resolve_request want = {
		.work_dir = dir, .arch = ret->plan.arch, .indexes = ret->indexes, .nindexes = ret->nindexes,
		.names = &ret->plan.install_packages, .base_names = base_names,
		.no_base = pv_recipe_is_dom0(req->recipe),
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

static int prepare(const struct pv_prepare_request *req, struct pv_prepared *ret, struct pv_error *err)
{
	pv_autofree char *host_security = NULL;

	if (pv_plan_make(req->recipe, &ret->plan, err) < 0)
		return -1;
	if (check_overlays(req, &ret->plan, err) < 0)
		return -1;
	const struct pv_suite *suite = ret->plan.suite;
	if (find_mirror(req->recipe, suite, ret->plan.arch, ret, &host_security, err) < 0)
		return -1;
	if (!ret->mirror)
		return no_archive(suite, "no mirror is known", err);
	if (find_security(req->recipe, suite, host_security, ret, err) < 0 || open_archive(req, ret, err) < 0)
		return -1;
	list_indexes(ret);
	if (pv_plan_set_epoch(&ret->plan, ret->archive->newest_date, ret->archive->stand_in, err) < 0)
		return -1;
	return resolve(req, ret, err);
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
	pv_freep(&p->indexes);
	pv_freep(&p->mirror);
	pv_freep(&p->security);
}
