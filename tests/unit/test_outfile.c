/* SPDX-License-Identifier: Apache-2.0 */
/* Files that appear whole or not at all, whatever they are called. */
#include "check.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fsutil.h"
#include "outfile.h"
#include "scratch.h"
#include "text.h"

static void write_it(const char *path)
{
	pv_autooutfile out = PV_OUTFILE_INIT;
	pv_autoerror err = PV_ERROR_INIT;

	assert_int_equal(pv_outfile_open(path, &out, &err), 0);
	assert_int_equal(pv_write_all(out.fd, "new", 3), 0);
	if (pv_outfile_commit(&out, &err) < 0)
		fail_msg("%s", err.text);
}

static void assert_alone(const char *dir, const char *name)
{
	pv_autostrv names = PV_STRV_INIT;

	assert_int_equal(pv_list_dir(dir, &names, NULL), 0);
	assert_int_equal(names.n, name != NULL);
	if (name)
		assert_string_equal(names.v[0], name);
}

static void test_replaces(void **state)
{
	pv_autofree char *text = NULL;
	struct stat st;

	(void)state;
	assert_int_equal(mkdir("d", 0755), 0);
	assert_int_equal(pv_write_file("d/f", "old", 3, 0600, NULL), 0);
	write_it("d/f");
	assert_int_equal(pv_read_file("d/f", 10, &text, NULL, NULL), 0);
	assert_string_equal(text, "new");
	assert_int_equal(stat("d/f", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_alone("d", "f");
}

/* The longest name that a folder takes: the hidden name is no longer. */
static void test_long_name(void **state)
{
	char name[256], path[300];

	(void)state;
	memset(name, 'n', 255);
	name[255] = '\0';
	assert_int_equal(mkdir("d", 0755), 0);
	snprintf(path, sizeof(path), "d/%s", name);
	write_it(path);
	assert_alone("d", name);
}

static void test_not_committed(void **state)
{
	pv_autooutfile out = PV_OUTFILE_INIT;

	(void)state;
	assert_int_equal(mkdir("d", 0755), 0);
	assert_int_equal(pv_outfile_open("d/f", &out, NULL), 0);
	pv_outfile_done(&out);
	assert_alone("d", NULL);
	/* a folder has the name: refused, and nothing is left beside it */
	assert_int_equal(mkdir("d/f", 0755), 0);
	assert_int_equal(pv_outfile_open("d/f", &out, NULL), 0);
	assert_int_equal(pv_outfile_commit(&out, NULL), -1);
	pv_outfile_done(&out);
	assert_alone("d", "f");
}

#define T(f) cmocka_unit_test_setup_teardown(f, scratch_enter, scratch_leave)

int main(void)
{
	const struct CMUnitTest tests[] = { T(test_replaces), T(test_long_name), T(test_not_committed) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
