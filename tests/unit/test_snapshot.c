/* SPDX-License-Identifier: Apache-2.0 */
/* A tree that went through a snapshot is the tree: names, kinds, owners, modes, times, links, xattrs; and so are changes. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>

#include "fsutil.h"
#include "snapshot.h"
#include "text.h"
#include "tree.h"
#include "scratch.h"

static int enter(void **state)
{
	return scratch_enter(state) < 0 || mkdir("a", 0755) < 0 || mkdir("b", 0755) < 0 ? -1 : 0;
}

static void put(const char *path, const char *text)
{
	assert_int_equal(pv_write_file(path, text, strlen(text), 0644, NULL), 0);
}

static int describe(void *ctx, int dir_fd, const char *path, const struct pv_tree_entry *e, struct pv_error *err)
{
	struct pv_str *out = ctx;
	char text[4096] = "", xattr[64] = "";
	bool readable = S_ISREG(e->st.st_mode) || S_ISDIR(e->st.st_mode);
	pv_autoclose int fd = readable ? openat(dir_fd, e->name, O_RDONLY | O_CLOEXEC) : -1;

	(void)err;
	if (S_ISLNK(e->st.st_mode))
		assert_true(readlinkat(dir_fd, e->name, text, sizeof(text) - 1) > 0);
	if (fd >= 0) {
		assert_true(S_ISDIR(e->st.st_mode) || read(fd, text, sizeof(text) - 1) >= 0);
		(void)fgetxattr(fd, "user.test", xattr, sizeof(xattr) - 1);
	}
	pv_str_addf(out, "%s %o %u %u %lld %lld.%09ld %lu [%s] {%s}\n", path, e->st.st_mode, e->st.st_uid, e->st.st_gid,
		    S_ISDIR(e->st.st_mode) ? 0ll : (long long)e->st.st_size, (long long)e->st.st_mtim.tv_sec,
		    e->st.st_mtim.tv_nsec, S_ISDIR(e->st.st_mode) ? 0ul : (unsigned long)e->st.st_nlink, text, xattr);
	return 0;
}

static void assert_same_trees(void)
{
	pv_autostr a = PV_STR_INIT, b = PV_STR_INIT;

	assert_int_equal(pv_tree_walk("a", describe, &a, NULL), 0);
	assert_int_equal(pv_tree_walk("b", describe, &b, NULL), 0);
	assert_string_equal(pv_str_text(&a), pv_str_text(&b));
}

static const struct pv_snapshot_part from[] = { { "root", "a" } }, to[] = { { "root", "b" } };

static int go_through(const struct pv_snapshot_list *since, struct pv_error *err)
{
	char hex[PV_SHA256_HEX];
	uint64_t size;

	(void)unlink("s.tar");
	assert_int_equal(pv_snapshot_write("s.tar", from, 1, since, hex, &size, err), 0);
	return pv_snapshot_apply("s.tar", to, 1, err);
}

static void fill(void)
{
	const struct timespec old[2] = { { 1500000000, 123456789 }, { 1500000000, 123456789 } };

	assert_int_equal(mkdir("a/dir", 0750), 0);
	assert_int_equal(mkdir("a/dir/deep", 0700), 0);
	put("a/dir/file", "text");
	put("a/dir/deep/setuid", "s");
	assert_int_equal(chmod("a/dir/deep/setuid", 04755), 0);
	put("a/one", "linked");
	assert_int_equal(link("a/one", "a/dir/two"), 0);
	assert_int_equal(symlink("../nowhere", "a/dir/link"), 0);
	assert_int_equal(mkfifo("a/fifo", 0600), 0);
	put("a/F\xc5\x91tan\xc3\xbas\xc3\xadtv\xc3\xa1ny=\xff", "a name in no locale");
	put("a/empty", "");
	if (setxattr("a/dir/file", "user.test", "value", 5, 0) < 0)
		assert_true(errno == ENOTSUP);
	assert_int_equal(utimensat(AT_FDCWD, "a/dir/file", old, 0), 0);
	assert_int_equal(utimensat(AT_FDCWD, "a/dir", old, 0), 0);
}

static void test_all(void **state)
{
	(void)state;
	fill();
	assert_int_equal(go_through(NULL, NULL), 0);
	assert_same_trees();
}

static void test_changes(void **state)
{
	pv_autosnapshotlist *list = NULL;
	struct stat before, after;

	(void)state;
	fill();
	put("a/stays", "untouched");
	assert_int_equal(go_through(NULL, NULL), 0);
	assert_int_equal(stat("b/stays", &before), 0);
	assert_int_equal(pv_snapshot_list(from, 1, &list, NULL), 0);
	put("a/dir/file", "new text");
	assert_int_equal(unlink("a/one"), 0);
	assert_int_equal(unlink("a/dir/deep/setuid"), 0);
	assert_int_equal(rmdir("a/dir/deep"), 0);
	put("a/dir/deep", "was a folder");
	assert_int_equal(unlink("a/empty"), 0);
	assert_int_equal(mkdir("a/empty", 0711), 0);
	put("a/empty/in", "was a file");
	assert_int_equal(chmod("a/fifo", 0640), 0);
	assert_int_equal(go_through(list, NULL), 0);
	assert_same_trees();
	assert_int_equal(stat("b/stays", &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_int_equal(before.st_ctim.tv_nsec, after.st_ctim.tv_nsec);
}

/* A folder is kept, so what it had and has no more must be taken from it. */
static void test_xattr_goes(void **state)
{
	pv_autosnapshotlist *list = NULL;

	(void)state;
	assert_int_equal(mkdir("a/dir", 0750), 0);
	assert_int_equal(mkdir("a/other", 0750), 0);
	if (setxattr("a/dir", "user.test", "value", 5, 0) < 0 || setxattr("a/dir", "user.more", "x", 1, 0) < 0 ||
	    setxattr("a/other", "user.test", "value", 5, 0) < 0)
		skip();
	assert_int_equal(go_through(NULL, NULL), 0);
	assert_same_trees();
	assert_int_equal(pv_snapshot_list(from, 1, &list, NULL), 0);
	assert_int_equal(removexattr("a/dir", "user.test"), 0);
	assert_int_equal(setxattr("a/other", "user.test", "else", 4, 0), 0);
	assert_int_equal(go_through(list, NULL), 0);
	assert_same_trees();
	assert_int_equal(getxattr("b/dir", "user.more", NULL, 0), 1);
}

