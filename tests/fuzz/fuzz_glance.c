/* SPDX-License-Identifier: Apache-2.0 */
/* What Keystone and Glance answer, and what clouds.yaml holds: an error is one printable line, an id has no characters but its
 * own, an address is one. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "glance_json.h"
#include "keystone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_words(struct pv_error *err)
{
	if (!err->text || strlen(err->text) > 2000)
		abort();
	for (const char *p = err->text; *p; p++)
		if ((unsigned char)*p < 0x20)
			abort();
	pv_error_clear(err);
}

static void check_image(const struct pv_glance_image *i)
{
	if (!*i->id || strpbrk(i->id, "&?/\r\n <%.") || !i->name || !i->status || !i->hash_value || i->updated < 0)
		abort();
}

static void glance(const char *text, size_t size)
{
	pv_autoglanceimage image = { 0 };
	pv_autoglanceimages all = { 0 };
	pv_autoerror err = PV_ERROR_INIT;
	bool more;

	if (pv_glance_read_image(text, size, "img", &image, &err) == 0)
		check_image(&image);
	else
		check_words(&err);
	if (pv_glance_read_page(text, size, "img", &all, &more, &err) < 0)
		check_words(&err);
	pv_glance_sort(&all);
	for (size_t i = 0; i < all.n; i++)
		check_image(&all.v[i]);
}

static void keystone(const char *text, size_t size)
{
	struct pv_cloud cloud = { .shown = (char *)"cloud" };
	pv_autotoken token = { 0 };
	pv_autofree char *base = NULL;
	pv_autoerror err = PV_ERROR_INIT;

	cloud.v[PV_CLOUD_INTERFACE] = (char *)"public";
	if (pv_keystone_answer(text, size, "id", &cloud, &token, &err) < 0) {
		check_words(&err);
		return;
	}
	if (token.image_url && pv_glance_base(token.image_url, &base, &err) < 0)
		check_words(&err);
	if (base && !pv_starts(base, "http"))
		abort();
}

static void clouds(const char *text, size_t size)
{
	pv_autocloud cloud = { .shown = pv_xstrdup("cloud lab") };
	pv_autoerror err = PV_ERROR_INIT;
	pv_autofree char *body = NULL, *url = NULL;
	bool found, secret;

	if (pv_cloud_parse(text, size, "clouds.yaml", "lab", &cloud, &found, &secret, &err) < 0) {
		check_words(&err);
		return;
	}
	if (pv_cloud_complete(&cloud, &err) < 0) {
		check_words(&err);
		return;
	}
	if (cloud.auth != PV_CLOUD_NO_AUTH && cloud.auth != PV_CLOUD_OWN_TOKEN) {
		body = pv_keystone_request(&cloud);
		if (pv_keystone_url(&cloud, &url, &err) < 0)
			check_words(&err);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	glance((const char *)data, size);
	keystone((const char *)data, size);
	clouds((const char *)data, size);
	return 0;
}
