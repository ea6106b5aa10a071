/* SPDX-License-Identifier: Apache-2.0 */
/* The table of keys: its order, its look-ups, and single values at their borders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "recipe_keys.h"

static bool ok(const char *name, const char *value)
{
	pv_autostr why = PV_STR_INIT;
	const struct pv_recipe_key *key = pv_recipe_key_find(name);

	assert_non_null(key);
	bool fine = pv_recipe_value_ok(key, value, &why);

	/* Words exactly when refused. */
	assert_int_equal(why.len == 0, fine);
	return fine;
}

static void test_table(void **state)
{
	const struct pv_recipe_key *keys = pv_recipe_keys();

	(void)state;
	for (size_t i = 0; i < PV_RECIPE_KEYS; i++) {
		assert_ptr_equal(pv_recipe_key_find(keys[i].name), &keys[i]);
		assert_false(pv_recipe_section(keys[i].name));
		if (keys[i].type == PV_KEY_SWITCH) {
			assert_true(pv_starts(keys[i].name, "options."));
			assert_string_equal(keys[i].fallback, "false"); /* off unless measured */
		}
		if (keys[i].type == PV_KEY_SIZE || keys[i].type == PV_KEY_COUNT)
			assert_true(keys[i].min > 0 && keys[i].min < keys[i].max);
	}
	assert_null(pv_recipe_key_find("flavor"));
	assert_null(pv_recipe_key_find("memory"));
	assert_null(pv_recipe_key_find(""));
	assert_true(pv_recipe_section("flavor"));
	assert_true(pv_recipe_section("options"));
	assert_false(pv_recipe_section("flav"));
	assert_false(pv_recipe_section(""));
	assert_false(pv_recipe_section("suite"));
}

/* The rows of one section stand together: libcyaml's schema is made in one pass. */
static void test_sections_together(void **state)
{
	pv_autostrv left = PV_STRV_INIT;
	const char *last = "";
	size_t last_len = 0;

	(void)state;
	for (size_t i = 0; i < PV_RECIPE_KEYS; i++) {
		const char *name = pv_recipe_keys()[i].name;
		size_t len = strchr(name, '.') ? strcspn(name, ".") : 0;
		pv_autofree char *section = pv_xstrndup(name, len);

		if (len != last_len || strncmp(last, name, len) != 0) {
			assert_false(len && pv_strv_has(&left, section));
			pv_strv_take(&left, pv_xstrndup(last, last_len));
		}
		last = name;
		last_len = len;
	}
}

static void test_nearest(void **state)
{
	(void)state;
	pv_autofree char *top = pv_recipe_key_nearest("", "overlay");
	pv_autofree char *section = pv_recipe_key_nearest("", "flavour");
	pv_autofree char *below = pv_recipe_key_nearest("flavor", "cpus");
	pv_autofree char *whole = pv_recipe_key_nearest(NULL, "flavor.cpus");
	pv_autofree char *none = pv_recipe_key_nearest("", "qqqqqqqqqq");
	/* "memory" is no key of the top. */
	pv_autofree char *apart = pv_recipe_key_nearest("", "memory");

	assert_string_equal(top, "overlays");
	assert_string_equal(section, "flavor");
	assert_string_equal(below, "vcpus");
	assert_string_equal(whole, "flavor.vcpus");
	assert_null(none);
	assert_null(apart);
}

static void test_borders(void **state)
{
	char long_name[66];

	(void)state;
	assert_true(ok("flavor.memory", "512MiB") && ok("flavor.memory", "64GiB"));
	assert_false(ok("flavor.memory", "511MiB") || ok("flavor.memory", "65537MiB"));
	assert_true(ok("flavor.memory", "536870912"));
	assert_false(ok("flavor.memory", "536870913"));
	assert_true(ok("flavor.disk", "1GiB") && ok("flavor.disk", "2TiB"));
	assert_false(ok("flavor.disk", "1023MiB") || ok("flavor.disk", "2049GiB"));
	assert_true(ok("flavor.vcpus", "1") && ok("flavor.vcpus", "64"));
	assert_false(ok("flavor.vcpus", "0") || ok("flavor.vcpus", "65") ||
		     ok("flavor.vcpus", "+1"));

	memset(long_name, 'a', sizeof(long_name));
	long_name[64] = '\0';
	assert_true(pv_recipe_name_ok(long_name));
	assert_false(ok("hostname", long_name));
	long_name[64] = 'a';
	long_name[65] = '\0';
	assert_false(pv_recipe_name_ok(long_name));
	long_name[63] = '\0';
	assert_true(ok("hostname", long_name));
	assert_true(ok("kind", "image") && ok("kind", "dom0"));
	assert_false(ok("kind", "domU") || ok("kind", "Image"));
	assert_true(ok("hostname", "a") && ok("hostname", "web-1"));
	assert_false(ok("hostname", "web-") || ok("hostname", "a.b") || ok("hostname", "Web"));
}

