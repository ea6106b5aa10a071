/* SPDX-License-Identifier: Apache-2.0 */
/* Differences as JSON. */
#include <jansson.h>
#include <string.h>

#include "imgdiff.h"

static json_t *text_json(const char *text)
{
	if (!text)
		return json_null();
	pv_autofree char *printable = pv_printable(text, strlen(text));
	return json_string(printable);
}

struct json_t *pv_imgdiff_json(const struct pv_imgdiff *diff, const char *file, size_t max)
{
	json_t *list = json_array();

	for (size_t i = 0; i < diff->n && i < max; i++) {
		const struct pv_imgdiff_item *item = &diff->v[i];
		json_t *object = json_object();
		json_object_set_new(object, "file", json_string(file));
		json_object_set_new(object, "kind", json_string(pv_imgdiff_kind_name(item->kind)));
		json_object_set_new(object, "where", text_json(item->where));
		json_object_set_new(object, "path", text_json(item->path));
		json_object_set_new(object, "offset", item->offset < 0 ? json_null() : json_integer(item->offset));
		json_object_set_new(object, "count", json_integer((json_int_t)item->count));
		json_object_set_new(object, "first", text_json(item->first));
		json_object_set_new(object, "second", text_json(item->second));
		json_object_set_new(object, "writer", text_json(item->writer));
		json_array_append_new(list, object);
	}
	return list;
}
