/* SPDX-License-Identifier: Apache-2.0 */
/* pvimg lint: one line a check, with its reason; JSON on request. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "cmd.h"
#include "image.h"
#include "lint.h"

static void print_check(void *ctx, const struct pv_lint_check *check, const struct pv_strv *faults)
{
	(void)ctx;
	printf("%-5s %-22s %s\n", faults->n ? "FAIL" : "ok", check->name, check->reason);
	for (size_t i = 0; i < faults->n; i++)
		printf("      %-22s - %s\n", "", faults->v[i]);
}

static void add_check(void *ctx, const struct pv_lint_check *check, const struct pv_strv *faults)
{
	json_t *list = json_array();

	for (size_t i = 0; i < faults->n; i++)
		json_array_append_new(list, json_string(faults->v[i]));
	json_array_append_new(ctx, json_pack("{s:s, s:s, s:b, s:o}", "name", check->name, "reason", check->reason,
					     "ok", faults->n == 0, "faults", list));
}

int pv_cmd_lint(struct pv_cmd_ctx *ctx, int argc, char **argv, struct pv_error *err)
{
	pv_autoimage *image = NULL;
	size_t total, red;

	(void)argc;
	if (pv_image_open(argv[0], &image, err) < 0)
		return -1;
	if (ctx->opts.json) {
		json_t *checks = json_array();
		pv_lint_run(image, add_check, checks, &total, &red);
		json_t *root = json_pack("{s:s, s:b, s:o}", "schema", "pvimg.lint/1", "green", red == 0, "checks",
					 checks);
		pv_autofree char *text = json_dumps(root, JSON_INDENT(1) | JSON_SORT_KEYS);
		json_decref(root);
		puts(text ? text : "{}");
	} else {
		pv_lint_run(image, print_check, NULL, &total, &red);
	}
	if (red)
		return pv_error_set(err, PV_ERR_DIFFERS, "%s: %zu of %zu checks failed", argv[0], red, total);
	return 0;
}
