/* SPDX-License-Identifier: Apache-2.0 */
/* What a lock is made of and what is made of it: from plan and archive, to its text, to a resolution. */
#include "lockfile.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fsutil.h"

#define YAML ".yaml"

void pv_lockfile_done(struct pv_lockfile *lock)
{
	pv_freep(&lock->recipe);
	pv_freep(&lock->distribution);
	pv_freep(&lock->arch);
	pv_freep(&lock->components);
	pv_freep(&lock->snapshot);
	pv_strv_done(&lock->tools);
	pv_strv_done(&lock->asks);
	for (size_t i = 0; i < lock->nsuites; i++)
		free(lock->suites[i].name);
	free(lock->suites);
	for (size_t i = 0; i < lock->npackages; i++)
		pv_package_done(&lock->packages[i].package);
	free(lock->packages);
	memset(lock, 0, sizeof(*lock));
}

char *pv_lockfile_path(const struct pv_recipe *recipe)
{
	size_t len = strlen(recipe->path);

	if (pv_ends(recipe->path, YAML))
		len -= strlen(YAML);
	return pv_fmt("%.*s.lock", (int)len, recipe->path);
}

int pv_lockfile_read(const char *path, struct pv_lockfile *ret, struct pv_error *err)
{
	pv_autofree char *text = NULL;
	size_t len;

	if (pv_read_file(path, PV_LOCKFILE_MAX, &text, &len, err) < 0)
		return -1;
	return pv_lockfile_parse(path, text, len, ret, err);
}

int64_t pv_lockfile_date(const struct pv_lockfile *lock)
{
	int64_t newest = 0;

	for (size_t i = 0; i < lock->nsuites; i++)
		if (lock->suites[i].date > newest)
			newest = lock->suites[i].date;
	return newest;
}

/* --- to text --- */

static void add_suite(struct pv_str *out, const struct pv_archive_suite *suite)
{
	char date[32];
	time_t when = (time_t)suite->date;
	struct tm tm;

	gmtime_r(&when, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &tm);
	pv_str_addf(out, "suite %s %s %s\n", suite->name, suite->release_sha256, date);
}

static void add_package(struct pv_str *out, const struct pv_lock_package *lp)
{
	const struct pv_package *p = &lp->package;

	pv_str_addf(out, "package %s %s %s %llu %s %s %s %llu %s %s\n", p->name, p->version, p->arch,
		    (unsigned long long)p->size, p->sha256, p->filename, p->suite, (unsigned long long)p->installed_kib,
		    p->priority, lp->base ? "base" : "more");
}

char *pv_lockfile_text(const struct pv_lockfile *lock)
{
	struct pv_str out = PV_STR_INIT;

	pv_str_addf(&out, "pvimg-lock " PV_LOCKFILE_VERSION "\nrecipe %s\ndistribution %s\narchitecture %s\narchive %s\n"
		    "components %s\nsecurity %s\n", lock->recipe, lock->distribution, lock->arch,
		    lock->stand_in ? "stand-in" : "distribution", lock->components, lock->security ? "yes" : "no");
	if (lock->snapshot)
		pv_str_addf(&out, "snapshot %s\n", lock->snapshot);
	pv_str_addf(&out, "inputs %s\n", lock->inputs);
	for (size_t i = 0; i < lock->tools.n; i++)
		pv_str_addf(&out, "tool %s\n", lock->tools.v[i]);
	for (size_t i = 0; i < lock->asks.n; i++)
		pv_str_addf(&out, "ask %s\n", lock->asks.v[i]);
	for (size_t i = 0; i < lock->nsuites; i++)
		add_suite(&out, &lock->suites[i]);
	for (size_t i = 0; i < lock->npackages; i++)
		add_package(&out, &lock->packages[i]);
	return pv_str_steal(&out);
}

/* --- from a plan --- */

static char *components_of(const struct pv_plan *plan)
{
	pv_autostrv all = PV_STRV_INIT;

	if (plan->recipe->components.n > 0)
		pv_strv_add_all(&all, (const char *const *)plan->recipe->components.v);
	else
		pv_strv_add_all(&all, plan->suite->components);
	return pv_strv_join(&all, " ");
}

