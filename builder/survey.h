/* SPDX-License-Identifier: Apache-2.0 */
/* One look over the indexes before apt is asked: which wanted names exist, and what debootstrap's base is. */
#ifndef PV_SURVEY_H
#define PV_SURVEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aptree.h"
#include "deb822.h"
#include "error.h"
#include "text.h"

/* Names are kept as 63-bit hashes: 60 000 packages and their dependencies are some MiB then. Two names of one hash would
 * give a package too many; the archive is signed and the odds are 1 in 10^9. */
struct pv_survey {
	uint64_t *base;			/* debootstrap's base, hashes, sorted */
	size_t nbase;
	uint64_t *reach;		/* all that base and wanted could draw in by any alternative and any provider */
	size_t nreach;
	bool *found;			/* one a wanted name: some index has it, or provides it */
};
void pv_survey_done(struct pv_survey *s);
#define pv_autosurvey __attribute__((cleanup(pv_survey_done))) struct pv_survey

/* wanted: sorted. The base follows debootstrap's rule (minbase): what has Priority: required in the first index's suite,
 * apt, base_names, and the first alternative of each Depends and Pre-Depends of these, if there is a real package of
 * that name; versions and virtual names do not count; usrmerge is taken only where it is required, or
 * where nothing else is usr-is-merged. */
int pv_survey(const struct pv_aptree_index *indexes, size_t nindexes, const struct pv_strv *wanted,
	      const char *const *base_names, struct pv_survey *ret, struct pv_error *err) PV_MUST_CHECK;

bool pv_survey_in_base(const struct pv_survey *s, const char *name);
/* False: no solver can choose it, whatever it does about the wanted names (Recommends are never followed). */
bool pv_survey_in_reach(const struct pv_survey *s, const char *name);

/* Index of `word` in a sorted vector, or -1. */
ptrdiff_t pv_survey_find(const struct pv_strv *sorted, const char *word);

#endif
