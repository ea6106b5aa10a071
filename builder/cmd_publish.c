/* SPDX-License-Identifier: Apache-2.0 */
/* pvimg publish: an image to where clouds take theirs from. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "cmd_fingerprint.h"
#include "export.h"
#include "fsutil.h"
#include "machine.h"
#include "proc.h"
#include "publish.h"
#include "publish_gate.h"
#include "recipe.h"

#define TARGETS_MAX 16u

struct open_target {
	const struct pv_publish_target *kind;
	void *self;
};

struct targets {
	struct open_target v[TARGETS_MAX];
	size_t n;
};

static void targets_done(struct targets *t)
{
	for (size_t i = 0; i < t->n; i++)
		t->v[i].kind->free(t->v[i].self);
}
#define auto_targets __attribute__((cleanup(targets_done))) struct targets

/* --- what the command line says --- */

/* As --show-fingerprint of others print them too: with colons or without, in either case. */
static int take_pins(const struct pv_strv *words, struct pv_strv *ret, struct pv_error *err)
{
	for (size_t i = 0; i < words->n; i++) {
		pv_autostr hex = PV_STR_INIT;

		for (const char *c = words->v[i]; *c; c++)
			if (*c != ':')
				pv_str_addc(&hex, *c >= 'A' && *c <= 'F' ? (char)(*c + 'a' - 'A') : *c);
		if (!pv_digest_valid(pv_str_text(&hex)))
			return pv_error_set(err, PV_ERR_USAGE, "--pin %s: the SHA-256 of a certificate is wanted, 64 digits",
					    words->v[i]);
		pv_strv_add(ret, pv_str_text(&hex));
	}
	return 0;
}

static bool is_path(const char *word)
{
	return strchr(word, '/') || pv_ends(word, ".raw");
}

/* NAME of the output folder, or a path. */
static char *image_of(const struct pv_cmd_ctx *ctx, const char *word)
{
	if (is_path(word))
		return pv_xstrdup(word);
	return pv_fmt("%s/%s/%s.raw", ctx->paths.out_dir, word, word);
}

/* "qcow2,vhd" as words. */
static int take_formats(const char *list, struct pv_strv *ret, struct pv_error *err)
{
	if (!list)
		return 0;
	while (*list) {
		size_t len = strcspn(list, ",");

		pv_strv_take(ret, pv_xstrndup(list, len));
		list += len;
		list += *list == ',';
	}
	return pv_export_check((const char *const *)ret->v, ret->n, 0, err);
}

/* --- showing --- */

struct shown {
	struct pv_log *log;
	const char *image, *stage;	/* stage: the one that is open */
};

static void show_progress(void *arg, const char *what, uint64_t done, uint64_t total)
{
	struct shown *s = arg;

	if (!pv_streq(s->stage, what)) {
		if (s->stage)
			pv_log_stage_end(s->log, true, NULL);
		pv_log_stage_begin(s->log, s->image, what);
		s->stage = what;
	}
	pv_log_stage_progress(s->log, done, total, "bytes");
}

static void show_note(void *arg, const char *line)
{
	const struct shown *s = arg;

	pv_log_warn(s->log, "%s", line);
}

static void print_result(const struct pv_cmd_ctx *ctx, const char *name, const struct pv_publish_target *kind,
			 const struct pv_publish_result *r)
{
	if (ctx->opts.json) {
		json_t *root = json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:I, s:i, s:i}", "schema", "pvimg.publish/1",
					 "image", name, "sha256", r->sha256, "target", r->target, "id", r->id, "already",
					 r->already, "sent", (json_int_t)r->sent, "tries", (int)r->tries, "removed",
					 (int)r->removed);
		pv_autofree char *text = json_dumps(root, JSON_INDENT(1) | JSON_SORT_KEYS);

		json_decref(root);
		puts(text ? text : "{}");
		return;
	}
	printf("%s  %s  %s %s  %s", name, r->target, kind->kind, r->id, r->already ? "was there already" : "published");
	if (r->removed)
		printf(", %u older removed", r->removed);
	putchar('\n');
}

/* Where to: what --to says, else what the recipe of that name does. */
static int find_targets(struct pv_cmd_ctx *ctx, const char *word, struct pv_strv *ret, struct pv_error *err)
{
	const struct pv_strv *to = &ctx->opts.to;
	pv_autorecipe recipe = { 0 };

	if (to->n > 0) {
		pv_strv_add_all(ret, (const char *const *)to->v);
		return 0;
	}
	pv_autofree char *forms = pv_publish_forms();
	if (is_path(word))
		return pv_error_set(err, PV_ERR_USAGE, "--to URL is missing (a path has no recipe that could name targets): %s",
				    forms);
	if (pv_cmd_load_recipe(ctx, word, &recipe, err) < 0)
		return -1;
	if (recipe.targets.n == 0)
		return pv_error_set(err, PV_ERR_USAGE, "--to URL is missing, and the recipe %s has no targets: %s", word,
				    forms);
	pv_strv_add_all(ret, (const char *const *)recipe.targets.v);
	return 0;
}

