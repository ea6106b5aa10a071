/* SPDX-License-Identifier: Apache-2.0 */
/* The planned archive: a local apt archive that has exactly the planned packages, in the planned versions, so that
 * neither debootstrap nor apt can choose anything else, and debootstrap installs security updates at once instead of the
 * release's versions first. Stanzas are copied from verified indexes, .debs are the store's. */
#ifndef PV_PLANNED_H
#define PV_PLANNED_H

#include "aptree.h"
#include "error.h"
#include "plan.h"
#include "repack.h"
#include "store.h"

#define PV_PLANNED_COMPONENT "main"

/* Lays it out in dir: pool/, dists/CODENAME/Release and dists/CODENAME/main/binary-ARCH/Packages. The Release file is
 * still to be signed (dists/CODENAME/InRelease). Every package must be in the store. */
int pv_planned_archive(const struct pv_plan *plan, const struct pv_aptree_index *indexes, size_t nindexes,
		       const struct pv_store *store, const char *dir, struct pv_error *err) PV_MUST_CHECK;

/* The .debs that debootstrap does not install, decompressed into dir/pool/... beside other work (repack.h): what the one
 * apt transaction installs. */
int pv_planned_repack(const struct pv_plan *plan, const struct pv_store *store, const char *dir, struct pv_repack **ret,
		      struct pv_error *err) PV_MUST_CHECK;

/* dir/Packages with every planned package: what was decompressed as it is now, the others as they were. */
int pv_planned_plain_index(const struct pv_plan *plan, const struct pv_aptree_index *indexes, size_t nindexes,
			   const struct pv_repack *repack, const char *dir, struct pv_error *err) PV_MUST_CHECK;

#endif
