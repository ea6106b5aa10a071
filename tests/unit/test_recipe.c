/* SPDX-License-Identifier: Apache-2.0 */
/* Loading: base, recipe and command line over each other; the recipes we ship; the manual names
 * every key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fsutil.h"
#include "recipe.h"
#include "recipe_keys.h"
#include "suite.h"

#define GIB (UINT64_C(1) << 30)

static const char base_text[] = "distribution: ubuntu\n"
				"suite: noble\n"
				"components: [main, universe]\n"
				"packages: [apache2, memcached]\n"
				"overlays: [base, apache2]\n"
				"trusted-keys: [F6ECB3762474EDA9D21B7022871920D1991BC93C]\n"
				"options: {memcached-large-pages: true, memcached-pin-cpus: true}\n"
				"security: none\n";

static const char text[] = "base: any\n"
			   "flavor: {memory: 2GiB, vcpus: 2, disk: 4096MiB}\n"
			   "components: [main]\n"
			   "packages: [htop, apache2]\n"
			   "overlays: [mine]\n"
			   "options: {memcached-pin-cpus: false}\n"
			   "mirror: http://user:pw@mirror.example/ubuntu\n"
			   "hostname: web\n";

/* Loads and must succeed. */
static void load(const char *recipe, const char *base, const struct pv_recipe_override *over,
		 struct pv_recipe *ret)
{
	pv_autofindings findings = { 0 };
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_recipe_load_mem("mine-2g", recipe, strlen(recipe), base, base ? strlen(base) : 0,
			       over, ret, &findings, &err) < 0)
		fail_msg("%s: %s", err.text, findings.n ? findings.v[0].text : "");
	assert_int_equal(findings.n, 0);
}

static void assert_list(const struct pv_strv *list, const char *want)
{
	pv_autofree char *got = pv_strv_join(list, " ");

	assert_string_equal(got, want);
}

static void test_merge(void **state)
{
	pv_autorecipe r = { 0 };

	(void)state;
	load(text, base_text, NULL, &r);
	assert_string_equal(r.name, "mine-2g");
	assert_string_equal(r.kind, "image");
	assert_false(pv_recipe_is_dom0(&r));
	assert_string_equal(r.distribution, "ubuntu");
	assert_string_equal(r.suite, "noble");
	assert_true(r.memory == 2 * GIB);
	assert_true(r.disk == 4 * GIB);
	assert_int_equal(r.vcpus, 2);
	assert_string_equal(r.mirror, "http://user:pw@mirror.example/ubuntu");
	assert_null(r.image_mirror);
	assert_null(r.keyring);
	assert_string_equal(r.security, "none");
	assert_string_equal(r.hostname, "web");
	assert_list(&r.components, "main");
	assert_list(&r.packages, "apache2 memcached htop");
	assert_list(&r.overlays, "base apache2 mine");
	assert_list(&r.trusted_keys, "F6ECB3762474EDA9D21B7022871920D1991BC93C");
	assert_int_equal(r.noptions, 2);
	assert_string_equal(pv_recipe_option(&r, "memcached-large-pages"), "true");
	assert_string_equal(pv_recipe_option(&r, "memcached-pin-cpus"), "false");
	assert_string_equal(pv_recipe_option(&r, "memcached-lock-memory"), "false");
	assert_null(pv_recipe_option(&r, "memcached-fly"));
}

static void test_defaults(void **state)
{
	pv_autorecipe r = { 0 };

	(void)state;
	load("distribution: debian\nsuite: trixie\nflavor: {memory: 1GiB, vcpus: 1, disk: 3GiB}\n",
	     NULL, NULL, &r);
	assert_string_equal(r.hostname, "debian");
	assert_string_equal(r.security, "auto");
	assert_null(r.base_path);
	assert_null(r.mirror);
	assert_int_equal(r.components.n + r.packages.n + r.overlays.n + r.trusted_keys.n, 0);
	assert_int_equal(r.noptions, 0);
}

/* A dom0 needs no flavor. */
static void test_dom0(void **state)
{
	pv_autorecipe r = { 0 };

	(void)state;
	load("kind: dom0\ndistribution: debian\nsuite: bookworm\npackages: [kmod]\n", NULL, NULL, &r);
	assert_true(pv_recipe_is_dom0(&r));
	assert_string_equal(r.kind, "dom0");
	assert_list(&r.packages, "kmod");
	assert_true(r.memory == 0 && r.disk == 0 && r.vcpus == 0);
}

