/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox's system call filter. Only sandbox.c uses this. */
#ifndef PV_SANDBOX_SECCOMP_H
#define PV_SANDBOX_SECCOMP_H

#include <stdbool.h>

#include "error.h"

/* Loads the filter into this process for good and sets no_new_privs. sync_noop: fsync and its kin return 0 at once. */
int pv_sandbox_seccomp(bool sync_noop, struct pv_error *err) PV_MUST_CHECK;

#endif
