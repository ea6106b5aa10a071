/* SPDX-License-Identifier: Apache-2.0 */
/* The tree of a YAML text: shapes, positions, and what is no recipe's YAML. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "recipe_yaml.h"

static void test_positions(void **state)
{
	static const char text[] =
		"# c\na: 1\nmap:\n  b: \"two\"\nlist:\n- x\n-   y\n\"\xc3\xa9\": {k: v}\n";
	pv_autofindings findings = { 0 };
	pv_autoyaml root = { 0 };
	const struct pv_yaml_node *node;

	(void)state;
	assert_true(pv_yaml_parse("f", text, strlen(text), &root, &findings));
	assert_int_equal(findings.n, 0);
	assert_int_equal(root.kind, PV_YAML_MAPPING);
	assert_int_equal(root.n, 4);
	node = pv_yaml_at(&root, "a");
	assert_int_equal(node->key_line, 2);
	assert_int_equal(node->key_column, 1);
	assert_int_equal(node->column, 4);
	node = pv_yaml_at(&root, "map.b");
	assert_string_equal(node->text, "two");
	assert_int_equal(node->line, 4);
	assert_int_equal(node->column, 6);
	node = pv_yaml_at(&root, "list");
	assert_int_equal(node->kind, PV_YAML_LIST);
	assert_int_equal(node->n, 2);
	assert_int_equal(node->v[1].line, 7);
	assert_int_equal(node->v[1].column, 5);
	/* Columns count characters, not bytes. */
	node = pv_yaml_at(&root, "\xc3\xa9");
	assert_int_equal(node->column, 6);
	assert_null(pv_yaml_at(&root, "b"));
	assert_null(pv_yaml_at(&root, "map.c"));
	assert_null(pv_yaml_at(&root, "a.b"));
	assert_null(pv_yaml_at(&root, ""));
}

/* Gives exactly one finding there; the tree or not. */
static void assert_refused(const char *text, size_t len, bool tree, unsigned line, unsigned column,
			   const char *words)
{
	pv_autofindings findings = { 0 };
	pv_autoyaml root = { 0 };

	assert_int_equal(pv_yaml_parse("f", text, len, &root, &findings), tree);
	assert_int_equal(findings.n, 1);
	if (!strstr(findings.v[0].text, words))
		fail_msg("\"%s\" is not in \"%s\"", words, findings.v[0].text);
	assert_int_equal(findings.v[0].line, line);
	assert_int_equal(findings.v[0].column, column);
	assert_string_equal(findings.v[0].file, "f");
}
#define REFUSED(text, ...) assert_refused(text, sizeof(text) - 1, __VA_ARGS__)

static void test_refused(void **state)
{
	(void)state;
	REFUSED("", true, 1, 1, "empty");
	REFUSED("a: &x b\n", true, 1, 4, "an anchor");
	REFUSED("a: *x\n", true, 1, 4, "an alias");
	REFUSED("a: !!str b\n", true, 1, 4, "a tag");
	REFUSED("a: !x {b: c}\n", true, 1, 4, "a tag");
	REFUSED("a: b\n---\nc: d\n", true, 2, 1, "a second document");
	REFUSED("a: \"x\\0y\"\n", true, 1, 4, "a NUL byte");
	REFUSED("[a]: b\n", true, 1, 1, "a key that is");
	REFUSED("a: {b\n", false, 2, 1, "not YAML");
	REFUSED("ok: 1\na: \xff\n", false, 2, 4, "not YAML");
	REFUSED("a: \0\n", false, 1, 4, "not YAML");
	REFUSED("a: [[[[[b]]]]]\n", false, 1, 7, "nested too deeply");
}

static void test_size(void **state)
{
	pv_autofree char *text = pv_xmalloc(PV_YAML_MAX + 1);
	pv_autofindings findings = { 0 };
	pv_autoyaml root = { 0 };

	(void)state;
	memset(text, '#', PV_YAML_MAX + 1);
	memcpy(text, "a: b\n", 5);
	assert_true(pv_yaml_parse("f", text, PV_YAML_MAX, &root, &findings));
	assert_int_equal(findings.n, 0);
	assert_refused(text, PV_YAML_MAX + 1, false, 0, 0, "larger than 64 KiB");
}

/* Ten thousand brackets cost neither stack nor time. */
static void test_deep(void **state)
{
	char text[10000];
	pv_autofindings findings = { 0 };
	pv_autoyaml root = { 0 };

	(void)state;
	memset(text, '[', sizeof(text));
	assert_false(pv_yaml_parse("f", text, sizeof(text), &root, &findings));
	assert_int_equal(findings.n, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_positions),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_deep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
