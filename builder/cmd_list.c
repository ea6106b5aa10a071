/* SPDX-License-Identifier: Apache-2.0 */
/* pvimg list: the recipes there are. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "cmd.h"
#include "recipe.h"
#include "suite.h"

static json_t *recipe_json(const struct pv_recipe *r)
{
	json_t *object = json_pack("{s:s, s:s, s:s, s:s}", "name", r->name, "kind", r->kind, "distribution",
				   r->distribution, "suite", r->suite);

	if (!pv_recipe_is_dom0(r)) {
		json_object_set_new(object, "memory", json_integer((json_int_t)r->memory));
		json_object_set_new(object, "vcpus", json_integer(r->vcpus));
		json_object_set_new(object, "disk", json_integer((json_int_t)r->disk));
	}
	return object;
}

static void print_recipe(const struct pv_recipe *r)
{
	const struct pv_suite *suite = pv_suite_find(r->distribution, r->suite);
	pv_autofree char *memory = pv_size_text(r->memory);
	pv_autofree char *disk = pv_size_text(r->disk);

	printf("%-14s %s %s (%s), ", r->name, r->distribution, suite ? suite->version : "?", r->suite);
	if (pv_recipe_is_dom0(r))
		puts("the dom0 of pvimg verify");
	else
		printf("%s memory, %u vcpu%s, %s disk\n", memory, r->vcpus, r->vcpus == 1 ? "" : "s", disk);
}

int pv_cmd_list(struct pv_cmd_ctx *ctx, int argc, char **argv, struct pv_error *err)
{
	pv_autostrv names = PV_STRV_INIT;
	json_t *list = json_array();
	int refused = 0;

	(void)argc, (void)argv;
	if (pv_recipe_names(ctx->paths.recipes_dir, &names, err) < 0) {
		json_decref(list);
		return -1;
	}
	for (size_t i = 0; i < names.n; i++) {
		pv_autorecipe recipe = { 0 };
		pv_autoerror fault = PV_ERROR_INIT;
		if (pv_cmd_load_recipe(ctx, names.v[i], &recipe, &fault) < 0) {
			refused++;
			continue;
		}
		if (ctx->opts.json)
			json_array_append_new(list, recipe_json(&recipe));
		else
			print_recipe(&recipe);
	}
	if (ctx->opts.json) {
		pv_autofree char *text = json_dumps(list, JSON_INDENT(1) | JSON_SORT_KEYS);
		puts(text ? text : "[]");
	}
	json_decref(list);
	if (refused)
		return pv_error_set(err, PV_ERR_RECIPE, "%d of %zu recipes refused", refused, names.n);
	return 0;
}
