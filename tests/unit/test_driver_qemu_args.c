/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU's arguments: nothing of an image is guessed or named, and a saved state's name holds all that it depends on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "driver_qemu_args.h"

#define GIB ((uint64_t)1 << 30)

static const struct pv_qemu_machine machine = { .cpus = 2, .memory_mib = 2048, .dom0_mib = 512 };

static char *args_of(const struct pv_qemu_machine *m, const struct pv_qemu_files *f)
{
	pv_autostrv argv = PV_STRV_INIT;

	pv_qemu_args(m, f, &argv);
	return pv_strv_join(&argv, "\n");
}

static struct pv_qemu_files all_files(enum pv_disk_format format)
{
	return (struct pv_qemu_files){
		.image = 10, .overlay = 11, .format = format, .seed = 12, .job = 13, .extra = 14, .log = 15, .wire = 16,
		.qmp = 17, .incoming = 18,
	};
}

static void test_formats_are_said(void **state)
{
	struct pv_qemu_files f = all_files(PV_FORMAT_RAW);
	pv_autofree char *raw = args_of(&machine, &f);

	(void)state;
	f.format = PV_FORMAT_QCOW2;
	pv_autofree char *qcow2 = args_of(&machine, &f);
	assert_non_null(strstr(raw, "driver=raw,node-name=image,file=image-file,read-only=on"));
	assert_null(strstr(raw, "\"qcow2\""));
	assert_non_null(strstr(qcow2, "\"driver\":\"qcow2\",\"node-name\":\"image\""));
	assert_non_null(strstr(qcow2, "\"backing\":null"));
	assert_null(strstr(qcow2, "driver=raw,node-name=image,"));
	/* the overlay lies over that very node */
	assert_non_null(strstr(qcow2, "node-name=vda,file=overlay-file,backing=image"));
	assert_null(strstr(raw, "-drive"));
}

static void test_the_image_is_read_only(void **state)
{
	struct pv_qemu_files f = all_files(PV_FORMAT_RAW);
	pv_autofree char *text = args_of(&machine, &f);

	(void)state;
	assert_non_null(strstr(text, "driver=file,node-name=image-file,filename=/dev/fdset/1,read-only=on"));
	f.image_is_device = true;
	pv_autofree char *device = args_of(&machine, &f);
	assert_non_null(strstr(device, "driver=host_device,node-name=image-file,filename=/dev/fdset/1,read-only=on"));
}

static void test_files_come_as_descriptors(void **state)
{
	struct pv_qemu_files f = all_files(PV_FORMAT_RAW);
	pv_autofree char *text = args_of(&machine, &f);
	const char *const wanted[] = {
		"fd=10,set=1\n", "fd=11,set=2\n", "fd=12,set=3\n", "fd=13,set=4\n", "fd=14,set=5\n", "fd=15,set=6\n",
		"socket,id=wire,fd=16\n", "socket,id=qmp,fd=17\n", "-incoming\nfd:18",
	};

	(void)state;
	for (size_t i = 0; i < PV_COUNT(wanted); i++)
		assert_non_null(strstr(text, wanted[i]));
}

static void test_a_missing_disk_is_blank(void **state)
{
	struct pv_qemu_files f = PV_QEMU_FILES_INIT;
	pv_autofree char *text = NULL;

	(void)state;
	f.log = 5;
	f.wire = 6;
	text = args_of(&machine, &f);
	assert_non_null(strstr(text, "driver=null-co,node-name=vda"));
	assert_non_null(strstr(text, "driver=null-co,node-name=vdd"));
	assert_non_null(strstr(text, "virtio-blk-pci,addr=0x7,drive=vdd"));
	assert_null(strstr(text, "fd=-1"));
	assert_null(strstr(text, "-incoming"));
	assert_null(strstr(text, "id=qmp"));
}

static void test_qemu_is_locked_in(void **state)
{
	struct pv_qemu_files f = all_files(PV_FORMAT_RAW);
	pv_autofree char *text = args_of(&machine, &f);

	(void)state;
	assert_non_null(strstr(text, "-sandbox\non,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"));
	assert_non_null(strstr(text, "-nodefaults"));
	assert_non_null(strstr(text, "-net\nnone"));
	assert_non_null(strstr(text, "-accel\ntcg,thread=multi"));
	assert_null(strstr(text, "kvm"));
}

static void test_kvm(void **state)
{
	const struct pv_qemu_machine kvm = { .kvm = true, .cpus = 2, .memory_mib = 2048, .dom0_mib = 512 };
	struct pv_qemu_files f = all_files(PV_FORMAT_RAW);
	pv_autofree char *text = args_of(&kvm, &f);

	(void)state;
	assert_non_null(strstr(text, "-accel\nkvm\n-cpu\nhost"));
	assert_null(strstr(text, "tcg"));
}

static void test_machine_follows_guest_and_host(void **state)
{
	struct pv_qemu_machine a, b;

	(void)state;
	pv_qemu_machine_for(1 * GIB, 1, 16 * GIB, 8, &a);
	pv_qemu_machine_for(4 * GIB, 1, 16 * GIB, 8, &b);
	assert_int_equal(a.memory_mib, b.memory_mib);	/* one saved dom0 for both */
	assert_true(b.memory_mib > 4096 + b.dom0_mib);
	assert_int_equal(a.cpus, 2);
	pv_qemu_machine_for(8 * GIB, 4, 16 * GIB, 8, &b);
	assert_true(b.memory_mib > 8192 + b.dom0_mib);
	assert_int_equal(b.cpus, 5);
	/* not more than a small host has */
	pv_qemu_machine_for(1 * GIB, 8, 3 * GIB, 2, &a);
	assert_true(a.memory_mib < 2048);
	assert_true(a.memory_mib > 1024 + a.dom0_mib);
	assert_int_equal(a.cpus, 2);
	pv_qemu_machine_for(1 * GIB, 1, 3 * GIB, 1, &a);
	assert_int_equal(a.cpus, 2);
	pv_qemu_machine_for(1 * GIB, 200, 3 * GIB, 256, &a);
	assert_int_equal(a.cpus, 8);
}

static void test_a_state_fits_one_machine(void **state)
{
	struct pv_qemu_machine other = machine;
	char a[PV_SHA256_HEX], b[PV_SHA256_HEX];

	(void)state;
	pv_qemu_machine_hash(&machine, "7.2.22", "key", a);
	pv_qemu_machine_hash(&machine, "7.2.22", "key", b);
	assert_string_equal(a, b);
	pv_qemu_machine_hash(&machine, "7.2.23", "key", b);
	assert_string_not_equal(a, b);
	pv_qemu_machine_hash(&machine, "7.2.22", "other", b);
	assert_string_not_equal(a, b);
	other.memory_mib++;
	pv_qemu_machine_hash(&other, "7.2.22", "key", b);
	assert_string_not_equal(a, b);
	other = machine;
	other.cpus++;
	pv_qemu_machine_hash(&other, "7.2.22", "key", b);
	assert_string_not_equal(a, b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_formats_are_said),
		cmocka_unit_test(test_the_image_is_read_only),
		cmocka_unit_test(test_files_come_as_descriptors),
		cmocka_unit_test(test_a_missing_disk_is_blank),
		cmocka_unit_test(test_qemu_is_locked_in),
		cmocka_unit_test(test_kvm),
		cmocka_unit_test(test_machine_follows_guest_and_host),
		cmocka_unit_test(test_a_state_fits_one_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
