/* SPDX-License-Identifier: Apache-2.0 */
/* ova.xml: the objects that xapi makes a VM of, as one XML-RPC value. Every field that its data model gives no default
 * must be there ("Field X not present in rpc"). */
#include <inttypes.h>
#include <string.h>

#include "digest.h"
#include "xva.h"

/* Ids of the objects in this file; importers make new ones. */
#define REF_HOST_NONE "OpaqueRef:NULL"
#define REF_VM "Ref:000"
#define REF_NETWORK "Ref:001"
#define REF_VIF "Ref:002"
#define REF_VBD "Ref:003"
#define REF_SR "Ref:004"
#define EPOCH_DATE "19700101T00:00:00Z"
/* An importer takes the network of this name, which every host gives its first card, else the one of this bridge. */
#define NETWORK_NAME "Pool-wide network associated with eth0"
#define NETWORK_BRIDGE "xenbr0"
#define MEMORY_OVERHEAD "11534336"	/* as xapi notes for a small HVM guest; it computes its own */

enum kind { TEXT, BOOL, DATE, LIST, STRUCT };	/* LIST and STRUCT: empty ones */

struct field {
	const char *name;
	enum kind kind;
	const char *value;
};

static void add_escaped(struct pv_str *x, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '&': pv_str_add(x, "&amp;"); break;
		case '<': pv_str_add(x, "&lt;"); break;
		case '>': pv_str_add(x, "&gt;"); break;
		case '"': pv_str_add(x, "&quot;"); break;
		case '\'': pv_str_add(x, "&apos;"); break;
		default:
			/* XML 1.0 has no other control characters */
			pv_str_addc(x, (unsigned char)*text < 0x20 && *text != '\t' && *text != '\n' ? '?' : *text);
		}
	}
}

static void open_member(struct pv_str *x, const char *name)
{
	pv_str_addf(x, "<member><name>%s</name><value>", name);
}

static void close_member(struct pv_str *x)
{
	pv_str_add(x, "</value></member>\n");
}

static void put(struct pv_str *x, const struct field *f)
{
	open_member(x, f->name);
	switch (f->kind) {
	case TEXT: add_escaped(x, f->value); break;
	case BOOL: pv_str_addf(x, "<boolean>%s</boolean>", f->value); break;
	case DATE: pv_str_add(x, "<dateTime.iso8601>" EPOCH_DATE "</dateTime.iso8601>"); break;
	case LIST: pv_str_add(x, "<array><data></data></array>"); break;
	case STRUCT: pv_str_add(x, "<struct></struct>"); break;
	}
	close_member(x);
}

static void put_all(struct pv_str *x, const struct field *fields, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put(x, &fields[i]);
}

static void put_text(struct pv_str *x, const char *name, const char *value)
{
	put(x, &(struct field){ name, TEXT, value });
}

static void put_number(struct pv_str *x, const char *name, uint64_t value)
{
	pv_autofree char *text = pv_fmt("%" PRIu64, value);

	put_text(x, name, text);
}

static void put_refs(struct pv_str *x, const char *name, const char *ref)
{
	open_member(x, name);
	pv_str_addf(x, "<array><data><value>%s</value></data></array>", ref);
	close_member(x);
}

static void put_struct(struct pv_str *x, const char *name, const struct field *fields, size_t n)
{
	open_member(x, name);
	pv_str_add(x, "<struct>");
	put_all(x, fields, n);
	pv_str_add(x, "</struct>");
	close_member(x);
}

static void put_uuid(struct pv_str *x, const char *seed, const char *purpose)
{
	uint8_t raw[16];
	char text[37];

	pv_uuid_derive(seed, purpose, raw);
	pv_uuid_text(raw, text);
	put_text(x, "uuid", text);
}

static void open_object(struct pv_str *x, const char *class, const char *id)
{
	pv_str_addf(x, "<value><struct>\n<member><name>class</name><value>%s</value></member>\n"
		    "<member><name>id</name><value>%s</value></member>\n<member><name>snapshot</name><value><struct>\n",
		    class, id);
}

static void close_object(struct pv_str *x)
{
	pv_str_add(x, "</struct></value></member>\n</struct></value>\n");
}

/* --- objects --- */

