/* SPDX-License-Identifier: Apache-2.0 */
/* A VHD as 0.vhd in a gzip tar, which OpenStack's XenServer hosts unpack with `tar -zx` (os-xenapi's plugin utils.py):
 * one forward pass, each block a gzip member of its own (RFC 1952, 2.2), compressed by any thread. What is known last
 * and stands first, the tar's header and the VHD's tables, is a member without compression, whose length does not
 * depend on them. */
#ifndef PV_VHDTAR_H
#define PV_VHDTAR_H

#include "blocks.h"
#include "error.h"
#include "vhd.h"

struct pv_vhdtar_writer {
	struct pv_vhd_writer vhd;
	int fd;				/* a file */
	const char *name;
	uint64_t at;			/* where the file ends now; 0: nothing written */
};

/* w->vhd, fd and name are set by the caller. The step that goes with the sink is pv_vhdtar_step. */
extern const struct pv_block_step pv_vhdtar_step;
int pv_vhdtar_write(void *writer, const struct pv_block *b, const void *slot, struct pv_error *err);
int pv_vhdtar_finish(struct pv_vhdtar_writer *w, struct pv_error *err) PV_MUST_CHECK;

#endif
