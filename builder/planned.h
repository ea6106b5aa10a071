/* SPDX-License-Identifier: Apache-2.0 */
/* The planned archive: a local apt archive that has exactly the planned packages, in the planned versions, decompressed.
 * Neither debootstrap nor apt can choose anything else, debootstrap installs security updates at once instead of the
 * release's versions first, and dpkg does not decompress. A stanza is the .deb's own control file, of which the archive's
 * index is made too, with the plan's Priority and the digest and size of the decompressed file: whoever has the plan and
 * the .debs needs no index. .debs come from the store. */
#ifndef PV_PLANNED_H
#define PV_PLANNED_H

#include <stdbool.h>

#include "error.h"
#include "plan.h"
#include "repack.h"
#include "store.h"

#define PV_PLANNED_COMPONENT "main"

/* Begins to decompress into dir/pool/... what debootstrap installs (base), with all processors; or the others, with one
 * processor left to debootstrap. Every package must be in the store. */
int pv_planned_repack(const struct pv_plan *plan, const struct pv_store *store, const char *dir, bool base,
		      struct pv_repack **ret, struct pv_error *err) PV_MUST_CHECK;

/* What debootstrap reads, once its packages are there: dir/dists/CODENAME/Release and main/binary-ARCH/Packages. The
 * Release file is still to be signed (dists/CODENAME/InRelease). */
int pv_planned_base(const struct pv_plan *plan, const struct pv_repack *base, const char *dir, struct pv_error *err)
	PV_MUST_CHECK;

/* What the apt transaction reads, once the others are there: dir/Packages with every planned package. A package whose
 * control file is not that of the plan's name, version and architecture is PV_ERR_ARCHIVE. */
int pv_planned_rest(const struct pv_plan *plan, const struct pv_repack *rest, const char *dir, struct pv_error *err)
	PV_MUST_CHECK;

#endif
