/* SPDX-License-Identifier: Apache-2.0 */
/* Saved dom0s in the cache: QEMU's state of a booted dom0 behind a small header, in one file that is there whole or not
 * at all. Only the driver xen-in-qemu uses this. */
#ifndef PV_DRIVER_SAVED_H
#define PV_DRIVER_SAVED_H

#include <stdint.h>

#include "error.h"

struct pv_saved {
	int fd;				/* at the state's first byte; -1: there is none */
	char *hello;			/* what the agent said of dom0 before it was saved */
	uint64_t hello_ms;		/* from power on to that: how fast this host is */
	char *path, *new_path;		/* new_path: one that is being made; else NULL */
	int lock_fd;			/* whoever holds it makes it */
};
#define PV_SAVED_INIT { -1, 0, 0, 0, 0, -1 }

/* The state `name` of dir. One that is not there, or is not ours to read, is no error: fd is -1. */
void pv_saved_open(const char *dir, const char *name, struct pv_saved *ret);

/* Makes a new one: fd is to be written to from where it stands. fd -1: somebody else is making this one right now. */
int pv_saved_begin(const char *dir, const char *name, struct pv_saved *ret, struct pv_error *err) PV_MUST_CHECK;
/* The state is complete: puts it in place, instead of an older one. */
int pv_saved_commit(struct pv_saved *saved, const char *hello, uint64_t hello_ms, struct pv_error *err) PV_MUST_CHECK;

/* Removes a state that was of no use. */
void pv_saved_drop(const struct pv_saved *saved);

/* Closes; one that was begun and not committed goes. Idempotent. */
void pv_saved_done(struct pv_saved *saved);
#define pv_autosaved __attribute__((cleanup(pv_saved_done))) struct pv_saved

#endif
