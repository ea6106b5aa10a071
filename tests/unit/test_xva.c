/* SPDX-License-Identifier: Apache-2.0 */
/* XVAs of several disks: which one counts, and their order, as an importer sees it. What pvimg writes itself is judged by
 * tests/cli/80-formats.sh. */
#include "check.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "fsutil.h"
#include "xva.h"
#include "xva_priv.h"

#define CHUNK 1024u
#define TEXT(name, value) "<member><name>" name "</name><value>" value "</value></member>"
#define OBJECT(class, id, fields) "<value><struct>" TEXT("class", class) TEXT("id", id) TEXT("snapshot", "<struct>" fields \
	"</struct>") "</struct></value>"
#define DISK(id) OBJECT("VDI", id, TEXT("SR", "Ref:0") TEXT("virtual_size", "2048"))
#define DRIVE(id, disk) OBJECT("VBD", id, TEXT("VM", "Ref:2") TEXT("VDI", disk))

static const char ova[] =
	"<value><struct>" TEXT("objects", "<array><data>" OBJECT("SR", "Ref:0", "") OBJECT("VM", "Ref:2", TEXT("name_label", "m"))
	DISK("Ref:10") DISK("Ref:1") DRIVE("Ref:3", "Ref:1") DRIVE("Ref:4", "Ref:10") "</data></array>") "</struct></value>";

static void put(struct archive *a, const char *path, const void *data, size_t len)
{
	struct archive_entry *e = archive_entry_new();

	archive_entry_set_pathname(e, path);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_perm(e, 0644);
	archive_entry_set_size(e, (la_int64_t)len);
	assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
	assert_int_equal(archive_write_data(a, data, len), len);
	archive_entry_free(e);
}

/* A disk's two chunks, full of that byte. */
static void put_disk(struct archive *a, const char *id, int byte)
{
	char data[CHUNK], sum[PV_XVA_SUM], path[64];

	memset(data, byte, sizeof(data));
	pv_xva_sum(false, data, sizeof(data), sum);
	for (unsigned i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%08u", id, i);
		put(a, path, data, sizeof(data));
		snprintf(path, sizeof(path), "%s/%08u.checksum", id, i);
		put(a, path, sum, strlen(sum));
	}
}

static int make(const char *first, const char *second)
{
	int fd = memfd_create("xva", MFD_CLOEXEC);
	struct archive *a = archive_write_new();

	assert_true(fd >= 0);
	archive_write_set_format_ustar(a);
	assert_int_equal(archive_write_open_fd(a, fd), ARCHIVE_OK);
	put(a, "ova.xml", ova, strlen(ova));
	put_disk(a, first, first[5] ? 10 : 1);
	put_disk(a, second, second[5] ? 10 : 1);
	assert_int_equal(archive_write_close(a), ARCHIVE_OK);
	archive_write_free(a);
	return fd;
}

static int take(void *ctx, uint64_t offset, const uint8_t *data, size_t len, struct pv_error *err)
{
	uint8_t *disk = ctx;

	(void)err;
	assert_true(offset + len <= 2 * CHUNK);
	memcpy(disk + offset, data, len);
	return 0;
}

static void read_it(const char *first, const char *second, struct pv_strv *faults)
{
	pv_autoclose int fd = make(first, second);
	pv_autoxva xva = { .machine = NULL };
	pv_autoerror err = PV_ERROR_INIT;
	uint8_t disk[2 * CHUNK] = { 0 };

	if (pv_xva_read(fd, "xva", &xva, take, disk, faults, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(xva.disks, 2);
	assert_int_equal(xva.size, sizeof(disk));
	for (size_t i = 0; i < sizeof(disk); i++)
		assert_int_equal(disk[i], 1);
}

static void test_order_of_disks(void **state)
{
	pv_autostrv good = PV_STRV_INIT, wrong = PV_STRV_INIT;

	(void)state;
	read_it("Ref:1", "Ref:10", &good);
	assert_int_equal(good.n, 0);
	/* one id begins with the other */
	read_it("Ref:10", "Ref:1", &wrong);
	assert_int_equal(wrong.n, 1);
	assert_string_equal(wrong.v[0], "Ref:1/00000000: the disks are not in the order of their ids");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_order_of_disks) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
