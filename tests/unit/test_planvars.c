/* SPDX-License-Identifier: Apache-2.0 */
/* The variables of every suite and flavor, and the overlays of this source tree rendered with them. */
#include "check.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fsutil.h"
#include "overlay.h"
#include "planvars.h"

static const struct flavor {
	uint64_t memory_mib;
	unsigned vcpus;
} flavors[] = { { 512, 1 }, { 1024, 1 }, { 2048, 2 }, { 4096, 4 }, { 65536, 64 } };

struct world {
	struct pv_recipe recipe;
	struct pv_plan plan;
	char dir[64];
};

static void make_plan(struct world *w, const struct pv_suite *suite, const struct flavor *flavor)
{
	w->recipe.name = pv_xstrdup("test");
	w->recipe.distribution = pv_xstrdup(suite->distribution);
	w->recipe.suite = pv_xstrdup(suite->codename);
	w->plan = (struct pv_plan){ .name = pv_xstrdup("test"), .recipe = &w->recipe, .suite = suite, .arch = "amd64",
				    .epoch = 1700000000, .esp_volume_id = 0x12ab00ef };
	w->plan.root.number = 1;
	memset(w->plan.root_fs_uuid, 0x5a, sizeof(w->plan.root_fs_uuid));
	pv_sizing_compute(flavor->memory_mib, flavor->vcpus, &w->plan.sizing);
}

static void free_plan(struct world *w)
{
	free(w->plan.name);
	pv_vars_done(&w->plan.vars);
	pv_recipe_done(&w->recipe);
	*w = (struct world){ 0 };
}

static void set_option(struct world *w, const char *key, const char *value)
{
	w->recipe.options = pv_xreallocarray(w->recipe.options, w->recipe.noptions + 1, sizeof(*w->recipe.options));
	w->recipe.options[w->recipe.noptions++] = (struct pv_option){ pv_xstrdup(key), pv_xstrdup(value) };
}

/* The source tree's own overlays, from wherever the test was started. */
static char *overlays_dir(void)
{
	const char *slash = strrchr(__FILE__, '/');
	pv_autofree char *here = slash ? pv_xstrndup(__FILE__, (size_t)(slash - __FILE__)) : pv_xstrdup(".");

	return pv_fmt("%s/../../overlays", here);
}

