/* SPDX-License-Identifier: Apache-2.0 */
/* Work folders: one a build, in memory where there is enough, gone with the process or swept by the next run. */
#ifndef PV_WORKDIR_H
#define PV_WORKDIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct pv_workdir {
	char *path;		/* absolute; CACHE/work/NAME.PID-XXXXXX */
	char *lock_path;	/* path + ".lock" */
	int lock_fd;
	bool in_memory;
};
#define PV_WORKDIR_INIT { 0, 0, -1, false }

/* Makes a work folder of the caller's own, mode 0700, so that programs pvimg merely executes can write there too; a
 * tree in it is to be given to id 0 of the builder namespace. `bytes`: the most the build will write there; but for 0 it needs
 * pv_ns_enter. It is a tmpfs of that size when this much memory is free beyond a reserve (a quarter of
 * what is available, 512 MiB at least), else a folder on disk; bytes 0: on disk. Where neither memory nor disk has
 * room it fails with both figures (PV_ERR_HOST). cache_dir is made when missing. */
int pv_workdir_create(const char *cache_dir, const char *name, uint64_t bytes, struct pv_workdir *ret,
		      struct pv_error *err) PV_MUST_CHECK;

/* How much memory work folders may take now, beyond that reserve; 0: none, or not known. */
uint64_t pv_workdir_memory(void);

/* Unmounts or removes it and its lock; idempotent. Errors are left to the next sweep. */
void pv_workdir_free(struct pv_workdir *wd);
#define pv_autoworkdir __attribute__((cleanup(pv_workdir_free))) struct pv_workdir

/* Removes the work folders whose builders are gone. *ret_removed (may be NULL): how many. Trees on disk belong to
 * subordinate ids, so this needs pv_ns_enter. One that cannot be removed is the error; the others are still tried. */
int pv_workdir_sweep(const char *cache_dir, size_t *ret_removed, struct pv_error *err) PV_MUST_CHECK;

/* How many there are of living builders and of gone ones; needs no namespace and removes nothing. */
int pv_workdir_count(const char *cache_dir, size_t *ret_live, size_t *ret_stale, struct pv_error *err) PV_MUST_CHECK;

#endif
