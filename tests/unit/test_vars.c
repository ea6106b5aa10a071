/* SPDX-License-Identifier: Apache-2.0 */
/* Variables for templates: set, replace, miss. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "text.h"
#include "vars.h"

static void test_set_get(void **state)
{
	struct pv_vars vars = { 0 };

	(void)state;
	assert_null(pv_vars_get(&vars, "hostname"));
	pv_vars_set(&vars, "hostname", "ubuntu");
	pv_vars_setf(&vars, "memory_mib", "%u", 2048u);
	pv_vars_set(&vars, "empty", "");
	assert_string_equal(pv_vars_get(&vars, "hostname"), "ubuntu");
	assert_string_equal(pv_vars_get(&vars, "memory_mib"), "2048");
	assert_string_equal(pv_vars_get(&vars, "empty"), "");
	assert_null(pv_vars_get(&vars, "host"));
	assert_null(pv_vars_get(&vars, "hostnames"));
	pv_vars_done(&vars);
	assert_int_equal(vars.n, 0);
	pv_vars_done(&vars);
}

static void test_replace(void **state)
{
	struct pv_vars vars = { 0 };

	(void)state;
	pv_vars_set(&vars, "a", "1");
	pv_vars_set(&vars, "b", "2");
	pv_vars_set(&vars, "a", "3");
	assert_int_equal(vars.n, 2);
	assert_string_equal(pv_vars_get(&vars, "a"), "3");
	/* A value made of the old value. */
	pv_vars_setf(&vars, "a", "%s%s", pv_vars_get(&vars, "a"), pv_vars_get(&vars, "b"));
	assert_string_equal(pv_vars_get(&vars, "a"), "32");
	pv_vars_set(&vars, "a", pv_vars_get(&vars, "a"));
	assert_string_equal(pv_vars_get(&vars, "a"), "32");
	pv_vars_done(&vars);
}

static void test_many(void **state)
{
	struct pv_vars vars = { 0 };

	(void)state;
	for (unsigned i = 0; i < 500; i++) {
		pv_autofree char *name = pv_fmt("name_%u", i);

		pv_vars_setf(&vars, name, "%u", i * i);
	}
	assert_int_equal(vars.n, 500);
	assert_string_equal(pv_vars_get(&vars, "name_0"), "0");
	assert_string_equal(pv_vars_get(&vars, "name_499"), "249001");
	pv_vars_done(&vars);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set_get),
		cmocka_unit_test(test_replace),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
