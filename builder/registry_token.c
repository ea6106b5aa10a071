/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens: what a registry's challenge asks for, got from where it says. */
#include "registry_http.h"

#include <curl/curl.h>
#include <jansson.h>
#include <string.h>
#include <strings.h>

#include "url.h"

#define ANSWER_MAX ((uint64_t)64 << 10)
#define TOKEN_MAX ((size_t)16 << 10)

/* Where in the parameters this one's value begins; NULL: nowhere. */
static const char *find_parameter(const char *list, const char *name)
{
	bool quoted = false, fresh = true;

	for (const char *p = list; *p; p++) {
		if (*p == '"')
			quoted = !quoted;
		if (!quoted && fresh && strncasecmp(p, name, strlen(name)) == 0 && p[strlen(name)] == '=')
			return p + strlen(name) + 1;
		fresh = !quoted && (*p == ',' || *p == ' ' || *p == '\t');
	}
	return NULL;
}

char *pv_registry_parameter(const char *challenge, const char *name)
{
	const char *from = find_parameter(challenge, name);

	if (!from)
		return NULL;
	if (*from != '"')
		return pv_xstrndup(from, strcspn(from, ", \t"));
	size_t len = strcspn(from + 1, "\"\\");
	return from[1 + len] == '"' ? pv_xstrndup(from + 1, len) : NULL;	/* none has a backslash that means well */
}

/* Where the token is: https, or http on loopback where the registry is that too. */
static bool realm_ok(const struct pv_registry *registry, const char *realm)
{
	pv_autourl url = { 0 };
	pv_autoerror ignored = PV_ERROR_INIT;

	if (pv_url_split(realm, &url, &ignored) < 0 || *url.user)
		return false;
	return pv_streq(url.scheme, "https") ||
	       (!registry->secure && pv_streq(url.scheme, "http") && pv_url_loopback(url.host));
}

static bool add_query(CURLU *url, const char *name, const char *value)
{
	pv_autofree char *part = pv_fmt("%s=%s", name, value);

	return curl_url_set(url, CURLUPART_QUERY, part, CURLU_APPENDQUERY | CURLU_URLENCODE) == CURLUE_OK;
}

static char *token_url(const struct pv_registry *registry, const char *realm, const char *service, const char *actions)
{
	pv_autofree char *scope = pv_fmt("repository:%s:%s", registry->repository, actions);
	CURLU *url = curl_url();
	char *text = NULL, *ret = NULL;

	if (url && curl_url_set(url, CURLUPART_URL, realm, 0) == CURLUE_OK &&
	    (!service || add_query(url, "service", service)) && add_query(url, "scope", scope) &&
	    curl_url_get(url, CURLUPART_URL, &text, 0) == CURLUE_OK)
		ret = pv_xstrdup(text);
	curl_free(text);
	curl_url_cleanup(url);
	return ret;
}

/* "token", or "access_token" as OAuth 2 has it. */
static char *read_token(const struct pv_str *answer)
{
	json_t *doc = json_loadb(pv_str_text(answer), answer->len, 0, NULL);
	const char *token = json_string_value(json_object_get(doc, "token"));
	char *ret = NULL;

	if (!token)
		token = json_string_value(json_object_get(doc, "access_token"));
	size_t len = token ? strlen(token) : 0;
	if (len > 0 && len <= TOKEN_MAX &&
	    strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=") == len)
		ret = pv_xstrdup(token);
	json_decref(doc);
	return ret;
}

int pv_registry_token(struct pv_registry *registry, const char *challenge, const char *actions, struct pv_error *err)
{
	pv_autofree char *realm = pv_registry_parameter(challenge, "realm");
	pv_autofree char *service = pv_registry_parameter(challenge, "service");
	pv_autostr answer = PV_STR_INIT;

	if (!realm || !realm_ok(registry, realm))
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: names no place for tokens that pvimg goes to", registry->shown);
	pv_autofree char *url = token_url(registry, realm, service, actions);
	pv_autofree char *shown = pv_url_redacted(realm);
	if (!url)
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: is no place for tokens", shown);
	pv_autoregistrycall call = { .method = "GET", .url = url, .secure = pv_starts(url, "https:"), .user = registry->user,
				     .password = registry->password, .text = &answer, .max = ANSWER_MAX };
	if (pv_registry_http(&call, shown, err) < 0)
		return -1;
	if (call.status != 200)
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: gives no token (%ld); is --cache-credentials right?", shown,
				    call.status);
	pv_freep(&registry->token);
	registry->token = read_token(&answer);
	return registry->token ? 0 : pv_error_set(err, PV_ERR_ARCHIVE, "%s: its answer holds no token", shown);
}
