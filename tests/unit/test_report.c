/* SPDX-License-Identifier: Apache-2.0 */
/* The report's JSON. With PV_TEST_REPORT=FILE in the environment a sample stays there for the schema check. */
#include "check.h"

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fsutil.h"
#include "report.h"
#include "text.h"
#include "version.h"

#define DIGEST "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static json_t *written(const struct pv_report *report)
{
	const char *keep = getenv("PV_TEST_REPORT");
	char path[] = "/tmp/pvimg-test-report.XXXXXX";
	int fd = mkstemp(path);
	pv_autofree char *text = NULL;
	json_t *root;

	close(fd);
	assert_int_equal(pv_report_write(report, path, NULL), 0);
	assert_int_equal(pv_read_file(path, 100000, &text, NULL, NULL), 0);
	assert_true(pv_ends(text, "}\n"));
	root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(root);
	if (keep)
		assert_int_equal(pv_write_file(keep, text, strlen(text), 0644, NULL), 0);
	unlink(path);
	return root;
}

static const char *member(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "(none)";
}

static void test_empty(void **state)
{
	pv_autoreport *report = pv_report_new("debian-2g");
	json_auto_t *root = written(report);

	(void)state;
	assert_string_equal(member(root, "schema"), "pvimg.report/1");
	assert_string_equal(member(root, "name"), "debian-2g");
	assert_string_equal(member(root, "pvimg"), PV_VERSION);
	assert_string_equal(member(root, "verified"), "not verified");
	assert_true(json_is_null(json_object_get(root, "error")));
	assert_int_equal(json_array_size(json_object_get(root, "stages")), 0);
	assert_true(json_integer_value(json_object_get(root, "self_max_rss_kib")) > 0);
}

static void fill_folders(struct pv_report *report)
{
	struct pv_folder v[] = { { (char *)"/", UINT64_MAX }, { (char *)"/\xff", 5 } };
	const struct pv_folders folders = { v, PV_COUNT(v) };

	pv_report_folders(report, &folders);
	pv_report_since(report, json_pack("[{s:s, s:s, s:n, s:[{s:s, s:n, s:s, s:s}]}]", "name", "packages", "state", "different",
					  "why", "changes", "what", "bash", "first", "second", "5", "how", "added"));
}

static void fill(struct pv_report *report)
{
	const struct pv_proc_result good = { 0, 0, false, 1234, 5678, NULL, 0, false };
	const struct pv_proc_result killed = { -1, SIGKILL, true, 3000, 99, NULL, 1, false };
	pv_autoerror err = PV_ERROR_INIT;

	pv_report_child(report, "gpgv", &good);
	pv_report_stage_begin(report, "fetch");
	usleep(20000);
	pv_report_stage_end(report, "done");
	pv_report_stage_begin(report, "bootstrap");
	pv_report_stage_end(report, "skipped");
	pv_report_stage_begin(report, "install");
	pv_report_child(report, "/usr/bin/dpkg", &killed);
	pv_report_recipe(report, "debian-2g.yaml", DIGEST);
	pv_report_recipe(report, "base/debian.yaml", DIGEST);
	pv_report_artifact(report, "debian-2g.raw", DIGEST, 1ULL << 40);
	pv_report_finding(report, "odd %s\n", "\xff name");
	pv_report_number(report, "downloaded_bytes", 5);
	pv_report_number(report, "downloaded_bytes", UINT64_MAX);
	pv_report_archive(report, 1700000000, 1);
	fill_folders(report);
	pv_error_set(&err, PV_ERR_STAGE, "install: dpkg: killed");
	pv_report_error(report, &err);
}

static void test_full(void **state)
{
	pv_autoreport *report = pv_report_new("debian-2g");
	json_auto_t *root = NULL;
	json_t *stages, *children, *artifact, *folder;

	(void)state;
	fill(report);
	root = written(report);
	stages = json_object_get(root, "stages");
	assert_int_equal(json_array_size(stages), 3);
	assert_string_equal(member(json_array_get(stages, 0), "state"), "done");
	assert_in_range(json_integer_value(json_object_get(json_array_get(stages, 0), "wall_ms")), 19, 3000);
	assert_string_equal(member(json_array_get(stages, 1), "state"), "skipped");
	/* still open: the run ended in it */
	assert_string_equal(member(json_array_get(stages, 2), "state"), "failed");
	children = json_object_get(root, "children");
	assert_true(json_is_null(json_object_get(json_array_get(children, 0), "stage")));
	assert_int_equal(json_integer_value(json_object_get(json_array_get(children, 0), "exit")), 0);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(children, 0), "max_rss_kib")), 5678);
	assert_string_equal(member(json_array_get(children, 1), "stage"), "install");
	assert_true(json_is_null(json_object_get(json_array_get(children, 1), "exit")));
	assert_int_equal(json_integer_value(json_object_get(json_array_get(children, 1), "signal")), SIGKILL);
	artifact = json_array_get(json_object_get(root, "artifacts"), 0);
	assert_string_equal(member(artifact, "sha256"), DIGEST);
	assert_true(json_integer_value(json_object_get(artifact, "size")) == 1LL << 40);
	assert_string_equal(json_string_value(json_array_get(json_object_get(root, "findings"), 0)), "odd ? name?");
	assert_true(json_integer_value(json_object_get(json_object_get(root, "numbers"), "downloaded_bytes")) ==
		    INT64_MAX);
	assert_string_equal(member(root, "archive"), "stand-in");
	folder = json_array_get(json_object_get(root, "folders"), 1);
	assert_string_equal(member(folder, "path"), "/?");
	assert_int_equal(json_integer_value(json_object_get(folder, "bytes")), 5);
	assert_string_equal(member(json_array_get(json_object_get(root, "since"), 0), "name"), "packages");
	assert_int_equal(json_integer_value(json_object_get(json_object_get(root, "error"), "exit")), 1);
	assert_string_equal(member(json_object_get(root, "error"), "text"), "install: dpkg: killed");
}

static void test_keys_are_sorted(void **state)
{
	pv_autoreport *report = pv_report_new("x");
	char path[] = "/tmp/pvimg-test-report.XXXXXX";
	pv_autofree char *text = NULL;
	const char *a, *b, *c;

	(void)state;
	close(mkstemp(path));
	assert_int_equal(pv_report_write(report, path, NULL), 0);
	assert_int_equal(pv_read_file(path, 100000, &text, NULL, NULL), 0);
	unlink(path);
	a = strstr(text, "\"artifacts\"");
	b = strstr(text, "\"name\"");
	c = strstr(text, "\"wall_ms\"");
	assert_true(a && b && c && a < b && b < c);
}

static void test_write_fails(void **state)
{
	pv_autoreport *report = pv_report_new("x");
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	assert_int_equal(pv_report_write(report, "/no/such/report.json", &err), -1);
	assert_true(pv_starts(err.text, "/no/such/report.json: "));
}

static void test_null_report(void **state)
{
	(void)state;
	fill(NULL);
	assert_int_equal(pv_report_write(NULL, "/no/such", NULL), 0);
	pv_report_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_keys_are_sorted),
		cmocka_unit_test(test_write_fails),
		cmocka_unit_test(test_null_report),
		cmocka_unit_test(test_full),	/* last: its sample stays */
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
