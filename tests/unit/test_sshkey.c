/* SPDX-License-Identifier: Apache-2.0 */
/* The key of a run: OpenSSH finds the same public half in the private one; no two are alike. */
#include "check.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fsutil.h"
#include "proc.h"
#include "sshkey.h"
#include "text.h"

static void take(void *ctx, const char *line, size_t len)
{
	pv_str_reset(ctx);
	pv_str_addn(ctx, line, len);
}

static void test_pair(void **state)
{
	char dir[] = "/tmp/pvimg-sshkey.XXXXXX";
	pv_autofree char *first = NULL, *second = NULL;
	pv_autoerror err = PV_ERROR_INIT;
	pv_autostr said = PV_STR_INIT;
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(dir));
	pv_autofree char *path = pv_path_join(dir, "key");
	assert_int_equal(pv_sshkey_make(path, &first, &err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	const char *const argv[] = { "ssh-keygen", "-y", "-f", path, NULL };
	const struct pv_proc proc = { .argv = argv, .on_stdout = take, .ctx = &said };
	if (pv_proc_check(&proc, PV_ERR_STAGE, &err) < 0)
		fail_msg("%s", err.text);
	/* ssh-keygen tells no comment of a PEM key */
	assert_true(pv_starts(first, pv_str_text(&said)));
	assert_string_equal(first + said.len, " pvimg");
	assert_int_equal(pv_sshkey_make(path, &second, &err), 0);
	assert_string_not_equal(first, second);
	assert_int_equal(pv_rmtree(dir, NULL), 0);
}

static void test_no_folder(void **state)
{
	pv_autoerror err = PV_ERROR_INIT;
	pv_autofree char *line = NULL;

	(void)state;
	assert_int_equal(pv_sshkey_make("/nowhere/key", &line, &err), -1);
	assert_null(line);
	assert_non_null(strstr(err.text, "/nowhere/key"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pair),
		cmocka_unit_test(test_no_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
