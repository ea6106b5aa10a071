/* SPDX-License-Identifier: Apache-2.0 */
/* Files appear whole, trees go without following links, locks hold. */
#include "check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fsutil.h"
#include "scratch.h"

/* Each test works in a fresh folder, its current one. */
static void touch(const char *path)
{
	pv_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
}

static unsigned count_entries(void)
{
	DIR *dir = opendir(".");
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;	/* . and .. */
}

static void test_read(void **state)
{
	pv_autofree char *text = NULL;
	size_t len = 0;

	(void)state;
	assert_int_equal(pv_write_file("f", "abc", 3, 0644, NULL), 0);
	assert_int_equal(pv_read_file("f", 3, &text, &len, NULL), 0);
	assert_int_equal(len, 3);
	assert_string_equal(text, "abc");
}

static void test_read_limits(void **state)
{
	pv_autoerror err = PV_ERROR_INIT;
	char *text = NULL;

	(void)state;
	assert_int_equal(pv_write_file("f", "abcd", 4, 0644, NULL), 0);
	assert_int_equal(pv_read_file("f", 3, &text, NULL, &err), -1);
	assert_string_equal(err.text, "f: larger than 3 bytes");
	assert_null(text);
	/* no size in its inode */
	assert_int_equal(pv_read_file("/proc/self/status", 10, &text, NULL, &err), -1);
	assert_string_equal(err.text, "/proc/self/status: larger than 10 bytes");
	assert_int_equal(pv_read_file("/proc/self/status", 100000, &text, NULL, NULL), 0);
	assert_true(strstr(text, "Pid:") != NULL);
	free(text);
}

static void test_read_nul_byte(void **state)
{
	pv_autoerror err = PV_ERROR_INIT;
	char *text = NULL;
	size_t len;

	(void)state;
	assert_int_equal(pv_write_file("f", "a\0b", 3, 0644, NULL), 0);
	assert_int_equal(pv_read_file("f", 10, &text, NULL, &err), -1);
	assert_int_equal(pv_read_file("f", 10, &text, &len, NULL), 0);
	assert_int_equal(len, 3);
	assert_memory_equal(text, "a\0b", 4);
	free(text);
}

static void test_read_empty_missing_and_odd(void **state)
{
	pv_autoerror err = PV_ERROR_INIT;
	char *text = NULL;

	(void)state;
	touch("empty");
	assert_int_equal(pv_read_file("empty", 10, &text, NULL, NULL), 0);
	assert_string_equal(text, "");
	free(text);
	assert_int_equal(pv_read_file("none", 10, &text, NULL, &err), -1);
	assert_string_equal(err.text, "none: cannot open: No such file or directory");
	assert_int_equal(pv_read_file("/dev/zero", 10, &text, NULL, &err), -1);
	assert_string_equal(err.text, "/dev/zero: not a regular file");
	/* would block for ever */
	assert_int_equal(mkfifo("fifo", 0600), 0);
	assert_int_equal(pv_read_file("fifo", 10, &text, NULL, &err), -1);
	assert_string_equal(err.text, "fifo: not a regular file");
}