static void test_a_name_that_says_gone_is_refused(void **state)
{
	pv_autoerror err = PV_ERROR_INIT;
	char hex[PV_SHA256_HEX];
	uint64_t size;

	(void)state;
	put("a/.wh.x", "");
	assert_int_equal(pv_snapshot_write("s.tar", from, 1, NULL, hex, &size, &err), -1);
	assert_non_null(strstr(err.text, ".wh.x"));
	assert_int_equal(access("s.tar", F_OK), -1);
}

/* Somebody else's tar file with one entry. */
static void write_tar(const char *path, const char *link, const char *hard)
{
	struct archive *a = archive_write_new();
	struct archive_entry *e = archive_entry_new();

	assert_int_equal(archive_write_set_format_pax(a), ARCHIVE_OK);
	assert_int_equal(archive_write_open_filename(a, "evil.tar"), ARCHIVE_OK);
	if (link) {
		archive_entry_set_pathname(e, "root/link");
		archive_entry_set_mode(e, S_IFLNK | 0777);
		archive_entry_set_symlink(e, link);
		assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
		archive_entry_clear(e);
	}
	archive_entry_set_pathname(e, path);
	archive_entry_set_mode(e, S_IFREG | 0644);
	archive_entry_set_size(e, 0);
	if (hard)
		archive_entry_set_hardlink(e, hard);
	assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
	archive_entry_free(e);
	archive_write_free(a);
}

static void test_nothing_leads_out(void **state)
{
	static const struct { const char *path, *link, *hard; } bad[] = {
		{ "root/../out", NULL, NULL }, { "/out", NULL, NULL }, { "other/x", NULL, NULL }, { "root/link/out", "..", NULL },
		{ "root/./x", NULL, NULL }, { "root//x", NULL, NULL }, { "root/.wh...", NULL, NULL }, { "root", NULL, NULL },
		{ "root/hard", NULL, "root/../s.tar" }, { "root/hard", "..", "root/link/secret" },
	};

	(void)state;
	put("secret", "s");
	for (size_t i = 0; i < PV_COUNT(bad); i++) {
		pv_autoerror err = PV_ERROR_INIT;
		write_tar(bad[i].path, bad[i].link, bad[i].hard);
		assert_int_equal(pv_snapshot_apply("evil.tar", to, 1, &err), -1);
		assert_non_null(err.text);
		assert_int_equal(access("out", F_OK), -1);
		assert_int_equal(access("b/hard", F_OK), -1);
	}
}

