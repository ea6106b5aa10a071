/* SPDX-License-Identifier: Apache-2.0 */
/* Private to registry_*.c: one request and its answer. */
#ifndef PV_REGISTRY_HTTP_H
#define PV_REGISTRY_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "digest.h"
#include "error.h"
#include "text.h"

struct pv_registry {
	char *site;			/* https://host:port */
	char *repository;		/* a/b */
	char *shown;			/* for messages */
	char *user, *password;		/* NULL: none */
	char *token;			/* NULL: none yet */
	bool secure;			/* https */
};

struct pv_registry_call {
	const char *method;		/* GET, HEAD, POST, PUT */
	const char *url;
	const char *accept, *type;	/* NULL: none */
	const char *user, *password, *token;
	bool secure;
	/* what is sent: data, or the file behind in_fd when data is NULL; size 0: nothing */
	const void *data;
	int in_fd;
	uint64_t in_size, in_done;
	/* where a body of 200 goes: text, or out_fd with digest; at most max bytes */
	struct pv_str *text;
	int out_fd;
	struct pv_digest *digest;
	uint64_t max, have;
	/* the answer */
	bool too_long;
	int disk_errno;
	long status;
	char *location, *challenge;	/* headers, or NULL; owned */
};
void pv_registry_call_done(struct pv_registry_call *call);
#define pv_autoregistrycall __attribute__((cleanup(pv_registry_call_done))) struct pv_registry_call

/* 0: there was an answer, whatever its status. `shown` names the server in errors. */
int pv_registry_http(struct pv_registry_call *call, const char *shown, struct pv_error *err) PV_MUST_CHECK;

/* A Bearer challenge of the registry: asks where it says for a token. scope: "pull" or "pull,push". */
int pv_registry_token(struct pv_registry *registry, const char *challenge, const char *actions, struct pv_error *err)
	PV_MUST_CHECK;
/* A parameter of a challenge (RFC 9110, 11.6.1), NULL when it has none. The caller frees. */
char *pv_registry_parameter(const char *challenge, const char *name);

#endif
