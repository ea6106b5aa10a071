/* SPDX-License-Identifier: Apache-2.0 */
/* The newest Date seen is remembered and an older one refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "freshness.h"
#include "fsutil.h"
#include "text.h"

static int make_dir(void **state)
{
	char path[] = "/tmp/pvfresh.XXXXXX";

	if (!mkdtemp(path))
		return -1;
	*state = pv_xstrdup(path);
	return 0;
}

static int remove_dir(void **state)
{
	int rc = pv_rmtree(*state, NULL);

	free(*state);
	return rc;
}

static void ok(int rc, const struct pv_error *err)
{
	if (rc < 0)
		fail_msg("%s", err->text);
}

static void test_remembers(void **state)
{
	const char *dir = *state;
	pv_autoerror err = PV_ERROR_INIT;

	ok(pv_freshness_check(dir, "Debian", "sid", 1000, false, &err), &err);
	ok(pv_freshness_update(dir, "Debian", "sid", 1000, &err), &err);
	ok(pv_freshness_check(dir, "Debian", "sid", 1000, false, &err), &err);
	ok(pv_freshness_check(dir, "Debian", "sid", 2000, false, &err), &err);
	assert_int_equal(pv_freshness_check(dir, "Debian", "sid", 999, false, &err), -1);
	assert_int_equal(err.kind, PV_ERR_ARCHIVE);
	assert_non_null(strstr(err.text, "--allow-older"));
	pv_error_clear(&err);
	ok(pv_freshness_check(dir, "Debian", "sid", 999, true, &err), &err);
	ok(pv_freshness_check(dir, "Ubuntu", "sid", 1, false, &err), &err);
	ok(pv_freshness_check(dir, "Debian", "noble", 1, false, &err), &err);
}

static void test_never_lowers(void **state)
{
	const char *dir = *state;
	pv_autoerror err = PV_ERROR_INIT;

	ok(pv_freshness_update(dir, "Debian", "x", 1000, &err), &err);
	ok(pv_freshness_update(dir, "Debian", "x", 500, &err), &err);
	assert_int_equal(pv_freshness_check(dir, "Debian", "x", 999, false, &err), -1);
}

static void test_broken_record_is_no_licence(void **state)
{
	pv_autofree char *path = pv_fmt("%s/freshness/Debian_y", (char *)*state);
	static const char *const bad[] = { "", "\n", "12x\n", "-5\n", "12\n34\n", "99999999999999999999999999\n" };

	ok(pv_freshness_update(*state, "Debian", "y", 1000, NULL), NULL);
	for (size_t i = 0; i < PV_COUNT(bad); i++) {
		pv_autoerror err = PV_ERROR_INIT;

		assert_int_equal(pv_write_file(path, bad[i], strlen(bad[i]), 0644, NULL), 0);
		assert_int_equal(pv_freshness_check(*state, "Debian", "y", 1, false, &err), -1);
		assert_non_null(strstr(err.text, path));
	}
}

static void test_names_stay_inside(void **state)
{
	pv_autofree char *outside = pv_fmt("%s/evil", (char *)*state);
	pv_autofree char *inside = pv_fmt("%s/freshness/_._.._evil_x", (char *)*state);

	ok(pv_freshness_update(*state, "../../evil", "x", 5, NULL), NULL);
	assert_false(pv_exists(outside));
	ok(pv_freshness_check(*state, "../../evil", "x", 5, false, NULL), NULL);
	assert_true(pv_exists(inside));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_remembers),
		cmocka_unit_test(test_never_lowers),
		cmocka_unit_test(test_broken_record_is_no_licence),
		cmocka_unit_test(test_names_stay_inside),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