/* "dir-b" and "dir.c" sort between "dir" and "dir/file". */
static void test_folders_that_begin_alike_go_together(void **state)
{
	static const char *const names[] = { "dir", "dir-b", "dir.c" };
	pv_autosnapshotlist *list = NULL;
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	for (size_t i = 0; i < PV_COUNT(names); i++) {
		pv_autofree char *dir = pv_path_join("a", names[i]), *file = pv_path_join(dir, "file");
		assert_int_equal(mkdir(dir, 0755), 0);
		put(file, "text");
	}
	assert_int_equal(go_through(NULL, NULL), 0);
	assert_int_equal(pv_snapshot_list(from, 1, &list, NULL), 0);
	for (size_t i = 0; i < PV_COUNT(names); i++) {
		pv_autofree char *dir = pv_path_join("a", names[i]);
		assert_int_equal(pv_rmtree(dir, NULL), 0);
	}
	if (go_through(list, &err) < 0)
		fail_msg("%s", err.text);
	assert_same_trees();
}

/* A default ACL as xattrs have it (linux/posix_acl_xattr.h): rwx, r-x, group 4 r-x, mask r-x, r-x. */
static const uint8_t acl[] = {
	2, 0, 0, 0,  1, 0, 7, 0, 255, 255, 255, 255,  4, 0, 5, 0, 255, 255, 255, 255,  8, 0, 5, 0, 4, 0, 0, 0,
	16, 0, 5, 0, 255, 255, 255, 255,  32, 0, 5, 0, 255, 255, 255, 255,
};

static ssize_t acl_len(const char *path, const char *kind)
{
	pv_autofree char *name = pv_fmt("system.posix_acl_%s", kind);

	return getxattr(path, name, NULL, 0);
}

static void test_acls_are_not_inherited(void **state)
{
	pv_autosnapshotlist *list = NULL;

	(void)state;
	assert_int_equal(mkdir("a/logs", 0755), 0);
	assert_int_equal(mkdir("a/logs/old", 0750), 0);
	put("a/logs/file", "made before its folder had one");
	if (setxattr("a/logs", "system.posix_acl_default", acl, sizeof(acl), 0) < 0) {
		assert_true(errno == ENOTSUP);
		skip();
	}
	assert_int_equal(mkdir("a/logs/new", 0750), 0);
	assert_int_equal(go_through(NULL, NULL), 0);
	assert_same_trees();
	assert_int_equal(acl_len("b/logs", "default"), sizeof(acl));
	assert_int_equal(acl_len("b/logs/new", "default"), sizeof(acl));
	assert_int_equal(acl_len("b/logs/new", "access"), acl_len("a/logs/new", "access"));
	assert_int_equal(acl_len("b/logs/old", "default"), -1);
	assert_int_equal(acl_len("b/logs/old", "access"), -1);
	assert_int_equal(acl_len("b/logs/file", "access"), -1);

	/* and one that was taken away */
	assert_int_equal(pv_snapshot_list(from, 1, &list, NULL), 0);
	assert_int_equal(removexattr("a/logs", "system.posix_acl_default"), 0);
	assert_int_equal(go_through(list, NULL), 0);
	assert_same_trees();
	assert_int_equal(acl_len("b/logs", "default"), -1);
}

static void test_a_file_takes_the_place_of_a_folder(void **state)
{
	(void)state;
	put("a/name", "a file");
	put("a/other", "next to it");
	assert_int_equal(mkdir("b/name", 0755), 0);
	put("b/name/in", "in the way");
	assert_int_equal(go_through(NULL, NULL), 0);
	assert_same_trees();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all, enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_changes, enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_xattr_goes, enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_a_name_that_says_gone_is_refused, enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_nothing_leads_out, enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_folders_that_begin_alike_go_together, enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_acls_are_not_inherited, enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_a_file_takes_the_place_of_a_folder, enter, scratch_leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
