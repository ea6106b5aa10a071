/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a lock is one for this plan, and how one lock differs from another. */
#include <string.h>

#include "debversion.h"
#include "lockfile.h"

static int stale(const char *file, const struct pv_plan *plan, struct pv_error *err, const char *fmt, ...)
	PV_PRINTF(4, 5);
static int stale(const char *file, const struct pv_plan *plan, struct pv_error *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	pv_autofree char *words = pv_vfmt(fmt, ap);
	va_end(ap);
	return pv_error_set(err, PV_ERR_RECIPE,
			    "%s: %s; pvimg lock --update %s makes it anew, --no-lock does without it", file, words,
			    plan->name);
}

static bool has_suite(const struct pv_lockfile *lock, const char *name)
{
	for (size_t i = 0; i < lock->nsuites; i++)
		if (pv_streq(lock->suites[i].name, name))
			return true;
	return false;
}

/* A member of one list that the other lacks, or NULL. */
static const char *lacking(const struct pv_strv *in, const struct pv_strv *of)
{
	for (size_t i = 0; i < in->n; i++)
		if (!pv_strv_has(of, in->v[i]))
			return in->v[i];
	return NULL;
}

int pv_lockfile_check(const struct pv_lockfile *lock, const char *file, const struct pv_plan *plan, struct pv_error *err)
{
	const struct pv_suite *suite = plan->suite;
	char inputs[PV_SHA256_HEX];

	if (!pv_streq(lock->recipe, plan->name))
		return stale(file, plan, err, "is the lock of recipe %s", lock->recipe);
	if (!pv_streq(lock->distribution, suite->distribution) || !has_suite(lock, suite->codename))
		return stale(file, plan, err, "is a lock of %s %s, and %s %s is asked for", lock->distribution,
			     lock->suites[0].name, suite->distribution, suite->codename);
	const char *more = lacking(&plan->install_packages, &lock->asks);
	if (more)
		return stale(file, plan, err, "is stale: %s is asked for since", more);
	const char *less = lacking(&lock->asks, &plan->install_packages);
	if (less)
		return stale(file, plan, err, "is stale: %s is not asked for any more", less);
	pv_lockfile_inputs(plan, inputs);
	if (!pv_streq(lock->inputs, inputs))
		return stale(file, plan, err, "is stale: components, security, snapshot-date or pvimg's own table of the "
			     "suite changed since");
	return 0;
}

/* --- differences --- */

const char *pv_lock_change_name(enum pv_lock_change_kind kind)
{
	static const char *const names[] = {
		[PV_LOCK_ADDED] = "added", [PV_LOCK_REMOVED] = "removed", [PV_LOCK_UP] = "up", [PV_LOCK_DOWN] = "down",
		[PV_LOCK_CHANGED] = "changed",
	};
	return names[kind];
}

static void add_change(struct pv_lock_changes *changes, enum pv_lock_change_kind kind, const struct pv_package *before,
		       const struct pv_package *after)
{
	struct pv_lock_change c = { .kind = kind };

	if (before) {
		c.name = before->name;
		c.before = before->version;
	}
	if (after) {
		c.name = after->name;
		c.after = after->version;
		c.security = pv_ends(after->suite, "-security");
	}
	changes->v[changes->n++] = c;
}

/* Two of one name. */
static void compare(struct pv_lock_changes *changes, const struct pv_package *before, const struct pv_package *after)
{
	int way = pv_debversion_compare(after->version, before->version);

	if (way)
		add_change(changes, way > 0 ? PV_LOCK_UP : PV_LOCK_DOWN, before, after);
	else if (!pv_streq(before->sha256, after->sha256) || !pv_streq(before->version, after->version))
		add_change(changes, PV_LOCK_CHANGED, before, after);
}

void pv_lockfile_diff(const struct pv_lockfile *before, const struct pv_lockfile *after, struct pv_lock_changes *ret)
{
	size_t i = 0, j = 0;

	ret->n = 0;
	ret->v = pv_xcalloc(before->npackages + after->npackages + 1, sizeof(*ret->v));
	while (i < before->npackages && j < after->npackages) {
		const struct pv_package *a = &before->packages[i].package, *b = &after->packages[j].package;
		int order = strcmp(a->name, b->name);

		if (order < 0)
			add_change(ret, PV_LOCK_REMOVED, a, NULL);
		else if (order > 0)
			add_change(ret, PV_LOCK_ADDED, NULL, b);
		else
			compare(ret, a, b);
		i += order <= 0;
		j += order >= 0;
	}
	for (; i < before->npackages; i++)
		add_change(ret, PV_LOCK_REMOVED, &before->packages[i].package, NULL);
	for (; j < after->npackages; j++)
		add_change(ret, PV_LOCK_ADDED, NULL, &after->packages[j].package);
}

void pv_lock_changes_done(struct pv_lock_changes *changes)
{
	pv_freep(&changes->v);
	changes->n = 0;
}
