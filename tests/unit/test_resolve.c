/* SPDX-License-Identifier: Apache-2.0 */
/* Resolving against tiny indexes with the host's real apt-get: base, upgrades, virtual names, refusals. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "fsutil.h"
#include "proc.h"
#include "resolve.h"
#include "resolve_apt.h"
#include "text.h"

#define SHA(c) c c c c c c c c c c c c c c c c
#define DEB(name, version, sha, more) \
	"Package: " name "\nVersion: " version "\nArchitecture: amd64\nMaintainer: T <t@example.org>\n" \
	"Installed-Size: 10\nFilename: pool/main/" name "_" version "_amd64.deb\nSize: 1000\nSHA256: " SHA(sha) \
	"\nDescription: a package\n with a second line\n" more "\n"

static const char release_packages[] =
	DEB("base-files", "1", "0001", "Essential: yes\nPriority: required\nDepends: awk\n")
	DEB("bash", "1", "0002", "Essential: yes\nPriority: required\nDepends: libc6 (>= 1), debconf | cdebconf\n")
	DEB("libc6", "1", "0003", "Priority: optional\nPre-Depends: libgcc (>= 0)\n")
	DEB("libgcc", "1", "0004", "Priority: optional\n")
	DEB("debconf", "1", "0005", "Priority: optional\n")
	DEB("cdebconf", "1", "0006", "Priority: optional\n")
	DEB("mawk", "1", "0007", "Priority: required\nProvides: awk\n")
	DEB("init-helpers", "1", "0008", "Priority: required\nDepends: usrmerge | usr-is-merged\n")
	DEB("usrmerge", "1", "0009", "Priority: optional\nDepends: huge\n")
	DEB("usr-is-merged", "1", "000a", "Priority: optional\n")
	DEB("huge", "1", "000b", "Priority: optional\n")
	DEB("apt", "1", "000c", "Priority: important\nDepends: libc6\n")
	DEB("vi", "1", "000d", "Priority: important\n")
	DEB("apache2", "1", "000e", "Priority: optional\nDepends: apache2-bin (= 1), httpd-cgi\nRecommends: huge\n")
	DEB("apache2-bin", "1", "000f", "Priority: optional\n")
	DEB("g++", "1", "0010", "Priority: optional\nProvides: c++-compiler, httpd-cgi (= 2)\n")
	DEB("mta-one", "1", "0011", "Priority: optional\nProvides: mta\n")
	DEB("mta-two", "1", "0012", "Priority: optional\nProvides: mta\n")
	DEB("broken", "1", "0013", "Priority: optional\nDepends: libc6 (>= 9), nothing-has-this\n")
	DEB("wants-nothing", "1", "0014", "Priority: optional\nDepends: libc6 (>= 9)\n")
	DEB("rival", "1", "0015", "Priority: optional\nConflicts: debconf\nProvides: debconf\n")
	DEB("mangled", "1", "0016", "Priority: optional\nDepends: libc6 (>>>= 1) [\n")
	DEB("left", "1", "0019", "Priority: optional\nConflicts: right\n")
	DEB("right", "1", "001a", "Priority: optional\n")
	DEB("needs-left", "1", "001b", "Priority: optional\nDepends: left\n")
	DEB("needs-right", "1", "001c", "Priority: optional\nDepends: right\n")
	DEB("far", "1", "001d", "Priority: optional\nDepends: broken | fights-libc\n")
	DEB("fights-libc", "1", "001e", "Priority: optional\nConflicts: libc6\n")
	DEB("wants-vi", "1", "001f", "Priority: optional\nDepends: vi (>= 2)\n")
	"Package: foreign\nVersion: 1\nArchitecture: i386\nFilename: pool/f\nSize: 1\nSHA256: " SHA("0017") "\n\n"
	"Package: climber\nVersion: 1\nArchitecture: amd64\nFilename: pool/../../etc/x\nSize: 1\nSHA256: " SHA("0018")
	"\nDescription: x\n\n"
	"Package: no-digest\nVersion: 1\nArchitecture: amd64\nFilename: pool/x\nSize: 1\nMD5sum: 0\nDescription: x\n\n";

static const char security_packages[] =
	DEB("libc6", "1+sec1", "0103", "Priority: optional\nPre-Depends: libgcc\n")
	DEB("apache2", "1+sec1", "010e", "Priority: optional\nDepends: apache2-bin (= 1+sec1), httpd-cgi\n")
	DEB("apache2-bin", "1+sec1", "010f", "Priority: optional\n");

struct fixture {
	char *dir;
	struct pv_aptree_index indexes[2];
	struct pv_resolve_request req;
	struct pv_strv names;
};

static const char *put(struct fixture *f, const char *name, const char *text)
{
	char *path = pv_path_join(f->dir, name);

	assert_int_equal(pv_write_file(path, text, strlen(text), 0644, NULL), 0);
	return path;
}

static int setup(void **state)
{
	static const char *const base_names[] = { "usr-is-merged", NULL };
	struct fixture *f = pv_xcalloc(1, sizeof(*f));
	const char *tmp = getenv("TMPDIR");

	f->dir = pv_fmt("%s/pvimg resolve'\"-XXXXXX", tmp ? tmp : "/tmp");
	*state = f;
	if (!mkdtemp(f->dir))
		return -1;
	f->indexes[0] = (struct pv_aptree_index){
		"http://u:SECRET@m.example/debian", "stable", "main",
		put(f, "InRelease", "Origin: T\nSuite: stable\nCodename: stable\n"),
		put(f, "Packages", release_packages),
	};
	f->indexes[1] = (struct pv_aptree_index){
		"http://s.example/sec", "stable-security", "main",
		put(f, "InRelease.s", "Origin: T\nSuite: stable-security\nCodename: stable-security\n"),
		put(f, "Packages.s", security_packages),
	};
	f->req = (struct pv_resolve_request){
		.work_dir = pv_path_join(f->dir, "work"), .arch = "amd64", .indexes = f->indexes, .nindexes = 2,
		.names = &f->names, .base_names = base_names,
	};
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	int result = pv_rmtree(f->dir, NULL);

	for (size_t i = 0; i < 2; i++) {
		free((char *)f->indexes[i].inrelease_path);
		free((char *)f->indexes[i].packages_path);
	}
	free((char *)f->req.work_dir);
	pv_strv_done(&f->names);
	free(f->dir);
	free(f);
	return result;
}

static void need_apt(void)
{
	pv_autofree char *apt = pv_proc_which("apt-get");

	if (!apt) {
		print_message("skipped: no apt-get here\n");
		skip();
	}
}

/* "name=version" of all, "*" behind the requested ones. */
static char *listed(const struct pv_package *v, size_t n)
{
	pv_autostr s = PV_STR_INIT;

	for (size_t i = 0; i < n; i++)
		pv_str_addf(&s, "%s%s=%s%s", i > 0 ? " " : "", v[i].name, v[i].version, v[i].requested ? "*" : "");
	return pv_str_steal(&s);
}

