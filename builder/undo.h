/* SPDX-License-Identifier: Apache-2.0 */
/* Changing a finished disk where it lies, so that whoever dies meanwhile has lost nothing. */
#ifndef PV_UNDO_H
#define PV_UNDO_H

#include <stdbool.h>

#include "error.h"
#include "ext4_patch.h"

/* Moves the file `disk` into the folder `hidden`, ready to be patched: what the patch will overwrite is noted in hidden/.undo
 * first. *ret_moved false: it stays where it is, as somebody else has it open or it has another name, or because this cannot
 * be found out (fcntl(2), F_SETLEASE). */
int pv_undo_take(const char *disk, const char *hidden, const struct pv_patch *patch, bool *ret_moved, struct pv_error *err)
	PV_MUST_CHECK;

/* When hidden has a disk that was moved there: puts back what was overwritten, and the disk to its place, unless that has one.
 * Else it does nothing. */
int pv_undo_recover(const char *hidden, const char *final, const char *disk_name, struct pv_error *err) PV_MUST_CHECK;

/* The new result has its name: no way back is needed. */
void pv_undo_forget(const char *final);

#endif