static void test_words(void **state)
{
	(void)state;
	assert_true(ok("packages", "g++") && ok("packages", "libstdc++6") && ok("packages", "0ad"));
	assert_false(ok("packages", "-f") || ok("packages", "a:i386") || ok("packages", "a b") ||
		     ok("packages", "x"));
	assert_false(ok("overlays", "..") || ok("overlays", "a/b") || ok("overlays", "-a"));
	assert_true(ok("components", "non-free-firmware"));
	assert_true(ok("trusted-keys", "F6ECB3762474EDA9D21B7022871920D1991BC93C"));
	assert_false(ok("trusted-keys", "F6ECB3762474EDA9D21B7022871920D1991BC93"));
	assert_false(ok("trusted-keys", "F6ECB3762474EDA9D21B7022871920D1991BC93CA"));
	assert_true(ok("keyring", "/a b/\"c\".gpg"));
	assert_false(ok("keyring", "a.gpg") || ok("keyring", "/a\n"));
	assert_false(pv_recipe_name_ok("") || pv_recipe_name_ok(".a") || pv_recipe_name_ok("a/b"));
}

static void test_urls(void **state)
{
	(void)state;
	assert_true(ok("mirror", "http://u:p@[::1]:8080/ubuntu") &&
		    ok("mirror", "file:///srv/mirror"));
	assert_false(ok("mirror", "mirror.example/ubuntu") || ok("mirror", "http:///ubuntu"));
	assert_true(ok("security", "auto") && ok("security", "none") &&
		    ok("security", "https://m.example/s"));
	assert_false(ok("security", "Auto") || ok("security", "gopher://m.example/"));
	assert_true(ok("image-mirror", "http://m.example/ubuntu"));
	assert_false(ok("image-mirror", "file:///srv/mirror") ||
		     ok("image-mirror", "http://u@m.example/ubuntu"));
}

static void test_size_hints(void **state)
{
	static const char *const hinted[][2] = {
		{ "4GB", "4GiB" },     { "4G", "4GiB" },    { "512M", "512MiB" },
		{ "512mb", "512MiB" }, { "4 GiB", "4GiB" }, { "2gib", "2GiB" },
		{ "1t", "1TiB" },
	};
	static const char *const plain[] = {
		"GiB", "four", "0GiB0", "-1GiB", "1.5GiB", "999999999G"
	};
	const struct pv_recipe_key *key = pv_recipe_key_find("flavor.memory");

	(void)state;
	for (size_t i = 0; i < PV_COUNT(hinted); i++) {
		pv_autostr why = PV_STR_INIT;
		pv_autofree char *want = pv_fmt("is no size; did you mean \"%s\"?", hinted[i][1]);

		assert_false(pv_recipe_value_ok(key, hinted[i][0], &why));
		assert_string_equal(pv_str_text(&why), want);
	}
	for (size_t i = 0; i < PV_COUNT(plain); i++) {
		pv_autostr why = PV_STR_INIT;

		assert_false(pv_recipe_value_ok(key, plain[i], &why));
		assert_null(strstr(pv_str_text(&why), "did you mean"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),      cmocka_unit_test(test_sections_together),
		cmocka_unit_test(test_nearest),    cmocka_unit_test(test_borders),
		cmocka_unit_test(test_words),      cmocka_unit_test(test_urls),
		cmocka_unit_test(test_size_hints),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
