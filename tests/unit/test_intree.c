/* SPDX-License-Identifier: Apache-2.0 */
/* Paths inside a tree: links as the target sees them, nothing of the host within reach. */
#include "check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fsutil.h"
#include "intree.h"

static char *root;

static void put(const char *path, const char *text)
{
	pv_autofree char *full = pv_path_join(root, path);
	pv_autoerror err = PV_ERROR_INIT;

	assert_int_equal(pv_write_file(full, text, strlen(text), 0644, &err), 0);
}

static void make_dir(const char *path)
{
	pv_autofree char *full = pv_path_join(root, path);
	pv_autoerror err = PV_ERROR_INIT;

	assert_int_equal(pv_mkdirs(full, 0755, &err), 0);
}

static void put_link(const char *path, const char *target)
{
	pv_autofree char *full = pv_path_join(root, path);

	assert_int_equal(symlink(target, full), 0);
}

static int set_up(void **state)
{
	char dir[] = "/tmp/pvimg-test-XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(dir));
	root = pv_xstrdup(dir);
	make_dir("etc");
	make_dir("usr/lib/shim");
	return 0;
}

static int tear_down(void **state)
{
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	assert_int_equal(pv_rmtree(root, &err), 0);
	pv_freep(&root);
	return 0;
}

static void test_read_follows_inside(void **state)
{
	pv_autofree char *data = NULL;
	pv_autoerror err = PV_ERROR_INIT;
	size_t len;

	(void)state;
	/* Ubuntu's shim: a link by way of /etc/alternatives. */
	put("usr/lib/shim/shim.latest", "shim");
	put_link("etc/shim", "/usr/lib/shim/shim.latest");
	put_link("usr/lib/shim/shim.signed", "../../../../../etc/shim");
	assert_int_equal(pv_intree_read(root, "usr/lib/shim/shim.signed", 16, &data, &len, &err), 0);
	assert_string_equal(data, "shim");
	assert_int_equal(len, 4);
	assert_true(pv_intree_is_file(root, "usr/lib/shim/shim.signed"));
}

static void test_read_never_leaves(void **state)
{
	static const char *const paths[] = { "etc/host", "etc/up", "etc/proc", "../../../../etc/passwd", "etc", "etc/pipe",
					     "etc/big", "etc/none" };
	pv_autofree char *pipe_path = pv_path_join(root, "etc/pipe");

	(void)state;
	put_link("etc/host", "/etc/passwd");
	put_link("etc/up", "../../../../../../../etc/passwd");
	put_link("etc/proc", "/proc/self/exe");
	put("etc/big", "12345678901234567");
	assert_int_equal(mkfifo(pipe_path, 0600), 0);
	for (size_t i = 0; i < PV_COUNT(paths); i++) {
		pv_autoerror err = PV_ERROR_INIT;
		char *data = NULL;
		size_t len;
		if (pv_intree_read(root, paths[i], 16, &data, &len, &err) == 0)
			fail_msg("%s was read", paths[i]);
		assert_null(data);
		assert_non_null(strstr(err.text, "in the target's tree"));
	}
}

static char *content(const char *path)
{
	pv_autofree char *full = pv_path_join(root, path);
	pv_autoerror err = PV_ERROR_INIT;
	char *data = NULL;

	assert_int_equal(pv_read_file(full, 64, &data, NULL, &err), 0);
	return data;
}

/* A package that makes a folder or the file itself a link does not make us write to the host. */
static void test_write_never_leaves(void **state)
{
	pv_autofree char *outside = pv_fmt("%s.outside", root), *victim = pv_path_join(outside, "policy");
	pv_autofree char *kept = NULL, *inside = NULL, *replaced = NULL;
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	assert_int_equal(mkdir(outside, 0755), 0);
	assert_int_equal(pv_write_file(victim, "host", 4, 0644, &err), 0);
	put_link("usr/sbin", outside);
	assert_int_equal(pv_intree_write(root, "usr/sbin/policy", "ours", 4, 0755, &err), -1);
	put_link("etc/policy", victim);
	assert_int_equal(pv_intree_write(root, "etc/policy", "ours", 4, 0755, &err), 0);
	replaced = content("etc/policy");
	assert_string_equal(replaced, "ours");
	put_link("usr/bin", "../etc");
	assert_int_equal(pv_intree_write(root, "usr/bin/new", "new", 3, 0755, &err), 0);
	inside = content("etc/new");
	assert_string_equal(inside, "new");
	assert_int_equal(pv_read_file(victim, 64, &kept, NULL, &err), 0);
	assert_string_equal(kept, "host");
	assert_int_equal(pv_rmtree(outside, &err), 0);
}

static void test_empty(void **state)
{
	pv_autoerror err = PV_ERROR_INIT;
	pv_autofree char *gone = pv_path_join(root, "run/a"), *kept = pv_path_join(root, "usr/lib/shim");
	pv_autofree char *dir = pv_path_join(root, "run");

	(void)state;
	make_dir("run/a/b");
	put("run/x", "x");
	put_link("run/y", "../usr/lib");
	assert_int_equal(pv_intree_empty(root, "run", &err), 0);
	assert_false(pv_exists(gone));
	assert_true(pv_exists(dir));
	assert_true(pv_exists(kept));
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(pv_intree_empty(root, "run", &err), 0);	/* not there */
	put_link("run", "usr");
	assert_int_equal(pv_intree_empty(root, "run", &err), -1);
	assert_true(pv_exists(kept));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_read_follows_inside), TEST(test_read_never_leaves), TEST(test_write_never_leaves),
		TEST(test_empty),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
