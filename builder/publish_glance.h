/* SPDX-License-Identifier: Apache-2.0 */
/* Publishing to OpenStack: an image of the image service, whole and compared before it has its name. */
#ifndef PV_PUBLISH_GLANCE_H
#define PV_PUBLISH_GLANCE_H

#include "clouds.h"
#include "error.h"
#include "publish.h"

enum pv_glance_old {
	PV_GLANCE_KEEP,				/* older ones stay as they are */
	PV_GLANCE_HIDE,				/* lists do not show them any more */
	PV_GLANCE_DELETE,
};

struct pv_publish_glance {			/* borrowed */
	const char *endpoint;			/* the image service's address; NULL: the cloud's catalog has it */
	const struct pv_cloud *cloud;
	const char *format;			/* a word of export: raw, qcow2, qcow2-zlib or vhd-tar-gz */
	const char *visibility;
	enum pv_glance_old old;
	unsigned keep;				/* with HIDE and DELETE: how many stay, the new one too; at least 1 */
	const struct pv_publish *what;
};

/* The image arrives as "NAME.uploading-...", is compared by size and hash, and gets its name by the same request that gives
 * it its place among the others. Then older ones of that name that pvimg published go by rule, those of the same project
 * alone. After a failure or an interrupt nothing of the upload is left; where that cannot be done, the error says what.
 * Uploads of this name that nobody touched for a day are removed. What may pass is tried four times. ret->target stays NULL.
 * PV_ERR_STAGE and PV_ERR_USAGE for the image, else PV_ERR_ARCHIVE. */
int pv_publish_glance(const struct pv_publish_glance *req, struct pv_publish_result *ret, struct pv_error *err)
	PV_MUST_CHECK;

#endif
