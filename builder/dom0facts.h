/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent's command `facts` prints, made into named facts. Pure; a guest's words can be in it. */
#ifndef PV_DOM0FACTS_H
#define PV_DOM0FACTS_H

#include "vars.h"

/* Lines of the answer, dom0's own before the guest's:
 *	domid N			first
 *	cmdline TEXT		the hypervisor's command line
 *	xs PATH = "VALUE"	xenstore-ls -f of /libxl/N and of the guest's backends (dom0's words), then of /local/domain/N
 *	xen TEXT		the hypervisor's own lines in its log, after its debug keys I and e
 *	version|pci|block TEXT	the device model's monitor: info version, info pci, info block
 * What pv_dom0facts_end sets in ret; a fact that was not seen is left out:
 *	domain_type		hvm|pvh|pv: as dom0 made it
 *	vbd, vif		"2 of 2 connected": of the devices that dom0 gave it, those whose backend and frontend
 *				are in state 4; "0 of 0 connected" when it was given none
 *	callback		"vector 0xf3"|"gsi 28"|"pci 0x..."|"none": Xen's HVM_PARAM_CALLBACK_IRQ, or the
 *				vector that the guest set for each vcpu. Xen logs these only with
 *				guest_loglvl=info or all; without, the parameter "gsi 1", which Linux
 *				then sets, becomes "unknown: ..."
 *	channels		event channels that only the guest's own kernel can have bound: virtual and inter-
 *				processor interrupts. Those to dom0's daemons and device model are there without it
 *	unplugged_nic, unplugged_disk	yes|no: the device model has no emulated network card, no emulated hard disk, any more
 *	device_model		"7.2.22Debian 1:7.2+dfsg-..." */
struct pv_dom0facts;
struct pv_dom0facts *pv_dom0facts_new(void);
void pv_dom0facts_line(struct pv_dom0facts *f, const char *line);
void pv_dom0facts_end(struct pv_dom0facts *f, struct pv_vars *ret);
void pv_dom0facts_free(struct pv_dom0facts *f);	/* NULL is fine */

#endif
