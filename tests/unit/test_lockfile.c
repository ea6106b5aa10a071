/* SPDX-License-Identifier: Apache-2.0 */
/* Locks: text and back again, what is refused with its line, what is stale, what changed from one to the next; the order
 * of versions, which dpkg must agree with. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "debversion.h"
#include "lockfile.h"
#include "proc.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define SUITES "suite bookworm " A " 2026-06-20T09:41:07Z\nsuite bookworm-security " B " 2026-11-22T01:02:03Z\n"
#define APT "package apt 2.6.1 amd64 1000 " A " pool/main/a/apt/apt_2.6.1_amd64.deb bookworm 4000 required base\n"
#define VIM "package vim 2:9.0~1 all 99 " B " pool/updates/vim.deb bookworm-security 0 optional more\n"
#define TOP "recipe t\ndistribution debian\narchitecture amd64\narchive distribution\ncomponents main contrib\nsecurity yes\n"
#define HEAD "pvimg-lock 1\n" TOP "inputs " A "\ntool debootstrap 1.0.128+nmu2\ntool tar 1.34\nask apt\nask vim\n"
#define GOOD HEAD SUITES APT VIM

static void parse(const char *text, struct pv_lockfile *ret)
{
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_lockfile_parse("t.lock", text, strlen(text), ret, &err) < 0)
		fail_msg("%s", err.text);
}

static void test_there_and_back(void **state)
{
	static const char *const good[] = { GOOD, "pvimg-lock 1\n" TOP "snapshot 20261122T133000Z\ninputs " A "\n" SUITES APT };

	(void)state;
	for (size_t i = 0; i < PV_COUNT(good); i++) {
		pv_autolockfile lock = { 0 };

		parse(good[i], &lock);
		pv_autofree char *text = pv_lockfile_text(&lock);
		assert_string_equal(text, good[i]);
	}
}

static void test_what_is_in_it(void **state)
{
	pv_autolockfile lock = { 0 };
	pv_autoresolution res = { 0 };

	(void)state;
	parse(GOOD, &lock);
	assert_int_equal(pv_lockfile_date(&lock), 1795309323);	/* date -d 2026-11-22T01:02:03Z +%s */
	pv_lockfile_resolution(&lock, &res);
	assert_int_equal(res.npackages, 2);
	assert_int_equal(res.nbase, 1);
	assert_string_equal(res.base[0].name, "apt");
	assert_string_equal(res.packages[1].version, "2:9.0~1");
	assert_string_equal(res.packages[1].suite, "bookworm-security");
	assert_string_equal(res.packages[1].sha256, B);
	assert_int_equal(res.packages[0].installed_kib, 4000);
	assert_int_equal(res.packages[1].size, 99);
	assert_true(res.packages[1].requested);
	assert_null(res.packages[0].base_url);
}

