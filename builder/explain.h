/* SPDX-License-Identifier: Apache-2.0 */
/* Why each stage of an image would run or not. */
#ifndef PV_EXPLAIN_H
#define PV_EXPLAIN_H

#include "error.h"
#include "plan.h"
#include "stagecache.h"
#include "text.h"

/* Adds a line a stage: "  system     hit" or "  system     miss: package:curl 7.88 .. -> 8.5 ..", the first input that has
 * changed since the most alike of the results that the cache has. `final`: where the result would be. */
int pv_explain(const struct pv_plan *plan, const struct pv_stagecache *cache, const char *final, struct pv_str *ret,
	       struct pv_error *err) PV_MUST_CHECK;

#endif
