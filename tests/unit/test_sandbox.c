/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox against target code that means harm, as root and as an ordinary user; how ends are passed on. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "as_user.h"
#include "attack.h"
#include "fsutil.h"
#include "ns.h"
#include "sandbox.h"
#include "text.h"

/* What a case is told; the rest is up to its function in the child. */
struct box {
	const struct person *who;
	pid_t test;
	char port[16], socket_name[64];
	char tree[128];			/* a folder in who->dir */
	char program[128];		/* this program, for inside */
};

static struct people people;	/* cmocka's state pointer has no type */
static int listener, abstract;

/* This program, where that person can read it. */
static void copy_program(const struct person *who)
{
	pv_autofree char *to = pv_path_join(who->dir, "attack"), *data = NULL;
	size_t len;

	if (pv_read_file("/proc/self/exe", 256 << 20, &data, &len, NULL) < 0 ||
	    pv_write_file(to, data, len, 0755, NULL) < 0)
		abort();
}

static int set_up(void **state)
{
	(void)state;
	people_set_up(&people);
	for (size_t i = 0; i < people.n; i++)
		copy_program(&people.who[i]);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	abstract = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return listener < 0 || abstract < 0 || listen(listener, 1) < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	(void)state;
	close(listener);
	close(abstract);
	people_tear_down(&people);
	return 0;
}

/* --- in the child --- */

static void enter_and_make_tree(const struct box *b)
{
	static const char *const folders[] = { "", "/usr", "/etc", "/var", "/var/with space" };
	static const char *const links[] = { "bin", "sbin", "lib", "lib64" };
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_ns_enter(&err) < 0) {
		fprintf(stderr, "pv_ns_enter: %s\n", err.text);
		_exit(1);
	}
	for (size_t i = 0; i < PV_COUNT(folders); i++) {
		pv_autofree char *path = pv_fmt("%s%s", b->tree, folders[i]);
		CHECK(mkdir(path, 0755) == 0 && chown(path, 0, 0) == 0);
	}
	for (size_t i = 0; i < PV_COUNT(links); i++) {
		pv_autofree char *path = pv_path_join(b->tree, links[i]);
		pv_autofree char *to = pv_fmt("usr/%s", links[i]);
		CHECK(symlink(to, path) == 0);
	}
}

/* The tree borrows the host's /usr; /run/attack is this program. */
static struct pv_sandbox_bind binds[3];

static struct pv_sandbox box_of(const struct box *b)
{
	binds[0] = (struct pv_sandbox_bind){ "/usr", "/usr", false };
	binds[1] = (struct pv_sandbox_bind){ b->program, "/run/attack", false };
	return (struct pv_sandbox){ .root = b->tree, .binds = binds, .nbinds = 2 };
}

/* Runs a word inside and expects it to end as said. */
static void expect(const struct pv_sandbox *box, int code, const char *word, const char *a, const char *c)
{
	const char *const argv[] = { "/run/attack", word, a, c, NULL };
	const struct pv_proc proc = { .argv = argv, .deadline_s = 60 };
	pv_autoproc res = PV_PROC_RESULT_INIT;
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_sandbox_run(box, &proc, &res, &err) < 0) {
		fprintf(stderr, "%s: %s\n", word, err.text);
		_exit(1);
	}
	if (res.exit_code != code) {
		fprintf(stderr, "%s: exit code %d, signal %d: %s\n", word, res.exit_code, res.signal, res.tail);
		_exit(1);
	}
}

/* --- in the test: each case in a fresh tree, once a person --- */

static void describe(struct box *b, const struct person *who)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t len = sizeof(at);

	memset(b, 0, sizeof(*b));
	b->who = who;
	b->test = getpid();
	getsockname(listener, (struct sockaddr *)&at, &len);
	snprintf(b->port, sizeof(b->port), "%u", ntohs(at.sin_port));
	snprintf(b->socket_name, sizeof(b->socket_name), "pvimg-test-%d", (int)getpid());
	snprintf(b->program, sizeof(b->program), "%s/attack", who->dir);
	snprintf(b->tree, sizeof(b->tree), "%s/a tree's \"root\"", who->dir);
}

