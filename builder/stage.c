/* SPDX-License-Identifier: Apache-2.0 */
/* The stage table and its runner; running programs inside the target's tree. */
#include "stage.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fsutil.h"
#include "sandbox.h"
#include "stagecache.h"

struct stage {
	const char *name;
	pv_stage_fn *run;
	int (*keep)(struct pv_stagecache *cache, struct pv_run *run, struct pv_error *err);	/* its result; NULL: not kept */
};

static const struct stage image_stages[] = {
	{ "fetch", pv_stage_fetch, NULL },
	{ "bootstrap", pv_stage_bootstrap, NULL },
	{ "install", pv_stage_install, pv_stagecache_keep_system },
	{ "configure", pv_stage_configure, pv_stagecache_keep_configure },
	{ "image", pv_stage_image, NULL },
};

static const struct stage dom0_stages[] = {
	{ "fetch", pv_stage_fetch, NULL },
	{ "unpack", pv_stage_unpack, NULL },
	{ "initramfs", pv_stage_initramfs, NULL },
};

static int run_stage(struct pv_run *run, const struct stage *stage, struct pv_error *err)
{
	pv_log_stage_begin(run->log, run->plan->name, stage->name);
	pv_report_stage_begin(run->report, stage->name);
	int rc = stage->run(run, err);
	if (rc == 0 && stage->keep)
		rc = stage->keep(run->cache, run, err);
	pv_report_stage_end(run->report, rc == 0 ? "done" : "failed");
	pv_log_stage_end(run->log, rc == 0, NULL);
	return rc < 0 ? pv_error_wrap(err, "%s: %s", run->plan->name, stage->name) : 0;
}

/* What the cache has takes the place of the first stages: *ret of them. */
static int restore(struct pv_run *run, const struct stage *stages, unsigned *ret, struct pv_error *err)
{
	*ret = 0;
	if (run->cache && pv_stagecache_pull(run->cache, run, err) < 0)
		return -1;
	if (!run->cache || !pv_stagecache_system(run->cache))
		return 0;
	pv_log_stage_begin(run->log, run->plan->name, "restore");
	pv_report_stage_begin(run->report, "restore");
	int rc = pv_stagecache_restore(run->cache, run, ret, err);
	pv_report_stage_end(run->report, rc == 0 ? "done" : "failed");
	pv_autofree char *note = *ret > 0 ? pv_fmt("%s, from the cache", stages[*ret - 1].name) : NULL;
	pv_log_stage_end(run->log, rc == 0, note);
	for (unsigned i = 0; rc == 0 && i < *ret; i++) {
		pv_report_stage_begin(run->report, stages[i].name);
		pv_report_stage_end(run->report, "skipped");
	}
	if (rc == 0 && *ret > 0 && !pv_stagecache_configure(run->cache))
		rc = pv_stagecache_keep_system(run->cache, run, err);
	return rc;
}

int pv_stages_run(struct pv_run *run, struct pv_error *err)
{
	unsigned first;

	bool is_dom0 = pv_recipe_is_dom0(run->plan->recipe);
	const struct stage *stages = is_dom0 ? dom0_stages : image_stages;
	size_t n = is_dom0 ? PV_COUNT(dom0_stages) : PV_COUNT(image_stages);

	if (restore(run, stages, &first, err) < 0)
		return pv_error_wrap(err, "%s: restore", run->plan->name);
	for (size_t i = first; i < n; i++)
		if (pv_proc_check_interrupt(err) < 0 || run_stage(run, &stages[i], err) < 0)
			return -1;
	return 0;
}

struct target_output {
	struct pv_run *run;
	const struct pv_target_call *call;
};

static void take_line(void *ctx, const char *line, size_t len)
{
	struct target_output *output = ctx;

	pv_log_child(output->run->log, line, len);
	if (output->call->on_line)
		output->call->on_line(output->call->ctx, line, len);
}

