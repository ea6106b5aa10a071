/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by proc.c, proc_child.c and proc_which.c only. */
#ifndef PV_PROC_PRIV_H
#define PV_PROC_PRIV_H

#include <sys/types.h>

#include "error.h"
#include "proc.h"

struct pv_proc_pipes {			/* -1: not there; [0] is the reading end */
	int in[2], out[2], err[2], fail[2];
};

/* What the child writes into the fail pipe when it cannot become the program. Fits PIPE_BUF: one atomic write. */
struct pv_proc_failure {
	enum pv_error_kind kind;
	char text[1024];
};

/* What the child does after fork: becomes the program, or writes a failure into the fail pipe and ends. */
void pv_proc_child(const struct pv_proc *proc, const struct pv_proc_pipes *p, pid_t parent) __attribute__((noreturn));

/* Full path of a program on `path` (NULL: a usual one); relative entries and empty ones are not searched. NULL: none.
 * The caller frees. */
char *pv_proc_find(const char *name, const char *path);

const char *pv_proc_base_name(const char *path);

#endif
