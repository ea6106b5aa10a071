/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of the distribution protocol. */
#include "registry.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "registry_http.h"
#include "url.h"

#define REPOSITORY_MAX 255u
#define MIDDLE "abcdefghijklmnopqrstuvwxyz0123456789"
#define BLOB_TYPE "application/octet-stream"

/* --- where it is --- */

/* Parts of [a-z0-9] with single ._- between. */
static bool repository_ok(const char *name)
{
	bool inner = false;		/* the last one was a letter or digit */

	if (strlen(name) > REPOSITORY_MAX)
		return false;
	for (const char *p = name; *p; p++) {
		bool plain = strchr(MIDDLE, *p) != NULL;
		if (!plain && (!inner || !strchr("._-/", *p)))
			return false;
		inner = plain;
	}
	return inner;
}

static int take_credentials(struct pv_registry *registry, const char *text, struct pv_error *err)
{
	const char *colon = text ? strchr(text, ':') : NULL;

	if (!text)
		return 0;
	if (!colon || colon == text || !colon[1])
		return pv_error_set(err, PV_ERR_USAGE, "the credentials of the cache are not user:password");
	registry->user = pv_xstrndup(text, (size_t)(colon - text));
	registry->password = pv_xstrdup(colon + 1);
	return 0;
}

int pv_registry_new(const char *url, const char *credentials, struct pv_registry **ret, struct pv_error *err)
{
	pv_autoregistry *registry = pv_xcalloc(1, sizeof(*registry));
	pv_autourl parts = { 0 };

	if (pv_url_split(url, &parts, err) < 0)
		return -1;
	registry->shown = pv_url_redacted(url);
	registry->secure = pv_streq(parts.scheme, "https");
	if (*parts.user || *parts.password)
		return pv_error_set(err, PV_ERR_USAGE, "%s: user and password are not for the URL but for a file",
				    registry->shown);
	if (!registry->secure && (!pv_streq(parts.scheme, "http") || !pv_url_loopback(parts.host)))
		return pv_error_set(err, PV_ERR_USAGE, "%s: https is wanted (http only for this very host, 127.0.0.1)",
				    registry->shown);
	registry->repository = pv_xstrdup(*parts.path == '/' ? parts.path + 1 : parts.path);
	if (!repository_ok(registry->repository))
		return pv_error_set(err, PV_ERR_USAGE, "%s: a repository is wanted, as in https://HOST/team/pvimg",
				    registry->shown);
	pv_autofree char *bare = pv_url_bare(url);
	registry->site = pv_xstrndup(bare, strlen(bare) - strlen(parts.path));
	if (take_credentials(registry, credentials, err) < 0)
		return -1;
	*ret = pv_steal(&registry);
	return 0;
}

static void forget(char **secret)
{
	if (*secret)
		explicit_bzero(*secret, strlen(*secret));
	pv_freep(secret);
}

void pv_registry_free(struct pv_registry *registry)
{
	if (!registry)
		return;
	forget(&registry->password);
	forget(&registry->token);
	free(registry->user);
	free(registry->site);
	free(registry->repository);
	free(registry->shown);
	free(registry);
}

void pv_registry_freep(struct pv_registry **registry)
{
	pv_registry_free(*registry);
	*registry = NULL;
}

/* --- requests --- */

static void add_login(const struct pv_registry *registry, struct pv_registry_call *call)
{
	call->secure = registry->secure;
	call->token = registry->token;
	call->user = registry->user;
	call->password = registry->password;
}

/* One request; where the registry wants a token, once more with one. */
static int ask(struct pv_registry *registry, struct pv_registry_call *call, struct pv_error *err)
{
	bool asks = pv_streq(call->method, "GET") || pv_streq(call->method, "HEAD");

	add_login(registry, call);
	if (pv_registry_http(call, registry->shown, err) < 0)
		return -1;
	if (call->status != 401 || !call->challenge || !pv_starts(call->challenge, "Bearer "))
		return 0;
	if (pv_registry_token(registry, call->challenge + strlen("Bearer "), asks ? "pull" : "pull,push", err) < 0)
		return -1;
	add_login(registry, call);
	return pv_registry_http(call, registry->shown, err);
}

static int answered(const struct pv_registry *registry, const struct pv_registry_call *call, const char *what,
		    struct pv_error *err)
{
	bool refused = call->status == 401 || call->status == 403;

	return pv_error_set(err, PV_ERR_ARCHIVE, "%s: %s: the registry answered %ld%s", registry->shown, what, call->status,
			    refused ? " (see --cache-credentials)" : "");
}

static char *url_of(const struct pv_registry *registry, const char *kind, const char *name)
{
	return pv_fmt("%s/v2/%s/%s/%s", registry->site, registry->repository, kind, name);
}

int pv_registry_manifest(struct pv_registry *registry, const char *tag, const char *type, size_t max, struct pv_str *ret,
			 bool *ret_found, struct pv_error *err)
{
	pv_autofree char *url = url_of(registry, "manifests", tag);
	pv_autostr text = PV_STR_INIT;
	pv_autoregistrycall call = { .method = "GET", .url = url, .accept = type, .text = &text, .max = max };

	if (ask(registry, &call, err) < 0)
		return -1;
	if (call.status != 200 && call.status != 404)
		return answered(registry, &call, tag, err);
	*ret_found = call.status == 200;
	pv_str_addn(ret, pv_str_text(&text), text.len);
	return 0;
}

static int get_blob(struct pv_registry *registry, const char *sha256, uint64_t size, struct pv_registry_call *call,
		    struct pv_error *err)
{
	pv_autofree char *name = pv_fmt("sha256:%s", sha256);
	pv_autofree char *url = url_of(registry, "blobs", name);

