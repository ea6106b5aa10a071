/* SPDX-License-Identifier: Apache-2.0 */
/* Accounts get the same numbers in whatever order packages made them, and files follow. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "accounts.h"
#include "fsutil.h"

#define GROUPS "root:x:0:\nusers:x:100:\nmemcache:x:101:\nzed:x:102:\nsystemd-network:x:998:\nnogroup:x:65534:\n"
#define PASSWD "root:x:0:0:root:/root:/bin/bash\nmemcache:x:100:101:Memcached,,,:/nonexistent:/bin/false\n" \
	       "zed:x:101:102::/:/bin/false\nsystemd-network:x:998:998:x:/:/bin/false\nsshd:x:102:65534::/run/sshd:/x\n"
/* the same accounts, made in another order */
#define GROUPS_2 "root:x:0:\nusers:x:100:\nzed:x:101:\nmemcache:x:105:\nsystemd-network:x:997:\nnogroup:x:65534:\n"
#define PASSWD_2 "root:x:0:0:root:/root:/bin/bash\nsshd:x:100:65534::/run/sshd:/x\nzed:x:103:101::/:/bin/false\n" \
		 "systemd-network:x:997:997:x:/:/bin/false\nmemcache:x:104:105:Memcached,,,:/nonexistent:/bin/false\n"

static char *numbered(const char *passwd, const char *group, char **ret_group)
{
	pv_autoaccounts users = { NULL, 0 }, groups = { NULL, 0 };

	pv_accounts_number(passwd, &users);
	pv_accounts_number(group, &groups);
	*ret_group = pv_accounts_rewrite(group, &groups, NULL);
	return pv_accounts_rewrite(passwd, &users, &groups);
}

static void test_order_does_not_matter(void **state)
{
	pv_autofree char *group = NULL, *group_2 = NULL;
	pv_autofree char *passwd = numbered(PASSWD, GROUPS, &group), *passwd_2 = numbered(PASSWD_2, GROUPS_2, &group_2);

	(void)state;
	assert_string_equal(passwd, passwd_2);
	assert_string_equal(group, group_2);
	/* by the table; zed by its name alone; static numbers stay */
	assert_non_null(strstr(passwd, "memcache:x:103:103:Memcached,,,:/nonexistent:/bin/false\n"));
	assert_non_null(strstr(passwd, "sshd:x:104:65534::/run/sshd:/x\n"));
	assert_non_null(strstr(group, "users:x:100:\nmemcache:x:103:\n"));
	assert_true(strncmp(passwd, "root:x:0:0:root:/root:/bin/bash\n", 32) == 0);
}

/* One more package does not move the others' numbers. */
static void test_more_accounts(void **state)
{
	pv_autofree char *group = NULL, *more = pv_fmt("%sabc:x:900:900::/:/x\n", PASSWD), *again = NULL;
	pv_autofree char *few = numbered(PASSWD, GROUPS, &group);
	pv_autofree char *many = numbered(more, GROUPS, &again);
	char *zed = strstr(few, "\nzed:");

	(void)state;
	assert_non_null(zed);
	pv_autofree char *line = pv_xstrndup(zed, strcspn(zed + 1, "\n") + 2);
	assert_non_null(strstr(many, line));
}

static void test_odd_lines(void **state)
{
	static const char text[] = "+::::::\nroot:x:0:0::/:/x\nhalf:x\nbig:x:99999999999:0::/:/x\n\nlast:x:200:0::/:/x";
	pv_autofree char *group = NULL;
	pv_autofree char *passwd = numbered(text, "", &group);

	(void)state;
	assert_true(strncmp(passwd, "root:x:0:0::/:/x\nlast:x:", 24) == 0);
	assert_non_null(strstr(passwd, ":0::/:/x\n+::::::\nhalf:x\nbig:x:99999999999:0::/:/x\n\n"));
	assert_string_equal(group, "");
}

/* All numbers taken: no endless search, none given twice. */
static void test_full(void **state)
{
	pv_autostr text = PV_STR_INIT;
	pv_autoaccounts list = { NULL, 0 };
	bool seen[PV_ACCOUNTS_LAST + 1] = { false };

	(void)state;
	for (unsigned i = PV_ACCOUNTS_FIRST + 1; i <= PV_ACCOUNTS_LAST; i++)
		pv_str_addf(&text, "n%u:x:%u:\n", i, i);
	pv_accounts_number(pv_str_text(&text), &list);
	assert_int_equal(list.n, PV_ACCOUNTS_LAST - PV_ACCOUNTS_FIRST);
	for (size_t i = 0; i < list.n; i++) {
		assert_in_range(list.v[i].after, PV_ACCOUNTS_FIRST, PV_ACCOUNTS_LAST);
		assert_false(seen[list.v[i].after]);
		seen[list.v[i].after] = true;
	}
}

static void test_same_number(void **state)
{
	pv_autoaccounts list = { NULL, 0 };

	(void)state;
	pv_accounts_number("b:x:200:\na:x:200:\n", &list);
	assert_int_equal(list.n, 2);
	assert_int_equal(list.v[0].after, list.v[1].after);
}

