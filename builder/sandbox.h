/* SPDX-License-Identifier: Apache-2.0 */
/* Runs target code with mounts, processes, network and IPC of its own, as the tree's root and nobody of the host. */
#ifndef PV_SANDBOX_H
#define PV_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"
#include "proc.h"

/* A file or folder of the host seen inside. Source: absolute, ours to name. Target: absolute, followed as the tree
 * has it and never out of the tree. A mount point that is missing is made below /run, /tmp and /dev, and anywhere
 * with host_tools; in the tree itself it is an error, so nothing is left in an image. Inside, what is not owned by
 * the subordinate ids counts as somebody else's: the source must be readable for others. A character device that is
 * bound works inside. */
struct pv_sandbox_bind {
	const char *source, *target;
	bool writable;
};

/* What is inside, besides the tree: /dev with null zero full random urandom tty, ptmx, pts, shm; /proc of these
 * processes only, /proc/sys read-only, what tells of the host's boot and disks empty; /sys empty and read-only;
 * /run and /tmp in memory, gone afterwards; a network of nothing but lo. */
struct pv_sandbox {
	const char *root;		/* the tree, absolute; owned by ids below PV_NS_IDS */
	/* The host's own programs at work on the tree (debootstrap): / is the host's /usr, read-only, and a few files
	 * of /etc; the tree is /target with its own dev, proc, sys, run and tmp as above. */
	bool host_tools;
	const struct pv_sandbox_bind *binds;
	size_t nbinds;
	bool keep_sync;			/* sync calls do sync; else they return 0 at once */
};

/* pv_proc_run inside. proc->argv[0] is looked up inside, on the PATH of the environment; proc->cwd is inside too, NULL
 * is "/". proc->env NULL: PATH, HOME=/root, LANG and LC_ALL=C.UTF-8, DEBIAN_FRONTEND=noninteractive,
 * DEBCONF_NONINTERACTIVE_SEEN=true, container=lxc; nothing of pvimg's own environment gets in. proc->setup must be
 * NULL. Needs pv_ns_enter. How the program ended is passed on exactly. When this has returned, every process of the
 * sandbox is gone. A sandbox that cannot be set up is PV_ERR_HOST; a tree or bind at fault, PV_ERR_STAGE. */
int pv_sandbox_run(const struct pv_sandbox *box, const struct pv_proc *proc, struct pv_proc_result *res,
		   struct pv_error *err) PV_MUST_CHECK;

/* The same for pv_proc_check. */
int pv_sandbox_check(const struct pv_sandbox *box, const struct pv_proc *proc, enum pv_error_kind kind,
		     struct pv_error *err) PV_MUST_CHECK;

#endif
