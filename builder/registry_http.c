/* SPDX-License-Identifier: Apache-2.0 */
/* One request to a registry: curl's settings, where bytes come from and go to, which headers matter. */
#include "registry_http.h"

#include <curl/curl.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "fsutil.h"
#include "proc.h"

#define CONNECT_SECONDS 10L
#define SLOW_BYTES 1024L
#define SLOW_SECONDS 30L
#define REDIRECTS 5L
#define HEADER_MAX 4096u
#define BUFFER (128L << 10)

struct transfer {
	struct pv_registry_call *call;
	CURL *easy;
	struct curl_slist *headers;
	char message[CURL_ERROR_SIZE];
	CURLcode code;			/* of the settings */
};

void pv_registry_call_done(struct pv_registry_call *call)
{
	pv_freep(&call->location);
	pv_freep(&call->challenge);
}

static size_t take_body(char *data, size_t one, size_t n, void *ctx)
{
	struct transfer *t = ctx;
	struct pv_registry_call *call = t->call;
	long status = 0;

	(void)one;		/* always 1 */
	(void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200 || (!call->text && !call->digest))
		return n;
	if (n > call->max - call->have) {
		call->too_long = true;
		return 0;
	}
	if (call->text) {
		pv_str_addn(call->text, data, n);
	} else {
		if (pv_write_all(call->out_fd, data, n) < 0) {
			call->disk_errno = errno;
			return 0;
		}
		pv_digest_add(call->digest, data, n);
	}
	call->have += n;
	return n;
}

static size_t give_body(char *data, size_t one, size_t n, void *ctx)
{
	struct pv_registry_call *call = ((struct transfer *)ctx)->call;
	uint64_t left = call->in_size - call->in_done;

	n *= one;
	if (n > left)
		n = (size_t)left;
	if (call->data) {
		memcpy(data, (const char *)call->data + call->in_done, n);
	} else if (n > 0 && pv_pread_all(call->in_fd, data, n, (off_t)call->in_done) != (ssize_t)n) {
		call->disk_errno = errno ? errno : EIO;
		return CURL_READFUNC_ABORT;
	}
	call->in_done += n;
	return n;
}

/* curl begins again where it found a kept connection closed. */
static int rewind_body(void *ctx, curl_off_t offset, int origin)
{
	struct pv_registry_call *call = ((struct transfer *)ctx)->call;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > call->in_size)
		return CURL_SEEKFUNC_FAIL;
	call->in_done = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

static void take_value(const char *line, size_t n, const char *name, char **ret)
{
	size_t len = strlen(name);

	if (n <= len || n > HEADER_MAX || strncasecmp(line, name, len) != 0)
		return;
	const char *from = line + len, *end = line + n;
	while (from < end && (*from == ' ' || *from == '\t'))
		from++;
	while (end > from && strchr("\r\n \t", end[-1]))
		end--;
	pv_freep(ret);
	*ret = pv_xstrndup(from, (size_t)(end - from));
}

static size_t take_header(char *line, size_t one, size_t n, void *ctx)
{
	struct pv_registry_call *call = ((struct transfer *)ctx)->call;

	(void)one;
	take_value(line, n, "Location:", &call->location);
	take_value(line, n, "WWW-Authenticate:", &call->challenge);
	return n;
}

static int watch(void *ctx, curl_off_t down, curl_off_t now, curl_off_t up, curl_off_t upped)
{
	(void)ctx, (void)down, (void)now, (void)up, (void)upped;
	return pv_proc_interrupted() != 0;
}

static void add_header(struct transfer *t, const char *name, const char *value)
{
	pv_autofree char *line = value ? pv_fmt("%s: %s", name, value) : pv_fmt("%s:", name);
	struct curl_slist *longer = curl_slist_append(t->headers, line);

	if (longer)
		t->headers = longer;
	else
		t->code = CURLE_OUT_OF_MEMORY;
}

#define SET(t, option, value) \
	((void)((t)->code == CURLE_OK && ((t)->code = curl_easy_setopt((t)->easy, option, value))))

