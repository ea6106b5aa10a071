/* SPDX-License-Identifier: Apache-2.0 */
/* The host's apt as seen through a fake apt-get and apt-config on PATH, and debootstrap's scripts as they are. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "fsutil.h"
#include "hostapt.h"
#include "text.h"
#include "url.h"

struct fixture {
	char *dir, *old_path;
};

static int setup(void **state)
{
	struct fixture *f = pv_xcalloc(1, sizeof(*f));
	const char *tmp = getenv("TMPDIR");
	pv_autofree char *path = NULL;

	f->dir = pv_fmt("%s/pvimg-hostapt-XXXXXX", tmp ? tmp : "/tmp");
	f->old_path = pv_xstrdup(getenv("PATH"));
	*state = f;
	if (!mkdtemp(f->dir))
		return -1;
	path = pv_fmt("%s:%s", f->dir, f->old_path);
	return setenv("PATH", path, 1);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	int result = pv_rmtree(f->dir, NULL);

	setenv("PATH", f->old_path, 1);
	free(f->old_path);
	free(f->dir);
	free(f);
	return result;
}

/* A program of that name that prints `text` and ends with `code`. */
static void fake(struct fixture *f, const char *name, const char *text, int code)
{
	pv_autofree char *path = pv_path_join(f->dir, name);
	pv_autofree char *script = pv_fmt("#!/bin/sh\ncat <<'END'\n%sEND\necho oops >&2\nexit %d\n", text, code);

	assert_int_equal(pv_write_file(path, script, strlen(script), 0755, NULL), 0);
}

struct expect {
	const char *text, *distribution, *codename, *main, *security;
};

static void assert_pick(const struct expect *e, const char *os, const char *os_codename)
{
	pv_autofree char *main_url = NULL;
	pv_autofree char *security = NULL;

	pv_hostapt_pick(e->text, e->distribution, e->codename, os, os_codename, &main_url, &security);
	if (!pv_streq(main_url, e->main) || !pv_streq(security, e->security))
		fail_msg("%s %s: %s %s", e->distribution, e->codename, main_url, security);
}

#define DEBIAN \
	"Packages|Debian|bookworm|bookworm|http://m.example/debian/\n" \
	"Translations|Debian|bookworm|bookworm|http://wrong.example/debian/\n" \
	"Packages|Debian|bookworm-updates|bookworm-updates|http://m.example/debian/\n" \
	"Packages|Debian|bookworm-security|bookworm-security|http://s.example/debian-security/\n"
#define UBUNTU \
	"Packages|Ubuntu|noble|noble|https://u.example/ubuntu\n" \
	"Packages|Ubuntu|noble|noble-security|https://us.example/ubuntu\n"
#define NO_LISTS \
	"Packages|$(ORIGIN)|$(CODENAME)|bookworm|http://m.example/debian/\n" \
	"Packages|||bookworm-security|http://s.example/debian-security/\n"

