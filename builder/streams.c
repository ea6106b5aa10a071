/* SPDX-License-Identifier: Apache-2.0 */
/* Reads, changes and writes the lists and the index of an image mirror. */
#include "streams.h"

#include <string.h>

#define ARCH "amd64"
#define DAY_LEN 8u		/* "20260821" */
#define SUB_MAX 99

/* --- reading --- */

static int parse(const char *text, size_t len, const char *name, const char *format, json_t **ret, struct pv_error *err)
{
	json_error_t why;

	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	if (!root)
		return pv_error_set(err, PV_ERR_STAGE, "%s: line %d: is no JSON; mend or remove it", name, why.line);
	if (!pv_streq(json_string_value(json_object_get(root, "format")), format)) {
		json_decref(root);
		return pv_error_set(err, PV_ERR_STAGE, "%s: is not of format %s; publish to another folder", name, format);
	}
	*ret = root;
	return 0;
}

static bool digits(const char *text, size_t n)
{
	return strspn(text, "0123456789") >= n;
}

bool pv_streams_version_valid(const char *version)
{
	size_t len = strlen(version);

	if (len == DAY_LEN)
		return digits(version, DAY_LEN);
	return len == DAY_LEN + 3 && digits(version, DAY_LEN) && version[DAY_LEN] == '.' &&
	       digits(version + DAY_LEN + 1, 2);
}

static bool versions_ok(const json_t *product)
{
	json_t *versions = json_object_get(product, "versions"), *version;
	const char *key;

	if (!json_is_object(versions))
		return false;
	json_object_foreach(versions, key, version) {
		if (!pv_streams_version_valid(key) || !json_is_object(json_object_get(version, "items")))
			return false;
	}
	return true;
}

int pv_streams_list_parse(const char *text, size_t len, const char *name, json_t **ret, struct pv_error *err)
{
	json_t *root = NULL, *product;
	const char *key;

	if (!text) {
		*ret = json_pack("{s:s, s:s, s:s, s:{}}", "format", "products:1.0", "content_id", PV_STREAMS_CONTENT,
				 "datatype", "image-downloads", "products");
		return 0;
	}
	if (parse(text, len, name, "products:1.0", &root, err) < 0)
		return -1;
	bool ok = json_is_object(json_object_get(root, "products"));
	json_object_foreach(json_object_get(root, "products"), key, product) {
		ok = ok && versions_ok(product);
	}
	if (!ok) {
		json_decref(root);
		return pv_error_set(err, PV_ERR_STAGE, "%s: its products are not as pvimg writes them; mend or remove it",
				    name);
	}
	*ret = root;
	return 0;
}

int pv_streams_index_parse(const char *text, size_t len, const char *name, json_t **ret, struct pv_error *err)
{
	json_t *root = NULL;

	if (!text) {
		*ret = json_pack("{s:s, s:{}}", "format", "index:1.0", "index");
		return 0;
	}
	if (parse(text, len, name, "index:1.0", &root, err) < 0)
		return -1;
	if (!json_is_object(json_object_get(root, "index"))) {
		json_decref(root);
		return pv_error_set(err, PV_ERR_STAGE, "%s: has no index; mend or remove it", name);
	}
	*ret = root;
	return 0;
}

/* --- asking --- */

char *pv_streams_product(const char *name)
{
	return pv_fmt("pvimg:%s:" ARCH, name);
}

static json_t *versions_of(const json_t *list, const char *product)
{
	return json_object_get(json_object_get(json_object_get(list, "products"), product), "versions");
}

static json_t *version_of(const json_t *list, const char *product, const char *version)
{
	return json_object_get(versions_of(list, product), version);
}

const char *pv_streams_newest(const json_t *list, const char *product)
{
	const char *key, *newest = NULL;
	json_t *version;

	json_object_foreach(versions_of(list, product), key, version) {
		if (!newest || strcmp(key, newest) > 0)
			newest = key;
	}
	return newest;
}

bool pv_streams_holds(const json_t *list, const char *product, const char *version, const char *sha256,
		      const struct pv_strv *ftypes)
{
	const json_t *v = version_of(list, product, version);

	if (!pv_streq(json_string_value(json_object_get(v, "disk_sha256")), sha256))
		return false;
	for (size_t i = 0; i < ftypes->n; i++)
		if (!json_object_get(json_object_get(v, "items"), ftypes->v[i]))
			return false;
	return true;
}

void pv_streams_files(const json_t *list, const char *product, const char *version, struct pv_strv *ret_paths,
		      uint64_t **ret_sizes)
{
	json_t *items = json_object_get(version_of(list, product, version), "items"), *item;
	const char *key;

	*ret_sizes = pv_xcalloc(json_object_size(items) + 1, sizeof(**ret_sizes));
	json_object_foreach(items, key, item) {
		const char *path = json_string_value(json_object_get(item, "path"));
		json_int_t size = json_integer_value(json_object_get(item, "size"));

		(*ret_sizes)[ret_paths->n] = (uint64_t)size;
		pv_strv_add(ret_paths, path ? path : "");
	}
}

