/* SPDX-License-Identifier: Apache-2.0 */
/* The table of targets, and the record of what was published. */
#include "publish.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "fsutil.h"
#include "url.h"

#define RECORD_MAX ((size_t)1 << 20)
#define SCHEMA "pvimg.published/1"

static const struct pv_publish_target *const targets[] = { &pv_target_xapi, &pv_target_glance, &pv_target_streams,
							  &pv_target_s3, &pv_target_xl };

void pv_publish_result_done(struct pv_publish_result *r)
{
	pv_freep(&r->target);
	pv_freep(&r->id);
}

char *pv_publish_forms(void)
{
	pv_autostr forms = PV_STR_INIT;

	for (size_t i = 0; i < PV_COUNT(targets); i++)
		pv_str_addf(&forms, "%s%s", i ? ", " : "", targets[i]->form);
	return pv_str_steal(&forms);
}

int pv_publish_find(const char *to, const struct pv_publish_target **ret, struct pv_error *err)
{
	pv_autofree char *shown = pv_url_redacted(to), *forms = NULL;

	for (size_t i = 0; i < PV_COUNT(targets); i++) {
		if (pv_starts(to, targets[i]->scheme)) {
			*ret = targets[i];
			return 0;
		}
	}
	forms = pv_publish_forms();
	return pv_error_set(err, PV_ERR_USAGE, "%s: no such target; there is %s", shown, forms);
}

/* An earlier record of the same disk; anything else counts as none. */
static json_t *read_record(const char *path, const char *sha256)
{
	pv_autofree char *text = NULL;
	size_t len;

	if (pv_read_file(path, RECORD_MAX, &text, &len, NULL) < 0)
		return NULL;
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	if (pv_streq(json_string_value(json_object_get(root, "schema")), SCHEMA) &&
	    pv_streq(json_string_value(json_object_get(root, "sha256")), sha256) &&
	    json_is_array(json_object_get(root, "targets")))
		return root;
	json_decref(root);
	return NULL;
}

static void drop_target(json_t *list, const char *target)
{
	for (size_t i = json_array_size(list); i-- > 0;)
		if (pv_streq(json_string_value(json_object_get(json_array_get(list, i), "target")), target))
			(void)json_array_remove(list, i);
}

int pv_publish_record(const struct pv_publish *what, const struct pv_publish_result *result, struct pv_error *err)
{
	const char *slash = strrchr(what->image, '/');
	pv_autofree char *path = pv_fmt("%.*spublish.json", slash ? (int)(slash - what->image) + 1 : 0, what->image);
	json_t *root = read_record(path, result->sha256);

	if (!root)
		root = json_pack("{s:s, s:s, s:s, s:[]}", "schema", SCHEMA, "image", what->machine->name, "sha256",
				 result->sha256, "targets");
	json_t *list = json_object_get(root, "targets");
	drop_target(list, result->target);
	(void)json_array_append_new(list, json_pack("{s:s, s:s, s:i}", "target", result->target, "id", result->id,
						    "removed", (int)result->removed));
	pv_autofree char *text = json_dumps(root, JSON_INDENT(1) | JSON_SORT_KEYS);
	json_decref(root);
	if (!text)
		return pv_error_set(err, PV_ERR_STAGE, "%s: what was published has names that are no UTF-8", path);
	pv_autofree char *line = pv_fmt("%s\n", text);
	return pv_write_file(path, line, strlen(line), 0644, err);
}
