/* SPDX-License-Identifier: Apache-2.0 */
/* Saves a running QEMU's state to a file and lets it go on. Only the driver xen-in-qemu uses this. */
#ifndef PV_DRIVER_QEMU_SAVE_H
#define PV_DRIVER_QEMU_SAVE_H

#include <stdbool.h>
#include <stdint.h>

#include "qmp.h"

enum pv_qemu_save_state {
	PV_SAVE_IDLE,
	PV_SAVE_WRITING,
	PV_SAVE_RESUMING,		/* written or failed; QEMU is told to go on */
	PV_SAVE_OVER,
};

struct pv_qemu_save {
	struct pv_qmp *qmp;		/* borrowed */
	int fd;				/* borrowed; the state is written from its position on */
	enum pv_qemu_save_state state;
	bool asking;			/* an answer on how far it is has not come yet */
	bool written;			/* completely: the file is good when the state is PV_SAVE_OVER */
	uint64_t begun_ms;
	char *error;			/* why not, or NULL; pv_qemu_save_done frees */
};

/* QEMU writes while the machine runs (which stands still for the last part of a second). Takes half a second for a dom0;
 * gives up after 30 s. now_ms: CLOCK_MONOTONIC. */
void pv_qemu_save_begin(struct pv_qemu_save *save, uint64_t now_ms);
/* To be called often until the state is PV_SAVE_OVER. */
void pv_qemu_save_tick(struct pv_qemu_save *save, uint64_t now_ms);
void pv_qemu_save_done(struct pv_qemu_save *save);

#endif
