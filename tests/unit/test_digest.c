/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 against the standard's examples, files with holes, derived ids. */
#include "check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "digest.h"
#include "fsutil.h"

/* FIPS 180-2, appendix B */
#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void test_mem(void **state)
{
	char hex[PV_SHA256_HEX];

	(void)state;
	pv_digest_mem("abc", 3, hex);
	assert_string_equal(hex, ABC);
	pv_digest_mem("", 0, hex);
	assert_string_equal(hex, EMPTY);
}

static void test_stream(void **state)
{
	pv_autodigest *d = pv_digest_new();
	char hex[PV_SHA256_HEX];

	(void)state;
	pv_digest_add(d, "a", 1);
	pv_digest_add(d, NULL, 0);
	pv_digest_add(d, "bc", 2);
	pv_digest_hex(d, hex);
	assert_string_equal(hex, ABC);
	pv_digest_free(NULL);
}

static void test_file_with_hole(void **state)
{
	char path[] = "/tmp/pvimg-test-digest.XXXXXX";
	int fd = mkstemp(path);
	char hex[PV_SHA256_HEX], same[PV_SHA256_HEX];
	char *zeros = calloc(1, 700001);
	uint64_t size = 0;

	(void)state;
	assert_true(fd >= 0);
	assert_non_null(zeros);
	assert_int_equal(pv_pwrite_all(fd, "x", 1, 700000), 0);
	zeros[700000] = 'x';
	pv_digest_mem(zeros, 700001, same);
	assert_int_equal(pv_digest_file(path, hex, &size, NULL), 0);
	assert_string_equal(hex, same);
	assert_int_equal(size, 700001);
	assert_int_equal(pv_digest_file(path, hex, NULL, NULL), 0);
	free(zeros);
	close(fd);
	unlink(path);
}

static void test_file_missing(void **state)
{
	pv_autoerror err = PV_ERROR_INIT;
	char hex[PV_SHA256_HEX] = "untouched";
	uint64_t size = 5;

	(void)state;
	assert_int_equal(pv_digest_file("/nonexistent/x", hex, &size, &err), -1);
	assert_string_equal(err.text, "/nonexistent/x: cannot open: No such file or directory");
	assert_string_equal(hex, "untouched");
	assert_int_equal(size, 5);
	assert_int_equal(pv_digest_file("/", hex, &size, NULL), -1);
}

static void test_valid(void **state)
{
	(void)state;
	assert_true(pv_digest_valid(ABC));
	assert_false(pv_digest_valid(NULL));
	assert_false(pv_digest_valid(""));
	assert_false(pv_digest_valid(ABC "0"));
	assert_false(pv_digest_valid("BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
	assert_false(pv_digest_valid("../816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
}

static void test_uuid(void **state)
{
	uint8_t a[16], b[16], c[16];
	char text[37];

	(void)state;
	pv_uuid_derive("seed", "root", a);
	pv_uuid_derive("seed", "root", b);
	assert_memory_equal(a, b, 16);
	assert_int_equal(a[6] >> 4, 8);
	assert_int_equal(a[8] >> 6, 2);
	pv_uuid_derive("seed", "disk", b);
	assert_memory_not_equal(a, b, 16);
	pv_uuid_derive("ab", "c", b);
	pv_uuid_derive("a", "bc", c);
	assert_memory_not_equal(b, c, 16);
	for (int i = 0; i < 16; i++)
		a[i] = (uint8_t)(i * 16 + 15 - i);
	pv_uuid_text(a, text);
	assert_string_equal(text, "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0");
}

/* Images' ids are promised to stay: this value may never change. */
static void test_uuid_stays(void **state)
{
	uint8_t uuid[16];
	char text[37];

	(void)state;
	pv_uuid_derive("debian-2g", "root", uuid);
	pv_uuid_text(uuid, text);
	assert_string_equal(text, "3dcc920e-ede5-842a-95ae-f4f4302c2a04");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mem),
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_file_with_hole),
		cmocka_unit_test(test_file_missing),
		cmocka_unit_test(test_valid),
		cmocka_unit_test(test_uuid),
		cmocka_unit_test(test_uuid_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
