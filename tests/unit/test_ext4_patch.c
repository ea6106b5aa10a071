/* SPDX-License-Identifier: Apache-2.0 */
/* A patched image is to the byte the one that is written from the changed tree; what cannot be patched is not; and whoever dies
 * while patching loses nothing. */
#include "check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "chunks.h"
#include "ext4.h"
#include "ext4_patch.h"
#include "fsutil.h"
#include "undo.h"
#include "scratch.h"

#define MIB (1ull << 20)
#define OFFSET MIB
#define SIZE (66 * MIB)

static int enter(void **state)
{
	return scratch_enter(state) < 0 || mkdir("t", 0755) < 0 || mkdir("t/etc", 0755) < 0 || mkdir("new", 0755) < 0 ||
			       mkdir("final", 0755) < 0 ? -1 : 0;
}

static void put(const char *path, size_t len, char c)
{
	pv_autofree char *data = pv_xmalloc(len + 1);

	memset(data, c, len);
	assert_int_equal(pv_write_file(path, data, len, 0644, NULL), 0);
}

static void make_image(const char *path)
{
	const struct pv_ext4_options options = { .offset = OFFSET, .size = SIZE - 2 * MIB, .uuid = { 1 }, .hash_seed = { 2 },
						 .epoch = 1000 };
	pv_autoclose int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	pv_autoerror err = PV_ERROR_INIT;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)SIZE), 0);
	if (pv_ext4_write(path, &options, "t", NULL, NULL, NULL, &err) < 0)
		fail_msg("%s", err.text);
}

static void digest(const char *path, char hex[PV_SHA256_HEX])
{
	assert_int_equal(pv_digest_file(path, hex, NULL, NULL), 0);
}

static void make_tree(size_t len, char c)
{
	put("t/etc/before", 5000, 'b');
	put("t/etc/file", len, c);
	put("t/etc/later", 9000, 'l');
}

static bool plan(const char *image, const char *path, size_t len, char c, struct pv_patch *ret)
{
	pv_autofree char *data = pv_xmalloc(len + 1);
	pv_autoerror err = PV_ERROR_INIT;
	bool possible = false;

	memset(data, c, len);
	if (pv_ext4_patch(image, OFFSET, path, data, len, ret, &possible, &err) < 0)
		fail_msg("%s", err.text);
	return possible;
}

static void test_patched_is_written(void **state)
{
	static const size_t sizes[][2] = { { 100, 50 }, { 50, 4096 }, { 5000, 8192 }, { 65536, 61441 }, { 7, 7 } };

	(void)state;
	for (size_t i = 0; i < PV_COUNT(sizes); i++) {
		pv_autopatch patch = { 0 };
		pv_autochunks chunks = { 0 };
		char want[PV_SHA256_HEX], have[PV_SHA256_HEX], before[PV_SHA256_HEX];

		make_tree(sizes[i][1], 'n');
		make_image("want");
		make_tree(sizes[i][0], 'o');
		make_image("have");
		assert_int_equal(pv_chunks_file("have", &chunks, NULL), 0);
		assert_true(plan("have", "etc/file", sizes[i][1], 'n', &patch));
		pv_autoclose int fd = open("have", O_RDWR | O_CLOEXEC);
		digest("have", before);
		assert_int_equal(pv_patch_apply(&patch, fd, "have", NULL), 0);
		digest("want", want);
		digest("have", have);
		assert_string_equal(want, have);
		assert_string_not_equal(before, have);
		/* the chunks that were written, again: as of the whole file */
		for (size_t k = 0; k < patch.n; k++)
			assert_int_equal(pv_chunks_again(&chunks, fd, "have", patch.v[k].offset, patch.v[k].len, NULL), 0);
		pv_chunks_digest(&chunks, have);
		pv_chunks_done(&chunks);
		assert_int_equal(pv_chunks_file("want", &chunks, NULL), 0);
		pv_chunks_digest(&chunks, want);
		assert_string_equal(want, have);
	}
}

