/* SPDX-License-Identifier: Apache-2.0 */
/* Whole archives, tiny and signed with throw-away keys: what is opened, and everything that must not be. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "archive.h"
#include "archive_help.h"
#include "check.h"
#include "deb822.h"
#include "fetch.h"
#include "fsutil.h"
#include "store.h"

static const char packages[] = "Package: a\nVersion: 1\nFilename: pool/a.deb\nSize: 1\n\nPackage: b\nVersion: 2\n";

/* One request in a cache of its own. */
struct env {
	const struct fx *fx;
	struct pv_store *store;
	struct pv_fetch *fetch;
	char *mirror, *work, *cache, *ring;
	struct pv_strv pins;
	struct pv_archive_request req;
};

static int setup(void **state)
{
	struct fx *fx = fx_new();

	*state = fx;
	if (fx)
		fx_sh(fx, "export_keys good.gpg good@test; export_keys other.gpg other@test; "
		      "export_keys both.gpg good@test other@test");
	return 0;
}

static int teardown(void **state)
{
	fx_free(*state);
	return 0;
}

static void open_env(struct env *e, const struct fx *fx, const char *ring)
{
	pv_autoerror err = PV_ERROR_INIT;

	fx_sh(fx, "rm -rf cache work mirror; mkdir cache work mirror");
	*e = (struct env){ .fx = fx };
	e->mirror = pv_fmt("file://%s/mirror/", fx->dir);
	e->work = fx_path(fx, "work");
	e->cache = fx_path(fx, "cache");
	e->ring = ring ? fx_path(fx, ring) : NULL;
	if (pv_store_open(e->cache, &e->store, &err) < 0 || pv_fetch_new(e->store, 0, &e->fetch, &err) < 0)
		fail_msg("%s", err.text);
	e->req = (struct pv_archive_request){
		.suite = pv_suite_find("ubuntu", "noble"), .mirror = e->mirror, .security_mirror = e->mirror,
		.arch = "amd64", .keyring_option = e->ring, .trusted_keys = &e->pins, .keyring_host_path = "",
		.cache_dir = e->cache, .work_dir = e->work, .now = (int64_t)time(NULL),
	};
	e->req.components = NULL;
}

static void close_env(struct env *e)
{
	pv_fetch_free(e->fetch);
	pv_store_free(e->store);
	pv_strv_done(&e->pins);
	free(e->mirror);
	free(e->work);
	free(e->cache);
	free(e->ring);
}

/* noble, -updates and -security; what differs in noble alone is given. */
static void make_mirror(const struct fx *fx, const struct fx_suite *noble)
{
	struct fx_suite updates = { .name = "noble-updates" }, security = { .name = "noble-security" };

	updates.signer = security.signer = noble->signer;
	fx_suite(fx, noble);
	fx_suite(fx, &updates);
	fx_suite(fx, &security);
}

static struct pv_archive *opened(const struct env *e, const struct pv_strv *components)
{
	struct pv_archive_request req = e->req;
	struct pv_archive *a;
	pv_autoerror err = PV_ERROR_INIT;

	req.components = components;
	if (pv_archive_open(&req, e->store, e->fetch, NULL, NULL, &a, &err) < 0)
		fail_msg("%s", err.text);
	return a;
}

static void refused(const struct env *e, enum pv_error_kind kind, const char *words)
{
	pv_autostrv components = PV_STRV_INIT;
	struct pv_archive_request req = e->req;
	struct pv_archive *a = NULL;
	pv_autoerror err = PV_ERROR_INIT;

	pv_strv_add(&components, "main");
	req.components = &components;
	if (pv_archive_open(&req, e->store, e->fetch, NULL, NULL, &a, &err) == 0)
		fail_msg("opened; wanted: %s", words);
	assert_null(a);
	if (err.kind != kind || !strstr(err.text, words))
		fail_msg("kind %d \"%s\" lacks \"%s\"", err.kind, err.text, words);
}

static void no_record(const struct env *e)
{
	fx_sh(e->fx, "test ! -e cache/freshness; test -z \"$(ls cache/store/tmp | grep -v part$)\"");
}

