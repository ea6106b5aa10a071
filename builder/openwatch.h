/* SPDX-License-Identifier: Apache-2.0 */
/* Which of some files of a tree anybody opens, reads, changes or removes while target code runs. */
#ifndef PV_OPENWATCH_H
#define PV_OPENWATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"

/* By inotify(7) on the files themselves, so it does not matter by which name, mount or namespace they are reached. What it
 * does not see is a look at a file's size or times alone. Where the kernel can watch no file, or loses events, every file
 * counts as opened. */
struct pv_openwatch;

/* Begins to watch root/path; links on the way are followed inside the tree, one at the end is not. Never fails. */
struct pv_openwatch *pv_openwatch_begin(const char *root, const char *const *paths, size_t n);

/* Whether something happened to paths[i] since then. */
void pv_openwatch_end(struct pv_openwatch *watch, bool *ret_opened);
void pv_openwatch_free(struct pv_openwatch *watch);	/* NULL is fine */

#endif
