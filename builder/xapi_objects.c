/* SPDX-License-Identifier: Apache-2.0 */
/* Storage, templates and disks of a pool: found, described, destroyed. */
#include <stdlib.h>
#include <string.h>

#include "xapi.h"

static bool is_gone(const struct pv_xapi *x)
{
	return pv_streq(x->fault.code, "HANDLE_INVALID") || pv_streq(x->fault.code, "UUID_INVALID");
}

/* --- storage --- */

static int default_sr(struct pv_xapi *x, char **ret, struct pv_error *err)
{
	pv_autojson *pools = NULL;

	if (pv_xapi_call(x, "pool.get_all_records", NULL, &pools, err) < 0)
		return -1;
	const json_t *pool = json_object_iter_value(json_object_iter(pools));
	const char *ref = pv_xapi_text(pool, "default_SR");
	if (!pv_xapi_is_ref(ref))
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: the pool has no default storage; name one after the host: "
				    "xapi://HOST/SR", x->base);
	*ret = pv_xstrdup(ref);
	return 0;
}

static int named_sr(struct pv_xapi *x, const char *word, char **ret, struct pv_error *err)
{
	pv_autojson *list = NULL, *one = NULL;
	pv_autofree char *shown = pv_printable(word, strlen(word));

	if (pv_xapi_call_ref(x, "SR.get_by_name_label", word, NULL, &list, err) < 0)
		return -1;
	if (json_array_size(list) > 1)
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: %s: %zu storages have this name; give the uuid", x->base,
				    shown, json_array_size(list));
	const char *ref = json_string_value(json_array_get(list, 0));
	if (!ref && pv_xapi_call_ref(x, "SR.get_by_uuid", word, NULL, &one, NULL) == 0)
		ref = json_string_value(one);
	if (!ref || !pv_xapi_is_ref(ref))
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: %s: no storage has this name or uuid", x->base, shown);
	*ret = pv_xstrdup(ref);
	return 0;
}

int pv_xapi_find_sr(struct pv_xapi *x, const char *word, char **ret, struct pv_error *err)
{
	pv_autofree char *ref = NULL;
	pv_autojson *record = NULL;

	if ((word ? named_sr(x, word, &ref, err) : default_sr(x, &ref, err)) < 0 ||
	    pv_xapi_call_ref(x, "SR.get_record", ref, NULL, &record, err) < 0)
		return -1;
	if (pv_streq(pv_xapi_text(record, "content_type"), "iso")) {
		const char *label = pv_xapi_text(record, "name_label");
		pv_autofree char *shown = pv_printable(label, strlen(label));

		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: the storage %s holds CD images, no disks; name another "
				    "one after the host: xapi://HOST/SR", x->base, shown);
	}
	*ret = pv_steal(&ref);
	return 0;
}

/* --- templates --- */

void pv_xapi_templates_done(struct pv_xapi_templates *t)
{
	for (size_t i = 0; i < t->n; i++) {
		free(t->v[i].ref);
		free(t->v[i].uuid);
		free(t->v[i].label);
		free(t->v[i].sha256);
	}
	pv_freep(&t->v);
	t->n = 0;
}

/* Newest first; of two with the same serial, made at the same time, everybody takes the same one for the newer. */
static int by_age(const void *a, const void *b)
{
	const struct pv_xapi_template *x = a, *y = b;

	if (x->serial != y->serial)
		return x->serial > y->serial ? -1 : 1;
	return -strcmp(x->uuid, y->uuid);
}

int pv_xapi_templates(struct pv_xapi *x, const char *name, struct pv_xapi_templates *ret, struct pv_error *err)
{
	pv_autojson *all = NULL;
	const char *ref;
	json_t *record;
	struct pv_xapi_templates found = { 0 };

	if (pv_xapi_call_ref(x, "VM.get_all_records_where", "field \"is_a_template\"=\"true\"", NULL, &all, err) < 0)
		return -1;
	json_object_foreach(all, ref, record) {
		const json_t *config = json_object_get(record, "other_config");

		if (!pv_xapi_is_ref(ref) || !pv_streq(pv_xapi_text(config, PV_XAPI_KEY_NAME), name))
			continue;
		found.v = pv_xreallocarray(found.v, found.n + 1, sizeof(*found.v));
		found.v[found.n++] = (struct pv_xapi_template){
			.ref = pv_xstrdup(ref),
			.uuid = pv_xstrdup(pv_xapi_text(record, "uuid")),
			.label = pv_xstrdup(pv_xapi_text(record, "name_label")),
			.sha256 = pv_xstrdup(pv_xapi_text(config, PV_XAPI_KEY_SHA256)),
			.serial = pv_xapi_number(config, PV_XAPI_KEY_SERIAL),
		};
	}
	if (found.n > 0)
		qsort(found.v, found.n, sizeof(*found.v), by_age);
	*ret = found;
	return 0;
}

