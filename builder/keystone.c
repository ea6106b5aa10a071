/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the request for a token, and finds the image service in the catalog that comes with one. */
#include "keystone.h"

#include <jansson.h>
#include <string.h>

#include "url.h"
#include "xapi_rpc.h"

#define USUAL_DOMAIN "default"		/* the id that Keystone's own setup gives its first domain */
#define REGIONS_MAX 64u

void pv_keystone_token_done(struct pv_keystone_token *t)
{
	pv_freep(&t->project);
	pv_freep(&t->image_url);
}

int pv_keystone_url(const struct pv_cloud *cloud, char **ret, struct pv_error *err)
{
	const char *text = cloud->v[PV_CLOUD_AUTH_URL];
	size_t len = strlen(text);

	while (len && text[len - 1] == '/')
		len--;
	pv_autofree char *base = pv_xstrndup(text, len);
	if (pv_ends(base, "/v2.0"))
		return pv_error_set(err, PV_ERR_USAGE, "%s: auth_url is of Keystone's version 2; version 3 is "
				    "wanted", cloud->shown);
	pv_autourl url = { 0 };
	if (pv_url_split(base, &url, NULL) < 0 || pv_streq(url.scheme, "file") || *url.user)
		return pv_error_set(err, PV_ERR_USAGE, "%s: auth_url: https://HOST[:PORT][/PATH] is wanted",
				    cloud->shown);
	*ret = pv_fmt("%s%s/auth/tokens", base, pv_ends(base, "/v3") ? "" : "/v3");
	return 0;
}

/* --- the request --- */

/* {"id": ID}, or {"name": NAME} with its domain, where it has one. */
static json_t *named(const struct pv_cloud *c, enum pv_cloud_field id, enum pv_cloud_field name,
		     enum pv_cloud_field domain_id, enum pv_cloud_field domain)
{
	if (c->v[id])
		return json_pack("{s:s}", "id", c->v[id]);
	if (!c->v[domain_id] && c->v[domain])
		return json_pack("{s:s, s:{s:s}}", "name", c->v[name], "domain", "name", c->v[domain]);
	return json_pack("{s:s, s:{s:s}}", "name", c->v[name], "domain", "id",
			 c->v[domain_id] ? c->v[domain_id] : USUAL_DOMAIN);
}

static json_t *user_of(const struct pv_cloud *c)
{
	return named(c, PV_CLOUD_USER_ID, PV_CLOUD_USER, PV_CLOUD_USER_DOMAIN_ID, PV_CLOUD_USER_DOMAIN);
}

static json_t *identity_of(const struct pv_cloud *c)
{
	json_t *app;

	switch (c->auth) {
	case PV_CLOUD_BY_PASSWORD: {
		json_t *user = user_of(c);

		json_object_set_new(user, "password", json_string(c->v[PV_CLOUD_PASSWORD]));
		return json_pack("{s:[s], s:{s:o}}", "methods", "password", "password", "user", user);
	}
	case PV_CLOUD_BY_APP:
		app = json_pack("{s:s}", "secret", c->v[PV_CLOUD_APP_SECRET]);
		if (c->v[PV_CLOUD_APP_ID]) {
			json_object_set_new(app, "id", json_string(c->v[PV_CLOUD_APP_ID]));
		} else {
			json_object_set_new(app, "name", json_string(c->v[PV_CLOUD_APP]));
			json_object_set_new(app, "user", user_of(c));
		}
		return json_pack("{s:[s], s:o}", "methods", "application_credential", "application_credential", app);
	default:
		return json_pack("{s:[s], s:{s:s}}", "methods", "token", "token", "id", c->v[PV_CLOUD_TOKEN]);
	}
}

char *pv_keystone_request(const struct pv_cloud *c)
{
	bool project = c->v[PV_CLOUD_PROJECT_ID] || c->v[PV_CLOUD_PROJECT];
	pv_autojson *root = NULL;
	json_t *auth;

	for (size_t i = 0; i < PV_CLOUD_FIELDS; i++) {
		pv_autojson *utf8 = c->v[i] ? json_string(c->v[i]) : json_null();

		if (!utf8)
			return NULL;
	}
	auth = json_pack("{s:o}", "identity", identity_of(c));
	/* an application credential is of one project, and Keystone refuses another word about it */
	if (project && c->auth != PV_CLOUD_BY_APP)
		json_object_set_new(auth, "scope", json_pack("{s:o}", "project",
				    named(c, PV_CLOUD_PROJECT_ID, PV_CLOUD_PROJECT, PV_CLOUD_PROJECT_DOMAIN_ID,
					  PV_CLOUD_PROJECT_DOMAIN)));
	root = json_pack("{s:o}", "auth", auth);
	return json_dumps(root, JSON_COMPACT);
}

/* --- the answer --- */

static const char *text_at(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static bool is_ours(const json_t *endpoint, const struct pv_cloud *c)
{
	const char *region = *text_at(endpoint, "region_id") ? text_at(endpoint, "region_id") : text_at(endpoint, "region");
	const char *wanted = c->v[PV_CLOUD_REGION];

	return pv_streq(text_at(endpoint, "interface"), c->v[PV_CLOUD_INTERFACE]) && *text_at(endpoint, "url") &&
	       (!wanted || pv_streq(region, wanted));
}

static void find_image_service(const json_t *catalog, const struct pv_cloud *c, struct pv_keystone_token *t)
{
	const json_t *service, *endpoint;
	size_t i, k;

	json_array_foreach((json_t *)catalog, i, service) {
		if (!pv_streq(text_at(service, "type"), "image"))
			continue;
		json_array_foreach(json_object_get(service, "endpoints"), k, endpoint) {
			if (!is_ours(endpoint, c) || t->regions >= REGIONS_MAX)
				continue;
			t->regions++;
			if (!t->image_url)
				t->image_url = pv_xstrdup(text_at(endpoint, "url"));
		}
	}
}

int pv_keystone_answer(const char *text, size_t len, const char *what, const struct pv_cloud *cloud,
		       struct pv_keystone_token *ret, struct pv_error *err)
{
	pv_autojson *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	const json_t *token = json_object_get(root, "token");
	pv_autotoken t = { 0 };

	if (!json_is_object(token))
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: the answer is no token; is this Keystone, version 3?", what);
	t.project = pv_xstrdup(json_string_value(json_object_get(json_object_get(token, "project"), "id")));
	find_image_service(json_object_get(token, "catalog"), cloud, &t);
	*ret = t;
	t = (struct pv_keystone_token){ 0 };
	return 0;
}
