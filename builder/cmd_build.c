/* SPDX-License-Identifier: Apache-2.0 */
/* pvimg build: loads all recipes named, then builds them; several side by side, each in a process of its own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "build.h"
#include "cacheremote.h"
#include "cmd.h"
#include "collect.h"
#include "fsutil.h"
#include "host.h"
#include "ns.h"
#include "recipe.h"
#include "report.h"
#include "turns.h"
#include "verify.h"
#include "workdir.h"

/* What a process needs to build. */
struct session {
	const struct pv_cmd_ctx *ctx;
	struct pv_store *store;
	struct pv_fetch *fetch;
	struct pv_objects *objects;		/* NULL: nothing is kept or reused */
	struct pv_cacheremote *remote;
	struct pv_turn *turn;			/* NULL: it builds alone */
};

static void session_done(struct session *s)
{
	pv_cacheremote_freep(&s->remote);
	pv_objects_freep(&s->objects);		/* and with it the lock */
	pv_fetch_freep(&s->fetch);
	pv_store_freep(&s->store);
}

#define autosession __attribute__((cleanup(session_done))) struct session

struct proof {
	const struct pv_cmd_ctx *ctx;
	const char *name;
	const struct pv_verify_request *ask;
};

/* The image must be PVHVM and green before it is a result. */
static int prove(void *arg, const char *result, struct pv_report *report, struct pv_error *err)
{
	const struct proof *proof = arg;
	pv_autofree char *image = pv_fmt("%s/%s.raw", result, proof->name);
	struct pv_verify_request req = *proof->ask;
	pv_autoverified res = { .json = NULL };

	req.image = image;
	req.record_dir = result;
	if (pv_verify(&req, &res, err) < 0)
		return -1;
	pv_autofree char *words = res.verdict.cause ? pv_fmt("%s: %s", pv_class_name(res.verdict.class), res.verdict.cause) :
						      pv_xstrdup(pv_class_name(res.verdict.class));
	pv_report_verified(report, words);
	if (!res.verdict.green && !proof->ctx->opts.json)
		fputs(res.text, stderr);
	return pv_cmd_verdict_error(&res.verdict, proof->name, err);
}

static bool to_be_proven(const struct pv_cmd_ctx *ctx, const struct pv_recipe *recipe)
{
	return !ctx->opts.no_verify && !pv_recipe_is_dom0(recipe);
}

/* Before anything is built: whether all that is to be proven can be. */
static int check_proofs(const struct pv_cmd_ctx *ctx, const struct pv_recipe *recipes, size_t n, struct pv_error *err)
{
	struct pv_verify_request ask;

	for (size_t i = 0; i < n; i++) {
		if (pv_cmd_verify_request(ctx, recipes[i].name, &ask, err) < 0)
			return -1;
		if (to_be_proven(ctx, &recipes[i]) && pv_verify_possible(&ask, recipes[i].memory, err) < 0)
			return pv_error_wrap(err, "%s cannot be verified here (--no-verify builds without)",
					     recipes[i].name);
	}
	return 0;
}

static int build_one(const struct session *s, const struct pv_recipe *recipe, struct pv_error *err)
{
	const struct pv_cmd_ctx *ctx = s->ctx;
	const char *out = ctx->paths.out_dir, *name = recipe->name;
	struct pv_verify_request ask;
	struct proof proof = { ctx, name, &ask };
	bool proven = to_be_proven(ctx, recipe);
	const struct pv_build_request req = {
		.recipe = recipe, .paths = &ctx->paths, .dir = out, .name = name, .store = s->store, .fetch = s->fetch,
		.objects = s->objects, .remote = s->remote, .turn = s->turn,
		.log = ctx->log, .allow_older = ctx->opts.allow_older, .lock_use = pv_cmd_lock_use(ctx),
		.no_wait = ctx->opts.no_wait,
		.on_disk = ctx->opts.on_disk,
		.accept = proven ? prove : NULL, .accept_ctx = &proof,
	};
	pv_autoerror cause = PV_ERROR_INIT;

	if (pv_cmd_verify_request(ctx, name, &ask, err) < 0)
		return -1;
	ask.color = pv_cmd_color(stderr);
	if (pv_mkdirs(out, 0755, &cause) < 0)
		return pv_error_set(err, cause.kind, "%s; name another folder with --out DIR", cause.text);
	if (pv_build(&req, err) < 0)
		return -1;
	if (pv_recipe_is_dom0(recipe))
		pv_log_info(ctx->log, "%s: %s/%s: xen.elf, vmlinuz, initrd", name, out, name);
	else
		pv_log_info(ctx->log, "%s: %s/%s/%s.raw (%s)", name, out, name, name,
			    proven ? "PVHVM, green" : "not verified");
	return 0;
}

