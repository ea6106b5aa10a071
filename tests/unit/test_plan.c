/* SPDX-License-Identifier: Apache-2.0 */
/* Plans: golden JSON of every recipe, the epoch, the disk that is too small. Run from the project's root;
 * PV_WRITE_GOLDEN=1 writes the golden files anew: read the difference before you keep them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fsutil.h"
#include "plan.h"
#include "resolve.h"

#define EPOCH 1700000000

static void load(const char *name, struct pv_recipe *recipe)
{
	pv_autoerror err = PV_ERROR_INIT;
	pv_autofindings findings = { 0 };

	if (pv_recipe_load("recipes", name, NULL, recipe, &findings, &err) < 0)
		fail_msg("%s: %s", name, err.text);
}

static void compare_golden(const char *name, const char *json)
{
	pv_autoerror err = PV_ERROR_INIT;
	pv_autofree char *path = pv_fmt("tests/golden/%s.json", name);
	pv_autofree char *want = NULL;

	if (getenv("PV_WRITE_GOLDEN")) {
		assert_int_equal(pv_write_file(path, json, strlen(json), 0644, &err), 0);
		return;
	}
	if (pv_read_file(path, 1 << 20, &want, NULL, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(json, want);
}

static void test_golden_plans(void **state)
{
	pv_autoerror err = PV_ERROR_INIT;
	pv_autostrv names = PV_STRV_INIT;

	(void)state;
	unsetenv("SOURCE_DATE_EPOCH");
	assert_int_equal(pv_recipe_names("recipes", &names, &err), 0);
	assert_true(names.n >= 6);
	for (size_t i = 0; i < names.n; i++) {
		pv_autorecipe recipe = { 0 };
		pv_autoplan plan = { 0 };
		load(names.v[i], &recipe);
		assert_int_equal(pv_plan_make(&recipe, &plan, &err), 0);
		assert_int_equal(pv_plan_set_epoch(&plan, EPOCH, false, &err), 0);
		pv_autofree char *json = pv_plan_json(&plan);
		compare_golden(names.v[i], json);
	}
}

static void make(struct pv_recipe *recipe, struct pv_plan *plan)
{
	pv_autoerror err = PV_ERROR_INIT;

	load("debian-2g", recipe);
	assert_int_equal(pv_plan_make(recipe, plan, &err), 0);
}

static void test_epoch_from_environment(void **state)
{
	pv_autorecipe recipe = { 0 };
	pv_autoplan plan = { 0 };
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	make(&recipe, &plan);
	setenv("SOURCE_DATE_EPOCH", "1234567890", 1);
	assert_int_equal(pv_plan_set_epoch(&plan, EPOCH, false, &err), 0);
	assert_int_equal(plan.epoch, 1234567890);
	unsetenv("SOURCE_DATE_EPOCH");
}

static void test_malformed_epoch_is_refused(void **state)
{
	static const char *const bad[] = { "", "-1", "12x", " 1", "010", "4294967296", "now" };

	(void)state;
	for (size_t i = 0; i < PV_COUNT(bad); i++) {
		pv_autorecipe recipe = { 0 };
		pv_autoplan plan = { 0 };
		pv_autoerror err = PV_ERROR_INIT;
		make(&recipe, &plan);
		setenv("SOURCE_DATE_EPOCH", bad[i], 1);
		assert_int_equal(pv_plan_set_epoch(&plan, EPOCH, false, &err), -1);
		assert_int_equal(err.kind, PV_ERR_USAGE);
		unsetenv("SOURCE_DATE_EPOCH");
	}
}

static void test_ids_follow_name_and_epoch(void **state)
{
	pv_autorecipe recipe = { 0 };
	pv_autoplan a = { 0 }, b = { 0 };
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	make(&recipe, &a);
	assert_int_equal(pv_plan_make(&recipe, &b, &err), 0);
	assert_int_equal(pv_plan_set_epoch(&a, EPOCH, false, &err), 0);
	assert_int_equal(pv_plan_set_epoch(&b, EPOCH, false, &err), 0);
	assert_memory_equal(a.root_fs_uuid, b.root_fs_uuid, 16);
	assert_memory_not_equal(a.root_fs_uuid, a.disk_uuid, 16);
	pv_vars_done(&b.vars);
	assert_int_equal(pv_plan_set_epoch(&b, EPOCH + 1, false, &err), 0);
	assert_memory_not_equal(a.root_fs_uuid, b.root_fs_uuid, 16);
}

static struct pv_resolution one_package(uint64_t installed_kib)
{
	struct pv_package *p = pv_xcalloc(1, sizeof(*p));

	p->name = pv_xstrdup("large");
	p->version = pv_xstrdup("1");
	p->arch = pv_xstrdup("all");
	p->filename = pv_xstrdup("pool/large.deb");
	p->base_url = pv_xstrdup("file:///x");
	p->installed_kib = installed_kib;
	return (struct pv_resolution){ .packages = p, .npackages = 1 };
}

static void test_disk_too_small_names_the_size(void **state)
{
	pv_autorecipe recipe = { 0 };
	pv_autoplan plan = { 0 };
	pv_autoerror err = PV_ERROR_INIT;
	struct pv_resolution res = one_package(5 * 1024 * 1024);

	(void)state;
	make(&recipe, &plan);
	assert_int_equal(pv_plan_set_packages(&plan, &res, &err), -1);
	assert_int_equal(err.kind, PV_ERR_RECIPE);
	const char *size = strstr(err.text, "at least") ? strstr(err.text, "need ") : NULL;
	assert_non_null(size);
	unsigned long long mib = strtoull(size + strlen("need "), NULL, 10);
	assert_true(mib > 5 * 1024);
	recipe.disk = mib << 20;	/* what the error asked for is enough */
	pv_plan_done(&plan);
	pv_error_clear(&err);
	assert_int_equal(pv_plan_make(&recipe, &plan, &err), 0);
	res = one_package(5 * 1024 * 1024);
	assert_int_equal(pv_plan_set_packages(&plan, &res, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden_plans),
		cmocka_unit_test(test_epoch_from_environment),
		cmocka_unit_test(test_malformed_epoch_is_refused),
		cmocka_unit_test(test_ids_follow_name_and_epoch),
		cmocka_unit_test(test_disk_too_small_names_the_size),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
