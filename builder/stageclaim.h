/* SPDX-License-Identifier: Apache-2.0 */
/* Who makes a stage's result: one build; others that need the same one wait for it in place of making it again. */
#ifndef PV_STAGECLAIM_H
#define PV_STAGECLAIM_H

#include <stdbool.h>

#include "error.h"
#include "log.h"
#include "objects.h"

/* A lock beside the record, stages/STAGE/KEY.lock; gone with the process that has it. Nothing is wrong without one: then
 * a result is made twice. */
struct pv_stageclaim {
	int fd;			/* -1: none */
	char *path;
};
#define PV_STAGECLAIM_INIT { -1, 0 }

/* Takes the claim. wait: for as long as another build has it, saying so; else what is taken stays taken and ours is
 * none. A claim that cannot be made is none. Errors: interruption alone. */
int pv_stageclaim_take(struct pv_stageclaim *claim, const struct pv_objects *objects, const char *stage, const char *key,
		       bool wait, struct pv_log *log, const char *image, struct pv_error *err) PV_MUST_CHECK;
void pv_stageclaim_drop(struct pv_stageclaim *claim);		/* idempotent */

#endif
