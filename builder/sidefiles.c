/* SPDX-License-Identifier: Apache-2.0 */
/* Domain configuration, template settings, image properties and cloud-init's example. */
#include "sidefiles.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "fsutil.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define IMAGE_DIR "/var/lib/xen/images"		/* where Xen's own examples and SUSE keep them */
/* Elastic Block Store's kind of disk; ENA is not needed by the Xen types (t2, m4, c4, r4, ..) and present in our
 * kernels. */
#define EC2_VOLUME_TYPE "gp3"

/* A name has letters, digits, ".", "-" and "_" only (machine.c): it needs no quoting anywhere here. */
char *pv_sidefiles_xl(const struct pv_machine *m, const char *disk, const char *bridge)
{
	pv_autofree char *usual = pv_fmt(IMAGE_DIR "/%s.raw", m->name);

	return pv_fmt("# PVHVM guest for xl create%s\n"
		      "name = \"%s\"\n"
		      "type = \"hvm\"\n"
		      "bios = \"seabios\"\n"
		      "memory = %llu\n"
		      "maxmem = %llu\n"
		      "vcpus = %u\n"
		      "# unplugs the emulated disk and network card: without it the guest is no PVHVM\n"
		      "xen_platform_pci = 1\n"
		      "disk = [ \"format=raw,vdev=xvda,access=rw,target=%s\" ]\n"
		      "vif = [ \"bridge=%s\" ]\n"
		      "serial = \"pty\"\n"
		      "vnc = 0\n"
		      "usb = 0\n"
		      "on_poweroff = \"destroy\"\n"
		      "on_reboot = \"restart\"\n"
		      "on_crash = \"restart\"\n",
		      disk ? "" : "; put the disk where target= says, or say where it is", m->name,
		      (unsigned long long)(m->memory / MIB), (unsigned long long)(m->memory / MIB), m->vcpus,
		      disk ? disk : usual, bridge ? bridge : "xenbr0");
}

/* Takes the object. */
static char *text_of(json_t *root)
{
	pv_autofree char *text = json_dumps(root, JSON_INDENT(2) | JSON_SORT_KEYS);

	json_decref(root);
	return pv_fmt("%s\n", text ? text : "{}");
}

/* Numbers are strings there, as in XML-RPC. */
char *pv_sidefiles_xapi(const struct pv_machine *m, uint64_t disk_size)
{
	pv_autofree char *memory = pv_fmt("%llu", (unsigned long long)m->memory), *vcpus = pv_fmt("%u", m->vcpus);
	pv_autofree char *size = pv_fmt("%llu", (unsigned long long)disk_size), *words = pv_machine_description(m);
	json_t *vm =
		json_pack("{s:s, s:s, s:s, s:{s:s, s:s}, s:s, s:{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}}",
			  "name_label", m->name, "name_description", words, "HVM_boot_policy", "BIOS order",
			  "HVM_boot_params", "firmware", "bios", "order", "cd", "domain_type", "hvm", "platform",
			  "acpi", "1", "apic", "true", "device-model", "qemu-upstream-compat", "hpet", "true", "nx",
			  "true", "pae", "true", "secureboot", "false", "timeoffset", "0", "viridian", "false");
	static const char *const memories[] = { "memory_static_min", "memory_dynamic_min", "memory_dynamic_max",
						"memory_static_max" };

	for (size_t i = 0; i < PV_COUNT(memories); i++)
		json_object_set_new(vm, memories[i], json_string(memory));
	json_object_set_new(vm, "VCPUs_max", json_string(vcpus));
	json_object_set_new(vm, "VCPUs_at_startup", json_string(vcpus));
	return text_of(json_pack("{s:s, s:o, s:{s:s, s:s, s:b, s:s}, s:{s:s, s:s, s:s}}", "schema", "pvimg.xapi/1",
				 "VM", vm, "VBD", "userdevice", "0", "type", "Disk", "bootable", 1, "mode", "RW", "VDI",
				 "name_label", m->name, "virtual_size", size, "type", "user"));
}

char *pv_sidefiles_glance(const struct pv_machine *m, uint64_t disk_size)
{
	json_t *root = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:s, s:s, s:s, s:s}", "name", m->name,
				 "disk_format", "vhd", "container_format", "ovf", "visibility", "private", "min_disk",
				 (json_int_t)((disk_size + GIB - 1) / GIB), "min_ram", (json_int_t)(m->memory / MIB),
				 "architecture", "x86_64", "os_type", "linux",
				 /* without it nova takes linux for PV */
				 "vm_mode", "hvm", "hypervisor_type", "xen", "auto_disk_config", "false");

	if (m->distribution) {
		json_object_set_new(root, "os_distro", json_string(m->distribution));
		json_object_set_new(root, "os_version", json_string(m->version));
	}
	return text_of(root);
}

static char *ec2(const struct pv_machine *m, uint64_t disk_size)
{
	pv_autofree char *words = pv_machine_description(m);
	json_t *mapping =
		json_pack("{s:s, s:{s:s, s:I, s:s, s:b}}", "DeviceName", "/dev/xvda", "Ebs", "SnapshotId",
			  "snap-PUT-THE-IMPORTED-ONE-HERE", "VolumeSize", (json_int_t)((disk_size + GIB - 1) / GIB),
			  "VolumeType", EC2_VOLUME_TYPE, "DeleteOnTermination", 1);

	return text_of(json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:[o]}", "Name", m->name, "Description", words,
				 "Architecture", "x86_64", "VirtualizationType", "hvm", "RootDeviceName", "/dev/xvda",
				 "BootMode", "legacy-bios", "EnaSupport", 1, "BlockDeviceMappings", mapping));
}

static char *user_data(const struct pv_machine *m)
{
	return pv_fmt(
		"#cloud-config\n"
		"# An example for cloud-init's NoCloud data source. With a key of yours in it:\n"
		"#   cp %s.user-data user-data; cp %s.meta-data meta-data\n"
		"#   truncate -s 2M seed.img; mkfs.vfat -n CIDATA seed.img; mcopy -i seed.img user-data meta-data ::\n"
		"# and one more disk: 'format=raw,vdev=xvdb,access=ro,target=/path/seed.img'\n"
		"ssh_authorized_keys:\n"
		"  - ssh-ed25519 PUT-YOUR-KEY-HERE\n",
		m->name, m->name);
}

static char *meta_data(const struct pv_machine *m)
{
	return pv_fmt("# another instance-id makes cloud-init run as on a first boot\n"
		      "instance-id: %s-1\n", m->name);
}

int pv_sidefiles_write(const struct pv_machine *m, uint64_t disk_size, const char *dir, struct pv_strv *ret_files,
		       struct pv_error *err)
{
	char *texts[] = { pv_sidefiles_xl(m, NULL, NULL), pv_sidefiles_xapi(m, disk_size), pv_sidefiles_glance(m, disk_size),
			  ec2(m, disk_size), user_data(m),       meta_data(m) };
	static const char *const suffixes[PV_COUNT(texts)] = { "xl.cfg",   "xapi.json", "glance.json",
							       "ec2.json", "user-data", "meta-data" };
	int rc = 0;

	for (size_t i = 0; i < PV_COUNT(texts); i++) {
		pv_autofree char *path = pv_fmt("%s/%s.%s", dir, m->name, suffixes[i]);

		if (rc == 0)
			rc = pv_write_file(path, texts[i], strlen(texts[i]), 0644, err);
		if (rc == 0)
			pv_strv_add(ret_files, path);
		free(texts[i]);
	}
	return rc;
}
