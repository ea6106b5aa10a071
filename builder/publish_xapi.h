/* SPDX-License-Identifier: Apache-2.0 */
/* Publishing to XenServer and XCP-ng: an image becomes a template of a pool, whole, and takes the older one's place. */
#ifndef PV_PUBLISH_XAPI_H
#define PV_PUBLISH_XAPI_H

#include <stdbool.h>
#include <stdint.h>

#include "digest.h"
#include "error.h"
#include "machine.h"
#include "wire.h"

struct pv_publish_xapi {			/* borrowed */
	const char *host;			/* "NAME[:PORT]" of any host of the pool */
	const char *sr;				/* name or uuid of the storage; NULL: the pool's default */
	struct pv_trust trust;
	const char *user, *password;
	bool vhd;				/* by import_raw_vdi instead of an XVA; takes a file beside the image */
	unsigned keep;				/* templates of this name that stay, the new one too; at least 1 */
	const char *image;			/* raw, whole MiB */
	const struct pv_machine *machine;	/* its name is the template's */
	const char *sha256;			/* what the image must be, byte for byte; NULL: whatever it is */
	/* of reading the image, then of sending; what is a static word for it */
	void (*progress)(void *ctx, const char *what, uint64_t done, uint64_t total);
	/* What a person may want to know meanwhile: a broken connection, another try. One line. */
	void (*note)(void *ctx, const char *line);
	void *ctx;
};

struct pv_publish_xapi_result {
	char *uuid, *base;			/* of the template; where it is, "https://HOST" */
	char sha256[PV_SHA256_HEX];		/* of the bytes that are there */
	bool already;				/* nothing was sent: it was there */
	uint64_t sent;				/* bytes of the XVA or VHD */
	unsigned removed, tries;
};

/* The image is read twice: for the length that xapi wants to know first, and while it is sent; both must be the same
 * bytes. It arrives under a name of its own and gets the template's name when everything else of it is right, so that
 * whoever looks by name finds the old one or the new one, whole. Then older ones that pvimg published under this name go
 * or, where more than one is kept, get the name "NAME (older, N)". After a failure or an interrupt nothing of the upload
 * is left; where that cannot be done, the error says what. What may pass is tried four times.
 * PV_ERR_STAGE for the image, PV_ERR_USAGE for one that is no whole MiB, else PV_ERR_ARCHIVE. */
int pv_publish_xapi(const struct pv_publish_xapi *req, struct pv_publish_xapi_result *ret, struct pv_error *err)
	PV_MUST_CHECK;
void pv_publish_xapi_result_done(struct pv_publish_xapi_result *r);

#endif
