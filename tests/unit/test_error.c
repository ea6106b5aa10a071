/* SPDX-License-Identifier: Apache-2.0 */
/* Errors: words, wrapping, errno, NULL. */
#include "check.h"

#include <errno.h>
#include <string.h>

#include "error.h"

static void test_set_returns_minus_one_and_words(void **state)
{
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	assert_int_equal(pv_error_set(&err, PV_ERR_RECIPE, "line %d", 7), -1);
	assert_int_equal(err.kind, PV_ERR_RECIPE);
	assert_string_equal(err.text, "line 7");
}

static void test_set_replaces(void **state)
{
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	pv_error_set(&err, PV_ERR_RECIPE, "first");
	pv_error_set(&err, PV_ERR_HOST, "second, after %s", err.text);
	assert_int_equal(err.kind, PV_ERR_HOST);
	assert_string_equal(err.text, "second, after first");
}

static void test_errno_words(void **state)
{
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	assert_int_equal(pv_error_errno(&err, PV_ERR_STAGE, ENOENT, "/x: cannot open"), -1);
	assert_string_equal(err.text, "/x: cannot open: No such file or directory");
}

static void test_wrap_keeps_kind(void **state)
{
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	pv_error_set(&err, PV_ERR_ARCHIVE, "bad signature");
	assert_int_equal(pv_error_wrap(&err, "%s: %s", "ubuntu-2g", "fetch"), -1);
	assert_int_equal(err.kind, PV_ERR_ARCHIVE);
	assert_string_equal(err.text, "ubuntu-2g: fetch: bad signature");
}

static void test_wrap_of_nothing_is_still_an_error(void **state)
{
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	assert_int_equal(pv_error_wrap(&err, "fetch"), -1);
	assert_int_equal(err.kind, PV_ERR_STAGE);
	assert_string_equal(err.text, "fetch");
}

static void test_one_printable_line(void **state)
{
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	pv_error_set(&err, PV_ERR_STAGE, "a\nb\033[31mc\xff\n\n");
	assert_string_equal(err.text, "a b?[31mc?");
}

static void test_null_is_allowed(void **state)
{
	(void)state;
	assert_int_equal(pv_error_set(NULL, PV_ERR_STAGE, "x"), -1);
	assert_int_equal(pv_error_errno(NULL, PV_ERR_STAGE, EIO, "x"), -1);
	assert_int_equal(pv_error_wrap(NULL, "x"), -1);
	pv_error_clear(NULL);
}

static void test_errno_is_kept(void **state)
{
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	errno = EXDEV;
	pv_error_set(&err, PV_ERR_STAGE, "x");
	assert_int_equal(errno, EXDEV);
	pv_error_errno(&err, PV_ERR_STAGE, EIO, "x");
	assert_int_equal(errno, EXDEV);
	pv_error_wrap(&err, "y");
	assert_int_equal(errno, EXDEV);
	pv_error_clear(&err);
	assert_int_equal(errno, EXDEV);
}

static void test_clear_twice(void **state)
{
	struct pv_error err = PV_ERROR_INIT;

	(void)state;
	pv_error_set(&err, PV_ERR_STAGE, "x");
	pv_error_clear(&err);
	assert_int_equal(err.kind, PV_OK);
	assert_null(err.text);
	pv_error_clear(&err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set_returns_minus_one_and_words),
		cmocka_unit_test(test_set_replaces),
		cmocka_unit_test(test_errno_words),
		cmocka_unit_test(test_wrap_keeps_kind),
		cmocka_unit_test(test_wrap_of_nothing_is_still_an_error),
		cmocka_unit_test(test_one_printable_line),
		cmocka_unit_test(test_null_is_allowed),
		cmocka_unit_test(test_errno_is_kept),
		cmocka_unit_test(test_clear_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
