/* SPDX-License-Identifier: Apache-2.0 */
/* Writes and reads the records and manifests of a remote cache. */
#include "cacherecord.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "text.h"

#define RECORD_SCHEMA "pvimg.cache-record/1"
#define RECORD_TYPE "application/vnd.pvimg.cache-record.v1+json"
#define SIGNATURE_TYPE "application/vnd.pvimg.ssh-signature"
#define OBJECT_TYPE "application/vnd.pvimg.tree.v1.tar"
#define DIGEST_PREFIX "sha256:"
#define STAGE_MAX 32u

void pv_cacherecord_done(struct pv_cacherecord *record)
{
	pv_freep(&record->stage);
	pv_cachekey_done(&record->seen);
}

static char *dump(const json_t *doc)
{
	char *text = json_dumps(doc, JSON_COMPACT | JSON_SORT_KEYS);

	return text ? text : pv_xstrdup("");	/* only where memory is out */
}

char *pv_cacherecord_text(const struct pv_cacherecord *record)
{
	json_auto_t *seen = json_array();

	for (size_t i = 0; i < record->seen.names.n; i++)
		(void)json_array_append_new(seen, json_pack("[ss]", record->seen.names.v[i], record->seen.values.v[i]));
	json_auto_t *doc = json_pack("{ss ss ss sO ss sI}", "schema", RECORD_SCHEMA, "stage", record->stage, "key", record->key,
				  "seen", seen, "sha256", record->sha256, "size", (json_int_t)record->size);
	return dump(doc);
}

static int not_a(const char *what, struct pv_error *err)
{
	return pv_error_set(err, PV_ERR_ARCHIVE, "the %s is not one of pvimg's", what);
}

static bool take_digest(const char *hex, char ret[PV_SHA256_HEX])
{
	if (!pv_digest_valid(hex))
		return false;
	memcpy(ret, hex, PV_SHA256_HEX);
	return true;
}

static bool stage_ok(const char *stage)
{
	size_t len = strlen(stage);

	return len >= 1 && len <= STAGE_MAX && strspn(stage, "abcdefghijklmnopqrstuvwxyz") == len;
}

/* Pairs of name and value, none twice: pv_cachekey promises that. */
static bool take_seen(const json_t *seen, struct pv_cachekey *ret)
{
	pv_autostrv names = PV_STRV_INIT;

	if (!json_is_array(seen) || json_array_size(seen) > PV_CACHEKEY_LINES_MAX)
		return false;
	for (size_t i = 0; i < json_array_size(seen); i++) {
		const json_t *pair = json_array_get(seen, i);
		const char *name = json_string_value(json_array_get(pair, 0));
		const char *value = json_string_value(json_array_get(pair, 1));
		if (json_array_size(pair) != 2 || !name || !value || !*name)
			return false;
		pv_strv_add(&ret->names, name);
		pv_strv_add(&ret->values, value);
		pv_strv_add(&names, name);
	}
	pv_strv_sort(&names);
	pv_strv_uniq(&names);
	return names.n == ret->names.n;
}

static bool size_ok(json_int_t size, uint64_t max)
{
	return size >= 1 && (uint64_t)size <= max;
}

int pv_cacherecord_parse(const char *text, size_t len, struct pv_cacherecord *ret, struct pv_error *err)
{
	pv_autocacherecord record = { 0 };
	const char *schema, *stage, *key, *sha256;
	json_int_t size;
	json_t *seen;

	if (len > PV_CACHERECORD_MAX)
		return not_a("record", err);
	json_auto_t *doc = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	if (!doc || json_unpack(doc, "{ss ss ss so ss sI !}", "schema", &schema, "stage", &stage, "key", &key, "seen", &seen,
				"sha256", &sha256, "size", &size) < 0)
		return not_a("record", err);
	if (!pv_streq(schema, RECORD_SCHEMA) || !stage_ok(stage) || !take_digest(key, record.key) ||
	    !take_digest(sha256, record.sha256) || !size_ok(size, PV_CACHERECORD_OBJECT_MAX) ||
	    !take_seen(seen, &record.seen))
		return not_a("record", err);
	record.stage = pv_xstrdup(stage);
	record.size = (uint64_t)size;
	*ret = record;
	record = (struct pv_cacherecord){ 0 };
	return 0;
}

static json_t *blob_json(const char *type, const struct pv_cacheblob *blob)
{
	return json_pack("{ss ss+ sI}", "mediaType", type, "digest", DIGEST_PREFIX, blob->sha256, "size",
			 (json_int_t)blob->size);
}

char *pv_cachemanifest_text(const struct pv_cachemanifest *manifest)
{
	json_auto_t *doc = json_pack("{si ss so s[oo]}", "schemaVersion", 2, "mediaType", PV_CACHEMANIFEST_TYPE, "config",
				  blob_json(RECORD_TYPE, &manifest->record), "layers",
				  blob_json(SIGNATURE_TYPE, &manifest->signature), blob_json(OBJECT_TYPE, &manifest->object));

	return dump(doc);
}

static bool take_blob(json_t *doc, const char *type, uint64_t max, struct pv_cacheblob *ret)
{
	const char *has_type, *digest;
	json_int_t size;

	if (json_unpack(doc, "{ss ss sI}", "mediaType", &has_type, "digest", &digest, "size", &size) < 0 ||
	    !pv_streq(has_type, type) || !pv_starts(digest, DIGEST_PREFIX) || !size_ok(size, max))
		return false;
	ret->size = (uint64_t)size;
	return take_digest(digest + strlen(DIGEST_PREFIX), ret->sha256);
}

int pv_cachemanifest_parse(const char *text, size_t len, struct pv_cachemanifest *ret, struct pv_error *err)
{
	struct pv_cachemanifest manifest;
	json_t *config, *signature, *object;

	if (len > PV_CACHEMANIFEST_MAX)
		return not_a("manifest", err);
	json_auto_t *doc = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	if (!doc || json_unpack(doc, "{so s[oo!]}", "config", &config, "layers", &signature, &object) < 0 ||
	    !take_blob(config, RECORD_TYPE, PV_CACHERECORD_MAX, &manifest.record) ||
	    !take_blob(signature, SIGNATURE_TYPE, PV_CACHEMANIFEST_SIGNATURE_MAX, &manifest.signature) ||
	    !take_blob(object, OBJECT_TYPE, PV_CACHERECORD_OBJECT_MAX, &manifest.object))
		return not_a("manifest", err);
	*ret = manifest;
	return 0;
}
