/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of the newest Release Date seen of each origin and suite: an older one is a replay and is refused. */
#ifndef PV_FRESHNESS_H
#define PV_FRESHNESS_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

/* The record is one file, cache_dir/freshness/ORIGIN_SUITE, with the Date in seconds since 1970. A record that cannot be
 * read as such is an error that names the file, never taken as "nothing seen". */

/* PV_ERR_ARCHIVE when `date` is older than the record, unless allow_older. Changes nothing. */
int pv_freshness_check(const char *cache_dir, const char *origin, const char *suite, int64_t date, bool allow_older,
		       struct pv_error *err) PV_MUST_CHECK;

/* Raises the record to `date`, never lowers it. Called only after everything was verified. */
int pv_freshness_update(const char *cache_dir, const char *origin, const char *suite, int64_t date,
			struct pv_error *err) PV_MUST_CHECK;

#endif