/* The same text with one piece replaced, and where and how it is refused. */
static void test_refused(void **state)
{
	static const struct {
		const char *from, *to, *where, *why;
	} cases[] = {
		{ "pvimg-lock 1", "pvimg-lock 2", "t.lock:1: ", "format 2" },
		{ "pvimg-lock 1\n", "", "t.lock:1: ", "is no lock of pvimg" },
		{ GOOD, "", "t.lock:1: ", "cut short" },
		{ GOOD, "\n", "t.lock:1: ", "empty line" },
		{ " more\n", " more", "t.lock:16: ", "cut short" },
		{ "recipe t", "recipe ../t", "t.lock:2: ", "\"../t\" is no name" },
		{ "recipe t", "recipe  t", "t.lock:2: ", "one space" },
		{ "recipe t", "recipe t ", "t.lock:2: ", "one space" },
		{ "recipe t\n", "recipe t u\n", "t.lock:2: ", "one word" },
		{ "recipe t\n", "", "t.lock:2: ", "\"distribution\" where \"recipe\" is wanted" },
		{ "archive distribution", "archive mine", "t.lock:5: ", "\"stand-in\" or \"distribution\"" },
		{ "security yes", "security perhaps", "t.lock:7: ", "\"yes\" or \"no\"" },
		{ "inputs a", "inputs A", "t.lock:8: ", "SHA-256" },
		{ "inputs", "snapshot 20261322T133000Z\ninputs", "t.lock:8: ", "no date" },
		{ "tool tar 1.34\n", "tool tar\n", "t.lock:10: ", "name and a version" },
		{ "tool tar 1.34\n", "tool debootstrap 1.1\n", "t.lock:10: ", "repeated" },
		{ "ask apt\n", "ask apt\nask apt\n", "t.lock:12: ", "repeated, or not sorted" },
		{ "ask vim\n", "ask vim --force\n", "t.lock:12: ", "no package's name" },
		{ "ask vim\n", "ask --force\n", "t.lock:12: ", "no package's name" },
		{ "09:41:07Z", "09:41:77Z", "t.lock:13: ", "no date" },
		{ "2026-06-20", "2026-06-31", "t.lock:13: ", "no date" },
		{ "2026-06-20", "1969-06-20", "t.lock:13: ", "no date" },
		{ "suite bookworm a", "suite bookworm b a", "t.lock:13: ", "digest and a date" },
		{ SUITES, "", "t.lock:13: ", "\"package\" where \"suite\"" },
		{ "suite bookworm-security", "suite bookworm", "t.lock:14: ", "repeated" },
		{ APT, APT APT, "t.lock:16: ", "apt stands behind apt" },
		{ APT VIM, VIM APT, "t.lock:16: ", "not sorted" },
		{ APT VIM, "", "t.lock:15: ", "ends where \"package\"" },
		{ "package vim", "<<<<<<< HEAD\npackage vim", "t.lock:16: ", "\"<<<<<<<\"" },
		{ "package apt", "package A", "t.lock:15: ", "faulty name" },
		{ " amd64 1000 ", " arm64 1000 ", "t.lock:15: ", "faulty architecture" },
		{ " 1000 ", " 0 ", "t.lock:15: ", "faulty size" },
		{ " 1000 ", " 01000 ", "t.lock:15: ", "faulty size" },
		{ " 1000 ", " -1 ", "t.lock:15: ", "faulty size" },
		{ " 1000 ", " 99999999999999999999 ", "t.lock:15: ", "faulty size" },
		{ " pool/main/a", " pool/../../etc", "t.lock:15: ", "faulty path" },
		{ " pool/main/a", " /pool/main/a", "t.lock:15: ", "faulty path" },
		{ " pool/main/a", " dists/main/a", "t.lock:15: ", "faulty path" },
		{ ".deb bookworm 4000", ".deb trixie 4000", "t.lock:15: ", "faulty suite" },
		{ " 4000 ", " 4e3 ", "t.lock:15: ", "faulty installed size" },
		{ " required ", " Required ", "t.lock:15: ", "faulty priority" },
		{ " required base", " required bass", "t.lock:15: ", "faulty part" },
		{ " required base", " required", "t.lock:15: ", "10 words are wanted behind it, 9 are there" },
		{ " required base", " required base x", "t.lock:15: ", "11 are there" },
		{ "pool/main", "pool/m\xc3\xa4in", "t.lock:15: ", "byte 0xc3" },
		{ "ask vim\n", "ask vim\r\n", "t.lock:12: ", "byte 0x0d" },
		{ VIM, VIM "# a word\n", "t.lock:17: ", "\"#\" where \"package\"" },
	};

	(void)state;
	for (size_t i = 0; i < PV_COUNT(cases); i++) {
		pv_autolockfile lock = { 0 };
		pv_autoerror err = PV_ERROR_INIT;
		const char *at = strstr(GOOD, cases[i].from);

		assert_non_null(at);
		pv_autofree char *text = pv_fmt("%.*s%s%s", (int)(at - GOOD), GOOD, cases[i].to, at + strlen(cases[i].from));
		if (pv_lockfile_parse("t.lock", text, strlen(text), &lock, &err) == 0)
			fail_msg("taken: %s -> %s", cases[i].from, cases[i].to);
		assert_int_equal(err.kind, PV_ERR_RECIPE);
		if (strncmp(err.text, cases[i].where, strlen(cases[i].where)) != 0 || !strstr(err.text, cases[i].why))
			fail_msg("%s -> %s: %s", cases[i].from, cases[i].to, err.text);
		assert_null(lock.packages);
	}
}

/* --- against a plan --- */

struct world {
	struct pv_recipe recipe;
	struct pv_suite suite;
	struct pv_plan plan;
};

static void make_world(struct world *w)
{
	static const char *const components[] = { "main", NULL };

	memset(w, 0, sizeof(*w));
	w->recipe = (struct pv_recipe){ .name = (char *)"t", .kind = (char *)"image", .security = (char *)"auto" };
	w->suite = (struct pv_suite){ .distribution = "debian", .codename = "bookworm", .updates = "bookworm-updates",
				      .security = "bookworm-security", .components = components };
	w->plan = (struct pv_plan){ .name = (char *)"t", .recipe = &w->recipe, .suite = &w->suite, .arch = "amd64" };
	pv_strv_add(&w->plan.install_packages, "apt");
	pv_strv_add(&w->plan.install_packages, "vim");
}

static void done_world(struct world *w)
{
	pv_strv_done(&w->plan.install_packages);
	pv_strv_done(&w->recipe.components);
}

