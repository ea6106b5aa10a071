/* SPDX-License-Identifier: Apache-2.0 */
/* URLs: what is accepted, how it is split, that a password is never shown. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "text.h"
#include "url.h"

static void test_good(void **state)
{
	static const char *const good[] = {
		"http://mirror.example/debian", "https://mirror.example:8443/a/b/", "HTTP://Mirror.Example",
		"http://10.0.0.1/x", "http://[2001:db8::1]:80/x", "file:///srv/mirror", "file:/srv/mirror",
		"http://user:pw@mirror.example/debian", "http://user@mirror.example/", "http://m/x%2By/~u/a+b",
	};

	(void)state;
	for (size_t i = 0; i < PV_COUNT(good); i++) {
		pv_autoerror err = PV_ERROR_INIT;

		if (pv_url_check(good[i], &err) < 0)
			fail_msg("%s: %s", good[i], err.text);
	}
}

static void test_bad(void **state)
{
	static const char *const bad[] = {
		"", "mirror.example/debian", "ftp://mirror.example/", "http:/mirror.example", "http://",
		"http:///x", "http://mirror.example/../x", "http://mirror.example/a/..",
		"http://mirror.example/%2e%2e/x", "http://mirror.example/%2fx", "http://mirror.example/%0a",
		"http://mirror.example/%", "http://mirror.example/%4", "http://mirror.example/a b",
		"http://mirror.example/a\tb", "http://mirror.example/a\nb", "http://mirror.example/\x80",
		"http://mirror.example/a\"b", "http://mirror.example/a'b", "http://mirror.example/a\\b",
		"http://mirror.example/a?b", "http://mirror.example/a#b", "http://mirror.example:0/",
		"http://mirror.example:65536/", "http://mirror.example:x/", "http://mirror.example:/",
		"http://-x/", "http://.x/", "http://a_b/", "http://[::1/", "http://[::1]x/", "http://[]/", "http://[.1]/",
		"http://:pw@mirror.example/", "http://u%00:pw@mirror.example/", "http://u%4:p@m/",
		"file://host/srv", "file:srv", "file://", "file:///srv/../etc", "javascript:alert(1)",
		"http://a@b@mirror.example/",
	};

	(void)state;
	for (size_t i = 0; i < PV_COUNT(bad); i++) {
		pv_autoerror err = PV_ERROR_INIT;

		if (pv_url_check(bad[i], &err) == 0)
			fail_msg("accepted: %s", bad[i]);
		assert_int_equal(err.kind, PV_ERR_USAGE);
		assert_null(strchr(err.text, '\n'));
	}
}

static void test_too_long(void **state)
{
	pv_autostr s = PV_STR_INIT;

	(void)state;
	pv_str_add(&s, "http://mirror.example/");
	while (s.len < PV_URL_MAX)
		pv_str_addc(&s, 'a');
	assert_int_equal(pv_url_check(s.data, NULL), 0);
	pv_str_addc(&s, 'a');
	assert_int_equal(pv_url_check(s.data, NULL), -1);
}

static void test_split(void **state)
{
	pv_autourl url = { 0 };

	(void)state;
	assert_int_equal(pv_url_split("HTTPS://us%20er:p%40ss%3Aw@Mirror.Example:8443/a/b", &url, NULL), 0);
	assert_string_equal(url.scheme, "https");
	assert_string_equal(url.user, "us er");
	assert_string_equal(url.password, "p@ss:w");
	assert_string_equal(url.host, "mirror.example");
	assert_string_equal(url.port, "8443");
	assert_string_equal(url.path, "/a/b");
	pv_url_done(&url);
	assert_int_equal(pv_url_split("http://u:@m", &url, NULL), 0);
	assert_string_equal(url.user, "u");
	assert_string_equal(url.password, "");
	assert_string_equal(url.path, "");
	pv_url_done(&url);
	assert_int_equal(pv_url_split("file:/srv/x", &url, NULL), 0);
	assert_string_equal(url.host, "");
	assert_string_equal(url.path, "/srv/x");
}

/* Whatever the text, the secret does not come out. */
static void test_redacted(void **state)
{
	static const char *const texts[] = {
		"http://user:SECRET@mirror.example/debian", "http://user:SEC@SECRET@mirror.example/debian",
		"http://user:SECRET/x@mirror.example/debian", "http://user:a/SECRET@mirror.example",
		"user:SECRET@mirror.example", "ftp://SECRET@mirror.example", "http://u:SECRET?@mirror.example/",
		"http://u:SECRET#@mirror.example/", "http://u:SECRET\n@mirror.example/",
	};

	(void)state;
	for (size_t i = 0; i < PV_COUNT(texts); i++) {
		pv_autofree char *shown = pv_url_redacted(texts[i]);
		pv_autoerror err = PV_ERROR_INIT;

		if (strstr(shown, "SEC") || !strstr(shown, "mirror.example"))
			fail_msg("%s is shown as %s", texts[i], shown);
		if (pv_url_check(texts[i], &err) < 0 && strstr(err.text, "SEC"))
			fail_msg("%s: %s", texts[i], err.text);
	}
	pv_autofree char *plain = pv_url_redacted("http://mirror.example/a@b");
	assert_string_equal(plain, "http://mirror.example/a@b");
}

