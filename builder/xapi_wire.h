/* SPDX-License-Identifier: Apache-2.0 */
/* HTTPS to the hosts of a pool, by libcurl: small calls, and uploads of exact length. Every connection passes the same
 * check of the host's certificate; nothing is followed by itself. */
#ifndef PV_XAPI_WIRE_H
#define PV_XAPI_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "text.h"

/* A certificate is trusted when its SHA-256 is pinned (then its name does not matter), or, without pins, when the CAs of
 * ca_file, else the system's, vouch for it and the host's name. Borrowed; must outlive the wire. */
struct pv_xapi_trust {
	const char *ca_file;			/* NULL: the system's */
	const char *const *pins;		/* 64 lower-case hex digits each */
	size_t npins;
};

struct pv_xapi_wire;
int pv_xapi_wire_new(const struct pv_xapi_trust *trust, struct pv_xapi_wire **ret, struct pv_error *err) PV_MUST_CHECK;
void pv_xapi_wire_free(struct pv_xapi_wire *wire);

/* How a request ended besides 0 or -1. */
struct pv_xapi_reply {
	long status;				/* of HTTP; 0: no answer came */
	bool again;				/* of a failure: it may pass */
	char *location;				/* of a redirect; owned; NULL: none */
	uint64_t sent;				/* bytes of an upload that went out */
};
void pv_xapi_reply_done(struct pv_xapi_reply *r);
#define pv_autoreply __attribute__((cleanup(pv_xapi_reply_done))) struct pv_xapi_reply

/* From here on an interrupt ends no request: for cleaning up after one. */
void pv_xapi_wire_tidying(struct pv_xapi_wire *wire);
bool pv_xapi_wire_is_tidying(const struct pv_xapi_wire *wire);

/* POST base/jsonrpc. base: "https://HOST[:PORT]". 0: answered 200, the body is added to ret. -1: no answer, or another
 * status. PV_ERR_ARCHIVE, or that of an interrupt. Neither body nor answer is in the error. */
int pv_xapi_wire_post(struct pv_xapi_wire *wire, const char *base, const char *body, struct pv_str *ret,
		      struct pv_xapi_reply *reply, struct pv_error *err) PV_MUST_CHECK;

struct pv_xapi_put {
	const char *base, *target;		/* target: path and query, which hold secrets and are never shown */
	uint64_t size;				/* exactly */
	int fd;					/* gives that many bytes; -1 for an empty body */
	void (*progress)(void *ctx, uint64_t done, uint64_t total);	/* NULL: none */
	void *progress_ctx;
};
/* 0: there was an answer, whatever it was: see reply->status. -1: the connection broke, or fd ended early or late. */
int pv_xapi_wire_put(struct pv_xapi_wire *wire, const struct pv_xapi_put *put, struct pv_xapi_reply *reply,
		     struct pv_error *err) PV_MUST_CHECK;

/* "https://HOST[:PORT]" of an address as a host says it: a name, an IPv4 or IPv6 address, with a port or without ("": no
 * port). PV_ERR_ARCHIVE for anything else. The caller frees *ret. */
int pv_xapi_base(const char *address, const char *port, char **ret, struct pv_error *err) PV_MUST_CHECK;

#endif
