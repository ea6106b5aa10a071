/* SPDX-License-Identifier: Apache-2.0 */
/* What a driver hands to the agent in files: the domain's configuration, and the job folder as a tar on a disk. */
#ifndef PV_DRIVER_JOB_H
#define PV_DRIVER_JOB_H

#include "driver.h"

/* Network of guest and dom0, as scripts/dom0/agent has it. */
#define PV_GUEST_BRIDGE "xenbr0"
#define PV_GUEST_MAC "00:16:3e:77:00:02"

/* Writes the tar `path`: all regular files of guest->job_dir, guest.cfg for a dom0 whose disks are vda to vdd
 * (driver_qemu_args.h), and the firmware where the guest wants one. Whole MiB, with zeros at the end. PV_ERR_STAGE: a
 * file that cannot be read, or more than PV_JOB_MAX in all. */
#define PV_JOB_MAX ((uint64_t)256 << 20)
int pv_driver_job_tar(const struct pv_guest *guest, const char *path, struct pv_error *err) PV_MUST_CHECK;

/* The firmware for a guest with uefi: guest->firmware, or one that this host has. The caller frees. PV_ERR_HOST: none. */
int pv_driver_firmware(const struct pv_guest *guest, char **ret, struct pv_error *err) PV_MUST_CHECK;

#endif