static size_t n_requested(const struct pv_package *v, size_t n)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += v[i].requested;
	return count;
}

static const char base[] = "apt=1 base-files=1 bash=1 debconf=1 init-helpers=1 libc6=1 libgcc=1 mawk=1 usr-is-merged=1";

static void assert_resolves(struct fixture *f, const char *want)
{
	pv_autoresolution res = { 0 };
	pv_autoerror err = PV_ERROR_INIT;
	pv_autofree char *packages = NULL;
	pv_autofree char *base_packages = NULL;

	if (pv_resolve(&f->req, &res, &err) < 0)
		fail_msg("%s", err.text);
	packages = listed(res.packages, res.npackages);
	base_packages = listed(res.base, res.nbase);
	assert_string_equal(packages, want);
	if (n_requested(res.base, res.nbase) == 0)
		assert_string_equal(base_packages, base);
	assert_int_equal(res.nbase, 9);
}

/* The base alone, with what security has for it; neither usrmerge, nor alternatives, nor Priority: important. */
static void test_base(void **state)
{
	need_apt();
	assert_resolves(*state, "apt=1 base-files=1 bash=1 debconf=1 init-helpers=1 libc6=1+sec1 libgcc=1 mawk=1 "
			"usr-is-merged=1");
}

/* An update of the base that needs what its release version did not (noble's libpam-modules and libdb5.3t64): that is in
 * the base too, for the base is installed as updated. What only the update's suite has comes with the transaction. */
static void test_update_needs_more(void **state)
{
	static const char text[] =
		DEB("mawk", "1+u1", "0201", "Priority: required\nProvides: awk\nDepends: vi, vi-data\n")
		DEB("vi-data", "1+u1", "0202", "Priority: optional\n");
	struct fixture *f = *state;
	pv_autoresolution res = { 0 };
	pv_autoerror err = PV_ERROR_INIT;

	need_apt();
	pv_autofree const char *path = put(f, "Packages.u", text);
	const struct pv_aptree_index updates = {
		"http://m.example/debian", "stable-updates", "main", f->indexes[0].inrelease_path, path,
	};
	const struct pv_aptree_index indexes[] = { f->indexes[0], updates };

	f->req.indexes = indexes;
	if (pv_resolve(&f->req, &res, &err) < 0)
		fail_msg("%s", err.text);
	pv_autofree char *packages = listed(res.packages, res.npackages);
	pv_autofree char *base_packages = listed(res.base, res.nbase);
	assert_string_equal(base_packages, "apt=1 base-files=1 bash=1 debconf=1 init-helpers=1 libc6=1 libgcc=1 "
			    "mawk=1 usr-is-merged=1 vi=1");
	assert_string_equal(packages, "apt=1 base-files=1 bash=1 debconf=1 init-helpers=1 libc6=1 libgcc=1 "
			    "mawk=1+u1 usr-is-merged=1 vi=1 vi-data=1+u1");
}

