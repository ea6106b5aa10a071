/* SPDX-License-Identifier: Apache-2.0 */
/* pvimg cache: how large the cache is, checking it, and making it smaller. */
#include <stdio.h>

#include "cmd.h"
#include "collect.h"

static void print_part(const char *what, const struct pv_cache_part *part)
{
	pv_autofree char *size = pv_size_text(part->bytes);

	printf("  %-10s %6zu  %s\n", what, part->n, size);
}

static int du(const struct pv_cmd_ctx *ctx, struct pv_error *err)
{
	struct pv_cache_size size;

	if (pv_cache_measure(ctx->paths.cache_dir, &size, err) < 0)
		return -1;
	if (ctx->opts.json) {
		printf("{\"packages\": %zu, \"packages_bytes\": %llu, \"trees\": %zu, \"trees_bytes\": %llu, "
		       "\"results\": %zu, \"dom0s\": %zu, \"dom0s_bytes\": %llu}\n", size.packages.n,
		       (unsigned long long)size.packages.bytes, size.trees.n, (unsigned long long)size.trees.bytes,
		       size.results.n, size.dom0s.n, (unsigned long long)size.dom0s.bytes);
		return 0;
	}
	printf("%s\n", ctx->paths.cache_dir);
	print_part("packages", &size.packages);
	print_part("trees", &size.trees);
	print_part("results", &size.results);
	print_part("dom0s", &size.dom0s);
	return 0;
}

static int gc(const struct pv_cmd_ctx *ctx, struct pv_error *err)
{
	struct pv_cache_part freed;
	const uint64_t limit = ctx->opts.cache_limit ? ctx->opts.cache_limit : PV_CACHE_LIMIT;
	bool busy;

	if (pv_cache_collect(ctx->paths.cache_dir, limit, &busy, &freed, err) < 0)
		return -1;
	if (busy)
		return pv_error_set(err, PV_ERR_STAGE, "%s: in use by a build that is running; try again after it",
				    ctx->paths.cache_dir);
	pv_autofree char *size = pv_size_text(freed.bytes);
	if (ctx->opts.json)
		printf("{\"removed\": %zu, \"bytes\": %llu}\n", freed.n, (unsigned long long)freed.bytes);
	else
		printf("removed: %zu (%s)\n", freed.n, size);
	return 0;
}

static int verify(const struct pv_cmd_ctx *ctx, struct pv_error *err)
{
	struct pv_cache_part good;
	size_t bad;

	if (pv_cache_verify(ctx->paths.cache_dir, &good, &bad, err) < 0)
		return -1;
	if (ctx->opts.json)
		printf("{\"good\": %zu, \"bad\": %zu}\n", good.n, bad);
	else
		printf("good: %zu, bad and removed: %zu\n", good.n, bad);
	return 0;
}

int pv_cmd_cache(struct pv_cmd_ctx *ctx, int argc, char **argv, struct pv_error *err)
{
	const char *what = argc > 0 ? argv[0] : "du";

	if (pv_streq(what, "du"))
		return du(ctx, err);
	if (pv_streq(what, "gc"))
		return gc(ctx, err);
	if (pv_streq(what, "verify"))
		return verify(ctx, err);
	return pv_error_set(err, PV_ERR_USAGE, "cache %s: du, gc or verify is wanted", what);
}
