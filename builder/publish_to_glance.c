/* SPDX-License-Identifier: Apache-2.0 */
/* An OpenStack cloud, or an image service by its address, as a target: what --to says of it. */
#include <stdlib.h>
#include <string.h>

#include "clouds.h"
#include "glance_json.h"
#include "publish.h"
#include "publish_glance.h"
#include "url.h"

#define SCHEME "glance://"
/* Compressed by zlib: the QEMU of clouds that still have Xen knows no other way (zstd: QEMU 5.1). */
#define USUAL_FORMAT "qcow2-zlib"

struct target {
	char *shown;			/* "glance://CLOUD": without the query */
	char *endpoint;			/* NULL: of the cloud's catalog */
	struct pv_cloud cloud;
	const char *format, *visibility, *old;
	bool http;
};

static void target_done(struct target *t)
{
	free(t->shown);
	free(t->endpoint);
	pv_cloud_done(&t->cloud);
}
#define auto_target __attribute__((cleanup(target_done))) struct target

/* --- the query --- */

static const char *const formats[] = { "raw", "qcow2", "qcow2-zlib", "vhd-tar-gz", NULL };

/* "vhd" is short for the tar of a VHD: what such clouds call vhd is never a bare one. */
static const char *format_of(const char *word)
{
	if (pv_streq(word, "vhd"))
		return "vhd-tar-gz";
	for (size_t i = 0; formats[i]; i++)
		if (pv_streq(word, formats[i]))
			return formats[i];
	return NULL;
}

static const char *one_of(const char *word, const char *const *words)
{
	for (size_t i = 0; words[i]; i++)
		if (pv_streq(word, words[i]))
			return words[i];
	return NULL;
}

static int take_pair(const char *key, const char *value, struct target *t, struct pv_error *err)
{
	static const char *const visibilities[] = { "private", "shared", "community", "public", NULL };
	static const char *const olds[] = { "keep", "hide", "delete", NULL };
	static const char *const schemes[] = { "http", "https", NULL };
	const char *wanted, *scheme = NULL;

	if (pv_streq(key, "format")) {
		t->format = format_of(value);
		wanted = t->format ? NULL : "qcow2-zlib, qcow2, raw or vhd is wanted";
	} else if (pv_streq(key, "visibility")) {
		t->visibility = one_of(value, visibilities);
		wanted = t->visibility ? NULL : "private, shared, community or public is wanted";
	} else if (pv_streq(key, "old")) {
		t->old = one_of(value, olds);
		wanted = t->old ? NULL : "keep, hide or delete is wanted";
	} else if (pv_streq(key, "scheme")) {
		scheme = one_of(value, schemes);
		t->http = pv_streq(scheme, "http");
		wanted = scheme ? NULL : "https, or for this very machine http, is wanted";
	} else {
		wanted = "no such word; there are format, visibility, old and scheme";
	}
	if (!wanted)
		return 0;
	return pv_error_set(err, PV_ERR_USAGE, "--to %s: %s: %s", t->shown, key, wanted);
}

static int take_query(const char *query, struct target *t, struct pv_error *err)
{
	while (*query) {
		size_t len = strcspn(query, "&");
		pv_autofree char *pair = pv_xstrndup(query, len), *key = NULL;
		size_t at = strcspn(pair, "=");

		key = pv_printable(pair, at);
		if (take_pair(key, pair[at] ? pair + at + 1 : "", t, err) < 0)
			return -1;
		query += len;
		query += *query == '&';
	}
	return 0;
}

/* --- the place --- */

