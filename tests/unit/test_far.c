/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of far hosts, words for their shells, what ssh's words mean, and which blocks a far disk lacks. */
#include "check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "far.h"
#include "far_blocks.h"
#include "fsutil.h"
#include "proc.h"
#include "scratch.h"

#define MIB ((uint64_t)1 << 20)

static void test_addresses(void **state)
{
	static const struct {
		const char *to, *user, *host, *port, *folder, *bridge;
	} rows[] = {
		{ "xl+ssh://host/images", NULL, "host", NULL, "/images", NULL },
		{ "xl+ssh://root@dom0.example.org:2222/var/lib/xen/", "root", "dom0.example.org", "2222", "/var/lib/xen", NULL },
		{ "xl+ssh://[fe80::1%eth0]:22/x", NULL, "fe80::1%eth0", "22", "/x", NULL },
		{ "xl+ssh://my_host/a%20b/it's/$(id);`x`?bridge=br0.1", NULL, "my_host", NULL, "/a b/it's/$(id);`x`", "br0.1" },
	};

	(void)state;
	for (size_t i = 0; i < PV_COUNT(rows); i++) {
		pv_autofar a = { 0 };

		assert_int_equal(pv_far_address_parse(rows[i].to, &a, NULL), 0);
		assert_true(pv_streq(a.user, rows[i].user) && pv_streq(a.port, rows[i].port) && pv_streq(a.bridge, rows[i].bridge));
		assert_string_equal(a.host, rows[i].host);
		assert_string_equal(a.folder, rows[i].folder);
		assert_null(strchr(a.shown, '?'));
	}
}

static void test_refused_addresses(void **state)
{
	static const char *const rows[] = {
		"xl+ssh://", "xl+ssh://host", "xl+ssh://host/", "xl+ssh://host//", "xl+ssh:///x", "xl+ssh://-oProxyCommand=x/x",
		"xl+ssh://-l@host/x", "xl+ssh://@host/x", "xl+ssh://a b/x", "xl+ssh://host:0/x", "xl+ssh://host:65536/x",
		"xl+ssh://host:/x", "xl+ssh://host:22x/x", "xl+ssh://[::1/x", "xl+ssh://[::1]x/x", "xl+ssh://[]/x", "xl+ssh://ho;st/x",
		"xl+ssh://$(id)@host/x", "xl+ssh://host/a/../b", "xl+ssh://host/..", "xl+ssh://host/./b", "xl+ssh://host/a//b",
		"xl+ssh://host/%2e%2e/b", "xl+ssh://host/a%0ab", "xl+ssh://host/a\nb", "xl+ssh://host/a%00b", "xl+ssh://host/a%",
		"xl+ssh://host/a%2", "xl+ssh://host/a%zz", "xl+ssh://host/a%ff", "xl+ssh://host/a,b", "xl+ssh://host/a:b",
		"xl+ssh://host/a%22b", "xl+ssh://host/a%5cb", "xl+ssh://host/x?", "xl+ssh://host/x?bridge=", "xl+ssh://host/x?bridge=a b",
		"xl+ssh://host/x?bridge=abcdefghijklmnop", "xl+ssh://host/x?start", "xl+ssh://host/x?bridge=-a",
	};

	(void)state;
	for (size_t i = 0; i < PV_COUNT(rows); i++) {
		pv_autoerror err = PV_ERROR_INIT;
		pv_autofar a = { 0 };

		if (pv_far_address_parse(rows[i], &a, &err) == 0)
			fail_msg("taken: %s", rows[i]);
		assert_int_equal(err.kind, PV_ERR_USAGE);
		assert_null(strpbrk(err.text, "\n\r"));
	}
	pv_autoerror err = PV_ERROR_INIT;
	pv_autofar a = { 0 };
	assert_int_equal(pv_far_address_parse("xl+ssh://root:sesame@host/x", &a, &err), -1);
	assert_null(strstr(err.text, "sesame"));
	assert_non_null(strstr(err.text, "ssh-agent"));
}

static void keep_line(void *ctx, const char *line, size_t len)
{
	pv_strv_take(ctx, pv_xstrndup(line, len));
}

