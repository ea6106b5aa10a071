/* SPDX-License-Identifier: Apache-2.0 */
/* Which records let an image out, and of which digest. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "scratch.h"

#include "fsutil.h"
#include "publish_gate.h"
#include "text.h"

#define SHA "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define MANIFEST(archive, memory) \
	"{\"schema\": \"pvimg.manifest/1\", \"name\": \"x\", \"archive\": \"" archive "\", " \
	"\"flavor\": {\"memory\": " memory ", \"vcpus\": 2}}"
#define VERDICT(green, driver, memory, sha) \
	"{\"schema\": \"pvimg.verdict/1\", \"green\": " green ", \"driver\": \"" driver "\", \"memory\": " memory \
	", \"vcpus\": 2, \"image_sha256\": \"" sha "\"}"

static const struct {
	const char *manifest, *verdict, *accept;
	bool unverified;
	const char *words;		/* of the refusal; NULL: it passes */
} cases[] = {
	{ MANIFEST("distribution", "7"), VERDICT("true", "xl", "7", SHA), NULL, false, NULL },
	{ MANIFEST("distribution", "7"), VERDICT("true", "xen-in-qemu", "7", SHA), NULL, false, NULL },
	{ MANIFEST("distribution", "7"), VERDICT("true", "kvm-xen", "7", SHA), "kvm-xen", false, NULL },
	{ MANIFEST("distribution", "7"), VERDICT("true", "kvm-xen", "7", SHA), NULL, false, "not Xen's own" },
	{ MANIFEST("distribution", "7"), VERDICT("true", "", "7", SHA), NULL, false, "not Xen's own" },
	{ MANIFEST("distribution", "7"), VERDICT("false", "xl", "7", SHA), NULL, false, "not green" },
	{ MANIFEST("distribution", "7"), VERDICT("\"true\"", "xl", "7", SHA), NULL, false, "not green" },
	{ MANIFEST("distribution", "7"), VERDICT("true", "xl", "8", SHA), NULL, false, "another size" },
	{ NULL, VERDICT("true", "xl", "7", SHA), NULL, false, "no manifest that says it" },
	{ MANIFEST("distribution", "7"), VERDICT("true", "xl", "7", "abc"), NULL, false, "names no digest" },
	{ MANIFEST("distribution", "7"), NULL, NULL, false, "has no verdict" },
	{ MANIFEST("distribution", "7"), NULL, NULL, true, NULL },
	{ NULL, NULL, NULL, true, NULL },
	{ MANIFEST("stand-in", "7"), VERDICT("true", "xl", "7", SHA), NULL, false, "stand-in" },
	{ MANIFEST("stand-in", "7"), NULL, NULL, true, "stand-in" },
	{ "{\"archive\": \"distribution\"}", NULL, NULL, true, "is no pvimg.manifest/1" },
	{ "[", NULL, NULL, true, "is no pvimg.manifest/1" },
	{ MANIFEST("distribution", "7"), "{}", NULL, false, "is no pvimg.verdict/1" },
};

static void put(const char *path, const char *text)
{
	(void)unlink(path);
	if (text)
		assert_int_equal(pv_write_file(path, text, strlen(text), 0644, NULL), 0);
}

static void test_gate(void **state)
{
	(void)state;
	for (size_t i = 0; i < PV_COUNT(cases); i++) {
		pv_autoerror err = PV_ERROR_INIT;
		char sha256[PV_SHA256_HEX];

		put("manifest.json", cases[i].manifest);
		put("verdict.json", cases[i].verdict);
		int rc = pv_publish_gate("./x.raw", cases[i].unverified, cases[i].accept, sha256, &err);
		assert_int_equal(rc, cases[i].words ? -1 : 0);
		if (cases[i].words) {
			assert_non_null(strstr(err.text, cases[i].words));
			assert_int_equal(err.kind, PV_ERR_VERDICT);
		} else {
			assert_string_equal(sha256, cases[i].unverified ? "" : SHA);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(test_gate, scratch_enter, scratch_leave) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
