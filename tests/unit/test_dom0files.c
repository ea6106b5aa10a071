/* SPDX-License-Identifier: Apache-2.0 */
/* What lands in dom0's initramfs: the tree's files below /usr, our scripts in their places, each name once. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "dom0files.h"
#include "fsutil.h"
#include "image_initramfs.h"
#include "text.h"

static int setup(void **state)
{
	char *dir = pv_xstrdup("/tmp/pvimg-dom0files-XXXXXX");

	*state = mkdtemp(dir);
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	pv_autoerror err = PV_ERROR_INIT;
	int rc = pv_rmtree(*state, &err);

	free(*state);
	return rc;
}

static void put(const char *dir, const char *name, const char *text, mode_t mode)
{
	pv_autofree char *path = pv_path_join(dir, name);
	pv_autofree char *parent = pv_xstrndup(path, (size_t)(strrchr(path, '/') - path));
	pv_autoerror err = PV_ERROR_INIT;

	assert_int_equal(pv_mkdirs(parent, 0755, &err), 0);
	assert_int_equal(pv_write_file(path, text, strlen(text), mode, &err), 0);
}

/* /bin and /lib of the tree. */
static void merge(const char *dir)
{
	static const char *const links[] = { "bin", "lib" };

	for (size_t i = 0; i < PV_COUNT(links); i++) {
		pv_autofree char *link = pv_fmt("%s/root/%s", dir, links[i]);
		pv_autofree char *target = pv_fmt("usr/%s", links[i]);
		assert_int_equal(symlink(target, link), 0);
	}
}

static void take(struct pv_dom0files *files, const char *path)
{
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_dom0files_tree(files, path, &err) < 0)
		fail_msg("%s", err.text);
}

/* The archive of the files, whole. */
static char *written(const char *dir, struct pv_dom0files *files, size_t *ret_len)
{
	pv_autofree char *path = pv_path_join(dir, "initrd");
	pv_autofree char *root = pv_path_join(dir, "root");
	pv_autoerror err = PV_ERROR_INIT;
	pv_autocpio *cpio = NULL;
	char *data = NULL;

	(void)unlink(path);
	assert_int_equal(pv_cpio_new(path, PV_CPIO_PLAIN, 0, &cpio, &err), 0);
	if (pv_dom0files_write(files, root, cpio, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(pv_cpio_end(cpio, &err), 0);
	assert_int_equal(pv_read_file(path, 1 << 20, &data, ret_len, &err), 0);
	return data;
}

static void test_places(void **state)
{
	pv_autofree char *scripts = pv_path_join(*state, "scripts");
	pv_autofree char *real = pv_path_join(*state, "root/usr/lib/libx.so.1");
	pv_autodom0files files = { 0 };
	pv_autoerror err = PV_ERROR_INIT;
	pv_autostrv names = PV_STRV_INIT;
	size_t len;

	put(*state, "root/usr/lib/libx.so.1.2", "the library", 0644);
	assert_int_equal(symlink("/usr/lib/libx.so.1.2", real), 0);
	put(*state, "root/usr/bin/prog", "a program", 0755);
	merge(*state);
	put(*state, "root/etc/xen/scripts/block", "the packaged one", 0755);
	put(*state, "scripts/init", "ours: init", 0644);
	put(*state, "scripts/block", "ours: block", 0755);
	put(*state, "scripts/agent", "ours: agent", 0755);
	put(*state, "scripts/agent~", "an editor's", 0755);
	/* links are followed, /lib and /usr/lib are one, what comes twice is there once */
	take(&files, "/usr/lib/libx.so.1");
	take(&files, "/lib/libx.so.1");
	take(&files, "/etc/xen/scripts/block");
	take(&files, "/bin/prog");
	if (pv_dom0files_skeleton(&files, scripts, &err) < 0)
		fail_msg("%s", err.text);
	pv_autofree char *data = written(*state, &files, &len);
	assert_int_equal(pv_initramfs_names((const uint8_t *)data, len, &names, &err), 0);
	pv_autofree char *all = pv_strv_join(&names, " ");
	assert_string_equal(all, "bin dev etc etc/group etc/passwd etc/xen etc/xen/scripts etc/xen/scripts/block init job lib "
			    "lib64 proc pvimg pvimg/agent root run sbin sys tmp usr usr/bin usr/bin/prog usr/bin/sh usr/lib "
			    "usr/lib/libx.so.1 usr/lib64 usr/sbin var var/lib var/lib/xen var/lib/xenstored var/lock "
			    "var/log var/log/xen var/log/xen/console var/run");
	assert_non_null(memmem(data, len, "the library", 11));
	assert_non_null(memmem(data, len, "ours: block", 11));
	assert_null(memmem(data, len, "the packaged one", 16));
}

static void test_refuses(void **state)
{
	static const char *const bad[] = { "", "usr/bin/x", "/", "/usr//x", "/usr/../x", "/usr/./x", "/usr/bin/" };
	pv_autofree char *root = pv_path_join(*state, "root");
	pv_autodom0files files = { 0 };
	pv_autoerror err = PV_ERROR_INIT;
	pv_autofree char *path = pv_path_join(*state, "x");
	pv_autocpio *cpio = NULL;

	for (size_t i = 0; i < PV_COUNT(bad); i++) {
		if (pv_dom0files_tree(&files, bad[i], &err) == 0)
			fail_msg("\"%s\" accepted", bad[i]);
		pv_error_clear(&err);
	}
	/* a link out of the tree leads nowhere */
	put(*state, "secret", "of the host", 0644);
	put(*state, "root/usr/a", "x", 0644);
	pv_autofree char *link = pv_path_join(root, "usr/link");
	assert_int_equal(symlink("../../../../../../etc/hostname", link), 0);
	take(&files, "/usr/link");
	assert_int_equal(pv_cpio_new(path, PV_CPIO_PLAIN, 0, &cpio, &err), 0);
	assert_int_equal(pv_dom0files_write(&files, root, cpio, &err), -1);
	assert_int_equal(err.kind, PV_ERR_STAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_refuses),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
