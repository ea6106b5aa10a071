/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU's arguments for Xen and dom0 inside it. Pure. Only the driver xen-in-qemu uses this. */
#ifndef PV_DRIVER_QEMU_ARGS_H
#define PV_DRIVER_QEMU_ARGS_H

#include <stdbool.h>
#include <stdint.h>

#include "digest.h"
#include "diskfile.h"
#include "text.h"

/* Where the sandbox shows dom0's files. */
#define PV_QEMU_XEN "/run/pvimg-xen"
#define PV_QEMU_KERNEL "/run/pvimg-kernel"
#define PV_QEMU_INITRD "/run/pvimg-initrd"

/* The machine that Xen sees. A saved state fits the same machine only. */
struct pv_qemu_machine {
	bool kvm;			/* else TCG */
	unsigned cpus, memory_mib, dom0_mib;
};

/* Open files and sockets (-1: none), which QEMU gets by number and never by name. */
struct pv_qemu_files {
	int image, overlay;		/* the image, read-only, and the qcow2 file that takes what is written */
	enum pv_disk_format format;
	bool image_is_device;
	int seed, job, extra;		/* raw, read-only; without one the disk is there and all zeros */
	int log;			/* Xen's serial port */
	int wire, qmp;			/* sockets: the agent's port, QEMU's monitor */
	int incoming;			/* a saved state, at the position where it begins */
};
#define PV_QEMU_FILES_INIT { -1, -1, PV_FORMAT_RAW, false, -1, -1, -1, -1, -1, -1, -1 }

/* The machine for a guest of `memory` bytes (whole MiB): all guests up to 4 GiB get the same one where the host has that
 * much, so that one saved dom0 serves them all. What no guest uses costs nothing: Xen does not touch it. */
void pv_qemu_machine_for(uint64_t memory, unsigned vcpus, uint64_t host_memory, unsigned host_cpus,
			 struct pv_qemu_machine *ret);
/* Host memory that QEMU comes to use with such a guest, in bytes. */
uint64_t pv_qemu_memory_use(uint64_t memory);

/* The processor model: "qemu64,+svm,+npt" or "host". Static. */
const char *pv_qemu_cpu(const struct pv_qemu_machine *m);

/* argv, all of it; argv[0] is "qemu-system-x86_64". */
void pv_qemu_args(const struct pv_qemu_machine *m, const struct pv_qemu_files *f, struct pv_strv *ret);

/* Names machine, QEMU's version and dom0 (its key): what a saved state depends on. */
void pv_qemu_machine_hash(const struct pv_qemu_machine *m, const char *version, const char *dom0_key,
			  char ret_hex[PV_SHA256_HEX]);

#endif
