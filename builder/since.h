/* SPDX-License-Identifier: Apache-2.0 */
/* A result beside the one that it will replace: what changed, and what did not. */
#ifndef PV_SINCE_H
#define PV_SINCE_H

#include "error.h"
#include "report.h"

/* Notes in the report what the records in folder `now` (its report.json too) tell otherwise than those in `before`.
 * Nothing where `before` has no records. PV_ERR_STAGE: what is there cannot be read. */
int pv_since_note(struct pv_report *report, const char *before, const char *now, struct pv_error *err) PV_MUST_CHECK;

/* The disk is made from that in `before`, block for block: its files lie where they did. */
void pv_since_keep_folders(struct pv_report *report, const char *before);

#endif
