/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of an image beside it: its name as a word, the manifest that is about it and no other. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "fsutil.h"
#include "machine.h"
#include "scratch.h"

#define MANIFEST "{\"schema\": \"pvimg.manifest/1\", \"name\": \"a-2g\", \"distribution\": \"debian\", \"suite\": \"bookworm\", " \
	"\"epoch\": 1700000000, \"flavor\": {\"memory\": 3221225472, \"vcpus\": 3}}\n"

static void test_name(void **state)
{
	static const char *const rows[][2] = {
		{ "d/debian-2g.raw", "debian-2g" }, { "a.b.img", "a.b" }, { "two words.raw", "two-words" },
		{ ".raw", "-raw" }, { "..", "-" }, { "d/", "-" }, { "", "-" },
	};

	(void)state;
	for (size_t i = 0; i < PV_COUNT(rows); i++) {
		pv_automachine m = { .name = NULL };

		assert_int_equal(pv_machine_of_image(rows[i][0], 0, 0, &m, NULL), 0);
		assert_string_equal(m.name, rows[i][1]);
		assert_int_equal(m.memory, PV_MACHINE_MEMORY);
	}
}

static void test_manifest(void **state)
{
	pv_automachine mine = { .name = NULL }, other = { .name = NULL };

	(void)state;
	assert_int_equal(pv_write_file("manifest.json", MANIFEST, strlen(MANIFEST), 0644, NULL), 0);
	assert_int_equal(pv_machine_of_image("a-2g.raw", 0, 1, &mine, NULL), 0);
	assert_string_equal(mine.version, "12");
	assert_int_equal(mine.memory, 3221225472);
	assert_int_equal(mine.vcpus, 1);
	assert_int_equal(mine.epoch, 1700000000);
	assert_true(pv_digest_valid(mine.seed));
	assert_int_equal(pv_machine_of_image("b-2g.raw", 0, 0, &other, NULL), 0);
	assert_null(other.distribution);
	assert_int_equal(other.epoch, 0);
	assert_string_equal(other.seed, "");
}

#define T(f) cmocka_unit_test_setup_teardown(f, scratch_enter, scratch_leave)

int main(void)
{
	const struct CMUnitTest tests[] = { T(test_name), T(test_manifest) };

	unsetenv("SOURCE_DATE_EPOCH");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
