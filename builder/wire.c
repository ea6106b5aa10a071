/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl's side of talking to the places that images go to: one handle, each request from a clean slate. */
#include "wire.h"

#include <curl/curl.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "digest.h"
#include "fsutil.h"
#include "proc.h"
#include "url.h"

#define CONNECT_SECONDS 20L
#define SLOW_SECONDS 300L		/* a storage may take its time; a dead connection must not take a day */
#define SEND_BUFFER (512L << 10)

struct pv_wire {
	CURL *easy;
	const struct pv_trust *trust;
	bool tidying, wrong_pin;
	char pin_seen[PV_SHA256_HEX];
	char message[CURL_ERROR_SIZE];
};

/* One request's state for curl's callbacks. */
struct transfer {
	struct pv_wire *wire;
	const struct pv_wire_request *request;
	uint64_t given;
	bool ended_early, too_long;
	int read_errno;
	struct curl_slist *headers;
	CURLcode code;			/* of the settings */
};

void pv_wire_reply_done(struct pv_wire_reply *r)
{
	pv_freep(&r->location);
}

int pv_wire_new(const struct pv_trust *trust, struct pv_wire **ret, struct pv_error *err)
{
	struct pv_wire *wire = pv_xcalloc(1, sizeof(*wire));

	wire->easy = curl_easy_init();
	if (!wire->easy) {
		free(wire);
		return pv_error_set(err, PV_ERR_HOST, "libcurl: cannot start a transfer");
	}
	wire->trust = trust;
	*ret = wire;
	return 0;
}

void pv_wire_free(struct pv_wire *wire)
{
	if (!wire)
		return;
	curl_easy_cleanup(wire->easy);
	free(wire);
}

void pv_wire_freep(struct pv_wire **wire)
{
	pv_wire_free(*wire);
	*wire = NULL;
}

void pv_wire_tidying(struct pv_wire *wire)
{
	wire->tidying = true;
}

bool pv_wire_is_tidying(const struct pv_wire *wire)
{
	return wire->tidying;
}

