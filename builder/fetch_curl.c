/* SPDX-License-Identifier: Apache-2.0 */
/* One transfer's curl handle: its settings, where its bytes go, and what its end means. */
#include "fetch_transfer.h"

#include <errno.h>
#include <string.h>

#include "fsutil.h"
#include "url.h"

#define CONNECT_SECONDS 10L
#define REDIRECTS 5L
#define SLOW_BYTES 1024L
#define RECEIVE_BUFFER (128L << 10)
#define STATUS_NOT_FOUND 404

/* The words to add where another mirror may be the way out. */
#define OTHER_MIRROR "try again later or another --mirror"

static size_t take_bytes(char *data, size_t one, size_t n, void *ctx)
{
	struct pv_transfer *t = ctx;

	(void)one;		/* always 1 */
	/* The words of a redirection or of an answer without a file are not the file. */
	(void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->status);
	if (t->status != 0 && t->status != 200 && t->status != 206)
		return n;
	if (n > t->size - t->have) {
		t->too_long = true;
		return 0;
	}
	if (t->mem) {
		pv_str_addn(t->mem, data, n);
	} else {
		if (pv_write_all(t->fd, data, n) < 0) {
			t->write_errno = errno;
			return 0;
		}
		pv_digest_add(t->digest, data, n);
	}
	t->have += n;
	return n;
}

/* BASE/PATH as curl wants it: no userinfo, and what an archive's file name may hold but a URL may not, encoded. */
static char *url_for_curl(const struct pv_transfer *t)
{
	pv_autofree char *bare = pv_url_bare(t->base_url);
	pv_autostr path = PV_STR_INIT;

	if (!bare || !t->path)
		return pv_steal(&bare);
	for (const char *p = t->path; *p; p++) {
		if (*p == '%' || *p == '+')
			pv_str_addf(&path, "%%%02X", (unsigned)(unsigned char)*p);
		else
			pv_str_addc(&path, *p);
	}
	return pv_url_join(bare, pv_str_text(&path));
}

static CURLcode set_text(CURL *easy, CURLoption option, const char *value, CURLcode before)
{
	return before == CURLE_OK ? curl_easy_setopt(easy, option, value) : before;
}

static CURLcode set_long(CURL *easy, CURLoption option, long value, CURLcode before)
{
	return before == CURLE_OK ? curl_easy_setopt(easy, option, value) : before;
}

static CURLcode set_site(CURL *easy, const struct pv_url *url, const struct pv_transfer_settings *settings)
{
	bool secure = pv_streq(url->scheme, "https");
	const char *proxy = secure ? settings->https_proxy : settings->http_proxy;
	CURLcode code = CURLE_OK;

	/* Never from the net to a local file, never from https back to http. */
	code = set_text(easy, CURLOPT_PROTOCOLS_STR, url->scheme, code);
	code = set_text(easy, CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https", code);
	code = set_long(easy, CURLOPT_FOLLOWLOCATION, pv_streq(url->scheme, "file") ? 0 : 1, code);
	code = set_long(easy, CURLOPT_MAXREDIRS, REDIRECTS, code);
	/* curl sends these to this host only, not to one it is redirected to. */
	if (*url->user) {
		code = set_text(easy, CURLOPT_USERNAME, url->user, code);
		code = set_text(easy, CURLOPT_PASSWORD, url->password, code);
	}
	if (proxy && !pv_streq(url->scheme, "file"))
		code = set_text(easy, CURLOPT_PROXY, proxy, code);
	return code;
}

static CURLcode set_rest(struct pv_transfer *t, const struct pv_transfer_settings *settings)
{
	CURL *easy = t->easy;
	CURLcode code = CURLE_OK;

	code = set_long(easy, CURLOPT_NOSIGNAL, 1, code);
	code = set_long(easy, CURLOPT_FAILONERROR, 1, code);
	code = set_long(easy, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS, code);
	code = set_long(easy, CURLOPT_LOW_SPEED_LIMIT, SLOW_BYTES, code);
	code = set_long(easy, CURLOPT_LOW_SPEED_TIME, settings->slow_seconds, code);
	code = set_long(easy, CURLOPT_BUFFERSIZE, RECEIVE_BUFFER, code);
	code = set_long(easy, CURLOPT_QUICK_EXIT, 1, code);
	code = set_text(easy, CURLOPT_USERAGENT, "pvimg", code);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->message);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_bytes);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_PRIVATE, t);
	if (code == CURLE_OK && t->have > 0)
		code = curl_easy_setopt(easy, CURLOPT_RESUME_FROM_LARGE, (curl_off_t)t->have);
	return code;
}

int pv_curl_begin(struct pv_transfer *t, const struct pv_transfer_settings *settings, struct pv_error *err)
{
	pv_autourl url = { 0 };
	pv_autofree char *text = NULL;
	CURLcode code;

	if (pv_url_split(t->base_url, &url, err) < 0)
		return -1;
	text = url_for_curl(t);
	t->too_long = false;
	t->write_errno = 0;
	t->status = 0;
	t->message[0] = '\0';
	t->easy = curl_easy_init();
	if (!t->easy)
		return pv_error_set(err, PV_ERR_HOST, "libcurl: cannot start a transfer");
	code = curl_easy_setopt(t->easy, CURLOPT_URL, text);
	if (code == CURLE_OK)
		code = set_site(t->easy, &url, settings);
	if (code == CURLE_OK)
		code = set_rest(t, settings);
	if (code == CURLE_OK)
		return 0;
	curl_easy_cleanup(t->easy);
	t->easy = NULL;
	return pv_error_set(err, PV_ERR_HOST, "libcurl: %s", curl_easy_strerror(code));
}

