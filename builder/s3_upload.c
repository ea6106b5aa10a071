/* SPDX-License-Identifier: Apache-2.0 */
/* Files to a bucket: small ones at once, large ones in parts, of which those that are there already are not sent again. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fsutil.h"
#include "proc.h"
#include "s3_priv.h"

#define CHUNK ((size_t)1 << 20)
#define MD5_LEN 16u
#define ROUNDS 3u			/* an upload may be completed or given up by somebody else meanwhile */

struct sums {
	char sha256[PV_SHA256_HEX];
	char md5[2 * MD5_LEN + 1];
	char md5_header[48];		/* "Content-MD5: " in base 64 */
};

struct upload {
	struct pv_s3 *s3;
	const char *key, *path;
	int fd;
	uint64_t size, part;
	char *id;
	char **etags;			/* of the parts that are there, [0] is part 1; NULL: not there */
	uint64_t *sizes;
	unsigned nparts;
	uint64_t sent;
};

static void upload_done(struct upload *u)
{
	for (unsigned i = 0; u->etags && i < u->nparts; i++)
		free(u->etags[i]);
	free(u->etags);
	free(u->sizes);
	free(u->id);
	pv_closep(&u->fd);
}
#define auto_upload __attribute__((cleanup(upload_done))) struct upload

uint64_t pv_s3_part_size(uint64_t size)
{
	uint64_t part = (size + PV_S3_PARTS_MAX - 1) / PV_S3_PARTS_MAX, mib = UINT64_C(1) << 20;

	part = (part + mib - 1) / mib * mib;
	return part > PV_S3_PART ? part : PV_S3_PART;
}

/* --- sums --- */