static void test_shadow(void **state)
{
	pv_autofree char *shadow = pv_accounts_shadow("sshd:!:19999::::::\nstranger:*:5:0:1:2:::\nroot:x:20000:0:99999:7:::\n",
						      "root:x:0:0::/:/x\nsshd:x:104:65534::/:/x\n", 86400 * 1000 + 5);

	(void)state;
	assert_string_equal(shadow, "root:*:1000:0:99999:7:::\nsshd:!:1000::::::\nstranger:*:5:0:1:2:::\n");
}

/* --- a tree --- */

static void put(const char *dir, const char *path, const char *text, mode_t mode)
{
	pv_autofree char *full = pv_path_join(dir, path);
	pv_autofree char *parent = pv_xstrndup(full, (size_t)(strrchr(full, '/') - full));

	assert_int_equal(pv_mkdirs(parent, 0755, NULL), 0);
	assert_int_equal(pv_write_file(full, text, strlen(text), mode, NULL), 0);
}

static struct stat owner_of(const char *dir, const char *path)
{
	pv_autofree char *full = pv_path_join(dir, path);
	struct stat st;

	assert_int_equal(lstat(full, &st), 0);
	return st;
}

static void give(const char *dir, const char *path, uid_t uid, gid_t gid, mode_t mode)
{
	pv_autofree char *full = pv_path_join(dir, path);

	assert_int_equal(lchown(full, uid, gid), 0);
	if (mode)
		assert_int_equal(chmod(full, mode), 0);
}

static void fill_tree(const char *dir)
{
	pv_autofree char *name = pv_path_join(dir, "usr/bin/tool"), *other = pv_path_join(dir, "usr/bin/other");
	pv_autofree char *link = pv_path_join(dir, "link");

	put(dir, "etc/passwd", PASSWD, 0644);
	put(dir, "etc/group", GROUPS "crontab:x:103:\n", 0644);	/* whoever is renumbered twice ends at 115 */
	put(dir, "etc/shadow", "root:x:1:0:99999:7:::\n", 0640);
	put(dir, "usr/bin/tool", "x", 0755);
	put(dir, "usr/bin/capable", "x", 0755);
	put(dir, "var/plain", "x", 0644);
	assert_int_equal(link ? symlink("nowhere", link) : -1, 0);
	assert_int_equal(rename(name, other), 0);
	assert_int_equal(linkat(-100, other, -100, name, 0), 0);
	give(dir, "usr/bin/tool", 0, 101, 02755);	/* memcache's group; has two names */
	give(dir, "link", 100, 101, 0);
	give(dir, "usr/bin/capable", 100, 0, 0755);
}

/* An ACL by which group memcache may read; linux/posix_acl_xattr.h. */
static const uint8_t acl[] = {
	2, 0, 0, 0,  1, 0, 6, 0, 255, 255, 255, 255,  4, 0, 4, 0, 255, 255, 255, 255,  8, 0, 4, 0, 101, 0, 0, 0,
	16, 0, 4, 0, 255, 255, 255, 255,  32, 0, 4, 0, 255, 255, 255, 255,
};

static void test_tree(void **state)
{
	char dir[] = "/tmp/pvimg-test-XXXXXX";
	pv_autoerror err = PV_ERROR_INIT;
	/* version 2, nothing permitted: linux/capability.h */
	static const char caps[20] = { 0, 0, 0, 2, 0, 4, 0, 0 };
	char got[64];

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_non_null(mkdtemp(dir));
	fill_tree(dir);
	pv_autofree char *capable = pv_path_join(dir, "usr/bin/capable"), *shadow_path = pv_path_join(dir, "etc/shadow");
	pv_autofree char *plain = pv_path_join(dir, "var/plain"), *again = pv_path_join(dir, "var/again");
	assert_int_equal(link(plain, again), 0);
	bool has_acls = setxattr(plain, "system.posix_acl_access", acl, sizeof(acl), 0) == 0;
	bool has_caps = setxattr(capable, "security.capability", caps, sizeof(caps), 0) == 0;

	if (pv_accounts_normalise(dir, 86400, &err) < 0)
		fail_msg("%s", err.text);
	struct stat tool = owner_of(dir, "usr/bin/tool"), link = owner_of(dir, "link");
	assert_int_equal(tool.st_gid, 103);		/* once, not twice over */
	assert_int_equal(tool.st_mode & 07777, 02755);
	assert_int_equal(tool.st_nlink, 2);
	assert_int_equal(link.st_uid, 103);
	assert_int_equal(owner_of(dir, "usr/bin/capable").st_uid, 103);
	if (has_caps)
		assert_int_equal(getxattr(capable, "security.capability", got, sizeof(got)), sizeof(caps));
	if (has_acls) {
		assert_int_equal(getxattr(plain, "system.posix_acl_access", got, sizeof(got)), sizeof(acl));
		assert_int_equal(got[24], 103);		/* once, not once a name */
	}
	assert_int_equal(owner_of(dir, "var/plain").st_uid, 0);
	assert_int_equal(owner_of(dir, "etc/shadow").st_mode & 07777, 0640);
	pv_autofree char *shadow = NULL;
	assert_int_equal(pv_read_file(shadow_path, 1000, &shadow, NULL, NULL), 0);
	assert_string_equal(shadow, "root:*:1:0:99999:7:::\n");
	assert_int_equal(pv_rmtree(dir, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_does_not_matter),
		cmocka_unit_test(test_more_accounts),
		cmocka_unit_test(test_odd_lines),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_same_number),
		cmocka_unit_test(test_shadow),
		cmocka_unit_test(test_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
