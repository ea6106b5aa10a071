/* SPDX-License-Identifier: Apache-2.0 */
/* The other road to a pool: a disk of its own, filled by import_raw_vdi with a VHD, and a VM made around it. For hosts or
 * people that want no XVA. */
#ifndef PV_PUBLISH_XAPI_VHD_H
#define PV_PUBLISH_XAPI_VHD_H

#include <stdint.h>

#include "digest.h"
#include "error.h"
#include "machine.h"
#include "xapi.h"

struct pv_publish_vhd {			/* borrowed */
	const char *sr;			/* reference */
	const char *label;		/* name of VM and disk */
	const struct pv_machine *machine;
	uint64_t disk_size, vhd_size;
	int vhd_fd;
	void (*progress)(void *ctx, uint64_t done, uint64_t total);
	void *ctx;
};
/* One try. *ret_vm is the VM (the caller frees); what a failed try leaves has the label. err must not be NULL. */
int pv_publish_vhd_send(struct pv_xapi *x, const struct pv_publish_vhd *v, char **ret_vm, struct pv_error *err)
	PV_MUST_CHECK;

#endif
