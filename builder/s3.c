/* SPDX-License-Identifier: Apache-2.0 */
/* One request to an S3 server: its address, its signature, what is tried again, and what an error means. */
#include "s3.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proc.h"
#include "s3_priv.h"

#define TRIES 6u
#define FIRST_PAUSE_MS 400u		/* doubled each time: 12 s in all */
#define HEADERS_MAX 12u
#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

struct pv_s3 {
	const struct pv_s3_place *place;
	struct pv_wire *wire;
	char *base, *shown;		/* URL of the bucket; "s3://BUCKET at HOST" */
	char *aws;
	bool tidying;
};

void pv_s3_reply_done(struct pv_s3_reply *r)
{
	pv_str_done(&r->body);
	pv_freep(&r->code);
	r->status = 0;
}

int pv_s3_new(const struct pv_s3_place *place, const struct pv_trust *trust, struct pv_s3 **ret, struct pv_error *err)
{
	const char *host = strstr(place->endpoint, "://");
	struct pv_wire *wire = NULL;

	if (!host)
		return pv_error_set(err, PV_ERR_USAGE, "%s: https://HOST[:PORT] is wanted", place->endpoint);
	if (pv_wire_new(trust, &wire, err) < 0)
		return -1;
	host += 3;
	struct pv_s3 *s3 = pv_xcalloc(1, sizeof(*s3));
	s3->place = place;
	s3->wire = wire;
	if (place->virtual_host)
		s3->base = pv_fmt("%.*s%s.%s", (int)(host - place->endpoint), place->endpoint, place->bucket, host);
	else
		s3->base = pv_fmt("%s/%s", place->endpoint, place->bucket);
	s3->shown = pv_fmt("s3://%s at %s", place->bucket, host);
	s3->aws = pv_fmt("aws:amz:%s:s3", place->region);
	*ret = s3;
	return 0;
}

void pv_s3_freep(struct pv_s3 **s3)
{
	if (!*s3)
		return;
	pv_wire_free((*s3)->wire);
	free((*s3)->base);
	free((*s3)->shown);
	free((*s3)->aws);
	free(*s3);
	*s3 = NULL;
}

void pv_s3_tidying(struct pv_s3 *s3)
{
	s3->tidying = true;
	pv_wire_tidying(s3->wire);
}

const char *pv_s3_header(const struct pv_s3 *s3, const char *name)
{
	return pv_wire_header(s3->wire, name);
}

const struct pv_s3_place *pv_s3_place(const struct pv_s3 *s3)
{
	return s3->place;
}

char *pv_s3_full_key(const struct pv_s3 *s3, const char *key)
{
	return pv_fmt("%s%s", s3->place->prefix, key);
}

char *pv_s3_encode(const char *text, bool slash)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
	pv_autostr s = PV_STR_INIT;

	for (; *text; text++) {
		if (strchr(plain, *text) || (slash && *text == '/'))
			pv_str_addc(&s, *text);
		else
			pv_str_addf(&s, "%%%02X", (unsigned)(unsigned char)*text);
	}
	return pv_str_steal(&s);
}

/* --- what an answer means --- */

/* The way out, for what a person can do something about; NULL: none is known. */
static const char *advice(const char *code)
{
	static const char *const table[][2] = {
		{ "RequestTimeTooSkewed", "this host's clock and the server's differ by too much; set the clock" },
		{ "SignatureDoesNotMatch", "the secret key is wrong, or the region is another one" },
		{ "InvalidAccessKeyId", "there is no such key id; see AWS_ACCESS_KEY_ID or AWS_PROFILE" },
		{ "ExpiredToken", "the session token has expired; get a new one" },
		{ "InvalidToken", "the session token is wrong; get a new one" },
		{ "AccessDenied", "the key may not do this here; the bucket's policy must allow it s3:GetObject, s3:PutObject, "
				  "s3:DeleteObject, s3:ListBucket, s3:ListBucketMultipartUploads, s3:ListMultipartUploadParts "
				  "and s3:AbortMultipartUpload" },
		{ "NoSuchBucket", "there is no such bucket; make it first" },
		{ "AuthorizationHeaderMalformed", "the bucket is in another region; name it with ?region=" },
		{ "PermanentRedirect", "the bucket is in another region; name it with ?region=" },
	};

	for (size_t i = 0; i < PV_COUNT(table); i++)
		if (pv_streq(code, table[i][0]))
			return table[i][1];
	return NULL;
}

