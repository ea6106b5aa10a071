/* SPDX-License-Identifier: Apache-2.0 */
/* Strings, vectors, numbers, sizes, nearest words, printable lines. */
#include "check.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "text.h"

static void test_dup(void **state)
{
	pv_autofree char *a = pv_xstrdup("abc"), *b = pv_xstrndup("abcdef", 3), *c = pv_xstrdup(NULL);

	(void)state;
	assert_string_equal(a, "abc");
	assert_string_equal(b, "abc");
	assert_null(c);
}

static void test_steal_leaves_null(void **state)
{
	char *a = pv_xstrdup("x");
	pv_autofree char *b = pv_steal(&a);

	(void)state;
	assert_null(a);
	assert_string_equal(b, "x");
}

/* In a child: it ends. */
static void test_out_of_memory_ends_with_one_line(void **state)
{
	char words[64] = "";
	int fds[2], status;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(fds[1], STDERR_FILENO);
		free(pv_xreallocarray(NULL, SIZE_MAX / 2, 4));
		_exit(0);
	}
	close(fds[1]);
	assert_true(read(fds[0], words, sizeof(words) - 1) > 0);
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
	assert_string_equal(words, "pvimg: out of memory\n");
}

static void test_str_grows(void **state)
{
	pv_autostr s = PV_STR_INIT;

	(void)state;
	assert_string_equal(pv_str_text(&s), "");
	for (int i = 0; i < 1000; i++)
		pv_str_addc(&s, (char)('a' + i % 26));
	assert_int_equal(s.len, 1000);
	assert_int_equal(strlen(s.data), 1000);
	pv_str_reset(&s);
	assert_string_equal(pv_str_text(&s), "");
	pv_str_addf(&s, "%d-%s", 5, "x");
	pv_str_add(&s, "!");
	pv_str_addn(&s, "\0z", 2);
	assert_int_equal(s.len, 6);
	assert_memory_equal(s.data, "5-x!\0z", 7);
}

static void test_str_steal(void **state)
{
	struct pv_str s = PV_STR_INIT;
	pv_autofree char *empty = pv_str_steal(&s);
	pv_autofree char *full = NULL;

	(void)state;
	assert_string_equal(empty, "");
	pv_str_add(&s, "abc");
	full = pv_str_steal(&s);
	assert_string_equal(full, "abc");
	assert_null(s.data);
	pv_str_done(&s);
	pv_str_done(&s);
}

static void test_str_boundary(void **state)
{
	(void)state;
	/* every length around the first capacities keeps its NUL */
	for (size_t n = 0; n < 140; n++) {
		pv_autostr s = PV_STR_INIT;
		pv_autofree char *text = pv_xcalloc(n + 1, 1);

		memset(text, 'x', n);
		pv_str_add(&s, text);
		pv_str_addc(&s, 'y');
		assert_int_equal(strlen(s.data), n + 1);
		assert_true(s.cap > s.len);
	}
}

static void test_strv(void **state)
{
	static const char *const more[] = { "b", "a", "b", NULL };
	pv_autostrv sv = PV_STRV_INIT;
	pv_autofree char *joined = NULL, *none = NULL;
	pv_autostrv empty = PV_STRV_INIT;

	(void)state;
	pv_strv_add(&sv, "c");
	pv_strv_add_all(&sv, more);
	pv_strv_addf(&sv, "%d", 1);
	pv_strv_take(&sv, pv_xstrdup("c"));
	assert_int_equal(sv.n, 6);
	assert_null(sv.v[6]);
	assert_true(pv_strv_has(&sv, "a"));
	assert_false(pv_strv_has(&sv, "d"));
	pv_strv_sort(&sv);
	pv_strv_uniq(&sv);
	joined = pv_strv_join(&sv, ", ");
	assert_string_equal(joined, "1, a, b, c");
	assert_null(sv.v[sv.n]);
	none = pv_strv_join(&empty, ",");
	assert_string_equal(none, "");
	pv_strv_sort(&empty);
	pv_strv_uniq(&empty);
	pv_strv_add_all(&empty, NULL);
	assert_int_equal(empty.n, 0);
}

static void test_strv_many(void **state)
{
	pv_autostrv sv = PV_STRV_INIT;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		pv_strv_addf(&sv, "%04d", 999 - i);
		assert_null(sv.v[sv.n]);
	}
	pv_strv_sort(&sv);
	assert_string_equal(sv.v[0], "0000");
	assert_string_equal(sv.v[999], "0999");
}

static void test_compare(void **state)
{
	(void)state;
	assert_true(pv_streq(NULL, NULL));
	assert_false(pv_streq(NULL, ""));
	assert_false(pv_streq("", NULL));
	assert_true(pv_streq("a", "a"));
	assert_true(pv_starts("abc", "ab"));
	assert_true(pv_starts("abc", ""));
	assert_false(pv_starts("a", "ab"));
	assert_true(pv_ends("abc", "bc"));
	assert_false(pv_ends("c", "bc"));
	assert_true(pv_ends("c", ""));
}

