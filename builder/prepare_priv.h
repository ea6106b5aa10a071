/* SPDX-License-Identifier: Apache-2.0 */
/* Between prepare.c and its parts. */
#ifndef PV_PREPARE_PRIV_H
#define PV_PREPARE_PRIV_H

#include "prepare.h"

/* Fills mirror, security and mirror_from. */
int pv_prepare_mirrors(const struct pv_recipe *recipe, const struct pv_plan *plan, struct pv_prepared *ret,
		       struct pv_error *err) PV_MUST_CHECK;

/* Sets "no archive of it can be reached", with both ways out. Returns -1. */
int pv_prepare_no_archive(const struct pv_suite *suite, const char *cause, struct pv_error *err);

/* Epoch and ids; a host whose clock is before the epoch is PV_ERR_HOST: what it writes would be older than it may be. */
int pv_prepare_epoch(struct pv_plan *plan, int64_t newest_date, bool stand_in, struct pv_error *err) PV_MUST_CHECK;

/* The plan's packages from the lock at ret->lock_path; mirrors only when a package is not in the store. */
int pv_prepare_locked(const struct pv_prepare_request *req, struct pv_prepared *ret, struct pv_error *err) PV_MUST_CHECK;

#endif
