/* SPDX-License-Identifier: Apache-2.0 */
/* pvimg build: load, plan, run the stages, and let the result appear whole. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd.h"
#include "fsutil.h"
#include "hostapt.h"
#include "ns.h"
#include "prepare.h"
#include "proc.h"
#include "recipe.h"
#include "report.h"
#include "stage.h"
#include "workdir.h"

/* One image's build: what is made outside the stages. */
struct build {
	struct pv_cmd_ctx *ctx;
	const struct pv_recipe *recipe;
	struct pv_store *store;
	struct pv_fetch *fetch;
	struct pv_report *report;
	char *hidden, *final, *failed;	/* DIR/.NAME.new, DIR/NAME, DIR/.failed/NAME */
};

static void show_index_progress(void *ctx, uint64_t done, uint64_t total, size_t items)
{
	(void)items;
	pv_log_stage_progress(ctx, done, total, "bytes");
}

/* Three times what is installed: the tree, the decompressed packages, and as much again for initramfs work, logs, caches
 * and what Installed-Size leaves out. */
static uint64_t tree_space(const struct pv_plan *plan)
{
	return plan->installed_bytes * 3 + (256ull << 20);
}

/* All in a work folder of ours, gone with it. held/ and out/ are the target's to write; archive/ is a mount point. */
static int make_run_folders(struct pv_run *run, struct pv_error *err)
{
	static const char *const folders[] = { "archive", "held", "out" };

	if (pv_mkdirs(run->root, 0755, err) < 0 || pv_mkdirs(run->archive_dir, 0755, err) < 0)
		return -1;
	if (chown(run->root, 0, 0) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", run->root);
	for (size_t i = 0; i < PV_COUNT(folders); i++) {
		pv_autofree char *path = pv_path_join(run->run_dir, folders[i]);
		if (pv_mkdirs(path, 0755, err) < 0)
			return -1;
		if (chmod(path, i == 0 ? 0755 : 01777) < 0)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", path);
	}
	return 0;
}

static int run_stages(struct build *b, const struct pv_prepared *prepared, struct pv_error *err)
{
	pv_autoworkdir tree = PV_WORKDIR_INIT;

	if (pv_workdir_create(b->ctx->paths.cache_dir, b->recipe->name, tree_space(&prepared->plan), &tree, err) < 0)
		return -1;
	pv_autofree char *root = pv_path_join(tree.path, "root");
	pv_autofree char *run_dir = pv_path_join(tree.path, "run");
	pv_autofree char *archive = pv_path_join(tree.path, "archive");
	struct pv_run run = {
		.plan = &prepared->plan, .paths = &b->ctx->paths, .indexes = prepared->indexes,
		.nindexes = prepared->nindexes, .log = b->ctx->log,
		.report = b->report, .store = b->store, .fetch = b->fetch, .work = tree.path, .root = root,
		.archive_dir = archive, .run_dir = run_dir, .result = b->hidden,
	};
	int rc = make_run_folders(&run, err);
	if (rc == 0)
		rc = pv_stages_run(&run, err);
	pv_repack_free(run.repack);
	return rc;
}

static int plan_and_run(struct build *b, struct pv_error *err)
{
	pv_autoworkdir disk = PV_WORKDIR_INIT;
	pv_autoprepared prepared = { 0 };

	if (pv_workdir_create(b->ctx->paths.cache_dir, b->recipe->name, 0, &disk, err) < 0)
		return -1;
	const struct pv_prepare_request want = {
		.recipe = b->recipe, .overlays_dir = b->ctx->paths.overlays_dir,
		.cache_dir = b->ctx->paths.cache_dir, .work_dir = disk.path,
		.store = b->store, .fetch = b->fetch, .allow_older = b->ctx->opts.allow_older,
		.progress = show_index_progress, .ctx = b->ctx->log,
	};
	pv_log_stage_begin(b->ctx->log, b->recipe->name, "plan");
	pv_report_stage_begin(b->report, "plan");
	int rc = pv_prepare(&want, &prepared, err);
	pv_report_stage_end(b->report, rc == 0 ? "done" : "failed");
	pv_log_stage_end(b->ctx->log, rc == 0, NULL);
	if (rc < 0)
		return -1;
	pv_report_archive(b->report, prepared.plan.epoch, prepared.plan.stand_in);
	return run_stages(b, &prepared, err);
}

/* The finished folder takes the final name; what had it goes. */
static int appear(const struct build *b, struct pv_error *err)
{
	if (rename(b->hidden, b->final) == 0)
		return 0;
	if (errno != EEXIST && errno != ENOTEMPTY)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", b->final);
	if (renameat2(AT_FDCWD, b->hidden, AT_FDCWD, b->final, RENAME_EXCHANGE) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", b->final);
	pv_autoerror left = PV_ERROR_INIT;
	if (pv_rmtree(b->hidden, &left) < 0)	/* the next build or clean takes it */
		pv_log_warn(b->ctx->log, "%s", left.text);
	return 0;
}

/* Of a failed build only its log and report stay, out of the way. */
static void keep_failed(const struct build *b, const struct pv_error *cause)
{
	pv_autoerror ignored = PV_ERROR_INIT;
	pv_autofree char *from = pv_path_join(b->hidden, "build.log");
	pv_autofree char *to = pv_path_join(b->failed, "build.log");
	pv_autofree char *report = pv_path_join(b->failed, "report.json");

	pv_report_error(b->report, cause);
	if (pv_rmtree(b->failed, &ignored) < 0 || pv_mkdirs(b->failed, 0755, &ignored) < 0)
		pv_error_clear(&ignored);
	if (rename(from, to) < 0)
		pv_log_debug(b->ctx->log, "no log to keep");
	/* Before the report is written: it was perhaps the image that filled the disk. */
	if (pv_rmtree(b->hidden, &ignored) < 0)
		pv_log_warn(b->ctx->log, "%s", ignored.text);
	pv_error_clear(&ignored);
	if (pv_report_write(b->report, report, &ignored) < 0)
		pv_log_warn(b->ctx->log, "%s", ignored.text);
	if (cause->kind == PV_ERR_STAGE && pv_exists(to))
		pv_log_info(b->ctx->log, "%s: the log is %s", b->recipe->name, to);
}

static int build_locked(struct build *b, struct pv_error *err)
{
	pv_autofree char *log_path = pv_path_join(b->hidden, "build.log");
	pv_autofree char *report_path = pv_path_join(b->hidden, "report.json");

	if (pv_rmtree(b->hidden, err) < 0 || pv_mkdirs(b->hidden, 0755, err) < 0)
		return -1;
	b->report = pv_report_new(b->recipe->name);
	int rc = pv_log_file(b->ctx->log, log_path, err);
	if (rc == 0)
		rc = plan_and_run(b, err);
	pv_autoerror closing = PV_ERROR_INIT;
	if (pv_log_file(b->ctx->log, NULL, &closing) < 0 && rc == 0)
		rc = pv_error_set(err, PV_ERR_STAGE, "%s", closing.text);
	if (rc == 0)
		rc = pv_report_write(b->report, report_path, err);
	if (rc == 0)
		rc = appear(b, err);
	if (rc < 0)
		keep_failed(b, err);
	pv_report_free(b->report);
	b->report = NULL;
	return rc;
}

static int build_one(struct build *b, struct pv_error *err)
{
	const char *out = b->ctx->paths.out_dir, *name = b->recipe->name;
	pv_autofree char *lock_path = pv_fmt("%s/.%s.lock", out, name);
	pv_autofree char *hidden = pv_fmt("%s/.%s.new", out, name);
	pv_autofree char *final = pv_path_join(out, name);
	pv_autofree char *failed = pv_fmt("%s/.failed/%s", out, name);
	pv_autoclose int lock = -1;

	pv_autoerror cause = PV_ERROR_INIT;
	if (pv_mkdirs(out, 0755, &cause) < 0)
		return pv_error_set(err, cause.kind, "%s; name another folder with --out DIR", cause.text);
	if (pv_lock(lock_path, false, &lock, err) < 0)
		return -1;
	if (lock < 0) {
		if (b->ctx->opts.no_wait)
			return pv_error_set(err, PV_ERR_STAGE,
					    "%s: another build of it into %s is running; leave out --no-wait to wait",
					    name, out);
		pv_log_info(b->ctx->log, "%s: another build of it into %s is running; waiting", name, out);
		if (pv_lock(lock_path, true, &lock, err) < 0)
			return -1;
	}
	b->hidden = hidden;
	b->final = final;
	b->failed = failed;
	int rc = build_locked(b, err);
	if (rc == 0) {
		pv_autoerror ignored = PV_ERROR_INIT;
		if (pv_rmtree(failed, &ignored) < 0)
			pv_log_warn(b->ctx->log, "%s", ignored.text);
		pv_log_info(b->ctx->log, "%s: %s/%s.raw (not verified)", name, final, name);
	}
	return rc;
}

static int set_proxy(struct pv_fetch *fetch, struct pv_error *err)
{
	pv_autofree char *http = NULL, *https = NULL;

	if (pv_hostapt_proxy(&http, &https, err) < 0)
		return -1;
	pv_fetch_set_proxy(fetch, http, https);
	return 0;
}

static int build_all(struct pv_cmd_ctx *ctx, const struct pv_recipe *recipes, size_t n, struct pv_error *err)
{
	pv_autostore *store = NULL;
	pv_autofetch *fetch = NULL;

	pv_autoerror left = PV_ERROR_INIT;
	if (pv_store_open(ctx->paths.cache_dir, &store, err) < 0)
		return -1;
	if (pv_workdir_sweep(ctx->paths.cache_dir, NULL, &left) < 0)
		pv_log_warn(ctx->log, "%s", left.text);
	if (pv_fetch_new(store, ctx->opts.jobs, &fetch, err) < 0 || set_proxy(fetch, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		struct build b = { .ctx = ctx, .recipe = &recipes[i], .store = store, .fetch = fetch };
		if (build_one(&b, err) < 0)
			return -1;
	}
	return 0;
}

int pv_cmd_build(struct pv_cmd_ctx *ctx, int argc, char **argv, struct pv_error *err)
{
	struct pv_recipe *recipes = pv_xcalloc((size_t)argc, sizeof(*recipes));
	int rc = 0, loaded = 0;

	for (int i = 1; i < argc && rc == 0; i++)
		for (int k = 0; k < i && rc == 0; k++)
			if (pv_streq(argv[i], argv[k]))
				rc = pv_error_set(err, PV_ERR_USAGE, "%s is named twice", argv[i]);
	while (rc == 0 && loaded < argc) {
		rc = pv_cmd_load_recipe(ctx, argv[loaded], &recipes[loaded], err);
		loaded += rc == 0;
	}
	if (rc == 0)
		rc = pv_ns_enter(err);
	if (rc == 0)
		rc = build_all(ctx, recipes, (size_t)argc, err);
	for (int i = 0; i < loaded; i++)
		pv_recipe_done(&recipes[i]);
	free(recipes);
	return rc;
}
