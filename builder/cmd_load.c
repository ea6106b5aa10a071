/* SPDX-License-Identifier: Apache-2.0 */
/* What every command that takes a recipe does first. */
#include <stdio.h>

#include "cmd.h"
#include "recipe.h"

int pv_cmd_load_recipe(struct pv_cmd_ctx *ctx, const char *name, struct pv_recipe *ret, struct pv_error *err)
{
	pv_autofindings findings = { 0 };
	pv_autostrv sets = PV_STRV_INIT;

	for (size_t i = 0; i < ctx->opts.sets.n; i++)
		pv_strv_add(&sets, ctx->opts.sets.v[i]);
	if (ctx->opts.security)
		pv_strv_addf(&sets, "security=%s", ctx->opts.security);
	const struct pv_recipe_override over = {
		.suite = ctx->opts.suite, .mirror = ctx->opts.mirror, .keyring = ctx->opts.keyring, .sets = &sets,
	};
	int rc = pv_recipe_load(ctx->paths.recipes_dir, name, &over, ret, &findings, err);
	for (size_t i = 0; i < findings.n; i++) {
		const struct pv_finding *f = &findings.v[i];
		if (f->line)
			fprintf(stderr, "%s:%u:%u: %s\n", f->file, f->line, f->column, f->text);
		else
			fprintf(stderr, "%s: %s\n", f->file, f->text);
	}
	return rc;
}
