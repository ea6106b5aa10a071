/* SPDX-License-Identifier: Apache-2.0 */
/* The xl configuration of a domain (docs/man/xl.cfg.5 and xl-disk-configuration.5 of Xen 4.17) as text. */
#ifndef PV_DOMCFG_H
#define PV_DOMCFG_H

#include "driver.h"

/* Borrowed strings. Targets are absolute paths of block devices or files in dom0. */
struct pv_domcfg {
	const char *name;
	const char *root_target;
	const char *seed_target;	/* NULL: none */
	const char *extra_target;	/* NULL: none */
	const char *format;		/* of all of them: "raw" devices, or "qcow2" files, which the guest may write to */
	const char *bridge;		/* NULL: no network */
	const char *mac;
	const char *firmware;		/* path in dom0 of an OvmfXen image, for uefi */
	const char *kernel, *initrd;	/* paths in dom0, for PVH and PV */
};

/* What the guest's kernel calls the disks: root xvda, seed xvde, extra xvdf; as HVM nvme0n1 to nvme2n1. A guest
 * that ends is kept (on_poweroff and the others are "preserve"), for the agent to look at and to destroy. The first line is
 * name="..." in plain characters: the agent reads it. The caller frees. */
char *pv_domcfg_text(const struct pv_guest *guest, const struct pv_domcfg *cfg);

#endif
