/* SPDX-License-Identifier: Apache-2.0 */
/* What an S3 server says in XML, of all kinds of answers what pvimg asks for (Amazon S3 API Reference: Error,
 * ListBucketResult, ListMultipartUploadsResult, ListPartsResult, InitiateMultipartUploadResult). */
#ifndef PV_S3_ANSWER_H
#define PV_S3_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

/* A Contents, Upload or Part; what it has not is NULL or 0. */
struct pv_s3_entry {
	char *key, *upload_id, *etag;		/* etag without its quotes */
	uint64_t size;
	unsigned part;
};

struct pv_s3_answer {
	char *root;				/* the outermost element: "Error" is one */
	char *code, *message;			/* of an Error */
	char *upload_id, *etag;
	bool truncated;				/* there is more, after: */
	char *next_token, *next_key, *next_upload, *next_part;
	struct pv_s3_entry *entries;
	size_t n;
};
void pv_s3_answer_done(struct pv_s3_answer *a);
#define pv_autos3answer __attribute__((cleanup(pv_s3_answer_done))) struct pv_s3_answer

/* PV_ERR_ARCHIVE for what is no XML, has a doctype, is nested too deep or too long. Words in it are printable; keys, ids and
 * tokens are as they came. */
int pv_s3_answer_parse(const char *text, size_t len, struct pv_s3_answer *ret, struct pv_error *err) PV_MUST_CHECK;

#endif