static void set_limits(struct transfer *t)
{
	SET(t, CURLOPT_NOSIGNAL, 1L);
	SET(t, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
	SET(t, CURLOPT_LOW_SPEED_LIMIT, SLOW_BYTES);
	SET(t, CURLOPT_LOW_SPEED_TIME, SLOW_SECONDS);
	SET(t, CURLOPT_BUFFERSIZE, BUFFER);
	SET(t, CURLOPT_UPLOAD_BUFFERSIZE, BUFFER);
	SET(t, CURLOPT_USERAGENT, "pvimg");
	SET(t, CURLOPT_ERRORBUFFER, t->message);
	SET(t, CURLOPT_NOPROGRESS, 0L);
	SET(t, CURLOPT_XFERINFOFUNCTION, watch);
	SET(t, CURLOPT_WRITEFUNCTION, take_body);
	SET(t, CURLOPT_WRITEDATA, t);
	SET(t, CURLOPT_HEADERFUNCTION, take_header);
	SET(t, CURLOPT_HEADERDATA, t);
}

/* Basic and Bearer go to this host only, not to one it redirects to. */
static void set_login(struct transfer *t)
{
	const struct pv_registry_call *call = t->call;

	if (call->token) {
		SET(t, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
		SET(t, CURLOPT_XOAUTH2_BEARER, call->token);
	} else if (call->user) {
		SET(t, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
		SET(t, CURLOPT_USERNAME, call->user);
		SET(t, CURLOPT_PASSWORD, call->password);
	}
}

static void set_request(struct transfer *t)
{
	const struct pv_registry_call *call = t->call;
	bool asks = pv_streq(call->method, "GET") || pv_streq(call->method, "HEAD");

	SET(t, CURLOPT_URL, call->url);
	SET(t, CURLOPT_PROTOCOLS_STR, call->secure ? "https" : "http");
	SET(t, CURLOPT_REDIR_PROTOCOLS_STR, "https");
	if (!call->secure)
		SET(t, CURLOPT_NOPROXY, "*");	/* what is for this host stays on it */
	SET(t, CURLOPT_FOLLOWLOCATION, asks && call->secure ? 1L : 0L);
	SET(t, CURLOPT_MAXREDIRS, REDIRECTS);
	if (pv_streq(call->method, "HEAD")) {
		SET(t, CURLOPT_NOBODY, 1L);
	} else if (!asks) {
		SET(t, CURLOPT_UPLOAD, 1L);
		SET(t, CURLOPT_CUSTOMREQUEST, call->method);
		SET(t, CURLOPT_INFILESIZE_LARGE, (curl_off_t)call->in_size);
		SET(t, CURLOPT_READFUNCTION, give_body);
		SET(t, CURLOPT_READDATA, t);
		SET(t, CURLOPT_SEEKFUNCTION, rewind_body);
		SET(t, CURLOPT_SEEKDATA, t);
	}
	if (call->accept)
		add_header(t, "Accept", call->accept);
	if (call->type)
		add_header(t, "Content-Type", call->type);
	add_header(t, "Expect", NULL);		/* no second of waiting before each upload */
	SET(t, CURLOPT_HTTPHEADER, t->headers);
}

static int judge(const struct transfer *t, CURLcode code, const char *shown, struct pv_error *err)
{
	const char *words = t->message[0] ? t->message : curl_easy_strerror(code);
	pv_autofree char *cause = pv_printable(words, strlen(words));

	if (pv_proc_check_interrupt(err) < 0)
		return -1;
	if (t->call->disk_errno)
		return pv_error_errno(err, PV_ERR_STAGE, t->call->disk_errno, "%s: local disk", shown);
	if (t->call->too_long)
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: an answer longer than %llu bytes", shown,
				    (unsigned long long)t->call->max);
	return pv_error_set(err, PV_ERR_ARCHIVE, "%s: %s", shown, cause);
}

int pv_registry_http(struct pv_registry_call *call, const char *shown, struct pv_error *err)
{
	struct transfer t = { .call = call, .easy = curl_easy_init() };

	if (!t.easy)
		return pv_error_set(err, PV_ERR_HOST, "libcurl: cannot start a transfer");
	call->in_done = 0;
	set_limits(&t);
	set_login(&t);
	set_request(&t);
	CURLcode code = t.code == CURLE_OK ? curl_easy_perform(t.easy) : t.code;
	(void)curl_easy_getinfo(t.easy, CURLINFO_RESPONSE_CODE, &call->status);
	int rc = code == CURLE_OK ? 0 : judge(&t, code, shown, err);
	curl_easy_cleanup(t.easy);
	curl_slist_free_all(t.headers);
	return rc;
}