/* pv_lockfile_check's words; "" when it is fine. */
static char *check(struct pv_lockfile *lock, const struct world *w)
{
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_lockfile_check(lock, "t.lock", &w->plan, &err) == 0)
		return pv_xstrdup("");
	assert_int_equal(err.kind, PV_ERR_RECIPE);
	assert_true(pv_ends(err.text, "; pvimg lock --update t makes it anew, --no-lock does without it"));
	return pv_xstrdup(err.text);
}

static void expect(struct pv_lockfile *lock, const struct world *w, const char *words)
{
	pv_autofree char *found = check(lock, w);

	if (*words ? !strstr(found, words) : *found != '\0')
		fail_msg("\"%s\", wanted \"%s\"", found, words);
}

static void test_stale(void **state)
{
	struct world w;
	pv_autolockfile lock = { 0 };

	(void)state;
	make_world(&w);
	parse(GOOD, &lock);
	expect(&lock, &w, "is stale: components");
	pv_lockfile_inputs(&w.plan, lock.inputs);
	expect(&lock, &w, "");

	w.plan.name = (char *)"u";
	pv_autoerror err = PV_ERROR_INIT;
	assert_int_equal(pv_lockfile_check(&lock, "t.lock", &w.plan, &err), -1);
	assert_non_null(strstr(err.text, "is the lock of recipe t; "));
	w.plan.name = (char *)"t";

	w.suite.codename = "trixie";
	expect(&lock, &w, "is a lock of debian bookworm, and debian trixie is asked for");
	w.suite.codename = "bookworm";
	w.suite.distribution = "ubuntu";
	expect(&lock, &w, "ubuntu bookworm is asked for");
	w.suite.distribution = "debian";

	pv_strv_add(&w.plan.install_packages, "zsh");
	expect(&lock, &w, "zsh is asked for since");
	pv_strv_done(&w.plan.install_packages);
	pv_strv_add(&w.plan.install_packages, "apt");
	expect(&lock, &w, "vim is not asked for any more");
	pv_strv_add(&w.plan.install_packages, "vim");
	expect(&lock, &w, "");

	/* What changes the set, one at a time; what does not: the mirror. */
	w.recipe.mirror = (char *)"http://m.example/debian";
	expect(&lock, &w, "");
	w.recipe.security = (char *)"http://m.example/security";
	expect(&lock, &w, "");
	w.recipe.security = (char *)"none";
	expect(&lock, &w, "security");
	w.recipe.security = (char *)"auto";
	w.recipe.snapshot_date = (char *)"20261122T133000Z";
	expect(&lock, &w, "snapshot-date");
	w.recipe.snapshot_date = NULL;
	w.recipe.kind = (char *)"dom0";
	expect(&lock, &w, "is stale");
	w.recipe.kind = (char *)"image";
	w.suite.updates = NULL;
	expect(&lock, &w, "table of the suite");
	w.suite.updates = "bookworm-updates";
	pv_strv_add(&w.recipe.components, "contrib");
	expect(&lock, &w, "components");
	done_world(&w);
}

static void test_made_of_a_plan(void **state)
{
	struct world w;
	struct pv_package packages[] = {
		{ .name = (char *)"apt", .version = (char *)"1", .arch = (char *)"amd64", .filename = (char *)"pool/apt.deb",
		  .base_url = (char *)"http://user:SECRET@m.example/x", .suite = (char *)"bookworm",
		  .priority = (char *)"required", .sha256 = A, .size = 5 },
		{ .name = (char *)"vim", .version = (char *)"2", .arch = (char *)"all", .filename = (char *)"pool/vim.deb",
		  .base_url = (char *)"http://user:SECRET@m.example/x", .suite = (char *)"bookworm-updates",
		  .priority = (char *)"optional", .sha256 = B, .size = 6 },
	};
	struct pv_archive_suite suites[] = {
		{ .name = (char *)"bookworm", .release_sha256 = A, .date = 100 },
		{ .name = (char *)"bookworm-updates", .release_sha256 = B, .date = 300 },
		{ .name = (char *)"bookworm-security", .release_sha256 = B, .date = 200 },
	};
	const struct pv_archive archive = { .suites = suites, .nsuites = 3, .stand_in = true };
	pv_autolockfile lock = { 0 }, again = { 0 };

	(void)state;
	make_world(&w);
	w.plan.packages = packages;
	w.plan.npackages = 2;
	w.plan.base = packages;
	w.plan.nbase = 1;
	pv_lockfile_make(&w.plan, &archive, &lock);
	pv_autofree char *text = pv_lockfile_text(&lock);
	assert_null(strstr(text, "example"));
	assert_non_null(strstr(text, "\narchive stand-in\n"));
	assert_non_null(strstr(text, "\ntool pvimg "));
	assert_non_null(strstr(text, " pool/apt.deb bookworm 0 required base\npackage vim "));
	parse(text, &again);
	expect(&again, &w, "");
	assert_int_equal(pv_lockfile_date(&again), 300);
	assert_string_equal(again.suites[1].name, "bookworm-security");
	done_world(&w);
}

