/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox's file systems. Only sandbox.c uses this. */
#ifndef PV_SANDBOX_MOUNT_H
#define PV_SANDBOX_MOUNT_H

#include "sandbox.h"

/* In a child that has its own mount, pid and network namespace and is pid 1 there: takes hold of tree and binds with
 * the caller's rights. One object, filled by _open, used by _enter, in the same process. */
struct pv_sandbox_mounts {
	const struct pv_sandbox *box;
	int point;			/* the folder box->root as it is outside */
	int tree;			/* detached copies of the mounts */
	int *binds;			/* box->nbinds of them */
};
int pv_sandbox_mounts_open(const struct pv_sandbox *box, struct pv_sandbox_mounts *ret, struct pv_error *err)
	PV_MUST_CHECK;

/* As uid 0 of the builder namespace: builds the new root, moves into it and lets go of the old one. */
int pv_sandbox_mounts_enter(struct pv_sandbox_mounts *m, struct pv_error *err) PV_MUST_CHECK;

#endif
