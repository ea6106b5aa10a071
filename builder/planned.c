/* SPDX-License-Identifier: Apache-2.0 */
/* Lays out the planned archive. */
#include "planned.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "aptree.h"
#include "deb822.h"
#include "debfile.h"
#include "digest.h"
#include "fsutil.h"

/* A planned package on its way into a Packages file. */
struct entry {
	const struct pv_package *package;
	char *deb;			/* the decompressed .deb in the planned archive */
	uint64_t size;			/* what the index says of it */
	char sha256[PV_SHA256_HEX];
};

static void free_entries(struct entry **entries)
{
	for (struct entry *e = *entries; e && e->package; e++)
		free(e->deb);
	free(*entries);
}
#define autoentries __attribute__((cleanup(free_entries))) struct entry

static struct entry as_plain(const struct pv_package *p, const struct pv_repack_job *job)
{
	struct entry e = { .package = p, .deb = pv_xstrdup(job->to), .size = job->size };

	memcpy(e.sha256, job->sha256, sizeof(e.sha256));
	return e;
}

/* What is installed by then: the file is there, and nobody will ask for it any more. */
static struct entry as_archived(const struct pv_package *p, const char *dir)
{
	struct entry e = { .package = p, .deb = pv_path_join(dir, p->filename), .size = p->size };

	memcpy(e.sha256, p->sha256, sizeof(e.sha256));
	return e;
}

struct printing {
	FILE *out;
	const struct entry *entry;
	size_t n;
	struct pv_error *err;
};

static bool is_planned(const struct pv_package *p, const struct pv_stanza *control)
{
	return pv_streq(pv_stanza_get(control, "Package"), p->name) &&
	       pv_streq(pv_stanza_get(control, "Version"), p->version) &&
	       pv_streq(pv_stanza_get(control, "Architecture"), p->arch);
}

/* What an archive's index adds to a package's own words, but for Priority, comes from the plan and the new file. */
static int print_stanza(void *ctx, const struct pv_stanza *control)
{
	static const char *const ours[] = { "Priority", "Filename", "Size", "MD5sum", "SHA1", "SHA256", "SHA512",
					    "Status", "Conffiles", NULL };
	struct printing *p = ctx;
	const struct pv_package *package = p->entry->package;

	if (p->n++ > 0 || !is_planned(package, control))
		return pv_error_set(p->err, PV_ERR_ARCHIVE, "its control file is not that of %s %s, %s",
				    package->name, package->version, package->arch);
	pv_aptree_print_fields(p->out, control, ours);
	fprintf(p->out, "Priority: %s\nFilename: %s\nSize: %llu\nSHA256: %s\n\n", package->priority, package->filename,
		(unsigned long long)p->entry->size, p->entry->sha256);
	return 0;
}

static int print_entry(FILE *out, const struct entry *entry, struct pv_error *err)
{
	struct printing printing = { .out = out, .entry = entry, .err = err };
	pv_autostr control = PV_STR_INIT;

	if (pv_deb_read_control(entry->deb, &control, err) < 0)
		return -1;
	if (pv_deb822_each_mem(pv_str_text(&control), control.len, print_stanza, &printing, err) < 0)
		return pv_error_wrap(err, "%s", entry->package->filename);
	if (printing.n == 1)
		return 0;
	return pv_error_set(err, PV_ERR_ARCHIVE, "%s: its control file is empty", entry->package->filename);
}

/* The stanzas of the entries, which end with one without a package, in their order. */
static int write_packages(const char *path, const struct entry *entries, struct pv_error *err)
{
	pv_autofclose FILE *out = fopen(path, "wxe");

	if (!out)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot make", path);
	for (const struct entry *e = entries; e->package; e++)
		if (print_entry(out, e, err) < 0)
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

int pv_planned_base(const struct pv_plan *plan, const struct pv_repack *base, const char *dir, struct pv_error *err)
{
	autoentries *entries = pv_xcalloc(plan->npackages + 1, sizeof(*entries));
	pv_autofree char *suite_dir = pv_fmt("%s/dists/%s", dir, plan->suite->codename);
	pv_autofree char *binary = pv_fmt("%s/%s/binary-%s", suite_dir, PV_PLANNED_COMPONENT, plan->arch);
	pv_autofree char *packages = pv_path_join(binary, "Packages");
	size_t n = 0, njobs;
	const struct pv_repack_job *jobs = pv_repack_jobs(base, &njobs);

	for (size_t i = 0; i < plan->npackages; i++)
		if (pv_plan_in_base(plan, plan->packages[i].name) && n < njobs) {
			entries[n] = as_plain(&plan->packages[i], &jobs[n]);
			n++;
		}
	if (pv_mkdirs(binary, 0755, err) < 0 || write_packages(packages, entries, err) < 0)
		return -1;
	return write_release(plan, suite_dir, packages, err);
}

int pv_planned_rest(const struct pv_plan *plan, const struct pv_repack *rest, const char *dir, struct pv_error *err)
{
	autoentries *entries = pv_xcalloc(plan->npackages + 1, sizeof(*entries));
	pv_autofree char *path = pv_path_join(dir, "Packages");
	size_t job = 0, njobs;
	const struct pv_repack_job *jobs = pv_repack_jobs(rest, &njobs);

	for (size_t i = 0; i < plan->npackages; i++) {
		const struct pv_package *p = &plan->packages[i];
		if (!pv_plan_in_base(plan, p->name) && job < njobs)
			entries[i] = as_plain(p, &jobs[job++]);
		else
			entries[i] = as_archived(p, dir);
	}
	return write_packages(path, entries, err);
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
