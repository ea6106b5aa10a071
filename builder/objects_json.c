/* SPDX-License-Identifier: Apache-2.0 */
/* A stage's record as JSON, and back. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "objects_priv.h"

#define SCHEMA "pvimg.stage/1"
#define FILES_MAX 100u

static json_t *key_json(const struct pv_cachekey *key)
{
	json_t *list = json_array();

	for (size_t i = 0; i < key->names.n; i++)
		json_array_append_new(list, json_pack("[s,s]", key->names.v[i], key->values.v[i]));
	return list;
}

static json_t *files_json(const struct pv_record *record)
{
	json_t *list = json_array();

	for (size_t i = 0; i < record->nfiles; i++) {
		const struct pv_record_file *f = &record->files[i];
		json_array_append_new(list, json_pack("{s:s, s:s, s:[I,I,I,I,I,I,I]}", "name", f->name, "digest", f->digest,
						      "is", (json_int_t)f->id.dev, (json_int_t)f->id.ino,
						      (json_int_t)f->id.size, (json_int_t)f->id.mtime_s,
						      (json_int_t)f->id.mtime_ns, (json_int_t)f->id.ctime_s,
						      (json_int_t)f->id.ctime_ns));
	}
	return list;
}

char *pv_record_text(const struct pv_record *record)
{
	json_t *root = json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}", "schema", SCHEMA, "stage", record->stage, "image",
				 record->image, "key", key_json(&record->key), "seen", key_json(&record->seen), "files",
				 files_json(record));
	char *text = json_dumps(root, JSON_INDENT(1) | JSON_SORT_KEYS);

	json_decref(root);
	char *line = pv_fmt("%s\n", text ? text : "{}");
	free(text);
	return line;
}

static bool parse_key(json_t *list, struct pv_cachekey *ret)
{
	size_t i;
	json_t *pair;

	if (!json_is_array(list) || json_array_size(list) > PV_CACHEKEY_LINES_MAX)
		return false;
	json_array_foreach(list, i, pair) {
		const char *name = json_string_value(json_array_get(pair, 0));
		const char *value = json_string_value(json_array_get(pair, 1));
		if (!name || !value)
			return false;
		pv_strv_add(&ret->names, name);
		pv_strv_add(&ret->values, value);
	}
	return true;
}

static bool parse_file(json_t *item, struct pv_record *ret)
{
	const char *name, *digest;
	json_int_t n[7];
	json_t *is;

	if (json_unpack(item, "{s:s, s:s, s:o}", "name", &name, "digest", &digest, "is", &is) < 0 ||
	    !pv_digest_valid(digest) || strchr(name, '/') || pv_streq(name, "..") || json_array_size(is) != PV_COUNT(n))
		return false;
	for (size_t i = 0; i < PV_COUNT(n); i++) {
		if (!json_is_integer(json_array_get(is, i)))
			return false;
		n[i] = json_integer_value(json_array_get(is, i));
	}
	const struct pv_file_id id = {
		.dev = (uint64_t)n[0], .ino = (uint64_t)n[1], .size = (uint64_t)n[2],
		.mtime_s = n[3], .mtime_ns = n[4], .ctime_s = n[5], .ctime_ns = n[6],
	};
	pv_record_add(ret, name, digest, &id);
	return true;
}

static bool parse_root(json_t *root, struct pv_record *ret)
{
	const char *schema, *stage, *image;
	json_t *key, *seen, *files, *item;
	size_t i;

	if (json_unpack(root, "{s:s, s:s, s:s, s:o, s:o, s:o}", "schema", &schema, "stage", &stage, "image", &image, "key",
			&key, "seen", &seen, "files", &files) < 0 || !pv_streq(schema, SCHEMA))
		return false;
	ret->stage = pv_xstrdup(stage);
	ret->image = pv_xstrdup(image);
	if (!parse_key(key, &ret->key) || !parse_key(seen, &ret->seen) || !json_is_array(files) ||
	    json_array_size(files) > FILES_MAX)
		return false;
	json_array_foreach(files, i, item)
		if (!parse_file(item, ret))
			return false;
	return true;
}

bool pv_record_parse(const char *text, size_t len, struct pv_record *ret)
{
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);

	*ret = (struct pv_record){ 0 };
	if (!root)
		return false;
	bool ok = parse_root(root, ret);
	json_decref(root);
	return ok;
}
