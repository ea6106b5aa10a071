/* SPDX-License-Identifier: Apache-2.0 */
/* Stage install: one apt transaction inside the tree, from the planned archive; no daemon starts, nothing is asked. */
#include <string.h>

#include "aptree.h"
#include "bootcfg.h"
#include "fsutil.h"
#include "intree.h"
#include "manifest.h"
#include "planned.h"
#include "stage.h"

/* invoke-rc.d asks this script before it starts anything; 101 is "forbidden by policy". For the rare maintainer
 * script that does not find our stub on PATH. Stage configure removes it. */
static const char policy_rc_d[] = "#!/bin/sh\nexit 101\n";

/* DPkg::Path: apt gives dpkg and the maintainer scripts a PATH of its own. */
static const char apt_conf[] =
	"APT::Get::Assume-Yes \"true\";\n"
	"APT::Install-Recommends \"false\";\n"
	"APT::Install-Suggests \"false\";\n"
	"APT::Sandbox::User \"root\";\n"
	"Acquire::Languages \"none\";\n"
	"DPkg::Path \"" PV_TARGET_PATH "\";\n"
	"Dpkg::Use-Pty \"false\";\n"
	"DPkg::Options { \"--force-unsafe-io\"; \"--force-confnew\"; };\n";

/* Programs that maintainer scripts call and that run once later, or never (scripts/stubs/held): daemons do not start,
 * and host keys are made at first boot. */
static const char *const held[] = {
	"update-initramfs", "dracut", "update-grub", "update-grub2", "grub-mkconfig", "grub-install", "py3compile",
	"invoke-rc.d", "deb-systemd-invoke", "service", "ssh-keygen", NULL,
};

static int make_stubs(const struct pv_run *run, struct pv_error *err)
{
	pv_autofree char *source = pv_path_join(run->paths->scripts_dir, "stubs/held");
	pv_autofree char *bin = pv_path_join(run->run_dir, "bin");
	pv_autofree char *text = NULL;
	size_t len;

	if (pv_read_file(source, 65536, &text, &len, err) < 0 || pv_mkdirs(bin, 0755, err) < 0)
		return -1;
	for (size_t i = 0; held[i]; i++) {
		pv_autofree char *stub = pv_path_join(bin, held[i]);
		if (pv_write_file(stub, text, len, 0755, err) < 0)
			return -1;
	}
	return 0;
}

/* The signature is debootstrap's; apt takes its lists as verified, and checks its .debs against them. */
static int prepare_apt(const struct pv_run *run, struct pv_error *err)
{
	const struct pv_plan *plan = run->plan;
	pv_autofree char *dir = pv_path_join(run->run_dir, "apt");
	pv_autofree char *inrelease = pv_fmt("%s/dists/%s/InRelease", run->archive_dir, plan->suite->codename);
	pv_autofree char *packages = pv_path_join(run->archive_dir, "Packages");
	const struct pv_aptree_index index = {
		.suite = plan->suite->codename, .component = PV_PLANNED_COMPONENT, .inrelease_path = inrelease,
		.packages_path = packages,
	};
	const struct pv_aptree_apt apt = {
		.dir = dir, .seen_dir = "/run/pvimg/apt", .archive_dir = "/run/pvimg/archive", .arch = plan->arch,
		.extra_conf = apt_conf, .private_state = false,
	};

	if (pv_repack_wait(run->repack, err) < 0 ||
	    pv_planned_rest(plan, run->repack, run->archive_dir, err) < 0)
		return -1;
	return pv_aptree_apt(&apt, &index, 1, err);
}

struct progress {
	struct pv_run *run;
	size_t done;
};

/* Each package is unpacked and set up once. */
static void count_line(void *ctx, const char *line, size_t len)
{
	struct progress *progress = ctx;
	static const char unpacking[] = "Unpacking ", setting_up[] = "Setting up ";

	if ((len > strlen(unpacking) && memcmp(line, unpacking, strlen(unpacking)) == 0) ||
	    (len > strlen(setting_up) && memcmp(line, setting_up, strlen(setting_up)) == 0))
		progress->done++;
	const struct pv_plan *plan = progress->run->plan;
	size_t total = plan->npackages > plan->nbase ? plan->npackages - plan->nbase : plan->npackages;
	/* A package of the base that is set up once more counts too. */
	size_t done = progress->done / 2;
	pv_log_stage_progress(progress->run->log, done < total ? done : total, total, "packages");
}

static int preseed(struct pv_run *run, struct pv_error *err)
{
	static const char *const argv[] = { "debconf-set-selections", NULL };
	pv_autofree char *answers = pv_debconf_preseed(run->plan);

	return pv_run_in_target(run, argv, NULL, answers, err);
}

static int run_apt(struct pv_run *run, const struct pv_strv *argv, pv_proc_line_fn *on_line, void *ctx,
		   struct pv_error *err)
{
	static const char *const env[] = { "APT_CONFIG=/run/pvimg/apt/apt.conf", NULL };
	const struct pv_target_call call = {
		.argv = (const char *const *)argv->v, .env = env, .on_line = on_line, .ctx = ctx,
	};
	return pv_run_call(run, &call, err);
}

/* Every planned package by name: the plan was resolved by the host's apt, and the target's may solve otherwise. */
static int install(struct pv_run *run, struct pv_error *err)
{
	pv_autostrv argv = PV_STRV_INIT;
	struct progress progress = { run, 0 };

	pv_strv_add(&argv, "apt-get");
	pv_strv_add(&argv, "dist-upgrade");
	pv_strv_add(&argv, "--yes");
	for (size_t i = 0; i < run->plan->npackages; i++)
		pv_strv_add(&argv, run->plan->packages[i].name);
	return run_apt(run, &argv, count_line, &progress, err);
}

/* What nobody asked for by name is apt's to remove when nothing depends on it any more. */
static int mark_auto(struct pv_run *run, struct pv_error *err)
{
	const struct pv_plan *plan = run->plan;
	pv_autostrv argv = PV_STRV_INIT;

	pv_strv_add(&argv, "apt-mark");
	pv_strv_add(&argv, "auto");
	for (size_t i = 0; i < plan->npackages; i++)
		if (!plan->packages[i].requested && !pv_plan_in_base(plan, plan->packages[i].name))
			pv_strv_add(&argv, plan->packages[i].name);
	return argv.n > 2 ? run_apt(run, &argv, NULL, NULL, err) : 0;
}

int pv_stage_install(struct pv_run *run, struct pv_error *err)
{
	if (make_stubs(run, err) < 0 || prepare_apt(run, err) < 0)
		return -1;
	if (pv_intree_write(run->root, "usr/sbin/policy-rc.d", policy_rc_d, strlen(policy_rc_d), 0755, err) < 0)
		return -1;
	if (preseed(run, err) < 0 || install(run, err) < 0 || mark_auto(run, err) < 0)
		return -1;
	return pv_manifest_check_installed(run->plan, run->root, err);
}
