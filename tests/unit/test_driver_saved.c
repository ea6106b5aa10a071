/* SPDX-License-Identifier: Apache-2.0 */
/* Saved dom0s: there whole or not at all, and never taken for what they are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "driver_saved.h"
#include "fsutil.h"
#include "text.h"

#define STATE_BYTES ((size_t)2 << 20)

static int make_dir(void **state)
{
	char *dir = pv_fmt("%s/pvimg-saved-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");

	*state = dir;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	int rc = pv_rmtree(*state, NULL);

	free(*state);
	return rc;
}

static void write_state(struct pv_saved *s, size_t len)
{
	pv_autofree char *data = pv_xcalloc(1, len + 1);

	memset(data, 'q', len);
	assert_int_equal(pv_write_all(s->fd, data, len), 0);
}

static bool is_there(const char *dir, const char *name)
{
	pv_autofree char *path = pv_path_join(dir, name);

	return pv_exists(path);
}

static void make_state(const char *dir, size_t len)
{
	pv_autosaved s = PV_SAVED_INIT;

	assert_int_equal(pv_saved_begin(dir, "state", &s, NULL), 0);
	assert_true(s.fd >= 0);
	write_state(&s, len);
	assert_int_equal(pv_saved_commit(&s, "xen=4.17.5 hap=yes", 8123, NULL), 0);
}

static void test_what_was_saved_is_found(void **state)
{
	pv_autosaved s = PV_SAVED_INIT;
	char first[4];

	pv_saved_open(*state, "state", &s);
	assert_int_equal(s.fd, -1);
	pv_saved_done(&s);
	make_state(*state, STATE_BYTES);
	pv_saved_open(*state, "state", &s);
	assert_true(s.fd >= 0);
	assert_string_equal(s.hello, "xen=4.17.5 hap=yes");
	assert_int_equal(s.hello_ms, 8123);
	/* QEMU reads from where the descriptor stands */
	assert_int_equal(read(s.fd, first, sizeof(first)), sizeof(first));
	assert_memory_equal(first, "qqqq", 4);
	pv_saved_drop(&s);
	assert_false(is_there(*state, "state"));
}

static void test_half_a_state_is_none(void **state)
{
	pv_autosaved s = PV_SAVED_INIT;

	assert_int_equal(pv_saved_begin(*state, "state", &s, NULL), 0);
	write_state(&s, STATE_BYTES);
	pv_saved_done(&s);	/* without a commit */
	assert_false(is_there(*state, "state"));
	assert_false(is_there(*state, "state.new"));
}

static void test_nothing_written_is_not_kept(void **state)
{
	pv_autosaved s = PV_SAVED_INIT;

	assert_int_equal(pv_saved_begin(*state, "state", &s, NULL), 0);
	assert_int_equal(pv_saved_commit(&s, "xen=4", 1, NULL), -1);
	assert_false(is_there(*state, "state"));
}

static void test_one_maker_at_a_time(void **state)
{
	pv_autosaved a = PV_SAVED_INIT, b = PV_SAVED_INIT;

	assert_int_equal(pv_saved_begin(*state, "state", &a, NULL), 0);
	assert_int_equal(pv_saved_begin(*state, "state", &b, NULL), 0);
	assert_true(a.fd >= 0);
	assert_int_equal(b.fd, -1);
	pv_saved_done(&b);
	assert_true(is_there(*state, "state.new"));	/* a's, still */
}

static void test_a_foreign_file_is_no_state(void **state)
{
	pv_autofree char *path = pv_path_join(*state, "state"), *data = pv_xcalloc(1, STATE_BYTES);
	pv_autosaved s = PV_SAVED_INIT;
	const char *const heads[] = {
		"", "pvimg.dom0/1\n", "pvimg.dom0/1\n12\n", "pvimg.dom0/1\nx\nhello\n", "pvimg.dom0/2\n12\nhello\n",
	};

	for (size_t i = 0; i < PV_COUNT(heads); i++) {
		memset(data, i % 2 ? 0 : 'x', STATE_BYTES);
		memcpy(data, heads[i], strlen(heads[i]));
		assert_int_equal(pv_write_file(path, data, STATE_BYTES, 0600, NULL), 0);
		pv_saved_open(*state, "state", &s);
		assert_int_equal(s.fd, -1);
		pv_saved_done(&s);
	}
	/* right, and cut short */
	make_state(*state, STATE_BYTES);
	assert_int_equal(truncate(path, 5000), 0);
	pv_saved_open(*state, "state", &s);
	assert_int_equal(s.fd, -1);
}

static void test_a_greeting_must_fit(void **state)
{
	pv_autosaved s = PV_SAVED_INIT;
	char words[5000];

	memset(words, 'a', sizeof(words) - 1);
	words[sizeof(words) - 1] = '\0';
	assert_int_equal(pv_saved_begin(*state, "state", &s, NULL), 0);
	write_state(&s, STATE_BYTES);
	assert_int_equal(pv_saved_commit(&s, words, 1, NULL), -1);
	assert_int_equal(pv_saved_commit(&s, "two\nlines", 1, NULL), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_was_saved_is_found, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_half_a_state_is_none, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_nothing_written_is_not_kept, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_one_maker_at_a_time, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_a_foreign_file_is_no_state, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_a_greeting_must_fit, make_dir, remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
