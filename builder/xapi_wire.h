/* SPDX-License-Identifier: Apache-2.0 */
/* Private to xapi*.c: the two requests that xapi is asked with, and how a host's address becomes a URL. */
#ifndef PV_XAPI_WIRE_H
#define PV_XAPI_WIRE_H

#include <stdint.h>

#include "error.h"
#include "text.h"
#include "wire.h"

/* POST base/jsonrpc. base: "https://HOST[:PORT]". 0: answered 200, the body is added to ret. -1: no answer, or another
 * status. PV_ERR_ARCHIVE, or that of an interrupt. Neither body nor answer is in the error. */
int pv_xapi_wire_post(struct pv_wire *wire, const char *base, const char *body, struct pv_str *ret,
		      struct pv_wire_reply *reply, struct pv_error *err) PV_MUST_CHECK;

struct pv_xapi_put {
	const char *base, *target;		/* target: path and query, which hold secrets and are never shown */
	uint64_t size;				/* exactly; 0: an empty body */
	int fd;					/* gives that many bytes */
	void (*progress)(void *ctx, uint64_t done, uint64_t total);	/* NULL: none */
	void *progress_ctx;
};
/* As pv_wire_do. */
int pv_xapi_wire_put(struct pv_wire *wire, const struct pv_xapi_put *put, struct pv_wire_reply *reply,
		     struct pv_error *err) PV_MUST_CHECK;

/* "https://HOST[:PORT]" of an address as a host says it: a name, an IPv4 or IPv6 address, with a port or without ("": no
 * port). PV_ERR_ARCHIVE for anything else. The caller frees *ret. */
int pv_xapi_base(const char *address, const char *port, char **ret, struct pv_error *err) PV_MUST_CHECK;

#endif
