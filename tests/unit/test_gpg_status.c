/* SPDX-License-Identifier: Apache-2.0 */
/* What gpgv's status lines prove, line by line: lines that a real gpgv prints only for keys nobody can make for a test. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "gpg_status.h"

#define A "F6ECB3762474EDA9D21B7022871920D1991BC93C"
#define B "790BC7277767219C42C86F933B4FE6ACC0B21F32"
#define STRANGER "0123456789ABCDEF0123456789ABCDEF01234567"
#define TAG "[GNUPG:] "
#define TEXT TAG "PLAINTEXT 74 0 \n"
#define GOOD TAG "GOODSIG 871920D1991BC93C Archive\n"
#define VALID(primary, hash, class) \
	TAG "VALIDSIG " primary " 2024-04-25 1714065600 0 4 0 1 " hash " " class " " primary "\n"
#define SIG(primary) TAG "NEWSIG\n" GOOD VALID(primary, "10", "01")

/* The key that was accepted, or NULL and the error. The caller frees. */
static char *judge(const char *lines, const struct pv_strv *trusted, struct pv_error *err)
{
	pv_autofree char *text = pv_xstrdup(lines), *fingerprint = NULL;

	if (pv_gpg_status_judge(text, strlen(text), trusted, "/the/keyring", &fingerprint, err) < 0)
		assert_null(fingerprint);
	return pv_steal(&fingerprint);
}

static void test_accepted(void **state)
{
	static const struct { const char *lines, *key; } rows[] = {
		{ TEXT SIG(A), A },
		{ SIG(A) TEXT, A },
		{ TEXT SIG(STRANGER) SIG(B), B },
		{ TEXT SIG(B) SIG(A), B },
		/* without NEWSIG, as old versions print it */
		{ TEXT GOOD VALID(A, "8", "00"), A },
		{ TEXT TAG "NEWSIG\n" TAG "ERRSIG 871920D1991BC93C 1 10 01 1714065600 9\n" SIG(A), A },
		{ TEXT TAG "NEWSIG\n" TAG "EXPKEYSIG 3B4FE6ACC0B21F32 x\n" VALID(B, "10", "01") SIG(A), A },
		{ "gpgv: no status line\n" TEXT TAG "SOMETHING new\n" SIG(A), A },
	};
	pv_autostrv trusted = PV_STRV_INIT;

	(void)state;
	pv_strv_add(&trusted, A);
	pv_strv_add(&trusted, B);
	for (size_t i = 0; i < PV_COUNT(rows); i++) {
		pv_autoerror err = PV_ERROR_INIT;
		pv_autofree char *key = judge(rows[i].lines, &trusted, &err);

		if (!key || strcmp(key, rows[i].key) != 0)
			fail_msg("row %zu: %s", i, key ? key : err.text);
	}
}

static void test_refused(void **state)
{
	static const struct { const char *lines, *words; } rows[] = {
		{ "", "changed after" },
		{ TEXT, "no signature" },
		{ SIG(A), "changed after" },			/* no text at all */
		{ TEXT TEXT SIG(A), "changed after" },		/* two texts: which one? */
		{ TEXT SIG(A) TAG "NEWSIG\n" TAG "BADSIG 3B4FE6ACC0B21F32 x\n", "changed after" },
		{ TEXT SIG(A) TAG "NODATA 4\n", "changed after" },
		{ TEXT SIG(STRANGER), STRANGER ", which the recipe's trusted-keys do not name" },
		{ TEXT TAG "NEWSIG\n" GOOD VALID(A, "2", "01"), "no signature" },	/* SHA-1 */
		{ TEXT TAG "NEWSIG\n" GOOD VALID(A, "10", "10"), "no signature" },	/* over a key */
		{ TEXT TAG "NEWSIG\n" VALID(A, "10", "01"), "no signature" },		/* not said to be good */
		{ TEXT TAG "NEWSIG\n" GOOD, "no signature" },
		{ TEXT TAG "NEWSIG\n" GOOD TAG "NEWSIG\n" VALID(A, "10", "01"), "no signature" },	/* of two */
		{ TEXT TAG "NEWSIG\n" GOOD VALID(A, "10", "01") VALID(B, "10", "01"), "no signature" },
		{ TEXT TAG "NEWSIG\n" GOOD TAG "VALIDSIG " A "\n", "no signature" },
		{ TEXT TAG "NEWSIG\n" GOOD VALID("f6ecb3762474eda9d21b7022871920d1991bc93c", "10", "01"), "no signature" },
		{ TEXT TAG "NEWSIG\n" TAG "REVKEYSIG 871920D1991BC93C x\n" GOOD VALID(A, "10", "01"), "expired or revoked" },
		{ TEXT TAG "NEWSIG\n" TAG "ERRSIG 871920D1991BC93C 1 10 01 1714065600 9 " A "\n",
		  "signed by key " A ", which is not in /the/keyring" },
		{ "x" TEXT SIG(A), "changed after" },		/* a line that only contains one */
	};
	pv_autostrv trusted = PV_STRV_INIT;

	(void)state;
	pv_strv_add(&trusted, A);
	pv_strv_add(&trusted, B);
	for (size_t i = 0; i < PV_COUNT(rows); i++) {
		pv_autoerror err = PV_ERROR_INIT;
		pv_autofree char *key = judge(rows[i].lines, &trusted, &err);

		if (key || err.kind != PV_ERR_ARCHIVE || !strstr(err.text, rows[i].words))
			fail_msg("row %zu: %s", i, key ? key : err.text);
	}
}

static void test_any_key_and_nul(void **state)
{
	char with_nul[] = TEXT SIG(STRANGER) "\0more";
	pv_autoerror err = PV_ERROR_INIT;
	pv_autofree char *key = judge(TEXT SIG(STRANGER), NULL, NULL), *none = NULL;

	(void)state;
	assert_string_equal(key, STRANGER);
	assert_int_equal(pv_gpg_status_judge(with_nul, sizeof(with_nul) - 1, NULL, "/k", &none, &err), -1);
	assert_non_null(strstr(err.text, "NUL"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_any_key_and_nul),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