static int sum_part(const struct upload *u, uint64_t offset, uint64_t len, struct sums *ret, struct pv_error *err)
{
	__attribute__((cleanup(pv_digest_freep))) struct pv_digest *sha = pv_digest_new();
	EVP_MD_CTX *md5 = EVP_MD_CTX_new();
	pv_autofree char *data = pv_xmalloc(CHUNK);
	unsigned char raw[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	bool ok = md5 && EVP_DigestInit_ex(md5, EVP_md5(), NULL) == 1, whole = true;

	while (ok && whole && len > 0) {
		size_t want = len < CHUNK ? (size_t)len : CHUNK;

		whole = pv_pread_all(u->fd, data, want, (off_t)offset) == (ssize_t)want;
		pv_digest_add(sha, data, want);
		ok = EVP_DigestUpdate(md5, data, want) == 1;
		offset += want;
		len -= want;
	}
	ok = ok && EVP_DigestFinal_ex(md5, raw, &n) == 1 && n == MD5_LEN;
	EVP_MD_CTX_free(md5);
	pv_digest_hex(sha, ret->sha256);
	if (!whole)
		return pv_error_set(err, PV_ERR_STAGE, "%s: cannot be read, or is shorter than it was", u->path);
	if (!ok)
		return pv_error_set(err, PV_ERR_HOST, "OpenSSL: has no MD5, which S3 wants (FIPS mode?)");
	for (unsigned i = 0; i < MD5_LEN; i++)
		snprintf(ret->md5 + (size_t)i * 2, 3, "%02x", raw[i]);
	int begin = snprintf(ret->md5_header, sizeof(ret->md5_header), "Content-MD5: ");
	(void)EVP_EncodeBlock((unsigned char *)ret->md5_header + begin, raw, MD5_LEN);
	return 0;
}

/* --- at once --- */

static const char *type_of(const char *key)
{
	return pv_ends(key, ".json") ? "Content-Type: application/json" : "Content-Type: application/octet-stream";
}

static int put_whole(struct upload *u, struct pv_error *err)
{
	struct sums sums;
	pv_autos3reply reply = { 0 };

	if (sum_part(u, 0, u->size, &sums, err) < 0)
		return -1;
	const char *headers[] = { type_of(u->key), sums.md5_header };
	const struct pv_s3_ask ask = { .method = "PUT", .key = u->key, .headers = headers, .nheaders = PV_COUNT(headers),
				       .fd = u->fd, .text = u->size ? NULL : "", .size = u->size, .sha256 = sums.sha256,
				       .shows = true, .shown_total = u->size };
	if (pv_s3_do(u->s3, &ask, 0, &reply, err) < 0)
		return -1;
	u->sent += u->size;
	return 0;
}

/* --- in parts --- */

static void forget_parts(struct upload *u)
{
	pv_freep(&u->id);
	for (unsigned i = 0; i < u->nparts; i++)
		pv_freep(&u->etags[i]);
}

/* One page of the uploads to keys that begin with full. */
static int list_uploads(struct pv_s3 *s3, const char *full, const char *key_after, const char *id_after,
			struct pv_s3_answer *ret, struct pv_error *err)
{
	pv_autofree char *prefix = pv_s3_encode(full, false), *key = pv_s3_encode(key_after ? key_after : "", false),
		       *id = pv_s3_encode(id_after ? id_after : "", false), *query = NULL;
	pv_autos3reply reply = { 0 };

	query = key_after ? pv_fmt("key-marker=%s&prefix=%s&upload-id-marker=%s&uploads=", key, prefix, id)
			  : pv_fmt("prefix=%s&uploads=", prefix);
	const struct pv_s3_ask ask = { .method = "GET", .query = query, .fd = -1 };
	return pv_s3_do_xml(s3, &ask, "ListMultipartUploadsResult", ret, &reply, err);
}

static int find_upload(struct upload *u, struct pv_error *err)
{
	pv_autofree char *full = pv_s3_full_key(u->s3, u->key);
	pv_autos3answer a = { 0 };

	if (list_uploads(u->s3, full, NULL, NULL, &a, err) < 0)
		return -1;
	for (size_t i = 0; i < a.n && !u->id; i++)
		if (pv_streq(a.entries[i].key, full) && a.entries[i].upload_id)
			u->id = pv_xstrdup(a.entries[i].upload_id);
	return 0;
}

static int begin_upload(struct upload *u, struct pv_error *err)
{
	const char *headers[] = { type_of(u->key) };
	const struct pv_s3_ask ask = { .method = "POST", .key = u->key, .query = "uploads=", .headers = headers, .nheaders = 1,
				       .fd = -1 };
	pv_autos3reply reply = { 0 };
	pv_autos3answer a = { 0 };

	if (pv_s3_do_xml(u->s3, &ask, "InitiateMultipartUploadResult", &a, &reply, err) < 0)
		return -1;
	if (!a.upload_id || !*a.upload_id)
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: the server began an upload without an id", u->key);
	u->id = pv_steal(&a.upload_id);
	return 0;
}

static void take_parts(struct upload *u, struct pv_s3_answer *a)
{
	for (size_t i = 0; i < a->n; i++) {
		struct pv_s3_entry *e = &a->entries[i];

		if (e->part == 0 || e->part > u->nparts || !e->etag)
			continue;
		free(u->etags[e->part - 1]);
		u->etags[e->part - 1] = pv_steal(&e->etag);
		u->sizes[e->part - 1] = e->size;
	}
}

/* *ret_gone: there is no such upload any more. */
static int find_parts(struct upload *u, bool *ret_gone, struct pv_error *err)
{
	pv_autofree char *id = pv_s3_encode(u->id, false), *after = NULL;

	for (;;) {
		pv_autofree char *marker = after ? pv_s3_encode(after, false) : NULL,
			       *query = pv_fmt("%s%s%suploadId=%s", marker ? "part-number-marker=" : "", marker ? marker : "",
					       marker ? "&" : "", id);
		const struct pv_s3_ask ask = { .method = "GET", .key = u->key, .query = query, .fd = -1 };
		pv_autos3reply reply = { 0 };
		pv_autos3answer a = { 0 };

		if (pv_s3_do_xml(u->s3, &ask, "ListPartsResult", &a, &reply, err) < 0) {
			*ret_gone = reply.status == 404;
			return -1;
		}
		take_parts(u, &a);
		if (!a.truncated || !a.next_part || pv_streq(a.next_part, after))
			return 0;
		free(after);
		after = pv_steal(&a.next_part);
	}
}

/* As XML and headers may have it. */
static bool etag_ok(const char *etag)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.+/=";
	size_t len = strlen(etag);

	return len > 0 && len <= 256 && strspn(etag, letters) == len;
}

