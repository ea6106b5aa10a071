/* SPDX-License-Identifier: Apache-2.0 */
/* .debs without compression: the same content for dpkg-deb, damaged ones refused, threads that stop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "debplain.h"
#include "fsutil.h"
#include "proc.h"
#include "repack.h"

#define MAX ((uint64_t)64 << 20)

static int setup(void **state)
{
	char *dir = pv_xstrdup("/tmp/pvimg-debplain-XXXXXX");

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

static void run(const char *dir, const char *const *argv, char **ret_out)
{
	pv_autofree char *out = pv_path_join(dir, "stdout");
	pv_autoerror err = PV_ERROR_INIT;
	pv_autoproc res = PV_PROC_RESULT_INIT;
	FILE *sink = fopen(out, "w+");
	const struct pv_proc proc = { .argv = argv, .cwd = dir, .stdout_fd = fileno(sink) };

	if (pv_proc_run(&proc, &res, &err) < 0 || res.exit_code != 0)
		fail_msg("%s: %s %s", argv[0], err.text ? err.text : "", res.tail ? res.tail : "");
	fclose(sink);
	if (ret_out)
		assert_int_equal(pv_read_file(out, 1 << 20, ret_out, NULL, &err), 0);
}

/* A small package, compressed in the way named; its path. */
static char *make_deb(const char *dir, const char *compression)
{
	pv_autofree char *tree = pv_path_join(dir, "t/DEBIAN");
	pv_autofree char *control = pv_path_join(tree, "control");
	pv_autofree char *file = pv_path_join(dir, "t/odd");
	pv_autofree char *how = pv_fmt("-Z%s", compression);
	pv_autoerror err = PV_ERROR_INIT;
	static const char text[] = "Package: t\nVersion: 1\nArchitecture: all\nMaintainer: t <t@example.org>\n"
				   "Description: t\n";
	const char *const argv[] = { "dpkg-deb", how, "--root-owner-group", "-b", "t", "t.deb", NULL };

	assert_int_equal(pv_mkdirs(tree, 0755, &err), 0);
	assert_int_equal(pv_write_file(control, text, strlen(text), 0644, &err), 0);
	assert_int_equal(pv_write_file(file, "odd", 3, 0644, &err), 0);
	run(dir, argv, NULL);
	return pv_path_join(dir, "t.deb");
}

static void need_dpkg(void)
{
	pv_autofree char *dpkg = pv_proc_which("dpkg-deb");

	if (!dpkg)
		skip();
}

static void test_same_content(void **state)
{
	static const char *const kinds[] = { "xz", "gzip", "zstd", "none" };

	need_dpkg();
	for (size_t i = 0; i < PV_COUNT(kinds); i++) {
		pv_autofree char *deb = make_deb(*state, kinds[i]);
		pv_autofree char *plain = pv_path_join(*state, "plain.deb");
		pv_autofree char *before = NULL, *after = NULL, *members = NULL;
		const char *const old[] = { "dpkg-deb", "--fsys-tarfile", "t.deb", NULL };
		const char *const new[] = { "dpkg-deb", "--fsys-tarfile", "plain.deb", NULL };
		const char *const list[] = { "ar", "t", "plain.deb", NULL };
		const char *const old_sum[] = { "sh", "-c", "dpkg-deb --fsys-tarfile t.deb | sha256sum; "
						"dpkg-deb -f t.deb", NULL };
		const char *const new_sum[] = { "sh", "-c", "dpkg-deb --fsys-tarfile plain.deb | sha256sum; "
						"dpkg-deb -f plain.deb", NULL };
		pv_autoerror err = PV_ERROR_INIT;
		char hex[PV_SHA256_HEX], again[PV_SHA256_HEX];
		uint64_t size, size_again;

		assert_int_equal(pv_debplain_write(deb, plain, MAX, hex, &size, &err), 0);
		assert_int_equal(pv_digest_file(plain, again, &size_again, &err), 0);
		assert_string_equal(hex, again);
		assert_int_equal(size, size_again);
		run(*state, old, NULL);
		run(*state, new, NULL);
		run(*state, old_sum, &before);
		run(*state, new_sum, &after);
		assert_string_equal(before, after);
		run(*state, list, &members);
		assert_string_equal(members, "debian-binary\ncontrol.tar\ndata.tar\n");
		assert_int_equal(unlink(plain), 0);
	}
}

static void expect_refused(const char *deb, const char *plain, uint64_t max)
{
	pv_autoerror err = PV_ERROR_INIT;
	char hex[PV_SHA256_HEX];
	uint64_t size;

	assert_int_equal(pv_debplain_write(deb, plain, max, hex, &size, &err), -1);
	assert_int_equal(err.kind, PV_ERR_ARCHIVE);
	assert_false(pv_exists(plain));
}

static void test_damaged(void **state)
{
	pv_autofree char *deb = NULL, *plain = pv_path_join(*state, "plain.deb"), *data = NULL;
	pv_autofree char *bad = pv_path_join(*state, "bad.deb");
	pv_autoerror err = PV_ERROR_INIT;
	size_t len;

	need_dpkg();
	deb = make_deb(*state, "xz");
	assert_int_equal(pv_read_file(deb, 1 << 20, &data, &len, &err), 0);
	expect_refused(deb, plain, 1000);	/* larger than allowed */
	for (size_t cut = 0; cut < len; cut += len / 7) {
		assert_int_equal(pv_write_file(bad, data, cut, 0644, &err), 0);
		expect_refused(bad, plain, MAX);
	}
	data[len - 100] ^= 0x55;
	assert_int_equal(pv_write_file(bad, data, len, 0644, &err), 0);
	expect_refused(bad, plain, MAX);
	expect_refused("/etc/passwd", plain, MAX);
}

