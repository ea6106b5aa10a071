/* SPDX-License-Identifier: Apache-2.0 */
/* What is in zstd is a raw disk, or it is refused: another image must not come out as the disk. */
#include "check.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

#include "container.h"
#include "fsutil.h"

#define SIZE ((size_t)1 << 20)

/* SIZE bytes that begin with these and end with a sector that begins with those, in zstd. */
static int packed(const char *first, size_t len, const char *last)
{
	pv_autofree char *plain = pv_xcalloc(1, SIZE), *out = pv_xmalloc(ZSTD_compressBound(SIZE));
	int fd = memfd_create("packed", MFD_CLOEXEC);

	memcpy(plain, first, len);
	memcpy(plain + SIZE - 512, last, strlen(last));
	size_t n = ZSTD_compress(out, ZSTD_compressBound(SIZE), plain, SIZE, 1);
	assert_true(fd >= 0 && !ZSTD_isError(n));
	assert_int_equal(pv_write_all(fd, out, n), 0);
	return fd;
}

static int unpack(const char *first, size_t len, const char *last, struct pv_error *err)
{
	pv_autoclose int fd = packed(first, len, last), out = memfd_create("disk", MFD_CLOEXEC);
	uint64_t size = 0;
	struct pv_unpack_request req = { .fd = fd, .file_size = (uint64_t)lseek(fd, 0, SEEK_END), .name = "x.zst",
					 .out_fd = out, .tmp_dir = "/tmp" };

	assert_int_equal(pv_container_detect(fd, req.file_size, req.name, &req.kind, NULL), 0);
	assert_int_equal(req.kind, PV_CONTAINER_ZSTD);
	int rc = pv_container_unpack(&req, &size, err);
	if (rc == 0)
		assert_int_equal(size, SIZE);
	return rc;
}

static void test_raw(void **state)
{
	(void)state;
	assert_int_equal(unpack("\xeb\x63\x90", 3, "", NULL), 0);
}

static void test_other_image(void **state)
{
	pv_autoerror qcow2 = PV_ERROR_INIT, vhd = PV_ERROR_INIT;

	(void)state;
	assert_int_equal(unpack("QFI\xfb\0\0\0\3", 8, "", &qcow2), -1);
	assert_int_equal(qcow2.kind, PV_ERR_STAGE);
	assert_non_null(strstr(qcow2.text, "a qcow2 image"));
	assert_int_equal(unpack("", 0, "conectix", &vhd), -1);
	assert_non_null(strstr(vhd.text, "a VHD"));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_raw), cmocka_unit_test(test_other_image) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
