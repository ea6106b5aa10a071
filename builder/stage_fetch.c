/* SPDX-License-Identifier: Apache-2.0 */
/* Stage fetch: every planned .deb into the store, and the planned archive of them for debootstrap and apt. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "fsutil.h"
#include "lockfile.h"
#include "planned.h"
#include "sandbox.h"
#include "stage.h"

#define FAULTS_MAX 5

static void show_progress(void *ctx, uint64_t done_bytes, uint64_t total_bytes, size_t done_items)
{
	struct pv_run *run = ctx;

	(void)done_items;
	pv_log_stage_progress(run->log, done_bytes, total_bytes, "bytes");
}

/* Of a package that was locked: the file is gone, or there is another one in its place. */
static const char *fault_of(const struct pv_fetch *fetch, const struct pv_error *err)
{
	long status = pv_fetch_status(fetch);

	if (err->kind != PV_ERR_ARCHIVE)
		return NULL;
	return status == 404 || status == 410 ? "gone" : status == 200 || status == 206 ? "another file" : NULL;
}

/* A fetch of locked packages failed: tries the others too, so that all that the archive does not have any more are named.
 * What has another cause keeps its words. */
static int explain_lock(struct pv_run *run, const struct pv_fetch_item *items, struct pv_error *err)
{
	const struct pv_plan *plan = run->plan;
	pv_autostrv faults = PV_STRV_INIT;

	if (!fault_of(run->fetch, err))
		return -1;
	for (size_t i = 0; i < plan->npackages && faults.n < FAULTS_MAX; i++) {
		pv_autoerror one = PV_ERROR_INIT;
		if (pv_fetch_all(run->fetch, &items[i], 1, NULL, NULL, &one) == 0)
			continue;
		const char *fault = fault_of(run->fetch, &one);
		if (!fault)
			return pv_error_set(err, one.kind, "%s", one.text);
		pv_strv_addf(&faults, "%s %s (%s)", plan->packages[i].name, plan->packages[i].version, fault);
	}
	if (faults.n == 0)	/* a matter of the moment */
		return pv_error_wrap(err, "build again");
	pv_autofree char *words = pv_strv_join(&faults, ", ");
	return pv_error_set(err, PV_ERR_ARCHIVE, "the archive does not have what is locked: %s%s; pvimg lock --update %s takes "
			    "what it has, --mirror or snapshot: names an archive that has it", words,
			    faults.n == FAULTS_MAX ? ", ..." : "", plan->name);
}

static int fetch_packages(struct pv_run *run, struct pv_error *err)
{
	const struct pv_plan *plan = run->plan;
	pv_autofree struct pv_fetch_item *items = pv_xcalloc(plan->npackages, sizeof(*items));

	for (size_t i = 0; i < plan->npackages; i++) {
		const struct pv_package *p = &plan->packages[i];
		items[i] = (struct pv_fetch_item){ .base_url = p->base_url, .path = p->filename, .size = p->size };
		memcpy(items[i].sha256, p->sha256, sizeof(items[i].sha256));
	}
	if (pv_fetch_all(run->fetch, items, plan->npackages, show_progress, run, err) < 0)
		return plan->locked ? explain_lock(run, items, err) : -1;
	pv_report_number(run->report, "downloaded_bytes", pv_fetch_bytes(run->fetch));
	return 0;
}

/* In a sandbox of the host's programs, so that gpg's agent and its key are gone with it. */
static int sign(struct pv_run *run, struct pv_error *err)
{
	pv_autofree char *suite_dir = pv_fmt("%s/dists/%s", run->archive_dir, run->plan->suite->codename);
	pv_autofree char *script = pv_path_join(run->paths->scripts_dir, "sign-archive");
	const struct pv_sandbox_bind binds[] = {
		{ .source = run->archive_dir, .target = "/archive", .writable = true },
		{ .source = script, .target = "/sign-archive" },
	};
	const struct pv_sandbox box = { .root = run->root, .host_tools = true, .binds = binds,
					.nbinds = PV_COUNT(binds) };
	const char *const argv[] = { "/bin/sh", "/sign-archive", run->plan->suite->codename, NULL };
	const struct pv_proc proc = { .argv = argv };

	/* The sandbox's root writes the signature and the keyring. */
	if (chown(suite_dir, 0, 0) < 0 || chown(run->archive_dir, 0, 0) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", suite_dir);
	return pv_run_sandbox(run, &box, &proc, "sign-archive", err);
}

/* Base first, with all processors, since debootstrap waits for it; the others go on while debootstrap runs. */
static int plan_archive(struct pv_run *run, struct pv_error *err)
{
	struct pv_repack *base = NULL;

	if (pv_planned_repack(run->plan, run->store, run->archive_dir, true, &base, err) < 0)
		return -1;
	int rc = pv_repack_wait(base, err);
	if (rc == 0)
		rc = pv_planned_base(run->plan, base, run->archive_dir, err);
	pv_repack_free(base);
	return rc;
}

/* The packages are the same then, and the image may still differ. */
static void warn_of_tools(const struct pv_run *run)
{
	pv_autofree char *words = run->plan->locked ? pv_lockfile_tools_differ(&run->plan->locked_tools) : NULL;

	if (words)
		pv_log_warn(run->log, "%s: locked with other tools (%s): the image may not be the same to the bit",
			    run->plan->name, words);
}

int pv_stage_fetch(struct pv_run *run, struct pv_error *err)
{
	warn_of_tools(run);
	if (fetch_packages(run, err) < 0)
		return -1;
	if (pv_recipe_is_dom0(run->plan->recipe))	/* neither debootstrap nor apt will read an archive */
		return 0;
	if (plan_archive(run, err) < 0 || sign(run, err) < 0)
		return -1;
	return pv_planned_repack(run->plan, run->store, run->archive_dir, false, &run->repack, err);
}