static void test_write_replaces_with_exact_mode(void **state)
{
	pv_autofree char *text = NULL;
	struct stat st;

	(void)state;
	umask(077);
	assert_int_equal(pv_write_file("f", "old", 3, 0600, NULL), 0);
	assert_int_equal(pv_write_file("f", "new", 3, 0755, NULL), 0);
	assert_int_equal(pv_read_file("f", 10, &text, NULL, NULL), 0);
	assert_string_equal(text, "new");
	assert_int_equal(stat("f", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(count_entries(), 1);
}

static void test_write_failure_leaves_nothing(void **state)
{
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	assert_int_equal(pv_write_file("no/such/f", "x", 1, 0644, &err), -1);
	assert_true(pv_starts(err.text, "no/such/f: cannot create"));
	assert_int_equal(mkdir("d", 0755), 0);
	touch("d/inside");
	assert_int_equal(pv_write_file("d", "x", 1, 0644, &err), -1);
	assert_true(pv_starts(err.text, "d: cannot rename into place"));
	assert_int_equal(pv_write_file("d/", "x", 1, 0644, &err), -1);
	assert_int_equal(count_entries(), 1);
}

static void test_write_longest_name(void **state)
{
	char name[256];

	(void)state;
	memset(name, 'n', 255);
	name[255] = '\0';
	assert_int_equal(pv_write_file(name, "x", 1, 0644, NULL), 0);
	assert_true(pv_exists(name));
}

static void test_write_full_disk(void **state)
{
	pv_autoclose int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	if (fd < 0)
		skip();
	assert_int_equal(pv_write_all(fd, "x", 1), -1);
	assert_int_equal(errno, ENOSPC);
}

static void test_pread_short_only_at_end(void **state)
{
	char buf[8] = "";
	pv_autoclose int fd = open("f", O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	(void)state;
	assert_int_equal(pv_pwrite_all(fd, "abcdef", 6, 2), 0);
	assert_int_equal(pv_pread_all(fd, buf, 4, 2), 4);
	assert_memory_equal(buf, "abcd", 4);
	assert_int_equal(pv_pread_all(fd, buf, 8, 6), 2);
	assert_int_equal(pv_pread_all(fd, buf, 8, 100), 0);
	assert_int_equal(pv_pread_all(-1, buf, 8, 0), -1);
}

static void test_mkdirs(void **state)
{
	pv_autoerror err = PV_ERROR_INIT;
	struct stat st;

	(void)state;
	assert_int_equal(pv_mkdirs("a/b//c/", 0700, NULL), 0);
	assert_int_equal(stat("a/b/c", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(pv_mkdirs("a/b/c", 0700, NULL), 0);
	assert_int_equal(pv_mkdirs("/", 0700, NULL), 0);
	touch("file");
	assert_int_equal(pv_mkdirs("file/x", 0700, &err), -1);
	assert_true(pv_starts(err.text, "file"));
	assert_int_equal(pv_mkdirs("file", 0700, &err), -1);
	assert_int_equal(pv_mkdirs("", 0700, &err), -1);
	assert_int_equal(symlink("a", "link"), 0);
	assert_int_equal(pv_mkdirs("link/new", 0755, NULL), 0);
	assert_true(pv_exists("a/new"));
}

static void test_rmtree_follows_no_link(void **state)
{
	(void)state;
	assert_int_equal(pv_mkdirs("keep/inner", 0755, NULL), 0);
	touch("keep/inner/file");
	assert_int_equal(pv_mkdirs("tree/a/b", 0755, NULL), 0);
	touch("tree/a/b/f");
	assert_int_equal(symlink("../keep", "tree/link"), 0);
	assert_int_equal(symlink("/nowhere", "tree/dangling"), 0);
	assert_int_equal(mkfifo("tree/fifo", 0600), 0);
	assert_int_equal(pv_rmtree("tree", NULL), 0);
	assert_false(pv_exists("tree"));
	assert_true(pv_exists("keep/inner/file"));
	/* a link itself goes, not what it names */
	assert_int_equal(symlink("keep", "direct"), 0);
	assert_int_equal(pv_rmtree("direct", NULL), 0);
	assert_true(pv_exists("keep/inner/file"));
	assert_false(pv_exists("direct"));
}

static void test_rmtree_of_nothing_and_of_a_file(void **state)
{
	(void)state;
	assert_int_equal(pv_rmtree("none", NULL), 0);
	touch("f");
	assert_int_equal(pv_rmtree("f", NULL), 0);
	assert_false(pv_exists("f"));
}

static void test_rmtree_unwritable(void **state)
{
	(void)state;
	assert_int_equal(pv_mkdirs("tree/a/b", 0755, NULL), 0);
	touch("tree/a/b/f");
	assert_int_equal(chmod("tree/a/b", 0), 0);
	assert_int_equal(chmod("tree/a", 0500), 0);
	assert_int_equal(chmod("tree", 0), 0);
	assert_int_equal(pv_rmtree("tree", NULL), 0);
	assert_false(pv_exists("tree"));
}

static void test_rmtree_very_deep(void **state)
{
	pv_autoclose int at = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	for (int i = 0; i < 3000; i++) {
		int next;

		assert_int_equal(mkdirat(at, "d", 0700), 0);
		next = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		close(at);
		at = next;
	}
	assert_int_equal(mkdirat(at, "last", 0700), 0);
	assert_int_equal(pv_rmtree("d", NULL), 0);
	assert_false(pv_exists("d"));
}

/* In a child with a mount namespace of its own; 77: not allowed here. */
static int rmtree_at_mount(const char *source, const char *type, unsigned long flags)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (unshare(uid == 0 ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER) < 0)
		return 77;
	if (uid != 0) {
		pv_autofree char *map = pv_fmt("0 %u 1", uid), *gmap = pv_fmt("0 %u 1", gid);

		int s = open("/proc/self/setgroups", O_WRONLY), u = open("/proc/self/uid_map", O_WRONLY);
		int g = open("/proc/self/gid_map", O_WRONLY);

		if (pv_write_all(s, "deny", 4) < 0 || pv_write_all(u, map, strlen(map)) < 0 ||
		    pv_write_all(g, gmap, strlen(gmap)) < 0)
			return 77;
	}
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || mount(source, "tree/m", type, flags, NULL) < 0)
		return 77;
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_rmtree("tree", &err) == 0 || !strstr(err.text, "cannot remove 'm'"))
		return 1;
	return pv_exists("keep/file") && !pv_exists("tree/other") ? 0 : 2;
}

static void try_mount(const char *source, const char *type, unsigned long flags)
{
	int status;
	pid_t pid;

	assert_int_equal(pv_mkdirs("tree/m", 0755, NULL), 0);
	assert_int_equal(pv_mkdirs("keep", 0755, NULL), 0);
	touch("keep/file");
	touch("tree/other");
	pid = fork();
	if (pid == 0)
		_exit(rmtree_at_mount(source, type, flags));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_true(pv_exists("keep/file"));
}

static void test_rmtree_stays_on_its_mount(void **state)
{
	(void)state;
	try_mount("none", "tmpfs", 0);
}

/* The same file system: st_dev does not tell. */
static void test_rmtree_leaves_bind_mounts(void **state)
{
	(void)state;
	try_mount("keep", NULL, MS_BIND);
}

static void test_lock(void **state)
{
	pv_autoclose int a = -1, b = -1;
	struct stat st;

	(void)state;
	assert_int_equal(pv_lock("lock", false, &a, NULL), 0);
	assert_true(a >= 0);
	assert_int_equal(fcntl(a, F_GETFD), FD_CLOEXEC);
	assert_int_equal(stat("lock", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(pv_lock("lock", false, &b, NULL), 0);
	assert_int_equal(b, -1);
	pv_closep(&a);
	assert_int_equal(pv_lock("lock", true, &b, NULL), 0);
	assert_true(b >= 0);
}

static void test_lock_waits(void **state)
{
	pv_autoclose int a = -1, b = -1;
	int ready[2], status;
	char c;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		if (pv_lock("lock", true, &a, NULL) < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		usleep(300000);
		/* the holder removes the file: the waiter must not end up with the old one */
		unlink("lock");
		_exit(0);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(pv_lock("lock", false, &b, NULL), 0);
	assert_int_equal(b, -1);
	assert_int_equal(pv_lock("lock", true, &b, NULL), 0);
	assert_true(b >= 0);
	assert_true(pv_exists("lock"));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(ready[0]);
	close(ready[1]);
}

static void test_lock_refuses_links(void **state)
{
	int fd = 55;

	(void)state;
	touch("real");
	assert_int_equal(symlink("real", "lock"), 0);
	assert_int_equal(pv_lock("lock", true, &fd, NULL), -1);
	assert_int_equal(pv_lock("no/such", true, &fd, NULL), -1);
	assert_int_equal(fd, 55);
}

static void test_free_space(void **state)
{
	uint64_t here = 0, below = 0;

	(void)state;
	assert_int_equal(pv_free_space(".", &here, NULL), 0);
	assert_true(here > 0);
	assert_int_equal(pv_free_space("not/yet/there", &below, NULL), 0);
	assert_true(below > 0);
	assert_int_equal(pv_free_space("/not-yet", &below, NULL), 0);
}

static void check_join(const char *dir, const char *name, const char *expected)
{
	pv_autofree char *path = pv_path_join(dir, name);

	assert_string_equal(path, expected);
}

static void test_path_join(void **state)
{
	(void)state;
	check_join("a", "b", "a/b");
	check_join("a/", "b", "a/b");
	check_join("a//", "//b", "a/b");
	check_join("/", "b", "/b");
	check_join("", "b", "b");
	check_join("a b'\"", "c d", "a b'\"/c d");
}

static void test_path_dir(void **state)
{
	static const char *const rows[][2] = { { "a/b", "a" }, { "/a/b", "/a" }, { "/b", "/" }, { "b", "." }, { "a/", "a" } };

	(void)state;
	for (size_t i = 0; i < PV_COUNT(rows); i++) {
		pv_autofree char *dir = pv_path_dir(rows[i][0]);

		assert_string_equal(dir, rows[i][1]);
	}
}

static void check_cache(const char *xdg, const char *home, const char *expected)
{
	pv_autofree char *dir = NULL;

	if (xdg)
		setenv("XDG_CACHE_HOME", xdg, 1);
	else
		unsetenv("XDG_CACHE_HOME");
	if (home)
		setenv("HOME", home, 1);
	else
		unsetenv("HOME");
	dir = pv_cache_dir();
	if (expected)
		assert_string_equal(dir, expected);
	else
		assert_null(dir);
}

static void test_cache_dir(void **state)
{
	(void)state;
	check_cache("/x/cache", "/home/u", "/x/cache/pvimg");
	check_cache(NULL, "/home/u", "/home/u/.cache/pvimg");
	check_cache("", "/home/u/", "/home/u/.cache/pvimg");
	check_cache("relative", "/home/u", "/home/u/.cache/pvimg");
	check_cache(NULL, "relative", NULL);
	check_cache(NULL, NULL, NULL);
}

static void test_cleanup_keeps_errno(void **state)
{
	(void)state;
	errno = EXDEV;
	{
		pv_autoclose int fd = 9999;
		pv_autofclose FILE *f = NULL;

		(void)f;
		assert_int_equal(fd, 9999);
	}
	assert_int_equal(errno, EXDEV);
}

static void test_exists(void **state)
{
	(void)state;
	assert_false(pv_exists("x"));
	assert_int_equal(symlink("nowhere", "x"), 0);
	assert_true(pv_exists("x"));
}

static void test_read_proc_file_whole(void **state)
{
	pv_autoerror err = PV_ERROR_INIT;
	pv_autofree char *text = NULL;

	(void)state;
	assert_int_equal(pv_read_file("/proc/sys/kernel/ostype", 100, &text, NULL, &err), 0);
	assert_string_equal(text, "Linux\n");
}

static void test_list_dir(void **state)
{
	pv_autostrv names = PV_STRV_INIT;
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	assert_int_equal(pv_mkdirs("d/b", 0755, NULL), 0);
	assert_int_equal(pv_write_file("d/.a", "", 0, 0644, NULL), 0);
	assert_int_equal(pv_write_file("d/B", "", 0, 0644, NULL), 0);
	assert_int_equal(pv_list_dir("d", &names, &err), 0);
	assert_int_equal(names.n, 3);
	assert_string_equal(names.v[0], ".a");
	assert_string_equal(names.v[1], "B");
	assert_string_equal(names.v[2], "b");
	assert_int_equal(pv_list_dir("nowhere", &names, &err), 0);
	assert_int_equal(names.n, 3);
	assert_int_equal(pv_list_dir("d/B", &names, &err), -1);
	assert_non_null(strstr(err.text, "d/B"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_proc_file_whole),
		cmocka_unit_test_setup_teardown(test_list_dir, scratch_enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_read, scratch_enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_read_limits, scratch_enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_read_nul_byte, scratch_enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_read_empty_missing_and_odd, scratch_enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_write_replaces_with_exact_mode, scratch_enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_write_failure_leaves_nothing, scratch_enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_write_longest_name, scratch_enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_write_full_disk, scratch_enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_pread_short_only_at_end, scratch_enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_mkdirs, scratch_enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_rmtree_follows_no_link, scratch_enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_rmtree_of_nothing_and_of_a_file, scratch_enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_rmtree_unwritable, scratch_enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_rmtree_very_deep, scratch_enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_rmtree_stays_on_its_mount, scratch_enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_rmtree_leaves_bind_mounts, scratch_enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_lock, scratch_enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_lock_waits, scratch_enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_lock_refuses_links, scratch_enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_free_space, scratch_enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_path_join, scratch_enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_path_dir, scratch_enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_cache_dir, scratch_enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_cleanup_keeps_errno, scratch_enter, scratch_leave),
		cmocka_unit_test_setup_teardown(test_exists, scratch_enter, scratch_leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
