/* SPDX-License-Identifier: Apache-2.0 */
/* Trees are read in bytewise order, links are never followed, and the counts are right. */
#include "check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fsutil.h"
#include "tree.h"
#include "scratch.h"

static int enter(void **state)
{
	return scratch_enter(state) < 0 || mkdir("t", 0755) < 0 ? -1 : 0;
}

static void put(const char *path, size_t size)
{
	pv_autofree char *data = pv_xcalloc(size + 1, 1);

	memset(data, 'x', size);
	assert_int_equal(pv_write_file(path, data, size, 0644, NULL), 0);
}

static int note(void *ctx, int dir_fd, const char *path, const struct pv_tree_entry *entry, struct pv_error *err)
{
	struct pv_str *seen = ctx;
	struct stat st;

	(void)err;
	assert_int_equal(fstatat(dir_fd, entry->name, &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(st.st_ino == entry->st.st_ino);
	pv_str_addf(seen, "%s%s|", path, S_ISDIR(entry->st.st_mode) ? "/" : "");
	return 0;
}

static void test_order(void **state)
{
	pv_autostr seen = PV_STR_INIT;
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	assert_int_equal(mkdir("t/b", 0755), 0);
	assert_int_equal(mkdir("t/b/x", 0755), 0);
	put("t/b-", 1);			/* '-' is before '/': order is by folder, not by whole path */
	put("t/b/a", 1);
	put("t/B", 1);
	put("t/\xc3\xa4", 1);
	put("t/z", 1);
	assert_int_equal(symlink("b", "t/link"), 0);
	assert_int_equal(symlink("/nowhere", "t/b/x/dead"), 0);
	assert_int_equal(pv_tree_walk("t", note, &seen, &err), 0);
	assert_string_equal(pv_str_text(&seen), "B|b/|b/a|b/x/|b/x/dead|b-|link|z|\xc3\xa4|");
}

static int refuse(void *ctx, int dir_fd, const char *path, const struct pv_tree_entry *entry, struct pv_error *err)
{
	int *calls = ctx;

	(void)dir_fd;
	(void)entry;
	(*calls)++;
	return pv_error_set(err, PV_ERR_STAGE, "%s: no", path);
}

static void test_callback_ends_walk(void **state)
{
	pv_autoerror err = PV_ERROR_INIT;
	int calls = 0;

	(void)state;
	put("t/a", 1);
	put("t/b", 1);
	assert_int_equal(pv_tree_walk("t", refuse, &calls, &err), -1);
	assert_int_equal(calls, 1);
	assert_string_equal(err.text, "t: a: no");
}

static void make_socket(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	strcpy(addr.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
}

static void test_measure(void **state)
{
	struct pv_tree_stats s;
	pv_autoerror err = PV_ERROR_INIT;
	char target[81] = { 0 };

	(void)state;
	assert_int_equal(mkdir("t/d", 0755), 0);
	put("t/empty", 0);
	put("t/one", 1);
	put("t/block", 4096);
	put("t/d/more", 4097);
	assert_int_equal(link("t/d/more", "t/d/again"), 0);
	assert_int_equal(link("t/d/more", "t/third"), 0);
	memset(target, 't', 80);
	assert_int_equal(symlink("short", "t/s1"), 0);
	assert_int_equal(symlink(target, "t/s2"), 0);
	assert_int_equal(mkfifo("t/fifo", 0600), 0);
	make_socket("t/sock");
	assert_int_equal(pv_tree_measure("t", &s, &err), 0);
	assert_int_equal(s.files, 4);
	assert_int_equal(s.dirs, 1);
	assert_int_equal(s.links, 2);
	assert_int_equal(s.hard_links, 2);
	assert_int_equal(s.special, 1);
	assert_int_equal(s.sockets, 1);
	assert_int_equal(s.inodes, 9);
	assert_int_equal(s.data_bytes, 4096 + 4096 + 8192);
	assert_true(s.dir_bytes >= 3 * 4096 && s.dir_bytes % 4096 == 0);
}

static void test_sparse_counts_as_taken(void **state)
{
	struct pv_tree_stats s;
	int fd = open("t/lastlog", O_CREAT | O_WRONLY, 0644);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)1 << 40), 0);
	assert_int_equal(pwrite(fd, "x", 1, 1000000), 1);
	close(fd);
	assert_int_equal(pv_tree_measure("t", &s, NULL), 0);
	assert_true(s.data_bytes >= 4096 && s.data_bytes <= 1 << 20);
}

static void test_need_grows(void **state)
{
	struct pv_tree_stats small = { .inodes = 10, .data_bytes = 1 << 20, .dir_bytes = 4096 };
	struct pv_tree_stats many = { .inodes = 1000000, .data_bytes = 1 << 20, .dir_bytes = 4096 };
	struct pv_tree_stats large = { .inodes = 10, .data_bytes = 10ull << 30, .dir_bytes = 4096 };

	(void)state;
	assert_true(pv_tree_ext4_need(&small) >= 64u << 20);
	assert_true(pv_tree_ext4_need(&small) <= 128u << 20);
	assert_true(pv_tree_ext4_need(&many) >= 1000000ull * 16384);
	assert_true(pv_tree_ext4_need(&large) > 10ull << 30);
	assert_true(pv_tree_ext4_need(&large) < 12ull << 30);
	assert_int_equal(pv_tree_ext4_need(&large) % (1 << 20), 0);
}

static void test_too_deep(void **state)
{
	pv_autoerror err = PV_ERROR_INIT;
	struct pv_tree_stats s;

	(void)state;
	assert_int_equal(chdir("t"), 0);
	for (unsigned i = 0; i <= PV_TREE_MAX_DEPTH; i++) {
		assert_int_equal(mkdir("d", 0755), 0);
		assert_int_equal(chdir("d"), 0);
	}
	assert_int_equal(chdir(*state), 0);
	assert_int_equal(pv_tree_measure("t", &s, &err), -1);
	assert_non_null(strstr(err.text, "folders deep"));
}

static void test_missing_root(void **state)
{
	pv_autoerror err = PV_ERROR_INIT;
	struct pv_tree_stats s;

	(void)state;
	assert_int_equal(pv_tree_measure("nothing", &s, &err), -1);
	assert_int_equal(err.kind, PV_ERR_STAGE);
	assert_string_equal(err.text, "nothing: No such file or directory");
}

static void test_open_dir_follows_nothing(void **state)
{
	int fd = -1;

	(void)state;
	assert_int_equal(symlink("/etc", "t/l"), 0);
	assert_int_equal(pv_tree_open_dir(AT_FDCWD, "t/l", "t/l", &fd, NULL), -1);
	assert_int_equal(fd, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order, enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_callback_ends_walk, enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_measure, enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_sparse_counts_as_taken, enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_need_grows, enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_too_deep, enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_missing_root, enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_open_dir_follows_nothing, enter, scratch_leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