static const struct field vm_fields[] = {
	{ "actions_after_crash", TEXT, "restart" },
	{ "actions_after_reboot", TEXT, "restart" },
	{ "actions_after_shutdown", TEXT, "destroy" },
	{ "affinity", TEXT, REF_HOST_NONE },
	{ "allowed_operations", LIST, "" },
	{ "attached_PCIs", LIST, "" },
	{ "blobs", STRUCT, "" },
	{ "blocked_operations", STRUCT, "" },
	{ "children", LIST, "" },
	{ "consoles", LIST, "" },
	{ "crash_dumps", LIST, "" },
	{ "current_operations", STRUCT, "" },
	{ "domain_type", TEXT, "hvm" },
	{ "domarch", TEXT, "" },
	{ "domid", TEXT, "-1" },
	{ "generation_id", TEXT, "" },
	{ "guest_metrics", TEXT, REF_HOST_NONE },
	{ "ha_always_run", BOOL, "0" },
	{ "ha_restart_priority", TEXT, "" },
	{ "hardware_platform_version", TEXT, "0" },
	{ "has_vendor_device", BOOL, "0" },
	{ "HVM_boot_policy", TEXT, "BIOS order" },
	{ "HVM_shadow_multiplier", TEXT, "1" },
	{ "is_a_snapshot", BOOL, "0" },
	{ "is_a_template", BOOL, "0" },
	{ "is_control_domain", BOOL, "0" },
	{ "is_default_template", BOOL, "0" },
	{ "is_snapshot_from_vmpp", BOOL, "0" },
	{ "is_vmss_snapshot", BOOL, "0" },
	{ "last_booted_record", TEXT, "" },
	{ "last_boot_CPU_flags", STRUCT, "" },
	{ "memory_overhead", TEXT, MEMORY_OVERHEAD },
	{ "memory_target", TEXT, "0" },
	{ "metrics", TEXT, REF_HOST_NONE },
	{ "NVRAM", STRUCT, "" },
	{ "order", TEXT, "0" },
	{ "parent", TEXT, REF_HOST_NONE },
	{ "PCI_bus", TEXT, "" },
	{ "power_state", TEXT, "halted" },
	{ "PV_args", TEXT, "" },
	{ "PV_bootloader", TEXT, "" },
	{ "PV_bootloader_args", TEXT, "" },
	{ "PV_kernel", TEXT, "" },
	{ "PV_legacy_args", TEXT, "" },
	{ "PV_ramdisk", TEXT, "" },
	{ "protection_policy", TEXT, REF_HOST_NONE },
	{ "recommendations", TEXT, "" },
	{ "reference_label", TEXT, "other-install-media" },
	{ "requires_reboot", BOOL, "0" },
	{ "resident_on", TEXT, REF_HOST_NONE },
	{ "scheduled_to_be_resident_on", TEXT, REF_HOST_NONE },
	{ "shutdown_delay", TEXT, "0" },
	{ "snapshot_info", STRUCT, "" },
	{ "snapshot_metadata", TEXT, "" },
	{ "snapshot_of", TEXT, REF_HOST_NONE },
	{ "snapshot_schedule", TEXT, REF_HOST_NONE },
	{ "snapshot_time", DATE, "" },
	{ "snapshots", LIST, "" },
	{ "start_delay", TEXT, "0" },
	{ "suspend_SR", TEXT, REF_HOST_NONE },
	{ "suspend_VDI", TEXT, REF_HOST_NONE },
	{ "tags", LIST, "" },
	{ "transportable_snapshot_id", TEXT, "" },
	{ "user_version", TEXT, "1" },
	{ "VCPUs_params", STRUCT, "" },
	{ "version", TEXT, "0" },
	{ "VGPUs", LIST, "" },
	{ "VTPMs", LIST, "" },
	{ "VUSBs", LIST, "" },
	{ "appliance", TEXT, REF_HOST_NONE },
	{ "bios_strings", STRUCT, "" },
	{ "xenstore_data", STRUCT, "" },
};
/* viridian is for Windows; no PV drivers, no PVHVM: the platform device is on by default */
static const struct field platform[] = {
	{ "timeoffset", TEXT, "0" }, { "device-model", TEXT, "qemu-upstream-compat" }, { "secureboot", TEXT, "false" },
	{ "hpet", TEXT, "true" }, { "nx", TEXT, "true" }, { "pae", TEXT, "true" }, { "apic", TEXT, "true" },
	{ "viridian", TEXT, "false" }, { "acpi", TEXT, "1" },
};
static const struct field boot_params[] = { { "firmware", TEXT, "bios" }, { "order", TEXT, "cd" } };

