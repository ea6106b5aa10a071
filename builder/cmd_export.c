/* SPDX-License-Identifier: Apache-2.0 */
/* pvimg export: a raw image in the formats named. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "export.h"
#include "fsutil.h"

/* "raw,vhd" as words. */
static void split(const char *list, struct pv_strv *ret)
{
	while (*list) {
		size_t len = strcspn(list, ",");

		pv_strv_take(ret, pv_xstrndup(list, len));
		list += len;
		list += *list == ',';
	}
}

/* Where results go: --out, else the image's folder. */
static char *folder(const struct pv_cmd_ctx *ctx, const char *image)
{
	return ctx->opts.out ? pv_xstrdup(ctx->paths.out_dir) : pv_path_dir(image);
}

static void print_files(const struct pv_strv *files)
{
	for (size_t i = 0; i < files->n; i++)
		puts(files->v[i]);
}

static int run(struct pv_cmd_ctx *ctx, struct pv_export_request *req, struct pv_error *err)
{
	pv_autostrv files = PV_STRV_INIT;

	pv_log_stage_begin(ctx->log, req->machine->name, "export");
	int rc = pv_export(req, &files, err);
	pv_log_stage_end(ctx->log, rc == 0, NULL);
	if (rc == 0 && req->dir)
		print_files(&files);
	return rc;
}

int pv_cmd_export(struct pv_cmd_ctx *ctx, int argc, char **argv, struct pv_error *err)
{
	bool stream = pv_streq(ctx->opts.out, "-");
	pv_autofree char *dir = stream ? NULL : folder(ctx, argv[0]);
	pv_automachine machine = { .name = NULL };
	pv_autostrv words = PV_STRV_INIT;

	(void)argc;
	if (!ctx->opts.format)
		return pv_error_set(
			err, PV_ERR_USAGE,
			"--format LIST is missing: raw, qcow2, qcow2-zlib, vhd, vhd-tar-gz, xva, xva-xxhash, "
			"raw-zst, with commas between");
	split(ctx->opts.format, &words);
	if (pv_export_check((const char *const *)words.v, words.n, 0, err) < 0)
		return -1;
	if (stream && isatty(STDOUT_FILENO))
		return pv_error_set(err, PV_ERR_USAGE,
				    "--out -: standard output is a terminal; lead it to a file or a program");
	if (pv_machine_of_image(argv[0], ctx->opts.memory, ctx->opts.vcpus, &machine, err) < 0)
		return -1;
	if (dir && pv_mkdirs(dir, 0755, err) < 0)
		return -1;
	struct pv_export_request req = {
		.image = argv[0],
		.machine = &machine,
		.formats = (const char *const *)words.v,
		.nformats = words.n,
		.dir = dir,
		.stream_fd = stream ? STDOUT_FILENO : -1,
		.pad = ctx->opts.pad,
		.progress = pv_log_stage_bytes,
		.progress_ctx = ctx->log,
	};
	return run(ctx, &req, err);
}
