/* SPDX-License-Identifier: Apache-2.0 */
/* manifest.json: what is in an image. An artifact: the same inputs give the same bytes. */
#ifndef PV_MANIFEST_H
#define PV_MANIFEST_H

#include "plan.h"
#include "settings.h"

/* Writes the manifest of an installed tree to path; licenses are read from the tree's machine-readable
 * copyright files (DEP-5), without following a link out of the tree. settings: what verify will ask the running guest
 * for; NULL: it is no image. Schema pvimg.manifest/1. */
int pv_manifest_write(const struct pv_plan *plan, const struct pv_settings *settings, const char *root, const char *path,
		      struct pv_error *err) PV_MUST_CHECK;

/* The same from another manifest of the same plan and tree, with other settings. */
int pv_manifest_with_settings(const char *from, const struct pv_settings *settings, const char *path, struct pv_error *err)
	PV_MUST_CHECK;

/* The same from the manifest of another image, which differs in name and flavor alone. */
int pv_manifest_of_sibling(const char *from, const struct pv_plan *plan, const struct pv_settings *settings, const char *path,
			   struct pv_error *err) PV_MUST_CHECK;

/* Compares the tree's dpkg status with the plan: every planned package installed in exactly that version and
 * architecture, nothing
 * else. PV_ERR_STAGE names up to five that differ. */
int pv_manifest_check_installed(const struct pv_plan *plan, const char *root, struct pv_error *err) PV_MUST_CHECK;

#endif