/* The part's MD5 in general; where the server encrypts with keys of its own it is something else, and Content-MD5, which
 * it had to check, stands alone. */
static int take_etag(struct upload *u, unsigned number, const struct sums *sums, struct pv_error *err)
{
	const char *header = pv_s3_header(u->s3, "ETag"), *encrypted = pv_s3_header(u->s3, "x-amz-server-side-encryption");
	size_t len = header ? strlen(header) : 0;
	pv_autofree char *etag = len >= 2 && *header == '"' && header[len - 1] == '"' ? pv_xstrndup(header + 1, len - 2)
										     : pv_xstrdup(header ? header : "");

	if (!etag_ok(etag))
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: part %u: the server gave no ETag", u->key, number);
	if (!(encrypted && pv_starts(encrypted, "aws:")) && !pv_streq(etag, sums->md5))
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: part %u: the server has other bytes than were sent", u->key,
				    number);
	u->etags[number - 1] = pv_steal(&etag);
	return 0;
}

static int put_part(struct upload *u, unsigned number, bool *ret_gone, struct pv_error *err)
{
	uint64_t offset = (uint64_t)(number - 1) * u->part, len = u->size - offset < u->part ? u->size - offset : u->part;
	pv_autofree char *id = pv_s3_encode(u->id, false), *query = pv_fmt("partNumber=%u&uploadId=%s", number, id);
	pv_autos3reply reply = { 0 };
	struct sums sums;

	if (sum_part(u, offset, len, &sums, err) < 0)
		return -1;
	if (pv_streq(u->etags[number - 1], sums.md5) && u->sizes[number - 1] == len)
		return 0;
	pv_freep(&u->etags[number - 1]);
	const char *headers[] = { sums.md5_header };
	const struct pv_s3_ask ask = { .method = "PUT", .key = u->key, .query = query, .headers = headers, .nheaders = 1,
				       .fd = u->fd, .offset = (off_t)offset, .size = len, .sha256 = sums.sha256, .shows = true,
				       .shown_from = offset, .shown_total = u->size };
	if (pv_s3_do(u->s3, &ask, 0, &reply, err) < 0) {
		*ret_gone = pv_streq(reply.code, "NoSuchUpload");
		return -1;
	}
	u->sent += len;
	return take_etag(u, number, &sums, err);
}

static int complete(struct upload *u, bool *ret_gone, struct pv_error *err)
{
	pv_autofree char *id = pv_s3_encode(u->id, false), *query = pv_fmt("uploadId=%s", id);
	pv_autostr body = PV_STR_INIT;
	char sha256[PV_SHA256_HEX];
	pv_autos3reply reply = { 0 };
	pv_autos3answer a = { 0 };

	pv_str_add(&body, "<CompleteMultipartUpload>");
	for (unsigned i = 0; i < u->nparts; i++)
		pv_str_addf(&body, "<Part><PartNumber>%u</PartNumber><ETag>\"%s\"</ETag></Part>", i + 1, u->etags[i]);
	pv_str_add(&body, "</CompleteMultipartUpload>");
	pv_digest_mem(body.data, body.len, sha256);
	const char *headers[] = { "Content-Type: application/xml" };
	const struct pv_s3_ask ask = { .method = "POST", .key = u->key, .query = query, .headers = headers, .nheaders = 1,
				       .text = body.data, .fd = -1, .size = body.len, .sha256 = sha256 };
	if (pv_s3_do_xml(u->s3, &ask, "CompleteMultipartUploadResult", &a, &reply, err) == 0)
		return 0;
	*ret_gone = pv_streq(reply.code, "NoSuchUpload") || pv_streq(reply.code, "InvalidPart");
	return -1;
}

