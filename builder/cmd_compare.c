/* SPDX-License-Identifier: Apache-2.0 */
/* pvimg compare: boots an image in four ways and prints them side by side. */
#include <stdio.h>

#include "cmd.h"
#include "compare.h"

int pv_cmd_compare(struct pv_cmd_ctx *ctx, int argc, char **argv, struct pv_error *err)
{
	struct pv_verify_request req;
	pv_autocompared res = { .json = NULL };

	(void)argc;
	if (pv_cmd_verify_request(ctx, argv[0], &req, err) < 0)
		return -1;
	req.record_dir = ctx->opts.out;
	if (pv_compare(&req, &res, err) < 0)
		return -1;
	fputs(ctx->opts.json ? res.json : res.text, stdout);
	pv_log_info(ctx->log, "the comparison is in %s", res.json_path);
	const struct pv_compare_way *way = &res.compared.ways[PV_AS_PVHVM];
	if (way->class == PV_CLASS_PVHVM)
		return 0;
	return pv_error_set(err, PV_ERR_VERDICT, "%s: %s%s%s", argv[0], pv_class_name(way->class),
			    way->cause ? ": " : "", way->cause ? way->cause : "");
}
