/* SPDX-License-Identifier: Apache-2.0 */
/* Logging in, calls that are tried again, and the data's way to an image. */
#include "glance.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keystone.h"
#include "proc.h"
#include "url.h"

#define TRIES 4u
#define FIRST_PAUSE_MS 1000u		/* then twice as long each time */
#define PAGES_MAX 100u
#define TOKEN_MAX 8192u			/* Apache takes no longer header */

struct call {
	const char *method, *path;	/* path: below base */
	const char *type, *body;	/* NULL: no body */
	const struct pv_glance_data *data;	/* or this, sent once */
};

int pv_glance_pause(const struct pv_glance *g, unsigned ms, struct pv_error *err)
{
	(void)poll(NULL, 0, (int)ms);
	return pv_wire_is_tidying(g->wire) ? 0 : pv_proc_check_interrupt(err);
}

static void forget(char **text)
{
	if (*text)
		explicit_bzero(*text, strlen(*text));
	pv_freep(text);
}

/* --- Keystone --- */

static int take_token(struct pv_glance *g, const char *text, struct pv_error *err)
{
	if (!text || !*text || strlen(text) > TOKEN_MAX || text[strcspn(text, "\r\n\t ")])
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: no token came of logging in", g->cloud->shown);
	forget(&g->token);
	g->token = pv_fmt("X-Auth-Token: %s", text);
	return 0;
}

/* One try; the answer's text goes to ret. */
static int ask_keystone(struct pv_glance *g, const char *url, const char *shown, const char *body, struct pv_str *ret,
			struct pv_error *err)
{
	static const char *const headers[] = { "Content-Type: application/json", "Accept: application/json" };
	pv_autoreply reply = { 0 };
	const struct pv_wire_request req = { .method = "POST",
					     .url = url,
					     .shown = shown,
					     .headers = headers,
					     .nheaders = PV_COUNT(headers),
					     .size = strlen(body),
					     .text = body,
					     .answer = ret,
					     .answer_max = PV_KEYSTONE_ANSWER_MAX };

	int rc = pv_wire_do(g->wire, &req, &reply, err);
	g->status = reply.status;
	g->may_pass = reply.again || reply.status >= 500;
	if (rc < 0)
		return -1;
	if (reply.status == 401)
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: %s refuses the credentials (user, password, project, domain)",
				    g->cloud->shown, shown);
	if (reply.status != 201 && reply.status != 200)
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: logging in at %s is answered with %ld; is auth_url right?",
				    g->cloud->shown, shown, reply.status);
	return take_token(g, pv_wire_header(g->wire, "X-Subject-Token"), err);
}

static int log_in(struct pv_glance *g, struct pv_keystone_token *ret, struct pv_error *err)
{
	pv_autofree char *url = NULL, *shown = NULL, *body = pv_keystone_request(g->cloud);
	unsigned pause = FIRST_PAUSE_MS;
	int rc;

	if (!body)
		return pv_error_set(err, PV_ERR_USAGE, "%s: a value is no UTF-8", g->cloud->shown);
	rc = pv_keystone_url(g->cloud, &url, err);
	shown = pv_url_redacted(g->cloud->v[PV_CLOUD_AUTH_URL]);
	for (unsigned i = 1; rc == 0; i++, pause *= 2) {
		pv_autostr answer = PV_STR_INIT;

		pv_error_clear(err);
		rc = ask_keystone(g, url, shown, body, &answer, err);
		if (rc == 0) {
			rc = pv_keystone_answer(pv_str_text(&answer), answer.len, shown, g->cloud, ret, err);
			break;
		}
		if (!g->may_pass || i == TRIES)
			break;
		rc = pv_glance_pause(g, pause, err);
	}
	explicit_bzero(body, strlen(body));
	return rc;
}

static bool renews(const struct pv_glance *g)
{
	return g->cloud->auth == PV_CLOUD_BY_PASSWORD || g->cloud->auth == PV_CLOUD_BY_APP;
}

static int renew(struct pv_glance *g, struct pv_error *err)
{
	pv_autotoken token = { 0 };

	pv_error_clear(err);
	return log_in(g, &token, err);
}

/* --- calls --- */

static int judge(struct pv_glance *g, const struct call *call, struct pv_error *err)
{
	if (g->status >= 200 && g->status < 300)
		return 0;
	return pv_error_set(err, PV_ERR_ARCHIVE, "%s: %s is answered with %ld: %s", g->base,
			    call->data ? "sending" : call->method, g->status, pv_glance_why(g->status));
}