static void test_bare_and_join(void **state)
{
	pv_autofree char *bare = pv_url_bare("http://u:p@[2001:db8::1]:81/x/");
	pv_autofree char *none = pv_url_bare("http://x/../y");
	pv_autofree char *joined = pv_url_join("http://m/debian//", "/dists/x");

	(void)state;
	assert_string_equal(bare, "http://[2001:db8::1]:81/x/");
	assert_null(none);
	assert_string_equal(joined, "http://m/debian/dists/x");
	assert_true(pv_url_same_site("http://u:p@M/x", "http://m:80/y"));
	assert_false(pv_url_same_site("http://m/x", "https://m/x"));
	assert_false(pv_url_same_site("http://m/x", "http://m:81/x"));
	assert_false(pv_url_same_site("http://m/x", "nonsense"));
}

static void test_paths(void **state)
{
	static const char *const good[] = {
		"pool/main/a/apt/apt_2.6.1_amd64.deb", "a", "pool/g++_1%3a2~rc1-1+b1_amd64.deb", "..a/b", "a/...",
		"dists/x/main/binary-amd64/by-hash/SHA256/00ff",
	};
	static const char *const bad[] = {
		"", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a/.", "a b", "a\nb", "a\\b", "a\"b", "a'b",
		"a\x80", "a?b", "a#b", "a&b", "a;b", "$a", "a|b", "~a/..",
	};
	pv_autostr s = PV_STR_INIT;

	(void)state;
	for (size_t i = 0; i < PV_COUNT(good); i++)
		if (!pv_url_path_ok(good[i]))
			fail_msg("refused: %s", good[i]);
	for (size_t i = 0; i < PV_COUNT(bad); i++)
		if (pv_url_path_ok(bad[i]))
			fail_msg("accepted: %s", bad[i]);
	assert_false(pv_url_path_ok(NULL));
	while (s.len < 255)
		pv_str_addc(&s, 'a');
	assert_true(pv_url_path_ok(s.data));
	pv_str_addc(&s, 'a');
	assert_false(pv_url_path_ok(s.data));
}

static void test_loopback(void **state)
{
	static const char *const own[] = { "127.0.0.1", "127.255.0.9", "::1", "[::1]", "localhost" };
	static const char *const foreign[] = { "", "126.0.0.1", "128.0.0.1", "127.1", "127.0.0.1.example", "localhost.example",
					       "0.0.0.0", "::", "[::2]", "::ffff:127.0.0.1" };

	(void)state;
	for (size_t i = 0; i < PV_COUNT(own); i++)
		assert_true(pv_url_loopback(own[i]));
	for (size_t i = 0; i < PV_COUNT(foreign); i++)
		assert_false(pv_url_loopback(foreign[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good), cmocka_unit_test(test_bad), cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_split), cmocka_unit_test(test_redacted),
		cmocka_unit_test(test_bare_and_join), cmocka_unit_test(test_paths),
		cmocka_unit_test(test_loopback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
