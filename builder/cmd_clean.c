/* SPDX-License-Identifier: Apache-2.0 */
/* pvimg clean: removes what runs that were interrupted left, and with --all the package store and the dom0 of verify. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "collect.h"
#include "fsutil.h"
#include "ns.h"
#include "recipe_keys.h"
#include "reproduce.h"
#include "result.h"
#include "store.h"
#include "workdir.h"

#define LOCK_SUFFIX ".lock"

struct cleaned {
	size_t work, results, failed, live;
	bool store, dom0;
};

/* out/.NAME.new of builds whose lock out/.NAME.lock nobody holds, and the lock. */
static int clean_unfinished(const char *out, const char *lock_name, struct cleaned *c, struct pv_error *err)
{
	pv_autofree char *stem = pv_xstrndup(lock_name, strlen(lock_name) - strlen(LOCK_SUFFIX));
	pv_autofree char *lock_path = pv_path_join(out, lock_name);
	pv_autofree char *hidden = pv_fmt("%s/%s.new", out, stem);
	pv_autoclose int lock = -1;

	if (pv_lock(lock_path, false, &lock, err) < 0)
		return -1;
	if (lock < 0) {
		c->live++;
		return 0;
	}
	c->results += pv_exists(hidden);
	pv_autofree char *final = pv_path_join(out, stem + 1);
	const struct pv_result_place place = { .name = stem + 1, .hidden = hidden, .final = final };
	if (pv_result_recover(&place, err) < 0)
		return -1;
	if (pv_rmtree(hidden, err) < 0)
		return -1;
	if (unlink(lock_path) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot remove", lock_path);
	return 0;
}

/* ".NAME.lock" of a recipe's name: a folder that --out names may hold other programs' files. */
static bool is_our_lock(const char *entry)
{
	if (entry[0] != '.' || !pv_ends(entry, LOCK_SUFFIX) || strlen(entry) <= 1 + strlen(LOCK_SUFFIX))
		return false;
	pv_autofree char *name = pv_xstrndup(entry + 1, strlen(entry) - 1 - strlen(LOCK_SUFFIX));
	return pv_recipe_name_ok(name);
}

static int clean_out(const char *out, struct cleaned *c, struct pv_error *err)
{
	pv_autofree char *failed = pv_path_join(out, ".failed");
	pv_autostrv entries = PV_STRV_INIT, failures = PV_STRV_INIT;

	if (pv_list_dir(out, &entries, err) < 0 || pv_list_dir(failed, &failures, err) < 0)
		return -1;
	for (size_t i = 0; i < entries.n; i++)
		if (is_our_lock(entries.v[i]) && clean_unfinished(out, entries.v[i], c, err) < 0)
			return -1;
	c->failed += failures.n;
	return pv_rmtree(failed, err);
}

/* Work folders on disk belong to subordinate ids: only the builder namespace can remove them. */
static int clean_work(const char *cache, struct cleaned *c, struct pv_error *err)
{
	size_t live, stale;

	if (pv_workdir_count(cache, &live, &stale, err) < 0)
		return -1;
	c->live += live;
	if (stale == 0)
		return 0;
	if (pv_ns_enter(err) < 0)
		return -1;
	size_t removed = 0;
	int rc = pv_workdir_sweep(cache, &removed, err);
	c->work += removed;
	return rc;
}

static int clean_store(const char *cache, struct cleaned *c, struct pv_error *err)
{
	pv_autofree char *store = pv_path_join(cache, "store"), *stages = pv_path_join(cache, "stages");
	bool busy = c->live > 0;

	c->store = pv_exists(store);
	if (!busy && pv_store_remove(cache, &busy, err) < 0)
		return -1;
	if (busy)
		return pv_error_set(err, PV_ERR_STAGE, "%s: in use by a build that is running; try again after it",
				    store);
	return pv_rmtree(stages, err);		/* without the store they are names of nothing */
}

/* Each dom0 that no verification holds; its folder is the lock (dom0.h). */
static int clean_dom0(const char *dom0, struct cleaned *c, struct pv_error *err)
{
	pv_autostrv entries = PV_STRV_INIT;

	if (pv_list_dir(dom0, &entries, err) < 0)
		return -1;
	for (size_t i = 0; i < entries.n; i++) {
		pv_autofree char *path = pv_path_join(dom0, entries.v[i]);
		bool busy;

		if (entries.v[i][0] == '.')
			continue;
		if (pv_cache_remove_dom0(path, &busy, err) < 0)
			return -1;
		if (busy) {
			c->live++;
			continue;
		}
		c->dom0 = true;
	}
	(void)rmdir(dom0);
	return 0;
}

int pv_cmd_clean(struct pv_cmd_ctx *ctx, int argc, char **argv, struct pv_error *err)
{
	struct cleaned c = { 0 };
	pv_autofree char *dom0 = pv_path_join(ctx->paths.cache_dir, "dom0");

	(void)argc, (void)argv;
	/* first: their removal may need other namespaces than those entered below */
	if (pv_reproduce_sweep(&c.work, err) < 0)
		return -1;
	if (clean_out(ctx->paths.out_dir, &c, err) < 0 || clean_out(dom0, &c, err) < 0 ||
	    clean_work(ctx->paths.cache_dir, &c, err) < 0)
		return -1;
	if (ctx->opts.all && (clean_store(ctx->paths.cache_dir, &c, err) < 0 || clean_dom0(dom0, &c, err) < 0))
		return -1;
	if (ctx->opts.json)
		printf("{\"work\": %zu, \"unfinished\": %zu, \"failed\": %zu, \"store\": %s, \"dom0\": %s, "
		       "\"running\": %zu}\n", c.work, c.results, c.failed, c.store ? "true" : "false",
		       c.dom0 ? "true" : "false", c.live);
	else
		printf("removed: %zu work folder%s, %zu unfinished result%s, %zu failed build%s%s%s\n", c.work,
		       c.work == 1 ? "" : "s", c.results, c.results == 1 ? "" : "s", c.failed,
		       c.failed == 1 ? "" : "s", c.store ? ", the package store" : "",
		       c.dom0 ? ", the dom0 of pvimg verify" : "");
	return 0;
}
