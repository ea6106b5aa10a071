/* SPDX-License-Identifier: Apache-2.0 */
/* KVM or QEMU's own emulation: tried, not believed. Only the driver xen-in-qemu uses this. */
#ifndef PV_DRIVER_ACCEL_H
#define PV_DRIVER_ACCEL_H

#include "dom0.h"
#include "driver.h"
#include "driver_qemu_args.h"

/* Sets machine->kvm when Xen and dom0 come up under KVM within a short time; else it stays false (TCG). Asked in this
 * order: /dev/kvm may be opened by everybody (QEMU runs as none of the caller's ids), virtualization is nested, a tiny
 * guest moves (host.h), and then dom0 is booted once, which is remembered in dom0's folder until the host reboots or QEMU
 * changes. The fact "kvm" says how far it came. An error is an interruption or the like, never the lack of KVM. */
int pv_driver_accel(const struct pv_driver_run *run, const struct pv_dom0 *dom0, const char *qemu_version,
		    struct pv_qemu_machine *machine, struct pv_error *err) PV_MUST_CHECK;

#endif