static void read_code(struct pv_s3_reply *reply, char **ret_message)
{
	pv_autos3answer a = { 0 };

	pv_freep(&reply->code);
	if (pv_s3_answer_parse(pv_str_text(&reply->body), reply->body.len, &a, NULL) == 0 && pv_streq(a.root, "Error")) {
		reply->code = pv_steal(&a.code);
		*ret_message = pv_steal(&a.message);
	}
}

static int refuse(const struct pv_s3 *s3, const struct pv_s3_ask *ask, const struct pv_s3_reply *reply, const char *message,
		  struct pv_error *err)
{
	const char *way_out = advice(reply->code), *key = ask->key ? ask->key : "the bucket";

	if (way_out)
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: %s %s: %s: %s", s3->shown, ask->method, key, reply->code,
				    way_out);
	if (reply->status == 403 && !reply->code)	/* HEAD has no body */
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: %s %s: status 403: the key may not do this here, or may not list "
				    "the bucket, without which nobody is told what is not there", s3->shown, ask->method, key);
	return pv_error_set(err, PV_ERR_ARCHIVE, "%s: %s %s: status %ld%s%s%s%.300s", s3->shown, ask->method, key,
			    reply->status, reply->code ? ", " : "", reply->code ? reply->code : "", message ? ": " : "",
			    message ? message : "");
}

static bool may_pass(const struct pv_s3_reply *reply, bool again)
{
	if (pv_streq(reply->code, "RequestTimeout") || pv_streq(reply->code, "SlowDown"))
		return true;
	return again && reply->status != 501;
}

/* --- one request --- */

static void show(void *ctx, uint64_t done, uint64_t total)
{
	void *const *both = ctx;
	const struct pv_s3 *s3 = both[0];
	const struct pv_s3_ask *ask = both[1];

	(void)total;
	s3->place->progress(s3->place->ctx, ask->shown_from + done, ask->shown_total);
}

static char *url_of(const struct pv_s3 *s3, const struct pv_s3_ask *ask)
{
	pv_autofree char *full = ask->key ? pv_s3_full_key(s3, ask->key) : pv_xstrdup(""), *path = pv_s3_encode(full, true);

	return pv_fmt("%s/%s%s%s", s3->base, path, ask->query ? "?" : "", ask->query ? ask->query : "");
}

static int once(struct pv_s3 *s3, const struct pv_s3_ask *ask, struct pv_s3_reply *reply, bool *ret_again,
		struct pv_error *err)
{
	const char *session = s3->place->who->token;
	pv_autofree char *url = url_of(s3, ask), *token = session ? pv_fmt("x-amz-security-token: %s", session) : NULL;
	pv_autofree char *sum = pv_fmt("x-amz-content-sha256: %s", ask->sha256 ? ask->sha256 : EMPTY_SHA256);
	const char *headers[HEADERS_MAX];
	size_t n = 0;
	pv_autoreply got = { 0 };
	void *both[2] = { s3, (void *)(uintptr_t)ask };

	headers[n++] = sum;
	if (token)
		headers[n++] = token;
	for (size_t i = 0; i < ask->nheaders && n < HEADERS_MAX; i++)
		headers[n++] = ask->headers[i];
	const struct pv_wire_request request = {
		.method = ask->method, .url = url, .shown = s3->shown, .headers = headers, .nheaders = n, .size = ask->size,
		.text = ask->text, .fd = ask->fd, .seekable = true, .offset = ask->offset, .answer = &reply->body,
		.answer_max = ask->answer_max ? ask->answer_max : PV_S3_ANSWER, .aws = s3->aws,
		.key_id = s3->place->who->key_id, .secret = s3->place->who->secret,
		.progress = ask->shows && s3->place->progress ? show : NULL, .progress_ctx = both,
	};
	pv_str_reset(&reply->body);
	int rc = pv_wire_do(s3->wire, &request, &got, err);
	reply->status = got.status;
	*ret_again = got.again;
	return rc;
}

