/* SPDX-License-Identifier: Apache-2.0 */
/* Packages laid out in a tree: merged /usr, and nothing that a hostile member could write outside of the tree. */
#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "debtree.h"
#include "fsutil.h"

struct member {
	const char *path;
	unsigned type;			/* AE_IF*; 0: a hard link */
	mode_t mode;
	const char *content;		/* or the link's target */
};

#define DIR_(path) { path, AE_IFDIR, 0755, NULL }
#define FILE_(path, text) { path, AE_IFREG, 0644, text }
#define LINK_(path, target) { path, AE_IFLNK, 0777, target }
#define HARD_(path, target) { path, 0, 0644, target }
#define DEV_(path) { path, AE_IFCHR, 0666, NULL }

static const struct pv_debtree_options options = { .max_bytes = 1000 };

static int setup(void **state)
{
	char *dir = pv_xstrdup("/tmp/pvimg-debtree-XXXXXX");

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

static void put(struct archive *a, const struct member *m)
{
	struct archive_entry *entry = archive_entry_new();
	bool is_file = m->type == AE_IFREG;

	archive_entry_set_pathname(entry, m->path);
	archive_entry_set_filetype(entry, m->type ? m->type : AE_IFREG);
	archive_entry_set_perm(entry, m->mode);
	archive_entry_set_size(entry, is_file && m->content ? (la_int64_t)strlen(m->content) : 0);
	if (m->type == AE_IFLNK)
		archive_entry_set_symlink(entry, m->content);
	if (m->type == 0)
		archive_entry_set_hardlink(entry, m->content);
	assert_int_equal(archive_write_header(a, entry), ARCHIVE_OK);
	if (is_file && m->content)
		assert_int_equal(archive_write_data(a, m->content, strlen(m->content)), strlen(m->content));
	archive_entry_free(entry);
}

/* A .deb of these members, ended by one without a path; its path. */
static char *make_deb(const char *dir, const struct member *members)
{
	static char tar[1 << 20];
	char *path = pv_path_join(dir, "x.deb");
	struct archive *a = archive_write_new(), *ar = archive_write_new();
	size_t len;

	archive_write_set_format_pax_restricted(a);
	assert_int_equal(archive_write_open_memory(a, tar, sizeof(tar), &len), ARCHIVE_OK);
	for (; members->path; members++)
		put(a, members);
	archive_write_free(a);
	archive_write_set_format_ar_svr4(ar);
	assert_int_equal(archive_write_open_filename(ar, path), ARCHIVE_OK);
	for (int i = 0; i < 3; i++) {
		static const char *const names[] = { "debian-binary", "control.tar", "data.tar" };
		struct archive_entry *entry = archive_entry_new();
		const char *data = i == 2 ? tar : "2.0\n";
		size_t n = i == 2 ? len : 4;
		archive_entry_set_pathname(entry, names[i]);
		archive_entry_set_filetype(entry, AE_IFREG);
		archive_entry_set_perm(entry, 0644);
		archive_entry_set_size(entry, (la_int64_t)n);
		assert_int_equal(archive_write_header(ar, entry), ARCHIVE_OK);
		assert_int_equal(archive_write_data(ar, data, n), n);
		archive_entry_free(entry);
	}
	archive_write_free(ar);
	return path;
}

/* A fresh tree below dir/NAME, begun. */
static char *make_tree(const char *dir)
{
	pv_autoerror err = PV_ERROR_INIT;
	char *root = pv_path_join(dir, "root");

	assert_int_equal(pv_rmtree(root, &err), 0);
	assert_int_equal(pv_mkdirs(root, 0755, &err), 0);
	if (pv_debtree_begin(root, &options, &err) < 0)
		fail_msg("%s", err.text);
	return root;
}

static void unpacks(const char *dir, const char *root, const struct member *members, const struct pv_debtree_options *how)
{
	pv_autofree char *deb = make_deb(dir, members);
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_debtree_unpack(deb, root, how, &err) < 0)
		fail_msg("%s", err.text);
}

static void refuses(const char *dir, const struct member *members, const char *words)
{
	pv_autofree char *root = make_tree(dir);
	pv_autofree char *deb = make_deb(dir, members);
	pv_autofree char *outside = pv_path_join(dir, "outside");
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_debtree_unpack(deb, root, &options, &err) == 0)
		fail_msg("accepted; wanted: %s", words);
	assert_int_equal(err.kind, PV_ERR_ARCHIVE);
	if (!strstr(err.text, words))
		fail_msg("\"%s\" lacks \"%s\"", err.text, words);
	assert_false(pv_exists(outside));
}