/* What was of no use for longest makes room. Another build that runs will do it. */
static void collect(const struct pv_cmd_ctx *ctx)
{
	pv_autoerror cause = PV_ERROR_INIT;
	struct pv_cache_part freed;
	bool busy;

	const uint64_t limit = ctx->opts.cache_limit ? ctx->opts.cache_limit : PV_CACHE_LIMIT;

	if (pv_cache_collect(ctx->paths.cache_dir, limit, &busy, &freed, &cause) < 0)
		pv_log_warn(ctx->log, "the cache is not made smaller: %s", cause.text);
	else if (freed.n > 0)
		pv_log_debug(ctx->log, "removed from the cache: %zu, %llu bytes", freed.n, (unsigned long long)freed.bytes);
}

/* Before anything is done: whether the options of the shared cache go together. */
static int check_remote(const struct pv_opts *opts, struct pv_error *err)
{
	if (!opts->cache_remote && (opts->cache_signers || opts->cache_credentials || opts->cache_key || opts->cache_push))
		return pv_error_set(err, PV_ERR_USAGE, "--cache-signers, --cache-credentials, --cache-push and --cache-key are "
				    "for a --cache-remote; name one");
	if (opts->cache_push != (opts->cache_key != NULL))
		return pv_error_set(err, PV_ERR_USAGE, opts->cache_push ? "--cache-push: what is pushed must be signed; "
				    "name an ssh key with --cache-key" : "--cache-key: only for --cache-push");
	return 0;
}

static int open_remote(const struct pv_opts *opts, const struct pv_store *store, struct pv_cacheremote **ret,
		       struct pv_error *err)
{
	const struct pv_cacheremote_request request = {
		.url = opts->cache_remote, .signers = opts->cache_signers, .key = opts->cache_key,
		.credentials = opts->cache_credentials,
	};
	pv_autocacheremote *remote = NULL;

	if (!opts->cache_remote)
		return 0;
	if (pv_cacheremote_new(&request, store, &remote, err) < 0)
		return -1;
	if (!opts->offline)	/* that touches no network; what is wrong with the options is said all the same */
		*ret = pv_steal(&remote);
	return 0;
}

static int session_begin(const struct pv_cmd_ctx *ctx, struct session *ret, struct pv_error *err)
{
	autosession s = { .ctx = ctx };
	pv_autoerror cause = PV_ERROR_INIT;

	if (pv_build_begin(&ctx->paths, ctx->opts.jobs, ctx->log, &s.store, &s.fetch, err) < 0 ||
	    open_remote(&ctx->opts, s.store, &s.remote, err) < 0)
		return -1;
	if (ctx->opts.offline)
		pv_fetch_set_offline(s.fetch);
	if (pv_objects_open(ctx->paths.cache_dir, s.store, &s.objects, &cause) < 0)
		pv_log_warn(ctx->log, "nothing is kept or reused: %s", cause.text);
	*ret = s;
	s = (struct session){ .ctx = ctx };
	return 0;
}

/* --- several --- */

struct many {
	struct pv_cmd_ctx *ctx;
	const struct pv_recipe *recipes;
	bool *built;
	size_t nfailed, first_failed;
	struct pv_error first;			/* of the first on the command line that failed */
};

static int build_beside_others(void *arg, size_t job, struct pv_turn *turn, struct pv_error *err)
{
	struct many *many = arg;
	autosession s = { .ctx = many->ctx };

	pv_log_share(many->ctx->log, many->recipes[job].name);
	if (pv_turn_take(turn, PV_TURN_PLAN, 0, err) < 0 || session_begin(many->ctx, &s, err) < 0)
		return -1;
	s.turn = turn;
	return build_one(&s, &many->recipes[job], err);
}