/* What a member's name does not say is not undone, and no program of the host is run for it: libarchive would start lrzip
 * where it sees lrzip's magic. */
static void test_compression_by_name_only(void **state)
{
	const char *const ask[] = {
		"sh", "-c", "dpkg-deb -Zgzip --root-owner-group -b t t.deb >/dev/null && mkdir -p x bin && cd x && ar x ../t.deb && "
		"gzip -dc data.tar.gz | gzip -nc | gzip -nc > nested && mv nested data.tar.gz && "
		"ar qcS ../nested.deb debian-binary control.tar.gz data.tar.gz && printf 'LRZI\\0\\06\\0\\0' > data.tar && "
		"head -c 4096 /dev/zero >> data.tar && ar qcS ../lrzip.deb debian-binary control.tar.gz data.tar && "
		"printf '#!/bin/sh\\n: > \"%s\"\\ncat\\n' \"$1/ran\" > ../bin/lrzip && chmod +x ../bin/lrzip",
		"sh", *state, NULL,
	};
	const char *const look[] = { "sh", "-c", "ar p plain.deb data.tar | head -c 2 | od -An -tx1", NULL };
	pv_autofree char *nested = pv_path_join(*state, "nested.deb"), *lrzip = pv_path_join(*state, "lrzip.deb");
	pv_autofree char *plain = pv_path_join(*state, "plain.deb"), *magic = NULL, *ran = pv_path_join(*state, "ran");
	pv_autofree char *deb = NULL, *path = pv_fmt("%s/bin:%s", (const char *)*state, getenv("PATH"));
	pv_autofree char *old_path = pv_xstrdup(getenv("PATH"));
	pv_autoerror err = PV_ERROR_INIT;
	char hex[PV_SHA256_HEX];
	uint64_t size;

	need_dpkg();
	deb = make_deb(*state, "gzip");
	run(*state, ask, NULL);
	assert_int_equal(pv_debplain_write(nested, plain, MAX, hex, &size, &err), 0);
	run(*state, look, &magic);
	assert_string_equal(magic, " 1f 8b\n");
	assert_int_equal(unlink(plain), 0);
	assert_int_equal(setenv("PATH", path, 1), 0);
	assert_int_equal(pv_debplain_write(lrzip, plain, MAX, hex, &size, &err), 0);
	assert_int_equal(setenv("PATH", old_path, 1), 0);
	assert_false(pv_exists(ran));
}

static struct pv_repack_job *jobs_of(const char *dir, const char *deb, size_t n)
{
	struct pv_repack_job *jobs = pv_xcalloc(n, sizeof(*jobs));

	for (size_t i = 0; i < n; i++) {
		pv_autoerror err = PV_ERROR_INIT;
		if (pv_digest_file(deb, jobs[i].from_sha256, NULL, &err) < 0)
			strcpy(jobs[i].from_sha256, "none");
		jobs[i].from = pv_xstrdup(deb);
		jobs[i].to = pv_fmt("%s/out-%zu", dir, i);
	}
	return jobs;
}

static void test_threads(void **state)
{
	pv_autofree char *deb = NULL;
	pv_autoerror err = PV_ERROR_INIT;
	struct pv_repack *repack;
	size_t n;

	need_dpkg();
	deb = make_deb(*state, "xz");
	assert_int_equal(pv_repack_start(jobs_of(*state, deb, 40), 40, MAX, 0, &repack, &err), 0);
	assert_int_equal(pv_repack_wait(repack, &err), 0);
	const struct pv_repack_job *jobs = pv_repack_jobs(repack, &n);
	assert_int_equal(n, 40);
	for (size_t i = 0; i < n; i++) {
		assert_string_equal(jobs[i].sha256, jobs[0].sha256);
		assert_true(pv_exists(jobs[i].to));
	}
	pv_repack_free(repack);
}

static void test_first_failure_is_the_error(void **state)
{
	pv_autoerror err = PV_ERROR_INIT;
	struct pv_repack *repack;

	assert_int_equal(pv_repack_start(jobs_of(*state, "/no/such.deb", 40), 40, MAX, 1, &repack, &err), 0);
	assert_int_equal(pv_repack_wait(repack, &err), -1);
	assert_non_null(strstr(err.text, "/no/such.deb"));
	pv_repack_free(repack);
	pv_repack_free(NULL);
}

/* A store object that somebody changed is never unpacked, and does not stay. */
static void test_changed_source(void **state)
{
	pv_autofree char *deb = NULL;
	pv_autoerror err = PV_ERROR_INIT;
	struct pv_repack *repack;

	need_dpkg();
	deb = make_deb(*state, "xz");
	struct pv_repack_job *jobs = jobs_of(*state, deb, 1);
	memset(jobs[0].from_sha256, 'a', PV_SHA256_HEX - 1);
	assert_int_equal(pv_repack_start(jobs, 1, MAX, 0, &repack, &err), 0);
	assert_int_equal(pv_repack_wait(repack, &err), -1);
	assert_int_equal(err.kind, PV_ERR_ARCHIVE);
	assert_false(pv_exists(deb));
	assert_false(pv_exists(pv_repack_jobs(repack, &(size_t){ 0 })->to));
	pv_repack_free(repack);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_same_content),
		TEST(test_damaged),
		TEST(test_compression_by_name_only),
		TEST(test_threads),
		TEST(test_changed_source),
		TEST(test_first_failure_is_the_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
