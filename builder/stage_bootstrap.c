/* SPDX-License-Identifier: Apache-2.0 */
/* Stage bootstrap: the host's debootstrap makes the base system from the planned archive, in the sandbox. */
#include <string.h>

#include "fsutil.h"
#include "planned.h"
#include "sandbox.h"
#include "stage.h"

#define DEBOOTSTRAP "/usr/sbin/debootstrap"
#define SCRIPTS "/usr/share/debootstrap/scripts"

struct progress {
	struct pv_run *run;
	size_t done;
};

/* debootstrap names each package when it is taken, unpacked and configured; what it names grows with the work. */
static void take_line(void *ctx, const char *line, size_t len)
{
	static const char *const steps[] = { "I: Retrieving ", "I: Unpacking ", "I: Configuring " };
	struct progress *progress = ctx;

	pv_log_child(progress->run->log, line, len);
	for (size_t i = 0; i < PV_COUNT(steps); i++)
		if (len > strlen(steps[i]) && memcmp(line, steps[i], strlen(steps[i])) == 0)
			progress->done++;
	size_t total = progress->run->plan->nbase;
	size_t done = progress->done / PV_COUNT(steps);
	pv_log_stage_progress(progress->run->log, done < total ? done : total, total, "packages");
}

static void make_argv(const struct pv_run *run, struct pv_strv *ret)
{
	const struct pv_suite *suite = run->plan->suite;
	pv_autofree char *script = pv_path_join(SCRIPTS, suite->codename);

	pv_strv_add(ret, DEBOOTSTRAP);
	pv_strv_add(ret, "--variant=minbase");
	pv_strv_addf(ret, "--arch=%s", run->plan->arch);
	pv_strv_add(ret, "--components=" PV_PLANNED_COMPONENT);
	pv_strv_add(ret, "--keyring=/archive/keyring.gpg");
	pv_strv_add(ret, "--force-check-gpg");
	if (suite->usr_is_merged && pv_plan_in_base(run->plan, suite->usr_is_merged))
		pv_strv_addf(ret, "--include=%s", suite->usr_is_merged);
	pv_strv_add(ret, suite->codename);
	pv_strv_add(ret, "/target");
	pv_strv_add(ret, "file:///archive");
	if (!pv_exists(script))
		pv_strv_add(ret, suite->debootstrap_script);
}

/* Packages' scripts run here too: no clock but the image's. */
static void make_env(const struct pv_run *run, struct pv_strv *ret)
{
	static const char *const fixed[] = {
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8",
		"LC_ALL=C.UTF-8", "TZ=UTC", "DEBIAN_FRONTEND=noninteractive", "DEBCONF_NONINTERACTIVE_SEEN=true",
		"container=lxc", NULL,
	};

	pv_strv_add_all(ret, fixed);
	pv_strv_addf(ret, "SOURCE_DATE_EPOCH=%lld", (long long)run->plan->epoch);
}

int pv_stage_bootstrap(struct pv_run *run, struct pv_error *err)
{
	pv_autostrv argv = PV_STRV_INIT, env = PV_STRV_INIT;
	const struct pv_sandbox_bind binds[] = {
		{ .source = run->archive_dir, .target = "/archive" },
	};
	const struct pv_sandbox box = { .root = run->root, .host_tools = true, .binds = binds,
					.nbinds = PV_COUNT(binds) };
	struct progress progress = { run, 0 };

	make_argv(run, &argv);
	make_env(run, &env);
	const struct pv_proc proc = {
		.argv = (const char *const *)argv.v, .env = (const char *const *)env.v, .on_stdout = take_line,
		.on_stderr = take_line, .ctx = &progress,
	};
	return pv_run_sandbox(run, &box, &proc, "debootstrap", err);
}
