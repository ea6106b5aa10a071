/* SPDX-License-Identifier: Apache-2.0 */
/* pvimg verify: boots an image and prints the verdict. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "fsutil.h"
#include "page.h"
#include "verify.h"

bool pv_cmd_color(FILE *file)
{
	const char *term = getenv("TERM"), *never = getenv("NO_COLOR");

	return isatty(fileno(file)) && term && *term && !pv_streq(term, "dumb") && !(never && *never);
}

static const struct {
	const char *name;
	enum pv_boot_as as;
} boots[] = {
	{ "pvhvm", PV_AS_PVHVM }, { "hvm", PV_AS_HVM }, { "pvh", PV_AS_PVH }, { "pv", PV_AS_PV },
};

static int take_as(const char *word, enum pv_boot_as *ret, struct pv_error *err)
{
	*ret = PV_AS_PVHVM;
	for (size_t i = 0; word && i < PV_COUNT(boots); i++) {
		if (pv_streq(word, boots[i].name)) {
			*ret = boots[i].as;
			return 0;
		}
	}
	return word ? pv_error_set(err, PV_ERR_USAGE, "--as %s: pvhvm, hvm, pvh or pv is wanted", word) : 0;
}

static int take_firmware(const char *word, bool *ret_uefi, struct pv_error *err)
{
	*ret_uefi = pv_streq(word, "uefi");
	if (word && !*ret_uefi && !pv_streq(word, "bios"))
		return pv_error_set(err, PV_ERR_USAGE, "--firmware %s: bios or uefi is wanted", word);
	return 0;
}

int pv_cmd_verify_request(const struct pv_cmd_ctx *ctx, const char *image, struct pv_verify_request *ret,
			  struct pv_error *err)
{
	const struct pv_opts *opts = &ctx->opts;
	struct pv_verify_request req = {
		.image = image, .format = opts->format, .driver = opts->driver, .memory = opts->memory,
		.vcpus = opts->vcpus, .firmware = opts->ovmf, .deadline_s = opts->deadline_s,
		.no_load = opts->no_load, .fresh = opts->no_saved, .extra_disk = opts->extra_disk,
		.paths = &ctx->paths, .log = ctx->log, .jobs = opts->jobs, .offline = opts->offline,
	};

	if (take_as(opts->as, &req.as, err) < 0 || take_firmware(opts->firmware, &req.uefi, err) < 0)
		return -1;
	if (req.firmware && !req.uefi)
		return pv_error_set(err, PV_ERR_USAGE, "--ovmf is for --firmware uefi only");
	*ret = req;
	return 0;
}

int pv_cmd_verdict_error(const struct pv_verdict *verdict, const char *image, struct pv_error *err)
{
	if (verdict->green)
		return 0;
	return pv_error_set(err, PV_ERR_VERDICT, "%s: %s%s%s", image, pv_class_name(verdict->class),
			    verdict->cause ? ": " : "", verdict->cause ? verdict->cause : "");
}

/* Where a build's report is beside the verdict, its page shows it. */
static void renew_page(const struct pv_cmd_ctx *ctx, const char *verdict_path)
{
	const char *slash = strrchr(verdict_path, '/');
	pv_autofree char *dir = pv_xstrndup(verdict_path, slash ? (size_t)(slash - verdict_path) : 0);
	pv_autofree char *report = pv_path_join(dir, "report.json");
	pv_autoerror cause = PV_ERROR_INIT;

	if (slash && pv_streq(slash, "/verdict.json") && pv_exists(report) && pv_page_write(dir, &cause) < 0)
		pv_log_warn(ctx->log, "%s", cause.text);
}

int pv_cmd_verify(struct pv_cmd_ctx *ctx, int argc, char **argv, struct pv_error *err)
{
	struct pv_verify_request req;
	pv_autoverified res = { .json = NULL };

	(void)argc;
	if (pv_cmd_verify_request(ctx, argv[0], &req, err) < 0)
		return -1;
	req.record_dir = ctx->opts.out;
	req.color = pv_cmd_color(stdout);
	if (pv_verify(&req, &res, err) < 0)
		return -1;
	fputs(ctx->opts.json ? res.json : res.text, stdout);
	renew_page(ctx, res.json_path);
	pv_log_info(ctx->log, "the verdict is in %s, the console in %s", res.json_path, res.console_path);
	return pv_cmd_verdict_error(&res.verdict, argv[0], err);
}
