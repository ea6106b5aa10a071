/* SPDX-License-Identifier: Apache-2.0 */
/* The builder namespace, entered in children as root and as an ordinary user, and refused in words. */
#include "check.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "as_user.h"
#include "fsutil.h"
#include "ns.h"
#include "proc.h"
#include "text.h"

static int set_up(void **state)
{
	static struct people people;

	people_set_up(&people);
	*state = &people;
	return 0;
}

static int tear_down(void **state)
{
	people_tear_down(*state);
	return 0;
}

static void enter(void)
{
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_ns_enter(&err) == 0)
		return;
	fprintf(stderr, "pv_ns_enter: %s\n", err.text);
	_exit(1);
}

struct owned {
	const struct person *who;
	char file[128], given[128];
};

static void make_files(void *ctx)
{
	struct owned *o = ctx;
	char net_before[64] = "", net_after[64] = "";

	CHECK(!pv_ns_active());
	CHECK(readlink("/proc/self/ns/net", net_before, sizeof(net_before) - 1) > 0);
	enter();
	CHECK(pv_ns_active());
	CHECK(geteuid() == PV_NS_SELF && getegid() == PV_NS_SELF);
	CHECK(readlink("/proc/self/ns/net", net_after, sizeof(net_after) - 1) > 0);
	CHECK(strcmp(net_before, net_after) == 0);
	CHECK(pv_write_file(o->file, "x", 1, 0644, NULL) == 0);
	CHECK(pv_write_file(o->given, "x", 1, 0600, NULL) == 0);
	CHECK(chown(o->given, 33, 42) == 0);
	/* A closed file of another id is ours to read. */
	CHECK(open(o->given, O_RDONLY | O_CLOEXEC) >= 0);
	CHECK(mount("t", o->who->dir, "tmpfs", 0, NULL) == 0);
	CHECK(access(o->file, F_OK) < 0);
}

static void test_files_and_mounts(void **state)
{
	const struct people *p = *state;

	for (size_t i = 0; i < p->n; i++) {
		struct owned o = { .who = &p->who[i] };
		struct pv_ns_ids ids = { 0, 0 };
		struct stat st;

		snprintf(o.file, sizeof(o.file), "%s/mine", p->who[i].dir);
		snprintf(o.given, sizeof(o.given), "%s/given", p->who[i].dir);
		assert_int_equal(run_as(&p->who[i], make_files, &o), 0);
		/* the mount was the child's own */
		assert_int_equal(stat(o.file, &st), 0);
		assert_int_equal(st.st_uid, p->who[i].uid);
		assert_int_equal(st.st_gid, p->who[i].gid);
		assert_int_equal(stat(o.given, &st), 0);
		assert_true(st.st_uid >= 65536 + 33);
		if (i == 0) {
			assert_int_equal(pv_ns_ids(&ids, NULL), 0);
			assert_int_equal(st.st_uid, ids.uid_base + 33);
			assert_int_equal(st.st_gid, ids.gid_base + 42);
		}
		assert_int_equal(unlink(o.file), 0);
		if (unlink(o.given) < 0)
			print_message("%s: cannot be removed from outside by this user\n", o.given);
	}
}

static void take_line(void *ctx, const char *line, size_t len)
{
	pv_str_addn(ctx, line, len);
	pv_str_addc(ctx, '\n');
}

static void run_plainly(void *ctx)
{
	static const char *const argv[] = { "grep", "-E", "^(CapEff|CapPrm|CapAmb|Uid):", "/proc/self/status", NULL };
	pv_autostr out = PV_STR_INIT;
	const struct pv_proc proc = { .argv = argv, .on_stdout = take_line, .ctx = &out, .deadline_s = 20 };

	(void)ctx;
	enter();
	CHECK(pv_proc_check(&proc, PV_ERR_STAGE, NULL) == 0);
	CHECK(strstr(out.data, "CapPrm:\t0000000000000000\n"));
	CHECK(strstr(out.data, "CapEff:\t0000000000000000\n"));
	CHECK(strstr(out.data, "CapAmb:\t0000000000000000\n"));
	CHECK(strstr(out.data, "Uid:\t65536\t65536\t65536\t65536\n"));
}

