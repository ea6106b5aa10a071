/* SPDX-License-Identifier: Apache-2.0 */
/* apt-get as resolver: a simulated transaction and what it would change. Inside of resolve. */
#ifndef PV_RESOLVE_APT_H
#define PV_RESOLVE_APT_H

#include <stddef.h>

#include "error.h"
#include "text.h"

struct pv_apt_change {
	char *name;
	char *version;		/* NULL: is removed */
};

struct pv_apt_changes {
	struct pv_apt_change *v;	/* sorted by name */
	size_t n, cap;
};
void pv_apt_changes_done(struct pv_apt_changes *c);
#define pv_autochanges __attribute__((cleanup(pv_apt_changes_done))) struct pv_apt_changes

/* "Inst NAME [OLD] (VERSION ...)" and "Remv NAME ...", as apt-get --simulate prints them. Other lines: nothing is done.
 * 0, or -1 for such a line that cannot be understood. */
int pv_apt_changes_line(struct pv_apt_changes *c, const char *line, size_t len) PV_MUST_CHECK;

/* Index of a name, or -1. */
ptrdiff_t pv_apt_change_find(const struct pv_apt_change *changes, size_t n, const char *name);

/* Runs apt-get --simulate dist-upgrade NAMES in `dir` (aptree.h, private_state). What apt refuses is PV_ERR_RECIPE with
 * apt's words in one line; no apt-get is PV_ERR_HOST. */
int pv_apt_simulate(const char *dir, const struct pv_strv *names, struct pv_apt_changes *ret, struct pv_error *err)
	PV_MUST_CHECK;

#endif
