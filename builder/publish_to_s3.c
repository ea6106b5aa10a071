/* SPDX-License-Identifier: Apache-2.0 */
/* A bucket of S3, Swift or their like as a target: its address, its endpoint and its credentials. */
#include <stdlib.h>
#include <string.h>

#include "publish_s3.h"
#include "publish_version.h"
#include "url.h"

#define SCHEME "s3://"
#define FORM SCHEME "BUCKET[/PREFIX]"
#define PREFIX_MAX 512u			/* of a key's 1024 bytes */

struct target {
	struct pv_s3_address address;
	struct pv_aws who;
	char *shown;
};

void pv_s3_address_done(struct pv_s3_address *a)
{
	pv_freep(&a->bucket);
	pv_freep(&a->prefix);
	pv_freep(&a->endpoint);
	pv_freep(&a->region);
}

static void target_free(void *self)
{
	struct target *t = self;

	pv_s3_address_done(&t->address);
	pv_aws_done(&t->who);
	free(t->shown);
	free(t);
}

/* --- the address --- */

static bool only(const char *text, const char *letters, size_t min, size_t max)
{
	size_t len = strlen(text);

	return len >= min && len <= max && strspn(text, letters) == len;
}

#define ALNUM "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

/* https, or http to the loopback; nothing behind the host. */
static int check_endpoint(const char *endpoint, struct pv_error *err)
{
	pv_autofree char *shown = pv_url_redacted(endpoint);
	pv_autourl url = { 0 };

	if (pv_url_split(endpoint, &url, NULL) < 0 || pv_streq(url.scheme, "file") || *url.user || *url.password || *url.path)
		return pv_error_set(err, PV_ERR_USAGE, "endpoint %s: https://HOST[:PORT] is wanted, with nothing after it",
				    shown);
	if (pv_streq(url.scheme, "http") && !pv_url_loopback(url.host))
		return pv_error_set(err, PV_ERR_USAGE, "endpoint %s: http only goes to this host's own loopback; use https",
				    shown);
	return 0;
}

static int take_option(struct pv_s3_address *a, const char *word, struct pv_error *err)
{
	const char *equals = strchr(word, '=');
	pv_autofree char *shown = pv_printable(word, strcspn(word, "="));

	if (pv_starts(word, "endpoint=") && !a->endpoint) {
		a->endpoint = pv_xstrdup(equals + 1);
		return check_endpoint(a->endpoint, err);
	}
	if (pv_starts(word, "region=") && !a->region) {
		a->region = pv_xstrdup(equals + 1);
		return 0;
	}
	if (pv_streq(word, "addressing=path") || pv_streq(word, "addressing=virtual")) {
		a->path_style = pv_ends(word, "path");
		a->virtual_host = !a->path_style;
		return 0;
	}
	return pv_error_set(err, PV_ERR_USAGE, "?%s: there is endpoint=URL, region=NAME and addressing=path or virtual, "
			    "each once", shown);
}

static int take_options(struct pv_s3_address *a, const char *query, struct pv_error *err)
{
	while (*query) {
		size_t len = strcspn(query, "&");
		pv_autofree char *word = pv_xstrndup(query, len);

		if (take_option(a, word, err) < 0)
			return -1;
		query += len;
		query += *query == '&';
	}
	return 0;
}

static int check_parts(const struct pv_s3_address *a, struct pv_error *err)
{
	if (!only(a->bucket, ALNUM ".-_", 3, 63) || a->bucket[0] == '.' || a->bucket[0] == '-' || strstr(a->bucket, ".."))
		return pv_error_set(err, PV_ERR_USAGE, FORM " is wanted, a bucket's name has 3 to 63 letters, digits, "
				    "dots and dashes");
	if (*a->prefix && (!pv_url_path_ok(a->prefix) || strlen(a->prefix) > PREFIX_MAX || strchr(a->prefix, '%')))
		return pv_error_set(err, PV_ERR_USAGE, FORM ": the prefix has an empty part, \"..\" or a character that a "
				    "URL has not");
	return 0;
}