static void clean_tree(void *ctx)
{
	const struct box *b = ctx;

	CHECK(pv_ns_enter(NULL) == 0);
	CHECK(pv_rmtree(b->tree, NULL) == 0);
}

static void for_all(void (*fn)(void *ctx))
{
	for (size_t i = 0; i < people.n; i++) {
		struct box b;
		describe(&b, &people.who[i]);
		int rc = run_as(b.who, fn, &b);
		assert_int_equal(run_as(b.who, clean_tree, &b), 0);
		if (rc != 0)
			fail_msg("as %s", b.who->name);
	}
}

static void try_ids(void *ctx)
{
	const struct box *b = ctx;
	pv_autofree char *uid = pv_fmt("%u", b->who->uid);

	enter_and_make_tree(b);
	const struct pv_sandbox box = box_of(b);
	expect(&box, 0, "ids", uid, NULL);
}

static void test_inside_is_root_of_the_subordinate_ids_only(void **state)
{
	(void)state;
	for_all(try_ids);
}

static void try_network(void *ctx)
{
	const struct box *b = ctx;

	enter_and_make_tree(b);
	const struct pv_sandbox box = box_of(b);
	expect(&box, 0, "network", b->port, b->socket_name);
}

static void test_no_network_and_no_mac_address(void **state)
{
	struct sockaddr_un local = { .sun_family = AF_UNIX };
	int len = snprintf(local.sun_path + 1, sizeof(local.sun_path) - 1, "pvimg-test-%d", (int)getpid());

	(void)state;
	assert_int_equal(bind(abstract, (struct sockaddr *)&local, (socklen_t)(sizeof(sa_family_t) + 1 + (size_t)len)),
			 0);
	assert_int_equal(listen(abstract, 1), 0);
	for_all(try_network);
}

static void try_host(void *ctx)
{
	const struct box *b = ctx;
	pv_autofree char *pid = pv_fmt("%d", (int)b->test);
	pv_autofree char *secret = pv_path_join(b->who->dir, "secret");

	enter_and_make_tree(b);
	CHECK(pv_write_file(secret, "s", 1, 0644, NULL) == 0);
	const struct pv_sandbox box = box_of(b);
	expect(&box, 0, "host", pid, secret);
	CHECK(unlink(secret) == 0);
}

static void test_no_processes_files_or_settings_of_the_host(void **state)
{
	(void)state;
	for_all(try_host);
}

static void try_kernel(void *ctx)
{
	enter_and_make_tree(ctx);
	const struct pv_sandbox box = box_of(ctx);
	expect(&box, 0, "kernel", NULL, NULL);
}

static void test_no_devices_mounts_or_namespaces(void **state)
{
	(void)state;
	for_all(try_kernel);
}

static void try_sync(void *ctx)
{
	enter_and_make_tree(ctx);
	struct pv_sandbox box = box_of(ctx);
	expect(&box, 0, "sync", "noop", NULL);
	box.keep_sync = true;
	expect(&box, 0, "sync", "real", NULL);
}

static void test_sync_calls_do_nothing_unless_asked(void **state)
{
	(void)state;
	for_all(try_sync);
}