/* An empty list is a value: it takes the base's place. */
static void test_empty_list(void **state)
{
	pv_autorecipe r = { 0 };

	(void)state;
	load("base: any\nflavor: {memory: 1GiB, vcpus: 1, disk: 3GiB}\ntrusted-keys: []\npackages: "
	     "[]\noptions: {}\n",
	     base_text, NULL, &r);
	assert_int_equal(r.trusted_keys.n, 0);
	assert_list(&r.packages, "apache2 memcached");
	assert_string_equal(pv_recipe_option(&r, "memcached-pin-cpus"), "true");
}

static void test_overrides(void **state)
{
	pv_autorecipe r = { 0 };
	pv_autostrv sets = PV_STRV_INIT;
	const struct pv_recipe_override over = { .suite = "jammy",
						 .mirror = "https://m.example/u",
						 .sets = &sets };

	(void)state;
	pv_strv_add(&sets, "flavor.memory=512MiB");
	pv_strv_add(&sets, "flavor.memory=768MiB"); /* the later one counts */
	pv_strv_add(&sets, "packages=htop,jq,jq");
	pv_strv_add(&sets, "components=main,restricted");
	pv_strv_add(&sets, "options.memcached-lock-memory=true");
	pv_strv_add(&sets, "suite=resolute"); /* --suite counts more */
	pv_strv_add(&sets, "security=https://s.example/u=1");
	load(text, base_text, &over, &r);
	assert_string_equal(r.suite, "jammy");
	assert_string_equal(r.mirror, "https://m.example/u");
	assert_string_equal(r.security, "https://s.example/u=1");
	assert_true(r.memory == 768 * (UINT64_C(1) << 20));
	assert_list(&r.packages, "apache2 memcached htop jq");
	assert_list(&r.components, "main restricted");
	assert_string_equal(pv_recipe_option(&r, "memcached-lock-memory"), "true");
}

/* What a file lacks, the command line may give. */
static void test_override_completes(void **state)
{
	static const char bare[] = "distribution: debian\nflavor: {vcpus: 1, disk: 3GiB}\n";
	pv_autorecipe r = { 0 };
	pv_autostrv sets = PV_STRV_INIT;
	const struct pv_recipe_override over = { .suite = "bookworm", .sets = &sets };

	(void)state;
	pv_strv_add(&sets, "flavor.memory=1GiB");
	load(bare, NULL, &over, &r);
	assert_string_equal(r.suite, "bookworm");
	assert_true(r.memory == GIB);
}

static void test_shipped(void **state)
{
	static const struct {
		const char *name, *distribution, *suite;
		uint64_t gib;
	} shipped[] = {
		{ "debian-1g", "debian", "bookworm", 1 }, { "debian-2g", "debian", "bookworm", 2 },
		{ "debian-4g", "debian", "bookworm", 4 }, { "ubuntu-1g", "ubuntu", "noble", 1 },
		{ "ubuntu-2g", "ubuntu", "noble", 2 },    { "ubuntu-4g", "ubuntu", "noble", 4 },
	};
	pv_autostrv names = PV_STRV_INIT;

	(void)state;
	assert_int_equal(pv_recipe_names("recipes", &names, NULL), 0);
	for (size_t i = 0; i < PV_COUNT(shipped); i++) {
		pv_autorecipe r = { 0 };
		pv_autofindings findings = { 0 };
		pv_autoerror err = PV_ERROR_INIT;

		assert_true(pv_strv_has(&names, shipped[i].name));
		if (pv_recipe_load("recipes", shipped[i].name, NULL, &r, &findings, &err) < 0)
			fail_msg("%s: %s", err.text, findings.n ? findings.v[0].text : "");
		assert_string_equal(r.distribution, shipped[i].distribution);
		assert_string_equal(r.suite, shipped[i].suite);
		assert_true(r.memory == shipped[i].gib * GIB);
		assert_int_equal(r.vcpus, shipped[i].gib);
		assert_non_null(pv_suite_find(r.distribution, r.suite));
		assert_list(&r.packages, "apache2 memcached");
		assert_list(&r.overlays, "base sysctl memcached apache2");
		assert_int_equal(r.trusted_keys.n, shipped[i].distribution[0] == 'u' ? 2 : 0);
		assert_string_equal(r.security, "auto");
		/* Each suite of the distribution is one option away. */
		for (const char *const *s = pv_suite_names(r.distribution); *s; s++) {
			const struct pv_recipe_override over = { .suite = *s };
			pv_autorecipe other = { 0 };

			assert_int_equal(pv_recipe_load("recipes", shipped[i].name, &over, &other,
							&findings, &err),
					 0);
			assert_string_equal(other.suite, *s);
		}
	}
}