/* --- differences --- */

static void test_diff(void **state)
{
	static const char *const want = "added new (security), changed same, down down, removed old, removed zz, up up (security), ";
	static const char *const line = "package %s %s all 1 " "%s pool/x.deb %s 0 optional more\n";
	pv_autolockfile before = { 0 }, after = { 0 };
	pv_autolockchanges changes = { 0 };
	pv_autostr a = PV_STR_INIT, b = PV_STR_INIT, got = PV_STR_INIT;

	(void)state;
	const struct {
		const char *name, *before, *after, *digest, *suite;
	} rows[] = {
		{ "down", "1.0", "1.0~rc1", A, "bookworm" }, { "kept", "1", "1", A, "bookworm" },
		{ "new", NULL, "1", A, "bookworm-security" }, { "old", "1", NULL, A, "bookworm" },
		{ "same", "1", "1", B, "bookworm" }, { "up", "1.9", "1.10", A, "bookworm-security" },
		{ "zz", "1", NULL, A, "bookworm" },
	};
	pv_str_add(&a, HEAD SUITES);
	pv_str_add(&b, HEAD SUITES);
	for (size_t i = 0; i < PV_COUNT(rows); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		if (rows[i].before)
			pv_str_addf(&a, line, rows[i].name, rows[i].before, A, "bookworm");
		if (rows[i].after)
			pv_str_addf(&b, line, rows[i].name, rows[i].after, rows[i].digest, rows[i].suite);
#pragma GCC diagnostic pop
	}
	parse(pv_str_text(&a), &before);
	parse(pv_str_text(&b), &after);
	pv_lockfile_diff(&before, &after, &changes);
	pv_autostrv lines = PV_STRV_INIT;
	for (size_t i = 0; i < changes.n; i++)
		pv_strv_addf(&lines, "%s %s%s, ", pv_lock_change_name(changes.v[i].kind), changes.v[i].name,
			     changes.v[i].security ? " (security)" : "");
	pv_strv_sort(&lines);
	for (size_t i = 0; i < lines.n; i++)
		pv_str_add(&got, lines.v[i]);
	assert_string_equal(pv_str_text(&got), want);
}

static int dpkg_says(const char *a, const char *b)
{
	static const char *const words[] = { "lt", "eq", "gt" };

	for (int i = 0; i < 3; i++) {
		const char *const argv[] = { "dpkg", "--compare-versions", a, words[i], b, NULL };
		const struct pv_proc proc = { .argv = argv };
		if (pv_proc_check(&proc, PV_ERR_STAGE, NULL) == 0)
			return i - 1;
	}
	fail_msg("dpkg cannot compare %s with %s", a, b);
	return 0;
}

static void test_versions(void **state)
{
	static const char *const versions[] = {
		"1.0", "1.0-0", "0:1.0", "1:0.1", "1.0~rc1", "1.0~rc1-1", "1.0~~", "1.0-1", "1.0-1~bpo12+1", "1.0-1+b1",
		"1.9", "1.10", "1.09", "1.0a", "1.0+dfsg", "1.0.1", "1.0-a-1", "2:9.0.1378-2+deb12u2", "6.1.0-56", "0",
		"1.000000000000000000000000000000002", "99999999999999999999999", "1.0z", "1.0Z", "1:1.0:2-1",
	};
	pv_autofree char *dpkg = pv_proc_which("dpkg");

	(void)state;
	assert_true(pv_debversion_compare("1.0", "0:1.0-0") == 0);
	assert_true(pv_debversion_compare("1.0~rc1", "1.0") < 0);
	assert_true(pv_debversion_compare("1.10", "1.9") > 0);
	for (size_t i = 0; dpkg && i < PV_COUNT(versions); i++)
		for (size_t j = i; j < PV_COUNT(versions); j++) {
			int ours = pv_debversion_compare(versions[i], versions[j]);
			int back = pv_debversion_compare(versions[j], versions[i]);
			assert_int_equal((ours > 0) - (ours < 0), dpkg_says(versions[i], versions[j]));
			assert_int_equal((ours > 0) - (ours < 0), (back < 0) - (back > 0));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_what_is_in_it),
		cmocka_unit_test(test_refused), cmocka_unit_test(test_stale), cmocka_unit_test(test_made_of_a_plan),
		cmocka_unit_test(test_diff), cmocka_unit_test(test_versions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