static bool is_cloud(const char *place)
{
	return *place && !place[strspn(place, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._-")];
}

/* A name alone is a cloud's; with a colon or a slash it is an address. */
static int split_to(const char *to, struct target *t, struct pv_error *err)
{
	const char *query = strchr(to, '?');
	pv_autofree char *place = pv_xstrndup(to, query ? (size_t)(query - to) : strlen(to)), *url = NULL;
	const char *word = place + strlen(SCHEME);
	pv_autourl parts = { 0 };

	t->shown = pv_url_redacted(place);
	if (query && take_query(query + 1, t, err) < 0)
		return -1;
	if (is_cloud(word) && t->http)
		return pv_error_set(err, PV_ERR_USAGE, "--to %s: scheme goes with an address; a cloud's addresses say theirs",
				    t->shown);
	if (is_cloud(word))
		return 0;
	url = pv_fmt("http%s://%s", t->http ? "" : "s", word);
	if (pv_url_split(url, &parts, NULL) < 0)
		return pv_error_set(err, PV_ERR_USAGE, "--to %s: glance://CLOUD or glance://HOST[:PORT]/[PATH] is "
				    "wanted", t->shown);
	if (*parts.user || *parts.password)
		return pv_error_set(err, PV_ERR_USAGE, "--to %s: a password in a URL would be seen by others; put it into "
				    "clouds.yaml or OS_PASSWORD", t->shown);
	t->endpoint = pv_steal(&url);
	return 0;
}

/* --- the row of the table --- */

static int choose_format(const struct pv_publish *what, struct target *t, struct pv_error *err)
{
	if (t->format)
		return 0;
	t->format = USUAL_FORMAT;
	if (what->nformats == 0)
		return 0;
	t->format = what->nformats == 1 ? format_of(what->formats[0]) : NULL;
	if (t->format && !pv_streq(what->formats[0], "vhd"))
		return 0;
	return pv_error_set(err, PV_ERR_USAGE, "--format: glance takes one of qcow2-zlib (the default), qcow2, raw and "
			    "vhd-tar-gz; %s?format=... says it for this place alone", t->shown);
}

static int check_old(const struct pv_publish *what, struct target *t, struct pv_error *err)
{
	if (what->keep && pv_streq(t->old, "keep"))
		return pv_error_set(err, PV_ERR_USAGE, "--to %s: old=keep and --keep: leave one out", t->shown);
	if (!t->old)
		t->old = what->keep ? "delete" : "keep";
	return 0;
}

static void free_target(void *self)
{
	target_done(self);
	free(self);
}

static int plan(const char *to, const struct pv_publish *what, void **ret, struct pv_error *err)
{
	auto_target t = { .visibility = "private" };
	pv_autofree char *base = NULL;
	int rc;

	if (split_to(to, &t, err) < 0 || choose_format(what, &t, err) < 0 || check_old(what, &t, err) < 0)
		return -1;
	if (t.endpoint)
		rc = pv_cloud_from_environment(&t.cloud, err);
	else
		rc = pv_cloud_load(t.shown + strlen(SCHEME), &t.cloud, err);
	if (rc < 0)
		return -1;
	if (t.endpoint && pv_glance_base(t.endpoint, &base, err) < 0)
		return -1;
	struct target *copy = pv_xmalloc(sizeof(*copy));
	*copy = t;
	memset(&t, 0, sizeof(t));
	*ret = copy;
	return 0;
}

/* A cloud's is Keystone's host: which one has the images, only who is logged in knows. */
static int site(const char *to, char **ret, struct pv_error *err)
{
	auto_target t = { 0 };

	if (split_to(to, &t, err) < 0)
		return -1;
	if (t.endpoint) {
		*ret = pv_steal(&t.endpoint);
		return 0;
	}
	if (pv_cloud_load(t.shown + strlen(SCHEME), &t.cloud, err) < 0)
		return -1;
	const char *url = t.cloud.v[PV_CLOUD_AUTH_URL] ? t.cloud.v[PV_CLOUD_AUTH_URL] : t.cloud.v[PV_CLOUD_IMAGE_URL];
	if (!url)
		return pv_error_set(err, PV_ERR_USAGE, "--to %s: this cloud has neither auth_url nor image_endpoint_override",
				    t.shown);
	*ret = pv_xstrdup(url);
	return 0;
}

static int send(void *self, const struct pv_publish *what, struct pv_publish_result *ret, struct pv_error *err)
{
	const struct target *t = self;
	struct pv_publish own = *what;
	const struct pv_publish_glance req = {
		.endpoint = t->endpoint,
		.cloud = &t->cloud,
		.format = t->format,
		.visibility = t->visibility,
		.old = pv_streq(t->old, "keep") ? PV_GLANCE_KEEP : pv_streq(t->old, "hide") ? PV_GLANCE_HIDE : PV_GLANCE_DELETE,
		.keep = what->keep ? what->keep : 1,
		.what = &own,
	};

	if (!own.trust.ca_file && !own.trust.npins)
		own.trust.ca_file = t->cloud.v[PV_CLOUD_CACERT];
	if (pv_publish_glance(&req, ret, err) < 0)
		return -1;
	ret->target = pv_xstrdup(t->shown);
	return 0;
}

const struct pv_publish_target pv_target_glance = {
	.scheme = SCHEME, .form = "glance://CLOUD", .kind = "image",
	.plan = plan, .send = send, .free = free_target, .site = site,
};
