/* SPDX-License-Identifier: Apache-2.0 */
/* Stanzas are cut as dpkg cuts them, and what is ambiguous is refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "deb822.h"
#include "fsutil.h"
#include "text.h"

struct seen {
	struct pv_str text;		/* "name=value;" of all, "|" after a stanza */
	size_t stanzas, stop_after;
};

static int note(void *ctx, const struct pv_stanza *s)
{
	struct seen *seen = ctx;

	for (size_t i = 0; i < pv_stanza_count(s); i++)
		pv_str_addf(&seen->text, "%s=%s;", pv_stanza_name(s, i), pv_stanza_value(s, i));
	pv_str_addc(&seen->text, '|');
	return ++seen->stanzas == seen->stop_after;
}

static void expect(const char *text, const char *wanted)
{
	struct seen seen = { .text = PV_STR_INIT };
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_deb822_each_mem(text, strlen(text), note, &seen, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(pv_str_text(&seen.text), wanted);
	pv_str_done(&seen.text);
}

static void refused_len(const char *text, size_t len, const char *words)
{
	struct seen seen = { .text = PV_STR_INIT };
	pv_autoerror err = PV_ERROR_INIT;

	assert_int_equal(pv_deb822_each_mem(text, len, note, &seen, &err), -1);
	assert_int_equal(err.kind, PV_ERR_ARCHIVE);
	if (!strstr(err.text, words))
		fail_msg("\"%s\" lacks \"%s\"", err.text, words);
	pv_str_done(&seen.text);
}

static void refused(const char *text, const char *words)
{
	refused_len(text, strlen(text), words);
}

static void test_cuts_fields(void **state)
{
	(void)state;
	expect("", "");
	expect("\n\n\n", "");
	expect("A: 1\nB:2\n", "A=1;B=2;|");
	expect("A: 1", "A=1;|");
	expect("A:\n", "A=;|");
	expect("A: \t x y \t\r\nB: 2\n\n\n\nC: 3\n", "A=x y;B=2;|C=3;|");
	expect("A: http://x:1/y\n", "A=http://x:1/y;|");
}

static void test_joins_continuations(void **state)
{
	(void)state;
	expect("A: 1\n 2\n\t3  \nB: 4\n", "A=1\n2\n3;B=4;|");
	expect("A:\n 2\n  3\n .\n", "A=\n2\n 3\n.;|");
	expect("A: 1\n# note: x\n 2\n#\nB: 3\n", "A=1\n2;B=3;|");
	expect("# only\n\nA: 1\n", "A=1;|");
}

static int get_fields(void *ctx, const struct pv_stanza *s)
{
	(void)ctx;
	assert_string_equal(pv_stanza_get(s, "package"), "x");
	assert_string_equal(pv_stanza_get(s, "SHA256"), "y");
	assert_null(pv_stanza_get(s, "Packag"));
	assert_null(pv_stanza_get(s, "Packages"));
	return 0;
}

static void test_get_ignores_case(void **state)
{
	static const char text[] = "Package: x\nsha256: y\n";

	(void)state;
	assert_int_equal(pv_deb822_each_mem(text, strlen(text), get_fields, NULL, NULL), 0);
}

static void test_refuses(void **state)
{
	(void)state;
	refused("A: 1\nnonsense\n", "line 2");
	refused(" A: 1\n", "continuation");
	refused("A: 1\n\nB: 2\n \t\n", "line 4");
	refused("A: 1\nB: 2\na: 3\n", "line 3: the same field");
	refused(": x\n", "neither");
	refused("-A: x\n", "neither");
	refused("A b: x\n", "neither");
	refused("\r\n", "blanks only");
	refused_len("A: 1\nB: \0 2\n", 12, "NUL");
}

static int fails(void *ctx, const struct pv_stanza *s)
{
	(void)s;
	return ++*(int *)ctx == 2 ? -1 : 0;
}

static void test_callback_decides(void **state)
{
	static const char text[] = "A: 1\n\nA: 2\n\nA: 3\n";
	struct seen seen = { .text = PV_STR_INIT, .stop_after = 2 };
	int n = 0;

	(void)state;
	assert_int_equal(pv_deb822_each_mem(text, strlen(text), note, &seen, NULL), 0);
	assert_string_equal(pv_str_text(&seen.text), "A=1;|A=2;|");
	pv_str_done(&seen.text);
	assert_int_equal(pv_deb822_each_mem(text, strlen(text), fails, &n, NULL), -1);
	assert_int_equal(n, 2);
}

static void test_bounds(void **state)
{
	pv_autostr big = PV_STR_INIT, many = PV_STR_INIT;

	(void)state;
	pv_str_add(&big, "A: 1\n");
	while (big.len <= PV_STANZA_MAX)
		pv_str_addf(&big, " %0100d\n", 7);
	refused_len(big.data, big.len, "too long");
	for (int i = 0; i <= PV_STANZA_FIELDS; i++)
		pv_str_addf(&many, "F%d: x\n", i);
	refused_len(many.data, many.len, "too many fields");
}

struct count {
	size_t n;
};

static int check_numbered(void *ctx, const struct pv_stanza *s)
{
	struct count *c = ctx;
	pv_autofree char *name = pv_fmt("p%zu", c->n);

	assert_string_equal(pv_stanza_get(s, "Package"), name);
	assert_int_equal(strlen(pv_stanza_get(s, "Filler")), c->n % 700);
	c->n++;
	return 0;
}

/* Stanzas of all lengths fall on every place of the reader's chunks. */
static void test_file_in_chunks(void **state)
{
	char path[] = "/tmp/pvdeb822.XXXXXX";
	pv_autoclose int fd = mkstemp(path);
	pv_autofree char *filler = pv_xcalloc(1, 1000);
	pv_autoerror err = PV_ERROR_INIT;
	pv_autostr text = PV_STR_INIT;
	struct count c = { 0 };

	(void)state;
	assert_true(fd >= 0);
	memset(filler, 'x', 999);
	for (size_t i = 0; i < 5000; i++)
		pv_str_addf(&text, "Package: p%zu\nFiller: %.*s\n%s", i, (int)(i % 700), filler,
			    i % 3 ? "\n" : "\n\n\n");
	assert_int_equal(pv_write_all(fd, text.data, text.len), 0);
	if (pv_deb822_each_file(path, check_numbered, &c, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(c.n, 5000);
	unlink(path);
	assert_int_equal(pv_deb822_each_file(path, check_numbered, &c, &err), -1);
	assert_int_equal(err.kind, PV_ERR_STAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cuts_fields),
		cmocka_unit_test(test_joins_continuations),
		cmocka_unit_test(test_get_ignores_case),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_callback_decides),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_file_in_chunks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