static void test_parse_u64(void **state)
{
	static const char *const bad[] = {
		"", " 1", "1 ", "+1", "-1", "01", "00", "0x10", "1.0", "1e3", "12abc", "18446744073709551616",
		"99999999999999999999999", "\xd9\xa1", NULL,
	};
	uint64_t v = 77;

	(void)state;
	for (size_t i = 0; bad[i]; i++)
		assert_int_equal(pv_parse_u64(bad[i], 0, UINT64_MAX, &v), -1);
	assert_int_equal(pv_parse_u64(NULL, 0, 1, &v), -1);
	assert_int_equal(pv_parse_u64("9", 10, 20, &v), -1);
	assert_int_equal(pv_parse_u64("21", 10, 20, &v), -1);
	assert_int_equal(v, 77);
	assert_int_equal(pv_parse_u64("0", 0, 20, &v), 0);
	assert_int_equal(v, 0);
	assert_int_equal(pv_parse_u64("20", 10, 20, &v), 0);
	assert_int_equal(v, 20);
	assert_int_equal(pv_parse_u64("18446744073709551615", 0, UINT64_MAX, &v), 0);
	assert_true(v == UINT64_MAX);
}

static void test_parse_size(void **state)
{
	static const char *const bad[] = {
		"", "GiB", "1.5GiB", "1 GiB", "1GB", "1G", "1gib", "-1GiB", "01GiB", "1GiBx", "16777216TiB",
		"18446744073709551616", NULL,
	};
	uint64_t v = 77;

	(void)state;
	for (size_t i = 0; bad[i]; i++)
		assert_int_equal(pv_parse_size(bad[i], &v), -1);
	assert_int_equal(pv_parse_size(NULL, &v), -1);
	assert_int_equal(v, 77);
	assert_int_equal(pv_parse_size("512MiB", &v), 0);
	assert_true(v == 512ULL << 20);
	assert_int_equal(pv_parse_size("2GiB", &v), 0);
	assert_true(v == 2ULL << 30);
	assert_int_equal(pv_parse_size("3KiB", &v), 0);
	assert_true(v == 3072);
	assert_int_equal(pv_parse_size("16777215TiB", &v), 0);
	assert_true(v == 16777215ULL << 40);
	assert_int_equal(pv_parse_size("17", &v), 0);
	assert_true(v == 17);
}

static void check_size_text(uint64_t bytes, const char *expected)
{
	pv_autofree char *text = pv_size_text(bytes);

	assert_string_equal(text, expected);
}

static void test_size_text(void **state)
{
	(void)state;
	check_size_text(0, "0 B");
	check_size_text(17, "17 B");
	check_size_text(1023, "1023 B");
	check_size_text(1024, "1 KiB");
	check_size_text(1536, "1.5 KiB");
	check_size_text(312ULL << 20, "312 MiB");
	check_size_text(2ULL << 30, "2 GiB");
	check_size_text((1ULL << 30) * 14 / 10, "1.4 GiB");
	check_size_text((1ULL << 20) - 1, "1 MiB");
	check_size_text(10 * 1024 - 1, "10 KiB");
	check_size_text(UINT64_MAX, "16777216 TiB");
}

static void test_nearest(void **state)
{
	static const char *const list[] = { "suite", "flavor", "packages", "overlays", "memory", NULL };

	(void)state;
	assert_string_equal(pv_nearest("siute", list), "suite");
	assert_string_equal(pv_nearest("flavour", list), "flavor");
	assert_string_equal(pv_nearest("packagse", list), "packages");
	assert_string_equal(pv_nearest("suite", list), "suite");
	assert_null(pv_nearest("", list));
	assert_null(pv_nearest("zz", list));
	assert_null(pv_nearest("completely-other", list));
	assert_null(pv_nearest("x", (const char *const[]){ NULL }));
	assert_null(pv_nearest("x", NULL));
	assert_null(pv_nearest("an-endless-word-an-endless-word-an-endless-word-an-endless-word-an-endless", list));
}

static void check_printable(const char *text, size_t len, const char *expected)
{
	pv_autofree char *clean = pv_printable(text, len);

	assert_string_equal(clean, expected);
}

static void test_printable(void **state)
{
	(void)state;
	check_printable("plain", 5, "plain");
	check_printable("", 0, "");
	check_printable("a\0b", 3, "a?b");
	check_printable("\033[2J\r\n", 6, "?[2J??");
	check_printable("a\tb", 3, "a b");
	check_printable("\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xa7", 9, "\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xa7");
	check_printable("\xc3", 1, "?");			/* cut off */
	check_printable("\xc0\xaf", 2, "??");			/* overlong */
	check_printable("\xe0\x80\xaf", 3, "???");		/* overlong */
	check_printable("\xed\xa0\x80", 3, "???");		/* surrogate */
	check_printable("\xf4\x90\x80\x80", 4, "????");		/* past U+10FFFF */
	check_printable("\xff\xfe", 2, "??");
	check_printable("\xc2\x9b" "2J", 4, "?2J");		/* C1 control: CSI */
	check_printable("\xe2\x80\xae" "x", 4, "?x");		/* right-to-left override */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dup),
		cmocka_unit_test(test_steal_leaves_null),
		cmocka_unit_test(test_out_of_memory_ends_with_one_line),
		cmocka_unit_test(test_str_grows),
		cmocka_unit_test(test_str_steal),
		cmocka_unit_test(test_str_boundary),
		cmocka_unit_test(test_strv),
		cmocka_unit_test(test_strv_many),
		cmocka_unit_test(test_compare),
		cmocka_unit_test(test_parse_u64),
		cmocka_unit_test(test_parse_size),
		cmocka_unit_test(test_size_text),
		cmocka_unit_test(test_nearest),
		cmocka_unit_test(test_printable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