static void test_programs_run_as_the_caller_without_capabilities(void **state)
{
	const struct people *p = *state;

	for (size_t i = 0; i < p->n; i++)
		assert_int_equal(run_as(&p->who[i], run_plainly, NULL), 0);
}

static void probe(void *ctx)
{
	(void)ctx;
	CHECK(pv_ns_probe(NULL) == 0);
	CHECK(!pv_ns_active());
}

static void test_probe_changes_nothing(void **state)
{
	const struct people *p = *state;

	for (size_t i = 0; i < p->n; i++)
		assert_int_equal(run_as(&p->who[i], probe, NULL), 0);
}

static void expect_refusal(const char *words, const char *way_out)
{
	pv_autoerror err = PV_ERROR_INIT, probe_err = PV_ERROR_INIT;

	CHECK(pv_ns_probe(&probe_err) == -1);
	CHECK(pv_ns_enter(&err) == -1);
	CHECK(err.kind == PV_ERR_HOST && probe_err.kind == PV_ERR_HOST);
	CHECK(strcmp(err.text, probe_err.text) == 0);
	CHECK(!strchr(err.text, '\n'));
	if (!strstr(err.text, words) || !strstr(err.text, way_out)) {
		fprintf(stderr, "without \"%s\" or \"%s\": %s\n", words, way_out, err.text);
		_exit(1);
	}
}

static void without_newuidmap(void *ctx)
{
	(void)ctx;
	setenv("PATH", "/nonexistent", 1);
	expect_refusal("newuidmap", "apt-get install uidmap");
}

static void test_newuidmap_missing(void **state)
{
	const struct people *p = *state;
	const struct person *who = &p->who[p->n - 1];

	if (who->uid == 0)
		skip();		/* root needs none and nobody else is here */
	assert_int_equal(run_as(who, without_newuidmap, NULL), 0);
}

/* --- as root only: a host that is changed for one child --- */

static void become(const struct person *who)
{
	CHECK(setresgid(who->gid, who->gid, who->gid) == 0 && setresuid(who->uid, who->uid, who->uid) == 0);
}

static void without_subids(void *ctx)
{
	const struct people *p = ctx;

	CHECK(unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	CHECK(mount("/dev/null", "/etc/subgid", NULL, MS_BIND, NULL) == 0);
	become(&p->who[1]);
	/* /dev/null is no regular file, so that reads as no file at all; getsubids(1) finds nothing either */
	expect_refusal("/etc/subgid: no range", "usermod --add-subuids");
}

static void test_no_subordinate_ids(void **state)
{
	struct people *p = *state;

	if (p->n < 2)
		skip();
	assert_int_equal(run_as(&p->who[0], without_subids, p), 0);
}

static void in_namespace_without_more(void *ctx)
{
	(void)ctx;
	enter();
	CHECK(setresgid(0, 0, 0) == 0 && setresuid(0, 0, 0) == 0);
	CHECK(pv_ns_probe(NULL) == 0);
	int fd = open("/proc/sys/user/max_user_namespaces", O_WRONLY | O_CLOEXEC);
	CHECK(fd >= 0 && write(fd, "0\n", 2) == 2 && close(fd) == 0);
	expect_refusal("user namespaces are forbidden", "sysctl -w user.max_user_namespaces");
}

static void test_user_namespaces_forbidden(void **state)
{
	struct people *p = *state;

	if (p->who[0].uid != 0)
		skip();		/* needs a namespace with ids to spare */
	assert_int_equal(run_as(&p->who[0], in_namespace_without_more, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files_and_mounts),
		cmocka_unit_test(test_programs_run_as_the_caller_without_capabilities),
		cmocka_unit_test(test_probe_changes_nothing),
		cmocka_unit_test(test_newuidmap_missing),
		cmocka_unit_test(test_no_subordinate_ids),
		cmocka_unit_test(test_user_namespaces_forbidden),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
