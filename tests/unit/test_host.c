/* SPDX-License-Identifier: Apache-2.0 */
/* Facts of the host: versions, memory, programs. */
#include "check.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host.h"
#include "text.h"

static void test_version_in(void **state)
{
	static const char *const cases[][2] = {
		{ "debootstrap 1.0.128+nmu2+deb12u2\n", "1.0.128+nmu2+deb12u2" },
		{ "gpgv (GnuPG) 2.2.40\nlibgcrypt 1.10.1\n", "2.2.40" },
		{ "Debian 'dpkg-deb' package archive backend version 1.21.23 (amd64).\n", "1.21.23" },
		{ "tar (GNU tar) 1.34", "1.34" }, { "7z", "7z" }, { "", NULL }, { "no x86 here\n", NULL },
		{ "v1.2\n", NULL },
	};

	(void)state;
	for (size_t i = 0; i < PV_COUNT(cases); i++) {
		pv_autofree char *got = pv_host_version_in(cases[i][0]);
		if (!pv_streq(got, cases[i][1]))
			fail_msg("%s: %s", cases[i][0], got ? got : "none");
	}
}

static void test_version_cmp(void **state)
{
	(void)state;
	assert_true(pv_host_version_cmp("1.0.128+nmu2", "1.0.9") > 0);
	assert_true(pv_host_version_cmp("2.2", "2.2.0") == 0);
	assert_true(pv_host_version_cmp("2.2", "2.2.1") < 0);
	assert_true(pv_host_version_cmp("2.10", "2.9") > 0);
	assert_true(pv_host_version_cmp("6.18.44-fc", "5.12") > 0);
	assert_true(pv_host_version_cmp("", "1") < 0);
	assert_true(pv_host_version_cmp("3.", "3") == 0);
}

static void test_meminfo(void **state)
{
	static const char *const bad[] = {
		"", "MemTotal: 5 kB\n", "MemAvailable: 5 MB\n", "MemAvailable: kB\n", "MemAvailable: -5 kB\n",
		"MemAvailable: 99999999999999999999 kB\n", "xMemAvailable: 5 kB\n", "MemAvailable: 5 kB",
	};
	uint64_t bytes = 7;

	(void)state;
	assert_int_equal(pv_host_meminfo_parse("MemTotal: 9 kB\nMemAvailable:   12 kB\nX: 1\n", &bytes), 0);
	assert_int_equal(bytes, 12 * 1024);
	for (size_t i = 0; i < PV_COUNT(bad); i++)
		if (pv_host_meminfo_parse(bad[i], &bytes) == 0)
			fail_msg("taken: %s", bad[i]);
	assert_int_equal(bytes, 12 * 1024);
	assert_int_equal(pv_host_memory(&bytes, NULL), 0);
	assert_true(bytes > 1 << 20);
}

static void test_programs(void **state)
{
	const struct pv_host_program tar = { "tar", "tar", NULL, "", true, "--version" };
	const struct pv_host_program none = { "no-such-program-here", "x", NULL, "", true, "--version" };
	const struct pv_host_program quiet = { "true", "coreutils", NULL, "", true, NULL };
	char *path, *version;

	(void)state;
	pv_host_program_find(&tar, &path, &version);
	assert_non_null(path);
	assert_non_null(version);
	assert_true(pv_host_version_cmp(version, "1") >= 0);
	free(path);
	free(version);
	pv_host_program_find(&none, &path, &version);
	assert_null(path);
	assert_null(version);
	pv_host_program_find(&quiet, &path, &version);
	assert_non_null(path);
	assert_null(version);
	free(path);
}

static void test_program_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < pv_host_nprograms; i++) {
		const struct pv_host_program *p = &pv_host_programs[i];
		assert_true(p->name && p->package && p->use);
		assert_true(!p->minimum || p->version_option);
	}
}

static void test_sysctl(void **state)
{
	(void)state;
	assert_int_equal(pv_host_sysctl("/nonexistent"), -1);
	assert_int_equal(pv_host_sysctl("/proc/version"), -1);
	assert_true(pv_host_sysctl("/proc/sys/kernel/pid_max") > 300);
}

static void test_kvm_probe_ends(void **state)
{
	enum pv_host_kvm kvm = pv_host_kvm_probe();

	(void)state;
	assert_true(kvm == PV_KVM_ABSENT || access("/dev/kvm", F_OK) == 0);
	assert_true(kvm != PV_KVM_WORKS || access("/dev/kvm", R_OK | W_OK) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_version_in),
		cmocka_unit_test(test_version_cmp),
		cmocka_unit_test(test_meminfo),
		cmocka_unit_test(test_programs),
		cmocka_unit_test(test_program_table),
		cmocka_unit_test(test_sysctl),
		cmocka_unit_test(test_kvm_probe_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
