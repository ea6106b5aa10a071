/* SPDX-License-Identifier: Apache-2.0 */
/* A pool of XenServer or XCP-ng hosts as a target: its address and its credentials. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fsutil.h"
#include "publish.h"
#include "publish_xapi.h"
#include "url.h"

#define CREDENTIALS_MAX 4096u

struct target {
	char *host, *sr;		/* sr NULL: the default */
	char *user, *password;
};

static void target_done(struct target *t)
{
	free(t->host);
	free(t->sr);
	free(t->user);
	free(t->password);
}
#define auto_target __attribute__((cleanup(target_done))) struct target

/* Percent signs away; -1 for what is no UTF-8. */
static int decode(const char *text, char **ret)
{
	pv_autostr s = PV_STR_INIT;
	json_t *utf8;

	for (; *text; text++) {
		char hex[3] = "";

		if (*text == '%') {
			memcpy(hex, text + 1, strnlen(text + 1, 2));
			if (strspn(hex, "0123456789abcdefABCDEF") != 2 || pv_streq(hex, "00"))
				return -1;
			pv_str_addc(&s, (char)strtol(hex, NULL, 16));
			text += 2;
		} else {
			pv_str_addc(&s, *text);
		}
	}
	utf8 = json_string(pv_str_text(&s));
	if (!utf8)
		return -1;
	json_decref(utf8);
	*ret = pv_str_steal(&s);
	return 0;
}

/* xapi://HOST[:PORT][/SR] */
static int split_to(const char *to, struct target *t, struct pv_error *err)
{
	static const char scheme[] = "xapi://";
	pv_autofree char *shown = pv_url_redacted(to), *https = NULL;
	const char *host = to + sizeof(scheme) - 1, *slash = strchr(host, '/');
	pv_autourl url = { 0 };

	https = pv_fmt("https://%.*s", slash ? (int)(slash - host) : (int)strlen(host), host);
	if (pv_url_split(https, &url, NULL) < 0)
		return pv_error_set(err, PV_ERR_USAGE, "--to %s: xapi://HOST[:PORT][/STORAGE] is wanted", shown);
	if (*url.user || *url.password)
		return pv_error_set(err, PV_ERR_USAGE, "--to %s: a password in a URL would be seen by others; put it into "
				    "PVIMG_XAPI_PASSWORD", shown);
	t->host = pv_fmt("%s%s%s", url.host, *url.port ? ":" : "", url.port);
	if (strchr(url.host, ':')) {		/* IPv6 */
		free(t->host);
		t->host = pv_fmt("[%s]%s%s", url.host, *url.port ? ":" : "", url.port);
	}
	const char *sr = slash ? slash + 1 : "";
	if (*sr && (strchr(sr, '/') || decode(sr, &t->sr) < 0))
		return pv_error_set(err, PV_ERR_USAGE, "--to %s: one storage is wanted after the host, by name or uuid", shown);
	return 0;
}

/* Two lines, user and password, in a file that nobody else can read. */
static int read_credentials(const char *path, struct target *t, struct pv_error *err)
{
	pv_autofree char *text = NULL;
	struct stat st;

	if (stat(path, &st) < 0)
		return pv_error_errno(err, PV_ERR_USAGE, errno, "%s (PVIMG_XAPI_CREDENTIALS)", path);
	if (st.st_mode & 077)
		return pv_error_set(err, PV_ERR_USAGE, "%s: others can read it; chmod 600 %s", path, path);
	if (pv_read_file(path, CREDENTIALS_MAX, &text, NULL, err) < 0)
		return -1;
	char *end = strchr(text, '\n');
	if (!end || end == text)
		return pv_error_set(err, PV_ERR_USAGE, "%s: two lines are wanted, user and password", path);
	t->user = pv_xstrndup(text, (size_t)(end - text));
	t->password = pv_xstrndup(end + 1, strcspn(end + 1, "\n"));
	return 0;
}

static int find_credentials(struct target *t, struct pv_error *err)
{
	const char *file = getenv("PVIMG_XAPI_CREDENTIALS"), *user = getenv("PVIMG_XAPI_USER"),
		   *password = getenv("PVIMG_XAPI_PASSWORD");

	if (file && *file)
		return read_credentials(file, t, err);
	if (!password || !*password)
		return pv_error_set(err, PV_ERR_USAGE, "no password: set PVIMG_XAPI_PASSWORD, or PVIMG_XAPI_CREDENTIALS to a "
				    "file of mode 0600 with user and password in two lines");
	t->user = pv_xstrdup(user && *user ? user : "root");
	t->password = pv_xstrdup(password);
	return 0;
}

static int site(const char *to, char **ret, struct pv_error *err)
{
	auto_target target = { 0 };

	if (split_to(to, &target, err) < 0)
		return -1;
	*ret = pv_fmt("https://%s", target.host);
	return 0;
}

static void free_target(void *self)
{
	target_done(self);
	free(self);
}

static int plan(const char *to, const struct pv_publish *what, void **ret, struct pv_error *err)
{
	auto_target target = { 0 };

	bool vhd = what->nformats == 1 && pv_streq(what->formats[0], "vhd");
	if (what->nformats && !vhd && !(what->nformats == 1 && pv_streq(what->formats[0], "xva")))
		return pv_error_set(err, PV_ERR_USAGE, "--format: a pool takes one of xva (the default) and vhd");
	if (split_to(to, &target, err) < 0 || find_credentials(&target, err) < 0)
		return -1;
	struct target *t = pv_xmalloc(sizeof(*t));
	*t = target;
	target = (struct target){ 0 };
	*ret = t;
	return 0;
}

static int send(void *self, const struct pv_publish *what, struct pv_publish_result *ret, struct pv_error *err)
{
	const struct target *t = self;
	struct pv_publish_xapi_result result = { 0 };
	const struct pv_publish_xapi req = {
		.host = t->host,
		.sr = t->sr,
		.trust = what->trust,
		.user = t->user,
		.password = t->password,
		.vhd = what->nformats == 1 && pv_streq(what->formats[0], "vhd"),
		.keep = what->keep ? what->keep : 1,
		.image = what->image,
		.machine = what->machine,
		.sha256 = what->sha256,
		.progress = what->progress,
		.note = what->note,
		.ctx = what->ctx,
	};

	if (pv_publish_xapi(&req, &result, err) < 0) {
		pv_publish_xapi_result_done(&result);
		return -1;
	}
	*ret = (struct pv_publish_result){ .target = result.base, .id = result.uuid, .already = result.already,
					   .sent = result.sent, .removed = result.removed, .tries = result.tries };
	memcpy(ret->sha256, result.sha256, sizeof(ret->sha256));
	return 0;
}

const struct pv_publish_target pv_target_xapi = {
	.scheme = "xapi://", .form = "xapi://HOST[:PORT][/STORAGE]", .kind = "template",
	.plan = plan, .send = send, .free = free_target, .site = site,
};
