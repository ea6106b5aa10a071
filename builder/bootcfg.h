/* SPDX-License-Identifier: Apache-2.0 */
/* How the image boots, as data: the kernel's command line, what stands on the ESP, answers to GRUB's own questions. */
#ifndef PV_BOOTCFG_H
#define PV_BOOTCFG_H

#include <stddef.h>

#include "error.h"
#include "esp.h"
#include "plan.h"

/* The last console becomes /dev/console, where the initramfs and systemd speak: Xen's own, hvc0, which every guest of Xen
 * has; where there is none, tty1 is it. Not ttyS0: an HVM guest often has no serial port (XCP-ng, xl without serial=), and
 * Linux writes to the dead one all the same, an exit to the device model for each character (25 of 60 s until systemd begins
 * where processors are emulated). A login is on it where there is one (overlays/base, 60-pvimg-serial.rules).
 * net.ifnames=0: eth0 on every suite, whatever naming scheme its systemd has.
 * no_timer_check: the kernel's first look whether timer interrupts arrive takes some ms of emulated time; on a busy host
 * they come too late, and the guest panics ("IO-APIC + timer doesn't work"). Linux skips the look by itself under KVM,
 * not under Xen or QEMU's emulation. */
#define PV_BOOTCFG_CMDLINE "net.ifnames=0 no_timer_check console=tty1 console=hvc0"

/* GRUB's few lines that lead from wherever GRUB came from to the root file system's own grub.cfg. The caller frees. */
char *pv_bootcfg_grub_stub(const char *root_uuid);

/* The same for a GRUB that goes on by itself to $prefix/grub.cfg (grub-mkimage -c). The caller frees. */
char *pv_bootcfg_grub_early(const char *root_uuid);

/* The files of the EFI system partition. */
struct pv_bootcfg_esp {
	struct pv_esp_file *files;	/* for pv_esp_write */
	size_t n;
	char *own[8];			/* contents that files point into */
	size_t nown;
};

/* As grub-install --uefi-secure-boot --force-extra-removable leaves them: shim, GRUB and MokManager, all signed, at
 * EFI/BOOT, where every firmware looks, and at EFI/<id>, where the signed GRUB looks for its grub.cfg and where upgrades
 * put new ones. A tree without shim or without the signed GRUB: run_dir/out/grubx64.efi, made by stage configure, in
 * their places. All is read from the tree into memory, links followed inside the tree only. */
int pv_bootcfg_esp_files(const struct pv_plan *plan, const char *root, const char *run_dir,
			 struct pv_bootcfg_esp *ret, struct pv_error *err) PV_MUST_CHECK;
void pv_bootcfg_esp_done(struct pv_bootcfg_esp *esp);

/* Whether the tree has shim and a signed GRUB for it. */
bool pv_bootcfg_has_signed(const char *root);

/* Answers for debconf-set-selections, given before the packages are installed. The caller frees. */
char *pv_debconf_preseed(const struct pv_plan *plan);

#endif
