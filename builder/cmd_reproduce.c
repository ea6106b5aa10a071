/* SPDX-License-Identifier: Apache-2.0 */
/* pvimg reproduce: two builds that must be equal; the record is NAME.reproduce.json. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "fsutil.h"
#include "recipe.h"
#include "reproduce.h"

static void add_option(struct pv_strv *ret, const char *name, const char *value)
{
	if (value)
		pv_strv_addf(ret, "--%s=%s", name, value);
}

/* What `pvimg plan` and `pvimg build` get of this command line. */
static void build_options(const struct pv_opts *opts, struct pv_strv *ret)
{
	add_option(ret, "suite", opts->suite);
	add_option(ret, "mirror", opts->mirror);
	add_option(ret, "security", opts->security);
	for (size_t i = 0; i < opts->sets.n; i++)
		add_option(ret, "set", opts->sets.v[i]);
	if (opts->jobs)
		pv_strv_addf(ret, "--jobs=%u", opts->jobs);
	if (opts->allow_older)
		pv_strv_add(ret, "--allow-older");
	if (opts->offline)
		pv_strv_add(ret, "--offline");
}

static int write_record(const struct pv_cmd_ctx *ctx, const char *name, const struct pv_reproduced *found,
			struct pv_error *err)
{
	pv_autofree char *path = pv_fmt("%s/%s.reproduce.json", ctx->paths.out_dir, name);

	if (pv_mkdirs(ctx->paths.out_dir, 0755, err) < 0 ||
	    pv_write_file(path, found->json, strlen(found->json), 0644, err) < 0)
		return -1;
	pv_log_info(ctx->log, "%s: %s", name, path);
	return 0;
}

int pv_cmd_reproduce(struct pv_cmd_ctx *ctx, int argc, char **argv, struct pv_error *err)
{
	pv_autorecipe recipe = { 0 };
	pv_autoreproduced found = { .equal = false };
	pv_autostrv options = PV_STRV_INIT;

	/* the builds run in other folders */
	pv_autofree char *keyring = ctx->opts.keyring ? realpath(ctx->opts.keyring, NULL) : NULL;

	(void)argc;
	if (ctx->opts.keyring && !keyring)
		return pv_error_errno(err, PV_ERR_USAGE, errno, "--keyring %s", ctx->opts.keyring);
	if (pv_cmd_load_recipe(ctx, argv[0], &recipe, err) < 0)
		return -1;
	if (pv_recipe_is_dom0(&recipe))
		return pv_error_set(err, PV_ERR_USAGE, "%s is a dom0, no image", recipe.name);
	build_options(&ctx->opts, &options);
	static const char *const none[] = { NULL };
	const struct pv_reproduce_request req = {
		.recipe = &recipe, .paths = &ctx->paths, .options = options.n ? (const char *const *)options.v : none,
		.keyring = keyring, .as_user = ctx->opts.as_user, .log = ctx->log,
	};
	if (pv_reproduce(&req, &found, err) < 0)
		return pv_error_wrap(err, "%s", recipe.name);
	fputs(ctx->opts.json ? found.json : found.text, stdout);
	if (write_record(ctx, recipe.name, &found, err) < 0)
		return -1;
	if (found.equal)
		return 0;
	return pv_error_set(err, PV_ERR_DIFFERS, "%s: %s; both results are in %s", recipe.name, found.cause, found.kept);
}
