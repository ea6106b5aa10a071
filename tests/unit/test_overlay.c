/* SPDX-License-Identifier: Apache-2.0 */
/* Overlays laid over trees: contents, modes, owners, links that lead astray, everything that is refused. */
#include "check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fsutil.h"
#include "overlay.h"

#define EPOCH 1700000000

struct world {
	char dir[64];		/* overlays/ and root/ are in it */
	char *overlays, *root;
	struct pv_vars vars;
	struct pv_strv names;
};

static int set_up(void **state)
{
	struct world *w = pv_xcalloc(1, sizeof(*w));

	strcpy(w->dir, "/tmp/pvimg-test-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	w->overlays = pv_path_join(w->dir, "overlays");
	w->root = pv_path_join(w->dir, "root");
	assert_int_equal(mkdir(w->overlays, 0755), 0);
	assert_int_equal(mkdir(w->root, 0755), 0);
	pv_vars_set(&w->vars, "size", "64");
	pv_vars_set(&w->vars, "off", "");
	pv_vars_set(&w->vars, "on", "yes");
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;
	pv_autoerror err = PV_ERROR_INIT;

	assert_int_equal(pv_rmtree(w->dir, &err), 0);
	pv_vars_done(&w->vars);
	pv_strv_done(&w->names);
	free(w->overlays);
	free(w->root);
	free(w);
	return 0;
}

/* Writes world/PATH with its folders. */
static void put(const struct world *w, const char *path, const char *text)
{
	pv_autofree char *full = pv_path_join(w->dir, path);
	pv_autofree char *dir = pv_xstrndup(full, (size_t)(strrchr(full, '/') - full));
	pv_autoerror err = PV_ERROR_INIT;

	assert_int_equal(pv_mkdirs(dir, 0755, &err), 0);
	assert_int_equal(pv_write_file(full, text, strlen(text), 0644, &err), 0);
}

static void put_link(const struct world *w, const char *path, const char *target)
{
	pv_autofree char *full = pv_path_join(w->dir, path);

	assert_int_equal(symlink(target, full), 0);
}

static void assert_text(const struct world *w, const char *path, const char *text)
{
	pv_autofree char *full = pv_path_join(w->dir, path), *have = NULL;
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_read_file(full, 65536, &have, NULL, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(have, text);
}

static struct stat look(const struct world *w, const char *path)
{
	pv_autofree char *full = pv_path_join(w->dir, path);
	struct stat st = { 0 };

	if (lstat(full, &st) < 0)
		fail_msg("%s is not there", full);
	return st;
}

static bool there(const struct world *w, const char *path)
{
	pv_autofree char *full = pv_path_join(w->dir, path);
	struct stat st;

	return lstat(full, &st) == 0;
}

static int apply(struct world *w, struct pv_error *err)
{
	const struct pv_overlay_opts opts = { .keep_owner = true, .epoch = EPOCH };

	return pv_overlay_apply(w->overlays, &w->names, &w->vars, w->root, &opts, err);
}

static void apply_ok(struct world *w)
{
	pv_autoerror err = PV_ERROR_INIT;

	if (apply(w, &err) < 0)
		fail_msg("%s", err.text);
}

static void assert_refused(struct world *w, const char *words)
{
	pv_autoerror err = PV_ERROR_INIT, check = PV_ERROR_INIT;

	assert_int_equal(apply(w, &err), -1);
	assert_int_equal(err.kind, PV_ERR_RECIPE);
	if (!strstr(err.text, words))
		fail_msg("'%s' does not say '%s'", err.text, words);
	assert_int_equal(pv_overlay_check(w->overlays, &w->names, &w->vars, &check), -1);
	assert_string_equal(check.text, err.text);
	assert_false(there(w, "root/etc"));		/* nothing was written */
}

static void test_files(void **state)
{
	struct world *w = *state;
	pv_autofree char *tool = pv_path_join(w->dir, "overlays/a/usr/bin/tool");

	umask(077);	/* must not matter */
	put(w, "overlays/a/etc/x.conf.in", "m @size@\n");
	put(w, "overlays/a/etc/plain", "@raw@\n");
	put(w, "overlays/a/usr/bin/tool", "#!/bin/sh\n");
	put_link(w, "overlays/a/etc/link", "../nowhere");
	put(w, "overlays/a/OWNERS", "# comment\n\netc/plain 0600 - -\nboot/ 0700 root root # made\nboot/efi/ - - -\n"
	    "srv/a/b/ 0711 - -\n");
	assert_int_equal(chmod(tool, 0755), 0);
	put(w, "root/etc/plain", "old\n");
	pv_strv_add(&w->names, "a");
	apply_ok(w);
	umask(022);

	assert_text(w, "root/etc/x.conf", "m 64\n");
	assert_text(w, "root/etc/plain", "@raw@\n");
	assert_int_equal(look(w, "root/etc/x.conf").st_mode & 07777, 0644);
	assert_int_equal(look(w, "root/etc/plain").st_mode & 07777, 0600);
	assert_int_equal(look(w, "root/usr/bin/tool").st_mode & 07777, 0755);
	assert_int_equal(look(w, "root/usr").st_mode & 07777, 0755);
	assert_int_equal(look(w, "root/boot").st_mode & 07777, 0700);
	assert_int_equal(look(w, "root/boot/efi").st_mode & 07777, 0755);
	assert_int_equal(look(w, "root/srv/a/b").st_mode & 07777, 0711);
	assert_int_equal(look(w, "root/srv/a").st_mode & 07777, 0755);
	assert_true(S_ISLNK(look(w, "root/etc/link").st_mode));
	assert_int_equal(look(w, "root/etc/x.conf").st_mtime, EPOCH);
	assert_int_equal(look(w, "root/etc/link").st_mtime, EPOCH);
	assert_false(there(w, "root/OWNERS"));
	assert_false(there(w, "root/etc/x.conf.in"));
	assert_false(there(w, "root/etc/.pvimg-new"));
	apply_ok(w);		/* once more changes nothing */
	assert_text(w, "root/etc/x.conf", "m 64\n");
}

static void test_existing_folder_keeps_its_mode(void **state)
{
	struct world *w = *state;
	pv_autofree char *dir = pv_path_join(w->root, "srv");

	assert_int_equal(mkdir(dir, 0711), 0);
	put(w, "overlays/a/srv/x", "x");
	pv_strv_add(&w->names, "a");
	apply_ok(w);
	assert_int_equal(look(w, "root/srv").st_mode & 07777, 0711);
}

static void test_links_stay_inside(void **state)
{
	struct world *w = *state;
	pv_autofree char *up = pv_fmt("../../../../../../..%s/outside", w->dir);
	pv_autofree char *outside = pv_path_join(w->dir, "outside"), *inside = pv_fmt("%s%s/outside", w->root, w->dir);
	pv_autoerror err = PV_ERROR_INIT;

	/* Merged /usr, a file that is a link to the host, a folder that is a link out of the tree. */
	put(w, "root/usr/lib/os-release", "x");
	put_link(w, "root/lib", "/usr/lib");
	put(w, "host-file", "host\n");
	put_link(w, "root/hosts", "../host-file");
	assert_int_equal(mkdir(outside, 0755), 0);
	put_link(w, "root/srv", up);
	assert_int_equal(pv_mkdirs(inside, 0755, &err), 0);
	put(w, "overlays/a/lib/systemd/x.conf", "unit\n");
	put(w, "overlays/a/hosts", "ours\n");
	put(w, "overlays/a/srv/evil", "caught\n");
	pv_strv_add(&w->names, "a");
	apply_ok(w);

	assert_true(S_ISLNK(look(w, "root/lib").st_mode));
	assert_text(w, "root/usr/lib/systemd/x.conf", "unit\n");
	assert_text(w, "host-file", "host\n");
	assert_true(S_ISREG(look(w, "root/hosts").st_mode));
	assert_text(w, "root/hosts", "ours\n");
	assert_false(there(w, "outside/evil"));
	pv_autofree char *evil = pv_path_join(inside, "evil");
	assert_true(pv_exists(evil));
}

static void test_conditions(void **state)
{
	struct world *w = *state;

	put(w, "overlays/a/etc/off/x", "x");
	put(w, "overlays/a/etc/offer", "x");
	put(w, "overlays/a/etc/on/x.in", "@size@");
	put(w, "overlays/a/OWNERS", "etc/off/ - - - if=off\netc/on/ - - - if=on\nvar/no/ - - - if=off\n");
	pv_strv_add(&w->names, "a");
	apply_ok(w);
	assert_false(there(w, "root/etc/off"));
	assert_false(there(w, "root/var"));
	assert_true(there(w, "root/etc/offer"));
	assert_text(w, "root/etc/on/x", "64");
}

static void test_two_overlays(void **state)
{
	struct world *w = *state;

	put(w, "overlays/a/etc/x", "a");
	put(w, "overlays/b/etc/x.in", "b");	/* a template makes the same path */
	pv_strv_add(&w->names, "a");
	pv_strv_add(&w->names, "b");
	assert_refused(w, "overlays a and b both have etc/x");
	put(w, "overlays/b/OWNERS", "etc/x 0600 - - replaces\n");
	apply_ok(w);
	assert_text(w, "root/etc/x", "b");
	assert_int_equal(look(w, "root/etc/x").st_mode & 07777, 0600);
}

static void test_file_and_folder(void **state)
{
	struct world *w = *state;

	put(w, "overlays/a/etc/x", "a");
	put(w, "overlays/b/etc/x/y", "b");
	pv_strv_add(&w->names, "a");
	pv_strv_add(&w->names, "b");
	assert_refused(w, "both have etc/x");
}

static void test_refused_names(void **state)
{
	static const char *const names[] = { "../a", "", "A", "-x", "a/b", "missing" };
	struct world *w = *state;

	for (size_t i = 0; i < PV_COUNT(names); i++) {
		pv_strv_done(&w->names);
		pv_strv_add(&w->names, names[i]);
		assert_refused(w, "overlay ");
	}
}

static void test_refused_template(void **state)
{
	struct world *w = *state;

	put(w, "overlays/a/etc/x.in", "one\n@siz@\n");
	put(w, "overlays/a/etc/a", "first by name, but must not be written");
	pv_strv_add(&w->names, "a");
	assert_refused(w, "/a/etc/x.in:2:1: no variable @siz@; did you mean @size@?");
}

static void test_refused_owners(void **state)
{
	static const struct {
		const char *line, *words;
	} cases[] = {
		{ "etc/x 0644 root", ":1: PATH MODE OWNER GROUP wanted, 3 words" },
		{ "\netc/x 644x root root", ":2: '644x' is not an octal mode" },
		{ "etc/x 0888 root root", "'0888' is not an octal mode" },
		{ "etc/x 00644 root root", "is not an octal mode" },
		{ "etc/y 0644 root root", "etc/y is not in the overlay" },
		{ "../etc/x 0644 root root", "is not a path below the root" },
		{ "/etc/x 0644 root root", "is not a path below the root" },
		{ "etc//x 0644 root root", "is not a path below the root" },
		{ "etc/x 0644 ro:ot root", "is no user or group" },
		{ "etc/x 0644 root root replace", "neither \"replaces\" nor" },
		{ "etc/x 0644 root root if=nothing", "no variable 'nothing'" },
		{ "etc/x 0644 - -\netc/x 0600 - -", ":2: etc/x is in line 1 already" },
		{ "etc/x/ 0755 - -", "etc/x is no folder" },
		{ "etc/x 0644 a b replaces if=on if=on if=on if=on", "too many words" },
	};
	struct world *w = *state;

	put(w, "overlays/a/etc/x", "x");
	pv_strv_add(&w->names, "a");
	for (size_t i = 0; i < PV_COUNT(cases); i++) {
		put(w, "overlays/a/OWNERS", cases[i].line);
		assert_refused(w, cases[i].words);
	}
}

static void test_refused_kind(void **state)
{
	struct world *w = *state;
	pv_autofree char *fifo = pv_path_join(w->dir, "overlays/a/pipe");

	put(w, "overlays/a/x", "x");
	assert_int_equal(mkfifo(fifo, 0600), 0);
	pv_strv_add(&w->names, "a");
	assert_refused(w, "neither folder, file nor symbolic link");
}

static void test_folder_in_the_way(void **state)
{
	struct world *w = *state;
	pv_autoerror err = PV_ERROR_INIT;

	put(w, "root/etc/x/y", "y");
	put(w, "overlays/a/etc/x", "x");
	pv_strv_add(&w->names, "a");
	assert_int_equal(apply(w, &err), -1);
	assert_non_null(strstr(err.text, "overlay a: put /etc/x"));
	assert_false(there(w, "root/etc/.pvimg-new"));
	assert_true(there(w, "root/etc/x/y"));
}

static void test_owners(void **state)
{
	struct world *w = *state;
	pv_autoerror err = PV_ERROR_INIT;
	const struct pv_overlay_opts opts = { .epoch = EPOCH };

	if (geteuid() != 0)
		skip();
	put(w, "root/etc/passwd", "root:x:0:0::/root:/bin/sh\nwww:x:33:34::/:/bin/false\n");
	put(w, "root/etc/group", "root:x:0:\nwww-data:x:34:\n");
	put(w, "overlays/a/a", "a");
	put(w, "overlays/a/b", "b");
	put(w, "overlays/a/OWNERS", "a 4755 www www-data\nb 0640 0 7\n");
	pv_strv_add(&w->names, "a");
	assert_int_equal(pv_overlay_apply(w->overlays, &w->names, &w->vars, w->root, &opts, &err), 0);
	assert_int_equal(look(w, "root/a").st_uid, 33);
	assert_int_equal(look(w, "root/a").st_gid, 34);
	assert_int_equal(look(w, "root/a").st_mode & 07777, 04755);
	assert_int_equal(look(w, "root/b").st_gid, 7);
	put(w, "overlays/a/OWNERS", "a 0644 nobody root\n");
	assert_int_equal(pv_overlay_apply(w->overlays, &w->names, &w->vars, w->root, &opts, &err), -1);
	assert_non_null(strstr(err.text, "no 'nobody' in the target's /etc/passwd"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_files), TEST(test_existing_folder_keeps_its_mode), TEST(test_links_stay_inside),
		TEST(test_conditions), TEST(test_two_overlays), TEST(test_file_and_folder), TEST(test_refused_names),
		TEST(test_refused_template), TEST(test_refused_owners), TEST(test_refused_kind),
		TEST(test_folder_in_the_way), TEST(test_owners),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