static void has(const char *root, const char *name, const char *text)
{
	pv_autofree char *path = pv_path_join(root, name);
	pv_autofree char *got = NULL;
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_read_file(path, 1000, &got, NULL, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(got, text);
}

static mode_t mode_of(const char *root, const char *name)
{
	pv_autofree char *path = pv_path_join(root, name);
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode;
}

static void test_lays_out(void **state)
{
	const struct member first[] = {
		DIR_("./"), DIR_("./bin/"), FILE_("./bin/sh", "shell"), DIR_("./usr/"), DIR_("./usr/lib/"),
		DIR_("./usr/lib/x/"), { "./usr/lib/x/su", AE_IFREG, 06755, "s" }, LINK_("./usr/lib/x/y", "su"),
		HARD_("./bin/dash", "./bin/sh"), LINK_("./usr/lib/cur", "/usr/lib/x"), { 0 },
	};
	const struct member second[] = {
		DIR_("./lib/"), DIR_("./lib/x/"), FILE_("./lib/x/new", "n"), FILE_("./lib/cur/through", "t"),
		FILE_("./lib/x/y", "no link any more"), { 0 },
	};
	pv_autofree char *root = make_tree(*state);

	unpacks(*state, root, first, &options);
	unpacks(*state, root, second, &options);
	has(root, "usr/bin/sh", "shell");
	has(root, "usr/bin/dash", "shell");
	has(root, "usr/lib/x/new", "n");
	/* an absolute link leads to the tree's own folder */
	has(root, "usr/lib/x/through", "t");
	has(root, "usr/lib/x/y", "no link any more");
	has(root, "usr/lib/x/su", "s");
	assert_int_equal(mode_of(root, "usr/lib/x/su") & 07777, 0755);
	assert_true(S_ISLNK(mode_of(root, "bin")) && S_ISLNK(mode_of(root, "lib")));
	assert_true(S_ISDIR(mode_of(root, "usr/bin")));
}

static bool no_docs(const char *path)
{
	return !pv_starts(path, "usr/share/doc/");
}

static void test_takes_what_is_wanted(void **state)
{
	const struct pv_debtree_options how = { .max_bytes = 1000, .wanted = no_docs };
	const struct member members[] = {
		DIR_("./usr/"), DIR_("./usr/share/"), DIR_("./usr/share/doc/"), FILE_("./usr/share/doc/a", "doc"),
		LINK_("./usr/share/doc/b", "a"), FILE_("./usr/share/a", "text"), { 0 },
	};
	pv_autofree char *root = make_tree(*state);
	pv_autofree char *doc = pv_path_join(root, "usr/share/doc/a");
	pv_autofree char *link = pv_path_join(root, "usr/share/doc/b");

	unpacks(*state, root, members, &how);
	has(root, "usr/share/a", "text");
	assert_false(pv_exists(doc) || pv_exists(link));
}

static void test_refuses_paths(void **state)
{
	const struct member up[] = { FILE_("../outside", "x"), { 0 } };
	const struct member inner_up[] = { FILE_("./usr/../../outside", "x"), { 0 } };
	const struct member nothing[] = { FILE_("./usr//x", "x"), { 0 } };
	const struct member dot[] = { FILE_("./usr/./x", "x"), { 0 } };
	const struct member no_folder[] = { FILE_("./none/x", "x"), { 0 } };
	const struct member under_file[] = { FILE_("./a", "x"), FILE_("./a/b", "x"), { 0 } };

	refuses(*state, up, "is no path");
	refuses(*state, inner_up, "is no path");
	refuses(*state, nothing, "is no path");
	refuses(*state, dot, "is no path");
	refuses(*state, no_folder, "has no folder");
	refuses(*state, under_file, "has no folder");
}

static void test_links_stay_inside(void **state)
{
	pv_autofree char *outside = pv_path_join(*state, "target");
	pv_autofree char *root = make_tree(*state);
	pv_autofree char *stolen = pv_path_join(outside, "x");
	pv_autoerror err = PV_ERROR_INIT;
	const struct member absolute[] = { LINK_("./way", outside), FILE_("./way/x", "x"), { 0 } };
	const struct member relative[] = { LINK_("./way", "../target"), FILE_("./way/x", "x"), { 0 } };
	const struct member itself[] = { LINK_("./way", "../target/x"), FILE_("./way", "in the tree"), { 0 } };

	assert_int_equal(pv_mkdirs(outside, 0755, &err), 0);
	refuses(*state, absolute, "has no folder");
	refuses(*state, relative, "has no folder");
	assert_false(pv_exists(stolen));
	/* a file takes the place of a link and is not written through it */
	unpacks(*state, root, itself, &options);
	has(root, "way", "in the tree");
	assert_false(pv_exists(stolen));
}

static void test_refuses_kinds(void **state)
{
	const struct member device[] = { DEV_("./dev/sda"), { 0 } };
	const struct member fifo[] = { { "./f", AE_IFIFO, 0644, NULL }, { 0 } };
	const struct member on_folder[] = { FILE_("./usr", "x"), { 0 } };
	const struct member folder_on_file[] = { FILE_("./a", "x"), DIR_("./a"), { 0 } };
	const struct member hard_out[] = { HARD_("./a", "../../etc/passwd"), { 0 } };
	const struct member hard_none[] = { HARD_("./a", "./none"), { 0 } };
	const struct member hard_link[] = { LINK_("./l", "/etc/passwd"), HARD_("./a", "./l"), { 0 } };

	refuses(*state, device, "is no file, folder or link");
	refuses(*state, fifo, "is no file, folder or link");
	refuses(*state, on_folder, "stands where a folder is");
	refuses(*state, folder_on_file, "is a folder and there is a file");
	refuses(*state, hard_out, "no file has");
	refuses(*state, hard_none, "what is no file");
	refuses(*state, hard_link, "what is no file");
}

static void test_bounds(void **state)
{
	char text[601];
	const struct member much[] = { FILE_("./a", text), FILE_("./b", text), { 0 } };
	pv_autofree char *root = make_tree(*state);
	pv_autofree char *deb = pv_path_join(*state, "cut.deb");
	pv_autoerror err = PV_ERROR_INIT;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	refuses(*state, much, "larger than a package may be");
	assert_int_equal(pv_write_file(deb, "!<arch>\n", 8, 0644, &err), 0);
	assert_int_equal(pv_debtree_unpack(deb, root, &options, &err), -1);
	assert_int_equal(err.kind, PV_ERR_ARCHIVE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lays_out),
		cmocka_unit_test(test_takes_what_is_wanted),
		cmocka_unit_test(test_refuses_paths),
		cmocka_unit_test(test_links_stay_inside),
		cmocka_unit_test(test_refuses_kinds),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