static void test_pick(void **state)
{
	static const struct expect cases[] = {
		{ DEBIAN, "debian", "bookworm", "http://m.example/debian", "http://s.example/debian-security" },
		{ DEBIAN, "debian", "trixie", "http://m.example/debian", "http://s.example/debian-security" },
		{ DEBIAN, "ubuntu", "noble", NULL, NULL },
		{ UBUNTU, "ubuntu", "noble", "https://u.example/ubuntu", "https://us.example/ubuntu" },
		{ UBUNTU, "debian", "bookworm", NULL, NULL },
		{ NO_LISTS, "debian", "bookworm", "http://m.example/debian", "http://s.example/debian-security" },
		{ NO_LISTS, "debian", "trixie", "http://m.example/debian", "http://s.example/debian-security" },
		{ NO_LISTS, "ubuntu", "noble", NULL, NULL },
		/* Another repository, and one of the same suite's name. */
		{ "Packages|Docker|bookworm|bookworm|http://d.example/x\n" DEBIAN, "debian", "bookworm",
		  "http://m.example/debian", "http://s.example/debian-security" },
		/* The wanted codename goes before the first one. */
		{ "Packages|Debian|trixie|trixie|http://t.example/debian\n" DEBIAN, "debian", "bookworm",
		  "http://m.example/debian", "http://s.example/debian-security" },
		/* What curl is not given. */
		{ "Packages|Debian|bookworm|bookworm|cdrom:[x]/\n"
		  "Packages|Debian|bookworm|bookworm|http://m.example/../x\n", "debian", "bookworm", NULL, NULL },
		{ "", "debian", "bookworm", NULL, NULL },
		{ "nonsense\n||||\nPackages|Debian\nPackages|Debian|a|b|http://x|y\n", "debian", "bookworm", NULL,
		  NULL },
	};

	(void)state;
	for (size_t i = 0; i < PV_COUNT(cases); i++)
		assert_pick(&cases[i], "debian", "bookworm");
	assert_pick(&(struct expect){ NO_LISTS, "debian", "bookworm", "http://m.example/debian",
				      "http://s.example/debian-security" }, NULL, NULL);
}

static void test_mirror(void **state)
{
	struct fixture *f = *state;
	pv_autofree char *main_url = NULL;
	pv_autofree char *security = NULL;

	fake(f, "apt-get", DEBIAN, 0);
	assert_int_equal(pv_hostapt_mirror("debian", "bookworm", &main_url, &security, NULL), 0);
	assert_string_equal(main_url, "http://m.example/debian");
	assert_string_equal(security, "http://s.example/debian-security");
}

/* As apt does before its first update: nothing, unless asked without the Release files. */
static void test_no_lists(void **state)
{
	static const char script[] =
		"#!/bin/sh\ncase \" $* \" in *\" --no-release-info \"*) ;; *) exit 0 ;; esac\n"
		"echo 'Packages|$(ORIGIN)|$(CODENAME)|bookworm|http://m.example/debian/'\n";
	struct fixture *f = *state;
	pv_autofree char *path = pv_path_join(f->dir, "apt-get");
	pv_autofree char *main_url = NULL;
	pv_autofree char *security = NULL;

	assert_int_equal(pv_write_file(path, script, strlen(script), 0755, NULL), 0);
	assert_int_equal(pv_hostapt_mirror("debian", "bookworm", &main_url, &security, NULL), 0);
	assert_string_equal(main_url, "http://m.example/debian");
	assert_null(security);
}

/* An apt that fails has no opinion; it does not stop a build that was given its mirror otherwise. */
static void test_apt_fails(void **state)
{
	struct fixture *f = *state;
	char *main_url, *security, *http, *https;

	fake(f, "apt-get", DEBIAN, 100);
	fake(f, "apt-config", "Acquire::http::Proxy \"http://p.example\";\n", 100);
	assert_int_equal(pv_hostapt_mirror("debian", "bookworm", &main_url, &security, NULL), 0);
	assert_null(main_url);
	assert_null(security);
	assert_int_equal(pv_hostapt_proxy(&http, &https, NULL), 0);
	assert_null(http);
	assert_null(https);
}

static void assert_proxy(struct fixture *f, const char *text, const char *want_http, const char *want_https)
{
	pv_autofree char *http = NULL;
	pv_autofree char *https = NULL;

	fake(f, "apt-config", text, 0);
	assert_int_equal(pv_hostapt_proxy(&http, &https, NULL), 0);
	if (!pv_streq(http, want_http) || !pv_streq(https, want_https))
		fail_msg("%s: %s %s", text, http, https);
}

