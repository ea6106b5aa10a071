/* SPDX-License-Identifier: Apache-2.0 */
/* The plan as JSON, for people, tests and `pvimg plan --json`. */
#include <jansson.h>
#include <stdlib.h>

#include "plan.h"

static json_t *uuid_json(const uint8_t uuid[16])
{
	char text[37];

	pv_uuid_text(uuid, text);
	return json_string(text);
}

static json_t *strv_json(const struct pv_strv *sv)
{
	json_t *list = json_array();

	for (size_t i = 0; i < sv->n; i++)
		json_array_append_new(list, json_string(sv->v[i]));
	return list;
}

static json_t *partition_json(const struct pv_partition *p)
{
	return json_pack("{s:i, s:I, s:I, s:o}", "number", (int)p->number, "start", (json_int_t)p->start, "size",
			 (json_int_t)p->size, "uuid", uuid_json(p->uuid));
}

static json_t *vars_json(const struct pv_vars *vars)
{
	json_t *object = json_object();

	for (size_t i = 0; i < vars->n; i++)
		json_object_set_new(object, vars->v[i].name, json_string(vars->v[i].value));
	return object;
}

static json_t *packages_json(const struct pv_plan *plan)
{
	json_t *list = json_array();

	for (size_t i = 0; i < plan->npackages; i++) {
		const struct pv_package *p = &plan->packages[i];
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:b}", "name", p->name,
						      "version", p->version, "architecture", p->arch, "path",
						      p->filename, "sha256", p->sha256, "size",
						      (json_int_t)p->size, "requested", p->requested));
	}
	return list;
}

/* What only an image has. */
static void add_image(const struct pv_plan *plan, json_t *root)
{
	json_object_set_new(root, "kernel", json_string(plan->suite->kernel_package));
	json_object_set_new(root, "flavor",
			    json_pack("{s:I, s:i, s:I}", "memory", (json_int_t)plan->recipe->memory, "vcpus",
				      (int)plan->recipe->vcpus, "disk", (json_int_t)plan->disk_size));
	json_object_set_new(root, "disk",
			    json_pack("{s:o, s:o, s:o, s:o, s:o}", "uuid", uuid_json(plan->disk_uuid), "bios",
				      partition_json(&plan->bios), "esp", partition_json(&plan->esp), "root",
				      partition_json(&plan->root), "filesystem", uuid_json(plan->root_fs_uuid)));
	json_object_set_new(root, "overlays", strv_json(&plan->recipe->overlays));
	if (plan->recipe->targets.n > 0)
		json_object_set_new(root, "targets", strv_json(&plan->recipe->targets));
	json_object_set_new(root, "variables", vars_json(&plan->vars));
}

char *pv_plan_json(const struct pv_plan *plan)
{
	json_t *root = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "schema", "pvimg.plan/1", "kind", plan->recipe->kind,
				 "name", plan->name, "distribution", plan->suite->distribution, "suite",
				 plan->suite->codename, "architecture", plan->arch);

	json_object_set_new(root, "archive", json_string(plan->stand_in ? "stand-in" : "distribution"));
	json_object_set_new(root, "epoch", json_integer(plan->epoch));
	if (!pv_recipe_is_dom0(plan->recipe))
		add_image(plan, root);
	json_object_set_new(root, "requested", strv_json(&plan->install_packages));
	json_object_set_new(root, "download_bytes", json_integer((json_int_t)plan->download_bytes));
	json_object_set_new(root, "installed_bytes", json_integer((json_int_t)plan->installed_bytes));
	json_object_set_new(root, "packages", packages_json(plan));
	char *text = json_dumps(root, JSON_INDENT(2) | JSON_SORT_KEYS);
	json_decref(root);
	char *line = pv_fmt("%s\n", text ? text : "{}");
	free(text);
	return line;
}
