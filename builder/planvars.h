/* SPDX-License-Identifier: Apache-2.0 */
/* What overlays' templates and the scripts inside the target may know of a plan. */
#ifndef PV_PLANVARS_H
#define PV_PLANVARS_H

#include "plan.h"
#include "vars.h"

/* Sets every variable that templates may use from the plan's recipe, suite, sizing and ids; so after pv_plan_make and
 * once the ids are there. The same names exist for every plan; flags are "yes" or "", and lines that a setting may or
 * may not need are the line or "" (a template's line with an empty variable alone vanishes, template.h). planvars.c's
 * tables are the list. */
void pv_plan_vars(const struct pv_plan *plan, struct pv_vars *ret);

#endif