static void note_end(void *arg, size_t job, const struct pv_error *cause)
{
	struct many *many = arg;

	many->built[job] = !cause;
	if (!cause || cause->kind == PV_ERR_SIGINT || cause->kind == PV_ERR_SIGTERM)
		return;
	pv_log_warn(many->ctx->log, "%s is not built: %s", many->recipes[job].name, cause->text);
	if (many->nfailed++ == 0 || job < many->first_failed) {
		many->first_failed = job;
		pv_error_set(&many->first, cause->kind, "%s", cause->text);
	}
}

static int build_many(struct many *many, size_t n, struct pv_error *err)
{
	const unsigned asked = many->ctx->opts.parallel;
	const struct pv_turn_limits limits = { .slots = asked ? asked : pv_host_cpus(), .memory = pv_workdir_memory() };

	if (pv_turns_run(n, &limits, build_beside_others, note_end, many, err) < 0)
		return -1;
	if (many->nfailed == 0)
		return 0;
	return pv_error_set(err, many->first.kind, "%zu of %zu images are not built; %s: %s", many->nfailed, n,
			    many->recipes[many->first_failed].name, many->first.text);
}

static int build_all(struct pv_cmd_ctx *ctx, const struct pv_recipe *recipes, size_t n, bool *built,
		     struct pv_error *err)
{
	autosession s = { .ctx = ctx };

	if (check_proofs(ctx, recipes, n, err) < 0 || session_begin(ctx, &s, err) < 0)
		return -1;
	bool kept = s.objects != NULL;
	int rc = 0;
	if (n == 1) {
		rc = build_one(&s, &recipes[0], err);
		built[0] = rc == 0;
		session_done(&s);
	} else if (n > 1) {
		struct many many = { .ctx = ctx, .recipes = recipes, .built = built };
		session_done(&s);	/* each process has its own */
		rc = build_many(&many, n, err);
		pv_error_clear(&many.first);
	}
	if (kept && rc == 0)
		collect(ctx);
	return rc;
}

static int find_names(const struct pv_cmd_ctx *ctx, int argc, char **argv, struct pv_strv *ret, struct pv_error *err)
{
	if (ctx->opts.all && argc > 0)
		return pv_error_set(err, PV_ERR_USAGE, "build --all %s: names or --all, not both", argv[0]);
	if (ctx->opts.all)
		return pv_recipe_names(ctx->paths.recipes_dir, ret, err);
	if (argc == 0)
		return pv_error_set(err, PV_ERR_USAGE, "build: NAME... is missing; see pvimg help build");
	for (int i = 0; i < argc; i++) {
		if (pv_strv_has(ret, argv[i]))
			return pv_error_set(err, PV_ERR_USAGE, "%s is named twice", argv[i]);
		pv_strv_add(ret, argv[i]);
	}
	return 0;
}

/* All are loaded before anything is built. --all means images. */
static int load_all(struct pv_cmd_ctx *ctx, const struct pv_strv *names, struct pv_recipe *recipes, size_t *ret_n,
		    struct pv_error *err)
{
	for (size_t i = 0; i < names->n; i++) {
		if (pv_cmd_load_recipe(ctx, names->v[i], &recipes[*ret_n], err) < 0)
			return -1;
		if (ctx->opts.all && pv_recipe_is_dom0(&recipes[*ret_n]))
			pv_recipe_done(&recipes[*ret_n]);
		else
			(*ret_n)++;
	}
	return 0;
}

int pv_cmd_build(struct pv_cmd_ctx *ctx, int argc, char **argv, struct pv_error *err)
{
	pv_autostrv names = PV_STRV_INIT;
	size_t n = 0;

	if (check_remote(&ctx->opts, err) < 0 || find_names(ctx, argc, argv, &names, err) < 0)
		return -1;
	struct pv_recipe *recipes = pv_xcalloc(names.n + 1, sizeof(*recipes));
	pv_autofree bool *built = pv_xcalloc(names.n + 1, sizeof(*built));
	int rc = load_all(ctx, &names, recipes, &n, err);
	if (rc == 0)
		rc = pv_ns_enter(err);
	if (rc == 0)
		rc = build_all(ctx, recipes, n, built, err);
	for (size_t i = 0; i < n; i++) {
		pv_autofree char *path = pv_fmt("%s/%s/%s.raw", ctx->paths.out_dir, recipes[i].name, recipes[i].name);
		if (built[i])
			pv_log_result(ctx->log, recipes[i].name, path);
		pv_recipe_done(&recipes[i]);
	}
	free(recipes);
	return rc;
}
