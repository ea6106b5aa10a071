/* SPDX-License-Identifier: Apache-2.0 */
/* Which signatures are accepted, and which keys a made keyring holds; with throw-away keys and the real gpg and gpgv. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive_help.h"
#include "check.h"
#include "fsutil.h"
#include "gpg.h"

static const char text[] = "Origin: x\n- dash\n-----dashes\nFrom me\nlast: line\n";

static int setup(void **state)
{
	struct fx *fx = fx_new();

	*state = fx;
	if (!fx)
		return 0;
	fx_write(fx, "text", text, strlen(text));
	fx_sh(fx, "export_keys good.gpg good@test; export_keys other.gpg other@test; export_keys expired.gpg expired@test; "
	      "export_keys both.gpg good@test other@test; export_keys adopter.gpg adopter@test; "
	      "sign_as $GOOD text good.asc; sign_as $OTHER text other.asc; sign_as \"$OTHER $GOOD\" text two.asc; "
	      "sign_as $EXPIRED text expired.asc --faked-system-time 20200601T000000; "
	      "sign_as $REVOKED text revoked.asc; sign_as $GOOD text sha1.asc --digest-algo SHA1; "
	      "quiet_gpg -u $GOOD! --output sigexp.asc --faked-system-time 20240601T000000 "
	      "--default-sig-expire 1d --clearsign text");
	fx_sh(fx, "sed 's/^:---/---/' keys/openpgp-revocs.d/$REVOKED.rev >rev; quiet_gpg --import rev; "
	      "export_keys revoked.gpg revoked@test");
	return 0;
}

static int teardown(void **state)
{
	fx_free(*state);
	return 0;
}

/* Checks file `name` with ring and at most one trusted key. words NULL: must be accepted. */
static void verify(const struct fx *fx, const char *name, const char *ring, const char *trusted,
		   const char *signer, const char *words)
{
	pv_autofree char *path = fx_path(fx, ring);
	size_t len;
	pv_autofree char *data = fx_read(fx, name, &len);
	pv_autofree char *fingerprint = NULL;
	pv_autostrv keys = PV_STRV_INIT;
	pv_autostr content = PV_STR_INIT;
	pv_autoerror err = PV_ERROR_INIT;
	int rc;

	if (trusted)
		pv_strv_add(&keys, trusted);
	rc = pv_gpg_verify_inline(data, len, path, &keys, &content, &fingerprint, &err);
	if (!words) {
		if (rc < 0)
			fail_msg("%s: %s", name, err.text);
		assert_string_equal(pv_str_text(&content), text);
		assert_string_equal(fingerprint, signer);
		return;
	}
	if (rc == 0)
		fail_msg("%s: accepted", name);
	assert_null(content.data);
	assert_null(fingerprint);
	assert_int_equal(err.kind, PV_ERR_ARCHIVE);
	if (!strstr(err.text, words))
		fail_msg("%s: \"%s\" lacks \"%s\"", name, err.text, words);
}

static void test_accepts(void **state)
{
	struct fx *fx = *state;

	if (!fx)
		skip();
	verify(fx, "good.asc", "good.gpg", NULL, fx->good, NULL);
	verify(fx, "good.asc", "good.gpg", fx->good, fx->good, NULL);
	verify(fx, "good.asc", "both.gpg", fx->good, fx->good, NULL);
	/* one of two signatures counts: the other's key is not there, or not believed */
	verify(fx, "two.asc", "good.gpg", NULL, fx->good, NULL);
	verify(fx, "two.asc", "both.gpg", fx->good, fx->good, NULL);
}

static void test_primary_of_subkey(void **state)
{
	struct fx *fx = *state;

	if (!fx)
		skip();
	/* other has a signing subkey: the primary's fingerprint counts, and is what is given back */
	fx_sh(fx, "sub=$(gpg -k --with-colons $OTHER 2>/dev/null | sed -n 's/^fpr:::::::::\\(.*\\):/\\1/p' | "
	      "sed -n 2p); test -n \"$sub\"; sign_as $sub text sub.asc; printf 'SUB=%%s\\n' $sub >>names");
	verify(fx, "sub.asc", "other.gpg", fx->other, fx->other, NULL);
	verify(fx, "sub.asc", "other.gpg", fx->good, NULL, "trusted-keys do not name");
}