static bool is_transient(CURLcode code)
{
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_CONNECT:
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
	case CURLE_HTTP3:
	case CURLE_AGAIN:
		return true;
	default:
		return false;
	}
}

/* What the part held does not go with what the server has: once more from the first byte, and only once. */
static enum pv_transfer_end afresh_once(struct pv_transfer *t)
{
	if (t->start == 0 || t->afresh)
		return PV_TRANSFER_FAILED;
	t->afresh = true;
	return PV_TRANSFER_AFRESH;
}

static enum pv_transfer_end judge_status(struct pv_transfer *t, const char *name, struct pv_error *err)
{
	switch (t->status) {
	case STATUS_NOT_FOUND:
	case 410:
		if (t->path && pv_starts(t->path, "pool/"))
			(void)pv_error_set(err, PV_ERR_ARCHIVE, "%s: not found (%ld); the mirror's index is newer "
					   "or older than its pool: " OTHER_MIRROR, name, t->status);
		else
			(void)pv_error_set(err, PV_ERR_ARCHIVE, "%s: not found (%ld)", name, t->status);
		return PV_TRANSFER_FAILED;
	case 401:
	case 403:
		(void)pv_error_set(err, PV_ERR_ARCHIVE, "%s: refused (%ld); are the user name and password in "
				   "the mirror's URL right?", name, t->status);
		return PV_TRANSFER_FAILED;
	case 407:
		(void)pv_error_set(err, PV_ERR_ARCHIVE, "%s: the proxy wants a user name and password (407)",
				   name);
		return PV_TRANSFER_FAILED;
	case 416:		/* our part is not a beginning of that file */
		(void)pv_error_set(err, PV_ERR_ARCHIVE, "%s: the server's file is shorter than the %llu bytes that "
				   "the index says; " OTHER_MIRROR, name, (unsigned long long)t->size);
		return afresh_once(t);
	default:
		(void)pv_error_set(err, PV_ERR_ARCHIVE, "%s: the server answered %ld; " OTHER_MIRROR, name,
				   t->status);
		return t->status == 408 || t->status == 429 || t->status >= 500 ? PV_TRANSFER_AGAIN
									       : PV_TRANSFER_FAILED;
	}
}

static enum pv_transfer_end judge_failure(struct pv_transfer *t, CURLcode code, const char *name,
					  struct pv_error *err)
{
	const char *words = t->message[0] ? t->message : curl_easy_strerror(code);
	pv_autofree char *shown = pv_printable(words, strlen(words));

	switch (code) {
	case CURLE_FILE_COULDNT_READ_FILE:
		t->status = STATUS_NOT_FOUND;
		(void)pv_error_set(err, PV_ERR_ARCHIVE, "%s: not found", name);
		return PV_TRANSFER_FAILED;
	case CURLE_RANGE_ERROR:		/* the server cannot resume */
	case CURLE_BAD_DOWNLOAD_RESUME:
		(void)pv_error_set(err, PV_ERR_ARCHIVE, "%s: %s", name, shown);
		t->no_range = true;
		return t->start > 0 ? PV_TRANSFER_AFRESH : PV_TRANSFER_FAILED;
	case CURLE_TOO_MANY_REDIRECTS:
		(void)pv_error_set(err, PV_ERR_ARCHIVE, "%s: redirected more than %ld times", name, REDIRECTS);
		return PV_TRANSFER_FAILED;
	case CURLE_UNSUPPORTED_PROTOCOL:
		(void)pv_error_set(err, PV_ERR_ARCHIVE, "%s: redirected to where pvimg does not go (%s)", name,
				   shown);
		return PV_TRANSFER_FAILED;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
		(void)pv_error_set(err, PV_ERR_ARCHIVE, "%s: the server's certificate is not trusted: %s (is "
				   "ca-certificates installed?)", name, shown);
		return PV_TRANSFER_FAILED;
	default:
		(void)pv_error_set(err, PV_ERR_ARCHIVE, "%s: %s; is the mirror reachable? Another one: --mirror",
				   name, shown);
		return is_transient(code) ? PV_TRANSFER_AGAIN : PV_TRANSFER_FAILED;
	}
}

enum pv_transfer_end pv_curl_judge(struct pv_transfer *t, CURLcode code, struct pv_error *err)
{
	pv_autofree char *name = pv_transfer_name(t);

	(void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->status);
	if (t->write_errno)
		(void)pv_error_errno(err, PV_ERR_STAGE, t->write_errno, "%s: cannot write %llu bytes to the store; "
				     "make room, or give another folder with --cache", name,
				     (unsigned long long)t->size);
	else if (t->too_long)
		(void)pv_error_set(err, PV_ERR_ARCHIVE, "%s: longer than the %llu bytes %s; " OTHER_MIRROR, name,
				   (unsigned long long)t->size, t->mem ? "allowed" : "that the index says");
	if (t->write_errno)
		return PV_TRANSFER_FAILED;
	if (t->too_long)
		return afresh_once(t);
	if (code == CURLE_HTTP_RETURNED_ERROR)
		return judge_status(t, name, err);
	if (code != CURLE_OK)
		return judge_failure(t, code, name, err);
	/* Not an error to curl, but not the file either: 204, 304, a 3xx that leads nowhere. */
	if (t->status != 0 && t->status != 200 && t->status != 206)
		return judge_status(t, name, err);
	if (!t->mem && t->have < t->size) {
		(void)pv_error_set(err, PV_ERR_ARCHIVE, "%s: ended after %llu of %llu bytes; " OTHER_MIRROR, name,
				   (unsigned long long)t->have, (unsigned long long)t->size);
		return PV_TRANSFER_AGAIN;
	}
	return PV_TRANSFER_GOOD;
}
