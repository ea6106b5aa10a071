/* SPDX-License-Identifier: Apache-2.0 */
/* The store: what goes in comes out, only whole, and two at once do not harm each other. */
#include "check.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fsutil.h"
#include "store.h"
#include "text.h"

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

struct fixture {
	char *dir;
	struct pv_store *store;
};

static int setup(void **state)
{
	struct fixture *f = pv_xcalloc(1, sizeof(*f));
	const char *tmp = getenv("TMPDIR");

	f->dir = pv_fmt("%s/pvimg-store-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(f->dir) || pv_store_open(f->dir, &f->store, NULL) < 0)
		return -1;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	int result = pv_rmtree(f->dir, NULL);

	pv_store_free(f->store);
	free(f->dir);
	free(f);
	return result;
}

static void test_put_mem(void **state)
{
	struct fixture *f = *state;
	char hex[PV_SHA256_HEX];
	pv_autofree char *path = NULL;
	pv_autofree char *text = NULL;
	size_t len;
	struct stat st;

	assert_int_equal(pv_store_put_mem(f->store, "hello", 5, hex, NULL), 0);
	assert_true(pv_store_has(f->store, hex, 5));
	assert_false(pv_store_has(f->store, hex, 4));
	path = pv_store_path(f->store, hex);
	assert_int_equal(pv_read_file(path, 100, &text, &len, NULL), 0);
	assert_string_equal(text, "hello");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0444);
	assert_int_equal(pv_store_put_mem(f->store, "hello", 5, NULL, NULL), 0);
	assert_int_equal(pv_store_put_mem(f->store, "", 0, hex, NULL), 0);
	assert_string_equal(hex, EMPTY);
	assert_true(pv_store_has(f->store, EMPTY, 0));
}

/* A cut or foreign thing under the right name does not count. */
static void test_damage(void **state)
{
	struct fixture *f = *state;
	char hex[PV_SHA256_HEX];
	pv_autofree char *path = NULL;
	bool ok;

	assert_int_equal(pv_store_put_mem(f->store, "hello", 5, hex, NULL), 0);
	path = pv_store_path(f->store, hex);
	assert_int_equal(pv_store_check(f->store, hex, &ok, NULL), 0);
	assert_true(ok);
	assert_int_equal(pv_write_file(path, "hell", 4, 0444, NULL), 0);
	assert_false(pv_store_has(f->store, hex, 5));
	assert_int_equal(pv_store_put_mem(f->store, "hello", 5, NULL, NULL), 0);
	assert_true(pv_store_has(f->store, hex, 5));
	assert_int_equal(pv_write_file(path, "HELLO", 5, 0444, NULL), 0);
	assert_int_equal(pv_store_check(f->store, hex, &ok, NULL), 0);
	assert_false(ok);
	assert_false(pv_exists(path));
	assert_int_equal(pv_store_check(f->store, hex, &ok, NULL), 0);
	assert_false(ok);
	assert_int_equal(symlink("/etc/hostname", path), 0);
	assert_false(pv_store_has(f->store, hex, 5));
}

static void test_put_file(void **state)
{
	struct fixture *f = *state;
	pv_autofree char *path = pv_path_join(f->dir, "in");
	pv_autofree char *missing = pv_path_join(f->dir, "missing");
	pv_autostr big = PV_STR_INIT;
	char hex[PV_SHA256_HEX], want[PV_SHA256_HEX];
	pv_autoerror err = PV_ERROR_INIT;
	pv_autoerror err2 = PV_ERROR_INIT;

	while (big.len < 700000)
		pv_str_addf(&big, "%zu ", big.len);
	assert_int_equal(pv_write_file(path, big.data, big.len, 0600, NULL), 0);
	pv_digest_mem(big.data, big.len, want);
	assert_int_equal(pv_store_put_file(f->store, path, EMPTY, NULL, &err), -1);
	assert_int_equal(err.kind, PV_ERR_ARCHIVE);
	assert_non_null(strstr(err.text, EMPTY));
	assert_non_null(strstr(err.text, want));
	assert_false(pv_store_has(f->store, want, big.len));
	assert_int_equal(pv_store_put_file(f->store, path, want, hex, NULL), 0);
	assert_string_equal(hex, want);
	assert_true(pv_store_has(f->store, want, big.len));
	assert_int_equal(pv_store_put_file(f->store, missing, NULL, hex, &err2), -1);
	assert_non_null(strstr(err2.text, "missing"));
	/* Nothing half-done is left. */
	assert_int_equal(rmdir(pv_store_tmp(f->store)), 0);
}

static void test_stale_is_removed(void **state)
{
	struct fixture *f = *state;
	pv_autofree char *old = pv_path_join(pv_store_tmp(f->store), "put.1.0");
	pv_autofree char *young = pv_path_join(pv_store_tmp(f->store), "put.2.0");
	pv_autofree char *part = pv_store_part_path(f->store, EMPTY);
	const struct timespec long_ago[2] = { { 1000, 0 }, { 1000, 0 } };
	pv_autostore *again = NULL;

	assert_int_equal(pv_write_file(old, "x", 1, 0600, NULL), 0);
	assert_int_equal(pv_write_file(young, "x", 1, 0600, NULL), 0);
	assert_int_equal(pv_write_file(part, "x", 1, 0600, NULL), 0);
	assert_int_equal(utimensat(AT_FDCWD, old, long_ago, 0), 0);
	assert_int_equal(utimensat(AT_FDCWD, part, long_ago, 0), 0);
	assert_int_equal(pv_store_open(f->dir, &again, NULL), 0);
	assert_false(pv_exists(old));
	assert_true(pv_exists(young));
	assert_true(pv_exists(part));
}

