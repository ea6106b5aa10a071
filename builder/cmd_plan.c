/* SPDX-License-Identifier: Apache-2.0 */
/* pvimg plan: what a build would do, as text or JSON. Fetches indexes into the store and writes nothing else. */
#include <stdio.h>

#include "cmd.h"
#include "explain.h"
#include "fsutil.h"
#include "hostapt.h"
#include "ns.h"
#include "prepare.h"
#include "recipe.h"
#include "url.h"
#include "workdir.h"

static void count_stored(const struct pv_plan *plan, const struct pv_store *store, size_t *ret_missing,
			 uint64_t *ret_bytes)
{
	*ret_missing = 0;
	*ret_bytes = 0;
	for (size_t i = 0; i < plan->npackages; i++) {
		const struct pv_package *p = &plan->packages[i];
		if (pv_store_has(store, p->sha256, p->size))
			continue;
		(*ret_missing)++;
		*ret_bytes += p->size;
	}
}

static void print_fetch(const struct pv_plan *plan, const struct pv_store *store)
{
	size_t missing;
	uint64_t bytes;

	count_stored(plan, store, &missing, &bytes);
	pv_autofree char *size = pv_size_text(bytes);
	printf("\nstages:\n");
	if (missing)
		printf("  fetch      miss: %zu of %zu packages (%s) are not in the store\n", missing, plan->npackages,
		       size);
	else
		printf("  fetch      hit: all %zu packages are in the store\n", plan->npackages);
}

/* What stages make together has one line: system is fetch, bootstrap and install. */
static int print_explain(const struct pv_cmd_ctx *ctx, const struct pv_plan *plan, struct pv_store *store,
			 struct pv_error *err)
{
	pv_autofree char *final = pv_path_join(ctx->paths.out_dir, plan->name);
	pv_autoobjects *objects = NULL;
	pv_autostagecache *cache = NULL;
	pv_autostr text = PV_STR_INIT;
	pv_autoerror ignored = PV_ERROR_INIT;

	print_fetch(plan, store);
	if (pv_recipe_is_dom0(plan->recipe)) {
		printf("  unpack     miss: never kept\n"
		       "  initramfs  miss: follows unpack\n");
		return 0;
	}
	if (pv_objects_open(ctx->paths.cache_dir, store, &objects, &ignored) < 0)
		pv_log_warn(ctx->log, "nothing is kept or reused: %s", ignored.text);
	if (pv_stagecache_new(plan, &ctx->paths, objects, &cache, err) < 0 ||
	    pv_explain(plan, cache, final, &text, err) < 0)
		return -1;
	fputs(pv_str_text(&text), stdout);
	return 0;
}

static void print_flavor(const struct pv_plan *plan)
{
	pv_autofree char *memory = pv_size_text(plan->recipe->memory);
	pv_autofree char *disk = pv_size_text(plan->disk_size);

	printf("  flavor     %s memory, %u vcpu%s, %s disk\n", memory, plan->recipe->vcpus,
	       plan->recipe->vcpus == 1 ? "" : "s", disk);
}

static void print_image(const struct pv_plan *plan)
{
	char uuid[37];

	pv_uuid_text(plan->root_fs_uuid, uuid);
	printf("  kernel     %s\n", plan->suite->kernel_package);
	printf("  root       ext4 %s on partition %u\n", uuid, plan->root.number);
	printf("  memcached  %u MiB, %u connections, %u threads\n", plan->sizing.memcached_mib,
	       plan->sizing.memcached_connections, plan->sizing.memcached_threads);
	printf("  apache2    %u workers in at most %u processes\n", plan->sizing.apache_max_request_workers,
	       plan->sizing.apache_server_limit);
}

static void print_origin(const struct pv_prepared *prepared)
{
	const char *stand_in = prepared->plan.stand_in ? ", a stand-in made by tests" : "";

	if (prepared->lock_path)
		printf("  lock       %s%s\n", prepared->lock_path, stand_in);
	if (!prepared->mirror) {
		printf("  mirror     none: every package is in the store\n");
		return;
	}
	pv_autofree char *mirror = pv_url_redacted(prepared->mirror);
	pv_autofree char *security = prepared->security ? pv_url_redacted(prepared->security) : pv_xstrdup("none");
	printf("  mirror     %s (%s)%s\n", mirror, prepared->mirror_from, prepared->lock_path ? "" : stand_in);
	printf("  security   %s\n", security);
	if (!prepared->archive)
		return;
	pv_autofree char *keys = pv_strv_join(&prepared->archive->signed_by, " ");
	printf("  signed by  %s (%s)\n", keys, prepared->archive->keyring_from);
}

static void print_plan(const struct pv_prepared *prepared)
{
	const struct pv_plan *plan = &prepared->plan;
	bool is_dom0 = pv_recipe_is_dom0(plan->recipe);
	pv_autofree char *download = pv_size_text(plan->download_bytes);
	pv_autofree char *installed = pv_size_text(plan->installed_bytes);

	printf("%s: %s %s (%s), %s%s\n", plan->name, plan->suite->distribution, plan->suite->version,
	       plan->suite->codename, plan->arch, is_dom0 ? ", the dom0 of pvimg verify" : "");
	if (!is_dom0)
		print_flavor(plan);
	print_origin(prepared);
	printf("  epoch      %lld\n", (long long)plan->epoch);
	printf("  packages   %zu, %s to download, %s installed\n", plan->npackages, download, installed);
	if (!is_dom0)
		print_image(plan);
}

static int plan_it(struct pv_cmd_ctx *ctx, const struct pv_recipe *recipe, struct pv_error *err)
{
	pv_autostore *store = NULL;
	pv_autofetch *fetch = NULL;
	pv_autoworkdir work = PV_WORKDIR_INIT;
	pv_autoprepared prepared = { 0 };
	pv_autofree char *http = NULL, *https = NULL;

	if (pv_workdir_create(ctx->paths.cache_dir, recipe->name, 0, &work, err) < 0 ||
	    pv_store_open(ctx->paths.cache_dir, &store, err) < 0 ||
	    pv_fetch_new(store, ctx->opts.jobs, &fetch, err) < 0 || pv_hostapt_proxy(&http, &https, err) < 0)
		return -1;
	pv_fetch_set_proxy(fetch, http, https);
	if (ctx->opts.offline)
		pv_fetch_set_offline(fetch);
	const struct pv_prepare_request want = {
		.recipe = recipe, .overlays_dir = ctx->paths.overlays_dir,
		.cache_dir = ctx->paths.cache_dir, .work_dir = work.path, .store = store,
		.fetch = fetch, .allow_older = ctx->opts.allow_older, .lock_use = pv_cmd_lock_use(ctx),
	};
	if (pv_prepare(&want, &prepared, err) < 0)
		return -1;
	if (ctx->opts.json) {
		pv_autofree char *json = pv_plan_json(&prepared.plan);
		fputs(json, stdout);
	} else {
		print_plan(&prepared);
	}
	if (ctx->opts.explain && !ctx->opts.json)
		return print_explain(ctx, &prepared.plan, store, err);
	return 0;
}

int pv_cmd_plan(struct pv_cmd_ctx *ctx, int argc, char **argv, struct pv_error *err)
{
	pv_autorecipe recipe = { 0 };

	(void)argc;
	if (pv_cmd_load_recipe(ctx, argv[0], &recipe, err) < 0 || pv_ns_enter(err) < 0)
		return -1;
	return plan_it(ctx, &recipe, err);
}
