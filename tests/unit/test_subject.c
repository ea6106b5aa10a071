/* SPDX-License-Identifier: Apache-2.0 */
/* Records as tables of facts, and two of them side by side: what is told of a result, and of the one before it. */
#include "check.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "fsutil.h"
#include "report.h"
#include "scratch.h"
#include "since.h"
#include "subject_diff.h"

#define MANIFEST(packages) "{\"schema\":\"pvimg.manifest/1\",\"name\":\"n\",\"suite\":\"bookworm\",\"disk_size\":5," \
	"\"settings\":{\"sysctl\":{\"vm.swappiness\":\"10\"}},\"packages\":[" packages "]}"
#define PACKAGE(name, version) "{\"name\":\"" name "\",\"version\":\"" version "\",\"installed_size\":1024}"
#define REPORT(stage, folder) "{\"schema\":\"pvimg.report/1\",\"wall_ms\":900,\"stages\":[" stage "]," \
	"\"folders\":[{\"path\":\"/\",\"bytes\":" folder "}]}"

static void put(const char *path, const char *text)
{
	assert_int_equal(pv_write_file(path, text, strlen(text), 0644, NULL), 0);
}

static void make_two(void)
{
	assert_int_equal(pv_mkdirs("a", 0755, NULL), 0);
	assert_int_equal(pv_mkdirs("b", 0755, NULL), 0);
	put("a/manifest.json", MANIFEST(PACKAGE("bash", "1.9") "," PACKAGE("down", "2") "," PACKAGE("gone", "1") ","
				       PACKAGE("same", "3")));
	put("b/manifest.json", MANIFEST(PACKAGE("bash", "1.10") "," PACKAGE("down", "2~rc1") "," PACKAGE("new", "7") ","
				       PACKAGE("same", "3")));
	put("a/report.json", REPORT("{\"name\":\"install\",\"state\":\"done\",\"wall_ms\":700}", "4096"));
	put("b/report.json", REPORT("{\"name\":\"install\",\"state\":\"skipped\",\"wall_ms\":0}", "8192"));
	put("b/verdict.json", "{\"schema\":\"pvimg.verdict/1\",\"class\":\"PVHVM\",\"cause\":null,\"timeline\":{\"kernel\":5}}");
}

/* "bash: 1.9 > 1.10 (up)" of each change, joined by "; ". */
static char *words_of(const json_t *section)
{
	const json_t *changes = json_object_get(section, "changes");
	pv_autostrv words = PV_STRV_INIT;

	for (size_t i = 0; i < json_array_size(changes); i++) {
		const json_t *c = json_array_get(changes, i);
		const char *first = json_string_value(json_object_get(c, "first"));
		const char *second = json_string_value(json_object_get(c, "second"));
		pv_strv_addf(&words, "%s: %s > %s "
			     "(%s)", json_string_value(json_object_get(c, "what")), first ? first : "-",
			     second ? second : "-", json_string_value(json_object_get(c, "how")));
	}
	return pv_strv_join(&words, "; ");
}

static void section_is(const char *first, const char *second, enum pv_subject_table table, const char *state, const char *want)
{
	pv_autosubject a = { .path = NULL }, b = { .path = NULL };

	assert_int_equal(pv_subject_open(first, true, &a, NULL), 0);
	assert_int_equal(pv_subject_open(second, true, &b, NULL), 0);
	json_t *section = pv_subject_section(&a, &b, table);
	pv_autofree char *words = words_of(section);
	assert_string_equal(json_string_value(json_object_get(section, "state")), state);
	assert_string_equal(words, want);
	json_decref(section);
}

