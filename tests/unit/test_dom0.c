/* SPDX-License-Identifier: Apache-2.0 */
/* The dom0 in the cache: what its key follows, what is handed out, what is not. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "check.h"
#include "dom0.h"
#include "fsutil.h"

static const char recipe_text[] =
	"kind: dom0\ndistribution: debian\nsuite: bookworm\nmirror: http://127.0.0.1:9/nobody\npackages: [kmod]\n";
static const char manifest[] =
	"{\"packages\": [{\"name\": \"linux-image-6.1.0-1-amd64\", \"version\": \"6.1.2\"},"
	"{\"name\": \"linux-image-amd64\", \"version\": \"6.1.meta\"}, {\"name\": \"qemu-system-xen\", \"version\": \"7.2\"},"
	"{\"name\": \"xen-hypervisor-4.17-amd64\", \"version\": \"4.17.5\"}, {\"name\": \"xen-hypervisor-common\","
	" \"version\": \"0\"}]}\n";

struct world {
	char *dir;
	struct pv_paths paths;
	struct pv_driver_run run;
};

static void put(const struct world *w, const char *name, const char *text)
{
	pv_autofree char *path = pv_path_join(w->dir, name);
	pv_autofree char *parent = pv_xstrndup(path, (size_t)(strrchr(path, '/') - path));
	pv_autoerror err = PV_ERROR_INIT;

	assert_int_equal(pv_mkdirs(parent, 0755, &err), 0);
	assert_int_equal(pv_write_file(path, text, strlen(text), 0644, &err), 0);
}

static int setup(void **state)
{
	struct world *w = pv_xcalloc(1, sizeof(*w));

	w->dir = pv_xstrdup("/tmp/pvimg-dom0-XXXXXX");
	if (!mkdtemp(w->dir))
		return -1;
	w->paths.recipes_dir = pv_path_join(w->dir, "recipes");
	w->paths.scripts_dir = pv_path_join(w->dir, "scripts");
	w->paths.cache_dir = pv_path_join(w->dir, "cache");
	w->run = (struct pv_driver_run){ .paths = &w->paths, .jobs = 1 };
	put(w, "recipes/xen-dom0.yaml", recipe_text);
	put(w, "scripts/target/dom0", "maker");
	put(w, "scripts/dom0/init", "init");
	put(w, "scripts/dom0/agent", "agent");
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	pv_autoerror err = PV_ERROR_INIT;
	int rc = pv_rmtree(w->dir, &err);

	free(w->paths.recipes_dir);
	free(w->paths.scripts_dir);
	free(w->paths.cache_dir);
	free(w->dir);
	free(w);
	return rc;
}

static char *key(const struct world *w)
{
	pv_autorecipe recipe = { 0 };
	pv_autofindings findings = { 0 };
	pv_autoerror err = PV_ERROR_INIT;
	char *found = NULL;

	if (pv_recipe_load(w->paths.recipes_dir, "xen-dom0", NULL, &recipe, &findings, &err) < 0 ||
	    pv_dom0_key(&w->paths, &recipe, &found, &err) < 0)
		fail_msg("%s", err.text);
	return found;
}

static void test_key(void **state)
{
	const struct world *w = *state;
	static const char *const inputs[] = { "scripts/target/dom0", "scripts/dom0/init", "scripts/dom0/new" };
	pv_autofree char *first = key(w), *again = key(w);

	assert_string_equal(first, again);
	assert_true(pv_digest_valid(first));
	for (size_t i = 0; i < PV_COUNT(inputs); i++) {
		pv_autofree char *before = key(w);
		put(w, inputs[i], "changed");
		pv_autofree char *after = key(w);
		assert_string_not_equal(before, after);
	}
	pv_autofree char *before = key(w);
	pv_autofree char *more = pv_fmt("%s# a comment\n", recipe_text);
	put(w, "recipes/xen-dom0.yaml", more);
	pv_autofree char *after = key(w);
	assert_string_not_equal(before, after);
}

/* As a build leaves it; `kernel` is the text of that file. The folder. */
static char *lay(const struct world *w, const char *kernel)
{
	static const char *const files[] = { "xen.elf", "initrd" };
	pv_autofree char *hex = key(w);
	pv_autofree char *below = pv_fmt("cache/dom0/%s", hex);

	for (size_t i = 0; i < PV_COUNT(files); i++) {
		pv_autofree char *name = pv_fmt("%s/%s", below, files[i]);
		put(w, name, "x");
	}
	pv_autofree char *vmlinuz = pv_fmt("%s/vmlinuz", below), *papers = pv_fmt("%s/manifest.json", below);
	put(w, vmlinuz, kernel);
	put(w, papers, manifest);
	return pv_path_join(w->dir, below);
}

static void test_hands_out(void **state)
{
	const struct world *w = *state;
	pv_autofree char *dir = lay(w, "kernel");
	pv_autoerror err = PV_ERROR_INIT;
	pv_autodom0 a = PV_DOM0_INIT, b = PV_DOM0_INIT;

	/* two at once, without network and namespace */
	if (pv_dom0_get(&w->run, &a, &err) < 0 || pv_dom0_get(&w->run, &b, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(a.dir, dir);
	assert_true(pv_ends(a.xen, "/xen.elf") && pv_ends(a.kernel, "/vmlinuz") && pv_ends(a.initrd, "/initrd"));
	assert_string_equal(pv_vars_get(&a.versions, "xen"), "4.17.5");
	assert_string_equal(pv_vars_get(&a.versions, "dom0_kernel"), "6.1.2");
	assert_string_equal(pv_vars_get(&a.versions, "device_model"), "7.2");
	pv_autoclose int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1);
	pv_dom0_done(&a);
	pv_dom0_done(&a);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1);
	pv_dom0_done(&b);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
}

/* What a power cut left goes; a new one cannot be made here, since nobody answers at the recipe's mirror. */
static void test_broken(void **state)
{
	const struct world *w = *state;
	pv_autofree char *dir = lay(w, "");
	pv_autoerror err = PV_ERROR_INIT;
	pv_autodom0 d = PV_DOM0_INIT;

	assert_int_equal(pv_dom0_get(&w->run, &d, &err), -1);
	assert_false(pv_exists(dir));
	assert_null(d.dir);
}

static void test_other_recipe(void **state)
{
	const struct world *w = *state;
	pv_autoerror err = PV_ERROR_INIT;
	pv_autodom0 d = PV_DOM0_INIT;

	put(w, "recipes/xen-dom0.yaml", "distribution: debian\nsuite: bookworm\n"
	    "flavor: {memory: 1GiB, vcpus: 1, disk: 2GiB}\n");
	assert_int_equal(pv_dom0_get(&w->run, &d, &err), -1);
	assert_int_equal(err.kind, PV_ERR_RECIPE);
	assert_non_null(strstr(err.text, "no recipe of a dom0"));
	pv_error_clear(&err);
	put(w, "recipes/xen-dom0.yaml", "kind: dom0\ndistribution: debian\n");
	assert_int_equal(pv_dom0_get(&w->run, &d, &err), -1);
	assert_non_null(strstr(err.text, "missing key \"suite\""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_key, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hands_out, setup, teardown),
		cmocka_unit_test_setup_teardown(test_broken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_recipe, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
