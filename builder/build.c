/* SPDX-License-Identifier: Apache-2.0 */
/* Runs plan and stages in a hidden folder, under a lock, and lets the result appear whole. */
#include "build.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "export.h"
#include "fsutil.h"
#include "hostapt.h"
#include "page.h"
#include "prepare.h"
#include "proc.h"
#include "report.h"
#include "result.h"
#include "since.h"
#include "stage.h"
#include "stagecache.h"
#include "undo.h"
#include "workdir.h"

/* What is made outside the stages. */
struct build {
	const struct pv_build_request *req;
	struct pv_report *report;
	char *hidden, *final, *failed;	/* DIR/.NAME.new, DIR/NAME, DIR/.failed/NAME */
	struct pv_prepared prepared;
	struct pv_stagecache *cache;	/* of an image */
	struct pv_chunks chunks;	/* of its disk */
};

static void show_index_progress(void *ctx, uint64_t done, uint64_t total, size_t items)
{
	(void)items;
	pv_log_stage_progress(ctx, done, total, "bytes");
}

/* Three times what is installed: the tree, the decompressed packages, and as much again for initramfs work, logs, caches
 * and what Installed-Size leaves out. A dom0 is the tree alone. */
static uint64_t tree_space(const struct pv_plan *plan)
{
	return plan->installed_bytes * (pv_recipe_is_dom0(plan->recipe) ? 1 : 3) + (256ull << 20);
}

