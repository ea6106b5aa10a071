/* SPDX-License-Identifier: Apache-2.0 */
/* Records and manifests keep what they were given and refuse the rest; signatures count for their bytes, purpose and signers
 * only; registries that are refused before anybody is asked. (Against a registry: tests/cli/65-cache-remote.sh.) */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "cacherecord.h"
#include "fsutil.h"
#include "proc.h"
#include "registry.h"
#include "registry_http.h"
#include "sshsign.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void test_record(void **state)
{
	pv_autocacherecord in = { .stage = pv_xstrdup("configure"), .key = A, .sha256 = B, .size = 1234 }, out = { 0 };
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	pv_strv_add(&in.seen.names, "content:etc/x");
	pv_strv_add(&in.seen.values, "sha256:1");
	pv_autofree char *text = pv_cacherecord_text(&in);
	assert_int_equal(pv_cacherecord_parse(text, strlen(text), &out, &err), 0);
	assert_string_equal(out.stage, "configure");
	assert_string_equal(out.key, A);
	assert_string_equal(out.sha256, B);
	assert_int_equal(out.size, 1234);
	assert_string_equal(out.seen.names.v[0], "content:etc/x");
	assert_string_equal(out.seen.values.v[0], "sha256:1");
	assert_int_equal(pv_cacherecord_parse(text, strlen(text) - 1, &out, &err), -1);
}

static void test_bad_records(void **state)
{
	static const char *const bad[] = {
		"", "[]", "{}",
		"{\"key\":\"" A "\",\"schema\":\"pvimg.cache-record/2\",\"seen\":[],\"sha256\":\"" B "\",\"size\":1,\"stage\":\"x\"}",
		"{\"key\":\"AA\",\"schema\":\"pvimg.cache-record/1\",\"seen\":[],\"sha256\":\"" B "\",\"size\":1,\"stage\":\"x\"}",
		"{\"key\":\"" A "\",\"schema\":\"pvimg.cache-record/1\",\"seen\":[],\"sha256\":\"" B "\",\"size\":0,\"stage\":\"x\"}",
		"{\"key\":\"" A "\",\"schema\":\"pvimg.cache-record/1\",\"seen\":[],\"sha256\":\"" B "\",\"size\":1,\"stage\":\"../x\"}",
		"{\"key\":\"" A "\",\"schema\":\"pvimg.cache-record/1\",\"seen\":[[\"a\"]],\"sha256\":\"" B
		"\",\"size\":1,\"stage\":\"x\"}",
		"{\"key\":\"" A "\",\"schema\":\"pvimg.cache-record/1\",\"seen\":[[\"a\",\"b\"],[\"a\",\"b\"]],\"sha256\":\"" B
		"\",\"size\":1,\"stage\":\"x\"}",
	};

	(void)state;
	for (size_t i = 0; i < PV_COUNT(bad); i++) {
		pv_autocacherecord out = { 0 };
		pv_autoerror err = PV_ERROR_INIT;
		assert_int_equal(pv_cacherecord_parse(bad[i], strlen(bad[i]), &out, &err), -1);
		assert_int_equal(err.kind, PV_ERR_ARCHIVE);
	}
}

static void test_manifest(void **state)
{
	struct pv_cachemanifest in = { { A, 10 }, { B, 20 }, { A, 30 } }, out;
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	pv_autofree char *text = pv_cachemanifest_text(&in);
	assert_int_equal(pv_cachemanifest_parse(text, strlen(text), &out, &err), 0);
	assert_string_equal(out.signature.sha256, B);
	assert_int_equal(out.object.size, 30);
	in.signature.size = PV_CACHEMANIFEST_SIGNATURE_MAX + 1;
	pv_autofree char *large = pv_cachemanifest_text(&in);
	assert_int_equal(pv_cachemanifest_parse(large, strlen(large), &out, &err), -1);
}

static void make_key(const char *path)
{
	const char *const argv[] = { "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path, NULL };
	const struct pv_proc proc = { .argv = argv };
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_proc_check(&proc, PV_ERR_STAGE, &err) < 0)
		fail_msg("%s", err.text);
}

static void write_signers(const char *key, const char *path)
{
	pv_autofree char *pub = pv_fmt("%s.pub", key), *text = NULL;

	assert_int_equal(pv_read_file(pub, 4096, &text, NULL, NULL), 0);
	pv_autofree char *line = pv_fmt("ci@fleet,*@other %s", text);
	assert_int_equal(pv_write_file(path, line, strlen(line), 0644, NULL), 0);
}

