/* SPDX-License-Identifier: Apache-2.0 */
/* The driver kvm-xen: its arguments, and what it refuses. No machine of ours can run it. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "driver_kvm_xen.h"

static const struct pv_diskfile disk = { .fd = 9, .format = PV_FORMAT_RAW };

static char *args(const struct pv_guest *guest, int seed, enum pv_disk_format format)
{
	const struct pv_kvm_xen_files files = { .overlay = 7, .image = 9, .seed = seed, .console = 8, .format = format };
	pv_autostrv list = PV_STRV_INIT;

	pv_kvm_xen_args(guest, &files, &list);
	return pv_strv_join(&list, " ");
}

static void test_args(void **state)
{
	const struct pv_guest guest = { .memory = (uint64_t)1 << 30, .vcpus = 2, .disk = &disk };
	pv_autofree char *line = args(&guest, 10, PV_FORMAT_RAW);
	static const char *const wanted[] = {
		"-accel kvm,xen-version=0x40011,kernel-irqchip=split", "-cpu host,+xen-vapic", "-M pc ", "-m 1024M", "-smp 2",
		"restrict=on", "xen-disk,drive=disk,vdev=xvda", "ide-hd,drive=disk", "-sandbox on,", "spawn=deny",
		"driver=raw,node-name=base,read-only=on,", "fd=9,set=1", "fd=7,set=2", "fd=10,set=3",
		"socket,id=console,fd=8", "xen-console,chardev=console", "-no-reboot",
	};

	(void)state;
	for (size_t i = 0; i < PV_COUNT(wanted); i++)
		if (!strstr(line, wanted[i]))
			fail_msg("no '%s' in: %s", wanted[i], line);
}

static void test_formats(void **state)
{
	const struct pv_guest guest = { .memory = (uint64_t)1 << 30, .vcpus = 1, .disk = &disk };
	pv_autofree char *raw = args(&guest, -1, PV_FORMAT_RAW), *qcow2 = args(&guest, -1, PV_FORMAT_QCOW2);

	(void)state;
	/* the format is said, and a qcow2 file's own word for what is below it is not asked */
	assert_non_null(strstr(qcow2, "driver=qcow2,node-name=base,read-only=on,backing=,"));
	assert_null(strstr(raw, "backing=,"));
	assert_null(strstr(raw, "seed"));
}

static void test_refuses(void **state)
{
	const struct pv_guest uefi = { .uefi = true, .memory = 1 << 30, .vcpus = 1, .disk = &disk };
	const struct pv_guest pv = { .as = PV_AS_PV, .memory = 1 << 30, .vcpus = 1, .disk = &disk };
	const struct pv_guest *const bad[] = { &uefi, &pv };

	(void)state;
	for (size_t i = 0; i < PV_COUNT(bad); i++) {
		pv_autoerror err = PV_ERROR_INIT;
		assert_int_equal(pv_driver_kvm_xen.probe(bad[i], &err), -1);
		assert_int_equal(err.kind, PV_ERR_HOST);
		assert_non_null(strstr(err.text, "--driver xen-in-qemu"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_args), cmocka_unit_test(test_formats), cmocka_unit_test(test_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
