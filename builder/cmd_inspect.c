/* SPDX-License-Identifier: Apache-2.0 */
/* pvimg inspect: what an image file is, what is in it, what is wrong with it. */
#include <stdio.h>
#include <string.h>

#include "cmd.h"
#include "fsutil.h"
#include "inspect.h"

static void print_list(const char *what, const struct pv_strv *list)
{
	for (size_t i = 0; i < list->n; i++)
		printf("%-6s %s\n", what, list->v[i]);
}

static void print_parts(const struct pv_inspect *in)
{
	if (in->table)
		printf("table  %s\n", in->table);
	for (size_t i = 0; i < in->nparts; i++) {
		const struct pv_inspect_part *p = &in->parts[i];
		pv_autofree char *start = pv_size_text(p->start), *size = pv_size_text(p->size);

		printf("part   %u: %s at %s, %s%s%s%s%s%s\n", p->number, size, start, p->fs ? p->fs : "no file system",
		       p->label ? " " : "", p->label ? p->label : "", p->name ? " (" : "", p->name ? p->name : "",
		       p->name ? ")" : "");
	}
	if (in->bare_fs)
		printf("bare   %s without a partition table\n", in->bare_fs);
	if (in->system)
		printf("system %s\n", in->system);
}

static void print_all(const struct pv_inspect *in, const char *path)
{
	pv_autofree char *file = pv_size_text(in->file_size), *disk = pv_size_text(in->size);
	pv_autofree char *shown = pv_printable(path, strlen(path));

	printf("%s: %s\n", shown, pv_container_what(in->kind));
	printf("disk   %s (%llu bytes), in a file of %s\n", disk, (unsigned long long)in->size, file);
	for (size_t i = 0; i < in->facts.n; i++)
		printf("       %s\n", in->facts.v[i]);
	print_parts(in);
	print_list("note", &in->notes);
	print_list("FAULT", &in->faults);
}

int pv_cmd_inspect(struct pv_cmd_ctx *ctx, int argc, char **argv, struct pv_error *err)
{
	pv_autoinspect in = { .kind = PV_CONTAINER_RAW };

	(void)argc;
	if (pv_mkdirs(ctx->paths.cache_dir, 0700, err) < 0 || pv_inspect(argv[0], ctx->paths.cache_dir, &in, err) < 0)
		return -1;
	if (ctx->opts.json) {
		pv_autofree char *text = pv_inspect_json(&in, argv[0]);
		fputs(text, stdout);
	} else {
		print_all(&in, argv[0]);
	}
	if (in.faults.n > 0)
		return pv_error_set(err, PV_ERR_DIFFERS, "%s: %zu fault%s", argv[0], in.faults.n,
				    in.faults.n == 1 ? "" : "s");
	return 0;
}
