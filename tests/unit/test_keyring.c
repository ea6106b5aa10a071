/* SPDX-License-Identifier: Apache-2.0 */
/* Where keys come from, and that a mirror's own keyring package gets no further than the pinned fingerprints. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive_help.h"
#include "check.h"
#include "fetch.h"
#include "fsutil.h"
#include "gpg.h"
#include "keyring.h"
#include "pkgindex.h"
#include "store.h"

static int setup(void **state)
{
	struct fx *fx = fx_new();

	*state = fx;
	if (fx)
		fx_sh(fx, "export_keys good.gpg good@test; export_keys other.gpg other@test; "
		      "export_keys both.gpg good@test other@test; export_keys adopter.gpg adopter@test; "
		      "cat good.gpg adopter.gpg >hostile.gpg; gpg --armor --export good@test >good.asc 2>/dev/null");
	return 0;
}

static int teardown(void **state)
{
	fx_free(*state);
	return 0;
}

struct env {
	const struct fx *fx;
	struct pv_store *store;
	struct pv_fetch *fetch;
	char *mirror, *work, *cache;
	struct pv_strv pins;
	struct pv_keyring_request req;
};

static void open_env(struct env *e, const struct fx *fx, const char *pin)
{
	pv_autoerror err = PV_ERROR_INIT;

	*e = (struct env){ .fx = fx };
	e->mirror = pv_fmt("file://%s/mirror", fx->dir);
	e->work = fx_path(fx, "work");
	e->cache = fx_path(fx, "cache");
	if (pin)
		pv_strv_add(&e->pins, pin);
	if (pv_store_open(e->cache, &e->store, &err) < 0 || pv_fetch_new(e->store, 0, &e->fetch, &err) < 0)
		fail_msg("%s", err.text);
	e->req = (struct pv_keyring_request){
		.suite = pv_suite_find("ubuntu", "noble"), .trusted_keys = &e->pins, .host_path = "",
		.mirror = e->mirror, .component = "main", .arch = "amd64", .work_dir = e->work,
		.store = e->store, .fetch = e->fetch,
	};
}

static void close_env(struct env *e)
{
	pv_fetch_free(e->fetch);
	pv_store_free(e->store);
	pv_strv_done(&e->pins);
	free(e->mirror);
	free(e->work);
	free(e->cache);
}

static void found(const struct env *e, struct pv_keyring *ret)
{
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_keyring_find(&e->req, ret, &err) < 0)
		fail_msg("%s", err.text);
}

static void not_found(const struct env *e, enum pv_error_kind kind, const char *words)
{
	pv_autokeyring k = { 0 };
	pv_autoerror err = PV_ERROR_INIT;

	assert_int_equal(pv_keyring_find(&e->req, &k, &err), -1);
	if (err.kind != kind || !strstr(err.text, words))
		fail_msg("kind %d \"%s\" lacks \"%s\"", err.kind, err.text, words);
	assert_null(k.path);
}

static void test_option_and_host(void **state)
{
	struct env e;

	if (!*state)
		skip();
	pv_autofree char *good = fx_path(*state, "good.gpg"), *asc = fx_path(*state, "good.asc");
	pv_autofree char *none = fx_path(*state, "none.gpg"), *made = fx_path(*state, "work/archive-keyring.gpg");

	open_env(&e, *state, NULL);
	not_found(&e, PV_ERR_HOST, "install ubuntu-keyring, give --keyring");
	e.req.host_path = none;
	not_found(&e, PV_ERR_HOST, "install ubuntu-keyring");
	e.req.host_path = good;
	{
		pv_autokeyring k = { 0 };

		found(&e, &k);
		assert_int_equal(k.source, PV_KEYRING_HOST);
		assert_string_equal(k.path, good);
		assert_int_equal(pv_keyring_confirm(&k, "/nonexistent", NULL), 0);
	}
	e.req.option = asc;
	{
		pv_autokeyring k = { 0 };

		found(&e, &k);
		assert_int_equal(k.source, PV_KEYRING_OPTION);
		assert_string_equal(k.path, made);
	}
	e.req.option = none;
	not_found(&e, PV_ERR_HOST, "none.gpg");
	close_env(&e);
}

static void test_pins_restrict_files(void **state)
{
	struct fx *fx = *state;
	struct env e;
	pv_autokeyring k = { 0 };
	pv_autostrv keys = PV_STRV_INIT;

	if (!fx)
		skip();
	pv_autofree char *both = fx_path(fx, "both.gpg"), *other = fx_path(fx, "other.gpg");

	open_env(&e, fx, fx->good);
	e.req.option = both;
	found(&e, &k);
	assert_int_equal(pv_gpg_keyring_list(k.path, e.work, &keys, NULL), 0);
	assert_int_equal(keys.n, 1);
	assert_string_equal(keys.v[0], fx->good);
	assert_int_equal(k.pins.n, 1);
	e.req.option = other;
	not_found(&e, PV_ERR_ARCHIVE, "none of the trusted keys");
	close_env(&e);
}

/* The keyring package's file is `ring`; the mirror is signed by `signer`. */
static void make_mirror(const struct fx *fx, const char *ring, const char *signer)
{
	pv_autofree char *stanza = fx_keyring_package(fx, ring, "1");

	fx_suite(fx, &(struct fx_suite){ .packages = stanza, .signer = signer, .by_hash = true });
}