static void put_vm(struct pv_str *x, const struct pv_xva_machine *m)
{
	static const char *const memory[] = { "memory_static_min", "memory_dynamic_min", "memory_dynamic_max",
					      "memory_static_max" };
	uint8_t raw[16];
	char mac_seed[37];

	pv_uuid_derive(m->seed, "xva mac_seed", raw);
	pv_uuid_text(raw, mac_seed);
	const struct field other_config[] = {
		{ "base_template_name", TEXT, "Other install media" }, { "mac_seed", TEXT, mac_seed },
		{ "install-methods", TEXT, "cdrom" },
	};
	open_object(x, "VM", REF_VM);
	put_uuid(x, m->seed, "xva VM");
	put_text(x, "name_label", m->name);
	put_text(x, "name_description", m->description);
	put_all(x, vm_fields, PV_COUNT(vm_fields));
	for (size_t i = 0; i < PV_COUNT(memory); i++)
		put_number(x, memory[i], m->memory);
	put_number(x, "VCPUs_at_startup", m->vcpus);
	put_number(x, "VCPUs_max", m->vcpus);
	put_struct(x, "HVM_boot_params", boot_params, PV_COUNT(boot_params));
	put_struct(x, "platform", platform, PV_COUNT(platform));
	put_struct(x, "other_config", other_config, PV_COUNT(other_config));
	put_refs(x, "VBDs", REF_VBD);
	put_refs(x, "VIFs", REF_VIF);
	close_object(x);
}

static const struct field network_fields[] = {
	{ "name_label", TEXT, NETWORK_NAME },
	{ "name_description", TEXT, "" },
	{ "bridge", TEXT, NETWORK_BRIDGE },
	{ "MTU", TEXT, "1500" },
	{ "allowed_operations", LIST, "" },
	{ "current_operations", STRUCT, "" },
	{ "PIFs", LIST, "" },
	{ "other_config", STRUCT, "" },
	{ "blobs", STRUCT, "" },
	{ "tags", LIST, "" },
	{ "managed", BOOL, "1" },
	{ "default_locking_mode", TEXT, "unlocked" },
	{ "assigned_ips", STRUCT, "" },
	{ "purpose", LIST, "" },
};

static void put_network(struct pv_str *x, const struct pv_xva_machine *m)
{
	open_object(x, "network", REF_NETWORK);
	put_uuid(x, m->seed, "xva network");
	put_all(x, network_fields, PV_COUNT(network_fields));
	put_refs(x, "VIFs", REF_VIF);
	close_object(x);
}

/* What VBD and VIF have alike. */
static const struct field device_fields[] = {
	{ "VM", TEXT, REF_VM },
	{ "allowed_operations", LIST, "" },
	{ "current_operations", STRUCT, "" },
	{ "currently_attached", BOOL, "0" },
	{ "reserved", BOOL, "0" },
	{ "other_config", STRUCT, "" },
	{ "status_code", TEXT, "0" },
	{ "status_detail", TEXT, "" },
	{ "runtime_properties", STRUCT, "" },
	{ "qos_algorithm_type", TEXT, "" },
	{ "qos_algorithm_params", STRUCT, "" },
	{ "qos_supported_algorithms", LIST, "" },
	{ "metrics", TEXT, REF_HOST_NONE },
};
/* The importer makes an address of mac_seed: MAC is empty. */
static const struct field vif_fields[] = {
	{ "device", TEXT, "0" },
	{ "network", TEXT, REF_NETWORK },
	{ "MAC", TEXT, "" },
	{ "MAC_autogenerated", BOOL, "1" },
	{ "MTU", TEXT, "1500" },
	{ "locking_mode", TEXT, "network_default" },
	{ "ipv4_allowed", LIST, "" },
	{ "ipv6_allowed", LIST, "" },
	{ "ipv4_configuration_mode", TEXT, "None" },
	{ "ipv4_addresses", LIST, "" },
	{ "ipv4_gateway", TEXT, "" },
	{ "ipv6_configuration_mode", TEXT, "None" },
	{ "ipv6_addresses", LIST, "" },
	{ "ipv6_gateway", TEXT, "" },
};
/* userdevice decides: 0 is xvda. */
static const struct field vbd_fields[] = {
	{ "VDI", TEXT, PV_XVA_VDI }, { "device", TEXT, "xvda" }, { "userdevice", TEXT, "0" }, { "bootable", BOOL, "1" },
	{ "mode", TEXT, "RW" }, { "type", TEXT, "Disk" }, { "unpluggable", BOOL, "0" }, { "storage_lock", BOOL, "0" },
	{ "empty", BOOL, "0" },
};

static void put_device(struct pv_str *x, const struct pv_xva_machine *m, const char *class, const char *id,
		       const struct field *own, size_t n)
{
	pv_autofree char *purpose = pv_fmt("xva %s", class);

	open_object(x, class, id);
	put_uuid(x, m->seed, purpose);
	put_all(x, device_fields, PV_COUNT(device_fields));
	put_all(x, own, n);
	close_object(x);
}

