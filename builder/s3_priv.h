/* SPDX-License-Identifier: Apache-2.0 */
/* Private to s3*.c: one request. */
#ifndef PV_S3_PRIV_H
#define PV_S3_PRIV_H

#include <sys/types.h>

#include "s3.h"
#include "s3_answer.h"

struct pv_s3_ask {
	const char *method, *key;		/* key NULL: the bucket */
	const char *query;			/* encoded, sorted by name, each name with "="; NULL: none */
	const char *const *headers;
	size_t nheaders;
	const char *text;			/* the body; NULL: of fd */
	int fd;
	off_t offset;
	uint64_t size;
	const char *sha256;			/* of the body; NULL: it has none */
	size_t answer_max;			/* 0: PV_S3_ANSWER */
	bool shows;				/* the progress of the body is the file's */
	uint64_t shown_from, shown_total;
};

#define PV_S3_ANSWER ((size_t)16 << 20)

/* What came of it. */
struct pv_s3_reply {
	long status;
	struct pv_str body;
	char *code;				/* of an error that has one */
};
void pv_s3_reply_done(struct pv_s3_reply *r);
#define pv_autos3reply __attribute__((cleanup(pv_s3_reply_done))) struct pv_s3_reply

/* 0: an answer with a status of 2xx, or with one of `fine` (0: none). Else -1, with reply as far as it got. */
int pv_s3_do(struct pv_s3 *s3, const struct pv_s3_ask *ask, long fine, struct pv_s3_reply *reply, struct pv_error *err)
	PV_MUST_CHECK;
/* A header of the last answer. */
const char *pv_s3_header(const struct pv_s3 *s3, const char *name);
/* pv_s3_do, and the body is XML whose outermost element is `root`. An Error in an answer of 200 is one. */
int pv_s3_do_xml(struct pv_s3 *s3, const struct pv_s3_ask *ask, const char *root, struct pv_s3_answer *ret,
		 struct pv_s3_reply *reply, struct pv_error *err) PV_MUST_CHECK;
const struct pv_s3_place *pv_s3_place(const struct pv_s3 *s3);
/* Prefix and key. The caller frees. */
char *pv_s3_full_key(const struct pv_s3 *s3, const char *key);

#endif
