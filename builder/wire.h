/* SPDX-License-Identifier: Apache-2.0 */
/* HTTPS to the places that images go to, by libcurl: one request at a time, bodies of exact length. Every connection
 * passes the same check of the host's certificate; nothing is followed by itself. */
#ifndef PV_WIRE_H
#define PV_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"
#include "text.h"

/* A certificate is trusted when its SHA-256 is pinned (then its name does not matter), or, without pins, when the CAs of
 * ca_file, else the system's, vouch for it and the host's name. Borrowed; must outlive the wire. */
struct pv_trust {
	const char *ca_file;			/* NULL: the system's */
	const char *const *pins;		/* 64 lower-case hex digits each */
	size_t npins;
};

struct pv_wire;
int pv_wire_new(const struct pv_trust *trust, struct pv_wire **ret, struct pv_error *err) PV_MUST_CHECK;
void pv_wire_free(struct pv_wire *wire);
void pv_wire_freep(struct pv_wire **wire);
#define pv_autowire __attribute__((cleanup(pv_wire_freep))) struct pv_wire

/* From here on an interrupt ends no request: for cleaning up after one. */
void pv_wire_tidying(struct pv_wire *wire);
bool pv_wire_is_tidying(const struct pv_wire *wire);

struct pv_wire_request {
	const char *method;			/* NULL: GET */
	const char *url;			/* https, or http to a loopback address; may hold secrets, is never shown */
	const char *shown;			/* names the host in errors */
	const char *const *headers;		/* "Name: value" */
	size_t nheaders;
	/* The body: exactly `size` bytes of text, or where that is NULL of fd. 0: none. */
	uint64_t size;
	const char *text;
	int fd;
	bool seekable;				/* fd: bytes from offset on, which are read again where curl must begin again */
	off_t offset;
	/* The answer's body, whatever its status; one of more than answer_max bytes breaks the connection. NULL: dropped. */
	struct pv_str *answer;
	size_t answer_max;
	/* Signature of AWS, version 4, by curl: "aws:amz:REGION:SERVICE" (CURLOPT_AWS_SIGV4), key id and secret. NULL: none */
	const char *aws, *key_id, *secret;
	void (*progress)(void *ctx, uint64_t done, uint64_t total);	/* of the body; NULL: none */
	void *progress_ctx;
};

/* How a request ended besides 0 or -1. */
struct pv_wire_reply {
	long status;				/* of HTTP; 0: no answer came */
	bool again;				/* of a failure, or of a status like 429 and 503: it may pass */
	char *location;				/* of a redirect; owned; NULL: none */
	uint64_t sent;				/* bytes of the body that went out */
};
void pv_wire_reply_done(struct pv_wire_reply *r);
#define pv_autoreply __attribute__((cleanup(pv_wire_reply_done))) struct pv_wire_reply

/* 0: there was an answer, whatever it was: see reply->status. -1: none (PV_ERR_ARCHIVE, or an interrupt), or fd ended
 * early (PV_ERR_STAGE). The url, headers and bodies are in no error. What reply holds from before is freed. */
int pv_wire_do(struct pv_wire *wire, const struct pv_wire_request *request, struct pv_wire_reply *reply,
	       struct pv_error *err) PV_MUST_CHECK;

/* A header of the last answer, NULL when it had none of that name. Valid until the next request. */
const char *pv_wire_header(const struct pv_wire *wire, const char *name);

#endif
