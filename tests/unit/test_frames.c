/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's report in frames: whole in any order and among other words, damage noticed, bounds held. */
#include "check.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "frames.h"
#include "text.h"

/* A literal and its length; a NUL may be in it. */
#define TEXT(literal) (literal), sizeof(literal) - 1

#define NONCE "00112233445566778899aabbccddeeff"

/* Made with cksum(1), gzip(1) and base64(1) from "guest_type=HVM\nunit.getty@tty1.service=1,2\n". */
static const char *const foreign[] = {
	"PVIMG " NONCE " 0 2 3245847086 H4sIAAAAAAACA0svTS0uiS+pLEi19Qjz5SrNyyzRS0",
	"PVIMG " NONCE " 1 2 98069463 8tKal0AGJDveLUorLM5FRbQx0jLgAJ/54AKwAAAA==",
};

static uint32_t crc_byte(uint32_t crc, unsigned byte)
{
	for (crc ^= (uint32_t)byte << 24, byte = 0; byte < 8; byte++)
		crc = crc & 0x80000000u ? crc << 1 ^ 0x04c11db7u : crc << 1;
	return crc;
}

static uint32_t cksum(const char *text)
{
	uint32_t crc = 0;

	for (const char *p = text; *p; p++)
		crc = crc_byte(crc, (unsigned char)*p);
	for (size_t len = strlen(text); len; len >>= 8)
		crc = crc_byte(crc, len & 0xff);
	return ~crc;
}

static char *frame(unsigned index, unsigned count, const char *payload)
{
	pv_autofree char *body = pv_fmt("%u %u %s", index, count, payload);

	return pv_fmt("PVIMG " NONCE " %u %u %u %s", index, count, cksum(body), payload);
}

static char *base64(const unsigned char *data, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	struct pv_str text = PV_STR_INIT;

	for (size_t i = 0; i < len; i += 3) {
		unsigned bits = (unsigned)data[i] << 16 | (i + 1 < len ? (unsigned)data[i + 1] << 8 : 0) |
				(i + 2 < len ? data[i + 2] : 0u);
		pv_str_addc(&text, digits[bits >> 18]);
		pv_str_addc(&text, digits[bits >> 12 & 63]);
		pv_str_addc(&text, i + 1 < len ? digits[bits >> 6 & 63] : '=');
		pv_str_addc(&text, i + 2 < len ? digits[bits & 63] : '=');
	}
	return pv_str_steal(&text);
}

/* gzip, then base64, `more` bytes of rubbish behind the gzip member. */
static char *pack(const char *text, size_t len, size_t more)
{
	size_t cap = len + 1000 + more;
	pv_autofree unsigned char *out = pv_xcalloc(1, cap);
	z_stream z = { .next_in = (Bytef *)(uintptr_t)text, .avail_in = (uInt)len, .next_out = out, .avail_out = (uInt)cap };

	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	size_t n = cap - z.avail_out;
	deflateEnd(&z);
	return base64(out, n + more);
}

/* One frame with all of it: the report, or the error's words (the caller frees), checked to be one line. */
static char *report_of(const char *payload, struct pv_vars *vars)
{
	pv_autoframes *f = pv_frames_new(NONCE);
	pv_autofree char *line = frame(0, 1, payload);
	pv_autoerror err = PV_ERROR_INIT;

	assert_true(pv_frames_line(f, line));
	assert_true(pv_frames_complete(f));
	if (pv_frames_report(f, vars, &err) == 0)
		return NULL;
	assert_int_equal(err.kind, PV_ERR_STAGE);
	assert_null(strchr(err.text, '\n'));
	return pv_xstrdup(err.text);
}

static void expect_bad(const char *text, size_t len, size_t more, const char *words)
{
	struct pv_vars vars = { 0 };
	pv_autofree char *payload = pack(text, len, more);
	pv_autofree char *why = report_of(payload, &vars);

	assert_non_null(why);
	if (!strstr(why, words))
		fail_msg("'%s' does not say '%s'", why, words);
	assert_int_equal(vars.n, 0);
}

static void test_others_words(void **state)
{
	pv_autoframes *f = pv_frames_new(NONCE);

	(void)state;
	assert_false(pv_frames_line(f, "[    0.000000] Linux version 6.1.0"));
	assert_false(pv_frames_line(f, "PVIMG 00 0 1 1 AAAA"));
	assert_false(pv_frames_line(f, "PVIMG " NONCE));
	assert_false(pv_frames_line(f, ""));
	/* ours but damaged: no console line, and no harm */
	assert_true(pv_frames_line(f, "PVIMG " NONCE " 0 1 [   12.3] random: crng init done"));
	assert_true(pv_frames_line(f, "PVIMG " NONCE " "));
	assert_false(pv_frames_complete(f));
	assert_int_equal(pv_frames_report(f, &(struct pv_vars){ 0 }, NULL), -1);
}

