/* SPDX-License-Identifier: Apache-2.0 */
/* The one place where what maintainer scripts leave behind, and what would vary from build to build or tie an image to
 * its build, is taken away or made the same. Each rule bears its reason. */
#ifndef PV_NORMALISE_H
#define PV_NORMALISE_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

enum pv_normal_action {
	PV_NORMAL_GONE,			/* files and links of this name go; the last part may be a pattern (fnmatch(3)) */
	PV_NORMAL_NO_FILES,		/* regular files below the folder go, the folders stay */
	PV_NORMAL_EMPTY_FOLDER,		/* all below the folder goes */
	PV_NORMAL_EMPTY_FILE,		/* 0 bytes, where it is; mode and owner stay */
};

struct pv_normal_rule {
	enum pv_normal_action action;
	const char *path;		/* relative to the tree's root; links on the way lead inside the tree only */
	const char *except;		/* a name: what bears it, or is below a folder that does, stays. NULL: nothing */
	const char *reason;
};
extern const struct pv_normal_rule pv_normal_rules[];
extern const size_t pv_normal_nrules;

/* All rules in their order, then the accounts (accounts.h). `epoch` is the image's time. The last step that changes the
 * tree; needs the builder namespace. */
int pv_normalise(const char *root, int64_t epoch, struct pv_error *err) PV_MUST_CHECK;

/* One rule; for tests. */
int pv_normalise_rule(const char *root, const struct pv_normal_rule *rule, struct pv_error *err) PV_MUST_CHECK;

#endif
