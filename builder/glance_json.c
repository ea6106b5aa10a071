/* SPDX-License-Identifier: Apache-2.0 */
/* Records and lists of images read, new images and changes written. */
#include "glance_json.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sidefiles.h"
#include "url.h"
#include "version.h"
#include "xapi_rpc.h"

#define ID_MAX 64u

void pv_glance_image_done(struct pv_glance_image *image)
{
	char **const texts[] = { &image->id,	&image->name,	   &image->status,     &image->disk_format,
				 &image->owner, &image->of,	   &image->sha256,     &image->container_format,
				 &image->hash_algo, &image->hash_value, &image->checksum };

	for (size_t i = 0; i < PV_COUNT(texts); i++)
		pv_freep(texts[i]);
}

void pv_glance_images_done(struct pv_glance_images *images)
{
	for (size_t i = 0; i < images->n; i++)
		pv_glance_image_done(&images->v[i]);
	pv_freep(&images->v);
	images->n = 0;
}

/* --- answers --- */

static char *text_of(const json_t *record, const char *key)
{
	const char *text = json_string_value(json_object_get(record, key));

	return pv_xstrdup(text ? text : "");
}

static uint64_t number_of(const json_t *record, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(record, key));

	return n > 0 ? (uint64_t)n : 0;
}

static uint64_t serial_of(const json_t *record)
{
	const char *text = json_string_value(json_object_get(record, PV_GLANCE_KEY_SERIAL));
	uint64_t n;

	return text && pv_parse_u64(text, 0, INT64_MAX, &n) == 0 ? n : 0;
}

/* "2026-08-21T10:00:00Z", which is UTC whatever it says at its end. */
static int64_t time_of(const json_t *record, const char *key)
{
	const char *text = json_string_value(json_object_get(record, key));
	struct tm tm;

	memset(&tm, 0, sizeof(tm));
	if (!text || !strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) || tm.tm_year < 70 || tm.tm_year > 8000)
		return 0;
	time_t t = timegm(&tm);
	return t > 0 ? (int64_t)t : 0;
}

static bool id_ok(const char *id)
{
	size_t n = strspn(id, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-");

	return n > 0 && n <= ID_MAX && !id[n];
}

static int read_record(const json_t *record, const char *what, struct pv_glance_image *ret, struct pv_error *err)
{
	pv_autofree char *id = text_of(record, "id");

	if (!id_ok(id))
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: the answer is no image's record; is this Glance, "
				    "version 2?", what);
	*ret = (struct pv_glance_image){
		.id = pv_steal(&id),
		.name = text_of(record, "name"),
		.status = text_of(record, "status"),
		.disk_format = text_of(record, "disk_format"),
		.container_format = text_of(record, "container_format"),
		.owner = text_of(record, "owner"),
		.of = text_of(record, PV_GLANCE_KEY_NAME),
		.sha256 = text_of(record, PV_GLANCE_KEY_SHA256),
		.hash_algo = text_of(record, "os_hash_algo"),
		.hash_value = text_of(record, "os_hash_value"),
		.checksum = text_of(record, "checksum"),
		.serial = serial_of(record),
		.size = number_of(record, "size"),
		.updated = time_of(record, "updated_at"),
		.hidden = json_is_true(json_object_get(record, "os_hidden")),
	};
	return 0;
}

int pv_glance_read_image(const char *text, size_t len, const char *what, struct pv_glance_image *ret,
			 struct pv_error *err)
{
	pv_autojson *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);

	return read_record(root, what, ret, err);
}

int pv_glance_read_page(const char *text, size_t len, const char *what, struct pv_glance_images *ret, bool *ret_more,
			struct pv_error *err)
{
	pv_autojson *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	const json_t *list = json_object_get(root, "images"), *record;
	size_t i;

	if (!json_is_array(list))
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: the answer is no list of images; is this Glance, "
				    "version 2?", what);
	json_array_foreach((json_t *)list, i, record) {
		struct pv_glance_image image;

		if (read_record(record, what, &image, err) < 0)
			return -1;
		ret->v = pv_xreallocarray(ret->v, ret->n + 1, sizeof(*ret->v));
		ret->v[ret->n++] = image;
	}
	*ret_more = json_array_size(list) > 0 && json_is_string(json_object_get(root, "next"));
	return 0;
}

static int by_serial(const void *a, const void *b)
{
	const struct pv_glance_image *x = a, *y = b;

	if (x->serial != y->serial)
		return x->serial < y->serial ? 1 : -1;
	return -strcmp(x->id, y->id);
}

void pv_glance_sort(struct pv_glance_images *images)
{
	if (images->n)
		qsort(images->v, images->n, sizeof(*images->v), by_serial);
}

/* --- requests --- */

static char *body_of(json_t *root)
{
	char *text = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS);

	json_decref(root);
	return text ? text : pv_xstrdup("{}");
}

char *pv_glance_new(const struct pv_glance_new *image)
{
	pv_autofree char *text = pv_sidefiles_glance(image->machine, image->disk_size);
	json_t *root = json_loads(text, 0, NULL);
	const char *const own[][2] = {
		{ "id", image->id },
		{ "name", image->name },
		{ "disk_format", image->disk_format },
		{ "container_format", image->container_format },
		{ "visibility", image->visibility },
		{ PV_GLANCE_KEY_NAME, image->machine->name },
		{ PV_GLANCE_KEY_SHA256, image->sha256 },
		{ PV_GLANCE_KEY_VERSION, PV_VERSION },
	};

	for (size_t i = 0; i < PV_COUNT(own); i++)
		json_object_set_new(root, own[i][0], json_string(own[i][1]));
	return body_of(root);
}

char *pv_glance_patch_name(const char *name, uint64_t serial)
{
	pv_autofree char *number = pv_fmt("%llu", (unsigned long long)serial);

	return body_of(json_pack("[{s:s, s:s, s:s}, {s:s, s:s, s:s}]", "op", "add", "path", "/" PV_GLANCE_KEY_SERIAL, "value",
				 number, "op", "replace", "path", "/name", "value", name));
}

char *pv_glance_patch_hidden(void)
{
	return body_of(json_pack("[{s:s, s:s, s:b}]", "op", "replace", "path", "/os_hidden", "value", 1));
}

/* --- addresses and answers' numbers --- */

int pv_glance_base(const char *url, char **ret, struct pv_error *err)
{
	pv_autofree char *base = pv_xstrdup(url), *shown = pv_url_redacted(url);
	size_t len = strlen(base);
	pv_autourl parts = { 0 };

	while (len && base[len - 1] == '/')
		base[--len] = '\0';
	char *last = strrchr(base, '/');
	if (last && pv_starts(last, "/v2") && strspn(last + 3, ".0123456789") == strlen(last + 3))
		*last = '\0';
	if (pv_url_split(base, &parts, NULL) < 0 || pv_streq(parts.scheme, "file") || *parts.user)
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: is no address of an image service", shown);
	*ret = pv_fmt("%s/v2", base);
	return 0;
}

const char *pv_glance_why(long status)
{
	switch (status) {
	case 400: return "it refuses this format, or a property of the image";
	case 401: return "it does not take the credentials; without any, it wants some (clouds.yaml, OS_*)";
	case 403: return "these credentials may not do this, or a quota is used up";
	case 404: return "there is no such thing; is this the image service's address?";
	case 409: return "the image is in another state than expected";
	case 413: return "the image store is full, or a quota is used up";
	case 415: return "it does not know this way of changing images";
	default: return status >= 500 ? "it fails" : "this was not expected";
	}
}
