/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl's side of talking to xapi: one handle, each request from a clean slate. */
#include "xapi_wire.h"

#include <curl/curl.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "digest.h"
#include "proc.h"
#include "url.h"
#include "xapi_rpc.h"

#define CONNECT_SECONDS 20L
#define SLOW_SECONDS 300L		/* a storage may take its time; a dead connection must not take a day */
#define SEND_BUFFER (512L << 10)

struct pv_xapi_wire {
	CURL *easy;
	const struct pv_xapi_trust *trust;
	bool tidying, wrong_pin;
	char pin_seen[PV_SHA256_HEX];
	char message[CURL_ERROR_SIZE];
};

/* One upload's state for curl's callbacks. */
struct upload {
	const struct pv_xapi_wire *wire;
	const struct pv_xapi_put *put;
	uint64_t read;
	bool ended_early;
	int read_errno;
};

void pv_xapi_reply_done(struct pv_xapi_reply *r)
{
	pv_freep(&r->location);
}

int pv_xapi_wire_new(const struct pv_xapi_trust *trust, struct pv_xapi_wire **ret, struct pv_error *err)
{
	struct pv_xapi_wire *wire = pv_xcalloc(1, sizeof(*wire));

	wire->easy = curl_easy_init();
	if (!wire->easy) {
		free(wire);
		return pv_error_set(err, PV_ERR_HOST, "libcurl: cannot start a transfer");
	}
	wire->trust = trust;
	*ret = wire;
	return 0;
}

void pv_xapi_wire_free(struct pv_xapi_wire *wire)
{
	if (!wire)
		return;
	curl_easy_cleanup(wire->easy);
	free(wire);
}

void pv_xapi_wire_tidying(struct pv_xapi_wire *wire)
{
	wire->tidying = true;
}

bool pv_xapi_wire_is_tidying(const struct pv_xapi_wire *wire)
{
	return wire->tidying;
}

/* --- the certificate --- */

/* In place of OpenSSL's walk up to a CA: the host's own certificate is known, or it is not. */
static int check_pin(X509_STORE_CTX *store, void *arg)
{
	struct pv_xapi_wire *wire = arg;
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

static CURLcode set_trust(struct pv_xapi_wire *wire)
{
	CURL *easy = wire->easy;
	CURLcode code = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);

	wire->wrong_pin = false;
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, wire->trust->npins ? 0L : 2L);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (code == CURLE_OK && wire->trust->ca_file)
		code = curl_easy_setopt(easy, CURLOPT_CAINFO, wire->trust->ca_file);
	if (code == CURLE_OK && wire->trust->npins)
		code = curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, use_pins);
	if (code == CURLE_OK && wire->trust->npins)
		code = curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, wire);
	return code;
}

/* --- what all requests have alike --- */

static CURLcode begin(struct pv_xapi_wire *wire, const char *url)
{
	CURL *easy = wire->easy;
	CURLcode code;

	curl_easy_reset(easy);		/* connections stay open */
	wire->message[0] = '\0';
	code = curl_easy_setopt(easy, CURLOPT_URL, url);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https");
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, SLOW_SECONDS);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_USERAGENT, "pvimg");
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, wire->message);
	return code == CURLE_OK ? set_trust(wire) : code;
}

static int option_error(CURLcode code, struct pv_error *err)
{
	return pv_error_set(err, PV_ERR_HOST, "libcurl: %s", curl_easy_strerror(code));
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

static int transfer_error(const struct pv_xapi_wire *wire, const char *base, CURLcode code, struct pv_error *err)
{
	const char *words = wire->message[0] ? wire->message : curl_easy_strerror(code);
	pv_autofree char *shown = pv_printable(words, strlen(words));

	if (wire->wrong_pin)
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: the certificate is not the pinned one; it has SHA-256 %s",
				    base, wire->pin_seen);
	if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE)
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: the host's certificate is not trusted: %s; name its CA "
				    "with --ca FILE, or pin it with --pin SHA256", base, shown);
	return pv_error_set(err, PV_ERR_ARCHIVE, "%s: %s", base, shown);
}

static int perform(struct pv_xapi_wire *wire, const char *base, struct pv_xapi_reply *reply, struct pv_error *err)
{
	CURLcode code = curl_easy_perform(wire->easy);
	char *location = NULL;
	curl_off_t sent = 0;

	pv_xapi_reply_done(reply);
	*reply = (struct pv_xapi_reply){ .again = may_pass(code) && !wire->wrong_pin };
	(void)curl_easy_getinfo(wire->easy, CURLINFO_RESPONSE_CODE, &reply->status);
	(void)curl_easy_getinfo(wire->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
	(void)curl_easy_getinfo(wire->easy, CURLINFO_REDIRECT_URL, &location);
	reply->sent = (uint64_t)sent;
	reply->location = pv_xstrdup(location);
	if (code == CURLE_OK)
		return 0;
	if (!wire->tidying && pv_proc_check_interrupt(err) < 0)
		return -1;
	return transfer_error(wire, base, code, err);
}

static int watch(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct pv_xapi_wire *wire = ctx;

	(void)a;
	(void)b;
	(void)c;
	(void)d;
	return !wire->tidying && pv_proc_interrupted();
}

/* --- calls --- */

static size_t take_answer(char *data, size_t one, size_t n, void *ctx)
{
	struct pv_str *s = ctx;

	if (one * n > PV_XAPI_ANSWER_MAX - s->len)
		return 0;
	pv_str_addn(s, data, one * n);
	return one * n;
}

static CURLcode set_post(struct pv_xapi_wire *wire, const char *body, struct curl_slist *headers, struct pv_str *answer)
{
	CURL *easy = wire->easy;
	CURLcode code = curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);

	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_answer);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, watch);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_XFERINFODATA, wire);
	return code;
}