static int count(void *ctx, const struct pv_stanza *s)
{
	(void)s;
	++*(int *)ctx;
	return 0;
}

static void accepts(const struct fx *fx, struct fx_suite noble)
{
	pv_autostrv components = PV_STRV_INIT;
	struct env e;
	int n = 0;

	noble.packages = packages;
	pv_strv_add(&components, "main");
	open_env(&e, fx, "good.gpg");
	make_mirror(fx, &noble);
	pv_autoarchive *a = opened(&e, &components);

	assert_int_equal(a->n, 3);
	assert_string_equal(a->indexes[0].suite, "noble");
	assert_string_equal(a->indexes[1].suite, "noble-updates");
	assert_string_equal(a->indexes[2].suite, "noble-security");
	assert_string_equal(a->indexes[0].component, "main");
	assert_false(pv_ends(a->indexes[0].base_url, "/"));
	assert_int_equal(pv_deb822_each_file(a->indexes[0].packages_path, count, &n, NULL), 0);
	assert_int_equal(n, 2);
	assert_int_equal(a->indexes[0].packages_size, strlen(packages));
	assert_int_equal(a->indexes[1].packages_size, 0);
	assert_true(pv_exists(a->indexes[1].packages_path));
	assert_true(pv_exists(a->indexes[0].inrelease_path));
	assert_true(a->newest_date > e.req.now - 60 && a->newest_date <= e.req.now + 60);
	assert_string_equal(a->origin, "Ubuntu");
	assert_int_equal(a->signed_by.n, 1);
	assert_string_equal(a->signed_by.v[0], fx->good);
	assert_false(a->stand_in);
	fx_sh(fx, "test -s cache/freshness/Ubuntu_noble; test -s cache/freshness/Ubuntu_noble-security; "
	      "grep -q '^Origin' work/noble.Release; ! grep -q PGP work/noble.Release; test -z \"$(ls cache/store/tmp)\"");
	close_env(&e);
}

static void test_opens(void **state)
{
	if (!*state)
		skip();
	accepts(*state, (struct fx_suite){ 0 });
	accepts(*state, (struct fx_suite){ .by_hash = true });
	accepts(*state, (struct fx_suite){ .by_hash_lie = true });
	accepts(*state, (struct fx_suite){ .no_xz = true });
	accepts(*state, (struct fx_suite){ .only_plain = true });
	accepts(*state, (struct fx_suite){ .valid_until = (int64_t)time(NULL) + 3600 });
}

/* Indexes in the cache that somebody changed, packed or not, size and all kept: they are not believed but fetched anew. */
static void test_changed_store(void **state)
{
	pv_autostrv components = PV_STRV_INIT;
	struct env e;

	if (!*state)
		skip();
	pv_strv_add(&components, "main");
	open_env(&e, *state, "good.gpg");
	make_mirror(*state, &(struct fx_suite){ .packages = packages });
	for (int round = 0; round < 3; round++) {
		pv_autoarchive *a = opened(&e, &components);
		pv_autofree char *text = NULL;

		assert_int_equal(pv_read_file(a->indexes[0].packages_path, 65536, &text, NULL, NULL), 0);
		assert_string_equal(text, packages);
		fx_sh(*state, "for f in cache/store/sha256/*/*; do chmod u+w $f; tr '0-9\\000' '1-90\\001' < $f > x; "
		      "cat x > $f; done");
		if (round == 1)		/* the packed one alone */
			assert_int_equal(unlink(a->indexes[0].packages_path), 0);
	}
	close_env(&e);
}

static void test_security_may_be_none(void **state)
{
	pv_autostrv components = PV_STRV_INIT;
	struct env e;

	if (!*state)
		skip();
	pv_strv_add(&components, "main");
	open_env(&e, *state, "good.gpg");
	make_mirror(*state, &(struct fx_suite){ 0 });
	fx_sh(*state, "rm -r mirror/dists/noble-security");
	refused(&e, PV_ERR_ARCHIVE, "security: none");
	e.req.security_mirror = NULL;
	pv_autoarchive *a = opened(&e, &components);

	assert_int_equal(a->n, 2);
	fx_sh(*state, "rm -r mirror/dists/noble-updates");
	refused(&e, PV_ERR_ARCHIVE, "noble-updates");
	close_env(&e);
}