static void try_files(void *ctx)
{
	static const unsigned char cap[20] = { 1, 0, 0, 2, 0, 0x20 };
	const struct box *b = ctx;
	unsigned char got[64];
	struct stat st;

	enter_and_make_tree(b);
	struct pv_sandbox box = box_of(b);
	pv_autofree char *etc = pv_path_join(b->tree, "etc/made");
	pv_autofree char *shown = pv_path_join(b->who->dir, "shown");
	pv_autofree char *tmp = pv_path_join(b->tree, "tmp/gone");
	CHECK(pv_write_file(shown, "outside\n", 8, 0644, NULL) == 0 && chmod(shown, 0666) == 0);
	expect(&box, 0, "write", "/etc/made", NULL);
	CHECK(stat(etc, &st) == 0 && st.st_uid == 0 && st.st_gid == 42);
	/* as setcap writes it and as the image wants it, not bound to a namespace */
	expect(&box, 0, "capability", "/etc/made", NULL);
	CHECK(getxattr(etc, "security.capability", got, sizeof(got)) == 20 && memcmp(got, cap, 20) == 0);
	expect(&box, 0, "write", "/tmp/gone", NULL);
	CHECK(access(tmp, F_OK) < 0);
	binds[2] = (struct pv_sandbox_bind){ shown, "/run/deep/below it's/shown", false };
	box.nbinds = 3;
	expect(&box, 0, "read", "/run/deep/below it's/shown", "outside\n");
	pv_autofree char *open_dir = pv_path_join(b->who->dir, "open");
	CHECK(mkdir(open_dir, 0777) == 0 && chmod(open_dir, 0777) == 0);
	binds[2] = (struct pv_sandbox_bind){ open_dir, "/var/with space", true };
	expect(&box, 0, "write", "/var/with space/made", NULL);
	pv_autofree char *made = pv_path_join(open_dir, "made");
	CHECK(stat(made, &st) == 0 && st.st_uid == 0);
	CHECK(pv_rmtree(open_dir, NULL) == 0 && unlink(shown) == 0);
}

static void test_files_binds_and_odd_paths(void **state)
{
	(void)state;
	for_all(try_files);
}

/* Mount points that a hostile package turned into links to the host. */
static void try_links(void *ctx)
{
	static const char *const argv[] = { "true", NULL };
	const struct pv_proc proc = { .argv = argv, .deadline_s = 60 };
	const struct box *b = ctx;
	pv_autoerror err = PV_ERROR_INIT;
	pv_autoproc res = PV_PROC_RESULT_INIT;
	pv_autofree char *outside = pv_path_join(b->who->dir, "outside");
	pv_autofree char *link = pv_path_join(b->tree, "srv");
	pv_autofree char *etc = pv_path_join(b->tree, "etc/new");
	pv_autofree char *run = pv_path_join(b->tree, "run");

	enter_and_make_tree(b);
	CHECK(mkdir(outside, 0777) == 0 && symlink(outside, link) == 0);
	struct pv_sandbox box = box_of(b);
	box.nbinds = 3;
	binds[2] = (struct pv_sandbox_bind){ "/usr", "/srv/sub", false };
	CHECK(pv_sandbox_run(&box, &proc, &res, &err) == -1);
	CHECK(err.kind == PV_ERR_STAGE && strstr(err.text, "/srv/sub"));
	CHECK(rmdir(outside) == 0);
	pv_error_clear(&err);
	/* Missing in the tree itself: told, not made. */
	binds[2] = (struct pv_sandbox_bind){ "/usr", "/etc/new", false };
	CHECK(pv_sandbox_run(&box, &proc, &res, &err) == -1);
	CHECK(err.kind == PV_ERR_STAGE && strstr(err.text, "/etc/new") && access(etc, F_OK) < 0);
	pv_error_clear(&err);
	box.nbinds = 2;
	/* A /run that leads out of the tree, by number of ".." and absolute. */
	CHECK(rmdir(run) == 0 && symlink("../../../../../../tmp", run) == 0);
	expect(&box, 0, "write", "/tmp/pvimg-test-escaped", NULL);
	CHECK(access("/tmp/pvimg-test-escaped", F_OK) < 0);
	box.root = "/nonexistent/tree";
	CHECK(pv_sandbox_run(&box, &proc, &res, &err) == -1);
	CHECK(err.kind == PV_ERR_STAGE && strstr(err.text, "/nonexistent/tree"));
}

static void test_links_lead_nowhere(void **state)
{
	(void)state;
	for_all(try_links);
}

