/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of an image's stages: everything that their results depend on. */
#ifndef PV_STAGEKEY_H
#define PV_STAGEKEY_H

#include "cachekey.h"
#include "error.h"
#include "overlay_set.h"
#include "plan.h"

/* Raised when a stage comes to make something else. It stands beside the digest of the program itself: a program built anew
 * does everything anew, a released one is the same on every host. */
#define PV_STAGE_VERSION "1"

/* "system" is what fetch, bootstrap and install make: the tree as apt left it. */
int pv_stagekey_system(const struct pv_plan *plan, const struct pv_paths *paths, struct pv_cachekey *ret, struct pv_error *err)
	PV_MUST_CHECK;

/* "configure" follows `system` (its digest). Of the overlays it has everything but the contents of files: paths, kinds,
 * owners, modes, whether a file is empty, where links lead. */
int pv_stagekey_configure(const struct pv_plan *plan, const struct pv_paths *paths, const char *system,
			  const struct pv_overlay_set *overlays, struct pv_cachekey *ret, struct pv_error *err) PV_MUST_CHECK;

/* The contents of a file of an overlay: line "content:PATH". */
#define PV_STAGEKEY_CONTENT "content:"
void pv_stagekey_content(const struct pv_overlay_entry *entry, struct pv_cachekey *ret);

/* "image" follows `configure` (its record's name) and has the contents of all files of overlays, in the order of the set,
 * as its last lines. */
int pv_stagekey_image(const struct pv_plan *plan, const char *configure, const struct pv_overlay_set *overlays,
		      struct pv_cachekey *ret, struct pv_error *err) PV_MUST_CHECK;

#endif
