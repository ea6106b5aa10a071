/* SPDX-License-Identifier: Apache-2.0 */
/* verdict.json. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "verdict.h"

/* A path may be no UTF-8, and jansson would leave such a member out. */
static json_t *text_json(const char *text)
{
	if (!text)
		return json_null();
	pv_autofree char *printable = pv_printable(text, strlen(text));
	return json_string(printable);
}

static json_t *check_json(const struct pv_check *check)
{
	static const char *const states[] = {
		[PV_CHECK_GREEN] = "green", [PV_CHECK_RED] = "red", [PV_CHECK_UNCHECKED] = "unchecked",
	};

	return json_pack("{s:s, s:s, s:o, s:o}", "name", check->name, "state", states[check->state], "expected",
			 text_json(check->expected), "seen", text_json(check->seen));
}

static json_t *facts_json(const struct pv_vars *facts)
{
	json_t *object = json_object();

	for (size_t i = 0; facts && i < facts->n; i++)
		json_object_set_new(object, facts->v[i].name, text_json(facts->v[i].value));
	return object;
}

static json_t *timeline_json(const struct pv_vars *timeline)
{
	json_t *object = json_object();

	for (size_t i = 0; i < timeline->n; i++) {
		uint64_t ms;
		if (pv_parse_u64(timeline->v[i].value, 0, INT64_MAX, &ms) == 0)
			json_object_set_new(object, timeline->v[i].name, json_integer((json_int_t)ms));
	}
	return object;
}

char *pv_verdict_json(const struct pv_verdict *v, const struct pv_verdict_run *run)
{
	json_t *root = json_object(), *checks = json_array(), *evidence = json_array();

	for (size_t i = 0; i < v->nchecks; i++)
		json_array_append_new(checks, check_json(&v->checks[i]));
	for (size_t i = 0; i < v->evidence.n; i++)
		json_array_append_new(evidence, text_json(v->evidence.v[i]));
	json_object_set_new(root, "schema", json_string("pvimg.verdict/1"));
	json_object_set_new(root, "class", json_string(pv_class_name(v->class)));
	json_object_set_new(root, "green", json_boolean(v->green));
	json_object_set_new(root, "cause", text_json(v->cause));
	json_object_set_new(root, "driver", json_string(run->driver));
	json_object_set_new(root, "driver_why", text_json(run->driver_why));
	json_object_set_new(root, "driver_facts", facts_json(run->driver_facts));
	json_object_set_new(root, "proves", text_json(run->proves));
	json_object_set_new(root, "image", text_json(run->image));
	json_object_set_new(root, "image_sha256", json_string(run->image_sha256));
	json_object_set_new(root, "format", json_string(run->format));
	json_object_set_new(root, "memory", json_integer((json_int_t)run->memory));
	json_object_set_new(root, "vcpus", json_integer((json_int_t)run->vcpus));
	json_object_set_new(root, "disk_size", json_integer((json_int_t)run->disk_size));
	json_object_set_new(root, "console_log", text_json(run->console_log));
	json_object_set_new(root, "checks", checks);
	json_object_set_new(root, "evidence", evidence);
	json_object_set_new(root, "timeline", timeline_json(&v->timeline));
	char *text = json_dumps(root, JSON_INDENT(1) | JSON_SORT_KEYS);
	json_decref(root);
	char *line = pv_fmt("%s\n", text ? text : "{}");
	free(text);
	return line;
}