static int call_once(struct pv_glance *g, const struct call *call, struct pv_str *answer, struct pv_error *err)
{
	pv_autofree char *url = pv_fmt("%s%s", g->base, call->path), *type = NULL;
	const struct pv_glance_data *data = call->data;
	const char *headers[3];
	pv_autoreply reply = { 0 };
	struct pv_wire_request req = { .method = call->method,
				       .url = url,
				       .shown = g->base,
				       .headers = headers,
				       .text = call->body,
				       .size = call->body ? strlen(call->body) : 0,
				       .answer = answer,
				       .answer_max = PV_GLANCE_ANSWER_MAX };

	if (data) {
		/* not "seekable": curl would send again by itself on a connection that broke, to an image that has data */
		if (lseek(data->fd, 0, SEEK_SET) < 0)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "the image's file");
		req.fd = data->fd;
		req.size = data->size;
		req.progress = data->progress;
		req.progress_ctx = data->ctx;
	}
	if (call->type) {
		type = pv_fmt("Content-Type: %s", call->type);
		headers[req.nheaders++] = type;
	}
	if (g->token)
		headers[req.nheaders++] = g->token;
	int rc = pv_wire_do(g->wire, &req, &reply, err);
	g->status = reply.status;
	g->may_pass = reply.again || reply.status >= 500;
	return rc < 0 ? -1 : judge(g, call, err);
}

/* The same, with a new token where the old one has ended. */
static int call_renewed(struct pv_glance *g, const struct call *call, struct pv_str *answer, struct pv_error *err)
{
	int rc = call_once(g, call, answer, err);

	if (rc == 0 || g->status != 401 || !renews(g))
		return rc;
	pv_str_reset(answer);
	if (renew(g, err) < 0)
		return -1;
	return call_once(g, call, answer, err);
}

static int call(struct pv_glance *g, const struct call *call, struct pv_str *answer, struct pv_error *err)
{
	unsigned pause = FIRST_PAUSE_MS;

	for (unsigned i = 1;; i++, pause *= 2) {
		pv_error_clear(err);
		pv_str_reset(answer);
		int rc = call_renewed(g, call, answer, err);
		if (rc == 0 || !g->may_pass || i == TRIES || (pv_proc_interrupted() && !pv_wire_is_tidying(g->wire)))
			return rc;
		if (pv_glance_pause(g, pause, err) < 0)
			return -1;
	}
}

/* --- the session --- */

static int no_service(const struct pv_cloud *c, struct pv_error *err)
{
	const char *region = c->v[PV_CLOUD_REGION];

	return pv_error_set(err, PV_ERR_ARCHIVE, "%s: its catalog has no image service with a %s interface%s%s; %s", c->shown,
			    c->v[PV_CLOUD_INTERFACE], region ? " in region " : "", region ? region : "",
			    c->v[PV_CLOUD_PROJECT] || c->v[PV_CLOUD_PROJECT_ID] || c->auth == PV_CLOUD_BY_APP
				    ? "region_name, interface or image_endpoint_override may be what is wanted"
				    : "name a project (project_name)");
}

static int begin(struct pv_glance *g, const char *endpoint, struct pv_error *err)
{
	const struct pv_cloud *c = g->cloud;
	pv_autotoken token = { 0 };

	if (c->auth == PV_CLOUD_OWN_TOKEN) {
		if (take_token(g, c->v[PV_CLOUD_TOKEN], err) < 0)
			return -1;
	} else if (c->auth != PV_CLOUD_NO_AUTH) {
		if (log_in(g, &token, err) < 0)
			return -1;
		g->project = pv_xstrdup(token.project);
	}
	if (!endpoint)
		endpoint = c->v[PV_CLOUD_IMAGE_URL] ? c->v[PV_CLOUD_IMAGE_URL] : token.image_url;
	if (!endpoint)
		return no_service(c, err);
	if (token.image_url == endpoint && token.regions > 1 && !c->v[PV_CLOUD_REGION])
		return pv_error_set(err, PV_ERR_USAGE, "%s: it has images in %u regions; say which (region_name, "
				    "OS_REGION_NAME)", c->shown, token.regions);
	return pv_glance_base(endpoint, &g->base, err);
}

int pv_glance_open(const struct pv_cloud *cloud, const char *endpoint, const struct pv_trust *trust,
		   struct pv_glance *ret, struct pv_error *err)
{
	struct pv_glance g = { .cloud = cloud };

