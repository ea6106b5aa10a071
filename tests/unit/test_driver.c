/* SPDX-License-Identifier: Apache-2.0 */
/* The choice of a driver, and what a driver says of a host that cannot do it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "driver.h"
#include "host.h"
#include "proc.h"
#include "text.h"

static const struct pv_guest small = { .memory = (uint64_t)256 << 20, .vcpus = 1 };

/* Nothing to choose where QEMU is not there; in a dom0 the others say something else. */
static void need_plain_host(void)
{
	pv_autofree char *qemu = pv_proc_which("qemu-system-x86_64"), *img = pv_proc_which("qemu-img");

	if (!qemu || !img || pv_host_xen() == PV_XEN_DOM0)
		skip();
}

static void expect_error(const char *name, const struct pv_guest *guest, enum pv_error_kind kind, const char *words)
{
	const struct pv_driver *driver = NULL;
	pv_autoerror err = PV_ERROR_INIT;
	char *why = NULL;

	assert_int_equal(pv_driver_choose(name, guest, &driver, &why, &err), -1);
	assert_int_equal(err.kind, kind);
	assert_non_null(strstr(err.text, words));
	assert_null(driver);
	assert_null(why);
}

static void test_auto_without_xen_is_xen_in_qemu(void **state)
{
	const char *const names[] = { NULL, "auto" };

	(void)state;
	need_plain_host();
	for (size_t i = 0; i < PV_COUNT(names); i++) {
		const struct pv_driver *driver = NULL;
		pv_autofree char *why = NULL;
		assert_int_equal(pv_driver_choose(names[i], &small, &driver, &why, NULL), 0);
		assert_string_equal(driver->name, "xen-in-qemu");
		assert_non_null(strstr(why, "QEMU"));
	}
}

static void test_by_name(void **state)
{
	const struct pv_driver *driver = NULL;
	pv_autofree char *why = NULL;

	(void)state;
	need_plain_host();
	assert_int_equal(pv_driver_choose("xen-in-qemu", &small, &driver, &why, NULL), 0);
	assert_ptr_equal(driver, &pv_driver_xen_in_qemu);
	assert_non_null(strstr(why, "--driver"));
}

static void test_unknown_name(void **state)
{
	(void)state;
	expect_error("xen-in-qmeu", &small, PV_ERR_USAGE, "did you mean 'xen-in-qemu'?");
	expect_error("", &small, PV_ERR_USAGE, "unknown");
}

static void test_xl_wants_a_dom0(void **state)
{
	(void)state;
	need_plain_host();
	expect_error("xl", &small, PV_ERR_HOST, "no Xen dom0");
}

static void test_a_guest_larger_than_the_host(void **state)
{
	const struct pv_guest huge = { .memory = (uint64_t)1 << 50, .vcpus = 1 };

	(void)state;
	need_plain_host();
	expect_error("xen-in-qemu", &huge, PV_ERR_HOST, "--memory");
}

static void test_uefi_wants_a_firmware(void **state)
{
	struct pv_guest uefi = small;

	(void)state;
	need_plain_host();
	uefi.uefi = true;
	uefi.firmware = "/nonexistent/OVMF.fd";
	expect_error("xen-in-qemu", &uefi, PV_ERR_HOST, "/nonexistent/OVMF.fd");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_auto_without_xen_is_xen_in_qemu),
		cmocka_unit_test(test_by_name),
		cmocka_unit_test(test_unknown_name),
		cmocka_unit_test(test_xl_wants_a_dom0),
		cmocka_unit_test(test_a_guest_larger_than_the_host),
		cmocka_unit_test(test_uefi_wants_a_firmware),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
