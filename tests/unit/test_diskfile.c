/* SPDX-License-Identifier: Apache-2.0 */
/* Images from anywhere: what is read, and what is refused with which words. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "diskfile.h"
#include "fsutil.h"
#include "proc.h"
#include "text.h"

#define MIB (1024ull * 1024)

struct place {
	char dir[64];
};

static int make_place(void **state)
{
	struct place *p = pv_xcalloc(1, sizeof(*p));

	snprintf(p->dir, sizeof(p->dir), "/tmp/pvimg-test-diskfile.XXXXXX");
	*state = p;
	return mkdtemp(p->dir) ? 0 : -1;
}

static int remove_place(void **state)
{
	struct place *p = *state;
	int rc = pv_rmtree(p->dir, NULL);

	free(p);
	return rc;
}

/* A file in the place with these first bytes, size bytes long; the caller frees the path. */
static char *make_file(void **state, const char *name, const void *head, size_t len, uint64_t size)
{
	const struct place *p = *state;
	char *path = pv_path_join(p->dir, name);

	assert_int_equal(pv_write_file(path, head, len, 0644, NULL), 0);
	assert_int_equal(truncate(path, (off_t)size), 0);
	return path;
}

static void put(const char *path, uint64_t offset, const void *data, size_t len)
{
	pv_autoclose int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_int_equal(pv_pwrite_all(fd, data, len, (off_t)offset), 0);
}

static void assert_refused(const char *path, const char *format, const char *words)
{
	pv_autodiskfile d = PV_DISKFILE_INIT;
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_diskfile_open(path, format, &d, &err) == 0)
		fail_msg("%s was taken", path);
	if (!strstr(err.text, words))
		fail_msg("%s: not for \"%s\", but: %s", path, words, err.text);
	if (!pv_starts(err.text, path) || strchr(err.text, '\n'))
		fail_msg("no line that names the file: %s", err.text);
	assert_int_equal(err.kind, PV_ERR_STAGE);
	assert_int_equal(d.fd, -1);
}