/* What a killed run was writing goes with the next open, unless somebody who may be writing it has the store open. */
static void test_leftovers_are_removed(void **state)
{
	struct fixture *f = *state;
	pv_autofree char *left = pv_path_join(pv_store_tmp(f->store), "put.1.0");
	pv_autofree char *part = pv_store_part_path(f->store, EMPTY);
	pv_autostore *again = NULL, *last = NULL;

	assert_int_equal(pv_write_file(left, "x", 1, 0600, NULL), 0);
	assert_int_equal(pv_write_file(part, "x", 1, 0600, NULL), 0);
	assert_int_equal(pv_store_open(f->dir, &again, NULL), 0);
	assert_true(pv_exists(left));
	pv_store_freep(&again);
	pv_store_freep(&f->store);
	assert_int_equal(pv_store_open(f->dir, &last, NULL), 0);
	assert_false(pv_exists(left));
	assert_true(pv_exists(part));
}

/* Only when nobody has it open; who opens it then finds a new one. */
static void test_remove(void **state)
{
	struct fixture *f = *state;
	pv_autofree char *objects = pv_path_join(f->dir, "store/sha256");
	bool busy;

	assert_int_equal(pv_store_remove(f->dir, &busy, NULL), 0);
	assert_true(busy);
	assert_true(pv_exists(objects));
	pv_store_freep(&f->store);
	assert_int_equal(pv_store_remove(f->dir, &busy, NULL), 0);
	assert_false(busy);
	assert_false(pv_exists(objects));
	assert_int_equal(pv_store_remove(f->dir, &busy, NULL), 0);
	assert_false(busy);
	assert_int_equal(pv_store_open(f->dir, &f->store, NULL), 0);
}

static void put_many(const struct pv_store *store)
{
	for (unsigned i = 0; i < 200; i++) {
		pv_autofree char *text = pv_fmt("%u", i % 50);

		if (pv_store_put_mem(store, text, strlen(text), NULL, NULL) < 0)
			_exit(1);
	}
	_exit(0);
}

static void test_many_at_once(void **state)
{
	struct fixture *f = *state;
	pid_t pids[4];

	for (size_t i = 0; i < PV_COUNT(pids); i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			put_many(f->store);
	}
	for (size_t i = 0; i < PV_COUNT(pids); i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	for (unsigned i = 0; i < 50; i++) {
		pv_autofree char *text = pv_fmt("%u", i);
		char hex[PV_SHA256_HEX];
		bool ok;

		pv_digest_mem(text, strlen(text), hex);
		assert_int_equal(pv_store_check(f->store, hex, &ok, NULL), 0);
		assert_true(ok);
	}
	assert_int_equal(rmdir(pv_store_tmp(f->store)), 0);
}

static void test_need(void **state)
{
	struct fixture *f = *state;
	pv_autoerror err = PV_ERROR_INIT;

	assert_int_equal(pv_store_need(f->store, 1, NULL), 0);
	assert_int_equal(pv_store_need(f->store, UINT64_MAX / 2, &err), -1);
	assert_int_equal(err.kind, PV_ERR_STAGE);
	assert_non_null(strstr(err.text, f->dir));
	assert_non_null(strstr(err.text, "9223372036854775807 bytes"));
}

static void test_no_place(void **state)
{
	struct fixture *f = *state;
	pv_autofree char *file = pv_path_join(f->dir, "file");
	pv_autoerror err = PV_ERROR_INIT;
	pv_autostore *store = NULL;

	assert_int_equal(pv_write_file(file, "x", 1, 0600, NULL), 0);
	assert_int_equal(pv_store_open(file, &store, &err), -1);
	assert_non_null(strstr(err.text, file));
}

static int write_proc(const char *name, const char *text)
{
	pv_autofree char *path = pv_fmt("/proc/self/%s", name);
	pv_autoclose int fd = open(path, O_WRONLY);

	return fd < 0 ? -1 : pv_write_all(fd, text, strlen(text));
}

/* In a child, on a file system of one MiB: 0 good, 77 cannot be tried here. */
static int fill_disk(const char *dir)
{
	pv_autostore *store = NULL;
	pv_autoerror err = PV_ERROR_INIT;
	pv_autofree char *data = pv_xcalloc(1, 4u << 20);
	pv_autofree char *uid_map = pv_fmt("0 %u 1\n", (unsigned)getuid());
	pv_autofree char *gid_map = pv_fmt("0 %u 1\n", (unsigned)getgid());

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 || write_proc("uid_map", uid_map) < 0 ||
	    write_proc("setgroups", "deny") < 0 || write_proc("gid_map", gid_map) < 0 ||
	    mount("none", dir, "tmpfs", 0, "size=1m") < 0)
		return 77;
	if (pv_store_open(dir, &store, NULL) < 0)
		return 1;
	if (pv_store_put_mem(store, data, 4u << 20, NULL, &err) == 0 || err.kind != PV_ERR_STAGE)
		return 2;
	if (!strstr(err.text, dir) || !strstr(err.text, "4194304 bytes"))
		return 3;
	return rmdir(pv_store_tmp(store)) == 0 ? 0 : 4;
}

static void test_full_disk(void **state)
{
	struct fixture *f = *state;
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(fill_disk(f->dir));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("skipped: no user namespace to mount a small file system in\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_put_mem, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_put_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stale_is_removed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_leftovers_are_removed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_remove, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_need, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_place, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_disk, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
