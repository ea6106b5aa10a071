/* SPDX-License-Identifier: Apache-2.0 */
/* A Release file is read strictly and must be the one that was asked for. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "release.h"

#define H1 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define H2 "a8ed68071e02b40b231febcafb3f55aaa8ed68071e02b40b231febcafb3f55aa"
#define NOON 1783771200		/* 2026-07-11 12:00 UTC */

static const char debian[] =
	"Origin: Debian\nLabel: Debian\nSuite: oldstable\nVersion: 12.15\nCodename: bookworm\n"
	"Date: Sat, 11 Jul 2026 10:16:37 UTC\nAcquire-By-Hash: yes\n"
	"Architectures: all amd64 arm64\nComponents: main contrib\nMD5Sum:\n 00 1 x\nSHA256:\n"
	" " H2 " 50060337 main/binary-amd64/Packages\n"
	" " H1 "        0 contrib/Contents-amd64\n";

static void parse(const char *text, struct pv_release *ret)
{
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_release_parse(text, strlen(text), ret, &err) < 0)
		fail_msg("%s", err.text);
}

static void refused(const char *text, const char *words)
{
	pv_autorelease r = { 0 };
	pv_autoerror err = PV_ERROR_INIT;

	assert_int_equal(pv_release_parse(text, strlen(text), &r, &err), -1);
	assert_int_equal(err.kind, PV_ERR_ARCHIVE);
	if (!strstr(err.text, words))
		fail_msg("\"%s\" lacks \"%s\"", err.text, words);
	assert_null(r.entries);
}

static void test_parses(void **state)
{
	pv_autorelease r = { 0 };
	const struct pv_release_entry *e;

	(void)state;
	parse(debian, &r);
	assert_string_equal(r.origin, "Debian");
	assert_string_equal(r.suite, "oldstable");
	assert_string_equal(r.codename, "bookworm");
	assert_string_equal(r.version, "12.15");
	assert_int_equal(r.date, 1783764997);
	assert_int_equal(r.valid_until, 0);
	assert_true(r.by_hash);
	assert_false(r.stand_in);
	assert_int_equal(r.architectures.n, 3);
	assert_int_equal(r.nentries, 2);
	e = pv_release_find(&r, "main/binary-amd64/Packages");
	assert_non_null(e);
	assert_int_equal(e->size, 50060337);
	assert_string_equal(e->sha256, H2);
	assert_null(pv_release_find(&r, "main/binary-amd64/Packages.xz"));
}

static void test_stand_in(void **state)
{
	pv_autorelease a = { 0 }, b = { 0 };

	(void)state;
	parse("Label: Ubuntu stand-in\nDate: Sat, 11 Jul 2026 10:16:37 UTC\nSHA256:\n", &a);
	assert_true(a.stand_in);
	parse("X-Pvimg-Stand-In: yes\nDate: Sat, 11 Jul 2026 10:16:37 UTC\nSHA256:\n", &b);
	assert_true(b.stand_in);
}

static void test_refuses(void **state)
{
	(void)state;
	refused("", "empty");
	refused("Origin: x\nSHA256:\n", "no Date");
	refused("Date: Sat, 11 Jul 2026 10:16:37 UTC\n", "no SHA256");
	refused("Date: yesterday\nSHA256:\n", "Date is no date");
	refused("Date: Sat, 11 Jul 2026 10:16:37 UTC\nValid-Until: x\nSHA256:\n", "Valid-Until");
	refused("Date: Sat, 11 Jul 2026 10:16:37 UTC\nSHA256:\n\nA: b\n", "more than one stanza");
	refused("Date: Sat, 11 Jul 2026 10:16:37 UTC\nSHA256:\n abc 1 x\n", "bad line");
	refused("Date: Sat, 11 Jul 2026 10:16:37 UTC\nSHA256:\n " H1 " -1 x\n", "bad line");
	refused("Date: Sat, 11 Jul 2026 10:16:37 UTC\nSHA256:\n " H1 " 1\n", "bad line");
	refused("Date: Sat, 11 Jul 2026 10:16:37 UTC\nSHA256:\n " H1 " 1 x y\n", "bad line");
	refused("Date: Sat, 11 Jul 2026 10:16:37 UTC\nSHA256:\n " H1 " 1 x\n " H2 " 2 x\n", "twice");
}

static void test_drops_paths_that_leave(void **state)
{
	pv_autorelease r = { 0 };

	(void)state;
	parse("Date: Sat, 11 Jul 2026 10:16:37 UTC\nSHA256:\n " H1 " 1 ../x\n " H1 " 1 /y\n " H1 " 1 z\n", &r);
	assert_int_equal(r.nentries, 1);
	assert_string_equal(r.entries[0].path, "z");
}

