/* SPDX-License-Identifier: Apache-2.0 */
/* Work folders: where they are, what they leave, who sweeps them, as root and as an ordinary user. */
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "as_user.h"
#include "fsutil.h"
#include "ns.h"
#include "text.h"
#include "workdir.h"

enum { TMPFS = 0x01021994, MIB = 1 << 20 };	/* linux/magic.h */

static struct people people;

static int set_up(void **state)
{
	(void)state;
	people_set_up(&people);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	people_tear_down(&people);
	return 0;
}

static void enter(void)
{
	CHECK(pv_ns_enter(NULL) == 0);
}

static bool is_tmpfs(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && fs.f_type == TMPFS;
}

static void make(const char *cache, uint64_t bytes, struct pv_workdir *wd)
{
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_workdir_create(cache, "img", bytes, wd, &err) == 0)
		return;
	fprintf(stderr, "%s\n", err.text);
	_exit(1);
}

static void try_memory(void *ctx)
{
	const struct person *who = ctx;
	pv_autofree char *cache = pv_path_join(who->dir, "a/cache");
	struct pv_workdir wd = PV_WORKDIR_INIT;
	struct statfs fs;

	enter();
	make(cache, 8 * MIB, &wd);
	pv_autofree char *path = pv_xstrdup(wd.path), *lock = pv_xstrdup(wd.lock_path);
	pv_autofree char *file = pv_path_join(path, "f");
	CHECK(pv_starts(wd.path, cache) && wd.in_memory && is_tmpfs(wd.path));
	CHECK(statfs(wd.path, &fs) == 0 && fs.f_blocks * (uint64_t)fs.f_bsize == 8 * MIB);
	CHECK(pv_write_file(file, "x", 1, 0600, NULL) == 0 && chown(file, 33, 33) == 0);
	pv_workdir_free(&wd);
	CHECK(!pv_exists(path) && !pv_exists(lock));
	pv_workdir_free(&wd);
}

static void try_disk(void *ctx)
{
	const struct person *who = ctx;
	struct pv_workdir wd = PV_WORKDIR_INIT;
	struct stat st;

	enter();
	make(who->dir, 0, &wd);
	pv_autofree char *path = pv_xstrdup(wd.path), *lock = pv_xstrdup(wd.lock_path);
	pv_autofree char *deep = pv_path_join(path, "d");
	CHECK(!wd.in_memory);
	CHECK(stat(path, &st) == 0 && st.st_uid == PV_NS_SELF && (st.st_mode & 0777) == 0700);
	CHECK(mkdir(deep, 0) == 0 && chown(deep, 1, 1) == 0);
	pv_workdir_free(&wd);
	CHECK(!pv_exists(path) && !pv_exists(lock));
}

static void try_refusals(void *ctx)
{
	static const char *const bad[] = { "", ".", "..", "a/b", ".x" };
	const struct person *who = ctx;
	struct pv_workdir wd = PV_WORKDIR_INIT;
	pv_autoerror err = PV_ERROR_INIT;
	size_t live, stale;

	CHECK(pv_workdir_create(who->dir, "img", MIB, &wd, &err) == -1 && err.kind == PV_ERR_HOST);
	pv_error_clear(&err);
	make(who->dir, 0, &wd);		/* a plain folder, which the driver xl wants outside any namespace */
	CHECK(pv_exists(wd.path) && !wd.in_memory);
	pv_workdir_free(&wd);
	enter();
	for (size_t i = 0; i < PV_COUNT(bad); i++)
		CHECK(pv_workdir_create(who->dir, bad[i], 0, &wd, NULL) == -1);
	CHECK(pv_workdir_create("relative", "img", 0, &wd, NULL) == -1);
	CHECK(pv_workdir_create(who->dir, "img", 1ull << 60, &wd, &err) == -1);
	CHECK(err.kind == PV_ERR_HOST && strstr(err.text, "--cache"));
	CHECK(wd.lock_fd == -1 && !wd.path);
	/* nothing of the refused ones is left */
	CHECK(pv_workdir_count(who->dir, &live, &stale, NULL) == 0 && live == 0 && stale == 0);
}

