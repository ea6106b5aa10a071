/* SPDX-License-Identifier: Apache-2.0 */
/* Overlays: trees of files laid over the target's tree.
 *
 * overlays/NAME/ holds folders, files and symbolic links under their names in the target. NAME.in is a template and
 * becomes NAME (template.h). overlays/NAME/OWNERS is not copied; each of its lines is
 *
 *	PATH MODE OWNER GROUP [replaces] [if=VARIABLE]
 *
 * PATH is the name in the target without the first slash (a template's without .in); with a slash at its end a folder,
 * which is made also when it is not in the overlay (git keeps no empty folders). MODE is octal, OWNER and GROUP are
 * names that the target's own passwd and group know, or numbers; "-" stands for the default: 0644, or 0755 for folders
 * and for files that are executable in the overlay, root, root. A folder that the target has already keeps its mode
 * and owner where nothing is said. "replaces": another overlay, earlier in the list, may have the path too; else that
 * is refused. "if=VARIABLE": left out, with all that is below it, when the variable is empty. '#' begins a comment. */
#ifndef PV_OVERLAY_H
#define PV_OVERLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "text.h"
#include "vars.h"

struct pv_overlay_opts {
	bool keep_owner;	/* chown nothing: for tests as an ordinary user */
	int64_t epoch;		/* times of what is written */
	const struct pv_strv *only;	/* write these files alone, whose folders are there; NULL: everything */
};

/* Everything that can be refused without a tree: names, OWNERS, file types, templates, two overlays with one path. All
 * such errors are PV_ERR_RECIPE. */
int pv_overlay_check(const char *overlays_dir, const struct pv_strv *names, const struct pv_vars *vars,
		     struct pv_error *err) PV_MUST_CHECK;

/* pv_overlay_check, and then lays the overlays over the tree, in the list's order. Files and links appear whole: a new
 * one is renamed over the old. Links of the tree are followed inside the tree only, and only to folders on the way. */
int pv_overlay_apply(const char *overlays_dir, const struct pv_strv *names, const struct pv_vars *vars,
		     const char *root, const struct pv_overlay_opts *opts, struct pv_error *err) PV_MUST_CHECK;

#endif
