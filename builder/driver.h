/* SPDX-License-Identifier: Apache-2.0 */
/* Drivers: the ways to boot an image as a guest of Xen. One file each behind one vtable. */
#ifndef PV_DRIVER_H
#define PV_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "agent.h"
#include "diskfile.h"
#include "error.h"
#include "log.h"
#include "plan.h"
#include "vars.h"

enum pv_boot_as {
	PV_AS_PVHVM,		/* HVM with the Xen platform device: what images are for */
	PV_AS_HVM,		/* HVM without it (xen_platform_pci=0): emulated disk and card */
	PV_AS_PVH,		/* kernel and initrd taken from the image */
	PV_AS_PV,
};

/* A guest to boot. Borrowed strings. */
struct pv_guest {
	enum pv_boot_as as;
	bool uefi;
	const char *firmware;		/* --ovmf FILE: an OvmfXen image; NULL: look for one */
	uint64_t memory;		/* bytes, whole MiB */
	unsigned vcpus;
	const struct pv_diskfile *disk;	/* never written */
	uint64_t disk_size;		/* as the guest sees it: at least the image's; whole MiB */
	const char *seed;		/* NoCloud disk image, or NULL */
	const char *extra_disk;		/* raw file, a second disk (xvdc), read-only; or NULL */
	const char *job_dir;		/* files that the agent finds in its folder /job: key, scripts, kernel, initrd */
	const char *cmdline;		/* PVH, PV: the kernel's command line; NULL else */
};

/* What a run needs of the world. */
struct pv_driver_run {
	const struct pv_guest *guest;
	struct pv_agent *agent;
	const struct pv_paths *paths;
	struct pv_log *log;
	const char *work_dir;		/* exists, the caller's own; all a driver writes is there or in the cache */
	bool fresh;			/* take no saved dom0 */
	unsigned jobs;			/* as --jobs, for making dom0 */
	bool offline;			/* as --offline, for making dom0 */
	struct pv_vars *facts;		/* out: "qemu" "7.2.22", "accelerator" "tcg", "xen", "hap", "restored" "yes" ... */
};

struct pv_driver {
	const char *name;		/* "xen-in-qemu" */
	const char *proves;		/* one line for the verdict: "the image under a real Xen hypervisor" */
	bool needs_ns;			/* run() works in the builder namespace (ns.h): the caller enters it before */
	/* Whether this host can do it: 0, or PV_ERR_HOST with cause and way out. Cheap. */
	int (*probe)(const struct pv_guest *guest, struct pv_error *err);
	/* Boots the guest and moves bytes between agent and its wire until the agent is stopped or the wire ends; then
	 * ends domain and processes. PV_ERR_HOST, PV_ERR_STAGE; a guest that does not
	 * boot is no error of the driver. */
	int (*run)(const struct pv_driver_run *run, struct pv_error *err);
};

extern const struct pv_driver pv_driver_xl;		/* driver_xl.c */
extern const struct pv_driver pv_driver_xen_in_qemu;	/* driver_xen_in_qemu.c */
extern const struct pv_driver pv_driver_kvm_xen;	/* driver_kvm_xen.c */

/* By name; "auto" (or NULL) takes xl where this host is a dom0, else xen-in-qemu. *ret_why: one line, the caller
 * frees. Unknown names are PV_ERR_USAGE, a driver that cannot work here PV_ERR_HOST. */
int pv_driver_choose(const char *name, const struct pv_guest *guest, const struct pv_driver **ret, char **ret_why,
		     struct pv_error *err) PV_MUST_CHECK;

#endif