/* What a real shell makes of the words. */
static void test_quoting(void **state)
{
	static const char *const words[] = {
		"plain", "", "two words", "it's", "''", "$(touch gone)", "`touch gone`", "\"$HOME\"", "a;b|c&d", "\\", "\\'", "*", "~",
		"-n", "\xc3\xa9", "!x", "#", "a=b",
	};
	pv_autostr line = PV_STR_INIT;
	pv_autostrv got = PV_STRV_INIT;
	pv_autoproc res = PV_PROC_RESULT_INIT;

	(void)state;
	pv_str_add(&line, "printf '[%s]\\n'");
	for (size_t i = 0; i < PV_COUNT(words); i++) {
		pv_str_addc(&line, ' ');
		assert_int_equal(pv_far_quote(&line, words[i]), 0);
	}
	const char *const argv[] = { "sh", "-c", line.data, NULL };
	const struct pv_proc proc = { .argv = argv, .on_stdout = keep_line, .ctx = &got };
	assert_int_equal(pv_proc_run(&proc, &res, NULL), 0);
	assert_int_equal(got.n, PV_COUNT(words));
	for (size_t i = 0; i < got.n; i++) {
		pv_autofree char *want = pv_fmt("[%s]", words[i]);

		assert_string_equal(got.v[i], want);
	}
	assert_false(pv_exists("gone"));
	size_t len = line.len;
	assert_int_equal(pv_far_quote(&line, "a\nb"), -1);
	assert_int_equal(pv_far_quote(&line, "a\x1b" "b"), -1);
	assert_int_equal(pv_far_quote(&line, "a\x7f"), -1);
	assert_int_equal(line.len, len);
	pv_str_reset(&line);
	pv_far_quote_text(&line, "a\nb'c");
	assert_string_equal(line.data, "'a\nb'\\''c'");
}

/* An address cannot become an option, and nobody is ever asked. */
static void test_argv(void **state)
{
	pv_autofar a = { 0 };
	pv_autostrv argv = PV_STRV_INIT;

	(void)state;
	assert_int_equal(pv_far_address_parse("xl+ssh://me@host:22/x", &a, NULL), 0);
	pv_far_argv(&a, &argv);
	assert_string_equal(argv.v[0], "ssh");
	assert_true(pv_strv_has(&argv, "-oBatchMode=yes") && pv_strv_has(&argv, "-oStrictHostKeyChecking=yes"));
	assert_true(pv_strv_has(&argv, "-oClearAllForwardings=yes") && pv_strv_has(&argv, "-oControlPath=none"));
	assert_string_equal(argv.v[argv.n - 1], "host");
	assert_string_equal(argv.v[argv.n - 2], "--");
	assert_string_equal(argv.v[argv.n - 3], "me");
	assert_string_equal(argv.v[argv.n - 5], "22");
}

static void test_why(void **state)
{
	static const struct {
		const char *tail, *words;
		bool passing;
	} rows[] = {
		{ "Host key verification failed.\n", "not known here", false },
		{ "@  WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!  @\nHost key verification failed.\n", "listen in", false },
		{ "root@host: Permission denied (publickey).?\n", "(root@host: Permission denied (publickey).)", false },
		{ "ssh: Could not resolve hostname x: Name or service not known?\n", "resolve", false },
		{ "ssh: connect to host x port 22: Connection refused?\n", "Connection refused", true },
		{ "client_loop: send disconnect: Broken pipe\n", "Broken pipe", true },
		{ "Timeout, server host not responding.?\n", "not responding", true },
		{ "", "ssh says no more", true },
	};
	const struct pv_far_address to = { .host = (char[]){ "host" } };

	(void)state;
	for (size_t i = 0; i < PV_COUNT(rows); i++) {
		pv_autoerror err = PV_ERROR_INIT;
		bool passing = !rows[i].passing;

		assert_int_equal(pv_far_why(&to, rows[i].tail, &passing, &err), -1);
		assert_int_equal(err.kind, PV_ERR_ARCHIVE);
		if (!strstr(err.text, rows[i].words) || passing != rows[i].passing)
			fail_msg("%s: %s", rows[i].tail, err.text);
	}
}