static void for_all(void (*fn)(void *ctx))
{
	for (size_t i = 0; i < people.n; i++)
		if (run_as(&people.who[i], fn, &people.who[i]) != 0)
			fail_msg("as %s", people.who[i].name);
}

static void test_in_memory(void **state)
{
	(void)state;
	for_all(try_memory);
}

static void test_on_disk(void **state)
{
	(void)state;
	for_all(try_disk);
}

static void test_refusals_leave_nothing(void **state)
{
	(void)state;
	for_all(try_refusals);
}

/* --- builders that are killed --- */

struct builder {
	const struct person *who;
	const char *cache;
	uint64_t bytes;
	int told;
};

static void build_for_ever(void *ctx)
{
	const struct builder *b = ctx;
	struct pv_workdir wd = PV_WORKDIR_INIT;

	enter();
	make(b->cache, b->bytes, &wd);
	pv_autofree char *dir = pv_path_join(wd.path, "root");
	pv_autofree char *file = pv_path_join(dir, "shadow");
	CHECK(mkdir(dir, 0755) == 0 && pv_write_file(file, "x", 1, 0, NULL) == 0);
	CHECK(chown(file, 0, 42) == 0 && chown(dir, 0, 0) == 0 && chmod(dir, 0) == 0);
	CHECK(write(b->told, "x", 1) == 1);
	for (;;)
		pause();
}

static void count(const char *cache, size_t live, size_t stale)
{
	size_t got_live, got_stale;

	assert_int_equal(pv_workdir_count(cache, &got_live, &got_stale, NULL), 0);
	assert_int_equal(got_live, live);
	assert_int_equal(got_stale, stale);
}

struct sweeping {
	const char *cache;
	size_t expected;
};

static void sweep(void *ctx)
{
	const struct sweeping *s = ctx;
	pv_autoerror err = PV_ERROR_INIT;
	size_t n;

	enter();
	if (pv_workdir_sweep(s->cache, &n, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		_exit(1);
	}
	CHECK(n == s->expected);
}

static void kill_and_sweep(const struct person *who, uint64_t bytes)
{
	pv_autofree char *cache = pv_path_join(who->dir, "swept");
	int told[2], status;
	char c;

	assert_int_equal(pipe2(told, O_CLOEXEC), 0);
	struct builder b = { .who = who, .cache = cache, .bytes = bytes, .told = told[1] };
	pid_t first = start_as(who, build_for_ever, &b);
	assert_int_equal(read(told[0], &c, 1), 1);
	pid_t second = start_as(who, build_for_ever, &b);
	assert_int_equal(read(told[0], &c, 1), 1);
	struct sweeping none = { cache, 0 }, one = { cache, 1 };
	assert_int_equal(run_as(who, sweep, &none), 0);
	kill(first, SIGKILL);
	assert_int_equal(waitpid(first, &status, 0), first);
	if (geteuid() == who->uid)
		count(cache, 1, 1);
	assert_int_equal(run_as(who, sweep, &one), 0);
	kill(second, SIGKILL);
	assert_int_equal(waitpid(second, &status, 0), second);
	assert_int_equal(run_as(who, sweep, &one), 0);
	assert_int_equal(run_as(who, sweep, &none), 0);
	if (geteuid() == who->uid)
		count(cache, 0, 0);
	close(told[0]);
	close(told[1]);
}

static void test_killed_builders_are_swept_and_living_ones_not(void **state)
{
	(void)state;
	for (size_t i = 0; i < people.n; i++) {
		kill_and_sweep(&people.who[i], 0);
		kill_and_sweep(&people.who[i], 4 * MIB);
	}
}

static void test_a_cache_that_is_not_there_is_clean(void **state)
{
	(void)state;
	count("/nonexistent/cache", 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_memory),
		cmocka_unit_test(test_on_disk),
		cmocka_unit_test(test_refusals_leave_nothing),
		cmocka_unit_test(test_killed_builders_are_swept_and_living_ones_not),
		cmocka_unit_test(test_a_cache_that_is_not_there_is_clean),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