/* All in a work folder of ours, gone with it. held/ and out/ are the target's to write; archive/ is a mount point. */
static int make_run_folders(struct pv_run *run, struct pv_error *err)
{
	static const char *const folders[] = { "archive", "bin", "held", "out" };

	if (pv_mkdirs(run->root, 0755, err) < 0 || pv_mkdirs(run->archive_dir, 0755, err) < 0)
		return -1;
	if (chown(run->root, 0, 0) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", run->root);
	for (size_t i = 0; i < PV_COUNT(folders); i++) {
		pv_autofree char *path = pv_path_join(run->run_dir, folders[i]);
		if (pv_mkdirs(path, 0755, err) < 0)
			return -1;
		if (chmod(path, i < 2 ? 0755 : 01777) < 0)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", path);
	}
	return 0;
}

static struct pv_result_place place_of(const struct build *b)
{
	return (struct pv_result_place){ .name = b->req->name, .hidden = b->hidden, .final = b->final,
					 .taken = !b->req->accept };
}

static void note_reuse(struct build *b, const char *folders, const char *words)
{
	pv_since_keep_folders(b->report, folders);
	pv_log_stage_begin(b->req->log, b->req->recipe->name, "reuse");
	pv_log_stage_end(b->req->log, true, words);
	pv_report_stage_begin(b->report, "reuse");
	pv_report_stage_end(b->report, "done");
}

/* Another flavor's disk beside it, where that has the same tree. */
static int reuse_sibling(struct build *b, bool *ret_done, struct pv_error *err)
{
	const struct pv_result_place place = place_of(b);
	pv_autofree char *from = NULL;

	*ret_done = false;
	if (pv_recipe_is_dom0(b->req->recipe))
		return 0;
	if (pv_result_of_sibling(&b->prepared.plan, b->req->paths, b->cache, &place, b->report, &b->chunks, &from, err) < 0)
		return -1;
	if (!from)
		return 0;
	pv_autofree char *words = pv_fmt("the disk of %s, with ids and files of its own", strrchr(from, '/') + 1);
	note_reuse(b, from, words);
	*ret_done = true;
	return 0;
}

static int run_stages(struct build *b, struct pv_error *err)
{
	pv_autoworkdir tree = PV_WORKDIR_INIT;
	const struct pv_prepared *prepared = &b->prepared;

	uint64_t memory = b->req->on_disk ? 0 : tree_space(&prepared->plan);
	if (pv_turn_take(b->req->turn, PV_TURN_NONE, 0, err) < 0 ||
	    pv_stagecache_claim(b->cache, b->req->log, err) < 0 ||
	    pv_turn_take(b->req->turn, PV_TURN_WORK, memory, err) < 0)
		return -1;
	/* now, as a flavor that went first may be done */
	bool done;
	if (reuse_sibling(b, &done, err) < 0 || done) {
		pv_stagecache_unclaim(b->cache);
		return done ? 0 : -1;
	}
	if (pv_workdir_create(b->req->paths->cache_dir, b->req->recipe->name, memory, &tree, err) < 0)
		return -1;
	pv_autofree char *root = pv_path_join(tree.path, "root");
	pv_autofree char *run_dir = pv_path_join(tree.path, "run");
	pv_autofree char *archive = pv_path_join(tree.path, "archive");
	struct pv_run run = {
		.plan = &prepared->plan, .paths = b->req->paths, .log = b->req->log,
		.report = b->report, .store = b->req->store, .fetch = b->req->fetch, .work = tree.path, .root = root,
		.archive_dir = archive, .run_dir = run_dir, .result = b->hidden, .chunks = &b->chunks, .cache = b->cache,
	};
	int rc = make_run_folders(&run, err);
	if (rc == 0)
		rc = pv_stages_run(&run, err);
	pv_repack_free(run.repack);
	pv_stagecache_unclaim(b->cache);
	return rc;
}

/* The result that is there already, where it will do. */
static int reuse(struct build *b, bool *ret_done, struct pv_error *err)
{
	const struct pv_result_place place = place_of(b);
	enum pv_result_reuse how;

	*ret_done = false;
	if (pv_stagecache_new(&b->prepared.plan, b->req->paths, b->req->objects, &b->cache, err) < 0)
		return -1;
	pv_stagecache_share(b->cache, b->req->remote);
	if (pv_result_reuse(&b->prepared.plan, b->req->paths, b->cache, &place, b->report, &b->chunks, &how, err) < 0)
		return -1;
	if (how == PV_RESULT_NONE)
		return 0;
	note_reuse(b, b->final, how == PV_RESULT_SAME ? "nothing has changed" : "files of overlays, in the disk that is there");
	*ret_done = true;
	return 0;
}

static int prepare(struct build *b, const char *work, struct pv_error *err)
{
	const struct pv_prepare_request want = {
		.recipe = b->req->recipe, .overlays_dir = b->req->paths->overlays_dir,
		.cache_dir = b->req->paths->cache_dir, .work_dir = work,
		.store = b->req->store, .fetch = b->req->fetch, .allow_older = b->req->allow_older,
		.lock_use = b->req->lock_use,
		.progress = show_index_progress, .ctx = b->req->log,
	};

	pv_log_stage_begin(b->req->log, b->req->recipe->name, "plan");
	pv_report_stage_begin(b->report, "plan");
	int rc = pv_prepare(&want, &b->prepared, err);
	pv_report_stage_end(b->report, rc == 0 ? "done" : "failed");
	pv_log_stage_end(b->req->log, rc == 0, NULL);
	return rc;
}

static int plan_and_run(struct build *b, struct pv_error *err)
{
	pv_autoworkdir disk = PV_WORKDIR_INIT;
	bool done = false;

	if (pv_workdir_create(b->req->paths->cache_dir, b->req->recipe->name, 0, &disk, err) < 0 ||
	    prepare(b, disk.path, err) < 0)
		return -1;
	pv_report_archive(b->report, b->prepared.plan.epoch, b->prepared.plan.stand_in);
	if (!pv_recipe_is_dom0(b->req->recipe) && reuse(b, &done, err) < 0)
		return -1;
	return done ? 0 : run_stages(b, err);
}

/* For the next build of it. */
static void note_result(const struct build *b)
{
	const struct pv_result_place place = place_of(b);
	pv_autoerror cause = PV_ERROR_INIT;

	pv_undo_forget(b->final);
	if (b->cache && b->chunks.v &&
	    pv_result_record(&b->prepared.plan, b->cache, &place, &b->chunks, &cause) < 0)
		pv_log_warn(b->req->log, "the cache does not note this result: %s", cause.text);
}

/* In folder dir. The page is for people: without it the result is still one. */
static int write_report(const struct build *b, const char *dir, struct pv_error *err)
{
	pv_autofree char *path = pv_path_join(dir, "report.json");
	pv_autoerror cause = PV_ERROR_INIT;

	if (pv_report_write(b->report, path, err) < 0)
		return -1;
	if (pv_page_write(dir, &cause) < 0)
		pv_log_warn(b->req->log, "%s", cause.text);
	return 0;
}

/* Of a result: what it has other than the one whose name it takes. */
static int write_last_report(const struct build *b, struct pv_error *err)
{
	pv_autofree char *path = pv_path_join(b->hidden, "report.json");
	pv_autoerror cause = PV_ERROR_INIT;

	if (pv_report_write(b->report, path, err) < 0)
		return -1;
	if (pv_since_note(b->report, b->final, b->hidden, &cause) < 0)
		pv_log_warn(b->req->log, "not compared with the result before: %s", cause.text);
	return write_report(b, b->hidden, err);
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
		pv_log_warn(b->req->log, "%s", left.text);
	return 0;
}

/* An image with a red verdict is kept whole, to be looked into. True when it is. */
static bool keep_whole(const struct build *b)
{
	pv_autoerror ignored = PV_ERROR_INIT;
	pv_autofree char *folder = pv_fmt("%s/.failed", b->req->dir);

	if (pv_rmtree(b->failed, &ignored) < 0 || pv_mkdirs(folder, 0755, &ignored) < 0 ||
	    rename(b->hidden, b->failed) < 0)
		return false;
	pv_log_info(b->req->log, "%s: the image, its verdict and console log are in %s", b->req->recipe->name, b->failed);
	return true;
}

/* Of a failed build only its log and report stay, out of the way. */
static void keep_failed(const struct build *b, const struct pv_error *cause)
{
	pv_autoerror ignored = PV_ERROR_INIT;
	pv_autofree char *from = pv_path_join(b->hidden, "build.log");
	pv_autofree char *to = pv_path_join(b->failed, "build.log");
	const struct pv_result_place place = place_of(b);

	pv_report_error(b->report, cause);
	if (pv_result_recover(&place, &ignored) < 0) {
		/* The old result's disk is in there, and the way back: the next build, or clean, tries again. */
		pv_log_warn(b->req->log, "%s; it stays in %s", ignored.text, b->hidden);
		return;
	}
	if (cause->kind == PV_ERR_VERDICT && keep_whole(b)) {
		if (write_report(b, b->failed, &ignored) < 0)
			pv_log_warn(b->req->log, "%s", ignored.text);
		return;
	}
	if (pv_rmtree(b->failed, &ignored) < 0 || pv_mkdirs(b->failed, 0755, &ignored) < 0)
		pv_error_clear(&ignored);
	if (rename(from, to) < 0)
		pv_log_debug(b->req->log, "no log to keep");
	/* Before the report is written: it was perhaps the image that filled the disk. */
	if (pv_rmtree(b->hidden, &ignored) < 0)
		pv_log_warn(b->req->log, "%s", ignored.text);
	pv_error_clear(&ignored);
	if (write_report(b, b->failed, &ignored) < 0)
		pv_log_warn(b->req->log, "%s", ignored.text);
	if (cause->kind == PV_ERR_STAGE && pv_exists(to))
		pv_log_info(b->req->log, "%s: the log is %s", b->req->recipe->name, to);
}

static int accept_result(struct build *b, struct pv_error *err)
{
	if (pv_turn_take(b->req->turn, PV_TURN_PROOF, 0, err) < 0)
		return -1;
	pv_log_stage_begin(b->req->log, b->req->recipe->name, "verify");
	pv_report_stage_begin(b->report, "verify");
	int rc = b->req->accept(b->req->accept_ctx, b->hidden, b->report, err);
	pv_report_stage_end(b->report, rc == 0 ? "done" : "failed");
	pv_log_stage_end(b->req->log, rc == 0, NULL);
	return rc;
}

/* Of a proven image only: what was refused need not be packed. */
static int export_formats(const struct build *b, struct pv_error *err)
{
	const struct pv_strv *formats = &b->req->recipe->formats;
	pv_autofree char *image = pv_fmt("%s/%s.raw", b->hidden, b->req->recipe->name);
	pv_automachine machine = { .name = NULL };
	pv_autostrv files = PV_STRV_INIT;

	if (pv_machine_of_image(image, 0, 0, &machine, err) < 0)
		return -1;
	const struct pv_export_request req = {
		.image = image, .machine = &machine, .formats = (const char *const *)formats->v, .nformats = formats->n,
		.dir = b->hidden, .stream_fd = -1, .progress = pv_log_stage_bytes, .progress_ctx = b->req->log,
	};
	if (pv_export(&req, &files, err) < 0)
		return -1;
	for (size_t i = 0; i < files.n; i++) {
		char hex[PV_SHA256_HEX];
		uint64_t size;

		if (pv_digest_file(files.v[i], hex, &size, err) < 0)
			return -1;
		pv_report_artifact(b->report, strrchr(files.v[i], '/') + 1, hex, size);
	}
	return 0;
}

static int export_result(const struct build *b, struct pv_error *err)
{
	if (b->req->recipe->formats.n == 0)
		return 0;
	pv_log_stage_begin(b->req->log, b->req->recipe->name, "formats");
	pv_report_stage_begin(b->report, "formats");
	int rc = export_formats(b, err);
	pv_report_stage_end(b->report, rc == 0 ? "done" : "failed");
	pv_log_stage_end(b->req->log, rc == 0, NULL);
	return rc;
}

/* By their names in the folder of recipes. */
static void note_recipe(struct pv_report *report, const struct pv_recipe *recipe)
{
	const char *leaf = strrchr(recipe->path, '/');

	pv_report_recipe(report, leaf ? leaf + 1 : recipe->path, recipe->sha256);
	if (!recipe->base_path)
		return;
	leaf = strrchr(recipe->base_path, '/');
	pv_autofree char *base = pv_fmt("base/%s", leaf ? leaf + 1 : recipe->base_path);
	pv_report_recipe(report, base, recipe->base_sha256);
}

static int build_locked(struct build *b, struct pv_error *err)
{
	pv_autofree char *log_path = pv_path_join(b->hidden, "build.log");

	const struct pv_result_place place = place_of(b);

	if (pv_result_recover(&place, err) < 0 || pv_rmtree(b->hidden, err) < 0 || pv_mkdirs(b->hidden, 0755, err) < 0)
		return -1;
	b->report = pv_report_new(b->req->recipe->name);
	note_recipe(b->report, b->req->recipe);
	int rc = pv_log_file(b->req->log, log_path, err);
	if (rc == 0)
		rc = plan_and_run(b, err);
	pv_autoerror closing = PV_ERROR_INIT;
	if (pv_log_file(b->req->log, NULL, &closing) < 0 && rc == 0)
		rc = pv_error_set(err, PV_ERR_STAGE, "%s", closing.text);
	if (rc == 0 && b->req->accept)
		rc = accept_result(b, err);
	if (rc == 0)
		rc = export_result(b, err);
	if (rc == 0)
		rc = write_last_report(b, err);
	if (rc == 0)
		rc = appear(b, err);
	if (rc < 0)
		keep_failed(b, err);
	else
		note_result(b);
	pv_report_free(b->report);
	b->report = NULL;
	pv_stagecache_freep(&b->cache);
	pv_chunks_done(&b->chunks);
	pv_prepared_done(&b->prepared);
	return rc;
}

static int take_lock(const struct build *b, const char *path, int *ret_fd, struct pv_error *err)
{
	const struct pv_build_request *req = b->req;

	if (pv_lock(path, false, ret_fd, err) < 0)
		return -1;
	if (*ret_fd >= 0)
		return 0;
	if (req->no_wait)
		return pv_error_set(err, PV_ERR_STAGE,
				    "%s: another build of it into %s is running; leave out --no-wait to wait",
				    req->recipe->name, req->dir);
	pv_log_info(req->log, "%s: another build of it into %s is running; waiting", req->recipe->name, req->dir);
	return pv_lock(path, true, ret_fd, err);
}

int pv_build(const struct pv_build_request *req, struct pv_error *err)
{
	pv_autofree char *lock_path = pv_fmt("%s/.%s.lock", req->dir, req->name);
	pv_autofree char *hidden = pv_fmt("%s/.%s.new", req->dir, req->name);
	pv_autofree char *final = pv_path_join(req->dir, req->name);
	pv_autofree char *failed = pv_fmt("%s/.failed/%s", req->dir, req->name);
	struct build b = { .req = req, .hidden = hidden, .final = final, .failed = failed };
	pv_autoclose int lock = -1;

	if (pv_mkdirs(req->dir, 0755, err) < 0 || take_lock(&b, lock_path, &lock, err) < 0)
		return -1;
	if (req->keep && pv_exists(final))
		return 0;
	if (build_locked(&b, err) < 0)
		return -1;
	pv_autoerror ignored = PV_ERROR_INIT;
	if (pv_rmtree(failed, &ignored) < 0)
		pv_log_warn(req->log, "%s", ignored.text);
	return 0;
}

int pv_build_begin(const struct pv_paths *paths, unsigned jobs, struct pv_log *log, struct pv_store **ret_store,
		   struct pv_fetch **ret_fetch, struct pv_error *err)
{
	pv_autostore *store = NULL;
	pv_autofetch *fetch = NULL;
	pv_autofree char *http = NULL, *https = NULL;
	pv_autoerror left = PV_ERROR_INIT;

	if (pv_store_open(paths->cache_dir, &store, err) < 0)
		return -1;
	if (pv_workdir_sweep(paths->cache_dir, NULL, &left) < 0)
		pv_log_warn(log, "%s", left.text);
	if (pv_fetch_new(store, jobs, &fetch, err) < 0 || pv_hostapt_proxy(&http, &https, err) < 0)
		return -1;
	pv_fetch_set_proxy(fetch, http, https);
	*ret_store = pv_steal(&store);
	*ret_fetch = pv_steal(&fetch);
	return 0;
}