static void test_refuses_keys(void **state)
{
	struct fx *fx = *state;

	if (!fx)
		skip();
	verify(fx, "other.asc", "good.gpg", NULL, NULL, "which is not in");
	verify(fx, "other.asc", "both.gpg", fx->good, NULL, "trusted-keys do not name");
	verify(fx, "expired.asc", "expired.gpg", NULL, NULL, "expired or revoked");
	verify(fx, "revoked.asc", "revoked.gpg", NULL, NULL, "expired or revoked");
	verify(fx, "sigexp.asc", "good.gpg", NULL, NULL, "expired or revoked");
	verify(fx, "sha1.asc", "good.gpg", NULL, NULL, "no signature that can be accepted");
}

static void test_refuses_shapes(void **state)
{
	struct fx *fx = *state;

	if (!fx)
		skip();
	fx_sh(fx, "sed 's/last: line/last: lime/' good.asc >tampered.asc; sed 's/last: line/last: lime/' two.asc >two-bad.asc; "
	      "{ echo Origin: y; cat good.asc; } >before.asc; { cat good.asc; echo Origin: y; } >after.asc; "
	      "cat good.asc good.asc >twice.asc; sed '1,/^$/s/^$/Comment: x\\n/' good.asc >header.asc; "
	      "head -n 5 good.asc >cut.asc; { head -n 1 good.asc; printf '\\0'; tail -n +2 good.asc; } >nul.asc; "
	      "quiet_gpg -u $GOOD! --output signed.bin --sign text; quiet_gpg -u $GOOD --armor --output signed.asc --sign text; "
	      ": >empty");
	verify(fx, "text", "good.gpg", NULL, NULL, "not a signed file");
	verify(fx, "empty", "good.gpg", NULL, NULL, "not a signed file");
	verify(fx, "tampered.asc", "good.gpg", NULL, NULL, "changed after it was signed");
	/* a bad signature spoils the file, whoever else signed */
	verify(fx, "two-bad.asc", "both.gpg", NULL, NULL, "changed after it was signed");
	verify(fx, "before.asc", "good.gpg", NULL, NULL, "beginning");
	verify(fx, "after.asc", "good.gpg", NULL, NULL, "after the signature");
	verify(fx, "twice.asc", "good.gpg", NULL, NULL, "not a signed file");
	verify(fx, "header.asc", "good.gpg", NULL, NULL, "armor header");
	verify(fx, "cut.asc", "good.gpg", NULL, NULL, "no signature");
	verify(fx, "nul.asc", "good.gpg", NULL, NULL, "NUL");
	verify(fx, "signed.bin", "good.gpg", NULL, NULL, "not a signed file");
	verify(fx, "signed.asc", "good.gpg", NULL, NULL, "not a signed file");
}

static void test_one_bad_beside_good(void **state)
{
	struct fx *fx = *state;

	if (!fx)
		skip();
	/* good's signature of this text, and other's of another one, in one block; the last newline of a clearsigned text
	 * is not part of what is signed */
	fx_sh(fx, "printf %%s \"$(cat text)\" >text0; echo else >else; sig='--digest-algo SHA512 --textmode'; "
	      "quiet_gpg -u $GOOD! --output a.sig $sig --detach-sign text0; "
	      "quiet_gpg -u $OTHER! --output b.sig $sig --detach-sign else; cat a.sig b.sig >ab.sig; "
	      "for s in a ab; do { echo '-----BEGIN PGP SIGNED MESSAGE-----'; echo 'Hash: SHA512'; echo; "
	      "sed 's/^-/- -/' text; echo '-----BEGIN PGP SIGNATURE-----'; echo; base64 $s.sig; "
	      "echo '-----END PGP SIGNATURE-----'; } >$s.asc; done");
	verify(fx, "a.asc", "both.gpg", fx->good, fx->good, NULL);
	verify(fx, "ab.asc", "both.gpg", fx->good, NULL, "changed after it was signed");
}

static void test_unreadable_keyring(void **state)
{
	struct fx *fx = *state;
	pv_autofree char *path = fx ? fx_path(fx, "none.gpg") : NULL;
	pv_autoerror err = PV_ERROR_INIT;

	if (!fx)
		skip();
	assert_int_equal(pv_gpg_verify_inline("x", 1, path, NULL, NULL, NULL, &err), -1);
	assert_int_equal(err.kind, PV_ERR_HOST);
	assert_non_null(strstr(err.text, path));
}