static void test_stand_in(void **state)
{
	pv_autostrv components = PV_STRV_INIT;
	struct env e;

	if (!*state)
		skip();
	pv_strv_add(&components, "main");
	open_env(&e, *state, "good.gpg");
	make_mirror(*state, &(struct fx_suite){ .label = "Ubuntu stand-in" });
	pv_autoarchive *a = opened(&e, &components);

	assert_true(a->stand_in);
	/* a test's archive leaves no mark that the real one would have to be newer than */
	fx_sh(*state, "test -e cache/freshness/Ubuntu-stand-in_noble; test ! -e cache/freshness/Ubuntu_noble");
	close_env(&e);
}

static void refuses_noble(const struct fx *fx, struct fx_suite noble, const char *words)
{
	struct env e;

	open_env(&e, fx, "good.gpg");
	make_mirror(fx, &noble);
	refused(&e, PV_ERR_ARCHIVE, words);
	no_record(&e);
	close_env(&e);
}

static void test_refuses_identity(void **state)
{
	struct fx *fx = *state;

	if (!fx)
		skip();
	refuses_noble(fx, (struct fx_suite){ .origin = "Debian" }, "Origin \"Debian\"");
	refuses_noble(fx, (struct fx_suite){ .codename = "jammy" }, "Codename \"jammy\"");
	refuses_noble(fx, (struct fx_suite){ .suite = "jammy", .codename = "jammy" }, "not those of noble");
	refuses_noble(fx, (struct fx_suite){ .archs = "arm64" }, "no architecture amd64");
	refuses_noble(fx, (struct fx_suite){ .components = "universe" }, "no component main");
	refuses_noble(fx, (struct fx_suite){ .valid_until = 1700000000 }, "expired on 2023-11-14");
	refuses_noble(fx, (struct fx_suite){ .date = (int64_t)time(NULL) + 86400 }, "set the clock");
	refuses_noble(fx, (struct fx_suite){ .signer = fx->other }, "which is not in");
}

/* What `line` does to a good mirror is noticed. */
static void refuses_after(const struct fx *fx, const char *line, const char *words)
{
	struct env e;

	open_env(&e, fx, "good.gpg");
	make_mirror(fx, &(struct fx_suite){ .packages = packages });
	fx_sh(fx, "cd mirror/dists/noble; %s", line);
	refused(&e, PV_ERR_ARCHIVE, words);
	no_record(&e);
	close_env(&e);
}

static void test_refuses_changes(void **state)
{
	struct fx *fx = *state;

	if (!fx)
		skip();
	refuses_after(fx, "rm InRelease", "dists/noble/InRelease");
	refuses_after(fx, "cp Release InRelease", "not a signed file");
	refuses_after(fx, "sed -i 's/^Label: Ubuntu/Label: ubuntu/' InRelease", "changed after it was signed");
	refuses_after(fx, "sed -i '1i Label: x' InRelease", "beginning");
	refuses_after(fx, "echo 'Label: x' >>InRelease", "after the signature");
	refuses_after(fx, "truncate -s 5M InRelease", "InRelease");
	refuses_after(fx, "cp ../noble-updates/InRelease InRelease", "not those of noble");
	refuses_after(fx, "rm main/binary-amd64/Packages*", "Packages.xz");
	refuses_after(fx, "f=main/binary-amd64/Packages.xz; tr '\\0-\\377' '\\1-\\377\\0' <$f >x; cat x >$f", "Packages.xz");
	refuses_after(fx, "f=main/binary-amd64/Packages.xz; head -c 40 $f >x; cat x >$f", "Packages.xz");
}

