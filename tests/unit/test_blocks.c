/* SPDX-License-Identifier: Apache-2.0 */
/* The ring of blocks: every sink gets every block in order, whatever runs at once; zeros are found; errors end it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "blocks.h"
#include "fsutil.h"
#include "text.h"

#define BLOCKS 37u
#define SIZE (BLOCKS * PV_BLOCK_LEN - PV_BLOCK_LEN / 2)

struct seen {
	uint64_t next, zero, stop_at;
	bool ok;
};

static int stamp(void *thread, const struct pv_block *b, void *slot, struct pv_error *err)
{
	(void)thread;
	(void)err;
	/* other threads overtake */
	usleep((unsigned)(b->index * 7919 % 5) * 300);
	memcpy(slot, &b->index, sizeof(b->index));
	return 0;
}

static const struct pv_block_step step = { sizeof(uint64_t), NULL, NULL, stamp };

static int take(void *ctx, const struct pv_block *b, const void *slot, struct pv_error *err)
{
	struct seen *s = ctx;
	uint64_t stamped;

	if (s->stop_at && b->index == s->stop_at)
		return pv_error_set(err, PV_ERR_STAGE, "enough");
	s->ok &= b->index == s->next++ && b->offset == b->index * PV_BLOCK_LEN;
	if (slot) {
		memcpy(&stamped, slot, sizeof(stamped));
		s->ok &= stamped == b->index;
	}
	s->zero += b->zero;
	if (b->index % 3 == 1)
		s->ok &= !b->zero && pv_block_is_zero(b, 0, PV_BLOCK_LEN / 2) && !pv_block_is_zero(b, 0, PV_BLOCK_LEN) &&
			 b->data[PV_BLOCK_LEN / 2 + 5] == (uint8_t)b->index;
	else
		s->ok &= b->zero;
	return 0;
}

static int make_disk(void)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, SIZE), 0);
	for (unsigned i = 0; i < BLOCKS - 1; i++) {
		uint8_t byte = (uint8_t)i;

		if (i % 3 == 1)
			assert_int_equal(pv_pwrite_all(fd, &byte, 1, (off_t)(i * PV_BLOCK_LEN + PV_BLOCK_LEN / 2 + 5)), 0);
	}
	return fd;
}

static void in_order(void **state)
{
	pv_autoclose int fd = make_disk();

	(void)state;
	for (unsigned threads = 1; threads <= 8; threads += 3) {
		struct seen seen[3] = { { .ok = true }, { .ok = true }, { .ok = true } };
		const struct pv_block_sink sinks[] = { { &step, take, &seen[0] }, { NULL, take, &seen[1] },
						       { &step, take, &seen[2] } };
		const struct pv_blocks_request req = { .fd = fd, .size = SIZE, .name = "disk", .sinks = sinks, .nsinks = 3,
						       .threads = threads };
		pv_autoerror err = PV_ERROR_INIT;

		assert_int_equal(pv_blocks_run(&req, &err), 0);
		for (size_t i = 0; i < 3; i++) {
			assert_true(seen[i].ok);
			assert_int_equal(seen[i].next, BLOCKS);
			assert_int_equal(seen[i].zero, BLOCKS - 12);
		}
	}
}

static void error_ends_it(void **state)
{
	pv_autoclose int fd = make_disk();
	struct seen good = { .ok = true }, bad = { .ok = true, .stop_at = 9 };
	const struct pv_block_sink sinks[] = { { &step, take, &good }, { NULL, take, &bad } };
	const struct pv_blocks_request req = { .fd = fd, .size = SIZE, .name = "disk", .sinks = sinks, .nsinks = 2, .threads = 3 };
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	assert_int_equal(pv_blocks_run(&req, &err), -1);
	assert_string_equal(err.text, "enough");
	assert_int_equal(bad.next, 9);
	assert_true(good.next < BLOCKS);
}

/* Data and holes in turn, more threads than processors: what one thread learns of a hole must not be taken for the block
 * before it, which another thread has yet to read. */
static int count(void *ctx, const struct pv_block *b, const void *slot, struct pv_error *err)
{
	uint64_t *lost = ctx;

	(void)slot;
	(void)err;
	*lost += b->zero != (b->index % 2 == 1);
	return 0;
}

static void holes_and_threads(void **state)
{
	enum { MANY = 4000, ROUNDS = 10 };
	pv_autoclose int fd = memfd_create("disk", MFD_CLOEXEC);
	uint64_t lost = 0;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)(MANY * PV_BLOCK_LEN)), 0);
	for (size_t i = 0; i < MANY; i += 2)
		assert_int_equal(pv_pwrite_all(fd, "x", 1, (off_t)(i * PV_BLOCK_LEN + 4096)), 0);
	for (unsigned round = 0; round < ROUNDS; round++) {
		const struct pv_block_sink sink = { NULL, count, &lost };
		const struct pv_blocks_request req = { .fd = fd, .size = MANY * PV_BLOCK_LEN, .name = "disk", .sinks = &sink,
						       .nsinks = 1, .threads = 12 };

		assert_int_equal(pv_blocks_run(&req, NULL), 0);
	}
	assert_int_equal(lost, 0);
}

static void told(void *ctx, uint64_t done, uint64_t total)
{
	uint64_t *last = ctx;

	assert_int_equal(total, SIZE);
	assert_true(done >= *last && done <= total);
	*last = done;
	/* the threads end meanwhile */
	usleep(30000);
}

static void progress_ends(void **state)
{
	pv_autoclose int fd = make_disk();

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		struct seen seen = { .ok = true };
		uint64_t last = 0;
		const struct pv_block_sink sink = { NULL, take, &seen };
		const struct pv_blocks_request req = { .fd = fd, .size = SIZE, .name = "disk", .sinks = &sink, .nsinks = 1,
						       .threads = 2, .progress = told, .progress_ctx = &last };

		assert_int_equal(pv_blocks_run(&req, NULL), 0);
		assert_int_equal(last, SIZE);
	}
}

/* A file that becomes shorter while it is read: what is missing is no hole. */
static int cut(void *ctx, const struct pv_block *b, const void *slot, struct pv_error *err)
{
	const int *fd = ctx;

	(void)slot;
	if (b->index == 0 && ftruncate(*fd, (off_t)(2 * PV_BLOCK_LEN)) < 0)
		return pv_error_set(err, PV_ERR_STAGE, "the test cannot cut its disk");
	return 0;
}

static void cut_short(void **state)
{
	pv_autoclose int fd = memfd_create("disk", MFD_CLOEXEC);
	const struct pv_block_sink sink = { NULL, cut, &fd };
	const struct pv_blocks_request req = { .fd = fd, .size = SIZE, .name = "disk", .sinks = &sink, .nsinks = 1,
					       .threads = 1 };
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, SIZE), 0);
	for (size_t i = 0; i < BLOCKS - 1; i++)
		assert_int_equal(pv_pwrite_all(fd, "x", 1, (off_t)(i * PV_BLOCK_LEN)), 0);
	assert_int_equal(pv_blocks_run(&req, &err), -1);
	assert_string_equal(err.text, "disk: was cut short while it was read");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_order),
		cmocka_unit_test(error_ends_it),
		cmocka_unit_test(holes_and_threads),
		cmocka_unit_test(cut_short),
		cmocka_unit_test(progress_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