static void test_what_cannot_be_patched(void **state)
{
	pv_autopatch patch = { 0 };

	(void)state;
	make_tree(100, 'o');
	put("t/etc/linked", 10, 'x');
	assert_int_equal(link("t/etc/linked", "t/etc/other-name"), 0);
	assert_int_equal(symlink("file", "t/etc/symlink"), 0);
	put("t/etc/large", 70000, 'x');
	put("t/etc/empty", 0, 'x');
	make_image("have");
	assert_false(plan("have", "etc/file", 4097, 'n', &patch));
	assert_false(plan("have", "etc/file", 0, 'n', &patch));
	assert_false(plan("have", "etc/linked", 10, 'n', &patch));
	assert_false(plan("have", "etc/symlink", 10, 'n', &patch));
	assert_false(plan("have", "etc/large", 70000, 'n', &patch));
	assert_false(plan("have", "etc/empty", 1, 'n', &patch));
	assert_false(plan("have", "etc/missing", 1, 'n', &patch));
	assert_false(plan("have", "etc", 1, 'n', &patch));
	assert_int_equal(patch.n, 0);
}

static void test_undo(void **state)
{
	pv_autopatch patch = { 0 };
	char before[PV_SHA256_HEX], after[PV_SHA256_HEX];
	bool moved = false;

	(void)state;
	make_tree(100, 'o');
	make_image("final/x.raw");
	digest("final/x.raw", before);
	assert_true(plan("final/x.raw", "etc/file", 90, 'n', &patch));
	assert_int_equal(pv_undo_take("final/x.raw", "new", &patch, &moved, NULL), 0);
	assert_true(moved);
	assert_int_equal(access("final/x.raw", F_OK), -1);
	pv_autoclose int fd = open("new/x.raw", O_RDWR | O_CLOEXEC);
	assert_int_equal(pv_patch_apply(&patch, fd, "x", NULL), 0);
	digest("new/x.raw", after);
	assert_string_not_equal(before, after);
	/* killed here; the next run gives it back, and a second time does no harm */
	for (int i = 0; i < 2; i++)
		assert_int_equal(pv_undo_recover("new", "final", "x.raw", NULL), 0);
	digest("final/x.raw", after);
	assert_string_equal(before, after);
	assert_int_equal(access("new/.undo", F_OK), -1);
}

static void test_a_disk_in_use_is_not_taken(void **state)
{
	pv_autopatch patch = { 0 };
	bool moved = true;

	(void)state;
	make_tree(100, 'o');
	make_image("final/x.raw");
	assert_int_equal(link("final/x.raw", "other"), 0);
	assert_int_equal(pv_undo_take("final/x.raw", "new", &patch, &moved, NULL), 0);
	assert_false(moved);
	assert_int_equal(unlink("other"), 0);
	pv_autoclose int reader = open("final/x.raw", O_RDONLY | O_CLOEXEC);
	moved = true;
	assert_int_equal(pv_undo_take("final/x.raw", "new", &patch, &moved, NULL), 0);
	assert_false(moved);
	assert_int_equal(access("final/x.raw", F_OK), 0);
}

/* The kernel tells the holder of a lease of each open by a signal, whose default would be the end. */
static void test_who_opens_it_meanwhile_ends_nobody(void **state)
{
	static const char bytes[] = "a disk";
	pid_t child;

	(void)state;
	assert_int_equal(pv_write_file("final/x.raw", bytes, sizeof(bytes), 0644, NULL), 0);
	child = fork();
	assert_true(child >= 0);
	for (int i = 0; child == 0 && i < 20000; i++) {
		int fd = open("final/x.raw", O_RDONLY | O_CLOEXEC);
		if (fd >= 0)
			close(fd);
	}
	if (child == 0)
		_exit(0);
	while (waitpid(child, NULL, WNOHANG) == 0) {
		pv_autopatch patch = { 0 };
		bool moved;
		assert_int_equal(pv_undo_take("final/x.raw", "new", &patch, &moved, NULL), 0);
		if (moved)
			assert_int_equal(pv_undo_recover("new", "final", "x.raw", NULL), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_patched_is_written, enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_what_cannot_be_patched, enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_undo, enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_a_disk_in_use_is_not_taken, enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_who_opens_it_meanwhile_ends_nobody, enter, scratch_leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
