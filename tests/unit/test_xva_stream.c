/* SPDX-License-Identifier: Apache-2.0 */
/* The length of an XVA is known before it is made, and what comes out of the pipe is what the writer writes to a file. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "scratch.h"

#include "fsutil.h"
#include "proc.h"
#include "text.h"
#include "xva_stream.h"

#define MIB ((uint64_t)1 << 20)

static const struct disk {
	uint64_t mib, data[3];		/* offsets of a few bytes; UINT64_MAX: none */
} disks[] = {
	{ 1, { UINT64_MAX, UINT64_MAX, UINT64_MAX } },
	{ 1, { 5, UINT64_MAX, UINT64_MAX } },
	{ 5, { UINT64_MAX, UINT64_MAX, UINT64_MAX } },
	{ 7, { 3 * MIB - 2, UINT64_MAX, UINT64_MAX } },		/* over the edge of two chunks */
	{ 8, { 0, 4 * MIB, 8 * MIB - 10 } },
};

static int make_disk(const struct disk *d)
{
	int fd = open("disk", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)(d->mib * MIB)), 0);
	for (size_t i = 0; i < PV_COUNT(d->data); i++)
		if (d->data[i] != UINT64_MAX)
			assert_int_equal(pv_pwrite_all(fd, "data", 4, (off_t)d->data[i]), 0);
	return fd;
}

/* The same by the writer alone, into a file. */
static void write_plain(int fd, const struct pv_xva_machine *m, struct pv_str *ret)
{
	struct pv_xva_writer *w = NULL;
	pv_autoerror err = PV_ERROR_INIT;
	pv_autofree char *text = NULL;
	size_t len;
	int out = open("plain", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_equal(pv_xva_writer_new(m, false, out, "plain", &w, &err), 0);
	const struct pv_block_sink sink = { pv_xva_step(false), pv_xva_write, w };
	const struct pv_blocks_request req = { .fd = fd, .size = m->disk_size, .name = "disk", .sinks = &sink, .nsinks = 1 };
	assert_int_equal(pv_blocks_run(&req, &err), 0);
	assert_int_equal(pv_xva_finish(w, &err), 0);
	pv_xva_writer_free(w);
	close(out);
	assert_int_equal(pv_read_file("plain", (size_t)64 << 20, &text, &len, &err), 0);
	pv_str_addn(ret, text, len);
}

static struct pv_xva_machine machine_of(const struct disk *d)
{
	return (struct pv_xva_machine){ "name.uploading-0", "words", "seed", UINT64_C(2) << 30, 2, d->mib * MIB };
}

static void test_same_bytes(void **state)
{
	(void)state;
	for (size_t i = 0; i < PV_COUNT(disks); i++) {
		pv_autoclose int fd = make_disk(&disks[i]);
		const struct pv_xva_machine m = machine_of(&disks[i]);
		const struct pv_xva_source src = { .fd = fd, .name = "disk", .machine = &m };
		struct pv_xva_measure measure;
		struct pv_xva_stream *s;
		pv_autoerror err = PV_ERROR_INIT;
		pv_autostr plain = PV_STR_INIT, streamed = PV_STR_INIT;
		char block[70000], sha256[PV_SHA256_HEX], real[PV_SHA256_HEX];
		ssize_t n;

		write_plain(fd, &m, &plain);
		assert_int_equal(pv_xva_measure(&src, &measure, &err), 0);
		assert_int_equal(measure.size, plain.len);
		assert_int_equal(pv_xva_stream_begin(&src, &s, &err), 0);
		while ((n = read(pv_xva_stream_fd(s), block, sizeof(block))) > 0)
			pv_str_addn(&streamed, block, (size_t)n);
		assert_int_equal(pv_xva_stream_end(s, sha256, &err), 0);
		assert_int_equal(streamed.len, plain.len);
		assert_memory_equal(streamed.data, plain.data, plain.len);
		assert_int_equal(pv_digest_file("disk", real, NULL, &err), 0);
		assert_string_equal(measure.sha256, real);
		assert_string_equal(sha256, real);
	}
}

/* Who reads may go away at any time: nothing hangs, and it is told. */
static void test_reader_leaves(void **state)
{
	(void)state;
	for (size_t stop = 0; stop < 3000000; stop += 700000) {
		pv_autoclose int fd = make_disk(&disks[4]);
		const struct pv_xva_machine m = machine_of(&disks[4]);
		const struct pv_xva_source src = { .fd = fd, .name = "disk", .machine = &m };
		struct pv_xva_stream *s;
		pv_autoerror err = PV_ERROR_INIT;
		pv_autofree char *buffer = pv_xmalloc(stop + 1);
		char sha256[PV_SHA256_HEX];

		assert_int_equal(pv_xva_stream_begin(&src, &s, &err), 0);
		for (size_t have = 0; have < stop;) {
			ssize_t n = read(pv_xva_stream_fd(s), buffer, stop - have);
			assert_true(n > 0);
			have += (size_t)n;
		}
		assert_int_equal(pv_xva_stream_end(s, sha256, &err), -1);
		assert_non_null(err.text);
	}
}

/* What is sent is hashed as it is sent: a disk that changed meanwhile is not the one that was measured. */
static void test_disk_changes(void **state)
{
	pv_autoclose int fd = make_disk(&disks[4]);
	const struct pv_xva_machine m = machine_of(&disks[4]);
	const struct pv_xva_source src = { .fd = fd, .name = "disk", .machine = &m };
	struct pv_xva_measure measure;
	struct pv_xva_stream *s;
	pv_autoerror err = PV_ERROR_INIT;
	char block[70000], sha256[PV_SHA256_HEX];
	uint64_t len = 0;
	ssize_t n;

	(void)state;
	assert_int_equal(pv_xva_measure(&src, &measure, &err), 0);
	assert_int_equal(pv_pwrite_all(fd, "D", 1, 0), 0);
	assert_int_equal(pv_xva_stream_begin(&src, &s, &err), 0);
	while ((n = read(pv_xva_stream_fd(s), block, sizeof(block))) > 0)
		len += (uint64_t)n;
	assert_int_equal(pv_xva_stream_end(s, sha256, &err), 0);
	assert_int_equal(len, measure.size);
	assert_string_not_equal(sha256, measure.sha256);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_same_bytes, scratch_enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_reader_leaves, scratch_enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_disk_changes, scratch_enter, scratch_leave),
	};

	pv_proc_catch_signals();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