static int one_round(struct upload *u, bool *ret_gone, struct pv_error *err)
{
	if (find_upload(u, err) < 0)
		return -1;
	if (u->id ? find_parts(u, ret_gone, err) < 0 : begin_upload(u, err) < 0)
		return -1;
	for (unsigned i = 1; i <= u->nparts; i++)
		if (pv_proc_check_interrupt(err) < 0 || put_part(u, i, ret_gone, err) < 0)
			return -1;
	return complete(u, ret_gone, err);
}

static int is_there(const struct upload *u, bool *ret, struct pv_error *err)
{
	struct pv_s3_head head;

	if (pv_s3_stat(u->s3, u->key, &head, err) < 0)
		return -1;
	*ret = head.there && head.size == u->size;
	return 0;
}

static int put_parts(struct upload *u, struct pv_error *err)
{
	bool there = false;

	u->part = pv_s3_part_size(u->size);
	u->nparts = (unsigned)((u->size + u->part - 1) / u->part);
	u->etags = pv_xcalloc(u->nparts, sizeof(*u->etags));
	u->sizes = pv_xcalloc(u->nparts, sizeof(*u->sizes));
	for (unsigned round = 1; !there; round++) {
		bool gone = false;

		if (one_round(u, &gone, err) == 0)
			break;
		if (!gone || round == ROUNDS)
			return -1;
		/* completed after all, by an answer that was lost or by somebody else; or given up by somebody else */
		pv_error_clear(err);
		forget_parts(u);
		if (is_there(u, &there, err) < 0)
			return -1;
	}
	if (is_there(u, &there, err) < 0)
		return -1;
	return there ? 0 : pv_error_set(err, PV_ERR_ARCHIVE, "%s: is not there, or not whole, after its upload", u->key);
}

int pv_s3_put_file(struct pv_s3 *s3, const char *key, const char *path, uint64_t size, uint64_t *ret_sent,
		   struct pv_error *err)
{
	auto_upload u = { .s3 = s3, .key = key, .path = path, .fd = -1, .size = size };
	bool there;

	*ret_sent = 0;
	if (is_there(&u, &there, err) < 0)
		return -1;
	if (there)
		return 0;
	u.fd = open(path, O_RDONLY | O_CLOEXEC);
	if (u.fd < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", path);
	if ((size > PV_S3_PART ? put_parts(&u, err) : put_whole(&u, err)) < 0)
		return -1;
	*ret_sent = u.sent;
	return 0;
}

/* --- leftovers --- */

static int abort_upload(struct pv_s3 *s3, const char *key, const char *upload_id, struct pv_error *err)
{
	pv_autofree char *id = pv_s3_encode(upload_id, false), *query = pv_fmt("uploadId=%s", id);
	const struct pv_s3_ask ask = { .method = "DELETE", .key = key, .query = query, .fd = -1 };
	pv_autos3reply reply = { 0 };

	return pv_s3_do(s3, &ask, 404, &reply, err);
}

int pv_s3_abort_uploads(struct pv_s3 *s3, const char *begin, bool (*begun)(void *ctx, const char *key), void *ctx,
			struct pv_error *err)
{
	pv_autofree char *full = pv_s3_full_key(s3, begin), *key_after = NULL, *id_after = NULL;
	size_t skip = strlen(pv_s3_place(s3)->prefix);

	for (;;) {
		pv_autos3answer a = { 0 };

		if (list_uploads(s3, full, key_after, id_after, &a, err) < 0)
			return -1;
		for (size_t i = 0; i < a.n; i++) {
			const struct pv_s3_entry *e = &a.entries[i];

			if (e->key && e->upload_id && pv_starts(e->key, full) && begun(ctx, e->key + skip) &&
			    abort_upload(s3, e->key + skip, e->upload_id, err) < 0)
				return -1;
		}
		if (!a.truncated || !a.next_key || (pv_streq(a.next_key, key_after) && pv_streq(a.next_upload, id_after)))
			return 0;
		free(key_after);
		free(id_after);
		key_after = pv_steal(&a.next_key);
		id_after = pv_steal(&a.next_upload);
	}
}