	if (pv_wire_new(trust, &g.wire, err) < 0)
		return -1;
	if (begin(&g, endpoint, err) < 0) {
		pv_glance_close(&g);
		return -1;
	}
	*ret = g;
	return 0;
}

void pv_glance_close(struct pv_glance *g)
{
	pv_wire_freep(&g->wire);
	forget(&g->token);
	pv_freep(&g->base);
	pv_freep(&g->project);
}

/* --- images --- */

int pv_glance_create(struct pv_glance *g, const char *id, const char *body, struct pv_glance_image *ret,
		     struct pv_error *err)
{
	const struct call c = { .method = "POST", .path = "/images", .type = "application/json", .body = body };
	pv_autostr answer = PV_STR_INIT;

	if (call(g, &c, &answer, err) == 0)
		return pv_glance_read_image(pv_str_text(&answer), answer.len, g->base, ret, err);
	if (g->status != 409)
		return -1;
	if (pv_glance_show(g, id, ret, NULL) == 0) {		/* the id is ours alone: an earlier try's answer was lost */
		pv_error_clear(err);
		return 0;
	}
	g->may_pass = false;
	return -1;
}

int pv_glance_show(struct pv_glance *g, const char *id, struct pv_glance_image *ret, struct pv_error *err)
{
	pv_autofree char *path = pv_fmt("/images/%s", id);
	const struct call c = { .method = "GET", .path = path };
	pv_autostr answer = PV_STR_INIT;

	if (call(g, &c, &answer, err) < 0)
		return -1;
	return pv_glance_read_image(pv_str_text(&answer), answer.len, g->base, ret, err);
}

int pv_glance_patch(struct pv_glance *g, const char *id, const char *body, struct pv_error *err)
{
	pv_autofree char *path = pv_fmt("/images/%s", id);
	const struct call c = { .method = "PATCH",
				.path = path,
				.type = "application/openstack-images-v2.1-json-patch",
				.body = body };
	pv_autostr answer = PV_STR_INIT;

	return call(g, &c, &answer, err);
}

int pv_glance_delete(struct pv_glance *g, const char *id, struct pv_error *err)
{
	pv_autofree char *path = pv_fmt("/images/%s", id);
	const struct call c = { .method = "DELETE", .path = path };
	pv_autostr answer = PV_STR_INIT;

	if (call(g, &c, &answer, err) == 0)
		return 0;
	if (g->status != 404)
		return -1;
	pv_error_clear(err);
	return 0;
}

/* Whatever the service took the filters for. */
static bool is_wanted(const struct pv_glance *g, const struct pv_glance_image *image, const char *name)
{
	return pv_streq(image->of, name) && (!g->project || pv_streq(image->owner, g->project));
}

int pv_glance_list(struct pv_glance *g, const char *name, bool hidden, struct pv_glance_images *ret,
		   struct pv_error *err)
{
	pv_autoglanceimages all = { 0 };
	bool more = true;
	size_t n = 0;

	for (unsigned page = 0; more; page++) {
		const char *last = all.n ? all.v[all.n - 1].id : NULL;
		pv_autofree char *path = pv_fmt("/images?limit=%u&" PV_GLANCE_KEY_NAME "=%s%s%s%s", PV_GLANCE_PAGE, name,
						hidden ? "&os_hidden=true" : "", last ? "&marker=" : "", last ? last : "");
		const struct call c = { .method = "GET", .path = path };
		pv_autostr answer = PV_STR_INIT;

		if (page == PAGES_MAX)
			return pv_error_set(err, PV_ERR_ARCHIVE, "%s: more than %u images of the name %s", g->base,
					    PAGES_MAX * PV_GLANCE_PAGE, name);
		if (call(g, &c, &answer, err) < 0 ||
		    pv_glance_read_page(pv_str_text(&answer), answer.len, g->base, &all, &more, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < all.n; i++) {
		if (is_wanted(g, &all.v[i], name))
			all.v[n++] = all.v[i];
		else
			pv_glance_image_done(&all.v[i]);
	}
	all.n = n;
	pv_glance_sort(&all);
	*ret = all;
	all = (struct pv_glance_images){ 0 };
	return 0;
}

int pv_glance_upload(struct pv_glance *g, const struct pv_glance_data *data, struct pv_error *err)
{
	pv_autofree char *path = pv_fmt("/images/%s/file", data->id);
	const struct call c = { .method = "PUT", .path = path, .type = "application/octet-stream", .data = data };
	pv_autostr answer = PV_STR_INIT;

	return call_renewed(g, &c, &answer, err);
}
