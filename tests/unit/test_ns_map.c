/* SPDX-License-Identifier: Apache-2.0 */
/* Id maps: subordinate id files, /proc's form, where root's ids go. */
#include "check.h"

#include "ns_map.h"
#include "text.h"

static void test_subid_finds_first_big_range_of_name_or_number(void **state)
{
	uint32_t base = 0;

	(void)state;
	assert_int_equal(pv_ns_subid_parse("a:100000:65536\nme:200000:65536\n", "me", 1000, &base), 0);
	assert_int_equal(base, 200000);
	assert_int_equal(pv_ns_subid_parse("1000:300000:65536", "me", 1000, &base), 0);
	assert_int_equal(base, 300000);
	/* too small, then large enough */
	assert_int_equal(pv_ns_subid_parse("me:1:65535\nme:400000:65537\n", "me", 1000, &base), 0);
	assert_int_equal(base, 400000);
	assert_int_equal(pv_ns_subid_parse("me:500000:65536\n", NULL, 1000, &base), -1);
}

static void test_subid_skips_bad_lines(void **state)
{
	static const char *const bad[] = {
		"", "\n\n", "me", "me:", "me:1", "me:1:", "me:x:65536", "me:1:65536x", "me:-1:65536", "me:1:65536:",
		"me:0:65536", "me:4294967295:65536", "me:4294901760:65536", "me:1:18446744073709551616",
		"you:1:65536", "m:1:65536", "mee:1:65536", " me:1:65536",
	};
	uint32_t base = 7;

	(void)state;
	for (size_t i = 0; i < PV_COUNT(bad); i++)
		if (pv_ns_subid_parse(bad[i], "me", 1000, &base) == 0)
			fail_msg("taken: \"%s\"", bad[i]);
	assert_int_equal(base, 7);
	assert_int_equal(pv_ns_subid_parse("me\nme:1:2\nme:9:65536\n", "me", 1000, &base), 0);
	assert_int_equal(base, 9);
}

static void test_map_parse(void **state)
{
	struct pv_ns_extent e[2];

	(void)state;
	assert_int_equal(pv_ns_map_parse("         0          0 4294967295\n", e, 2), 1);
	assert_int_equal(e[0].count, 4294967295u);
	assert_int_equal(pv_ns_map_parse("0 1000 1\n1 100000 65536\n", e, 2), 2);
	assert_int_equal(e[1].inner, 1);
	assert_int_equal(e[1].outer, 100000);
	assert_int_equal(pv_ns_map_parse("", e, 2), 0);
	assert_int_equal(pv_ns_map_parse("0 0 1\n1 1 1\n2 2 1\n", e, 2), -1);
	assert_int_equal(pv_ns_map_parse("0 0\n", e, 2), -1);
	assert_int_equal(pv_ns_map_parse("0 0 0\n", e, 2), -1);
	assert_int_equal(pv_ns_map_parse("0 0 1", e, 2), -1);
	assert_int_equal(pv_ns_map_parse("1 0 4294967295\n", e, 2), -1);
	assert_int_equal(pv_ns_map_parse("0 0 99999999999999999999\n", e, 2), -1);
}

static void test_root_map_of_a_host(void **state)
{
	const struct pv_ns_extent host[] = { { 0, 0, 4294967295u } };
	struct pv_ns_extent map[4];
	uint32_t base;

	(void)state;
	assert_int_equal(pv_ns_root_base(host, 1, &base), 0);
	assert_int_equal(base, PV_NS_ROOT_BASE);
	assert_int_equal(pv_ns_root_map(host, 1, base, map, 4), 3);
	assert_int_equal(map[0].inner, 0);
	assert_int_equal(map[0].outer, base);
	assert_int_equal(map[0].count, 65536);
	assert_int_equal(map[1].inner, PV_NS_SELF);
	assert_int_equal(map[1].outer, 0);
	assert_int_equal(map[1].count, base);
	/* above the range every id is itself */
	assert_int_equal(map[2].inner, map[2].outer);
	assert_int_equal(map[2].outer, base + 65536);
	assert_true((uint64_t)map[2].inner + map[2].count == 4294967295u);
	assert_int_equal(pv_ns_root_map(host, 1, base, map, 2), -1);
}

static void test_root_map_of_a_container(void **state)
{
	const struct pv_ns_extent have[] = { { 1, 100000, 65536 }, { 0, 1000, 1 } };
	const struct pv_ns_extent poor[] = { { 0, 100000, 65536 } };
	struct pv_ns_extent map[4];
	uint32_t base;

	(void)state;
	assert_int_equal(pv_ns_root_base(have, 2, &base), 0);
	assert_int_equal(base, 1);
	assert_int_equal(pv_ns_root_map(have, 2, base, map, 4), 2);
	assert_int_equal(map[0].outer, 1);
	assert_int_equal(map[1].inner, PV_NS_SELF);
	assert_int_equal(map[1].outer, 0);
	assert_int_equal(map[1].count, 1);
	/* id 0 must stay root's own */
	assert_int_equal(pv_ns_root_base(poor, 1, &base), -1);
	assert_int_equal(pv_ns_root_map(poor, 1, 0, map, 4), -1);
	/* half of the range is not there */
	assert_int_equal(pv_ns_root_map(have, 2, 2, map, 4), -1);
	assert_int_equal(pv_ns_root_map(have, 1, 1, map, 4), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_subid_finds_first_big_range_of_name_or_number),
		cmocka_unit_test(test_subid_skips_bad_lines),
		cmocka_unit_test(test_map_parse),
		cmocka_unit_test(test_root_map_of_a_host),
		cmocka_unit_test(test_root_map_of_a_container),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