static void try_host_tools(void *ctx)
{
	static const char *const argv[] = { "sh", "-c", "test -d /target/usr && test -e /target/dev/null && "
					    "chroot /target /usr/bin/true && dpkg --print-architecture >/dev/null",
					    NULL };
	const struct pv_proc proc = { .argv = argv, .deadline_s = 60 };
	const struct box *b = ctx;
	pv_autoerror err = PV_ERROR_INIT;
	pv_autofree char *secret = pv_path_join(b->who->dir, "secret");

	enter_and_make_tree(b);
	CHECK(pv_write_file(secret, "s", 1, 0644, NULL) == 0);
	const struct pv_sandbox box = {
		.root = b->tree, .host_tools = true, .nbinds = 3,
		.binds = (const struct pv_sandbox_bind[]){
			{ b->program, "/run/attack", false },
			{ "/usr", "/target/usr", false },
			{ b->who->dir, "/archive", false },
		},
	};
	if (pv_sandbox_check(&box, &proc, PV_ERR_STAGE, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		_exit(1);
	}
	expect(&box, 0, "escape", secret, NULL);
	CHECK(unlink(secret) == 0);
	/* the mount points are left, nothing in them */
	static const char *const points[] = { "dev", "proc", "sys", "run", "tmp" };
	for (size_t i = 0; i < PV_COUNT(points); i++) {
		pv_autofree char *path = pv_path_join(b->tree, points[i]);
		CHECK(rmdir(path) == 0);
	}
}

static void test_host_tools_see_the_host_read_only(void **state)
{
	(void)state;
	for_all(try_host_tools);
}

static void try_ends(void *ctx)
{
	const int signals[] = { SIGHUP, SIGINT, SIGABRT, SIGKILL, SIGSEGV, SIGPIPE, SIGTERM, SIGRTMIN + 3 };
	const struct box *b = ctx;

	enter_and_make_tree(b);
	const struct pv_sandbox box = box_of(b);
	expect(&box, 0, "end", "exit", "0");
	expect(&box, 3, "end", "exit", "3");
	expect(&box, 127, "end", "exit", "127");
	expect(&box, 255, "end", "exit", "255");
	for (size_t i = 0; i < PV_COUNT(signals); i++) {
		pv_autofree char *number = pv_fmt("%d", signals[i]);
		const char *const argv[] = { "/run/attack", "end", "signal", number, NULL };
		const struct pv_proc proc = { .argv = argv, .deadline_s = 60 };
		pv_autoproc res = PV_PROC_RESULT_INIT;
		CHECK(pv_sandbox_run(&box, &proc, &res, NULL) == 0);
		CHECK(res.exit_code == -1 && res.signal == signals[i]);
	}
	const char *const argv[] = { "no-such-program", NULL };
	const struct pv_proc proc = { .argv = argv, .deadline_s = 60 };
	pv_autoproc res = PV_PROC_RESULT_INIT;
	pv_autoerror err = PV_ERROR_INIT;
	CHECK(pv_sandbox_run(&box, &proc, &res, &err) == -1 && strstr(err.text, "no-such-program"));
}

static void test_ends_are_passed_on(void **state)
{
	(void)state;
	for_all(try_ends);
}

/* --- nothing stays --- */

static bool is_locked(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool locked = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;

	if (fd >= 0)
		close(fd);
	return locked;
}

static void try_daemon(void *ctx)
{
	const struct box *b = ctx;
	pv_autofree char *lock = pv_path_join(b->tree, "etc/lock");

	enter_and_make_tree(b);
	const struct pv_sandbox box = box_of(b);
	expect(&box, 0, "daemon", "/etc/lock", "go");
	CHECK(pv_exists(lock) && !is_locked(lock));
	/* past its time, by SIGTERM that the daemon does not mind */
	const char *const argv[] = { "/run/attack", "daemon", "/etc/lock", "stay", NULL };
	const struct pv_proc proc = { .argv = argv, .deadline_s = 1 };
	pv_autoproc res = PV_PROC_RESULT_INIT;
	CHECK(pv_sandbox_run(&box, &proc, &res, NULL) == 0);
	CHECK(res.timed_out && res.wall_ms < 20000);
	CHECK(!is_locked(lock));
}

static void test_no_process_outlives_the_program_or_its_deadline(void **state)
{
	(void)state;
	for_all(try_daemon);
}

static void run_for_ever(void *ctx)
{
	enter_and_make_tree(ctx);
	const struct pv_sandbox box = box_of(ctx);
	expect(&box, 0, "daemon", "/etc/lock", "stay");
}

static bool comes_true(bool (*fn)(const char *), const char *path, bool wanted)
{
	const struct timespec nap = { .tv_nsec = 20 * 1000 * 1000 };

	for (int i = 0; i < 1000; i++) {
		if (fn(path) == wanted)
			return true;
		nanosleep(&nap, NULL);
	}
	return false;
}

static void test_sigkill_of_the_runner_leaves_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < people.n; i++) {
		struct box b;
		int status;
		describe(&b, &people.who[i]);
		pv_autofree char *lock = pv_path_join(b.tree, "etc/lock");
		pv_autofree char *mounts = NULL;
		pid_t runner = start_as(b.who, run_for_ever, &b);
		assert_true(comes_true(is_locked, lock, true));
		assert_int_equal(kill(runner, SIGKILL), 0);
		assert_int_equal(waitpid(runner, &status, 0), runner);
		assert_true(comes_true(is_locked, lock, false));
		assert_int_equal(pv_read_file("/proc/self/mountinfo", 1 << 20, &mounts, NULL, NULL), 0);
		assert_null(strstr(mounts, "pvimg"));
		assert_int_equal(run_as(b.who, clean_tree, &b), 0);
	}
}

