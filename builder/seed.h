/* SPDX-License-Identifier: Apache-2.0 */
/* The NoCloud disk that carries the probe into a guest: so the image needs no back door. */
#ifndef PV_SEED_H
#define PV_SEED_H

#include <stdbool.h>

#include "error.h"
#include "settings.h"

struct pv_seed_request {
	const char *nonce;		/* of this run: 32 hex digits */
	const char *public_key;		/* one line, OpenSSH's; lets `pvimg` in, with sudo */
	const char *scripts_dir;	/* scripts/guest/ is below it */
	const struct pv_settings *settings;	/* names of values to report; NULL: none */
	const char *ntp;		/* address of dom0's time server; NULL: none */
	bool measure;			/* the probe measures, too */
};

#define PV_SEED_SIZE (4u << 20)		/* bytes: always */

/* Makes `path` (an older one is replaced): a vfat disk labelled CIDATA with meta-data and user-data. The same request
 * gives the same bytes. Makes no network access; mtools does the writing. The user-data make the user, and start the probe
 * at every boot. PV_ERR_STAGE: a value that does not belong there; PV_ERR_HOST: a tool is missing. */
int pv_seed_write(const struct pv_seed_request *req, const char *path, struct pv_error *err) PV_MUST_CHECK;

#endif
