/* SPDX-License-Identifier: Apache-2.0 */
/* Paths inside a target's tree: every symbolic link, absolute ones and ".." too, is followed as the target itself would
 * see it, so that no link of a hostile package leads to a file of the host (openat2(2), RESOLVE_IN_ROOT). */
#ifndef PV_INTREE_H
#define PV_INTREE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "error.h"

/* Opens root/path; flags as for open(2) without O_CREAT, O_CLOEXEC is added. The caller closes. */
int pv_intree_open(const char *root, const char *path, int flags, int *ret_fd, struct pv_error *err) PV_MUST_CHECK;

/* A whole regular file of at most max bytes; *ret is NUL-terminated (the NUL is not counted) and the caller frees it. */
int pv_intree_read(const char *root, const char *path, size_t max, char **ret, size_t *ret_len, struct pv_error *err)
	PV_MUST_CHECK;

/* A new regular file in place of what has that name; a link to a folder above it is followed inside the tree, one of the
 * name itself is replaced. `mode` is exact. */
int pv_intree_write(const char *root, const char *path, const void *data, size_t len, mode_t mode, struct pv_error *err)
	PV_MUST_CHECK;

/* There, and a regular file (links followed inside the tree). */
bool pv_intree_is_file(const char *root, const char *path);

/* Removes all that is in a folder, not the folder. The folder may not be reached by a link. Not there: fine. */
int pv_intree_empty(const char *root, const char *path, struct pv_error *err) PV_MUST_CHECK;

#endif
