/* SPDX-License-Identifier: Apache-2.0 */
/* The dom0 that xen-in-qemu boots: made from recipes/xen-dom0.yaml once, then kept in the cache. */
#ifndef PV_DOM0_H
#define PV_DOM0_H

#include "driver.h"

struct pv_dom0 {
	char *dir;			/* cache_dir/dom0/KEY */
	char *xen, *kernel, *initrd;	/* files in it: Xen as uncompressed ELF, dom0's kernel, its initramfs */
	char *key;			/* hex */
	struct pv_vars versions;	/* "xen" "4.17.7+13-...", "dom0_kernel", "device_model": package versions */
	int lock_fd;			/* shared lock on dir: nobody removes it meanwhile */
};
#define PV_DOM0_INIT { 0, 0, 0, 0, 0, { 0, 0, 0 }, -1 }

/* Finds it in the cache, or makes it (needs the archive once; shows its stages in the log, whose file is closed by that).
 * Key: the recipe and its base, what of scripts/ goes into it, a version of ours; not the archive's state, so what is
 * there serves without a network until `pvimg clean --all`. PV_ERR_HOST, PV_ERR_ARCHIVE, PV_ERR_STAGE. Needs
 * pv_ns_enter. */
int pv_dom0_get(const struct pv_driver_run *run, struct pv_dom0 *ret, struct pv_error *err) PV_MUST_CHECK;
void pv_dom0_done(struct pv_dom0 *d);		/* idempotent; a zeroed one is fine too */
#define pv_autodom0 __attribute__((cleanup(pv_dom0_done))) struct pv_dom0

/* The same in parts, for tests: the key alone. The caller frees. */
int pv_dom0_key(const struct pv_paths *paths, const struct pv_recipe *recipe, char **ret, struct pv_error *err)
	PV_MUST_CHECK;

#endif