static void test_unverified_text(void **state)
{
	struct fx *fx = *state;
	size_t len;

	if (!fx)
		skip();
	pv_autofree char *data = fx_read(fx, "good.asc", &len);
	pv_autostr content = PV_STR_INIT;

	assert_int_equal(pv_gpg_unverified_text(data, len, &content, NULL), 0);
	assert_string_equal(pv_str_text(&content), text);
}

/* -- keyrings -- */

/* Makes made.gpg; words NULL: must work and then hold exactly the keys `want` (blank between, sorted). */
static void make(const struct fx *fx, const char *material, const char *pin, const char *want, const char *words)
{
	size_t len;
	pv_autofree char *data = fx_read(fx, material, &len);
	pv_autofree char *work = fx_path(fx, "work"), *made = fx_path(fx, "made.gpg"), *got = NULL;
	pv_autostrv pins = PV_STRV_INIT, keys = PV_STRV_INIT;
	pv_autoerror err = PV_ERROR_INIT;
	int rc;

	unlink(made);
	if (pin)
		pv_strv_add(&pins, pin);
	rc = pv_gpg_keyring_make(data, len, &pins, work, made, &err);
	if (words) {
		if (rc == 0)
			fail_msg("%s: accepted", material);
		if (!strstr(err.text, words))
			fail_msg("\"%s\" lacks \"%s\"", err.text, words);
		assert_false(pv_exists(made));
		return;
	}
	if (rc < 0 || pv_gpg_keyring_list(made, work, &keys, &err) < 0)
		fail_msg("%s: %s", material, err.text);
	pv_strv_sort(&keys);
	got = pv_strv_join(&keys, " ");
	assert_string_equal(got, want);
	fx_sh(fx, "test -z \"$(ls work)\"");
}

static void test_keyring_forms(void **state)
{
	struct fx *fx = *state;

	if (!fx)
		skip();
	fx_sh(fx, "gpg --armor --export good@test >armored.asc 2>/dev/null; gpg --armor --export other@test >armored2.asc 2>/dev/null; "
	      "cat armored.asc armored2.asc >armored-two.asc; cp keys/pubring.kbx box.kbx; "
	      ""
	      "quiet_gpg --no-default-keyring --keyring $PWD/small.kbx --import good.gpg || tail -3 gpg.log >&2; echo nothing >junk");
	make(fx, "good.gpg", NULL, fx->good, NULL);
	make(fx, "armored.asc", NULL, fx->good, NULL);
	verify(fx, "good.asc", "made.gpg", NULL, fx->good, NULL);
	make(fx, "armored-two.asc", fx->other, fx->other, NULL);
	make(fx, "small.kbx", NULL, fx->good, NULL);
	make(fx, "box.kbx", fx->other, fx->other, NULL);
	make(fx, "junk", NULL, NULL, "no OpenPGP key");
	make(fx, "junk", fx->good, NULL, "none of the trusted keys");
}

static void test_keyring_keeps_only_pinned(void **state)
{
	struct fx *fx = *state;

	if (!fx)
		skip();
	make(fx, "both.gpg", fx->good, fx->good, NULL);
	verify(fx, "good.asc", "made.gpg", NULL, fx->good, NULL);
	verify(fx, "other.asc", "made.gpg", NULL, NULL, "which is not in");
	make(fx, "other.gpg", fx->good, NULL, "none of the trusted keys");
	make(fx, "both.gpg", "good", NULL, "not 40 upper-case hex digits");
	/* a subkey's fingerprint is no pin for its primary */
	fx_sh(fx, "gpg -k --with-colons $OTHER 2>/dev/null | sed -n 's/^fpr:::::::::\\(.*\\):/\\1/p' | sed -n 2p | "
	      "tr -d '\\n' >subfpr");
	pv_autofree char *sub = fx_read(fx, "subfpr", NULL);

	make(fx, "other.gpg", sub, NULL, "as its own subkey");
}