static bool wants_security(const struct pv_plan *plan)
{
	return plan->suite->security && !pv_streq(plan->recipe->security, "none");
}

static const char *or_none(const char *text)
{
	return text ? text : "-";
}

void pv_lockfile_inputs(const struct pv_plan *plan, char ret_hex[PV_SHA256_HEX])
{
	const struct pv_recipe *recipe = plan->recipe;
	pv_autofree char *components = components_of(plan);
	pv_autostr text = PV_STR_INIT;

	pv_str_addf(&text, "pvimg lock inputs " PV_LOCKFILE_VERSION "\n%s\n%s\n%s\n%s\n%s\n%s\n%s\n%s\n%s\n",
		    pv_recipe_is_dom0(recipe) ? "dom0" : "image", plan->suite->distribution, plan->suite->codename,
		    plan->arch, components, or_none(plan->suite->updates),
		    wants_security(plan) ? plan->suite->security : "-", or_none(plan->suite->usr_is_merged),
		    or_none(recipe->snapshot_date));
	for (size_t i = 0; i < plan->install_packages.n; i++)
		pv_str_addf(&text, "%s\n", plan->install_packages.v[i]);
	pv_digest_mem(pv_str_text(&text), text.len, ret_hex);
}

static int by_suite(const void *a, const void *b)
{
	return strcmp(((const struct pv_archive_suite *)a)->name, ((const struct pv_archive_suite *)b)->name);
}

static void copy_suites(const struct pv_archive *archive, struct pv_lockfile *ret)
{
	ret->suites = pv_xcalloc(archive->nsuites + 1, sizeof(*ret->suites));
	ret->nsuites = archive->nsuites;
	for (size_t i = 0; i < archive->nsuites; i++) {
		ret->suites[i] = archive->suites[i];
		ret->suites[i].name = pv_xstrdup(archive->suites[i].name);
	}
	qsort(ret->suites, ret->nsuites, sizeof(*ret->suites), by_suite);
}

void pv_lockfile_make(const struct pv_plan *plan, const struct pv_archive *archive, struct pv_lockfile *ret)
{
	*ret = (struct pv_lockfile){
		.recipe = pv_xstrdup(plan->name), .distribution = pv_xstrdup(plan->suite->distribution),
		.arch = pv_xstrdup(plan->arch), .components = components_of(plan),
		.snapshot = pv_xstrdup(plan->recipe->snapshot_date), .stand_in = archive->stand_in,
		.security = wants_security(plan),
	};
	pv_lockfile_inputs(plan, ret->inputs);
	pv_lockfile_tools(&ret->tools);
	for (size_t i = 0; i < plan->install_packages.n; i++)
		pv_strv_add(&ret->asks, plan->install_packages.v[i]);
	copy_suites(archive, ret);
	ret->packages = pv_xcalloc(plan->npackages + 1, sizeof(*ret->packages));
	ret->npackages = plan->npackages;
	for (size_t i = 0; i < plan->npackages; i++) {
		struct pv_package *p = &ret->packages[i].package;

		*p = pv_package_copy(&plan->packages[i]);
		pv_freep(&p->base_url);
		p->requested = false;
		ret->packages[i].base = pv_plan_in_base(plan, p->name);
	}
}

/* --- to a plan --- */

void pv_lockfile_resolution(const struct pv_lockfile *lock, struct pv_resolution *ret)
{
	*ret = (struct pv_resolution){
		.packages = pv_xcalloc(lock->npackages + 1, sizeof(*ret->packages)), .npackages = lock->npackages,
		.base = pv_xcalloc(lock->npackages + 1, sizeof(*ret->base)),
	};
	for (size_t i = 0; i < lock->npackages; i++) {
		const struct pv_lock_package *lp = &lock->packages[i];

		ret->packages[i] = pv_package_copy(&lp->package);
		ret->packages[i].requested = pv_strv_has(&lock->asks, lp->package.name);
		if (!lp->base)
			continue;
		ret->base[ret->nbase] = pv_package_copy(&lp->package);
		ret->base[ret->nbase++].requested = ret->packages[i].requested;
	}
}
