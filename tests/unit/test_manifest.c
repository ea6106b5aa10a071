/* SPDX-License-Identifier: Apache-2.0 */
/* The installed set against the plan; licenses and their links in the manifest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "fsutil.h"
#include "manifest.h"

static struct pv_package packages[] = {
	{ .name = "alpha", .version = "1.0", .arch = "all", .size = 10, .installed_kib = 2 },
	{ .name = "beta", .version = "2:3-4", .arch = "amd64", .size = 20, .installed_kib = 4 },
};
static const struct pv_suite suite = { .distribution = "debian", .codename = "bookworm" };
static const struct pv_plan plan = { .name = "t", .suite = &suite, .arch = "amd64", .packages = packages,
				     .npackages = 2, .epoch = 5 };

static const struct pv_settings settings = { .memory = (uint64_t)1 << 30, .vcpus = 3, .reserve_mib = 128 };

static void put(const char *root, const char *path, const char *text)
{
	pv_autoerror err = PV_ERROR_INIT;
	pv_autofree char *full = pv_path_join(root, path);
	pv_autofree char *dir = pv_xstrdup(full);

	*strrchr(dir, '/') = '\0';
	assert_int_equal(pv_mkdirs(dir, 0755, &err), 0);
	assert_int_equal(pv_write_file(full, text, strlen(text), 0644, &err), 0);
}

static int make_root(void **state)
{
	char *root = pv_xstrdup("/tmp/pvimg-manifest-XXXXXX");

	*state = mkdtemp(root);
	return *state ? 0 : -1;
}

static int remove_root(void **state)
{
	pv_autoerror err = PV_ERROR_INIT;
	int rc = pv_rmtree(*state, &err);

	free(*state);
	return rc;
}

#define STANZA_OF(name, status, version, arch) \
	"Package: " name "\nStatus: " status "\nVersion: " version "\nArchitecture: " arch "\n\n"
#define STANZA(name, status, version) STANZA_OF(name, status, version, "all")
#define BETA STANZA_OF("beta", "install ok installed", "2:3-4", "amd64")

static void expect_status(const char *root, const char *status, const char *words)
{
	pv_autoerror err = PV_ERROR_INIT;

	put(root, "var/lib/dpkg/status", status);
	if (!words) {
		assert_int_equal(pv_manifest_check_installed(&plan, root, &err), 0);
		return;
	}
	assert_int_equal(pv_manifest_check_installed(&plan, root, &err), -1);
	assert_int_equal(err.kind, PV_ERR_STAGE);
	assert_non_null(strstr(err.text, words));
}

static void test_installed_set(void **state)
{
	const char *root = *state;

	expect_status(root, STANZA("alpha", "install ok installed", "1.0")
		      BETA, NULL);
	expect_status(root, STANZA("alpha", "install ok installed", "1.0"), "beta is missing");
	expect_status(root, STANZA("alpha", "install ok installed", "1.1")
		      BETA, "alpha is 1.1, planned 1.0");
	expect_status(root, STANZA("alpha", "install ok half-configured", "1.0")
		      BETA, "half-configured");
	expect_status(root, STANZA("alpha", "install ok installed", "1.0")
		      BETA
		      STANZA("gamma", "install ok installed", "1"), "gamma 1 is installed and not planned");
	expect_status(root, STANZA_OF("alpha", "install ok installed", "1.0", "i386") BETA, "alpha is not of architecture all");
}

/* A package that makes the status a link does not have the host's read, nor hold us up with a fifo. */
static void test_status_of_the_host(void **state)
{
	const char *root = *state;
	pv_autoerror err = PV_ERROR_INIT;
	pv_autofree char *outside = pv_fmt("%s.outside", root), *status = pv_path_join(root, "var/lib/dpkg/status");
	static const char good[] = STANZA("alpha", "install ok installed", "1.0")
				   BETA;

	put(root, "var/lib/dpkg/status", good);
	assert_int_equal(unlink(status), 0);
	assert_int_equal(pv_write_file(outside, good, strlen(good), 0644, &err), 0);
	assert_int_equal(symlink(outside, status), 0);
	assert_int_equal(pv_manifest_check_installed(&plan, root, &err), -1);
	assert_int_equal(unlink(outside) | unlink(status), 0);
	assert_int_equal(mkfifo(status, 0600), 0);
	assert_int_equal(pv_manifest_check_installed(&plan, root, &err), -1);
}

static void test_licenses(void **state)
{
	const char *root = *state;
	pv_autoerror err = PV_ERROR_INIT;
	pv_autofree char *out = pv_path_join(root, "m.json");
	pv_autofree char *link = pv_path_join(root, "usr/share/doc/beta");
	pv_autofree char *text = NULL;

	put(root, "usr/share/doc/alpha/copyright",
	    "Format: https://example.org/\n\nFiles: *\nCopyright: x\nLicense: MIT\n text\n\nFiles: y\nLicense: GPL-2+\n");
	assert_int_equal(symlink("/etc", link), 0);	/* out of the tree: resolved inside it, so nothing */
	assert_int_equal(pv_manifest_write(&plan, &settings, root, out, &err), 0);
	assert_int_equal(pv_read_file(out, 65536, &text, NULL, &err), 0);
	json_t *json = json_loads(text, 0, NULL);
	json_t *list = json_object_get(json, "packages");
	json_t *licenses = json_object_get(json_array_get(list, 0), "licenses");
	assert_int_equal(json_array_size(licenses), 2);
	assert_string_equal(json_string_value(json_array_get(licenses, 0)), "GPL-2+");
	assert_null(json_object_get(json_array_get(list, 1), "licenses"));
	json_t *flavor = json_object_get(json, "flavor"), *values = json_object_get(json, "settings");
	assert_int_equal(json_integer_value(json_object_get(flavor, "memory")), (uint64_t)1 << 30);
	assert_int_equal(json_integer_value(json_object_get(flavor, "vcpus")), 3);
	assert_int_equal(json_integer_value(json_object_get(values, "reserve_mib")), 128);
	assert_int_equal(json_object_size(json_object_get(values, "sysctl")), 0);
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_installed_set, make_root, remove_root),
		cmocka_unit_test_setup_teardown(test_status_of_the_host, make_root, remove_root),
		cmocka_unit_test_setup_teardown(test_licenses, make_root, remove_root),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
