/* SPDX-License-Identifier: Apache-2.0 */
/* Keys: equal exactly when their inputs are, and the first difference is named. */
#include "check.h"

#include "cachekey.h"

static void test_digest_depends_on_every_line(void **state)
{
	pv_autocachekey a = { 0 }, b = { 0 }, c = { 0 };
	char x[PV_SHA256_HEX], y[PV_SHA256_HEX], z[PV_SHA256_HEX];

	(void)state;
	pv_cachekey_add(&a, "one", "1");
	pv_cachekey_add(&a, "two", "2");
	pv_cachekey_add(&b, "one", "1");
	pv_cachekey_add(&b, "two", "2");
	pv_cachekey_add(&c, "one", "1");
	pv_cachekey_add(&c, "two", "3");
	pv_cachekey_digest(&a, x);
	pv_cachekey_digest(&b, y);
	pv_cachekey_digest(&c, z);
	assert_string_equal(x, y);
	assert_string_not_equal(x, z);
}

/* Neither a newline nor a digest's own prefix can make two lists look the same. */
static void test_values_cannot_pass_for_others(void **state)
{
	pv_autocachekey a = { 0 }, b = { 0 }, c = { 0 };
	char x[PV_SHA256_HEX], y[PV_SHA256_HEX];

	(void)state;
	pv_cachekey_add(&a, "a", "1\nb=2");
	pv_cachekey_add(&b, "a", "1");
	pv_cachekey_add(&b, "b", "2");
	pv_cachekey_digest(&a, x);
	pv_cachekey_digest(&b, y);
	assert_string_not_equal(x, y);
	pv_cachekey_add(&c, "a", pv_cachekey_get(&a, "a"));
	assert_string_not_equal(pv_cachekey_get(&c, "a"), pv_cachekey_get(&a, "a"));
	pv_cachekey_add(&c, "odd name=\n", "v");
	assert_string_equal(pv_cachekey_get(&c, "odd name=\n"), "v");
	assert_string_equal(c.names.v[1], "odd%20name%3D%0A");
}

static void test_first_difference(void **state)
{
	pv_autocachekey before = { 0 }, now = { 0 };
	const char *name, *was, *is;

	(void)state;
	pv_cachekey_add(&before, "a", "1");
	pv_cachekey_add(&before, "b", "1");
	pv_cachekey_add(&before, "gone", "x");
	pv_cachekey_add(&now, "a", "1");
	pv_cachekey_add(&now, "new", "n");
	pv_cachekey_add(&now, "b", "2");
	assert_true(pv_cachekey_diff(&before, &now, &name, &was, &is));
	assert_string_equal(name, "new");
	assert_null(was);
	assert_string_equal(is, "n");
	assert_int_equal(pv_cachekey_distance(&before, &now), 3);
	assert_false(pv_cachekey_diff(&now, &now, &name, &was, &is));
	assert_int_equal(pv_cachekey_distance(&now, &now), 0);
	pv_strv_done(&before.names);
	pv_strv_done(&before.values);
	pv_cachekey_add(&before, "a", "1");
	pv_cachekey_add(&before, "new", "n");
	pv_cachekey_add(&before, "b", "2");
	pv_cachekey_add(&before, "gone", "x");
	assert_true(pv_cachekey_diff(&before, &now, &name, &was, &is));
	assert_string_equal(name, "gone");
	assert_null(is);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_digest_depends_on_every_line),
		cmocka_unit_test(test_values_cannot_pass_for_others),
		cmocka_unit_test(test_first_difference),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
