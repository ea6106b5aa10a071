/* SPDX-License-Identifier: Apache-2.0 */
/* Lays out the planned archive. */
#include "planned.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "digest.h"
#include "fsutil.h"

static int write_packages(const char *path, const struct pv_aptree_index *indexes, size_t nindexes,
			  const struct pv_aptree_deb *debs, size_t ndebs, struct pv_error *err)
{
	pv_autofclose FILE *out = fopen(path, "wxe");

	if (!out)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot make", path);
	for (size_t i = 0; i < nindexes; i++)
		if (pv_aptree_filter(out, indexes[i].packages_path, debs, ndebs, err) < 0)
			return -1;
	if (fflush(out) != 0 || ferror(out))
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot write", path);
	return 0;
}

/* RFC 5322 with UTC, as apt and debootstrap want it: "Sat, 22 Nov 2026 13:30:00 UTC". */
static char *release_date(int64_t epoch)
{
	char text[64];
	time_t when = (time_t)epoch;
	struct tm tm;

	gmtime_r(&when, &tm);
	strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S UTC", &tm);
	return pv_xstrdup(text);
}

static int write_release(const struct pv_plan *plan, const char *suite_dir, const char *packages,
			 struct pv_error *err)
{
	char hex[PV_SHA256_HEX];
	uint64_t size;
	pv_autofree char *path = pv_path_join(suite_dir, "Release");
	pv_autofree char *date = release_date(plan->epoch);

	if (pv_digest_file(packages, hex, &size, err) < 0)
		return -1;
	/* The list of digests is not the last field: debootstrap 1.0.128 loses the last line of an InRelease. */
	pv_autofree char *text = pv_fmt("Origin: %s\nLabel: %s\nSuite: %s\nCodename: %s\nDate: %s\n"
					"SHA256:\n %s %llu %s/binary-%s/Packages\n"
					"Architectures: %s\nComponents: %s\n",
					plan->suite->origin, plan->suite->origin, plan->suite->codename,
					plan->suite->codename, date, hex, (unsigned long long)size,
					PV_PLANNED_COMPONENT, plan->arch, plan->arch, PV_PLANNED_COMPONENT);
	return pv_write_file(path, text, strlen(text), 0644, err);
}

int pv_planned_archive(const struct pv_plan *plan, const struct pv_aptree_index *indexes, size_t nindexes,
		       const struct pv_store *store, const char *dir, struct pv_error *err)
{
	pv_autofree struct pv_aptree_deb *debs = pv_xcalloc(plan->npackages, sizeof(*debs));
	pv_autofree char *suite_dir = pv_fmt("%s/dists/%s", dir, plan->suite->codename);
	pv_autofree char *binary = pv_fmt("%s/%s/binary-%s", suite_dir, PV_PLANNED_COMPONENT, plan->arch);
	pv_autofree char *packages = pv_path_join(binary, "Packages");

	for (size_t i = 0; i < plan->npackages; i++)
		debs[i] = (struct pv_aptree_deb){ plan->packages[i].filename, plan->packages[i].sha256,
						  plan->packages[i].size };
	if (pv_aptree_archive(dir, plan->arch, NULL, 0, debs, plan->npackages, store, err) < 0 ||
	    pv_mkdirs(binary, 0755, err) < 0)
		return -1;
	if (write_packages(packages, indexes, nindexes, debs, plan->npackages, err) < 0)
		return -1;
	return write_release(plan, suite_dir, packages, err);
}