static void test_proxy(void **state)
{
	struct fixture *f = *state;

	assert_proxy(f, "APT \"\";\n", NULL, NULL);
	assert_proxy(f, "Acquire::http \"\";\nAcquire::http::Proxy \"http://u:p@p.example:3128\";\n",
		     "http://u:p@p.example:3128", "http://u:p@p.example:3128");
	assert_proxy(f, "Acquire::http::Proxy \"http://a\";\nAcquire::https::Proxy \"http://b\";\n", "http://a",
		     "http://b");
	assert_proxy(f, "Acquire::http::Proxy \"http://a\";\nAcquire::https::Proxy \"DIRECT\";\n", "http://a", NULL);
	assert_proxy(f, "Acquire::http::Proxy \"DIRECT\";\n", NULL, NULL);
	assert_proxy(f, "Acquire::http::Proxy \"\";\n", NULL, NULL);
	/* For one host only: not for all. */
	assert_proxy(f, "Acquire::http::Proxy::m.example \"http://a\";\n", NULL, NULL);
}

static void assert_script(struct fixture *f, const char *text, const char *arch, const char *want)
{
	pv_autofree char *url = NULL;

	(void)f;
	url = pv_hostapt_script_mirror(text, "noble", arch);
	if (!pv_streq(url, want))
		fail_msg("%s: %s", arch, url);
}

static void test_script(void **state)
{
	static const char text[] =
		"case $ARCH in\n"
		"  amd64|i386)\n"
		"\tcase $SUITE in\n"
		"\t  gutsy|hardy)\n"
		"\tdefault_mirror http://old.example/ubuntu\n"
		"\t  ;;\n"
		"\t  *)\n"
		"\tdefault_mirror http://a.example/ubuntu/\n"
		"\t;;\n"
		"\tesac\n"
		"\t;;\n"
		"  sparc)\n"
		"\tdefault_mirror http://s.example/ubuntu\n"
		"\t;;\n"
		"  *)\n"
		"\tdefault_mirror http://p.example/ubuntu-ports\n"
		"\t;;\n"
		"esac\n"
		"mirror_style release\n";

	assert_script(*state, text, "amd64", "http://a.example/ubuntu");
	assert_script(*state, text, "sparc", "http://s.example/ubuntu");
	assert_script(*state, text, "arm64", "http://p.example/ubuntu-ports");
	assert_script(*state, "default_mirror \"http://x.example/d\" # y\n", "amd64", "http://x.example/d");
	assert_script(*state, "default_mirror $MIRROR\n", "amd64", NULL);
	assert_script(*state, "my_default_mirror http://x/\nesac\nesac\n)\n", "amd64", NULL);
	assert_script(*state, "", "amd64", NULL);
}

/* The scripts of the debootstrap that is installed here; what a URL looks like is all that is known. */
static void test_real_debootstrap(void **state)
{
	pv_autofree char *ubuntu = NULL;
	pv_autofree char *none = NULL;
	pv_autofree char *hostile = NULL;

	(void)state;
	assert_int_equal(pv_hostapt_debootstrap_mirror("nosuchsuite", NULL, "amd64", &none, NULL), 0);
	assert_null(none);
	assert_int_equal(pv_hostapt_debootstrap_mirror("../../../etc/passwd", "../x", "amd64", &hostile, NULL), 0);
	assert_null(hostile);
	if (!pv_exists("/usr/share/debootstrap/scripts/gutsy")) {
		print_message("skipped: no debootstrap here\n");
		skip();
	}
	assert_int_equal(pv_hostapt_debootstrap_mirror("nosuchsuite", "gutsy", "amd64", &ubuntu, NULL), 0);
	assert_non_null(ubuntu);
	assert_int_equal(pv_url_check(ubuntu, NULL), 0);
	assert_true(pv_ends(ubuntu, "/ubuntu"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pick),
		cmocka_unit_test_setup_teardown(test_mirror, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_lists, setup, teardown),
		cmocka_unit_test_setup_teardown(test_apt_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_proxy, setup, teardown),
		cmocka_unit_test(test_script), cmocka_unit_test(test_real_debootstrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