static int check_region(const struct pv_s3_address *a, struct pv_error *err)
{
	if (a->region && !only(a->region, ALNUM "-_", 1, 64))
		return pv_error_set(err, PV_ERR_USAGE, "region: a name such as eu-central-1 is wanted");
	return 0;
}

int pv_s3_address_parse(const char *to, struct pv_s3_address *ret, struct pv_error *err)
{
	__attribute__((cleanup(pv_s3_address_done))) struct pv_s3_address a = { 0 };
	const char *bucket = to + sizeof(SCHEME) - 1, *query = strchr(bucket, '?');
	size_t len = query ? (size_t)(query - bucket) : strlen(bucket);
	pv_autofree char *path = pv_xstrndup(bucket, len);
	char *slash = strchr(path, '/');

	a.bucket = pv_xstrndup(path, slash ? (size_t)(slash - path) : len);
	a.prefix = pv_xstrdup(slash ? slash + 1 : "");
	size_t n = strlen(a.prefix);
	if (n > 0 && a.prefix[n - 1] == '/')
		a.prefix[n - 1] = '\0';
	if (check_parts(&a, err) < 0 || (query && take_options(&a, query + 1, err) < 0) || check_region(&a, err) < 0)
		return -1;
	if (*a.prefix) {
		pv_autofree char *bare = pv_steal(&a.prefix);

		a.prefix = pv_fmt("%s/", bare);
	}
	*ret = a;
	a = (struct pv_s3_address){ 0 };
	return 0;
}

/* What the address does not say: the environment, ~/.aws, Amazon itself. */
static int settle(struct target *t, struct pv_error *err)
{
	struct pv_s3_address *a = &t->address;
	bool amazon;

	if (!a->region)
		a->region = pv_xstrdup(t->who.region);
	if (!a->endpoint && t->who.endpoint && *t->who.endpoint) {
		a->endpoint = pv_xstrdup(t->who.endpoint);
		size_t len = strlen(a->endpoint);
		if (a->endpoint[len - 1] == '/')
			a->endpoint[len - 1] = '\0';
		if (check_endpoint(a->endpoint, err) < 0)
			return -1;
	}
	amazon = !a->endpoint;
	if (amazon && !a->region)
		return pv_error_set(err, PV_ERR_USAGE, "%s: no region: add ?region=NAME, or set AWS_REGION", t->shown);
	if (!a->region)
		a->region = pv_xstrdup("us-east-1");		/* what servers of others take by default */
	if (check_region(a, err) < 0)
		return -1;
	if (amazon)
		a->endpoint = pv_fmt("https://s3.%s.amazonaws.com%s", a->region, pv_starts(a->region, "cn-") ? ".cn" : "");
	/* a name with dots is no single label of a certificate's *.HOST */
	if (amazon && !a->path_style && !strchr(a->bucket, '.'))
		a->virtual_host = true;
	return 0;
}

static int plan(const char *to, const struct pv_publish *what, void **ret, struct pv_error *err)
{
	struct target *t = pv_xcalloc(1, sizeof(*t));

	if (pv_s3_address_parse(to, &t->address, err) == 0) {
		pv_autofree char *all = pv_fmt(SCHEME "%s/%s", t->address.bucket, t->address.prefix);

		t->shown = pv_xstrndup(all, strlen(all) - 1);
		if (pv_version_plan(what, err) == 0 && pv_aws_load(&t->who, err) == 0 && settle(t, err) == 0) {
			*ret = t;
			return 0;
		}
	}
	target_free(t);
	return -1;
}

static int send(void *self, const struct pv_publish *what, struct pv_publish_result *ret, struct pv_error *err)
{
	const struct target *t = self;
	const struct pv_s3_place place = {
		.endpoint = t->address.endpoint, .region = t->address.region, .bucket = t->address.bucket,
		.prefix = t->address.prefix, .virtual_host = t->address.virtual_host, .who = &t->who,
	};

	return pv_publish_s3(&place, t->shown, what, ret, err);
}

const struct pv_publish_target pv_target_s3 = {
	.scheme = SCHEME, .form = FORM, .kind = "version", .plan = plan, .send = send, .free = target_free,
};
