/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest and its dom0 are given for one verification: the seed disk, the key, the scripts, and for PVH and PV the
 * kernel and initrd from the image. */
#ifndef PV_VERIFY_JOB_H
#define PV_VERIFY_JOB_H

#include "error.h"
#include "settings.h"
#include "verify.h"

struct pv_job {
	char nonce[33];
	char *dir;			/* the agent's job folder */
	char *seed;			/* NoCloud disk */
	char *cmdline;			/* PVH and PV; else NULL */
};

/* Makes all of it below work_dir. settings: NULL for an image without a manifest. PV_ERR_HOST: mtools are missing;
 * PV_ERR_STAGE: no kernel to be found in the image (PVH, PV). */
int pv_job_make(const struct pv_verify_request *req, const struct pv_settings *settings, const char *work_dir,
		struct pv_job *ret, struct pv_error *err) PV_MUST_CHECK;
void pv_job_done(struct pv_job *job);
#define pv_autojob __attribute__((cleanup(pv_job_done))) struct pv_job

#endif
