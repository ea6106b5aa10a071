/* SPDX-License-Identifier: Apache-2.0 */
/* compare.json. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"

static json_t *text_json(const char *text)
{
	if (!text)
		return json_null();
	pv_autofree char *printable = pv_printable(text, strlen(text));
	return json_string(printable);
}

static json_t *value_json(const struct pv_metric *m, size_t way)
{
	uint64_t n;

	if (m->kind != PV_METRIC_STATE && m->values[way] && pv_parse_u64(m->values[way], 0, INT64_MAX, &n) == 0)
		return json_integer((json_int_t)n);
	return text_json(m->values[way]);
}

static json_t *metric_json(const struct pv_compare *c, const struct pv_metric *m)
{
	static const char *const kinds[] = {
		[PV_METRIC_STATE] = "state", [PV_METRIC_COUNT] = "count", [PV_METRIC_TIME] = "time",
	};
	json_t *values = json_object();

	for (size_t k = 0; k < PV_COMPARE_WAYS; k++)
		json_object_set_new(values, pv_compare_way_name(k), value_json(m, k));
	return json_pack("{s:s, s:o, s:s, s:o, s:o, s:o}", "group", m->group, "name", text_json(m->name),
			 "kind", kinds[m->kind], "unit", text_json(m->unit),
			 "note", text_json(m->kind == PV_METRIC_TIME && c->emulated ? PV_COMPARE_NOTE : NULL),
			 "values", values);
}

static json_t *way_json(const struct pv_compare_way *way)
{
	return json_pack("{s:o, s:o}", "class", text_json(way->judged ? pv_class_name(way->class) : NULL),
			 "cause", text_json(way->cause));
}

static json_t *number_json(const char *text)
{
	uint64_t n;

	return text && pv_parse_u64(text, 0, INT64_MAX, &n) == 0 ? json_integer((json_int_t)n) : json_null();
}

char *pv_compare_json(const struct pv_compare *c)
{
	json_t *root = json_object(), *ways = json_object(), *metrics = json_array();

	for (size_t k = 0; k < PV_COMPARE_WAYS; k++)
		json_object_set_new(ways, pv_compare_way_name(k), way_json(&c->ways[k]));
	for (size_t i = 0; i < c->nmetrics; i++)
		json_array_append_new(metrics, metric_json(c, &c->metrics[i]));
	json_object_set_new(root, "schema", json_string("pvimg.compare/1"));
	json_object_set_new(root, "image", text_json(c->image));
	json_object_set_new(root, "image_sha256", text_json(pv_compare_of_run(c, "run.image_sha256")));
	json_object_set_new(root, "format", text_json(pv_compare_of_run(c, "run.format")));
	json_object_set_new(root, "driver", text_json(pv_compare_of_run(c, "run.driver")));
	json_object_set_new(root, "driver_why", text_json(pv_compare_of_run(c, "run.why")));
	json_object_set_new(root, "accelerator", text_json(pv_compare_of_run(c, "driver.accelerator")));
	json_object_set_new(root, "memory", number_json(pv_compare_of_run(c, "run.memory")));
	json_object_set_new(root, "vcpus", number_json(pv_compare_of_run(c, "run.vcpus")));
	json_object_set_new(root, "emulated", json_boolean(c->emulated));
	json_object_set_new(root, "ways", ways);
	json_object_set_new(root, "metrics", metrics);
	char *text = json_dumps(root, JSON_INDENT(1) | JSON_SORT_KEYS);
	json_decref(root);
	char *line = pv_fmt("%s\n", text ? text : "{}");
	free(text);
	return line;
}