static void test_names(void **state)
{
	struct fixture *f = *state;

	need_apt();
	pv_strv_add(&f->names, "apache2");
	pv_strv_add(&f->names, "mawk");
	pv_strv_add(&f->names, "apache2");
	assert_resolves(f, "apache2=1+sec1* apache2-bin=1+sec1 apt=1 base-files=1 bash=1 debconf=1 g++=1 "
			"init-helpers=1 libc6=1+sec1 libgcc=1 mawk=1* usr-is-merged=1");
	/* And again in the same folder. */
	pv_strv_done(&f->names);
	pv_strv_add(&f->names, "c++-compiler");
	assert_resolves(f, "apt=1 base-files=1 bash=1 debconf=1 g++=1 init-helpers=1 libc6=1+sec1 libgcc=1 mawk=1 "
			"usr-is-merged=1");
}

/* For a tree in which nothing is installed: not even what is essential, and not apt. */
static void test_no_base(void **state)
{
	struct fixture *f = *state;
	pv_autoresolution res = { 0 };
	pv_autoerror err = PV_ERROR_INIT;

	need_apt();
	pv_strv_add(&f->names, "apache2");
	f->req.no_base = true;
	if (pv_resolve(&f->req, &res, &err) < 0)
		fail_msg("%s", err.text);
	pv_autofree char *packages = listed(res.packages, res.npackages);
	assert_string_equal(packages, "apache2=1+sec1* apache2-bin=1+sec1 g++=1");
	assert_int_equal(res.nbase, 0);
}

static void test_fields(void **state)
{
	struct fixture *f = *state;
	pv_autoresolution res = { 0 };
	const struct pv_package *p;

	need_apt();
	assert_int_equal(pv_resolve(&f->req, &res, NULL), 0);
	p = &res.packages[5];
	assert_string_equal(p->name, "libc6");
	assert_string_equal(p->base_url, "http://s.example/sec");
	assert_string_equal(p->filename, "pool/main/libc6_1+sec1_amd64.deb");
	assert_string_equal(p->sha256, SHA("0103"));
	assert_string_equal(p->arch, "amd64");
	assert_int_equal(p->size, 1000);
	assert_int_equal(p->installed_kib, 10);
	assert_string_equal(res.packages[0].base_url, "http://u:SECRET@m.example/debian");
	/* 9 of the base, and the newer libc6. */
}

/* What the transaction removes is not in the image. */
static void test_removal(void **state)
{
	struct fixture *f = *state;

	need_apt();
	pv_strv_add(&f->names, "rival");
	assert_resolves(f, "apt=1 base-files=1 bash=1 init-helpers=1 libc6=1+sec1 libgcc=1 mawk=1 rival=1* "
			"usr-is-merged=1");
}

static void assert_refused(struct fixture *f, enum pv_error_kind kind, const char *const *words)
{
	pv_autoresolution res = { 0 };
	pv_autoerror err = PV_ERROR_INIT;

	assert_int_equal(pv_resolve(&f->req, &res, &err), -1);
	assert_int_equal(err.kind, kind);
	assert_null(strchr(err.text, '\n'));
	assert_null(strstr(err.text, "SECRET"));
	for (size_t i = 0; words[i]; i++)
		if (!strstr(err.text, words[i]))
			fail_msg("\"%s\" does not say \"%s\"", err.text, words[i]);
	pv_strv_done(&f->names);
}

static void test_missing(void **state)
{
	struct fixture *f = *state;

	pv_strv_add(&f->names, "apache3");
	pv_strv_add(&f->names, "vi");
	pv_strv_add(&f->names, "xyzzyxyzzyxyzzy");
	assert_refused(f, PV_ERR_RECIPE, (const char *const[]){
		"package apache3: not in stable, stable-security (nearest: apache2)",
		"; package xyzzyxyzzyxyzzy: not in stable, stable-security", NULL });
}

static void test_faulty_names(void **state)
{
	static const char *const names[] = { "-o", "apt=1", "apt/stable", "apt-", "~nx", "?all", "a", "", "Apt", "a b",
					     "a*b", "--simulate", "ap\nt", "g++:i386" };
	struct fixture *f = *state;

	for (size_t i = 0; i < PV_COUNT(names); i++) {
		pv_strv_add(&f->names, names[i]);
		assert_refused(f, PV_ERR_RECIPE, (const char *const[]){ NULL });
	}
}

