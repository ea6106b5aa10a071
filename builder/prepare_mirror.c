/* SPDX-License-Identifier: Apache-2.0 */
/* Where packages come from: a snapshot, or the mirror and the security mirror that recipe, host or debootstrap name. */
#include <string.h>

#include "hostapt.h"
#include "prepare_priv.h"
#include "recipe_keys.h"
#include "url.h"

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

int pv_prepare_no_archive(const struct pv_suite *suite, const char *cause, struct pv_error *err)
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

/* A snapshot is that or nothing: what could bring packages of another day is refused. */
static int find_snapshot(const struct pv_recipe *recipe, const struct pv_suite *suite, struct pv_prepared *ret,
			 struct pv_error *err)
{
	const char *sibling = suite->security_sibling;
	bool none = pv_streq(recipe->security, "none");

	if (!recipe->snapshot || !recipe->snapshot_date)
		return pv_error_set(err, PV_ERR_RECIPE, "%s: snapshot and snapshot-date are given together or not at all; "
				    "%s is missing", recipe->name, recipe->snapshot ? "snapshot-date" : "snapshot");
	if (recipe->mirror)
		return pv_error_set(err, PV_ERR_RECIPE, "%s: mirror and snapshot are both given; leave one out",
				    recipe->name);
	if (!none && recipe->security && !pv_streq(recipe->security, "auto"))
		return pv_error_set(err, PV_ERR_RECIPE,
				    "%s: with a snapshot, security: is auto or none; another URL is not of that day",
				    recipe->name);
	if (!none && sibling && !strstr(recipe->snapshot, PV_SNAPSHOT_ARCHIVE))
		return pv_error_set(err, PV_ERR_RECIPE,
				    "%s: snapshot: %s has security updates in an archive of their own: put "
				    PV_SNAPSHOT_ARCHIVE " where %s and %s differ, or say security: none", recipe->name,
				    suite->distribution, suite->distribution, sibling);
	ret->mirror = pv_recipe_snapshot_url(recipe->snapshot, recipe->snapshot_date, suite->distribution);
	if (!none)
		ret->security = pv_recipe_snapshot_url(recipe->snapshot, recipe->snapshot_date,
						       sibling ? sibling : suite->distribution);
	ret->mirror_from = "snapshot";
	return 0;
}

int pv_prepare_mirrors(const struct pv_recipe *recipe, const struct pv_plan *plan, struct pv_prepared *ret,
		       struct pv_error *err)
{
	pv_autofree char *host_security = NULL;

	if (recipe->snapshot || recipe->snapshot_date)
		return find_snapshot(recipe, plan->suite, ret, err);
	if (find_mirror(recipe, plan->suite, plan->arch, ret, &host_security, err) < 0)
		return -1;
	if (!ret->mirror)
		return pv_prepare_no_archive(plan->suite, "no mirror is known", err);
	return find_security(recipe, plan->suite, host_security, ret, err);
}