int pv_xapi_note(struct pv_xapi *x, const char *vm, const char *key, const char *value, struct pv_error *err)
{
	if (pv_xapi_call_ref(x, "VM.remove_from_other_config", vm, key, NULL, err) < 0)
		return -1;
	int rc = pv_xapi_call(x, "VM.add_to_other_config", json_pack("[s, s, s]", vm, key, value), NULL, err);
	if (rc < 0 && pv_streq(x->fault.code, "MAP_DUPLICATE_KEY")) {
		pv_error_clear(err);		/* the first of two tries had done it */
		return 0;
	}
	return rc;
}

/* --- destroying --- */

int pv_xapi_disks(struct pv_xapi *x, const char *vm, struct pv_strv *ret, struct pv_error *err)
{
	pv_autojson *vbds = NULL;

	if (pv_xapi_call_ref(x, "VM.get_VBDs", vm, NULL, &vbds, err) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(vbds); i++) {
		const char *vbd = json_string_value(json_array_get(vbds, i));
		pv_autojson *record = NULL;

		if (!vbd || !pv_xapi_is_ref(vbd))
			continue;
		if (pv_xapi_call_ref(x, "VBD.get_record", vbd, NULL, &record, err) < 0)
			return -1;
		const char *vdi = pv_xapi_text(record, "VDI");
		if (pv_streq(pv_xapi_text(record, "type"), "Disk") && pv_xapi_is_ref(vdi))
			pv_strv_add(ret, vdi);
	}
	return 0;
}

/* A disk that more than `users` devices have is somebody else's too, and stays. */
static int drop_disk(struct pv_xapi *x, const char *vdi, size_t users, struct pv_error *err)
{
	pv_autojson *vbds = NULL;

	int rc = pv_xapi_call_ref(x, "VDI.get_VBDs", vdi, NULL, &vbds, err);
	if (rc == 0 && json_array_size(vbds) > users)
		return 0;
	if (rc == 0)
		rc = pv_xapi_call_ref(x, "VDI.destroy", vdi, NULL, NULL, err);
	if (rc < 0 && is_gone(x)) {
		pv_error_clear(err);
		return 0;
	}
	return rc;
}

/* Disks first: without the VM nobody would know whose they are. */
int pv_xapi_drop_vm(struct pv_xapi *x, const char *vm, struct pv_error *err)
{
	pv_autostrv disks = PV_STRV_INIT;
	int rc = pv_xapi_disks(x, vm, &disks, err);

	for (size_t i = 0; i < disks.n && rc == 0; i++)
		rc = drop_disk(x, disks.v[i], 1, err);
	if (rc == 0)
		rc = pv_xapi_call_ref(x, "VM.destroy", vm, NULL, NULL, err);
	if (rc < 0 && is_gone(x)) {
		pv_error_clear(err);
		return 0;
	}
	return rc;
}

int pv_xapi_drop_named(struct pv_xapi *x, const char *label, struct pv_error *err)
{
	pv_autojson *vms = NULL, *vdis = NULL;
	int rc = pv_xapi_call_ref(x, "VM.get_by_name_label", label, NULL, &vms, err);

	for (size_t i = 0; i < json_array_size(vms) && rc == 0; i++)
		rc = pv_xapi_drop_vm(x, json_string_value(json_array_get(vms, i)), err);
	if (rc == 0)
		rc = pv_xapi_call_ref(x, "VDI.get_by_name_label", label, NULL, &vdis, err);
	for (size_t i = 0; i < json_array_size(vdis) && rc == 0; i++)
		rc = drop_disk(x, json_string_value(json_array_get(vdis, i)), 0, err);
	return rc;
}