static void test_sections(void **state)
{
	(void)state;
	make_two();
	section_is("a", "b", PV_SUBJECT_PACKAGES, "different",
		   "bash: 1.9 > 1.10 (up); down: 2 > 2~rc1 (down); gone: 1 > - (removed); new: - > 7 (added)");
	section_is("a", "b/manifest.json", PV_SUBJECT_SYSCTL, "equal", "");
	section_is("a/report.json", "b/report.json", PV_SUBJECT_FOLDERS, "different", "/: 4096 > 8192 (changed)");
	section_is("a", "b", PV_SUBJECT_STAGES, "different", "install: 700 > skipped (changed)");
	section_is("a", "b", PV_SUBJECT_BOOT, "not compared", "");
	section_is("b", "b", PV_SUBJECT_BOOT, "equal", "");
	section_is("a", "b", PV_SUBJECT_KERNEL, "not compared", "");
}

static void test_record_alone(void **state)
{
	pv_autoerror err = PV_ERROR_INIT;
	pv_autosubject none = { .path = NULL };

	(void)state;
	make_two();
	put("yesterday.json", REPORT("{\"name\":\"install\",\"state\":\"done\",\"wall_ms\":650}", "1"));
	section_is("yesterday.json", "b/report.json", PV_SUBJECT_FOLDERS, "different", "/: 1 > 8192 (changed)");
	/* it does not stand for the folder that it lies in */
	put("a/yesterday.json", REPORT("", "1"));
	section_is("a/yesterday.json", "b", PV_SUBJECT_PACKAGES, "not compared", "");
	put("other.json", "{\"schema\":\"pvimg.lint/1\"}");
	assert_int_equal(pv_subject_open("other.json", false, &none, &err), -1);
}

static void test_values(void **state)
{
	static const struct {
		enum pv_subject_table table;
		const char *value, *text;
	} cases[] = {
		{ PV_SUBJECT_SIZES, "1536", "1.5 KiB" }, { PV_SUBJECT_FOLDERS, "0", "0 "
			"B" }, { PV_SUBJECT_BOOT, "125999", "2 min 05 s" },
		{ PV_SUBJECT_STAGES, "450", "0.4 "
			"s" }, { PV_SUBJECT_STAGES, "skipped", "skipped" }, { PV_SUBJECT_SYSCTL, "4096", "4096" },
	};

	(void)state;
	for (size_t i = 0; i < PV_COUNT(cases); i++) {
		pv_autofree char *text = pv_subject_value_text(cases[i].table, cases[i].value);
		assert_string_equal(text, cases[i].text);
	}
}

static json_t *since(const char *before, const char *now)
{
	pv_autoreport *report = pv_report_new("n");
	pv_autoerror err = PV_ERROR_INIT;

	assert_int_equal(pv_since_note(report, before, now, &err), 0);
	assert_int_equal(pv_report_write(report, "out.json", NULL), 0);
	json_auto_t *root = json_load_file("out.json", 0, NULL);
	return json_incref(json_object_get(root, "since"));
}

static void test_since(void **state)
{
	(void)state;
	make_two();
	assert_null(since("nowhere", "b"));
	json_t *sections = since("a", "b");
	assert_int_equal(json_array_size(sections), PV_SUBJECT_TABLES);
	json_decref(sections);
	/* a record that is none of ours any more: nothing is compared, nothing fails */
	put("a/report.json", "{");
	sections = since("a", "b");
	assert_string_equal(json_string_value(json_object_get(json_array_get(sections, PV_SUBJECT_FOLDERS), "state")), "not compared");
	json_decref(sections);
}

static void test_keep_folders(void **state)
{
	pv_autoreport *report = pv_report_new("n");

	(void)state;
	make_two();
	pv_since_keep_folders(report, "a");
	assert_int_equal(pv_report_write(report, "out.json", NULL), 0);
	json_auto_t *root = json_load_file("out.json", 0, NULL);
	json_t *folder = json_array_get(json_object_get(root, "folders"), 0);
	assert_int_equal(json_integer_value(json_object_get(folder, "bytes")), 4096);
	pv_since_keep_folders(report, "nowhere");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sections), cmocka_unit_test(test_record_alone), cmocka_unit_test(test_values),
		cmocka_unit_test(test_since), cmocka_unit_test(test_keep_folders),
	};

	return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