bool pv_streams_has_path(const json_t *list, const char *product, const char *path)
{
	json_t *version, *item;
	const char *name, *kind;

	json_object_foreach(versions_of(list, product), name, version) {
		json_object_foreach(json_object_get(version, "items"), kind, item) {
			if (pv_streq(json_string_value(json_object_get(item, "path")), path))
				return true;
		}
	}
	return false;
}

int pv_streams_next(const json_t *list, const char *product, int64_t epoch, char **ret, struct pv_error *err)
{
	const char *newest = pv_streams_newest(list, product);
	time_t when = (time_t)epoch;
	struct tm tm;
	char day[32];
	uint64_t sub = 0;

	if (!gmtime_r(&when, &tm) || tm.tm_year + 1900 > 9999)
		return pv_error_set(err, PV_ERR_STAGE, "%s: its epoch is no date", product);
	(void)strftime(day, sizeof(day), "%Y%m%d", &tm);
	if (!newest || strcmp(newest, day) < 0) {
		*ret = pv_xstrdup(day);
		return 0;
	}
	/* A reader takes the last version by name: what comes later must sort later, however old its epoch is. */
	if (newest[DAY_LEN])
		sub = (uint64_t)(newest[DAY_LEN + 1] - '0') * 10 + (uint64_t)(newest[DAY_LEN + 2] - '0');
	if (sub == SUB_MAX)
		return pv_error_set(err, PV_ERR_STAGE, "%s: has %s already, and no more fit into a day", product, newest);
	*ret = pv_fmt("%.8s.%02u", newest, (unsigned)sub + 1);
	return 0;
}

/* --- changing --- */

static void set_if(json_t *object, const char *key, const char *value)
{
	if (value)
		(void)json_object_set_new(object, key, json_string(value));
}

void pv_streams_add(json_t *list, const struct pv_machine *m, const char *version, const char *sha256,
		    const struct pv_streams_item *items, size_t n)
{
	json_t *products = json_object_get(list, "products"), *files = json_object();
	pv_autofree char *name = pv_streams_product(m->name);
	json_t *product = json_object_get(products, name);

	if (!product) {
		product = json_pack("{s:{}}", "versions");
		(void)json_object_set_new(products, name, product);
	}
	(void)json_object_update_new(product, json_pack("{s:s, s:s, s:s, s:s, s:s}", "aliases", m->name, "arch", ARCH,
							"hypervisor_type", "xen", "vm_mode", "hvm", "virt", "hvm"));
	set_if(product, "os", m->distribution);
	set_if(product, "release", m->suite);
	set_if(product, "version", m->version);
	for (size_t i = 0; i < n; i++)
		(void)json_object_set_new(files, items[i].ftype,
					  json_pack("{s:s, s:s, s:I, s:s}", "ftype", items[i].ftype, "path", items[i].path,
						    "size", (json_int_t)items[i].size, "sha256", items[i].sha256));
	(void)json_object_set_new(json_object_get(product, "versions"), version,
				  json_pack("{s:s, s:s, s:s, s:o}", "label", "release", "pubname", m->name, "disk_sha256",
					    sha256, "items", files));
}

void pv_streams_prune(json_t *list, const char *product, unsigned keep, struct pv_strv *ret_dropped)
{
	json_t *versions = versions_of(list, product), *version;
	pv_autostrv names = PV_STRV_INIT;
	const char *key;

	json_object_foreach(versions, key, version) {
		pv_strv_add(&names, key);
	}
	pv_strv_sort(&names);
	for (size_t i = 0; i + keep < names.n; i++) {
		pv_strv_add(ret_dropped, names.v[i]);
		(void)json_object_del(versions, names.v[i]);
	}
}

void pv_streams_index_update(json_t *index, const json_t *list, bool signed_form)
{
	json_t *names = json_array(), *product;
	const char *key;
	pv_autostrv sorted = PV_STRV_INIT;

	json_object_foreach(json_object_get(list, "products"), key, product) {
		pv_strv_add(&sorted, key);
	}
	pv_strv_sort(&sorted);
	for (size_t i = 0; i < sorted.n; i++)
		(void)json_array_append_new(names, json_string(sorted.v[i]));
	(void)json_object_set_new(json_object_get(index, "index"), PV_STREAMS_CONTENT,
				  json_pack("{s:s, s:s, s:s, s:o}", "format", "products:1.0", "datatype",
					    "image-downloads", "path",
					    signed_form ? PV_STREAMS_LIST ".sjson" : PV_STREAMS_LIST ".json", "products",
					    names));
}

bool pv_streams_index_has(const json_t *index, const char *product)
{
	const json_t *names = json_object_get(json_object_get(json_object_get(index, "index"), PV_STREAMS_CONTENT), "products");

	for (size_t i = 0; i < json_array_size(names); i++)
		if (pv_streq(json_string_value(json_array_get(names, i)), product))
			return true;
	return false;
}

char *pv_streams_text(json_t *root, time_t now)
{
	struct tm tm = { 0 };
	char when[64];

	(void)gmtime_r(&now, &tm);
	(void)strftime(when, sizeof(when), "%a, %d %b %Y %H:%M:%S +0000", &tm);
	(void)json_object_set_new(root, "updated", json_string(when));
	pv_autofree char *text = json_dumps(root, JSON_INDENT(1) | JSON_SORT_KEYS);
	return pv_fmt("%s\n", text ? text : "{}");
}
