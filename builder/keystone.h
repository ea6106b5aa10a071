/* SPDX-License-Identifier: Apache-2.0 */
/* OpenStack's identity service, version 3, as text: what is sent for a token, and what an answer says. Answers are
 * hostile. Source: openstack/keystone api-ref/source/v3/authenticate-v3.inc. */
#ifndef PV_KEYSTONE_H
#define PV_KEYSTONE_H

#include <stddef.h>

#include "clouds.h"
#include "error.h"

#define PV_KEYSTONE_ANSWER_MAX ((size_t)4 << 20)	/* a catalog of a large cloud has some 50 KiB */

/* "AUTH_URL/v3/auth/tokens", where AUTH_URL may end in /v3 already. PV_ERR_USAGE for what is no URL or names another
 * version. The caller frees. */
int pv_keystone_url(const struct pv_cloud *cloud, char **ret, struct pv_error *err) PV_MUST_CHECK;
/* The body of POST there: holds secrets. NULL: a value is no UTF-8. The caller wipes and frees. */
char *pv_keystone_request(const struct pv_cloud *cloud);

struct pv_keystone_token {
	char *project;			/* its id; NULL: the token is of none */
	char *image_url;		/* of the image service, as the catalog has it; NULL: there is none for us */
	unsigned regions;		/* how many regions have one */
};
void pv_keystone_token_done(struct pv_keystone_token *t);
#define pv_autotoken __attribute__((cleanup(pv_keystone_token_done))) struct pv_keystone_token

/* Reads the answer (the token itself is in a header). The endpoint is of the cloud's interface and region; without a
 * region, the first. `what` names the service in errors. PV_ERR_ARCHIVE. */
int pv_keystone_answer(const char *text, size_t len, const char *what, const struct pv_cloud *cloud,
		       struct pv_keystone_token *ret, struct pv_error *err) PV_MUST_CHECK;

#endif
