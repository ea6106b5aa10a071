/* SPDX-License-Identifier: Apache-2.0 */
/* Stage unpack: the files of every planned .deb into the tree. Nothing is installed: no dpkg, no maintainer script. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "debtree.h"
#include "stage.h"

/* No package of a dom0 has more: the kernel's has 400 MiB. */
#define PACKAGE_MAX (2ull << 30)

/* What a dom0 in memory never reads. Licenses stay: they go into the manifest. */
static bool wanted(const char *path)
{
	static const char *const unwanted[] = {
		"usr/share/man/", "usr/share/info/", "usr/share/locale/", "usr/share/iso-codes/", "usr/share/xml/",
		"usr/share/lintian/", "usr/lib/python3", "usr/share/python3/",
	};

	if (pv_starts(path, "usr/share/doc/"))
		return pv_ends(path, "/copyright");
	for (size_t i = 0; i < PV_COUNT(unwanted); i++)
		if (pv_starts(path, unwanted[i]))
			return false;
	return true;
}

static int unpack(struct pv_run *run, const struct pv_package *p, const struct pv_debtree_options *options,
		  struct pv_error *err)
{
	pv_autofree char *deb = pv_store_path(run->store, p->sha256);
	bool ok;

	if (pv_store_check(run->store, p->sha256, &ok, err) < 0)
		return -1;
	if (!ok)
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: damaged in the store and removed; run again", p->name);
	if (pv_debtree_unpack(deb, run->root, options, err) < 0)
		return pv_error_wrap(err, "%s", p->name);
	return 0;
}

int pv_stage_unpack(struct pv_run *run, struct pv_error *err)
{
	const struct pv_plan *plan = run->plan;
	const struct pv_debtree_options options = { .max_bytes = PACKAGE_MAX, .owned_by_root = true, .wanted = wanted };
	uint64_t done = 0;

	if (pv_debtree_begin(run->root, &options, err) < 0)
		return -1;
	for (size_t i = 0; i < plan->npackages; i++) {
		pv_log_stage_progress(run->log, done, plan->download_bytes, "bytes");
		if (unpack(run, &plan->packages[i], &options, err) < 0)
			return -1;
		done += plan->packages[i].size;
	}
	pv_log_stage_progress(run->log, done, plan->download_bytes, "bytes");
	return 0;
}
