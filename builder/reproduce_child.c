/* SPDX-License-Identifier: Apache-2.0 */
/* Runs pvimg build under the conditions of one of the two builds. */
#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fsutil.h"
#include "ns.h"
#include "proc.h"
#include "reproduce_priv.h"

static int rename_host(const char *name, struct pv_error *err)
{
	if (unshare(CLONE_NEWUTS) < 0 || sethostname(name, strlen(name)) < 0)
		return pv_error_errno(err, PV_ERR_HOST, errno, "another host name");
	return 0;
}

/* The last of the processors this process may use. */
static int one_core(struct pv_error *err)
{
	cpu_set_t all, one;

	CPU_ZERO(&one);
	if (sched_getaffinity(0, sizeof(all), &all) < 0)
		return pv_error_errno(err, PV_ERR_HOST, errno, "sched_getaffinity");
	for (int cpu = CPU_SETSIZE - 1; cpu >= 0; cpu--) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_SET(cpu, &one);
		if (sched_setaffinity(0, sizeof(one), &one) < 0)
			return pv_error_errno(err, PV_ERR_HOST, errno, "sched_setaffinity");
		break;
	}
	return 0;
}

static int become(const struct pv_rebuild *b, struct pv_error *err)
{
	if (initgroups(b->user, b->gid) < 0 || setresgid(b->gid, b->gid, b->gid) < 0 ||
	    setresuid(b->uid, b->uid, b->uid) < 0)
		return pv_error_errno(err, PV_ERR_HOST, errno, "cannot become %s", b->user);
	return 0;
}

/* In the child, before exec. */
static int set_up(void *ctx, struct pv_error *err)
{
	const struct pv_rebuild *b = ctx;

	if (b->nested && pv_ns_enter(err) < 0)
		return -1;
	if (b->hostname && rename_host(b->hostname, err) < 0)
		return -1;
	if (b->nested && pv_ns_nest(err) < 0)
		return -1;
	if (b->one_core && one_core(err) < 0)
		return -1;
	umask(b->umask);
	return b->user ? become(b, err) : 0;
}

int pv_reproduce_try(const struct pv_rebuild *b, struct pv_error *err)
{
	const char *const argv[] = { b->program, "doctor", "--json", "--cache", b->cache, "--out", b->out, NULL };
	struct pv_rebuild copy = *b;
	pv_autoproc res = PV_PROC_RESULT_INIT;
	const struct pv_proc proc = {
		.argv = argv, .env = (const char *const *)b->env.v, .cwd = b->cwd, .setup = set_up, .setup_ctx = &copy,
		.deadline_s = 60,
	};

	if (pv_proc_run(&proc, &res, err) < 0)
		return -1;
	if (res.exit_code == 0)
		return 0;
	return pv_reproduce_failed(&res, err);
}

static void take_line(void *log, const char *line, size_t len)
{
	pv_log_child(log, line, len);
}

static void tick(void *log)
{
	pv_log_tick(log);
}

static void make_argv(const struct pv_reproduce_request *req, const struct pv_rebuild *b, struct pv_strv *ret)
{
	pv_strv_add(ret, b->program);
	pv_strv_add(ret, "build");
	pv_strv_add_all(ret, req->options);
	for (size_t i = 0; i < b->more.n; i++)
		pv_strv_add(ret, b->more.v[i]);
	pv_strv_add(ret, "--no-verify");
	pv_strv_addf(ret, "--recipes=%s", b->recipes);
	pv_strv_addf(ret, "--cache=%s", b->cache);
	pv_strv_addf(ret, "--out=%s", b->out);
	if (b->keyring)
		pv_strv_addf(ret, "--keyring=%s", b->keyring);
	if (b->on_disk)
		pv_strv_add(ret, "--on-disk");
	pv_strv_add(ret, "--");
	pv_strv_add(ret, req->recipe->name);
}

int pv_reproduce_failed(const struct pv_proc_result *res, struct pv_error *err)
{
	static const char prefix[] = "pvimg: ";
	pv_autofree char *fate = pv_proc_fate(res), *last = pv_proc_last_line(res);
	const char *words = pv_starts(last, prefix) ? last + strlen(prefix) : last;
	bool known = res->exit_code >= PV_ERR_STAGE && res->exit_code <= PV_ERR_DIFFERS;

	return pv_error_set(err, known ? (enum pv_error_kind)res->exit_code : PV_ERR_STAGE, "%s", *words ? words : fate);
}

int pv_reproduce_run(const struct pv_reproduce_request *req, struct pv_rebuild *b, struct pv_error *err)
{
	pv_autostrv argv = PV_STRV_INIT;
	pv_autoproc res = PV_PROC_RESULT_INIT;

	make_argv(req, b, &argv);
	const struct pv_proc proc = {
		.argv = (const char *const *)argv.v, .env = (const char *const *)b->env.v, .cwd = b->cwd,
		.on_stdout = take_line, .on_stderr = take_line, .ctx = req->log, .on_tick = tick, .tick_ctx = req->log,
		.setup = set_up, .setup_ctx = b,
	};
	b->began = time(NULL);
	if (pv_proc_run(&proc, &res, err) < 0)
		return pv_error_wrap(err, "the %s build", b->ordinal);
	b->wall_ms = res.wall_ms;
	if (res.exit_code == 0)
		return 0;
	(void)pv_reproduce_failed(&res, err);
	return pv_error_wrap(err, "the %s build", b->ordinal);
}
