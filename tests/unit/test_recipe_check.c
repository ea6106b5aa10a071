/* SPDX-License-Identifier: Apache-2.0 */
/* The must-fail corpus: every tests/bad/NAME.yaml gives exactly the findings of NAME.expect; and
 * overrides. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fsutil.h"
#include "recipe.h"
#include "recipe_check.h"

#define BAD "tests/bad"

/* "file:line:column: text" a line, with the folder cut off. The caller frees. */
static char *listing(const struct pv_findings *findings)
{
	struct pv_str out = PV_STR_INIT;

	for (size_t i = 0; i < findings->n; i++) {
		const struct pv_finding *f = &findings->v[i];
		const char *text = f->text;
		const char *file = f->file + (pv_starts(f->file, BAD "/") ? strlen(BAD "/") : 0);

		assert_null(strchr(text, '\n'));
		pv_str_addf(&out, "%s:%u:%u: %s\n", file, f->line, f->column, text);
	}
	return pv_str_steal(&out);
}

static void check_one(const char *name)
{
	pv_autofindings findings = { 0 };
	pv_autoerror err = PV_ERROR_INIT;
	pv_autorecipe recipe = { 0 };
	pv_autofree char *path = pv_fmt(BAD "/%s.expect", name);
	pv_autofree char *want = NULL;

	assert_int_equal(pv_recipe_load(BAD, name, NULL, &recipe, &findings, &err), -1);
	assert_int_equal(err.kind, PV_ERR_RECIPE);
	assert_null(recipe.name);
	pv_autofree char *got = findings.n ? listing(&findings) : pv_fmt("%s\n", err.text);

	if (getenv("PV_WRITE_EXPECT")) { /* for a new case: write, then read it with your own eyes
					  */
		assert_int_equal(pv_write_file(path, got, strlen(got), 0644, NULL), 0);
		return;
	}
	if (pv_read_file(path, 65536, &want, NULL, &err) < 0)
		fail_msg("%s", err.text);
	if (strcmp(want, got) != 0)
		fail_msg("%s: expected:\n%sgot:\n%s", name, want, got);
}

static void test_corpus(void **state)
{
	pv_autostrv names = PV_STRV_INIT;

	(void)state;
	assert_int_equal(pv_recipe_names(BAD, &names, NULL), 0);
	assert_true(names.n >= 30);
	for (size_t i = 0; i < names.n; i++)
		check_one(names.v[i]);
}

/* Overrides */

static const char good[] =
	"distribution: ubuntu\nsuite: noble\nflavor: {memory: 1GiB, vcpus: 1, disk: 3GiB}\n";

/* The findings of loading `good` with these --set values (NULL-terminated). The caller frees. */
static char *with_sets(const char *suite, const char *mirror, const char *const *values)
{
	pv_autostrv sets = PV_STRV_INIT;
	pv_autofindings findings = { 0 };
	pv_autorecipe recipe = { 0 };
	const struct pv_recipe_override over = { .suite = suite, .mirror = mirror, .sets = &sets };

	pv_strv_add_all(&sets, values);
	int rc = pv_recipe_load_mem("x", good, strlen(good), NULL, 0, &over, &recipe, &findings,
				    NULL);

	assert_int_equal(rc, findings.n ? -1 : 0);
	return listing(&findings);
}

static void expect_sets(const char *suite, const char *mirror, const char *const *values,
			const char *want)
{
	pv_autofree char *got = with_sets(suite, mirror, values);

	assert_string_equal(got, want);
}

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void test_sets_refused(void **state)
{
	(void)state;
	expect_sets(NULL, NULL, LIST("flavor.memory=4GB"),
		    "--set:0:0: flavor.memory: \"4GB\" is no size; did you mean \"4GiB\"?\n");
	expect_sets(NULL, NULL, LIST("flavour.memory=4GiB"),
		    "--set:0:0: unknown key \"flavour.memory\"; did you mean \"flavor.memory\"?\n");
	expect_sets(NULL, NULL, LIST("flavor=4GiB", "hostname", "base=ubuntu"),
		    "--set:0:0: flavor: a group of keys; name one, like flavor.memory\n"
		    "--set:0:0: hostname: no value; write --set hostname=VALUE\n"
		    "--set:0:0: base: only a recipe's file can name it\n");
	expect_sets(
		NULL, NULL, LIST("packages=htop,B,"),
		"--set:0:0: packages: \"B\" is no package name; lower-case letters, digits, \"+\", "
		"\".\" and \"-\", "
		"at least 2; no version or architecture\n"
		"--set:0:0: packages: the value is empty; give it a value or leave the key out\n");
	expect_sets(NULL, NULL, LIST("options.memcached-pin-cpus=on"),
		    "--set:0:0: options.memcached-pin-cpus: \"on\" is no switch; did you mean "
		    "\"true\"?\n");
	expect_sets(NULL, NULL, LIST("", "="),
		    "--set:0:0: unknown key \"\"; pvimg-recipe(5) lists the keys\n"
		    "--set:0:0: unknown key \"\"; pvimg-recipe(5) lists the keys\n");
}

static void test_options_refused(void **state)
{
	(void)state;
	expect_sets("jamy", NULL, LIST("hostname=a"),
		    "--suite:0:0: suite: \"jamy\" is no known suite; did you mean \"jammy\"?\n");
	expect_sets("trixie", NULL, LIST("hostname=a"),
		    "--suite:0:0: suite: \"trixie\" is no suite of ubuntu, which has jammy, noble, "
		    "resolute\n");
	pv_autofree char *got =
		with_sets(NULL, "http://u:hunter2@mirror.example/a b", LIST("hostname=a"));

	assert_non_null(strstr(got, "--mirror:0:0: mirror: the value is refused"));
	assert_null(strstr(got, "hunter2"));
	/* A value in the file that the command line replaces is judged all the same. */
	expect_sets("jammy", NULL, LIST("suite=warty"),
		    "--set:0:0: suite: \"warty\" is no known suite; known: jammy "
		    "noble resolute bookworm trixie\n");
}

/* Every key refuses a value of the other shape, and none of the rows is unreachable. */
static void test_every_key_checked(void **state)
{
	const struct pv_recipe_key *keys = pv_recipe_keys();

	(void)state;
	for (size_t i = 0; i < PV_RECIPE_KEYS; i++) {
		const char *dot = strchr(keys[i].name, '.');
		pv_autofree char *section = pv_xstrndup(keys[i].name, strcspn(keys[i].name, "."));
		pv_autofree char *text = dot ? pv_fmt("%s: {%s: {x: y}}\n", section, dot + 1)
					     : pv_fmt("%s: {x: y}\n", keys[i].name);
		pv_autofree char *words = pv_fmt("%s: must be ", keys[i].name);
		pv_autofindings findings = { 0 };
		pv_autorecipe recipe = { 0 };
		bool found = false;

		assert_int_equal(pv_recipe_load_mem("x", text, strlen(text), NULL, 0, NULL, &recipe,
						    &findings, NULL),
				 -1);
		for (size_t f = 0; f < findings.n; f++)
			found = found || pv_starts(findings.v[f].text, words);
		assert_true(found);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_corpus),
		cmocka_unit_test(test_sets_refused),
		cmocka_unit_test(test_options_refused),
		cmocka_unit_test(test_every_key_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
