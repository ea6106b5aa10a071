/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of fetch: one transfer, its part file and its curl handle. Included by fetch*.c only. */
#ifndef PV_FETCH_TRANSFER_H
#define PV_FETCH_TRANSFER_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

#include "digest.h"
#include "error.h"
#include "store.h"
#include "text.h"

enum pv_transfer_state {
	PV_TRANSFER_WAITING,	/* to be started at or after `not_before` */
	PV_TRANSFER_ACTIVE,
	PV_TRANSFER_DONE,
};

/* How one try went. */
enum pv_transfer_end {
	PV_TRANSFER_GOOD,
	PV_TRANSFER_AGAIN,	/* transient: may be tried again */
	PV_TRANSFER_AFRESH,	/* what the part held is of no use: at once again, from the first byte */
	PV_TRANSFER_FAILED,
};

struct pv_transfer {
	enum pv_transfer_state state;
	const char *base_url;	/* borrowed */
	const char *path;	/* borrowed; NULL: base_url is the whole URL */
	const char *sha256;	/* borrowed; NULL: into memory */
	uint64_t size;		/* exactly, or at most when into memory */
	struct pv_str *mem;

	CURL *easy;
	char message[CURL_ERROR_SIZE];
	int fd;			/* the part file, locked; -1 */
	struct pv_digest *digest;
	uint64_t start;		/* bytes the part had when this try began */
	uint64_t have;		/* bytes of the file that are here */
	unsigned tries;		/* that ended transiently without getting on */
	bool afresh;		/* was begun anew because of what the part held; that happens once */
	bool no_range;		/* the server cannot resume: each try is from the first byte */
	bool too_long;
	int write_errno;
	uint64_t not_before;	/* ms of the monotonic clock */
	long status;		/* of the last try: HTTP status, 404 for a file that is not there */
};

/* What all transfers of one pv_fetch share. */
struct pv_transfer_settings {
	const char *http_proxy, *https_proxy;	/* NULL: the environment's */
	long slow_seconds;
};

/* fetch_part.c */

/* Opens and locks the part, hashes what it holds. *ret_busy: another transfer (of this or another pvimg) has it.
 * *ret_whole: the store has it, or the part was whole and is in the store now. */
int pv_part_open(struct pv_transfer *t, const struct pv_store *store, bool *ret_busy, bool *ret_whole,
		 struct pv_error *err) PV_MUST_CHECK;
/* All bytes are here: the digest decides. GOOD: it is in the store. */
enum pv_transfer_end pv_part_finish(struct pv_transfer *t, const struct pv_store *store, struct pv_error *err);
/* Lets go of it; `keep` false empties it too. */
void pv_part_close(struct pv_transfer *t, bool keep);

/* fetch_curl.c */

/* Makes and fills t->easy. */
int pv_curl_begin(struct pv_transfer *t, const struct pv_transfer_settings *settings, struct pv_error *err)
	PV_MUST_CHECK;
/* Judges how curl ended; FAILED and AGAIN set *err. */
enum pv_transfer_end pv_curl_judge(struct pv_transfer *t, CURLcode code, struct pv_error *err);

/* "PATH from MIRROR" or the URL, without userinfo. The caller frees. */
char *pv_transfer_name(const struct pv_transfer *t);

#endif
