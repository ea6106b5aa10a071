/* SPDX-License-Identifier: Apache-2.0 */
/* What overlays hold, loaded and checked: overlay.c's own half that knows no tree. */
#ifndef PV_OVERLAY_SET_H
#define PV_OVERLAY_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "error.h"
#include "text.h"
#include "vars.h"

#define PV_OVERLAY_FILE_MAX ((size_t)16 << 20)
#define PV_OVERLAY_MODE_UNSAID ((mode_t)-1)

struct pv_overlay_entry {
	char *path;		/* in the target, no slash at either end */
	char *overlay;		/* whose it is */
	char type;		/* 'f' file, 'd' folder, 'l' symbolic link */
	mode_t mode;		/* PV_OVERLAY_MODE_UNSAID: folders only */
	char *owner, *group;	/* name or number; NULL: root */
	bool replaces;
	char *data;		/* a file's contents, rendered; a link's target */
	size_t len;
};

struct pv_overlay_set {
	struct pv_overlay_entry *v;	/* sorted by path bytewise, so a folder is before what is in it */
	size_t n, cap;
};

int pv_overlay_set_load(const char *overlays_dir, const struct pv_strv *names, const struct pv_vars *vars,
			struct pv_overlay_set *ret, struct pv_error *err) PV_MUST_CHECK;
void pv_overlay_set_done(struct pv_overlay_set *set);
#define pv_autooverlayset __attribute__((cleanup(pv_overlay_set_done))) struct pv_overlay_set

#endif
