/* SPDX-License-Identifier: Apache-2.0 */
/* Publishing into an image mirror that lies in a bucket. */
#ifndef PV_PUBLISH_S3_H
#define PV_PUBLISH_S3_H

#include "publish.h"
#include "s3.h"

/* s3://BUCKET[/PREFIX][?endpoint=URL&region=R&addressing=path|virtual] */
struct pv_s3_address {
	char *bucket, *prefix;			/* prefix "", or with a slash at the end */
	char *endpoint, *region;		/* NULL: not said */
	bool path_style, virtual_host;		/* at most one of them; neither: not said */
};
void pv_s3_address_done(struct pv_s3_address *a);
/* PV_ERR_USAGE. */
int pv_s3_address_parse(const char *to, struct pv_s3_address *ret, struct pv_error *err) PV_MUST_CHECK;

/* Files first, lists next, the index last; each object whole. Who replaces lists has the object .lock meanwhile, made under
 * the condition that there is none (where a server knows no conditions: still its own a second later), and finds the lists
 * as it read them; else it begins again. A lock that is older than five minutes was left by a run that was killed.
 * shown: "s3://BUCKET/PREFIX". */
int pv_publish_s3(const struct pv_s3_place *place, const char *shown, const struct pv_publish *what,
		  struct pv_publish_result *ret, struct pv_error *err) PV_MUST_CHECK;

#endif