/* `line` changes the index below main/binary-amd64, and all is signed anew: a careless or hostile signer. */
static void refuses_signed(const struct fx *fx, const char *line, const char *words)
{
	struct env e;

	open_env(&e, fx, "good.gpg");
	make_mirror(fx, &(struct fx_suite){ .packages = packages });
	fx_sh(fx, "d=$PWD; cd mirror/dists/noble; sed -i '/^ /d' Release; (cd main/binary-amd64; %s); cd $d; "
	      "sums mirror/dists/noble >>mirror/dists/noble/Release; %s; "
	      "rm mirror/dists/noble/InRelease; sign_as $GOOD mirror/dists/noble/Release mirror/dists/noble/InRelease",
	      line, strstr(line, "#gone") ? "sed -i '/Packages$/d' mirror/dists/noble/Release" : ":");
	refused(&e, PV_ERR_ARCHIVE, words);
	no_record(&e);
	close_env(&e);
}

static void test_refuses_bad_indexes(void **state)
{
	struct fx *fx = *state;

	if (!fx)
		skip();
	refuses_signed(fx, "truncate -s 50M big; xz -c big >Packages.xz; rm big", "unpacks to more");
	refuses_signed(fx, "printf 'Package: z\\n' | xz -c >Packages.xz", "unpacks to something else");
	refuses_signed(fx, "tr a b <Packages | xz -c >Packages.xz", "unpacks to something else");
	refuses_signed(fx, "head -c 200 /dev/urandom >Packages.xz", "damaged");
	refuses_signed(fx, "rm -f Packages.*; : #gone\n", "lists no main/binary-amd64/Packages");
}

static void test_freshness(void **state)
{
	pv_autostrv components = PV_STRV_INIT;
	struct fx *fx = *state;
	struct env e;

	if (!fx)
		skip();
	pv_strv_add(&components, "main");
	open_env(&e, fx, "good.gpg");
	make_mirror(fx, &(struct fx_suite){ .packages = packages });
	pv_archive_free(opened(&e, &components));
	pv_archive_free(opened(&e, &components));
	/* a replay of an older, still valid file */
	fx_suite(fx, &(struct fx_suite){ .packages = packages, .date = e.req.now - 90000 });
	refused(&e, PV_ERR_ARCHIVE, "--allow-older");
	e.req.allow_older = true;
	pv_archive_free(opened(&e, &components));
	fx_suite(fx, &(struct fx_suite){ .packages = packages, .date = e.req.now - 90000,
					 .valid_until = e.req.now - 80000 });
	pv_archive_free(opened(&e, &components));
	e.req.allow_older = false;
	refused(&e, PV_ERR_ARCHIVE, "expired");
	close_env(&e);
}

/* -- keys from the mirror's own package -- */

static void test_pinned_bootstrap(void **state)
{
	pv_autostrv components = PV_STRV_INIT;
	struct fx *fx = *state;
	struct env e;

	if (!fx)
		skip();
	pv_strv_add(&components, "main");
	open_env(&e, fx, NULL);
	pv_strv_add(&e.pins, fx->good);
	pv_autofree char *stanza = fx_keyring_package(fx, "both.gpg", "1");

	make_mirror(fx, &(struct fx_suite){ .packages = stanza });
	pv_autoarchive *a = opened(&e, &components);

	assert_string_equal(a->keyring_from, "package ubuntu-keyring, pinned keys");
	assert_true(pv_exists(a->keyring_path));
	/* the attacker's key is in the package; the attacker signs */
	fx_sh(fx, "rm -rf cache/freshness");
	make_mirror(fx, &(struct fx_suite){ .packages = stanza, .signer = fx->other });
	refused(&e, PV_ERR_ARCHIVE, "signed by key");
	no_record(&e);
	close_env(&e);
}

