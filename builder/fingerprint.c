/* SPDX-License-Identifier: Apache-2.0 */
/* A handshake by libcurl in which OpenSSL's question about the certificate is answered with no, always. */
#include "fingerprint.h"

#include <curl/curl.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "proc.h"
#include "text.h"
#include "url.h"

#define CONNECT_SECONDS 20L

struct seen {
	struct pv_fingerprint *ret;
	bool whole;
};

void pv_fingerprint_done(struct pv_fingerprint *f)
{
	pv_freep(&f->host);
	pv_freep(&f->subject);
	pv_freep(&f->issuer);
	pv_freep(&f->names);
	pv_freep(&f->from);
	pv_freep(&f->until);
}

/* --- the certificate's fields, for people --- */

static char *text_of_bio(BIO *bio)
{
	char *data = NULL;
	long len = BIO_get_mem_data(bio, &data);
	char *ret = pv_printable(data ? data : "", len > 0 ? (size_t)len : 0);

	BIO_free(bio);
	return ret;
}

static char *name_of(const X509_NAME *name)
{
	BIO *bio = BIO_new(BIO_s_mem());

	if (!bio)
		return pv_xstrdup("");
	if (name)
		(void)X509_NAME_print_ex(bio, name, 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB);
	return text_of_bio(bio);
}

static char *time_of(const ASN1_TIME *time)
{
	struct tm tm;

	if (!time || ASN1_TIME_to_tm(time, &tm) != 1)
		return pv_xstrdup("?");
	return pv_fmt("%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
		      tm.tm_sec);
}

static char *names_of(X509 *cert)
{
	int at = X509_get_ext_by_NID(cert, NID_subject_alt_name, -1);
	BIO *bio = BIO_new(BIO_s_mem());

	if (!bio)
		return pv_xstrdup("");
	if (at >= 0)
		(void)X509V3_EXT_print(bio, X509_get_ext(cert, at), 0, 0);
	return text_of_bio(bio);
}

/* In place of OpenSSL's walk up to a CA. Its "no" ends the handshake before this side has said anything. */
static int look(X509_STORE_CTX *store, void *arg)
{
	struct seen *seen = arg;
	X509 *cert = X509_STORE_CTX_get0_cert(store);
	unsigned char raw[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
	if (seen->whole || !cert || X509_digest(cert, EVP_sha256(), raw, &n) != 1 || n != PV_SHA256_LEN)
		return 0;
	for (unsigned i = 0; i < n; i++)
		snprintf(seen->ret->sha256 + (size_t)i * 2, 3, "%02x", raw[i]);
	seen->ret->subject = name_of(X509_get_subject_name(cert));
	seen->ret->issuer = name_of(X509_get_issuer_name(cert));
	seen->ret->names = names_of(cert);
	seen->ret->from = time_of(X509_get0_notBefore(cert));
	seen->ret->until = time_of(X509_get0_notAfter(cert));
	seen->whole = true;
	return 0;
}

/* --- the connection --- */

static CURLcode use_look(CURL *easy, void *ssl, void *arg)
{
	(void)easy;
	SSL_CTX_set_cert_verify_callback(ssl, look, arg);
	return CURLE_OK;
}

static int watch(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	(void)ctx;
	(void)a;
	(void)b;
	(void)c;
	(void)d;
	return pv_proc_interrupted() != 0;
}

static CURLcode set_up(CURL *easy, const char *url, struct seen *seen, char *message)
{
	CURLcode code = curl_easy_setopt(easy, CURLOPT_URL, url);

	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https");
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);	/* nothing is sent to whoever it is */
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, use_look);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, seen);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, message);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, watch);
	return code;
}

/* "NAME:PORT", with [] around an IPv6 address. */
static char *host_of(const struct pv_url *url)
{
	bool v6 = strchr(url->host, ':') != NULL;

	return pv_fmt("%s%s%s:%s", v6 ? "[" : "", url->host, v6 ? "]" : "", *url->port ? url->port : "443");
}

int pv_fingerprint_get(const char *url, struct pv_fingerprint *ret, struct pv_error *err)
{
	pv_autofingerprint f = { .host = NULL };
	struct seen seen = { &f, false };
	char message[CURL_ERROR_SIZE] = "";
	pv_autourl parts = { 0 };

	if (pv_url_split(url, &parts, NULL) < 0 || !pv_streq(parts.scheme, "https")) {
		pv_autofree char *shown = pv_url_redacted(url);

		return pv_error_set(err, PV_ERR_USAGE, "%s: only a host with https shows a certificate", shown);
	}
	f.host = host_of(&parts);
	pv_autofree char *bare = pv_fmt("https://%s/", f.host);
	CURL *easy = curl_easy_init();
	if (!easy)
		return pv_error_set(err, PV_ERR_HOST, "libcurl: cannot start a transfer");
	CURLcode code = set_up(easy, bare, &seen, message);
	if (code == CURLE_OK)
		code = curl_easy_perform(easy);
	curl_easy_cleanup(easy);
	if (!seen.whole) {
		const char *words = *message ? message : curl_easy_strerror(code);
		pv_autofree char *shown = pv_printable(words, strlen(words));

		if (pv_proc_check_interrupt(err) < 0)
			return -1;
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: %s", f.host, shown);
	}
	*ret = f;
	f = (struct pv_fingerprint){ .host = NULL };
	return 0;
}