/* The whole environment of a program inside: nothing of the host's leaks in. */
static void target_env(const struct pv_run *run, const char *const *more, struct pv_strv *ret)
{
	static const char *const fixed[] = {
		"HOME=/root", "LANG=C.UTF-8", "LC_ALL=C.UTF-8", "TZ=UTC", "TERM=dumb", "SHELL=/bin/sh",
		"DEBIAN_FRONTEND=noninteractive", "DEBCONF_NONINTERACTIVE_SEEN=true", NULL,
	};

	pv_strv_add_all(ret, fixed);
	pv_strv_addf(ret, "PATH=%s", PV_TARGET_PATH);
	pv_strv_addf(ret, "SOURCE_DATE_EPOCH=%lld", (long long)run->plan->epoch);
	if (more)
		pv_strv_add_all(ret, more);
}

static char *one_line(const char *tail)
{
	char *line = pv_xstrdup(tail ? tail : "");
	size_t len = strlen(line);

	while (len > 0 && line[len - 1] == '\n')
		line[--len] = '\0';
	for (char *c = line; (c = strchr(c, '\n')); )
		*c = '|';
	return line;
}

static void tick(void *log)
{
	pv_log_tick(log);
}

int pv_run_sandbox(struct pv_run *run, const struct pv_sandbox *box, const struct pv_proc *proc, const char *name,
		   struct pv_error *err)
{
	pv_autoproc res = PV_PROC_RESULT_INIT;
	struct pv_proc ticking = *proc;

	ticking.on_tick = tick;
	ticking.tick_ctx = run->log;
	if (pv_sandbox_run(box, &ticking, &res, err) < 0)
		return pv_error_wrap(err, "%s", name);
	pv_report_child(run->report, name, &res);
	if (res.exit_code == 0)
		return 0;
	pv_autofree char *fate = pv_proc_fate(&res);
	pv_autofree char *tail = one_line(res.tail);
	return pv_error_set(err, PV_ERR_STAGE, "%s: %s%s%s", name, fate, *tail ? ": " : "", tail);
}

int pv_run_call(struct pv_run *run, const struct pv_target_call *call, struct pv_error *err)
{
	pv_autostrv env = PV_STRV_INIT;
	struct target_output output = { run, call };
	pv_autofree char *held = pv_path_join(run->run_dir, "held"), *out = pv_path_join(run->run_dir, "out");
	/* Target code writes into these two alone: in run_dir it could plant links where pvimg itself writes later. */
	const struct pv_sandbox_bind own[] = {
		{ .source = run->run_dir, .target = "/run/pvimg" },
		{ .source = run->archive_dir, .target = "/run/pvimg/archive" },
		{ .source = held, .target = "/run/pvimg/held", .writable = true },
		{ .source = out, .target = "/run/pvimg/out", .writable = true },
	};
	size_t nbinds = call->nbinds + PV_COUNT(own);
	pv_autofree struct pv_sandbox_bind *binds = pv_xcalloc(nbinds, sizeof(*binds));

	memcpy(binds, own, sizeof(own));
	for (size_t i = 0; i < call->nbinds; i++)
		binds[PV_COUNT(own) + i] = call->binds[i];
	target_env(run, call->env, &env);
	const struct pv_sandbox box = { .root = run->root, .binds = binds, .nbinds = nbinds };
	const struct pv_proc proc = {
		.argv = call->argv, .env = (const char *const *)env.v, .input = call->input,
		.input_len = call->input ? strlen(call->input) : 0, .on_stdout = take_line,
		.on_stderr = take_line, .ctx = &output,
	};
	/* "sh" says nothing: a script goes by its own name. */
	const char *name = call->argv[0];
	if (pv_streq(name, "/bin/sh") && call->argv[1] && call->argv[1][0] == '/')
		name = strrchr(call->argv[1], '/') + 1;
	return pv_run_sandbox(run, &box, &proc, name, err);
}

int pv_run_in_target(struct pv_run *run, const char *const *argv, const char *const *env, const char *input,
		     struct pv_error *err)
{
	const struct pv_target_call call = { .argv = argv, .env = env, .input = input };

	return pv_run_call(run, &call, err);
}