static void test_adopted_key(void **state)
{
	struct fx *fx = *state;

	if (!fx)
		skip();
	/* the adopter's key has good's key as its subkey: asking gpg for good's fingerprint finds the adopter */
	fx_sh(fx, "gpg -k --with-colons $ADOPTER 2>/dev/null | grep -q \"^fpr:::::::::$GOOD:\"");
	make(fx, "adopter.gpg", fx->good, NULL, "as its own subkey");
	verify(fx, "good.asc", "adopter.gpg", fx->good, NULL, "");
}

/* Length of the OpenPGP packet at p: old format only, as gpg writes keys. */
static size_t packet_len(const unsigned char *p, size_t left)
{
	size_t n;

	assert_true(left >= 3 && (p[0] & 0xc0) == 0x80);
	n = (p[0] & 3) == 0 ? 2 + (size_t)p[1] : 3 + ((size_t)p[1] << 8 | p[2]);
	assert_true((p[0] & 3) <= 1 && n <= left);
	return n;
}

/* good's key block with the packets of `from` behind its first subkey packet (tag 14) pasted on. */
static void splice(const struct fx *fx, const char *base, const char *from, const char *out)
{
	size_t base_len, len, pos = 0;
	pv_autofree char *block = fx_read(fx, base, &base_len);
	pv_autofree char *donor = fx_read(fx, from, &len);
	pv_autostr text_out = PV_STR_INIT;
	bool subkey = false;

	pv_str_addn(&text_out, block, base_len);
	while (pos < len) {
		const unsigned char *p = (const unsigned char *)donor + pos;
		size_t n = packet_len(p, len - pos);

		subkey = subkey || ((p[0] >> 2) & 15) == 14;
		if (subkey)
			pv_str_addn(&text_out, p, n);
		pos += n;
	}
	assert_true(subkey && text_out.len > base_len);
	fx_write(fx, out, text_out.data, text_out.len);
}

static void test_forged_subkey(void **state)
{
	struct fx *fx = *state;

	if (!fx)
		skip();
	/* other's signing subkey, with other's binding, hung below good's primary key */
	splice(fx, "good.gpg", "other.gpg", "forged.gpg");
	fx_sh(fx, "sub=$(gpg -k --with-colons $OTHER 2>/dev/null | sed -n 's/^fpr:::::::::\\(.*\\):/\\1/p' | "
	      "sed -n 2p); rm -f forged.asc; sign_as $sub text forged.asc");
	verify(fx, "forged.asc", "other.gpg", NULL, fx->other, NULL);
	verify(fx, "forged.asc", "forged.gpg", fx->good, NULL, "");
	verify(fx, "forged.asc", "forged.gpg", NULL, NULL, "");
	verify(fx, "good.asc", "forged.gpg", fx->good, fx->good, NULL);
	make(fx, "forged.gpg", fx->good, fx->good, NULL);
	verify(fx, "forged.asc", "made.gpg", fx->good, NULL, "");
	verify(fx, "good.asc", "made.gpg", fx->good, fx->good, NULL);
}

/* A gpgv that says nothing, or lies by its exit code alone, convinces nobody. */
static void test_exit_code_is_not_believed(void **state)
{
	struct fx *fx = *state;
	pv_autofree char *old = pv_xstrdup(getenv("PATH"));

	if (!fx)
		skip();
	fx_sh(fx, "mkdir -p fake; printf '#!/bin/sh\\ncat\\nexit 0\\n' >fake/gpgv; chmod 755 fake/gpgv");
	pv_autofree char *path = pv_fmt("%s/fake:%s", fx->dir, old);

	setenv("PATH", path, 1);
	verify(fx, "good.asc", "good.gpg", NULL, NULL, "");
	setenv("PATH", old, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepts),
		cmocka_unit_test(test_primary_of_subkey),
		cmocka_unit_test(test_refuses_keys),
		cmocka_unit_test(test_refuses_shapes),
		cmocka_unit_test(test_one_bad_beside_good),
		cmocka_unit_test(test_unreadable_keyring),
		cmocka_unit_test(test_unverified_text),
		cmocka_unit_test(test_keyring_forms),
		cmocka_unit_test(test_keyring_keeps_only_pinned),
		cmocka_unit_test(test_adopted_key),
		cmocka_unit_test(test_forged_subkey),
		cmocka_unit_test(test_exit_code_is_not_believed),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
