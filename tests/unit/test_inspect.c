/* SPDX-License-Identifier: Apache-2.0 */
/* What inspect says where something else than the file is at fault: an interrupt, a name that is no UTF-8. */
#include "check.h"

#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "export.h"
#include "fsutil.h"
#include "inspect.h"
#include "proc.h"
#include "scratch.h"

static void make_qcow2(void)
{
	static const char *const formats[] = { "qcow2" };
	pv_automachine machine = { .name = NULL };
	pv_autostrv files = PV_STRV_INIT;
	const struct pv_export_request req = { .image = "a.raw", .machine = &machine, .formats = formats, .nformats = 1,
					       .dir = ".", .stream_fd = -1, .threads = 1 };
	pv_autoclose int fd = open("a.raw", O_RDWR | O_CREAT, 0644);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)1 << 20), 0);
	assert_int_equal(pv_pwrite_all(fd, "data", 4, 70000), 0);
	assert_int_equal(pv_machine_of_image("a.raw", 0, 0, &machine, NULL), 0);
	assert_int_equal(pv_export(&req, &files, NULL), 0);
}

static void test_json_of_any_name(void **state)
{
	pv_autoinspect in = { .kind = PV_CONTAINER_RAW };

	(void)state;
	make_qcow2();
	assert_int_equal(rename("a.qcow2", "\xff"), 0);
	pv_autoclose int fd = open("\xff", O_RDWR);
	/* the first table's only entry leads beyond the end */
	assert_int_equal(pv_pwrite_all(fd, "\x80\0\0\xff\0\0\0", 8, 65536), 0);
	assert_int_equal(pv_inspect("\xff", NULL, &in, NULL), 0);
	pv_autofree char *text = pv_inspect_json(&in, "\xff");
	json_t *root = json_loads(text, 0, NULL);
	const char *fault = json_string_value(json_array_get(json_object_get(root, "faults"), 0));
	assert_non_null(fault);
	assert_string_equal(fault, "?: the qcow2 image is cut off; copy or download it again");
	json_decref(root);
}

/* Last: the signal stays noted. */
static void test_interrupt(void **state)
{
	pv_autoinspect in = { .kind = PV_CONTAINER_RAW };
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	make_qcow2();
	pv_proc_catch_signals();
	raise(SIGTERM);
	assert_int_equal(pv_inspect("a.qcow2", NULL, &in, &err), -1);
	assert_int_equal(err.kind, PV_ERR_SIGTERM);
}

#define T(f) cmocka_unit_test_setup_teardown(f, scratch_enter, scratch_leave)

int main(void)
{
	const struct CMUnitTest tests[] = { T(test_json_of_any_name), T(test_interrupt) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