static void test_dates(void **state)
{
	static const char *const bad[] = {
		"", "Sat", "Sat, 11 Jul 2026", "Sat, 11 Jul 2026 10:16:37", "Sat, 11 Jul 2026 10:16:37 CEST",
		"Sat, 11 Jul 2026 10:16:37 UTC ", "Sat, 32 Jul 2026 10:16:37 UTC", "Sat, 11 Foo 2026 10:16:37 UTC",
		"Sat, 11 Jul 2026 24:16:37 UTC", "Sat, 11 Jul 26 10:16:37 UTC", "11 Jul 2026 10:16:37 UTC",
		"Sat, 11 Jul 2026 1:16:37 UTC", "Sat, -1 Jul 2026 10:16:37 UTC",
		"Sat, 11 Jul 2026  10:16:37 UTC", "Sat, 11 Jul 2026   1:16:37 UTC",
	};
	int64_t t = 0;

	(void)state;
	assert_int_equal(pv_release_date("Thu, 01 Jan 1998 00:00:00 GMT", &t), 0);
	assert_int_equal(t, 883612800);
	assert_int_equal(pv_release_date("Tue,  7 Jul 2026 01:02:03 +0000", &t), 0);
	assert_int_equal(t, 1783386123);
	assert_int_equal(pv_release_date("Tue, 7 Jul 2026 01:02:03 UTC", &t), 0);
	assert_int_equal(pv_release_date("Tue, 07 Jul 2026  1:02:03 UTC", &t), 0);
	assert_int_equal(t, 1783386123);
	for (size_t i = 0; i < PV_COUNT(bad); i++)
		if (pv_release_date(bad[i], &t) == 0)
			fail_msg("taken as a date: %s", bad[i]);
}

struct ask {
	const char *origin, *codename, *suite, *component, *arch;
};

static void check(const char *text, struct ask ask, int64_t now, bool ignore, const char *words)
{
	pv_autorelease r = { 0 };
	pv_autoerror err = PV_ERROR_INIT;
	pv_autostrv components = PV_STRV_INIT;
	struct pv_release_expect expect = {
		.origin = ask.origin ? ask.origin : "Debian", .codename = ask.codename ? ask.codename : "bookworm",
		.suite = ask.suite ? ask.suite : "bookworm", .components = &components,
		.arch = ask.arch ? ask.arch : "amd64",
	};
	int rc;

	pv_strv_add(&components, ask.component ? ask.component : "main");
	parse(text, &r);
	rc = pv_release_check(&r, &expect, now, ignore, &err);
	if (!words && rc < 0)
		fail_msg("%s", err.text);
	if (words && (rc == 0 || err.kind != PV_ERR_ARCHIVE || !strstr(err.text, words)))
		fail_msg("\"%s\" lacks \"%s\"", rc == 0 ? "(accepted)" : err.text, words);
}

static void test_check_identity(void **state)
{
	static const char updates[] = "Origin: Ubuntu\nSuite: noble-updates\nCodename: noble\n"
		"Date: Sat, 11 Jul 2026 10:16:37 UTC\nArchitectures: amd64\nComponents: main universe\nSHA256:\n";
	static const char security[] = "Origin: Debian\nSuite: oldstable-security\nCodename: bookworm-security\n"
		"Date: Sat, 11 Jul 2026 10:16:37 UTC\nArchitectures: amd64\nComponents: updates/main\nSHA256:\n";

	(void)state;
	check(debian, (struct ask){ 0 }, NOON, false, NULL);
	check(debian, (struct ask){ .origin = "Ubuntu" }, NOON, false, "Origin \"Debian\"");
	check(debian, (struct ask){ .suite = "bookworm-updates" }, NOON, false, "not those of bookworm-updates");
	check(debian, (struct ask){ .suite = "oldstable", .codename = "bullseye" }, NOON, false, "Codename");
	check(debian, (struct ask){ .arch = "riscv64" }, NOON, false, "no architecture riscv64");
	check(debian, (struct ask){ .component = "universe" }, NOON, false, "no component universe");
	check(updates, (struct ask){ "Ubuntu", "noble", "noble-updates", "universe", NULL }, NOON, false, NULL);
	check(updates, (struct ask){ "Ubuntu", "noble", "noble-security", NULL, NULL }, NOON, false, "not those");
	check(updates, (struct ask){ "Ubuntu", "jammy", "noble-updates", NULL, NULL }, NOON, false, "Codename");
	check(updates, (struct ask){ "Ubuntu", "noble", "noble", NULL, NULL }, NOON, false, "not those");
	check(security, (struct ask){ .suite = "bookworm-security" }, NOON, false, NULL);
}

static void test_check_time(void **state)
{
	pv_autofree char *expiring = pv_fmt("Valid-Until: Sat, 11 Jul 2026 11:00:00 UTC\n%s", debian);

	(void)state;
	check(debian, (struct ask){ 0 }, NOON + 100000000, false, NULL);
	check(expiring, (struct ask){ 0 }, 1783764997, false, NULL);
	check(expiring, (struct ask){ 0 }, NOON, false, "expired on 2026-07-11 11:00 UTC");
	check(expiring, (struct ask){ 0 }, NOON, true, NULL);
	check(debian, (struct ask){ 0 }, 1783764997 - PV_RELEASE_FUTURE_S - 1, true, "set the clock");
	check(debian, (struct ask){ 0 }, 1783764997 - PV_RELEASE_FUTURE_S, false, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parses),
		cmocka_unit_test(test_stand_in),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_drops_paths_that_leave),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_check_identity),
		cmocka_unit_test(test_check_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