static int pause_ms(unsigned ms, struct pv_error *err)
{
	const struct timespec slice = { .tv_nsec = 100000000 };

	for (; ms >= 100; ms -= 100) {
		if (pv_proc_check_interrupt(err) < 0)
			return -1;
		(void)nanosleep(&slice, NULL);
	}
	return pv_proc_check_interrupt(err);
}

static void tell(const struct pv_s3 *s3, const char *why)
{
	pv_autofree char *line = pv_fmt("%s; trying again", why);

	if (s3->place->note)
		s3->place->note(s3->place->ctx, line);
}

int pv_s3_do(struct pv_s3 *s3, const struct pv_s3_ask *ask, long fine, struct pv_s3_reply *reply, struct pv_error *err)
{
	unsigned pause = FIRST_PAUSE_MS;

	for (unsigned tries = 1;; tries++, pause *= 2) {
		pv_autoerror why = PV_ERROR_INIT;
		pv_autofree char *message = NULL;
		bool again = false;

		if (once(s3, ask, reply, &again, &why) == 0) {
			if (reply->status / 100 == 2 || (fine && reply->status == fine))
				return 0;
			read_code(reply, &message);
			again = may_pass(reply, again);
			(void)refuse(s3, ask, reply, message, &why);
		}
		if (!again || tries == TRIES || s3->tidying || pv_proc_interrupted())
			return pv_error_set(err, why.kind, "%s", why.text);
		tell(s3, why.text);
		if (pause_ms(pause, err) < 0)
			return -1;
	}
}

int pv_s3_do_xml(struct pv_s3 *s3, const struct pv_s3_ask *ask, const char *root, struct pv_s3_answer *ret,
		 struct pv_s3_reply *reply, struct pv_error *err)
{
	pv_autos3answer a = { 0 };

	if (pv_s3_do(s3, ask, 0, reply, err) < 0)
		return -1;
	if (pv_s3_answer_parse(pv_str_text(&reply->body), reply->body.len, &a, err) < 0)
		return pv_error_wrap(err, "%s: %s %s", s3->shown, ask->method, ask->key ? ask->key : "the bucket");
	if (pv_streq(a.root, "Error")) {
		free(reply->code);
		reply->code = pv_steal(&a.code);
		return refuse(s3, ask, reply, a.message, err);
	}
	if (!pv_streq(a.root, root))
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: %s %s: the answer is a %.100s, no %s", s3->shown, ask->method,
				    ask->key ? ask->key : "the bucket", a.root, root);
	*ret = a;
	a = (struct pv_s3_answer){ 0 };
	return 0;
}

/* --- objects --- */

/* A missing key is no error, a missing bucket is one. */
static int not_found(const struct pv_s3 *s3, const struct pv_s3_ask *ask, struct pv_s3_reply *reply, struct pv_error *err)
{
	pv_autofree char *message = NULL;

	read_code(reply, &message);
	return reply->code && !pv_streq(reply->code, "NoSuchKey") ? refuse(s3, ask, reply, message, err) : 0;
}

int pv_s3_get(struct pv_s3 *s3, const char *key, size_t max, char **ret, size_t *ret_len, struct pv_error *err)
{
	const struct pv_s3_ask ask = { .method = "GET", .key = key, .fd = -1, .answer_max = max };
	pv_autos3reply reply = { 0 };

	if (pv_s3_do(s3, &ask, 404, &reply, err) < 0)
		return -1;
	*ret = NULL;
	*ret_len = 0;
	if (reply.status == 404)
		return not_found(s3, &ask, &reply, err);
	*ret_len = reply.body.len;
	*ret = pv_str_steal(&reply.body);
	return 0;
}