	call->method = "GET";
	call->url = url;
	call->max = size;
	if (ask(registry, call, err) < 0)
		return -1;
	if (call->status != 200)
		return answered(registry, call, name, err);
	if (call->have != size)
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: %s: %llu of %llu bytes", registry->shown, name,
				    (unsigned long long)call->have, (unsigned long long)size);
	return 0;
}

static int check_digest(const struct pv_registry *registry, const char *has, const char *wanted, struct pv_error *err)
{
	if (pv_streq(has, wanted))
		return 0;
	return pv_error_set(err, PV_ERR_ARCHIVE, "%s: sha256:%s: the registry sent another blob", registry->shown, wanted);
}

int pv_registry_blob(struct pv_registry *registry, const char *sha256, uint64_t size, struct pv_str *ret, struct pv_error *err)
{
	pv_autostr text = PV_STR_INIT;
	pv_autoregistrycall call = { .text = &text };
	char hex[PV_SHA256_HEX];

	if (get_blob(registry, sha256, size, &call, err) < 0)
		return -1;
	pv_digest_mem(pv_str_text(&text), text.len, hex);
	if (check_digest(registry, hex, sha256, err) < 0)
		return -1;
	pv_str_addn(ret, pv_str_text(&text), text.len);
	return 0;
}

int pv_registry_blob_file(struct pv_registry *registry, const char *sha256, uint64_t size, int fd, struct pv_error *err)
{
	pv_autodigest *digest = pv_digest_new();
	pv_autoregistrycall call = { .out_fd = fd, .digest = digest };
	char hex[PV_SHA256_HEX];

	if (get_blob(registry, sha256, size, &call, err) < 0)
		return -1;
	pv_digest_hex(digest, hex);
	return check_digest(registry, hex, sha256, err);
}

/* --- uploads --- */

static bool same_part(CURLU *a, CURLU *b, CURLUPart part)
{
	char *x = NULL, *y = NULL;
	bool same = curl_url_get(a, part, &x, CURLU_DEFAULT_PORT) == CURLUE_OK &&
		    curl_url_get(b, part, &y, CURLU_DEFAULT_PORT) == CURLUE_OK && pv_streq(x, y);

	curl_free(x);
	curl_free(y);
	return same;
}

/* Where the registry wants a blob: on the same site, else NULL. */
static char *upload_url(const struct pv_registry *registry, const char *location, const char *sha256)
{
	pv_autofree char *digest = pv_fmt("digest=sha256:%s", sha256);
	CURLU *site = curl_url(), *url = curl_url();
	char *text = NULL, *ret = NULL;

	if (site && url && location && curl_url_set(site, CURLUPART_URL, registry->site, 0) == CURLUE_OK &&
	    curl_url_set(url, CURLUPART_URL, registry->site, 0) == CURLUE_OK &&
	    curl_url_set(url, CURLUPART_URL, location, CURLU_DISALLOW_USER) == CURLUE_OK &&
	    same_part(site, url, CURLUPART_SCHEME) && same_part(site, url, CURLUPART_HOST) &&
	    same_part(site, url, CURLUPART_PORT) &&
	    curl_url_set(url, CURLUPART_QUERY, digest, CURLU_APPENDQUERY | CURLU_URLENCODE) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_URL, &text, 0) == CURLUE_OK)
		ret = pv_xstrdup(text);
	curl_free(text);
	curl_url_cleanup(site);
	curl_url_cleanup(url);
	return ret;
}

static int has_blob(struct pv_registry *registry, const char *name, bool *ret, struct pv_error *err)
{
	pv_autofree char *url = url_of(registry, "blobs", name);
	pv_autoregistrycall call = { .method = "HEAD", .url = url };

	if (ask(registry, &call, err) < 0)
		return -1;
	if (call.status != 200 && call.status != 404)
		return answered(registry, &call, name, err);
	*ret = call.status == 200;
	return 0;
}

int pv_registry_push_blob(struct pv_registry *registry, const char *sha256, uint64_t size, const void *data, int fd,
			  struct pv_error *err)
{
	pv_autofree char *name = pv_fmt("sha256:%s", sha256);
	pv_autofree char *start = url_of(registry, "blobs", "uploads/");
	pv_autoregistrycall begin = { .method = "POST", .url = start };
	bool there = false;

	if (has_blob(registry, name, &there, err) < 0)
		return -1;
	if (there)
		return 0;
	if (ask(registry, &begin, err) < 0)
		return -1;
	if (begin.status != 202)
		return answered(registry, &begin, name, err);
	pv_autofree char *url = upload_url(registry, begin.location, sha256);
	if (!url)
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: wants uploads on another site", registry->shown);
	pv_autoregistrycall put = { .method = "PUT", .url = url, .type = BLOB_TYPE, .data = data, .in_fd = fd,
				    .in_size = size };
	if (ask(registry, &put, err) < 0)
		return -1;
	return put.status == 201 ? 0 : answered(registry, &put, name, err);
}

int pv_registry_push_manifest(struct pv_registry *registry, const char *tag, const char *type, const char *text,
			      struct pv_error *err)
{
	pv_autofree char *url = url_of(registry, "manifests", tag);
	pv_autoregistrycall put = { .method = "PUT", .url = url, .type = type, .data = text, .in_size = strlen(text) };

	if (ask(registry, &put, err) < 0)
		return -1;
	return put.status == 201 ? 0 : answered(registry, &put, tag, err);
}