static void assert_taken(const char *path, const char *format, enum pv_disk_format is, uint64_t size)
{
	pv_autodiskfile d = PV_DISKFILE_INIT;
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_diskfile_open(path, format, &d, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(d.format, is);
	assert_true(d.size == size);
	assert_string_equal(d.path, path);
	assert_int_equal(fcntl(d.fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(d.fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDONLY);
}

/* --- raw --- */

static void test_raw(void **state)
{
	pv_autofree char *path = make_file(state, "raw", "x", 1, 3 * MIB);

	assert_refused(path, NULL, "it has no partition table; say --format raw if it is a disk");
	assert_taken(path, "raw", PV_FORMAT_RAW, 3 * MIB);
	put(path, 510, "\x55\xaa", 2);
	assert_taken(path, NULL, PV_FORMAT_RAW, 3 * MIB);
	put(path, 510, "\0\0EFI PART", 10);
	assert_taken(path, NULL, PV_FORMAT_RAW, 3 * MIB);
	assert_refused(path, "qcow2", "does not begin like a qcow2 image; is it --format raw?");
	assert_string_equal(pv_disk_format_name(PV_FORMAT_RAW), "raw");
	assert_string_equal(pv_disk_format_name(PV_FORMAT_QCOW2), "qcow2");
}

static void test_no_images(void **state)
{
	const struct place *p = *state;
	pv_autofree char *empty = make_file(state, "empty", "", 0, 0), *fifo = pv_path_join(p->dir, "fifo");
	pv_autofree char *text = make_file(state, "text", "hello\n", 6, 6), *none = pv_path_join(p->dir, "none");

	assert_refused(empty, NULL, "is empty");
	assert_refused(empty, "raw", "is empty");
	assert_refused(empty, "qcow2", "is empty");
	assert_refused(text, NULL, "no disk image, or cut off: its 6 bytes are no whole number of sectors of 512");
	assert_refused(text, "raw", "no whole number of sectors");
	assert_refused(p->dir, NULL, "is a folder");
	assert_refused(none, NULL, "cannot open the image: No such file or directory");
	assert_int_equal(mkfifo(fifo, 0644), 0);
	assert_refused(fifo, NULL, "is no disk image, but a pipe");
	assert_refused("/dev/null", "raw", "is no disk image, but a pipe");
}

static void test_unknown_format(void **state)
{
	pv_autodiskfile d = PV_DISKFILE_INIT;
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	assert_int_equal(pv_diskfile_open("/nowhere", "vmdk", &d, &err), -1);
	assert_int_equal(err.kind, PV_ERR_USAGE);
	assert_string_equal(err.text, "--format vmdk: unknown; raw or qcow2");
}

static void test_other_formats(void **state)
{
	static const struct {
		size_t offset;
		const char *bytes;
		size_t len;
		const char *words;
	} cases[] = {
		{ 0, "KDMV\1\0\0\0", 8, "this is a VMDK; convert it: qemu-img convert -f vmdk -O raw OLD NEW" },
		{ 0, "COWD", 4, "this is a VMDK;" },
		{ 0, "# Disk DescriptorFile\nversion=1\n", 32, "this is a VMDK's description;" },
		{ 0, "vhdxfile", 8, "-f vhdx " },
		{ 0, "conectix", 8, "this is a VHD;" },
		{ 3 * MIB - 512, "conectix", 8, "this is a VHD of fixed size; convert it: qemu-img convert -f vpc " },
		{ 3 * MIB - 511, "conectix", 8, "this is a VHD of fixed size;" },
		{ 64, "\x7f\x10\xda\xbe", 4, "-f vdi " },
		{ 0, "OOOM", 4, "a cow image; make it a raw or qcow2 disk image first (if it is a raw disk: --format raw)" },
		{ 0, "QED\0", 4, "a QED;" },
		{ 0, "LUKS\xba\xbe", 6, "encrypted" },
		{ 0, "\x1f\x8b\x08", 3, "packed with gzip;" },
		{ 0, "\xfd" "7zXZ\0", 6, "packed with xz;" },
		{ 257, "ustar\0", 6, "a tar archive" },
	};

	for (size_t i = 0; i < PV_COUNT(cases); i++) {
		pv_autofree char *path = make_file(state, "other", "", 0, 3 * MIB);

		put(path, cases[i].offset, cases[i].bytes, cases[i].len);
		assert_refused(path, NULL, cases[i].words);
		assert_taken(path, "raw", PV_FORMAT_RAW, 3 * MIB);
	}
}

/* The trap: the guest of a raw disk writes a qcow2 header into its first sector, and QEMU would open what that names. */
static void test_raw_that_begins_like_qcow2(void **state)
{
	static const char head[] = "QFI\xfb\0\0\0\3\0\0\0\0\0\0\0\x68\0\0\0\x0b/etc/passwd";
	pv_autofree char *path = make_file(state, "trap", head, sizeof(head), 2 * MIB);

	assert_refused(path, NULL, "has a backing file, which is not opened");
	assert_taken(path, "raw", PV_FORMAT_RAW, 2 * MIB);
}

static void test_cut_off_partition_tables(void **state)
{
	static const uint8_t mbr_entry[16] = { 0x80, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 0x10, 0, 0 };
	static const uint8_t guard_entry[16] = { 0, 0, 0, 0, 0xee, 0, 0, 0, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff };
	static const uint8_t last[8] = { 0xff, 0x0f };
	pv_autofree char *path = make_file(state, "cut", "", 0, 3 * MIB);

	put(path, 510, "\x55\xaa", 2);
	put(path, 446, mbr_entry, 16);		/* 1 MiB to 3 MiB */
	assert_taken(path, NULL, PV_FORMAT_RAW, 3 * MIB);
	assert_int_equal(truncate(path, 2 * MIB), 0);
	assert_refused(path, NULL, "cut off: it has 2 MiB, its partition table needs 3 MiB; copy or download it again");
	assert_refused(path, "raw", "cut off: ");
	put(path, 446, guard_entry, 16);	/* as large as it can be: says nothing */
	assert_taken(path, NULL, PV_FORMAT_RAW, 2 * MIB);
	put(path, 512, "EFI PART", 8);
	put(path, 512 + 32, last, 8);		/* the other header is in sector 4095 */
	assert_taken(path, NULL, PV_FORMAT_RAW, 2 * MIB);
	assert_int_equal(truncate(path, 1 * MIB), 0);
	assert_refused(path, NULL, "cut off: it has 1 MiB, its partition table needs 2 MiB");
	put(path, 512 + 32, "\xff\xff\xff\xff\xff\xff\xff\x7f", 8);
	assert_refused(path, NULL, "cut off: ");
}

static void test_block_device(void **state)
{
	pv_autofree char *path = make_file(state, "loop", "x", 1, 4 * MIB), *losetup = pv_proc_which("losetup");
	const char *const argv[] = { "losetup", "--read-only", "--find", "--show", path, NULL };
	pv_autostr out = PV_STR_INIT;
	pv_autoproc res = PV_PROC_RESULT_INIT;
	char name[64] = "";

	if (geteuid() != 0 || !losetup)
		skip();
	pv_autofree char *sink = make_file(state, "sink", "", 0, 0);
	pv_autoclose int fd = open(sink, O_RDWR | O_CLOEXEC);
	const struct pv_proc proc = { .argv = argv, .stdout_fd = fd, .deadline_s = 20 };
	assert_int_equal(pv_proc_run(&proc, &res, NULL), 0);
	if (res.exit_code != 0)
		skip();
	assert_true(pv_pread_all(fd, name, sizeof(name) - 1, 0) > 0);
	name[strcspn(name, "\n")] = '\0';
	assert_taken(name, "raw", PV_FORMAT_RAW, 4 * MIB);
	const char *const end[] = { "losetup", "--detach", name, NULL };
	const struct pv_proc detach = { .argv = end, .deadline_s = 20 };
	assert_int_equal(pv_proc_check(&detach, PV_ERR_STAGE, NULL), 0);
}

/* --- qcow2 --- */

static bool qemu_img(const char *const *args)
{
	pv_autostrv argv = PV_STRV_INIT;
	pv_autoerror err = PV_ERROR_INIT;
	pv_autofree char *program = pv_proc_which("qemu-img");

	if (!program)
		return false;
	pv_strv_add(&argv, "qemu-img");
	pv_strv_add_all(&argv, args);
	const struct pv_proc proc = { .argv = (const char *const *)argv.v, .deadline_s = 60 };
	if (pv_proc_check(&proc, PV_ERR_STAGE, &err) < 0)
		fail_msg("%s", err.text);
	return true;
}
#define QEMU_IMG(...) \
	do { \
		if (!qemu_img((const char *const[]){ __VA_ARGS__, NULL })) \
			skip(); \
	} while (0)

static void test_fine_qcow2(void **state)
{
	static const char *const options[] = {
		"compat=0.10", "compat=1.1", "compat=1.1,compression_type=zstd", "cluster_size=512", "cluster_size=2M",
		"extended_l2=on,cluster_size=128k", "preallocation=metadata", "lazy_refcounts=on", "refcount_bits=64",
	};
	const struct place *p = *state;
	pv_autofree char *path = pv_path_join(p->dir, "fine.qcow2");

	for (size_t i = 0; i < PV_COUNT(options); i++) {
		QEMU_IMG("create", "-q", "-f", "qcow2", "-o", options[i], path, "300M");
		assert_taken(path, NULL, PV_FORMAT_QCOW2, 300 * MIB);
		assert_taken(path, "qcow2", PV_FORMAT_QCOW2, 300 * MIB);
	}
	QEMU_IMG("create", "-q", "-f", "qcow2", path, "2T");
	assert_taken(path, NULL, PV_FORMAT_QCOW2, 2 * MIB * MIB);
}

/* 24 MiB of noise, at both ends of 1 GiB. */
static char *make_noise(void **state)
{
	char *path = make_file(state, "noise", "", 0, 1024 * MIB);
	pv_autofree uint32_t *words = pv_xmalloc(MIB);
	uint32_t x = 1;

	for (unsigned i = 0; i < 24; i++) {
		for (size_t k = 0; k < MIB / sizeof(x); k++)
			words[k] = x = x * 1664525 + 1013904223;
		put(path, (i % 2 ? 1000 : 0) * MIB + i * MIB, words, MIB);
	}
	return path;
}

static void test_cut_off_qcow2(void **state)
{
	const struct place *p = *state;
	pv_autofree char *noise = make_noise(state), *path = pv_path_join(p->dir, "noise.qcow2");
	static const char *const options[] = { "compat=0.10", "compat=1.1", "extended_l2=on,cluster_size=64k" };

	for (size_t i = 0; i < PV_COUNT(options) * 2; i++) {
		struct stat st;

		QEMU_IMG("convert", "-f", "raw", "-O", "qcow2", "-o", options[i / 2], i % 2 ? "-c" : "-q", noise, path);
		assert_taken(path, NULL, PV_FORMAT_QCOW2, 1024 * MIB);
		assert_int_equal(stat(path, &st), 0);
		/* a quarter is missing, most is missing, all but the first sector, not even a header */
		const off_t left[] = { st.st_size / 4 * 3, 300000, 512, 60 };
		for (size_t k = 0; k < PV_COUNT(left); k++) {
			assert_int_equal(truncate(path, left[k]), 0);
			assert_refused(path, NULL, "the qcow2 image is cut off; copy or download it again");
		}
	}
}

static void test_backing_file(void **state)
{
	const struct place *p = *state;
	pv_autofree char *path = pv_path_join(p->dir, "backed.qcow2");

	QEMU_IMG("create", "-q", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", path, "1M");
	assert_refused(path, NULL, "has a backing file, which is not opened; flatten it if you trust it (qemu-img convert");
	assert_refused(path, "qcow2", "has a backing file");
	/* called raw it is a disk of nonsense, and opens nothing */
	assert_int_equal(truncate(path, MIB), 0);
	assert_taken(path, "raw", PV_FORMAT_RAW, MIB);
}

static void test_data_file(void **state)
{
	const struct place *p = *state;
	pv_autofree char *path = pv_path_join(p->dir, "data.qcow2"), *data = pv_path_join(p->dir, "data");
	pv_autofree char *option = pv_fmt("data_file=%s", data);
	static const uint8_t nothing[8] = { 0 };

	QEMU_IMG("create", "-q", "-f", "qcow2", "-o", option, path, "1M");
	assert_refused(path, NULL, "keeps its data in another file, which is not opened");
	put(path, 72, nothing, 8);		/* the feature is hidden, the name is still there */
	assert_refused(path, NULL, "names an external data file");
}

static void test_encrypted(void **state)
{
	const struct place *p = *state;
	pv_autofree char *path = pv_path_join(p->dir, "secret.qcow2");

	QEMU_IMG("create", "-q", "-f", "qcow2", path, "1M");
	put(path, 32, "\0\0\0\2", 4);
	assert_refused(path, NULL, "is encrypted");
}

static void test_hostile_headers(void **state)
{
	static const struct {
		uint64_t offset;
		const char *bytes;
		size_t len;
		const char *words;
	} cases[] = {
		{ 4, "\0\0\0\1", 4, "QCOW version 1 is not read" },
		{ 4, "\0\0\0\4", 4, "QCOW version 4 is not read" },
		{ 20, "\0\0\0\x08", 4, "its clusters are not of" },
		{ 20, "\xff\xff\xff\xff", 4, "its clusters are not of" },
		{ 24, "\0\0\0\0\0\0\0\0", 8, "its disk has no possible size" },
		{ 24, "\x7f\xff\xff\xff\xff\xff\xff\xff", 8, "its disk has no possible size" },
		{ 24, "\0\0\1\0\0\0\0\0", 8, "its first table does not fit its size" },
		{ 36, "\0\0\0\0", 4, "its first table does not fit its size" },
		{ 36, "\xff\xff\xff\xff", 4, "its first table does not fit its size" },
		{ 36, "\0\x3f\xff\xff", 4, "is cut off" },
		{ 40, "\0\0\0\0\0\3\0\1", 8, "a table lies across clusters" },
		{ 40, "\xff\xff\xff\xff\xff\xff\0\0", 8, "is cut off" },
		{ 48, "\0\0\0\0\0\0\0\0", 8, "a table lies across clusters" },
		{ 56, "\xff\xff\xff\xff", 4, "is cut off" },
		{ 72, "\0\0\0\0\0\0\0\2", 8, "is marked corrupt" },
		{ 72, "\0\0\0\0\0\0\0\x20", 8, "features unknown to pvimg (0x20)" },
		{ 72, "\x80\0\0\0\0\0\0\0", 8, "features unknown to pvimg (0x8000000000000000)" },
		{ 72, "\0\0\0\0\0\0\0\x08", 8, "its compression is of no known kind" },
		{ 96, "\0\0\0\7", 4, "its reference counts are wider" },
		{ 100, "\0\0\0\x60", 4, "its header has no possible length" },
		{ 100, "\xff\xff\xff\xf8", 4, "its header has no possible length" },
		{ 104 + 8, "\0\0\0\1\xff\xff\xff\xff", 8, "a header extension leaves the first cluster" },
		/* the one entry of the first table: a table far away, the header itself */
		{ 0x30000, "\x80\xff\xff\xff\xff\xff\0\0", 8, "is cut off" },
		{ 0x30000, "\x80\0\0\0\0\0\0\0", 8, NULL },
		{ 0x30000, "\x80\0\0\0\0\3\0\0", 8, NULL },
	};
	const struct place *p = *state;
	pv_autofree char *path = pv_path_join(p->dir, "hostile.qcow2");

	for (size_t i = 0; i < PV_COUNT(cases); i++) {
		QEMU_IMG("create", "-q", "-f", "qcow2", path, "100M");
		put(path, cases[i].offset, cases[i].bytes, cases[i].len);
		if (cases[i].words)
			assert_refused(path, NULL, cases[i].words);
		else
			assert_taken(path, NULL, PV_FORMAT_QCOW2, 100 * MIB);
	}
}

/* Entries that all name one table make a small file say it has a terabyte of tables: the reading stops in time. */
static void test_tables_without_end(void **state)
{
	const struct place *p = *state;
	pv_autofree char *path = pv_path_join(p->dir, "many.qcow2");

	QEMU_IMG("create", "-q", "-f", "qcow2", path, "64T");
	assert_int_equal(truncate(path, 4 * MIB), 0);
	for (unsigned i = 0; i < 131072; i += 1024) {
		uint64_t entries[1024];

		for (size_t k = 0; k < 1024; k++)
			entries[k] = __builtin_bswap64(UINT64_C(0x8000000000200000));
		put(path, 0x30000 + i * 8, entries, sizeof(entries));
	}
	assert_refused(path, NULL, "its tables are larger than the file");
}

/* --- digest --- */

static void test_digest(void **state)
{
	pv_autofree char *path = make_file(state, "digest", "abc", 3, 2 * MIB);
	pv_autodiskfile d = PV_DISKFILE_INIT;
	pv_autoerror err = PV_ERROR_INIT;
	char ours[PV_SHA256_HEX], other[PV_SHA256_HEX];

	assert_int_equal(pv_diskfile_open(path, "raw", &d, &err), 0);
	assert_int_equal(pv_digest_file(path, other, NULL, &err), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(pv_diskfile_digest(&d, ours, &err), 0);
		assert_string_equal(ours, other);
	}
	assert_int_equal(truncate(path, MIB), 0);
	assert_int_equal(pv_diskfile_digest(&d, ours, &err), -1);
	assert_non_null(strstr(err.text, "was changed by somebody while it was read"));
}

#define PLACED(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLACED(test_raw),
		PLACED(test_no_images),
		PLACED(test_unknown_format),
		PLACED(test_other_formats),
		PLACED(test_raw_that_begins_like_qcow2),
		PLACED(test_cut_off_partition_tables),
		PLACED(test_block_device),
		PLACED(test_fine_qcow2),
		PLACED(test_cut_off_qcow2),
		PLACED(test_backing_file),
		PLACED(test_data_file),
		PLACED(test_encrypted),
		PLACED(test_hostile_headers),
		PLACED(test_tables_without_end),
		PLACED(test_digest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
