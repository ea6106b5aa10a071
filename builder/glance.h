/* SPDX-License-Identifier: Apache-2.0 */
/* A session with an OpenStack image service (Glance, version 2), with Keystone's token where it wants one. */
#ifndef PV_GLANCE_H
#define PV_GLANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "clouds.h"
#include "error.h"
#include "glance_json.h"
#include "wire.h"

struct pv_glance {
	struct pv_wire *wire;
	const struct pv_cloud *cloud;		/* borrowed */
	char *base;				/* "https://HOST/PATH/v2" */
	char *token;				/* the header's line, a secret; NULL: none */
	char *project;				/* whose images are made; NULL: not known */
	long status;				/* of the last answer; 0: none came */
	bool may_pass;				/* of the last failure: the same may go well later */
};

/* endpoint: the image service's address; NULL: Keystone's catalog has it. cloud and trust outlive the session. Logs in where
 * the cloud says how. PV_ERR_ARCHIVE, PV_ERR_USAGE. */
int pv_glance_open(const struct pv_cloud *cloud, const char *endpoint, const struct pv_trust *trust,
		   struct pv_glance *ret, struct pv_error *err) PV_MUST_CHECK;
void pv_glance_close(struct pv_glance *g);

/* Below, what may pass (no answer, 5xx) is tried four times in 7 s; a token that has ended is renewed once. */

/* From a body of pv_glance_new with that id. */
int pv_glance_create(struct pv_glance *g, const char *id, const char *body, struct pv_glance_image *ret,
		     struct pv_error *err) PV_MUST_CHECK;
int pv_glance_show(struct pv_glance *g, const char *id, struct pv_glance_image *ret, struct pv_error *err) PV_MUST_CHECK;
int pv_glance_patch(struct pv_glance *g, const char *id, const char *body, struct pv_error *err) PV_MUST_CHECK;
/* One that is not there is fine. */
int pv_glance_delete(struct pv_glance *g, const char *id, struct pv_error *err) PV_MUST_CHECK;
/* What carries our property with that image's name, newest first, of our project where that is known; in any state. hidden:
 * those that lists do not show instead. */
int pv_glance_list(struct pv_glance *g, const char *name, bool hidden, struct pv_glance_images *ret,
		   struct pv_error *err) PV_MUST_CHECK;

struct pv_glance_data {
	const char *id;
	int fd;					/* from its beginning */
	uint64_t size;
	void (*progress)(void *ctx, uint64_t done, uint64_t total);
	void *ctx;
};
/* Sends once, or twice when the token had ended. -1: may_pass tells. */
int pv_glance_upload(struct pv_glance *g, const struct pv_glance_data *data, struct pv_error *err) PV_MUST_CHECK;

/* Sleeps; -1 when interrupted meanwhile, unless tidying. */
int pv_glance_pause(const struct pv_glance *g, unsigned ms, struct pv_error *err) PV_MUST_CHECK;

#endif
