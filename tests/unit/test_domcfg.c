/* SPDX-License-Identifier: Apache-2.0 */
/* The domain's configuration: what kind of domain, which disks are emulated, and that no string gets out of its quotes. */
#include <stdlib.h>
#include <string.h>

#include "check.h"

#include "domcfg.h"
#include "text.h"

static const struct pv_guest pvhvm = { .as = PV_AS_PVHVM, .memory = (uint64_t)2048 << 20, .vcpus = 2 };
static const struct pv_domcfg nested = {
	.name = "guest", .root_target = "/dev/vda", .format = "raw", .seed_target = "/dev/vdb",
	.bridge = "xenbr0", .mac = "00:16:3e:77:00:02",
};

static void has(const char *text, const char *line)
{
	pv_autofree char *all = pv_fmt("\n%s", text), *want = pv_fmt("\n%s\n", line);

	if (!strstr(all, want))
		fail_msg("no line %s in:\n%s", line, text);
}

static void has_not(const char *text, const char *word)
{
	if (strstr(text, word))
		fail_msg("%s in:\n%s", word, text);
}

static void test_pvhvm(void **state)
{
	(void)state;
	pv_autofree char *text = pv_domcfg_text(&pvhvm, &nested);

	assert_true(pv_starts(text, "name=\"guest\"\n"));	/* the agent reads it */
	has(text, "type=\"hvm\"");
	has(text, "xen_platform_pci=1");
	has(text, "memory=2048");
	has(text, "vcpus=2");
	has(text, "tsc_mode=\"native\"");
	has(text, "disk=[\"format=raw,vdev=sda,access=rw,backendtype=phy,target=/dev/vda\","
		  "\"format=raw,vdev=xvde,access=ro,backendtype=phy,target=/dev/vdb\",]");
	has(text, "vif=[\"mac=00:16:3e:77:00:02,bridge=xenbr0\"]");
	has(text, "on_poweroff=\"preserve\"");
	has(text, "on_reboot=\"preserve\"");
	has(text, "on_crash=\"preserve\"");
	has_not(text, "bios");
	has_not(text, "serial");	/* each byte of it is an exit */
	has_not(text, "kernel");
}

static void test_hvm_sees_its_disks(void **state)
{
	(void)state;
	struct pv_guest guest = pvhvm;
	struct pv_domcfg cfg = nested;

	guest.as = PV_AS_HVM;
	cfg.extra_target = "/dev/vdd";
	pv_autofree char *text = pv_domcfg_text(&guest, &cfg);
	has(text, "xen_platform_pci=0");
	has(text, "device_model_args_hvm=["
		  "\"-drive\",\"if=none,id=nvme0-hd0,format=raw,readonly=off,file=/dev/vda\","
		  "\"-device\",\"nvme,drive=nvme0-hd0,serial=pvimg0\","
		  "\"-drive\",\"if=none,id=nvme1-hd0,format=raw,readonly=on,file=/dev/vdb\","
		  "\"-device\",\"nvme,drive=nvme1-hd0,serial=pvimg1\","
		  "\"-drive\",\"if=none,id=nvme2-hd0,format=raw,readonly=on,file=/dev/vdd\","
		  "\"-device\",\"nvme,drive=nvme2-hd0,serial=pvimg2\",]");
	has(text, "vif=[\"mac=00:16:3e:77:00:02,bridge=xenbr0,model=vmxnet3\"]");
}

static void test_uefi(void **state)
{
	(void)state;
	struct pv_guest guest = pvhvm;
	struct pv_domcfg cfg = nested;

	guest.uefi = true;
	cfg.firmware = "/job/firmware";
	pv_autofree char *text = pv_domcfg_text(&guest, &cfg);
	has(text, "bios=\"ovmf\"");
	has(text, "bios_path_override=\"/job/firmware\"");
}

static void test_own_kernel(void **state)
{
	(void)state;
	static const struct { enum pv_boot_as as; const char *type; } rows[] = { { PV_AS_PVH, "pvh" }, { PV_AS_PV, "pv" } };

	for (size_t i = 0; i < PV_COUNT(rows); i++) {
		struct pv_guest guest = pvhvm;
		struct pv_domcfg cfg = nested;
		guest.as = rows[i].as;
		guest.cmdline = "root=LABEL=\"x\" console=hvc0";
		cfg.kernel = "/job/kernel";
		cfg.initrd = "/job/initrd";
		pv_autofree char *text = pv_domcfg_text(&guest, &cfg);
		pv_autofree char *type = pv_fmt("type=\"%s\"", rows[i].type);
		has(text, type);
		has(text, "kernel=\"/job/kernel\"");
		has(text, "ramdisk=\"/job/initrd\"");
		has(text, "cmdline=\"root=LABEL=\\\"x\\\" console=hvc0\"");
		has(text, "disk=[\"format=raw,vdev=xvda,access=rw,backendtype=phy,target=/dev/vda\","
			  "\"format=raw,vdev=xvde,access=ro,backendtype=phy,target=/dev/vdb\",]");
		has_not(text, "xen_platform_pci");
		has_not(text, "vga");
	}
}

/* As on a host that is a dom0: files, and paths that an unkind user chose. */
static void test_files_and_quotes(void **state)
{
	(void)state;
	struct pv_domcfg cfg = nested;

	cfg.root_target = "/tmp/a\"]\nkernel=\"/x,y' \\ \303\244.qcow2";
	cfg.format = "qcow2";
	cfg.seed_target = "/tmp/seed.qcow2";
	cfg.bridge = NULL;
	pv_autofree char *text = pv_domcfg_text(&pvhvm, &cfg);
	has(text, "disk=[\"format=qcow2,vdev=sda,access=rw,backendtype=qdisk,"
		  "target=/tmp/a\\\"]\\nkernel=\\\"/x,y' \\\\ \303\244.qcow2\","
		  "\"format=qcow2,vdev=xvde,access=rw,backendtype=qdisk,target=/tmp/seed.qcow2\",]");
	has_not(text, "vif");
	has_not(text, "\nkernel");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pvhvm),
		cmocka_unit_test(test_hvm_sees_its_disks),
		cmocka_unit_test(test_uefi),
		cmocka_unit_test(test_own_kernel),
		cmocka_unit_test(test_files_and_quotes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
