/* SPDX-License-Identifier: Apache-2.0 */
/* Only files that somebody opened, changed or removed count as opened. */
#include "check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fsutil.h"
#include "openwatch.h"
#include "text.h"
#include "scratch.h"

static int enter(void **state)
{
	return scratch_enter(state) < 0 || mkdir("usr", 0755) < 0 || symlink("/usr", "lib") < 0 ? -1 : 0;
}

enum { UNTOUCHED, LOOKED_AT, READ, REMOVED, MODE, RENAMED, BY_OTHER_NAME, MISSING, N };

static void test_what_counts(void **state)
{
	static const char *const paths[] = { "untouched", "looked-at", "read", "removed", "mode", "renamed", "lib/other", "missing" };
	static const char *const real[] = { "untouched", "looked-at", "read", "removed", "mode", "renamed", "usr/other" };
	bool opened[N];
	struct stat st;
	char c;

	for (size_t i = 0; i < PV_COUNT(real); i++)
		assert_int_equal(pv_write_file(real[i], "x", 1, 0644, NULL), 0);
	struct pv_openwatch *watch = pv_openwatch_begin(*state, paths, PV_COUNT(paths));
	assert_int_equal(stat("looked-at", &st), 0);
	pv_autoclose int fd = open("read", O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, &c, 1), 1);
	pv_closep(&fd);
	assert_int_equal(unlink("removed"), 0);
	assert_int_equal(chmod("mode", 0600), 0);
	assert_int_equal(rename("renamed", "renamed2"), 0);
	fd = open("usr/other", O_RDONLY | O_CLOEXEC);
	pv_openwatch_end(watch, opened);
	pv_openwatch_free(watch);
	assert_false(opened[UNTOUCHED]);
	assert_false(opened[LOOKED_AT]);
	for (size_t i = READ; i < N; i++)
		assert_true(opened[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(test_what_counts, enter, scratch_leave) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
