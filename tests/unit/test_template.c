/* SPDX-License-Identifier: Apache-2.0 */
/* Templates: what is put in, what vanishes, what is refused and where. */
#include "check.h"

#include <string.h>

#include "template.h"

static void make_vars(struct pv_vars *vars)
{
	pv_vars_set(vars, "name", "value");
	pv_vars_set(vars, "empty", "");
	pv_vars_set(vars, "list", "a\nb");
	pv_vars_set(vars, "tricky", "@name@");
	pv_vars_set(vars, "memcached_mib", "512");
}

static void test_renders(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "", "" },
		{ "plain\n", "plain\n" },
		{ "@name@", "value" },
		{ "a @name@@name@ b\n", "a valuevalue b\n" },
		{ "x@@y @@name@@\n", "x@y @name@\n" },
		{ "@list@\nc\n", "a\nb\nc\n" },
		{ "one\n@empty@\ntwo\n", "one\ntwo\n" },	/* alone on its line: the line goes */
		{ "one\n@empty@x\ntwo\n", "one\nx\ntwo\n" },
		{ "one\n @empty@\ntwo\n", "one\n \ntwo\n" },
		{ "@empty@\n@empty@\n", "" },
		{ "@empty@", "" },
		{ "@tricky@\n", "@name@\n" },			/* values are not rendered again */
	};
	struct pv_vars vars = { 0 };

	(void)state;
	make_vars(&vars);
	for (size_t i = 0; i < PV_COUNT(cases); i++) {
		pv_autostr out = PV_STR_INIT;
		pv_autoerror err = PV_ERROR_INIT;
		assert_int_equal(pv_template_render("t", cases[i].in, strlen(cases[i].in), &vars, &out, &err), 0);
		assert_string_equal(pv_str_text(&out), cases[i].out);
	}
	pv_vars_done(&vars);
}

static void test_refuses(void **state)
{
	static const struct {
		const char *in, *words;
	} cases[] = {
		{ "a\nb @memcached_mb@\n", "t:2:3: no variable @memcached_mb@; did you mean @memcached_mib@?" },
		{ "@empty@\n\n@zzzzzzzzzzzz@", "t:3:1: no variable @zzzzzzzzzzzz@" },
		{ "mail me@host\n", "t:1:8: a single @" },
		{ "end @", "t:1:5: a single @" },
		{ "@name", "t:1:1: a single @" },
		{ "@Name@", "t:1:1: a single @" },
		{ "@1x@", "t:1:1: a single @" },
	};
	struct pv_vars vars = { 0 };

	(void)state;
	make_vars(&vars);
	for (size_t i = 0; i < PV_COUNT(cases); i++) {
		pv_autostr out = PV_STR_INIT;
		pv_autoerror err = PV_ERROR_INIT;
		pv_str_add(&out, "before");
		assert_int_equal(pv_template_render("t", cases[i].in, strlen(cases[i].in), &vars, &out, &err), -1);
		assert_int_equal(err.kind, PV_ERR_RECIPE);
		if (!pv_starts(err.text, cases[i].words))
			fail_msg("'%s' is not '%s...'", err.text, cases[i].words);
		assert_string_equal(pv_str_text(&out), "before");
	}
	pv_vars_done(&vars);
}

static void test_bounds(void **state)
{
	struct pv_vars vars = { 0 };
	pv_autofree char *big = pv_xcalloc(PV_TEMPLATE_MAX / 2 + 1, 1);
	pv_autostr out = PV_STR_INIT;
	pv_autoerror nul = PV_ERROR_INIT, grown = PV_ERROR_INIT, too_long = PV_ERROR_INIT;

	(void)state;
	assert_int_equal(pv_template_render("t", "a\0b", 3, &vars, &out, &nul), -1);
	assert_non_null(strstr(nul.text, "t:1:2: a NUL byte"));
	memset(big, 'x', PV_TEMPLATE_MAX / 2);
	pv_vars_set(&vars, "big", big);
	assert_int_equal(pv_template_render("t", "@big@@big@@big@", 15, &vars, &out, &grown), -1);
	assert_non_null(strstr(grown.text, "renders to more"));
	assert_int_equal(pv_template_render("t", big, PV_TEMPLATE_MAX + 1, &vars, &out, &too_long), -1);
	pv_vars_done(&vars);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_renders),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_bounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