/* All of them are planned before the first is asked. */
static int plan_all(const struct pv_strv *to, const struct pv_publish *what, struct targets *ret, struct pv_error *err)
{
	if (to->n > TARGETS_MAX)
		return pv_error_set(err, PV_ERR_USAGE, "%zu targets: %u at once at most", to->n, TARGETS_MAX);
	for (size_t i = 0; i < to->n; i++) {
		struct open_target *t = &ret->v[ret->n];

		if (pv_publish_find(to->v[i], &t->kind, err) < 0 || t->kind->plan(to->v[i], what, &t->self, err) < 0)
			return -1;
		ret->n++;
		if (what->start && !t->kind->starts)
			return pv_error_set(err, PV_ERR_USAGE, "--start: only xl+ssh:// makes domains");
	}
	return 0;
}

static int send_one(struct pv_cmd_ctx *ctx, const struct open_target *t, const struct pv_publish *what,
		    struct pv_error *err)
{
	pv_autopublished result = { 0 };
	struct shown *shown = what->ctx;

	int rc = t->kind->send(t->self, what, &result, err);
	if (shown->stage)
		pv_log_stage_end(ctx->log, rc == 0, NULL);
	shown->stage = NULL;
	if (rc < 0)
		return -1;
	print_result(ctx, what->machine->name, t->kind, &result);
	return pv_publish_record(what, &result, err);
}

/* A target that fails does not keep the image from the others. Of several, each failure is told at once, and the end is the
 * first one, whose kind is the exit code. */
static int send_all(struct pv_cmd_ctx *ctx, const struct targets *targets, const struct pv_publish *what,
		    struct pv_error *err)
{
	size_t failed = 0;

	for (size_t i = 0; i < targets->n && !(failed > 0 && pv_proc_interrupted()); i++) {
		pv_autoerror why = PV_ERROR_INIT;
		struct pv_error *mine = failed == 0 ? err : &why;

		if (send_one(ctx, &targets->v[i], what, mine) == 0)
			continue;
		failed++;
		if (targets->n > 1)
			pv_log_warn(ctx->log, "target %zu of %zu: %s", i + 1, targets->n, mine->text);
	}
	if (failed > 0 && targets->n > 1)
		return pv_error_wrap(err, "%zu of %zu targets failed, the first of them", failed, targets->n);
	return failed > 0 ? -1 : 0;
}

int pv_cmd_publish(struct pv_cmd_ctx *ctx, int argc, char **argv, struct pv_error *err)
{
	const struct pv_opts *o = &ctx->opts;

	if (o->show_fingerprint)
		return pv_cmd_show_fingerprint(ctx, argv[0], err);
	pv_autofree char *image = image_of(ctx, argv[0]);
	pv_automachine machine = { .name = NULL };
	pv_autostrv pins = PV_STRV_INIT, formats = PV_STRV_INIT, to = PV_STRV_INIT;
	auto_targets targets = { .n = 0 };
	char sha256[PV_SHA256_HEX];

	(void)argc;
	if (o->ca && o->pins.n)
		return pv_error_set(err, PV_ERR_USAGE, "--ca and --pin: leave one out");
	if (find_targets(ctx, argv[0], &to, err) < 0 || take_pins(&o->pins, &pins, err) < 0 ||
	    take_formats(o->format, &formats, err) < 0 || pv_machine_of_image(image, o->memory, o->vcpus, &machine, err) < 0)
		return -1;
	struct shown shown = { ctx->log, machine.name, NULL };
	struct pv_publish what = {
		.image = image,
		.machine = &machine,
		.formats = (const char *const *)formats.v,
		.nformats = formats.n,
		.sign = o->sign,
		.trust = { o->ca, (const char *const *)pins.v, pins.n },
		.scripts_dir = ctx->paths.scripts_dir,
		.start = o->start,
		.deadline_s = o->deadline_s,
		.keep = o->keep,
		.progress = show_progress,
		.note = show_note,
		.ctx = &shown,
	};
	if (plan_all(&to, &what, &targets, err) < 0 ||
	    pv_publish_gate(image, o->unverified, o->accept_driver, sha256, err) < 0)
		return -1;
	what.sha256 = *sha256 ? sha256 : NULL;
	return send_all(ctx, &targets, &what, err);
}
