/* SPDX-License-Identifier: Apache-2.0 */
/* purls with characters that have to be encoded, times, and manifests that lack something. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdlib.h>

#include "sbom.h"
#include "text.h"

static void test_purl(void **state)
{
	(void)state;
	pv_autofree char *purl = pv_sbom_purl("debian", "g++", "1:2.0~rc1+b1", "amd64", "bookworm");
	assert_string_equal(purl, "pkg:deb/debian/g%2B%2B@1:2.0~rc1%2Bb1?arch=amd64&distro=bookworm");
	pv_autofree char *odd = pv_sbom_purl("debian", "a/b", "1?x#y z", "all", "a&b");
	assert_string_equal(odd, "pkg:deb/debian/a%2Fb@1%3Fx%23y%20z?arch=all&distro=a%26b");
}

static void test_time(void **state)
{
	(void)state;
	pv_autofree char *time = pv_sbom_time(1700000000);
	assert_string_equal(time, "2023-11-14T22:13:20Z");
}

static void test_manifest(void **state)
{
	pv_autoerror err = PV_ERROR_INIT;
	json_t *manifest = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:[]}", "schema", "pvimg.manifest/1", "name", "n",
				     "distribution", "debian", "suite", "s", "architecture", "amd64", "archive", "distribution",
				     "epoch", 1, "packages");

	(void)state;
	assert_int_equal(pv_sbom_check_manifest("m", manifest, &err), -1);
	assert_string_equal(err.text, "m: has no epoch or no packages; build the image anew");
	pv_error_clear(&err);
	json_array_append_new(json_object_get(manifest, "packages"),
			      json_pack("{s:s, s:s, s:s, s:s}", "name", "a", "version", "1", "architecture", "all", "sha256", "x"));
	assert_int_equal(pv_sbom_check_manifest("m", manifest, &err), -1);
	assert_string_equal(err.text, "m: package a has no digest; build the image anew");
	json_decref(manifest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_purl),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_manifest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