static int check(const char *signers, const char *purpose, const char *sig, const char *text)
{
	pv_autofree char *signer = NULL;
	pv_autoerror err = PV_ERROR_INIT;
	int rc = pv_sshsign_check(signers, purpose, sig, text, strlen(text), &signer, &err);

	if (rc == 0)
		assert_string_equal(signer, "ci@fleet");
	else
		assert_int_equal(err.kind, PV_ERR_ARCHIVE);
	return rc;
}

static void test_signature(void **state)
{
	char dir[] = "/tmp/pvimg-sshsign.XXXXXX";
	pv_autoerror err = PV_ERROR_INIT;
	pv_autostr signature = PV_STR_INIT;

	(void)state;
	assert_non_null(mkdtemp(dir));
	pv_autofree char *key = pv_path_join(dir, "key"), *other = pv_path_join(dir, "other"), *sig = pv_path_join(dir, "sig"),
			 *signers = pv_path_join(dir, "signers"), *strangers = pv_path_join(dir, "strangers");
	make_key(key);
	make_key(other);
	write_signers(key, signers);
	write_signers(other, strangers);
	if (pv_sshsign_make(key, "purpose", "text", 4, &signature, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(pv_write_file(sig, signature.data, signature.len, 0600, &err), 0);
	assert_int_equal(check(signers, "purpose", sig, "text"), 0);
	assert_int_equal(check(signers, "purpose", sig, "texT"), -1);
	assert_int_equal(check(signers, "another", sig, "text"), -1);
	assert_int_equal(check(strangers, "purpose", sig, "text"), -1);
	assert_int_equal(pv_write_file(sig, "junk\n", 5, 0600, &err), 0);
	assert_int_equal(check(signers, "purpose", sig, "text"), -1);
	assert_int_equal(pv_rmtree(dir, NULL), 0);
}

static int opens(const char *url, const char *credentials)
{
	pv_autoregistry *registry = NULL;
	pv_autoerror err = PV_ERROR_INIT;
	int rc = pv_registry_new(url, credentials, &registry, &err);

	if (rc < 0) {
		assert_int_equal(err.kind, PV_ERR_USAGE);
		assert_null(strstr(err.text, "secret"));
	}
	return rc;
}

static void test_urls(void **state)
{
	(void)state;
	assert_int_equal(opens("https://registry.example.invalid/team/pvimg-cache", "a:b:c"), 0);
	assert_int_equal(opens("http://127.0.0.1:5000/x", NULL), 0);
	assert_int_equal(opens("http://[::1]:5000/x", NULL), 0);
	assert_int_equal(opens("http://192.0.2.1/x", NULL), -1);
	assert_int_equal(opens("http://127.example.invalid/x", NULL), -1);
	assert_int_equal(opens("file:///x", NULL), -1);
	assert_int_equal(opens("https://u:secret@registry.example.invalid/x", NULL), -1);
	assert_int_equal(opens("https://registry.example.invalid", NULL), -1);
	assert_int_equal(opens("https://registry.example.invalid/", NULL), -1);
	assert_int_equal(opens("https://registry.example.invalid/Team", NULL), -1);
	assert_int_equal(opens("https://registry.example.invalid/x/", NULL), -1);
	assert_int_equal(opens("https://registry.example.invalid/x", "secret"), -1);
}

static void test_challenge(void **state)
{
	const char *challenge = "realm=\"https://x/y?a, service=no\", service=\"s t\",scope=plain";
	pv_autofree char *realm = pv_registry_parameter(challenge, "realm"), *service = pv_registry_parameter(challenge, "service"),
			 *scope = pv_registry_parameter(challenge, "scope"), *none = pv_registry_parameter(challenge, "error"),
			 *open_end = pv_registry_parameter("realm=\"x", "realm");

	(void)state;
	assert_string_equal(realm, "https://x/y?a, service=no");
	assert_string_equal(service, "s t");
	assert_string_equal(scope, "plain");
	assert_null(none);
	assert_null(open_end);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record),
		cmocka_unit_test(test_bad_records),
		cmocka_unit_test(test_manifest),
		cmocka_unit_test(test_signature),
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_challenge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
