/* SPDX-License-Identifier: Apache-2.0 */
/* The local archive tree and the apt set-up: what lies where, and that apt itself reads it. */
#include "check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aptree.h"
#include "fsutil.h"
#include "proc.h"
#include "text.h"

#define SHA(c) c c c c c c c c c c c c c c c c

static const char packages[] =
	"Package: one\nVersion: 1\nArchitecture: amd64\nMaintainer: T <t@example.org>\nFilename: pool/one.deb\n"
	"Size: 1\nSHA256: " SHA("0001") "\nDescription: x\n long\n text\n\n"
	"Package: two\nVersion: 1\nArchitecture: amd64\nMaintainer: T <t@example.org>\nFilename: pool/two.deb\n"
	"Size: 1\nSHA256: " SHA("0002") "\nDescription: x\n\n";

struct fixture {
	char *dir, *release, *packages, *archive, *apt;
	struct pv_store *store;
	struct pv_aptree_index index;
};

static int setup(void **state)
{
	struct fixture *f = pv_xcalloc(1, sizeof(*f));
	const char *tmp = getenv("TMPDIR");

	f->dir = pv_fmt("%s/pvimg-aptree-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(f->dir) || pv_store_open(f->dir, &f->store, NULL) < 0)
		return -1;
	f->release = pv_path_join(f->dir, "InRelease");
	f->packages = pv_path_join(f->dir, "Packages");
	f->archive = pv_path_join(f->dir, "archive");
	f->apt = pv_path_join(f->dir, "apt");
	f->index = (struct pv_aptree_index){ "http://m.example", "my-suite", "main", f->release, f->packages };
	*state = f;
	if (pv_write_file(f->packages, packages, strlen(packages), 0444, NULL) < 0)
		return -1;
	/* Not for all to read: must become so in the tree. */
	return pv_write_file(f->release, "Origin: T\n", 10, 0600, NULL);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	int result = pv_rmtree(f->dir, NULL);

	pv_store_free(f->store);
	free(f->dir);
	free(f->release);
	free(f->packages);
	free(f->archive);
	free(f->apt);
	free(f);
	return result;
}

static void assert_file(const char *dir, const char *name, const char *want, bool readable)
{
	pv_autofree char *path = pv_path_join(dir, name);
	pv_autofree char *text = NULL;
	pv_autoerror err = PV_ERROR_INIT;
	struct stat st;

	if (pv_read_file(path, 1 << 20, &text, NULL, &err) < 0)
		fail_msg("%s", err.text);
	if (want)
		assert_string_equal(text, want);
	assert_int_equal(stat(path, &st), 0);
	if (readable)
		assert_int_equal(st.st_mode & 0444, 0444);
}

static void need_apt(void)
{
	pv_autofree char *apt = pv_proc_which("apt-cache");

	if (!apt) {
		print_message("skipped: no apt here\n");
		skip();
	}
}

static int run_apt(struct fixture *f, const char *const *argv, char **ret)
{
	const char *env[] = { "APT_CONFIG=./apt.conf", "LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
	const struct pv_proc proc = { .argv = argv, .env = env, .cwd = f->apt };
	pv_autoproc res = PV_PROC_RESULT_INIT;

	assert_int_equal(pv_proc_run(&proc, &res, NULL), 0);
	*ret = pv_steal(&res.tail);
	return res.exit_code;
}

/* The lists bear the names that apt itself gives them: it finds the packages. */
static void test_lists(void **state)
{
	static const char *const names[] = { "apt-cache", "--quiet", "pkgnames", NULL };
	struct fixture *f = *state;
	struct pv_aptree_apt apt = { .dir = f->apt, .seen_dir = ".", .archive_dir = "/srv/my-archive.d",
				     .arch = "amd64", .private_state = true };
	pv_autofree char *all = NULL;

	need_apt();
	assert_int_equal(pv_aptree_apt(&apt, &f->index, 1, NULL), 0);
	assert_int_equal(run_apt(f, names, &all), 0);
	assert_non_null(strstr(all, "one"));
	assert_non_null(strstr(all, "two"));
	assert_file(f->apt, "lists/_srv_my-archive.d_dists_my-suite_main_binary-amd64_Packages", packages, true);
}

/* In the target only sources and lists are ours. */
static void test_target_conf(void **state)
{
	struct fixture *f = *state;
	struct pv_aptree_apt apt = { .dir = f->apt, .seen_dir = "/run/pvimg/apt", .archive_dir = "/run/pvimg/archive",
				     .arch = "amd64", .extra_conf = "X::Y \"z\";\n" };
	pv_autofree char *path = pv_path_join(f->apt, "apt.conf");
	pv_autofree char *text = NULL;

	assert_int_equal(pv_aptree_apt(&apt, &f->index, 1, NULL), 0);
	assert_int_equal(pv_read_file(path, 65536, &text, NULL, NULL), 0);
	assert_non_null(strstr(text, "Dir::State::lists \"/run/pvimg/apt/lists\";"));
	assert_non_null(strstr(text, "X::Y \"z\";"));
	assert_null(strstr(text, "State::status"));
	assert_null(strstr(text, "Etc::parts"));
	assert_file(f->apt, "sources.list",
		    "deb [arch=amd64 trusted=yes] file:/run/pvimg/archive my-suite main\n", true);
	apt.seen_dir = "/run/\"; x";
	assert_int_equal(pv_aptree_apt(&apt, &f->index, 1, NULL), -1);
	apt.seen_dir = "/run/pvimg/apt";
	apt.archive_dir = "/a b";
	assert_int_equal(pv_aptree_apt(&apt, &f->index, 1, NULL), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_lists), TEST(test_target_conf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