int pv_s3_stat(struct pv_s3 *s3, const char *key, struct pv_s3_head *ret, struct pv_error *err)
{
	const struct pv_s3_ask ask = { .method = "HEAD", .key = key, .fd = -1 };
	pv_autos3reply reply = { 0 };
	struct pv_s3_head head = { 0 };

	if (pv_s3_do(s3, &ask, 404, &reply, err) < 0)
		return -1;
	if (reply.status != 404) {
		const char *length = pv_s3_header(s3, "Content-Length"), *written = pv_s3_header(s3, "Last-Modified"),
			   *now = pv_s3_header(s3, "Date");
		time_t from = written ? curl_getdate(written, NULL) : -1, to = now ? curl_getdate(now, NULL) : -1;

		if (!length || pv_parse_u64(length, 0, INT64_MAX, &head.size) < 0)
			return pv_error_set(err, PV_ERR_ARCHIVE, "%s: HEAD %s: no length in the answer", s3->shown, key);
		head.there = true;
		head.age = from > 0 && to > from ? (uint64_t)(to - from) : 0;
	}
	*ret = head;
	return 0;
}

static int put_text(struct pv_s3 *s3, const char *key, const char *text, bool only_new, struct pv_s3_reply *reply,
		    struct pv_error *err)
{
	const char *headers[] = { pv_ends(key, ".json") ? "Content-Type: application/json" : "Content-Type: text/plain",
				  "If-None-Match: *" };
	char sha256[PV_SHA256_HEX];
	const struct pv_s3_ask ask = { .method = "PUT", .key = key, .headers = headers, .nheaders = only_new ? 2 : 1,
				       .text = text, .fd = -1, .size = strlen(text), .sha256 = sha256 };

	pv_digest_mem(text, strlen(text), sha256);
	return pv_s3_do(s3, &ask, only_new ? 412 : 0, reply, err);
}

int pv_s3_put(struct pv_s3 *s3, const char *key, const char *text, struct pv_error *err)
{
	pv_autos3reply reply = { 0 };

	return put_text(s3, key, text, false, &reply, err);
}

int pv_s3_put_new(struct pv_s3 *s3, const char *key, const char *text, bool *ret_knows, struct pv_error *err)
{
	pv_autos3reply reply = { 0 };
	pv_autoerror why = PV_ERROR_INIT;

	*ret_knows = true;
	if (put_text(s3, key, text, true, &reply, &why) == 0)
		return 0;
	*ret_knows = reply.status != 501;
	/* 409 ConditionalRequestConflict: somebody else is just writing it */
	return reply.status == 501 || reply.status == 409 ? 0 : pv_error_set(err, why.kind, "%s", why.text);
}

int pv_s3_remove(struct pv_s3 *s3, const char *key, struct pv_error *err)
{
	const struct pv_s3_ask ask = { .method = "DELETE", .key = key, .fd = -1 };
	pv_autos3reply reply = { 0 };

	if (pv_s3_do(s3, &ask, 404, &reply, err) < 0)
		return -1;
	return reply.status == 404 ? not_found(s3, &ask, &reply, err) : 0;
}

int pv_s3_list(struct pv_s3 *s3, const char *begin, struct pv_strv *ret, struct pv_error *err)
{
	pv_autofree char *full = pv_s3_full_key(s3, begin), *prefix = pv_s3_encode(full, false), *after = NULL;
	size_t skip = strlen(s3->place->prefix);

	for (;;) {
		pv_autofree char *token = after ? pv_s3_encode(after, false) : NULL,
			       *query = pv_fmt("%s%s%slist-type=2&prefix=%s", token ? "continuation-token=" : "",
					       token ? token : "", token ? "&" : "", prefix);
		const struct pv_s3_ask ask = { .method = "GET", .query = query, .fd = -1 };
		pv_autos3reply reply = { 0 };
		pv_autos3answer a = { 0 };

		if (pv_s3_do_xml(s3, &ask, "ListBucketResult", &a, &reply, err) < 0)
			return -1;
		for (size_t i = 0; i < a.n; i++)
			if (a.entries[i].key && pv_starts(a.entries[i].key, full))
				pv_strv_add(ret, a.entries[i].key + skip);
		if (!a.truncated || !a.next_token || pv_streq(a.next_token, after))
			return 0;
		free(after);
		after = pv_steal(&a.next_token);
	}
}