/* A man in the middle serves his index for the first look, and the true one, signed, for the second. */
static void test_package_not_in_signed_index(void **state)
{
	struct fx *fx = *state;
	struct env e;

	if (!fx)
		skip();
	open_env(&e, fx, NULL);
	pv_strv_add(&e.pins, fx->good);
	pv_autofree char *true_stanza = fx_keyring_package(fx, "good.gpg", "1");
	pv_autofree char *false_stanza = fx_keyring_package(fx, "both.gpg", "2");

	make_mirror(fx, &(struct fx_suite){ .packages = true_stanza });
	/* gpgv is where the first look ends: a wrapper puts the true files in place before it verifies */
	fx_sh(fx, "mv mirror/dists/noble true; mkdir -p wrap");
	fx_suite(fx, &(struct fx_suite){ .packages = false_stanza, .signer = fx->other });
	fx_sh(fx, "real=$(command -v gpg); printf '#!/bin/sh\\nrm -rf %%s/mirror/dists/noble\\n"
	      "cp -r %%s/true %%s/mirror/dists/noble\\nexec %%s \"$@\"\\n' $PWD $PWD $PWD $real >wrap/gpg; chmod 755 wrap/gpg");
	pv_autofree char *old = pv_xstrdup(getenv("PATH"));
	pv_autofree char *path = pv_fmt("%s/wrap:%s", fx->dir, old);

	setenv("PATH", path, 1);
	refused(&e, PV_ERR_ARCHIVE, "not the one in the signed index");
	setenv("PATH", old, 1);
	no_record(&e);
	close_env(&e);
}

static void test_no_keyring(void **state)
{
	struct env e;

	if (!*state)
		skip();
	open_env(&e, *state, NULL);
	make_mirror(*state, &(struct fx_suite){ 0 });
	refused(&e, PV_ERR_HOST, "install ubuntu-keyring");
	close_env(&e);
}

static void test_errors_hide_credentials(void **state)
{
	struct env e;

	if (!*state)
		skip();
	open_env(&e, *state, "good.gpg");
	e.req.mirror = "http://user:hunter2@127.0.0.1:1/ubuntu";
	pv_autostrv components = PV_STRV_INIT;
	struct pv_archive *a = NULL;
	pv_autoerror err = PV_ERROR_INIT;

	pv_strv_add(&components, "main");
	e.req.components = &components;
	assert_int_equal(pv_archive_open(&e.req, e.store, e.fetch, NULL, NULL, &a, &err), -1);
	assert_int_equal(err.kind, PV_ERR_ARCHIVE);
	assert_null(strstr(err.text, "hunter2"));
	assert_non_null(strstr(err.text, "127.0.0.1"));
	close_env(&e);
}

static void sibling(const char *distribution, const char *codename, const char *mirror, const char *want)
{
	pv_autofree char *got = pv_archive_security_url(pv_suite_find(distribution, codename), mirror);

	if (!pv_streq(got, want))
		fail_msg("%s gave %s", mirror, got ? got : "(nothing)");
}

static void test_security_url(void **state)
{
	(void)state;
	sibling("debian", "bookworm", "http://m.test/debian", "http://m.test/debian-security");
	sibling("debian", "bookworm", "http://m.test/x/debian//", "http://m.test/x/debian-security");
	sibling("debian", "bookworm", "file:///srv/debian", "file:///srv/debian-security");
	sibling("debian", "bookworm", "http://m.test/mirror", NULL);
	sibling("debian", "bookworm", "http://m.test/mydebian", NULL);
	sibling("ubuntu", "noble", "http://m.test/ubuntu/", "http://m.test/ubuntu");
	sibling("ubuntu", "noble", "http://m.test/any", "http://m.test/any");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_opens),
		cmocka_unit_test(test_changed_store),
		cmocka_unit_test(test_security_may_be_none),
		cmocka_unit_test(test_stand_in),
		cmocka_unit_test(test_refuses_identity),
		cmocka_unit_test(test_refuses_changes),
		cmocka_unit_test(test_refuses_bad_indexes),
		cmocka_unit_test(test_freshness),
		cmocka_unit_test(test_pinned_bootstrap),
		cmocka_unit_test(test_package_not_in_signed_index),
		cmocka_unit_test(test_no_keyring),
		cmocka_unit_test(test_errors_hide_credentials),
		cmocka_unit_test(test_security_url),
	};

	setenv(PV_FETCH_ENV_PAUSE, "1", 1);
	if (pv_fetch_global_init(NULL) < 0)
		return 1;
	return cmocka_run_group_tests(tests, setup, teardown);
}
