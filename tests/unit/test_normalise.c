/* SPDX-License-Identifier: Apache-2.0 */
/* The rules that make trees equal: each has a reason, does what it says, and reaches nothing outside of the tree. */
#include "check.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fsutil.h"
#include "normalise.h"

static char *root;

static char *full(const char *path)
{
	return pv_path_join(root, path);
}

static void put(const char *path)
{
	pv_autofree char *name = full(path);
	pv_autofree char *parent = pv_xstrndup(name, (size_t)(strrchr(name, '/') - name));

	assert_int_equal(pv_mkdirs(parent, 0755, NULL), 0);
	assert_int_equal(pv_write_file(name, "x", 1, 0640, NULL), 0);
}

static bool is_there(const char *path)
{
	pv_autofree char *name = full(path);

	return pv_exists(name);
}

static int set_up(void **state)
{
	char dir[] = "/tmp/pvimg-test-XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(dir));
	root = pv_xstrdup(dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	assert_int_equal(pv_rmtree(root, NULL), 0);
	pv_freep(&root);
	return 0;
}

static void run(struct pv_normal_rule rule)
{
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_normalise_rule(root, &rule, &err) < 0)
		fail_msg("%s: %s", rule.path, err.text);
}

static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < pv_normal_nrules; i++) {
		const struct pv_normal_rule *rule = &pv_normal_rules[i];
		assert_true(rule->reason && strlen(rule->reason) > 10);
		assert_true(rule->path[0] != '/' && !strstr(rule->path, ".."));
		run(*rule);	/* an empty tree lacks it all, and that is fine */
	}
}

static void test_gone(void **state)
{
	(void)state;
	put("etc/ssh/ssh_host_rsa_key");
	put("etc/ssh/sshd_config");
	pv_autofree char *link = full("etc/ssh/ssh_host_link");
	assert_int_equal(symlink("/etc/passwd", link), 0);
	run((struct pv_normal_rule){ PV_NORMAL_GONE, "etc/ssh/ssh_host_*", NULL, "" });
	assert_false(is_there("etc/ssh/ssh_host_rsa_key") || is_there("etc/ssh/ssh_host_link"));
	assert_true(is_there("etc/ssh/sshd_config"));
	assert_true(pv_exists("/etc/passwd"));
}

static void test_no_files(void **state)
{
	(void)state;
	put("var/log/apt/history.log");
	put("var/log/wtmp");
	put("var/log/syslog");
	put("var/cache/debconf/config.dat");
	put("var/cache/ldconfig/aux-cache");
	run((struct pv_normal_rule){ PV_NORMAL_NO_FILES, "var/log", "[bw]tmp|lastlog", "" });
	run((struct pv_normal_rule){ PV_NORMAL_NO_FILES, "var/cache", "debconf", "" });
	assert_false(is_there("var/log/apt/history.log") || is_there("var/log/syslog") || is_there("var/cache/ldconfig/aux-cache"));
	assert_true(is_there("var/log/apt") && is_there("var/log/wtmp") && is_there("var/cache/debconf/config.dat"));
}

static void test_empty(void **state)
{
	struct stat st;

	(void)state;
	put("var/log/wtmp");
	put("run/a/b");
	put("run/c");
	run((struct pv_normal_rule){ PV_NORMAL_EMPTY_FILE, "var/log/wtmp", NULL, "" });
	run((struct pv_normal_rule){ PV_NORMAL_EMPTY_FOLDER, "run", NULL, "" });
	pv_autofree char *name = full("var/log/wtmp");
	assert_int_equal(stat(name, &st), 0);
	assert_int_equal(st.st_size, 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_true(is_there("run"));
	assert_false(is_there("run/a") || is_there("run/c"));
}

/* A package put links where folders and files are wanted. */
static void test_hostile_links(void **state)
{
	char outside[] = "/tmp/pvimg-test-outside-XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(outside));
	pv_autofree char *victim = pv_path_join(outside, "precious");
	assert_int_equal(pv_write_file(victim, "x", 1, 0644, NULL), 0);
	assert_int_equal(pv_mkdirs(root, 0755, NULL), 0);
	static const char *const names[] = { "run", "log", "file" };
	for (size_t i = 0; i < PV_COUNT(names); i++) {
		pv_autofree char *link = full(names[i]);
		assert_int_equal(symlink(i == 2 ? victim : outside, link), 0);
	}
	run((struct pv_normal_rule){ PV_NORMAL_EMPTY_FOLDER, "run", NULL, "" });
	run((struct pv_normal_rule){ PV_NORMAL_NO_FILES, "log", NULL, "" });
	run((struct pv_normal_rule){ PV_NORMAL_GONE, "log/precious", NULL, "" });
	run((struct pv_normal_rule){ PV_NORMAL_EMPTY_FILE, "file", NULL, "" });
	pv_autofree char *text = NULL;
	assert_int_equal(pv_read_file(victim, 10, &text, NULL, NULL), 0);
	assert_string_equal(text, "x");
	assert_int_equal(pv_rmtree(outside, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_table, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_gone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_empty, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_hostile_links, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