static void test_unmet(void **state)
{
	struct fixture *f = *state;

	need_apt();
	pv_strv_add(&f->names, "broken");
	assert_refused(f, PV_ERR_RECIPE, (const char *const[]){ "cannot be installed together", "broken",
								"nothing-has-this", NULL });
	pv_strv_add(&f->names, "wants-nothing");
	assert_refused(f, PV_ERR_RECIPE, (const char *const[]){ "wants-nothing", "libc6 (>= 9)", NULL });
	pv_strv_add(&f->names, "mta");
	assert_refused(f, PV_ERR_RECIPE, (const char *const[]){ "mta", "mta-one", NULL });
}

/* Where apt's first answer is only that something needed will not be there, the error still names the cause. */
static void test_causes(void **state)
{
	struct fixture *f = *state;

	need_apt();
	pv_strv_add(&f->names, "needs-left");
	pv_strv_add(&f->names, "needs-right");
	assert_refused(f, PV_ERR_RECIPE, (const char *const[]){ "left : Conflicts: right", NULL });
	pv_strv_add(&f->names, "far");
	assert_refused(f, PV_ERR_RECIPE, (const char *const[]){ "far : Depends: broken", "libc6 (>= 9) but 1+sec1",
								"fights-libc : Conflicts: libc6", NULL });
	pv_strv_add(&f->names, "wants-vi");
	assert_refused(f, PV_ERR_RECIPE, (const char *const[]){ "vi (>= 2) but 1 is to be installed", NULL });
}

static void test_hostile_index(void **state)
{
	struct fixture *f = *state;

	need_apt();
	pv_strv_add(&f->names, "climber");
	assert_refused(f, PV_ERR_ARCHIVE, (const char *const[]){ "stable main: package climber", "Filename", NULL });
	pv_strv_add(&f->names, "no-digest");
	assert_refused(f, PV_ERR_ARCHIVE, (const char *const[]){ "package no-digest", "SHA256", NULL });
	pv_strv_add(&f->names, "mangled");
	assert_refused(f, PV_ERR_ARCHIVE, (const char *const[]){ "cannot be read", "mangled", NULL });
	f->req.nindexes = 0;
	assert_refused(f, PV_ERR_ARCHIVE, (const char *const[]){ "no index", NULL });
	f->req.nindexes = 1;
	f->req.indexes = &f->indexes[1];
	assert_refused(f, PV_ERR_ARCHIVE, (const char *const[]){ "no package apt", NULL });
}

/* Lines as apt 2.6 and 2.8 print them. */
static void test_lines(void **state)
{
	static const struct { const char *line, *name, *version; } good[] = {
		{ "Inst libc6 [2.36-9] (2.36-9+deb12u4 Debian:12.5/stable [amd64])", "libc6", "2.36-9+deb12u4" },
		{ "Inst g++ (4:12.2.0-3 Debian:12/oldstable [amd64]) []", "g++", "4:12.2.0-3" },
		{ "Inst x [1] (2 A:1, B:2 [all]) [y:amd64 ]", "x", "2" },
		{ "Inst libx:i386 (1)", "libx", "1" },
		{ "Remv usrmerge [35]", "usrmerge", NULL },
		{ "Remv usrmerge [35] [init:amd64 ]", "usrmerge", NULL },
	};
	static const char *const bad[] = { "Inst ", "Inst  (1 x)", "Inst x", "Inst x (", "Inst x ()", "Remv ",
					   "Inst x [1] [2]" };
	static const char *const other[] = { "", "Conf x (1 y [amd64])", "Install x (1)", "E: no", "Inst" };

	(void)state;
	for (size_t i = 0; i < PV_COUNT(good); i++) {
		pv_autochanges c = { 0 };

		assert_int_equal(pv_apt_changes_line(&c, good[i].line, strlen(good[i].line)), 0);
		assert_int_equal(c.n, 1);
		assert_string_equal(c.v[0].name, good[i].name);
		assert_true(pv_streq(c.v[0].version, good[i].version));
	}
	for (size_t i = 0; i < PV_COUNT(bad); i++) {
		pv_autochanges c = { 0 };

		if (pv_apt_changes_line(&c, bad[i], strlen(bad[i])) == 0)
			fail_msg("taken: %s", bad[i]);
	}
	for (size_t i = 0; i < PV_COUNT(other); i++) {
		pv_autochanges c = { 0 };

		assert_int_equal(pv_apt_changes_line(&c, other[i], strlen(other[i])), 0);
		assert_int_equal(c.n, 0);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_base), TEST(test_update_needs_more), TEST(test_names), TEST(test_fields),
		TEST(test_no_base),
		TEST(test_removal), TEST(test_missing),
		TEST(test_faulty_names), TEST(test_unmet), TEST(test_causes),
		TEST(test_hostile_index), cmocka_unit_test(test_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