static void assert_no_recipe(const char *dir, const char *name, const char *words)
{
	pv_autorecipe r = { 0 };
	pv_autofindings findings = { 0 };
	pv_autoerror err = PV_ERROR_INIT;

	assert_int_equal(pv_recipe_load(dir, name, NULL, &r, &findings, &err), -1);
	assert_int_equal(err.kind, PV_ERR_RECIPE);
	assert_int_equal(findings.n, 0);
	if (!strstr(err.text, words))
		fail_msg("\"%s\" is not in \"%s\"", words, err.text);
	assert_null(strchr(err.text, '\n'));
}

static void test_unknown_name(void **state)
{
	(void)state;
	assert_no_recipe("recipes", "ubunto-2g", "did you mean \"ubuntu-2g\"?");
	assert_no_recipe("recipes", "zzzzzzzzzzzz", "there are: debian-1g");
	assert_no_recipe("recipes", "../recipes/ubuntu-2g", "not a path");
	assert_no_recipe("recipes", "base/ubuntu", "not a path");
	assert_no_recipe("recipes", "", "not a path");
	assert_no_recipe("recipes", ".", "not a path");
	assert_no_recipe("recipes", "a\nb", "a?b");
	assert_no_recipe("/nonexistent", "ubuntu-2g", "there are none in /nonexistent");
}

static void test_names(void **state)
{
	char dir[] = "/tmp/pvimg-recipes-XXXXXX";
	static const char *const files[] = { "b.yaml", "a.yaml",  "A.yaml", ".yaml",
					     "c.yml",  "d.yaml~", "notes" };
	pv_autostrv names = PV_STRV_INIT;
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	assert_non_null(mkdtemp(dir));
	for (size_t i = 0; i < PV_COUNT(files); i++) {
		pv_autofree char *path = pv_path_join(dir, files[i]);

		assert_int_equal(pv_write_file(path, "x", 1, 0644, NULL), 0);
	}
	assert_int_equal(pv_recipe_names(dir, &names, NULL), 0);
	assert_list(&names, "a b");
	assert_int_equal(pv_rmtree(dir, NULL), 0);
	assert_int_equal(pv_recipe_names(dir, &names, &err), -1);
	assert_list(&names, "a b"); /* untouched */
}

/* --keyring is relative to where the user stands. */
static void test_relative_keyring(void **state)
{
	const struct pv_recipe_override over = { .keyring = "keys/a.gpg" };
	pv_autorecipe r = { 0 };
	pv_autofindings findings = { 0 };
	pv_autofree char *cwd = getcwd(NULL, 0);
	pv_autofree char *want = pv_fmt("%s/keys/a.gpg", cwd);

	(void)state;
	assert_int_equal(pv_recipe_load("recipes", "debian-2g", &over, &r, &findings, NULL), 0);
	assert_string_equal(r.keyring, want);
}

/* Every ".TP .B WORD" of the sections KEYS and OPTIONS, sorted. */
static void manual_keys(char *page, struct pv_strv *ret)
{
	bool inside = false, heading = false;
	char *rest = NULL;

	for (char *line = strtok_r(page, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (pv_starts(line, ".SH"))
			inside = strcmp(line, ".SH KEYS") == 0 || strcmp(line, ".SH OPTIONS") == 0;
		if (inside && heading && pv_starts(line, ".B ")) {
			struct pv_str key = PV_STR_INIT;

			for (const char *p = line + 3; *p; p++)
				if (*p != '\\')
					pv_str_addc(&key, *p);
			pv_strv_take(ret, pv_str_steal(&key));
		}
		heading = strcmp(line, ".TP") == 0;
	}
	pv_strv_sort(ret);
}

static void test_manual(void **state)
{
	pv_autofree char *page = NULL;
	pv_autostrv documented = PV_STRV_INIT, known = PV_STRV_INIT;

	(void)state;
	assert_int_equal(pv_read_file("man/pvimg-recipe.5", 1 << 20, &page, NULL, NULL), 0);
	for (const struct pv_suite *s = pv_suite_table(); s->distribution; s++)
		assert_non_null(strstr(page, s->codename));
	manual_keys(page, &documented);
	for (size_t i = 0; i < PV_RECIPE_KEYS; i++)
		pv_strv_add(&known, pv_recipe_keys()[i].name);
	pv_strv_sort(&known);
	pv_autofree char *want = pv_strv_join(&known, "\n");
	pv_autofree char *got = pv_strv_join(&documented, "\n");

	assert_string_equal(got, want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_dom0),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_empty_list),
		cmocka_unit_test(test_overrides),
		cmocka_unit_test(test_override_completes),
		cmocka_unit_test(test_shipped),
		cmocka_unit_test(test_unknown_name),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_relative_keyring),
		cmocka_unit_test(test_manual),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