static void lay(struct world *w)
{
	static const char *const all[] = { "base", "sysctl", "memcached", "apache2", NULL };
	pv_autofree char *dir = overlays_dir();
	pv_autostrv names = PV_STRV_INIT;
	pv_autoerror err = PV_ERROR_INIT;
	const struct pv_overlay_opts opts = { .keep_owner = true, .epoch = 1 };

	pv_strv_add_all(&names, all);
	strcpy(w->dir, "/tmp/pvimg-test-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	pv_plan_vars(&w->plan, &w->plan.vars);
	if (pv_overlay_apply(dir, &names, &w->plan.vars, w->dir, &opts, &err) < 0)
		fail_msg("%s", err.text);
}

static void unlay(struct world *w)
{
	pv_autoerror err = PV_ERROR_INIT;

	assert_int_equal(pv_rmtree(w->dir, &err), 0);
	free_plan(w);
}

static char *text_of(const struct world *w, const char *path)
{
	pv_autofree char *full = pv_path_join(w->dir, path);
	pv_autoerror err = PV_ERROR_INIT;
	char *text = NULL;

	if (pv_read_file(full, 65536, &text, NULL, &err) < 0)
		fail_msg("%s", err.text);
	return text;
}

static bool has(const struct world *w, const char *path)
{
	pv_autofree char *full = pv_path_join(w->dir, path);

	return pv_exists(full);
}

static void assert_has_line(const struct world *w, const char *path, const char *line)
{
	pv_autofree char *text = text_of(w, path), *framed = pv_fmt("\n%s", text), *want = pv_fmt("\n%s\n", line);

	if (!strstr(framed, want))
		fail_msg("%s has no line '%s':\n%s", path, line, text);
}

static void assert_lacks(const struct world *w, const char *path, const char *words)
{
	pv_autofree char *text = text_of(w, path);

	if (strstr(text, words))
		fail_msg("%s has '%s':\n%s", path, words, text);
}

static void check_image(const struct world *w)
{
	bool dracut = w->plan.suite->initramfs == PV_INITRAMFS_DRACUT;
	pv_autofree char *grub = text_of(w, "etc/default/grub.d/50-pvimg.cfg");

	assert_has_line(w, "etc/fstab", "UUID=12AB-00EF /boot/efi vfat umask=0077,nofail 0 0");
	assert_has_line(w, "etc/fstab", "UUID=5a5a5a5a-5a5a-5a5a-5a5a-5a5a5a5a5a5a / ext4 errors=remount-ro 0 1");
	assert_lacks(w, "etc/fstab", "/dev/");
	assert_lacks(w, "etc/default/grub.d/50-pvimg.cfg", "/dev/");
	assert_has_line(w, "etc/default/grub.d/50-pvimg.cfg", "GRUB_TIMEOUT=0");
	assert_has_line(w, "etc/default/grub.d/50-pvimg.cfg", "GRUB_RECORDFAIL_TIMEOUT=0");
	assert_non_null(strstr(grub, "net.ifnames=0 no_timer_check console=tty1 console=hvc0\"\n"));
	assert_has_line(w, "etc/memcached.conf", "-l 127.0.0.1");
	assert_has_line(w, "etc/memcached.conf", "-U 0");
	assert_has_line(w, "etc/apache2/conf-enabled/zz-pvimg.conf", "ServerTokens Prod");
	assert_has_line(w, "etc/ssh/sshd_config.d/60-pvimg.conf", "PasswordAuthentication no");
	assert_has_line(w, "etc/cloud/cloud.cfg.d/95_pvimg.cfg", "datasource_list: [ NoCloud, ConfigDrive, Ec2, None ]");
	assert_has_line(w, "etc/hostname", w->plan.suite->distribution);
	assert_int_equal(has(w, "etc/dracut.conf.d"), dracut);
	assert_int_equal(has(w, "etc/initramfs-tools"), !dracut);
	if (!dracut)
		assert_has_line(w, "etc/initramfs-tools/modules", "xen_blkfront");
}

static void test_every_suite_and_flavor(void **state)
{
	(void)state;
	for (const struct pv_suite *suite = pv_suite_table(); suite->distribution; suite++) {
		for (size_t i = 0; i < PV_COUNT(flavors); i++) {
			struct world w = { 0 };
			make_plan(&w, suite, &flavors[i]);
			lay(&w);
			check_image(&w);
			unlay(&w);
		}
	}
}

/* The variables are the same for all plans, so a template that works for one works for every one. */
static void test_same_names(void **state)
{
	struct world first = { 0 };

	(void)state;
	make_plan(&first, pv_suite_find("ubuntu", "noble"), &flavors[0]);
	pv_plan_vars(&first.plan, &first.plan.vars);
	for (const struct pv_suite *suite = pv_suite_table(); suite->distribution; suite++) {
		struct world w = { 0 };
		make_plan(&w, suite, &flavors[3]);
		set_option(&w, "memcached-pin-cpus", "true");
		pv_plan_vars(&w.plan, &w.plan.vars);
		assert_int_equal(w.plan.vars.n, first.plan.vars.n);
		for (size_t i = 0; i < w.plan.vars.n; i++)
			assert_non_null(pv_vars_get(&first.plan.vars, w.plan.vars.v[i].name));
		free_plan(&w);
	}
	free_plan(&first);
}

static void test_memcached_options(void **state)
{
	struct world w = { 0 };

	(void)state;
	make_plan(&w, pv_suite_find("debian", "bookworm"), &flavors[2]);
	lay(&w);
	assert_has_line(&w, "etc/memcached.conf", "-t 2");
	assert_lacks(&w, "etc/memcached.conf", "-k");
	assert_lacks(&w, "etc/memcached.conf", "-L");
	assert_lacks(&w, "etc/memcached.conf", "\n\n");
	assert_lacks(&w, "etc/systemd/system/memcached.service.d/50-pvimg.conf", "CPUAffinity");
	unlay(&w);

	make_plan(&w, pv_suite_find("debian", "bookworm"), &flavors[2]);
	set_option(&w, "memcached-large-pages", "true");
	set_option(&w, "memcached-lock-memory", "true");
	set_option(&w, "memcached-pin-cpus", "true");
	lay(&w);
	assert_has_line(&w, "etc/memcached.conf", "-L");
	assert_has_line(&w, "etc/memcached.conf", "-k");
	assert_has_line(&w, "etc/systemd/system/memcached.service.d/50-pvimg.conf", "LimitMEMLOCK=infinity");
	assert_has_line(&w, "etc/systemd/system/memcached.service.d/50-pvimg.conf", "CPUAffinity=0-1");
	unlay(&w);
}

static void test_image_mirror(void **state)
{
	static const struct {
		const char *distribution, *codename, *mirror, *security;
	} cases[] = {
		{ "debian", "bookworm", "http://mirror.test/debian/", "http://mirror.test/debian-security" },
		{ "debian", "trixie", "http://mirror.test/a/debian", "http://mirror.test/a/debian-security" },
		{ "ubuntu", "noble", "http://mirror.test/ubuntu/", "http://mirror.test/ubuntu" },
	};

	(void)state;
	for (size_t i = 0; i < PV_COUNT(cases); i++) {
		struct world w = { 0 };
		make_plan(&w, pv_suite_find(cases[i].distribution, cases[i].codename), &flavors[1]);
		w.recipe.image_mirror = pv_xstrdup(cases[i].mirror);
		lay(&w);
		assert_string_equal(pv_vars_get(&w.plan.vars, "image_security_mirror"), cases[i].security);
		assert_has_line(&w, "etc/cloud/cloud.cfg.d/95_pvimg.cfg", "  preserve_sources_list: true");
		unlay(&w);
	}
	struct world w = { 0 };
	make_plan(&w, pv_suite_find("ubuntu", "noble"), &flavors[1]);
	lay(&w);
	assert_lacks(&w, "etc/cloud/cloud.cfg.d/95_pvimg.cfg", "preserve_sources_list");
	unlay(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_suite_and_flavor),
		cmocka_unit_test(test_same_names),
		cmocka_unit_test(test_memcached_options),
		cmocka_unit_test(test_image_mirror),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
