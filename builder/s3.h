/* SPDX-License-Identifier: Apache-2.0 */
/* Objects below a prefix of a bucket, over the protocol that Amazon S3 made (Amazon S3 API Reference, 2006-03-01): signature
 * version 4, what may pass tried again, large files in parts. Keys are below the prefix; errors name them. */
#ifndef PV_S3_H
#define PV_S3_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aws.h"
#include "digest.h"
#include "error.h"
#include "text.h"
#include "wire.h"

#define PV_S3_PART (UINT64_C(16) << 20)		/* and more where that would be too many */
#define PV_S3_PARTS_MAX UINT64_C(10000)

/* Borrowed; must outlive the bucket. */
struct pv_s3_place {
	const char *endpoint;			/* "https://HOST[:PORT]", or http to a loopback address */
	const char *region, *bucket;
	const char *prefix;			/* "", or with a slash at the end */
	bool virtual_host;			/* the bucket is part of the host's name, not of the path */
	const struct pv_aws *who;
	void (*note)(void *ctx, const char *line);			/* another try; NULL: none */
	void (*progress)(void *ctx, uint64_t done, uint64_t total);	/* of a file; NULL: none */
	void *ctx;
};

struct pv_s3;
int pv_s3_new(const struct pv_s3_place *place, const struct pv_trust *trust, struct pv_s3 **ret, struct pv_error *err)
	PV_MUST_CHECK;
void pv_s3_freep(struct pv_s3 **s3);
#define pv_autos3 __attribute__((cleanup(pv_s3_freep))) struct pv_s3

/* From here on an interrupt ends no request, and nothing is tried again. */
void pv_s3_tidying(struct pv_s3 *s3);

/* All below: PV_ERR_ARCHIVE, or an interrupt's. */

/* *ret NULL: there is none. At most max bytes; NUL-terminated. The caller frees. */
int pv_s3_get(struct pv_s3 *s3, const char *key, size_t max, char **ret, size_t *ret_len, struct pv_error *err) PV_MUST_CHECK;

struct pv_s3_head {
	bool there;
	uint64_t size;
	uint64_t age;				/* seconds since it was written, by the server's clock; 0: not known */
};
int pv_s3_stat(struct pv_s3 *s3, const char *key, struct pv_s3_head *ret, struct pv_error *err) PV_MUST_CHECK;

/* Whole at once, as all objects. */
int pv_s3_put(struct pv_s3 *s3, const char *key, const char *text, struct pv_error *err) PV_MUST_CHECK;
/* Not where there is one already. A server that does not know this condition says so (*ret_knows), and nothing was put, or
 * says nothing and replaces. */
int pv_s3_put_new(struct pv_s3 *s3, const char *key, const char *text, bool *ret_knows, struct pv_error *err) PV_MUST_CHECK;
/* What is not there is fine. */
int pv_s3_remove(struct pv_s3 *s3, const char *key, struct pv_error *err) PV_MUST_CHECK;

/* Keys below the prefix that begin so. */
int pv_s3_list(struct pv_s3 *s3, const char *begin, struct pv_strv *ret, struct pv_error *err) PV_MUST_CHECK;

/* A file of exactly that size and digest, which the server checks too (SHA-256 of each request, MD5 of each part). One of
 * more than PV_S3_PART goes in parts; those that an earlier upload to this key left there with the same digest are not
 * sent again. An object of this key and size is taken for this file: put the digest into the key. *ret_sent: bytes.
 * After an error the parts stay for the next time. */
int pv_s3_put_file(struct pv_s3 *s3, const char *key, const char *path, uint64_t size, uint64_t *ret_sent,
		   struct pv_error *err) PV_MUST_CHECK;

/* Uploads in parts, to keys that begin so, which nobody completed: what begun() says yes to is given up. */
int pv_s3_abort_uploads(struct pv_s3 *s3, const char *begin, bool (*begun)(void *ctx, const char *key), void *ctx,
			struct pv_error *err) PV_MUST_CHECK;

/* As part of a path or query: all but A-Z a-z 0-9 - . _ ~ and, where `slash` says so, / as %XX. The caller frees. */
char *pv_s3_encode(const char *text, bool slash);
/* Bytes of each part but the last. */
uint64_t pv_s3_part_size(uint64_t size);

#endif