const char *pv_wire_header(const struct pv_wire *wire, const char *name)
{
	struct curl_header *header;

	return curl_easy_header(wire->easy, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK ? header->value : NULL;
}

/* --- the certificate --- */

/* In place of OpenSSL's walk up to a CA: the host's own certificate is known, or it is not. */
static int check_pin(X509_STORE_CTX *store, void *arg)
{
	struct pv_wire *wire = arg;
	X509 *cert = X509_STORE_CTX_get0_cert(store);
	unsigned char raw[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (!cert || X509_digest(cert, EVP_sha256(), raw, &n) != 1 || n != PV_SHA256_LEN)
		return 0;
	for (unsigned i = 0; i < n; i++)
		snprintf(wire->pin_seen + (size_t)i * 2, 3, "%02x", raw[i]);
	for (size_t i = 0; i < wire->trust->npins; i++) {
		if (pv_streq(wire->trust->pins[i], wire->pin_seen)) {
			X509_STORE_CTX_set_error(store, X509_V_OK);
			return 1;
		}
	}
	wire->wrong_pin = true;
	X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
	return 0;
}

static CURLcode use_pins(CURL *easy, void *ssl, void *arg)
{
	(void)easy;
	SSL_CTX_set_cert_verify_callback(ssl, check_pin, arg);
	return CURLE_OK;
}

/* --- bodies --- */

static size_t take_answer(char *data, size_t one, size_t n, void *ctx)
{
	struct transfer *t = ctx;
	const struct pv_wire_request *r = t->request;

	n *= one;
	if (r->answer && n > r->answer_max - r->answer->len) {
		t->too_long = true;
		return 0;
	}
	if (r->answer)
		pv_str_addn(r->answer, data, n);
	return n;
}

static ssize_t read_body(const struct transfer *t, char *data, size_t want)
{
	const struct pv_wire_request *r = t->request;
	ssize_t got;

	if (r->text) {
		memcpy(data, r->text + t->given, want);
		return (ssize_t)want;
	}
	do
		got = r->seekable ? pread(r->fd, data, want, r->offset + (off_t)t->given) : read(r->fd, data, want);
	while (got < 0 && errno == EINTR && !pv_proc_interrupted());
	return got;
}

static size_t give_body(char *data, size_t one, size_t n, void *ctx)
{
	struct transfer *t = ctx;
	size_t want = one * n;

	if (want > t->request->size - t->given)
		want = (size_t)(t->request->size - t->given);
	if (want == 0)
		return 0;
	ssize_t got = read_body(t, data, want);
	if (got > 0) {
		t->given += (uint64_t)got;
		return (size_t)got;
	}
	t->read_errno = got < 0 ? errno : 0;
	t->ended_early = true;
	return CURL_READFUNC_ABORT;
}

/* curl begins again where it found a kept connection closed. */
static int rewind_body(void *ctx, curl_off_t offset, int origin)
{
	struct transfer *t = ctx;
	const struct pv_wire_request *r = t->request;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > r->size)
		return CURL_SEEKFUNC_FAIL;
	if (!r->text && !r->seekable && (uint64_t)offset != t->given)
		return CURL_SEEKFUNC_CANTSEEK;
	t->given = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

static int watch(void *ctx, curl_off_t down_all, curl_off_t down, curl_off_t all, curl_off_t sent)
{
	const struct transfer *t = ctx;

	(void)down_all;
	(void)down;
	(void)all;
	if (t->request->progress && sent > 0)
		t->request->progress(t->request->progress_ctx, (uint64_t)sent, t->request->size);
	return !t->wire->tidying && pv_proc_interrupted();
}

/* --- settings --- */

/* The first one that fails is remembered; those after it are not made. */
#define SET(t, option, value)                                                                                         \
	do {                                                                                                          \
		if ((t)->code == CURLE_OK)                                                                            \
			(t)->code = curl_easy_setopt((t)->wire->easy, option, value);                                 \
	} while (0)

static void set_common(struct transfer *t)
{
	t->wire->message[0] = '\0';
	SET(t, CURLOPT_URL, t->request->url);
	SET(t, CURLOPT_PROTOCOLS_STR, "https,http");	/* http: see check_address */
	SET(t, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(t, CURLOPT_NOSIGNAL, 1L);
	SET(t, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
	SET(t, CURLOPT_LOW_SPEED_LIMIT, 1L);
	SET(t, CURLOPT_LOW_SPEED_TIME, SLOW_SECONDS);
	SET(t, CURLOPT_USERAGENT, "pvimg");
	SET(t, CURLOPT_ERRORBUFFER, t->wire->message);
	SET(t, CURLOPT_WRITEFUNCTION, take_answer);
	SET(t, CURLOPT_WRITEDATA, t);
	SET(t, CURLOPT_NOPROGRESS, 0L);
	SET(t, CURLOPT_XFERINFOFUNCTION, watch);
	SET(t, CURLOPT_XFERINFODATA, t);
}

static void set_trust(struct transfer *t)
{
	const struct pv_trust *trust = t->wire->trust;

	t->wire->wrong_pin = false;
	SET(t, CURLOPT_SSL_VERIFYPEER, 1L);
	SET(t, CURLOPT_SSL_VERIFYHOST, trust->npins ? 0L : 2L);
	SET(t, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (trust->ca_file)
		SET(t, CURLOPT_CAINFO, trust->ca_file);
	if (trust->npins) {
		SET(t, CURLOPT_SSL_CTX_FUNCTION, use_pins);
		SET(t, CURLOPT_SSL_CTX_DATA, t->wire);
	}
}

static void add_header(struct transfer *t, const char *line)
{
	struct curl_slist *longer = curl_slist_append(t->headers, line);

	if (!longer)
		t->code = CURLE_OUT_OF_MEMORY;
	else
		t->headers = longer;
}

static void set_headers(struct transfer *t)
{
	for (size_t i = 0; i < t->request->nheaders; i++)
		add_header(t, t->request->headers[i]);
	/* few servers answer "Expect", and a second's wait for that would be for nothing; S3's do, and curl (7.88) would put
	 * the header into the signature that it leaves out */
	if (!t->request->aws)
		add_header(t, "Expect:");
	SET(t, CURLOPT_HTTPHEADER, t->headers);
}

static void set_method(struct transfer *t)
{
	const struct pv_wire_request *r = t->request;
	const char *method = r->method ? r->method : "GET";
	bool sends = r->size > 0 || pv_streq(method, "PUT") || pv_streq(method, "POST");

	if (pv_streq(method, "HEAD")) {
		SET(t, CURLOPT_NOBODY, 1L);
		return;
	}
	if (sends) {
		SET(t, CURLOPT_UPLOAD, 1L);
		SET(t, CURLOPT_INFILESIZE_LARGE, (curl_off_t)r->size);
		SET(t, CURLOPT_UPLOAD_BUFFERSIZE, SEND_BUFFER);
		SET(t, CURLOPT_READFUNCTION, give_body);
		SET(t, CURLOPT_READDATA, t);
		SET(t, CURLOPT_SEEKFUNCTION, rewind_body);
		SET(t, CURLOPT_SEEKDATA, t);
	}
	/* what can be read once only needs a connection that is not about to be closed */
	if (sends && r->size > 0 && !r->text && !r->seekable) {
		SET(t, CURLOPT_FRESH_CONNECT, 1L);
		SET(t, CURLOPT_FORBID_REUSE, 1L);
	}
	SET(t, CURLOPT_CUSTOMREQUEST, method);
}

static void set_aws(struct transfer *t)
{
	const struct pv_wire_request *r = t->request;

	if (!r->aws)
		return;
	SET(t, CURLOPT_AWS_SIGV4, r->aws);
	SET(t, CURLOPT_USERNAME, r->key_id);
	SET(t, CURLOPT_PASSWORD, r->secret);
}

/* --- one request --- */

static int check_address(const struct pv_wire_request *r, struct pv_error *err)
{
	CURLU *url = curl_url();
	char *scheme = NULL, *host = NULL;
	bool ok = url && curl_url_set(url, CURLUPART_URL, r->url, 0) == CURLUE_OK &&
		  curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
		  curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
		  (pv_streq(scheme, "https") || (pv_streq(scheme, "http") && pv_url_loopback(host)));

	curl_free(scheme);
	curl_free(host);
	curl_url_cleanup(url);
	return ok ? 0 : pv_error_set(err, PV_ERR_ARCHIVE, "%s: only https is spoken to it, http to this host's own "
				     "loopback alone", r->shown);
}

static bool may_pass(CURLcode code)
{
	switch (code) {
	case CURLE_COULDNT_CONNECT:
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_AGAIN:
		return true;
	default:
		return false;
	}
}

static int transfer_error(const struct transfer *t, CURLcode code, struct pv_error *err)
{
	const struct pv_wire *wire = t->wire;
	const char *shown_host = t->request->shown;
	const char *words = wire->message[0] ? wire->message : curl_easy_strerror(code);
	pv_autofree char *shown = pv_printable(words, strlen(words));

	if (t->ended_early)
		return pv_error_errno(err, PV_ERR_STAGE, t->read_errno ? t->read_errno : ENODATA,
				      "the upload's own data ended after %llu bytes", (unsigned long long)t->given);
	if (t->too_long)
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: an answer of more than %zu bytes", shown_host,
				    t->request->answer_max);
	if (wire->wrong_pin)
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: the certificate is not the pinned one; it has SHA-256 %s",
				    shown_host, wire->pin_seen);
	if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE)
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: the host's certificate is not trusted: %s; name its CA "
				    "with --ca FILE, or pin it with --pin SHA256", shown_host, shown);
	return pv_error_set(err, PV_ERR_ARCHIVE, "%s: %s", shown_host, shown);
}

static int perform(const struct transfer *t, struct pv_wire_reply *reply, struct pv_error *err)
{
	struct pv_wire *wire = t->wire;
	CURLcode code = curl_easy_perform(wire->easy);
	char *location = NULL;
	curl_off_t sent = 0;

	(void)curl_easy_getinfo(wire->easy, CURLINFO_RESPONSE_CODE, &reply->status);
	(void)curl_easy_getinfo(wire->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
	(void)curl_easy_getinfo(wire->easy, CURLINFO_REDIRECT_URL, &location);
	reply->sent = (uint64_t)sent;
	reply->location = pv_xstrdup(location);
	if (code == CURLE_OK) {
		reply->again = reply->status == 408 || reply->status == 429 || reply->status >= 500;
		return 0;
	}
	reply->again = may_pass(code) && !wire->wrong_pin;
	if (!wire->tidying && pv_proc_check_interrupt(err) < 0)
		return -1;
	return transfer_error(t, code, err);
}

int pv_wire_do(struct pv_wire *wire, const struct pv_wire_request *request, struct pv_wire_reply *reply,
	       struct pv_error *err)
{
	struct transfer t = { .wire = wire, .request = request, .code = CURLE_OK };
	int rc;

	pv_wire_reply_done(reply);
	*reply = (struct pv_wire_reply){ 0 };
	if (check_address(request, err) < 0)
		return -1;
	curl_easy_reset(wire->easy);		/* connections stay open */
	set_common(&t);
	set_trust(&t);
	set_headers(&t);
	set_method(&t);
	set_aws(&t);
	if (t.code != CURLE_OK)
		rc = pv_error_set(err, PV_ERR_HOST, "libcurl: %s", curl_easy_strerror(t.code));
	else
		rc = perform(&t, reply, err);
	curl_slist_free_all(t.headers);
	return rc;
}
