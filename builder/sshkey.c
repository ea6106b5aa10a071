/* SPDX-License-Identifier: Apache-2.0 */
/* An ssh key pair by OpenSSL. */
#include "sshkey.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdint.h>
#include <string.h>

#include "fsutil.h"
#include "text.h"

#define TYPE "ecdsa-sha2-nistp256"
#define CURVE "nistp256"

enum { POINT_LEN = 65 };		/* an uncompressed point on P-256 */

static int fail(struct pv_error *err)
{
	return pv_error_set(err, PV_ERR_HOST, "cannot make an ssh key: OpenSSL refuses");
}

/* RFC 4251, 5: a string is its length in four bytes, then its bytes. */
static void add_string(struct pv_str *blob, const void *data, size_t len)
{
	const uint8_t head[4] = { (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len };

	pv_str_addn(blob, head, sizeof(head));
	pv_str_addn(blob, data, len);
}

static char *public_line(EVP_PKEY *key)
{
	uint8_t point[POINT_LEN];
	size_t len = 0;
	pv_autostr blob = PV_STR_INIT;

	if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &len) != 1 ||
	    len != sizeof(point))
		return NULL;
	add_string(&blob, TYPE, strlen(TYPE));
	add_string(&blob, CURVE, strlen(CURVE));
	add_string(&blob, point, sizeof(point));
	pv_autofree char *base64 = pv_xcalloc(1, blob.len * 2 + 4);
	EVP_EncodeBlock((unsigned char *)base64, (const unsigned char *)blob.data, (int)blob.len);
	return pv_fmt(TYPE " %s pvimg", base64);
}

static int write_private(EVP_PKEY *key, const char *path, struct pv_error *err)
{
	BIO *memory = BIO_new(BIO_s_mem());
	char *data = NULL;
	long len = 0;
	int rc;

	if (memory && PEM_write_bio_PrivateKey(memory, key, NULL, NULL, 0, NULL, NULL) == 1)
		len = BIO_get_mem_data(memory, &data);
	rc = len > 0 ? pv_write_file(path, data, (size_t)len, 0600, err) : fail(err);
	BIO_free(memory);
	return rc;
}

int pv_sshkey_make(const char *path, char **ret_public, struct pv_error *err)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	char *line = NULL;
	int rc;

	if (!key)
		return fail(err);
	/* Only uncompressed points are of ssh. */
	EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, "uncompressed");
	line = public_line(key);
	rc = line ? write_private(key, path, err) : fail(err);
	EVP_PKEY_free(key);
	if (rc < 0)
		pv_freep(&line);
	else
		*ret_public = line;
	return rc;
}