static void test_package_and_its_extra_key(void **state)
{
	struct fx *fx = *state;
	struct env e;
	pv_autokeyring k = { 0 };
	pv_autostrv keys = PV_STRV_INIT;

	if (!fx)
		skip();
	/* other is the attacker: his key is in the mirror's package beside the pinned one */
	make_mirror(fx, "both.gpg", fx->other);
	open_env(&e, fx, fx->good);
	found(&e, &k);
	assert_int_equal(k.source, PV_KEYRING_PACKAGE);
	assert_string_equal(k.package, "ubuntu-keyring");
	assert_int_equal(pv_gpg_keyring_list(k.path, e.work, &keys, NULL), 0);
	assert_int_equal(keys.n, 1);
	assert_string_equal(keys.v[0], fx->good);
	fx_sh(fx, "test ! -e ran-it; test -z \"$(find . -name ran-it)\"; test -z \"$(ls -d work/gnupg.* 2>/dev/null)\"");

	size_t len;
	pv_autofree char *inrelease = fx_read(fx, "mirror/dists/noble/InRelease", &len);
	pv_autoerror err = PV_ERROR_INIT;

	assert_int_equal(pv_gpg_verify_inline(inrelease, len, k.path, &k.pins, NULL, NULL, &err), -1);
	assert_int_equal(err.kind, PV_ERR_ARCHIVE);
	close_env(&e);
}

static void test_package_without_pinned_key(void **state)
{
	struct fx *fx = *state;
	struct env e;

	if (!fx)
		skip();
	make_mirror(fx, "other.gpg", fx->other);
	open_env(&e, fx, fx->good);
	not_found(&e, PV_ERR_ARCHIVE, "none of the trusted keys");
	make_mirror(fx, "adopter.gpg", fx->adopter);
	not_found(&e, PV_ERR_ARCHIVE, "as its own subkey");
	make_mirror(fx, "hostile.gpg", fx->adopter);
	not_found(&e, PV_ERR_ARCHIVE, "as its own subkey");
	close_env(&e);
}

static void test_package_must_be_in_signed_index(void **state)
{
	struct fx *fx = *state;
	struct env e;
	pv_autokeyring k = { 0 };
	pv_autoerror err = PV_ERROR_INIT;

	if (!fx)
		skip();
	make_mirror(fx, "good.gpg", fx->good);
	open_env(&e, fx, fx->good);
	found(&e, &k);
	pv_autofree char *stanza = fx_read(fx, "stanza", NULL);
	pv_autofree char *index = fx_path(fx, "index"), *same = fx_read(fx, "stanza", NULL);

	fx_write(fx, "index", stanza, strlen(stanza));
	assert_int_equal(pv_keyring_confirm(&k, index, &err), 0);
	/* the same name with another digest, another size, or not there at all */
	strstr(stanza, "SHA256: ")[8] ^= 1;
	fx_write(fx, "index", stanza, strlen(stanza));
	assert_int_equal(pv_keyring_confirm(&k, index, &err), -1);
	assert_int_equal(err.kind, PV_ERR_ARCHIVE);
	pv_error_clear(&err);
	memcpy(strstr(same, "Size: "), "Size: 1", 7);
	fx_write(fx, "index", same, strlen(same));
	assert_int_equal(pv_keyring_confirm(&k, index, &err), -1);
	pv_error_clear(&err);
	fx_write(fx, "index", "", 0);
	assert_int_equal(pv_keyring_confirm(&k, index, &err), -1);
	assert_non_null(strstr(err.text, "not the one in the signed index"));
	close_env(&e);
}

static void test_hostile_index(void **state)
{
	static const char *const bad[] = {
		"Package: ubuntu-keyring\nFilename: ../../etc/passwd\nSize: 1\nSHA256: %s\n",
		"Package: ubuntu-keyring\nFilename: /etc/passwd\nSize: 1\nSHA256: %s\n",
		"Package: ubuntu-keyring\nFilename: pool/x.deb\nSize: 99999999\nSHA256: %s\n",
		"Package: ubuntu-keyring\nFilename: pool/x.deb\nSize: -1\nSHA256: %s\n",
		"Package: ubuntu-keyring\nFilename: pool/x.deb\nSize: 1\nSHA256: %.10s\n",
		"Package: another\nFilename: pool/x.deb\nSize: 1\nSHA256: %s\n",
		"Package: ubuntu-keyring\nFilename: pool/none.deb\nSize: 1\nSHA256: %s\n",
	};
	static const char hex[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
	struct fx *fx = *state;
	struct env e;

	if (!fx)
		skip();
	open_env(&e, fx, fx->good);
	for (size_t i = 0; i < PV_COUNT(bad); i++) {
		pv_autostr text = PV_STR_INIT;
		const char *percent = strchr(bad[i], '%');

		pv_str_addn(&text, bad[i], (size_t)(percent - bad[i]));
		pv_str_addn(&text, hex, percent[1] == '.' ? 10 : 64);
		pv_str_add(&text, "\n");
		fx_suite(fx, &(struct fx_suite){ .packages = text.data });
		not_found(&e, PV_ERR_ARCHIVE, "taking ubuntu-keyring from the mirror");
	}
	close_env(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_option_and_host),
		cmocka_unit_test(test_pins_restrict_files),
		cmocka_unit_test(test_package_and_its_extra_key),
		cmocka_unit_test(test_package_without_pinned_key),
		cmocka_unit_test(test_package_must_be_in_signed_index),
		cmocka_unit_test(test_hostile_index),
	};

	setenv(PV_FETCH_ENV_PAUSE, "1", 1);
	if (pv_fetch_global_init(NULL) < 0)
		return 1;
	return cmocka_run_group_tests(tests, setup, teardown);
}
