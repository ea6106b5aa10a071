/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU's arguments for its emulation of Xen's interfaces on KVM. Pure; for driver_kvm_xen.c and its test. */
#ifndef PV_DRIVER_KVM_XEN_H
#define PV_DRIVER_KVM_XEN_H

#include "driver.h"
#include "text.h"

/* The first QEMU with xen-console and xen-net-device in the new device model (its ChangeLog/8.2); 8.0 had the rest. */
#define PV_KVM_XEN_QEMU "8.2"

/* Open files: the overlay, the image below it, the seed (-1: none), our socket for the console. */
struct pv_kvm_xen_files {
	int overlay, image, seed, console;
	enum pv_disk_format format;
};

/* argv, all of it (docs/system/i386/xen.rst of QEMU). */
void pv_kvm_xen_args(const struct pv_guest *guest, const struct pv_kvm_xen_files *files, struct pv_strv *ret);

#endif