static const struct field sr_fields[] = {
	{ "name_label", TEXT, "pvimg" }, { "name_description", TEXT, "" }, { "allowed_operations", LIST, "" },
	{ "current_operations", STRUCT, "" }, { "PBDs", LIST, "" }, { "virtual_allocation", TEXT, "0" },
	{ "physical_utilisation", TEXT, "0" }, { "physical_size", TEXT, "0" }, { "type", TEXT, "ext" },
	{ "content_type", TEXT, "user" }, { "shared", BOOL, "0" }, { "other_config", STRUCT, "" }, { "tags", LIST, "" },
	{ "default_vdi_visibility", BOOL, "1" }, { "sm_config", STRUCT, "" }, { "blobs", STRUCT, "" },
	{ "local_cache_enabled", BOOL, "0" }, { "introduced_by", TEXT, REF_HOST_NONE }, { "clustered", BOOL, "0" },
	{ "is_tools_sr", BOOL, "0" },
};

static void put_sr(struct pv_str *x, const struct pv_xva_machine *m)
{
	open_object(x, "SR", REF_SR);
	put_uuid(x, m->seed, "xva SR");
	put_all(x, sr_fields, PV_COUNT(sr_fields));
	put_refs(x, "VDIs", PV_XVA_VDI);
	close_object(x);
}

static const struct field vdi_fields[] = {
	{ "name_description", TEXT, "" },
	{ "SR", TEXT, REF_SR },
	{ "type", TEXT, "user" },
	{ "sharable", BOOL, "0" },
	{ "read_only", BOOL, "0" },
	{ "managed", BOOL, "1" },
	{ "missing", BOOL, "0" },
	{ "storage_lock", BOOL, "0" },
	{ "on_boot", TEXT, "persist" },
	{ "allow_caching", BOOL, "0" },
	{ "cbt_enabled", BOOL, "0" },
	{ "is_a_snapshot", BOOL, "0" },
	{ "snapshot_of", TEXT, REF_HOST_NONE },
	{ "snapshots", LIST, "" },
	{ "snapshot_time", DATE, "" },
	{ "parent", TEXT, REF_HOST_NONE },
	{ "metrics", TEXT, REF_HOST_NONE },
	{ "metadata_of_pool", TEXT, REF_HOST_NONE },
	{ "metadata_latest", BOOL, "0" },
	{ "is_tools_iso", BOOL, "0" },
	{ "location", TEXT, "" },
	{ "crash_dumps", LIST, "" },
	{ "other_config", STRUCT, "" },
	{ "xenstore_data", STRUCT, "" },
	{ "sm_config", STRUCT, "" },
	{ "tags", LIST, "" },
	{ "allowed_operations", LIST, "" },
	{ "current_operations", STRUCT, "" },
};

static void put_vdi(struct pv_str *x, const struct pv_xva_machine *m)
{
	open_object(x, "VDI", PV_XVA_VDI);
	put_uuid(x, m->seed, "xva VDI");
	put_text(x, "name_label", m->name);
	put_number(x, "virtual_size", m->disk_size);
	put_number(x, "physical_utilisation", m->disk_size);
	put_all(x, vdi_fields, PV_COUNT(vdi_fields));
	put_refs(x, "VBDs", REF_VBD);
	close_object(x);
}

/* A host refuses what is newer than itself (IMPORT_INCOMPATIBLE_VERSION): 1.20 is of 2018. */
static const struct field version_fields[] = {
	{ "hostname", TEXT, "pvimg" },
	{ "date", TEXT, "1970-01-01" },
	{ "product_version", TEXT, "8.2.1" },
	{ "product_brand", TEXT, "XCP-ng" },
	{ "build_number", TEXT, "release/yangtze/master/58" },
	{ "xapi_major", TEXT, "1" },
	{ "xapi_minor", TEXT, "20" },
	{ "export_vsn", TEXT, "2" },
};

char *pv_xva_ova(const struct pv_xva_machine *m)
{
	pv_autostr x = PV_STR_INIT;

	pv_str_add(&x, "<value><struct>\n");
	put_struct(&x, "version", version_fields, PV_COUNT(version_fields));
	pv_str_add(&x, "<member><name>objects</name><value><array><data>\n");
	put_sr(&x, m);
	put_vdi(&x, m);
	put_vm(&x, m);
	put_network(&x, m);
	put_device(&x, m, "VBD", REF_VBD, vbd_fields, PV_COUNT(vbd_fields));
	put_device(&x, m, "VIF", REF_VIF, vif_fields, PV_COUNT(vif_fields));
	pv_str_add(&x, "</data></array></value></member>\n</struct></value>\n");
	return pv_str_steal(&x);
}