int pv_xapi_wire_post(struct pv_xapi_wire *wire, const char *base, const char *body, struct pv_str *ret,
		      struct pv_xapi_reply *reply, struct pv_error *err)
{
	pv_autofree char *url = pv_fmt("%s/jsonrpc", base);
	pv_autostr answer = PV_STR_INIT;
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	CURLcode code = begin(wire, url);
	int rc;

	if (code == CURLE_OK)
		code = set_post(wire, body, headers, &answer);
	rc = code == CURLE_OK ? perform(wire, base, reply, err) : option_error(code, err);
	curl_slist_free_all(headers);
	if (rc < 0)
		return -1;
	if (reply->status != 200) {
		reply->again = reply->status >= 500 || reply->status == 429;
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: the host answered %ld; is this a XenServer or XCP-ng?",
				    base, reply->status);
	}
	pv_str_addn(ret, pv_str_text(&answer), answer.len);
	return 0;
}

/* --- uploads --- */

static size_t give_bytes(char *data, size_t one, size_t n, void *ctx)
{
	struct upload *up = ctx;
	size_t want = one * n;
	ssize_t got;

	if (want > up->put->size - up->read)
		want = (size_t)(up->put->size - up->read);
	if (want == 0 || up->put->fd < 0)
		return 0;
	do {
		got = read(up->put->fd, data, want);
	} while (got < 0 && errno == EINTR && !pv_proc_interrupted());
	if (got > 0) {
		up->read += (uint64_t)got;
		return (size_t)got;
	}
	up->read_errno = got < 0 ? errno : 0;
	up->ended_early = true;
	return CURL_READFUNC_ABORT;
}

static size_t drop_answer(char *data, size_t one, size_t n, void *ctx)
{
	(void)data;
	(void)ctx;
	return one * n;
}

static int show_progress(void *ctx, curl_off_t down_all, curl_off_t down, curl_off_t all, curl_off_t sent)
{
	const struct upload *up = ctx;

	(void)down_all;
	(void)down;
	(void)all;
	if (up->put->progress && sent > 0)
		up->put->progress(up->put->progress_ctx, (uint64_t)sent, up->put->size);
	return !up->wire->tidying && pv_proc_interrupted();
}

static CURLcode set_put(CURL *easy, struct upload *up, struct curl_slist *headers)
{
	CURLcode code = curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);

	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)up->put->size);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, SEND_BUFFER);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_READFUNCTION, give_bytes);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_READDATA, up);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop_answer);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, show_progress);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_XFERINFODATA, up);
	return code;
}

int pv_xapi_wire_put(struct pv_xapi_wire *wire, const struct pv_xapi_put *put, struct pv_xapi_reply *reply,
		     struct pv_error *err)
{
	pv_autofree char *url = pv_fmt("%s%s", put->base, put->target);
	struct upload up = { .wire = wire, .put = put };
	/* xapi waits for no "Expect", and a second's wait for its answer would be for nothing */
	struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
	CURLcode code = begin(wire, url);
	int rc;

	if (code == CURLE_OK)
		code = set_put(wire->easy, &up, headers);
	rc = code == CURLE_OK ? perform(wire, put->base, reply, err) : option_error(code, err);
	curl_slist_free_all(headers);
	if (rc < 0 && up.ended_early && !pv_proc_interrupted())
		return pv_error_errno(err, PV_ERR_STAGE, up.read_errno ? up.read_errno : ENODATA,
				      "the upload's own data ended after %llu bytes", (unsigned long long)up.read);
	return rc;
}

int pv_xapi_base(const char *address, const char *port, char **ret, struct pv_error *err)
{
	bool v6 = strchr(address, ':') && strchr(address, ':') != strrchr(address, ':') && *address != '[';
	pv_autofree char *text =
		pv_fmt("https://%s%s%s%s%s", v6 ? "[" : "", address, v6 ? "]" : "", *port ? ":" : "", port);
	pv_autourl url = { 0 };

	if (pv_url_split(text, &url, NULL) < 0 || *url.user || *url.password || strchr(address, '/')) {
		pv_autofree char *shown = pv_printable(address, strnlen(address, 100));

		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: no address of a host", shown);
	}
	*ret = pv_steal(&text);
	return 0;
}
