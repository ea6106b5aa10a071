/* SPDX-License-Identifier: Apache-2.0 */
/* Stage configure: overlays, what was held back, boot files, and the clean-up, in the target's tree. */
#include "bootcfg.h"
#include "cachekey.h"
#include "fsutil.h"
#include "normalise.h"
#include "overlay.h"
#include "planvars.h"
#include "sandbox.h"
#include "stage.h"
#include "stagecache.h"

#define SCRIPT_MAX 65536u

/* Scripts that run inside, and stubs that are bound over the target's programs for GRUB (scripts_dir). */
static const char *const scripts[] = {
	"target/services", "target/apt-sources", "target/once", "target/initramfs", "target/py3compile", "target/grub",
	"stubs/grub-probe", "stubs/grub-mkrelpath", NULL,
};

/* The scripts' environment, from the templates' variables. */
static const struct {
	const char *env, *var;
} script_env[] = {
	{ "PVIMG_DISTRIBUTION", "distribution" },
	{ "PVIMG_CODENAME", "codename" },
	{ "PVIMG_UPDATES", "suite_updates" },
	{ "PVIMG_SECURITY", "suite_security" },
	{ "PVIMG_COMPONENTS", "apt_components" },
	{ "PVIMG_MIRROR", "image_mirror" },
	{ "PVIMG_SECURITY_MIRROR", "image_security_mirror" },
	{ "PVIMG_KEYRING", "archive_keyring" },
	{ "PVIMG_NETWORKD", "networkd" },
	{ "PVIMG_DRACUT", "dracut" },
	{ "PVIMG_ROOT_UUID", "root_uuid" },
	{ "PVIMG_ROOT_PARTUUID", "root_partuuid" },
	{ "PVIMG_ROOT_NUMBER", "root_number" },
};

static int lay_overlays(const struct pv_run *run, struct pv_error *err)
{
	const struct pv_plan *plan = run->plan;
	const struct pv_overlay_opts opts = { .epoch = plan->epoch };

	return pv_overlay_apply(run->paths->overlays_dir, &plan->recipe->overlays, &plan->vars, run->root, &opts, err);
}

static int bring_scripts(const struct pv_run *run, struct pv_error *err)
{
	static const char *const folders[] = { "target", "stubs" };

	for (size_t i = 0; i < PV_COUNT(folders); i++) {
		pv_autofree char *dir = pv_path_join(run->run_dir, folders[i]);
		if (pv_mkdirs(dir, 0755, err) < 0)
			return -1;
	}
	for (size_t i = 0; scripts[i]; i++) {
		pv_autofree char *from = pv_path_join(run->paths->scripts_dir, scripts[i]);
		pv_autofree char *to = pv_path_join(run->run_dir, scripts[i]);
		pv_autofree char *text = NULL;
		size_t len;
		if (pv_read_file(from, SCRIPT_MAX, &text, &len, err) < 0 ||
		    pv_write_file(to, text, len, 0755, err) < 0)
			return -1;
	}
	return 0;
}

static void fill_env(const struct pv_run *run, struct pv_strv *ret)
{
	for (size_t i = 0; i < PV_COUNT(script_env); i++)
		pv_strv_addf(ret, "%s=%s", script_env[i].env, pv_vars_get(&run->plan->vars, script_env[i].var));
	pv_autofree char *early = pv_bootcfg_grub_early(pv_vars_get(&run->plan->vars, "root_uuid"));
	pv_strv_addf(ret, "PVIMG_EARLY=%s", early);
	pv_strv_addf(ret, "PVIMG_UNSIGNED=%s", pv_bootcfg_has_signed(run->root) ? "" : "yes");
}

static int run_script(struct pv_run *run, const char *name, const struct pv_strv *env,
		      const struct pv_sandbox_bind *binds, size_t nbinds, struct pv_error *err)
{
	pv_autofree char *path = pv_fmt("/run/pvimg/target/%s", name);
	const char *const argv[] = { "/bin/sh", path, NULL };
	const struct pv_target_call call = {
		.argv = argv, .env = (const char *const *)env->v, .binds = binds, .nbinds = nbinds,
	};

	if (pv_run_call(run, &call, err) < 0)
		return pv_error_wrap(err, "scripts/target");
	return 0;
}

static int set_up_grub(struct pv_run *run, const struct pv_strv *env, struct pv_error *err)
{
	pv_autofree char *probe = pv_path_join(run->run_dir, "stubs/grub-probe");
	pv_autofree char *mkrelpath = pv_path_join(run->run_dir, "stubs/grub-mkrelpath");
	const struct pv_sandbox_bind binds[] = {
		{ .source = probe, .target = "/usr/sbin/grub-probe" },
		{ .source = mkrelpath, .target = "/usr/bin/grub-mkrelpath" },
	};

	return run_script(run, "grub", env, binds, PV_COUNT(binds), err);
}

int pv_stage_configure_inputs(const struct pv_plan *plan, const struct pv_paths *paths, struct pv_cachekey *key,
			      struct pv_error *err)
{
	for (size_t i = 0; scripts[i]; i++) {
		pv_autofree char *path = pv_path_join(paths->scripts_dir, scripts[i]);
		pv_autofree char *name = pv_fmt("script:%s", scripts[i]);
		if (pv_cachekey_file(key, name, path, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < PV_COUNT(script_env); i++) {
		pv_autofree char *name = pv_fmt("variable:%s", script_env[i].var);
		pv_cachekey_add(key, name, pv_vars_get(&plan->vars, script_env[i].var));
	}
	pv_cachekey_addf(key, "epoch", "%lld", (long long)plan->epoch);
	return 0;
}

int pv_stage_configure(struct pv_run *run, struct pv_error *err)
{
	pv_autostrv env = PV_STRV_INIT;

	if (lay_overlays(run, err) < 0 || bring_scripts(run, err) < 0)
		return -1;
	fill_env(run, &env);
	pv_stagecache_watch(run->cache, run->root);
	if (run_script(run, "services", &env, NULL, 0, err) < 0 || run_script(run, "apt-sources", &env, NULL, 0, err) < 0 ||
	    run_script(run, "once", &env, NULL, 0, err) < 0 || set_up_grub(run, &env, err) < 0)
		return -1;
	/* Last: everything before it leaves caches, logs and backups behind. */
	return pv_normalise(run->root, run->plan->epoch, err);
}
