/* SPDX-License-Identifier: Apache-2.0 */
/* pvimg lock: writes NAME.lock beside its recipe, of the archive as it is now; tells what changed since the last one. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "build.h"
#include "cmd.h"
#include "fsutil.h"
#include "lockfile.h"
#include "ns.h"
#include "recipe.h"
#include "workdir.h"

enum pv_lock_use pv_cmd_lock_use(const struct pv_cmd_ctx *ctx)
{
	return ctx->opts.locked ? PV_LOCK_DEMAND : ctx->opts.no_lock ? PV_LOCK_IGNORE : PV_LOCK_AUTO;
}

static void print_change(const struct pv_lock_change *c)
{
	const char *from = c->security ? " (security)" : "";

	if (c->kind == PV_LOCK_ADDED)
		printf("  added    %s %s%s\n", c->name, c->after, from);
	else if (c->kind == PV_LOCK_REMOVED)
		printf("  removed  %s %s\n", c->name, c->before);
	else if (c->kind == PV_LOCK_CHANGED)
		printf("  changed  %s %s, another file%s\n", c->name, c->after, from);
	else
		printf("  %-7s  %s %s -> %s%s\n", pv_lock_change_name(c->kind), c->name, c->before, c->after, from);
}

static json_t *change_json(const struct pv_lock_change *c)
{
	return json_pack("{s:s, s:s, s:s?, s:s?, s:b}", "change", pv_lock_change_name(c->kind), "package", c->name, "before",
			 c->before, "after", c->after, "security", c->security);
}

static void print_json(const struct pv_recipe *recipe, const char *path, const struct pv_lockfile *lock,
		       const struct pv_lock_changes *changes, const char *state)
{
	json_t *list = json_array();

	for (size_t i = 0; i < changes->n; i++)
		json_array_append_new(list, change_json(&changes->v[i]));
	json_t *root = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:o}", "schema", "pvimg.lock/1", "name", recipe->name,
				 "path", path, "state", state, "packages", (json_int_t)lock->npackages, "epoch",
				 (json_int_t)pv_lockfile_date(lock), "changes", list);
	pv_autofree char *text = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(root);
	puts(text ? text : "{}");
}

static void print_text(const char *path, const struct pv_lockfile *lock, const struct pv_lock_changes *changes,
		       const char *state)
{
	size_t count[PV_LOCK_CHANGED + 1] = { 0 }, security = 0;

	for (size_t i = 0; i < changes->n; i++) {
		print_change(&changes->v[i]);
		count[changes->v[i].kind]++;
		security += changes->v[i].security;
	}
	printf("%s: %s, %zu packages", path, state, lock->npackages);
	for (int kind = 0; kind <= PV_LOCK_CHANGED; kind++)
		if (count[kind])
			printf(", %zu %s", count[kind], pv_lock_change_name(kind));
	if (security)
		printf(", %zu from security", security);
	putchar('\n');
}

/* What would not be read again is not written. */
static int write_lock(const char *path, const char *text, struct pv_error *err)
{
	pv_autolockfile again = { 0 };

	if (pv_lockfile_parse(path, text, strlen(text), &again, err) < 0)
		return pv_error_wrap(err, "the archive has what no lock can hold");
	return pv_write_file(path, text, strlen(text), 0644, err);
}

static int make_lock(const struct pv_cmd_ctx *ctx, const struct pv_recipe *recipe, struct pv_store *store,
		     struct pv_fetch *fetch, struct pv_lockfile *ret, struct pv_error *err)
{
	pv_autoworkdir work = PV_WORKDIR_INIT;
	pv_autoprepared prepared = { 0 };

	if (pv_workdir_create(ctx->paths.cache_dir, recipe->name, 0, &work, err) < 0)
		return -1;
	const struct pv_prepare_request want = {
		.recipe = recipe, .overlays_dir = ctx->paths.overlays_dir, .cache_dir = ctx->paths.cache_dir,
		.work_dir = work.path, .store = store, .fetch = fetch, .allow_older = ctx->opts.allow_older,
		.lock_use = PV_LOCK_IGNORE,
	};
	if (pv_prepare(&want, &prepared, err) < 0)
		return -1;
	pv_lockfile_make(&prepared.plan, prepared.archive, ret);
	return 0;
}

static int lock_one(const struct pv_cmd_ctx *ctx, const struct pv_recipe *recipe, struct pv_store *store,
		    struct pv_fetch *fetch, struct pv_error *err)
{
	pv_autofree char *path = pv_lockfile_path(recipe), *old_text = NULL;
	pv_autolockfile before = { 0 }, after = { 0 };
	pv_autolockchanges changes = { 0 };
	pv_autoerror unread = PV_ERROR_INIT;
	bool is_there = pv_exists(path);

	if (is_there && !ctx->opts.update)
		return pv_error_set(err, PV_ERR_USAGE, "%s: is there; pvimg lock --update %s makes it anew and tells what "
				    "changed", path, recipe->name);
	if (is_there && (pv_read_file(path, PV_LOCKFILE_MAX, &old_text, NULL, &unread) < 0 ||
			 pv_lockfile_parse(path, old_text, strlen(old_text), &before, &unread) < 0)) {
		pv_log_warn(ctx->log, "%s; what changes cannot be told", unread.text);
		is_there = false;
	}
	if (make_lock(ctx, recipe, store, fetch, &after, err) < 0)
		return -1;
	pv_autofree char *text = pv_lockfile_text(&after);
	const char *state = !is_there ? "made" : pv_streq(text, old_text) ? "unchanged" : "updated";
	if (!pv_streq(text, old_text) && write_lock(path, text, err) < 0)
		return -1;
	if (is_there)
		pv_lockfile_diff(&before, &after, &changes);
	if (ctx->opts.json)
		print_json(recipe, path, &after, &changes, state);
	else
		print_text(path, &after, &changes, state);
	return 0;
}

static int lock_all(struct pv_cmd_ctx *ctx, const struct pv_recipe *recipes, size_t n, struct pv_error *err)
{
	pv_autostore *store = NULL;
	pv_autofetch *fetch = NULL;

	if (pv_build_begin(&ctx->paths, ctx->opts.jobs, ctx->log, &store, &fetch, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (lock_one(ctx, &recipes[i], store, fetch, err) < 0)
			return -1;
	return 0;
}

int pv_cmd_lock(struct pv_cmd_ctx *ctx, int argc, char **argv, struct pv_error *err)
{
	struct pv_recipe *recipes = pv_xcalloc((size_t)argc, sizeof(*recipes));
	int rc = 0, loaded = 0;

	while (rc == 0 && loaded < argc) {
		rc = pv_cmd_load_recipe(ctx, argv[loaded], &recipes[loaded], err);
		loaded += rc == 0;
	}
	if (rc == 0)
		rc = pv_ns_enter(err);
	if (rc == 0)
		rc = lock_all(ctx, recipes, (size_t)argc, err);
	for (int i = 0; i < loaded; i++)
		pv_recipe_done(&recipes[i]);
	free(recipes);
	return rc;
}