static void try_outside(void *ctx)
{
	static const char *const argv[] = { "true", NULL };
	const struct pv_proc proc = { .argv = argv, .deadline_s = 60 };
	const struct box *b = ctx;
	const struct pv_sandbox box = box_of(b);
	pv_autoproc res = PV_PROC_RESULT_INIT;
	pv_autoerror err = PV_ERROR_INIT;

	CHECK(pv_sandbox_run(&box, &proc, &res, &err) == -1 && err.kind == PV_ERR_HOST);
}

static void test_nothing_runs_outside_of_a_builder_namespace(void **state)
{
	(void)state;
	for_all(try_outside);
}

static void measure(void *ctx)
{
	enum { RUNS = 20 };
	struct timespec from, to;

	enter_and_make_tree(ctx);
	const struct pv_sandbox box = box_of(ctx);
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (int i = 0; i < RUNS; i++)
		expect(&box, 0, "end", "exit", "0");
	clock_gettime(CLOCK_MONOTONIC, &to);
	double ms = ((double)(to.tv_sec - from.tv_sec) * 1e3 + (double)(to.tv_nsec - from.tv_nsec) / 1e6) / RUNS;
	fprintf(stderr, "one sandbox: %.1f ms\n", ms);
	CHECK(ms < 1000);
}

static void test_cost(void **state)
{
	(void)state;
	for_all(measure);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inside_is_root_of_the_subordinate_ids_only),
		cmocka_unit_test(test_no_network_and_no_mac_address),
		cmocka_unit_test(test_no_processes_files_or_settings_of_the_host),
		cmocka_unit_test(test_no_devices_mounts_or_namespaces),
		cmocka_unit_test(test_sync_calls_do_nothing_unless_asked),
		cmocka_unit_test(test_files_binds_and_odd_paths),
		cmocka_unit_test(test_links_lead_nowhere),
		cmocka_unit_test(test_host_tools_see_the_host_read_only),
		cmocka_unit_test(test_ends_are_passed_on),
		cmocka_unit_test(test_no_process_outlives_the_program_or_its_deadline),
		cmocka_unit_test(test_sigkill_of_the_runner_leaves_nothing),
		cmocka_unit_test(test_nothing_runs_outside_of_a_builder_namespace),
		cmocka_unit_test(test_cost),
	};

	if (argc > 1)
		return attack(argc, argv);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