static void test_whole(void **state)
{
	pv_autofree char *payload = pack(TEXT("guest_type=HVM\nempty=\nunit.a@b.service=1,2\nx=a=b\nx=c"), 0);
	size_t n = (strlen(payload) + 6) / 7;
	pv_autoframes *f = pv_frames_new(NONCE);
	struct pv_vars vars = { 0 };
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	/* last first, each twice, behind a login prompt, with the terminal's carriage return */
	for (size_t i = n; i-- > 0;) {
		pv_autofree char *part = pv_xstrndup(payload + 7 * i, 7);
		pv_autofree char *line = frame((unsigned)i, (unsigned)n, part);
		pv_autofree char *shown = pv_fmt("pvimg login: %s\r", line);
		assert_false(pv_frames_complete(f));
		assert_true(pv_frames_line(f, shown));
		assert_true(pv_frames_line(f, line));
	}
	assert_true(pv_frames_complete(f));
	assert_int_equal(pv_frames_report(f, &vars, &err), 0);
	assert_int_equal(vars.n, 4);
	assert_string_equal(pv_vars_get(&vars, "guest_type"), "HVM");
	assert_string_equal(pv_vars_get(&vars, "empty"), "");
	assert_string_equal(pv_vars_get(&vars, "unit.a@b.service"), "1,2");
	assert_string_equal(pv_vars_get(&vars, "x"), "c");
	pv_vars_done(&vars);
}

static void test_foreign_tools(void **state)
{
	pv_autoframes *f = pv_frames_new(NONCE);
	struct pv_vars vars = { 0 };

	(void)state;
	for (size_t i = 0; i < PV_COUNT(foreign); i++)
		assert_true(pv_frames_line(f, foreign[i]));
	assert_true(pv_frames_complete(f));
	assert_int_equal(pv_frames_report(f, &vars, NULL), 0);
	assert_string_equal(pv_vars_get(&vars, "guest_type"), "HVM");
	pv_vars_done(&vars);
}

static void test_damaged_frames(void **state)
{
	pv_autofree char *good = frame(0, 2, "AAAA");
	pv_autoframes *f = pv_frames_new(NONCE);

	(void)state;
	/* one character changed anywhere behind the nonce: not taken */
	for (size_t i = strlen("PVIMG " NONCE " "); good[i]; i++) {
		pv_autofree char *bad = pv_xstrdup(good);
		bad[i] = bad[i] == '1' ? '2' : '1';
		assert_true(pv_frames_line(f, bad));
	}
	pv_autofree char *second = frame(1, 2, "AAAA");
	pv_autofree char *other_count = frame(0, 3, "AAAA");
	pv_autofree char *beyond = frame(2, 2, "AAAA");
	pv_autofree char *many = frame(0, PV_FRAMES_MAX + 1, "AAAA");
	pv_autofree char *none = frame(0, 0, "AAAA");
	assert_true(pv_frames_line(f, many));
	assert_true(pv_frames_line(f, none));
	assert_true(pv_frames_line(f, second));
	assert_true(pv_frames_line(f, other_count));
	assert_true(pv_frames_line(f, beyond));
	assert_false(pv_frames_complete(f));
	assert_true(pv_frames_line(f, good));
	assert_true(pv_frames_complete(f));
}

static void test_damaged_reports(void **state)
{
	static const char *const no_base64[] = { "AAA", "AAAAA", "A===", "AA=A", "AB==", "AAB=", "AA-A", "====" };
	struct pv_vars vars = { 0 };

	(void)state;
	for (size_t i = 0; i < PV_COUNT(no_base64); i++) {
		pv_autofree char *why = report_of(no_base64[i], &vars);
		assert_non_null(why);
		assert_non_null(strstr(why, "no base64"));
	}
	pv_autofree char *why = report_of("AAAA", &vars);
	assert_non_null(why);
	assert_non_null(strstr(why, "no gzip"));
	expect_bad(TEXT("a=1\n"), 3, "no gzip");
	expect_bad(TEXT("a=1\n\0b=2\n"), 0, "no gzip");
	expect_bad(TEXT(""), 0, "empty");
	expect_bad(TEXT("a=1\nno value\n"), 0, "line 2 is no name=value");
	expect_bad(TEXT("A=1\n"), 0, "line 1");
	expect_bad(TEXT("=1\n"), 0, "line 1");
	expect_bad(TEXT("a b=1\n"), 0, "line 1");
	expect_bad(TEXT("\x1b[2J\n"), 0, "line 1");
	assert_int_equal(vars.n, 0);
}

static void test_bounds(void **state)
{
	pv_autostr text = PV_STR_INIT;
	struct pv_vars vars = { 0 };

	(void)state;
	for (size_t i = 0; i < PV_FRAMES_NAMES_MAX; i++)
		pv_str_addf(&text, "n%zu=\n", i);
	pv_autofree char *most = pack(text.data, text.len, 0);
	assert_null(report_of(most, &vars));
	assert_int_equal(vars.n, PV_FRAMES_NAMES_MAX);
	pv_vars_done(&vars);
	pv_str_add(&text, "n0=\n");
	expect_bad(text.data, text.len, 0, "is no name=value");

	/* a small gzip that grows large */
	pv_str_reset(&text);
	pv_str_add(&text, "a=");
	while (text.len < PV_FRAMES_TEXT_MAX)
		pv_str_addc(&text, 'x');
	pv_autofree char *large = pack(text.data, text.len, 0);
	assert_null(report_of(large, &vars));
	pv_vars_done(&vars);
	pv_str_addc(&text, 'x');
	expect_bad(text.data, text.len, 0, "no gzip of at most");
}

static void test_printable(void **state)
{
	struct pv_vars vars = { 0 };
	pv_autofree char *payload = pack(TEXT("a=\x1b[2J\x01 \xff.\n"), 0);

	(void)state;
	assert_null(report_of(payload, &vars));
	assert_string_equal(pv_vars_get(&vars, "a"), "?[2J? ?.");
	pv_vars_done(&vars);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_others_words),
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_foreign_tools),
		cmocka_unit_test(test_damaged_frames),
		cmocka_unit_test(test_damaged_reports),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_printable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