/* A disk of 9 MiB and a half block: data in the first unit, in the 17th to 19th, and at the very end. */
static int make_disk(struct pv_far_blocks *ret, char sha256[PV_SHA256_HEX])
{
	pv_autoclose int fd = open("disk", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)(9 * MIB + 4096)), 0);
	assert_int_equal(pv_pwrite_all(fd, "x", 1, 5), 0);
	for (unsigned u = 16; u < 19; u++)
		assert_int_equal(pv_pwrite_all(fd, "y", 1, (off_t)u * PV_FAR_UNIT), 0);
	assert_int_equal(pv_pwrite_all(fd, "z", 1, (off_t)(9 * MIB + 4095)), 0);
	assert_int_equal(pv_far_blocks_read(fd, "disk", NULL, NULL, ret, sha256, NULL), 0);
	return pv_far_blocks_digest(ret, fd, "disk", NULL);
}

static void expect_run(const struct pv_far_run *run, uint64_t offset, uint64_t len, bool zero)
{
	assert_int_equal(run->offset, offset);
	assert_int_equal(run->len, len);
	assert_int_equal(run->zero, zero);
}

static void test_runs(void **state)
{
	pv_autofarblocks b = { 0 };
	char sha256[PV_SHA256_HEX], again[PV_SHA256_HEX];
	size_t n;

	(void)state;
	assert_int_equal(make_disk(&b, sha256), 0);
	assert_int_equal(pv_digest_file("disk", again, NULL, NULL), 0);
	assert_string_equal(sha256, again);
	assert_int_equal(b.n, 3);
	/* nothing is there */
	pv_autofree struct pv_far_run *fresh = pv_far_runs(&b, NULL, &n);
	assert_int_equal(n, 3);
	expect_run(&fresh[0], 0, PV_FAR_UNIT, false);
	expect_run(&fresh[1], 4 * MIB, 3 * PV_FAR_UNIT, false);
	expect_run(&fresh[2], 9 * MIB, 4096, false);
	/* all is there; then all but the middle block, whose zeros have to be made */
	uint8_t theirs[3][PV_SHA256_LEN];
	memcpy(theirs, b.digest, sizeof(theirs));
	pv_autofree struct pv_far_run *none = pv_far_runs(&b, (const uint8_t (*)[PV_SHA256_LEN])theirs, &n);
	assert_int_equal(n, 0);
	theirs[1][31] ^= 1;
	pv_autofree struct pv_far_run *some = pv_far_runs(&b, (const uint8_t (*)[PV_SHA256_LEN])theirs, &n);
	assert_int_equal(n, 2);
	expect_run(&some[0], 4 * MIB, 3 * PV_FAR_UNIT, false);
	expect_run(&some[1], 4 * MIB + 3 * PV_FAR_UNIT, 4 * MIB - 3 * PV_FAR_UNIT, true);
	/* the last block, shorter, is zeros in its first half only */
	memcpy(theirs, b.digest, sizeof(theirs));
	theirs[2][0] ^= 1;
	pv_autofree struct pv_far_run *last = pv_far_runs(&b, (const uint8_t (*)[PV_SHA256_LEN])theirs, &n);
	assert_int_equal(n, 2);
	expect_run(&last[0], 8 * MIB, MIB, true);
	expect_run(&last[1], 9 * MIB, 4096, false);
}

/* A run of data is no longer than an order may be; zeros may. */
static void test_long_runs(void **state)
{
	struct pv_far_blocks b = { .size = 40 * (uint64_t)PV_FAR_BLOCK, .n = 40 };
	uint16_t data[40];
	size_t n;

	(void)state;
	memset(data, 0xff, sizeof(data));
	b.data = data;
	pv_autofree struct pv_far_run *runs = pv_far_runs(&b, NULL, &n);
	assert_int_equal(n, 3);
	for (size_t i = 0; i < n; i++)
		assert_true(runs[i].len <= PV_FAR_RUN_MAX && runs[i].offset == i * (uint64_t)PV_FAR_RUN_MAX);
	assert_int_equal(runs[2].len, b.size - 2 * (uint64_t)PV_FAR_RUN_MAX);
}

#define S(f) cmocka_unit_test_setup_teardown(f, scratch_enter, scratch_leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses), cmocka_unit_test(test_refused_addresses), S(test_quoting), cmocka_unit_test(test_argv),
		cmocka_unit_test(test_why), S(test_runs), cmocka_unit_test(test_long_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
