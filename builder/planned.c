/* SPDX-License-Identifier: Apache-2.0 */
/* Lays out the planned archive. */
#include "planned.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "deb822.h"
#include "digest.h"
#include "fsutil.h"

/* A planned package on its way into a Packages file. */
struct entry {
	const struct pv_package *package;
	const struct pv_repack_job *plain;	/* NULL: as the index has it */
};

struct filter {
	FILE *out;
	struct entry *v;			/* sorted by the package's digest */
	size_t n;
};

static int by_digest(const void *a, const void *b)
{
	const struct entry *ea = a, *eb = b;

	return strcmp(ea->package->sha256, eb->package->sha256);
}

/* The stanza with the new file's digest and size, and no other digest. */
static void print_plain(FILE *out, const struct pv_stanza *stanza, const struct pv_repack_job *plain)
{
	static const char *const old[] = { "Size", "MD5sum", "SHA1", "SHA256", "SHA512", NULL };

	pv_aptree_print_fields(out, stanza, old);
	fprintf(out, "Size: %llu\nSHA256: %s\n\n", (unsigned long long)plain->size, plain->sha256);
}

/* Two suites may have the same .deb under two names: only the planned one is printed. */
static int print_planned(void *ctx, const struct pv_stanza *stanza)
{
	struct filter *f = ctx;
	struct pv_package key = { 0 };
	const char *sha256 = pv_stanza_get(stanza, "SHA256");

	if (!sha256 || strlen(sha256) >= sizeof(key.sha256))
		return 0;
	memcpy(key.sha256, sha256, strlen(sha256) + 1);
	const struct entry wanted = { .package = &key };
	const struct entry *found = bsearch(&wanted, f->v, f->n, sizeof(*f->v), by_digest);
	if (!found || !pv_streq(found->package->filename, pv_stanza_get(stanza, "Filename")))
		return 0;
	if (found->plain)
		print_plain(f->out, stanza, found->plain);
	else
		pv_aptree_print(f->out, stanza);
	return 0;
}

/* Writes the stanzas of the entries; they end up sorted by digest. */
static int write_packages(const char *path, const struct pv_aptree_index *indexes, size_t nindexes,
			  struct entry *entries, size_t n, struct pv_error *err)
{
	pv_autofclose FILE *out = fopen(path, "wxe");
	struct filter filter = { .out = out, .v = entries, .n = n };

	if (!out)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot make", path);
	if (n > 1)
		qsort(entries, n, sizeof(*entries), by_digest);
	for (size_t i = 0; i < nindexes; i++)
		if (pv_deb822_each_file(indexes[i].packages_path, print_planned, &filter, err) < 0)
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

int pv_planned_base(const struct pv_plan *plan, const struct pv_aptree_index *indexes, size_t nindexes,
		    const struct pv_repack *base, const char *dir, struct pv_error *err)
{
	pv_autofree struct entry *entries = pv_xcalloc(plan->npackages, sizeof(*entries));
	pv_autofree char *suite_dir = pv_fmt("%s/dists/%s", dir, plan->suite->codename);
	pv_autofree char *binary = pv_fmt("%s/%s/binary-%s", suite_dir, PV_PLANNED_COMPONENT, plan->arch);
	pv_autofree char *packages = pv_path_join(binary, "Packages");
	size_t n = 0, njobs;
	const struct pv_repack_job *jobs = pv_repack_jobs(base, &njobs);

	for (size_t i = 0; i < plan->npackages; i++)
		if (pv_plan_in_base(plan, plan->packages[i].name) && n < njobs) {
			entries[n] = (struct entry){ &plan->packages[i], &jobs[n] };
			n++;
		}
	if (pv_mkdirs(binary, 0755, err) < 0 || write_packages(packages, indexes, nindexes, entries, n, err) < 0)
		return -1;
	return write_release(plan, suite_dir, packages, err);
}

int pv_planned_rest(const struct pv_plan *plan, const struct pv_aptree_index *indexes, size_t nindexes,
		    const struct pv_repack *rest, const char *dir, struct pv_error *err)
{
	pv_autofree struct entry *entries = pv_xcalloc(plan->npackages, sizeof(*entries));
	pv_autofree char *path = pv_path_join(dir, "Packages");
	size_t job = 0, njobs;
	const struct pv_repack_job *jobs = pv_repack_jobs(rest, &njobs);

	for (size_t i = 0; i < plan->npackages; i++) {
		entries[i].package = &plan->packages[i];
		if (!pv_plan_in_base(plan, plan->packages[i].name) && job < njobs)
			entries[i].plain = &jobs[job++];
	}
	return write_packages(path, indexes, nindexes, entries, plan->npackages, err);
}

static int make_parent(const char *path, struct pv_error *err)
{
	pv_autofree char *dir = pv_xstrdup(path);

	*strrchr(dir, '/') = '\0';
	return pv_mkdirs(dir, 0755, err);
}

/* Jobs are in the plan's order: that is how results find their packages again. */
int pv_planned_repack(const struct pv_plan *plan, const struct pv_store *store, const char *dir, bool base,
		      struct pv_repack **ret, struct pv_error *err)
{
	struct pv_repack_job *jobs = pv_xcalloc(plan->npackages, sizeof(*jobs));
	size_t n = 0;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < plan->npackages; i++) {
		const struct pv_package *p = &plan->packages[i];
		if (pv_plan_in_base(plan, p->name) != base)
			continue;
		memcpy(jobs[n].from_sha256, p->sha256, sizeof(p->sha256));
		jobs[n].from = pv_store_path(store, p->sha256);
		jobs[n].to = pv_path_join(dir, p->filename);
		rc = make_parent(jobs[n++].to, err);
	}
	if (rc == 0)
		return pv_repack_start(jobs, n, plan->disk_size, base ? 0 : 1, ret, err);
	for (size_t i = 0; i < n; i++) {
		free(jobs[i].from);
		free(jobs[i].to);
	}
	free(jobs);
	return -1;
}
