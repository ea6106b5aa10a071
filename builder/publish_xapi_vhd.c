/* SPDX-License-Identifier: Apache-2.0 */
/* VDI.create, import_raw_vdi, VM.create, VBD.create, VIF.create: what an XVA says at once. */
#include "publish_xapi_vhd.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sidefiles.h"

/* The network that every host gives its first card. */
#define NETWORK_NAME "Pool-wide network associated with eth0"

/* --- the objects --- */

/* A call with a record; the reference that comes of it. */
static int create(struct pv_xapi *x, const char *method, json_t *record, char **ret, struct pv_error *err)
{
	pv_autojson *made = NULL;
	json_t *params = json_array();

	json_array_append_new(params, record);
	if (pv_xapi_call(x, method, params, &made, err) < 0)
		return -1;
	const char *ref = json_string_value(made);
	if (!ref || !pv_xapi_is_ref(ref))
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: %s: no reference came of it", x->base, method);
	*ret = pv_xstrdup(ref);
	return 0;
}

static int create_vdi(struct pv_xapi *x, const struct pv_publish_vhd *v, char **ret, struct pv_error *err)
{
	pv_autofree char *size = pv_fmt("%llu", (unsigned long long)v->disk_size);

	return create(x, "VDI.create",
		      json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:{}, s:{}, s:{}, s:[]}", "name_label", v->label,
				"name_description", "made by pvimg", "SR", v->sr, "virtual_size", size, "type", "user",
				"sharable", 0, "read_only", 0, "other_config", "xenstore_data", "sm_config", "tags"),
		      ret, err);
}

/* The settings are those of NAME.xapi.json; what xapi has no default for comes on top. */
static json_t *vm_record(const struct pv_publish_vhd *v)
{
	static const char *const empty[] = { "PV_bootloader", "PV_kernel", "PV_ramdisk", "PV_args", "PV_bootloader_args",
					     "PV_legacy_args", "PCI_bus", "recommendations" };
	pv_autofree char *text = pv_sidefiles_xapi(v->machine, v->disk_size);
	pv_autojson *settings = json_loads(text, 0, NULL);
	json_t *vm = json_pack("{s:s, s:b, s:s, s:s, s:s, s:s, s:{}, s:{s:s, s:s}}", "user_version", "1",
			       "is_a_template", 0, "affinity", PV_XAPI_NULL, "actions_after_shutdown", "destroy",
			       "actions_after_reboot", "restart", "actions_after_crash", "restart", "VCPUs_params",
			       "other_config", "base_template_name", "Other install media", "install-methods", "cdrom");

	for (size_t i = 0; i < PV_COUNT(empty); i++)
		json_object_set_new(vm, empty[i], json_string(""));
	json_object_update(vm, json_object_get(settings, "VM"));
	json_object_set_new(vm, "name_label", json_string(v->label));
	return vm;
}

static int create_vbd(struct pv_xapi *x, const char *vm, const char *vdi, struct pv_error *err)
{
	pv_autofree char *ref = NULL;

	return create(x, "VBD.create",
		      json_pack("{s:s, s:s, s:s, s:b, s:s, s:s, s:b, s:b, s:{}, s:s, s:{}}", "VM", vm, "VDI", vdi,
				"userdevice", "0", "bootable", 1, "mode", "RW", "type", "Disk", "unpluggable", 0, "empty", 0,
				"other_config", "qos_algorithm_type", "", "qos_algorithm_params"),
		      &ref, err);
}

/* A pool without that network gets a template without a card. */
static int create_vif(struct pv_xapi *x, const char *vm, struct pv_error *err)
{
	pv_autojson *found = NULL;
	pv_autofree char *ref = NULL;

	if (pv_xapi_call_ref(x, "network.get_by_name_label", NETWORK_NAME, NULL, &found, err) < 0)
		return -1;
	const char *network = json_string_value(json_array_get(found, 0));
	if (!network || !pv_xapi_is_ref(network))
		return 0;
	return create(x, "VIF.create",
		      json_pack("{s:s, s:s, s:s, s:s, s:s, s:{}, s:s, s:{}}", "device", "0", "network", network, "VM", vm,
				"MAC", "", "MTU", "1500", "other_config", "qos_algorithm_type", "", "qos_algorithm_params"),
		      &ref, err);
}

static int fill(struct pv_xapi *x, const struct pv_publish_vhd *v, const char *vdi, struct pv_error *err)
{
	static const char path[] = "/import_raw_vdi";
	pv_autofree char *query = pv_fmt("format=vhd&vdi=%s", vdi), *base = NULL, *result = NULL;
	pv_autofree char *nothing = pv_fmt("format=vhd&sr_id=%s", v->sr);

	if (lseek(v->vhd_fd, 0, SEEK_SET) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "the VHD");
	/* without a VDI it is refused or redirected, and nothing is made or written */
	if (pv_xapi_probe(x, path, nothing, &base, err) < 0)
		return -1;
	const struct pv_xapi_upload upload = { .path = path,
					       .query = query,
					       .size = v->vhd_size,
					       .fd = v->vhd_fd,
					       .progress = v->progress,
					       .progress_ctx = v->ctx };
	return pv_xapi_upload(x, base, &upload, &result, err);
}

int pv_publish_vhd_send(struct pv_xapi *x, const struct pv_publish_vhd *v, char **ret_vm, struct pv_error *err)
{
	pv_autofree char *vdi = NULL, *vm = NULL;

	if (create_vdi(x, v, &vdi, err) < 0 || fill(x, v, vdi, err) < 0)
		return -1;
	x->may_pass = false;
	if (create(x, "VM.create", vm_record(v), &vm, err) < 0 || create_vbd(x, vm, vdi, err) < 0 ||
	    create_vif(x, vm, err) < 0)
		return -1;
	*ret_vm = pv_steal(&vm);
	return 0;
}
