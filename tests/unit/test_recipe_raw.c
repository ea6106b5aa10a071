/* SPDX-License-Identifier: Apache-2.0 */
/* libcyaml's side: every key of the table reaches its place, and libcyaml refuses by itself what we
 * refuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "recipe_raw.h"

/* One text with every key; a text's value is its own name, a list's members are its name and
 * "more". */
static char *all_keys(void)
{
	struct pv_str text = PV_STR_INIT;
	const char *section = "";

	for (size_t i = 0; i < PV_RECIPE_KEYS; i++) {
		const struct pv_recipe_key *key = &pv_recipe_keys()[i];
		const char *dot = strchr(key->name, '.');

		if (dot && !(pv_starts(key->name, section) && *section)) {
			pv_str_addf(&text, "%.*s:\n", (int)(dot - key->name), key->name);
			section = key->name[0] == 'f' ? "flavor." : "options.";
		}
		pv_str_addf(&text, "%s%s: ", dot ? "  " : "", dot ? dot + 1 : key->name);
		pv_str_addf(&text, key->type == PV_KEY_LIST ? "[%s, more]\n" : "%s\n", key->name);
	}
	return pv_str_steal(&text);
}

static void test_every_key(void **state)
{
	pv_autofree char *text = all_keys();
	pv_autoraw *raw = NULL;
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	if (pv_recipe_raw_load("f", text, strlen(text), &raw, &err) < 0)
		fail_msg("%s\n%s", err.text, text);
	for (size_t i = 0; i < PV_RECIPE_KEYS; i++) {
		const struct pv_recipe_key *key = &pv_recipe_keys()[i];

		if (key->type == PV_KEY_LIST) {
			assert_null(raw->v[i].text);
			assert_int_equal(raw->v[i].n, 2);
			assert_string_equal(raw->v[i].list[0], key->name);
			assert_string_equal(raw->v[i].list[1], "more");
		} else {
			assert_string_equal(raw->v[i].text, key->name);
			assert_int_equal(raw->v[i].n, 0);
		}
	}
}

static void test_nothing_given(void **state)
{
	static const char *const texts[] = { "suite: x\n", "flavor: {}\n", "packages: []\n",
					     "{}\n" };

	(void)state;
	for (size_t i = 0; i < PV_COUNT(texts); i++) {
		pv_autoraw *raw = NULL;

		assert_int_equal(pv_recipe_raw_load("f", texts[i], strlen(texts[i]), &raw, NULL),
				 0);
		assert_null(raw->v[4].text); /* flavor.memory */
		for (size_t k = 0; k < PV_RECIPE_KEYS; k++)
			assert_int_equal(raw->v[k].n, 0);
	}
}

static void test_refused(void **state)
{
	static const char *const texts[] = {
		"nosuch: 1\n",
		"suite: a\nsuite: b\n",
		"suite: [a]\n",
		"packages: a\n",
		"flavor: a\n",
		"flavor: {memmory: 1}\n",
		"suite: &a b\nhostname: *a\n",
		"suite: {\n",
		"- a\n",
		"",
	};

	(void)state;
	for (size_t i = 0; i < PV_COUNT(texts); i++) {
		pv_autoraw *raw = NULL;
		pv_autoerror err = PV_ERROR_INIT;

		if (pv_recipe_raw_load("file-name", texts[i], strlen(texts[i]), &raw, &err) == 0)
			fail_msg("taken: %s", texts[i]);
		assert_null(raw);
		assert_int_equal(err.kind, PV_ERR_RECIPE);
		assert_true(pv_starts(err.text, "file-name: refused by libcyaml: "));
		assert_null(strchr(err.text, '\n'));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_key),
		cmocka_unit_test(test_nothing_given),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
