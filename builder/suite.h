/* SPDX-License-Identifier: Apache-2.0 */
/* What differs from suite to suite, as data. The rest of pvimg asks this table and never compares suite names. */
#ifndef PV_SUITE_H
#define PV_SUITE_H

#include <stdbool.h>

enum pv_initramfs_maker {
	PV_INITRAMFS_TOOLS,
	PV_INITRAMFS_DRACUT,
};

enum pv_network_renderer {
	PV_NETWORK_NETPLAN,		/* cloud-init writes netplan, networkd carries it out */
	PV_NETWORK_NETWORKD,
	PV_NETWORK_IFUPDOWN,
};

struct pv_suite {
	const char *distribution;	/* "ubuntu", "debian" */
	const char *codename;		/* "noble", as in dists/ and in the Release file's Codename */
	const char *version;		/* "24.04", "12" */
	const char *origin;		/* the Release file's Origin: "Ubuntu", "Debian" */
	const char *updates;		/* "noble-updates" on the same mirror */
	const char *security;		/* "noble-security", "bookworm-security" */
	const char *security_label;	/* Label of the security suite's Release, for hints; may be NULL */
	const char *security_sibling;	/* NULL: security is on the main mirror (Ubuntu); else the sibling path's last
					 * component: "debian-security" in place of "debian" */
	const char *const *components;	/* NULL-terminated, default for the recipe: main, universe */
	const char *kernel_package;	/* "linux-image-virtual", "linux-image-cloud-amd64" */
	const char *grub_efi_id;	/* folder below EFI/ that the signed GRUB looks in: "ubuntu", "debian" */
	const char *const *boot_packages;	/* GRUB for BIOS and UEFI, shim, initramfs maker, NULL-terminated */
	const char *const *system_packages;	/* what every image of the suite needs: cloud-init, ssh, chrony, ... */
	const char *guest_agent;	/* package, or NULL where the suite has none */
	const char *usr_is_merged;	/* package to --include in debootstrap so that init-system-helpers' alternative is
					 * met when the gutsy script runs, or NULL. Only when the index has it: real
					 * Ubuntu since 23.10 needs none */
	const char *debootstrap_script;	/* used when the host's debootstrap does not know the codename: "gutsy" */
	const char *ext4_features;	/* what this suite's GRUB and e2fsck know, whole: mke2fs -O none,LIST */
	const char *keyring_host_path;	/* where a host's keyring package puts the archive keys */
	const char *keyring_package;	/* package that holds them */
	const char *keyring_member;	/* its one file that we read */
	const char *const *initramfs_modules;	/* for MODULES=list / dracut add_drivers, NULL-terminated */
	enum pv_initramfs_maker initramfs;
	enum pv_network_renderer network;
	unsigned kernel_fronts_builtin : 1;	/* xen-blkfront and xen-netfront are =y in its kernel */
};

/* NULL when unknown. */
const struct pv_suite *pv_suite_find(const char *distribution, const char *codename);

/* NULL-terminated codenames of one distribution, for messages and pv_nearest. NULL for an unknown distribution. */
const char *const *pv_suite_names(const char *distribution);

/* NULL-terminated names of the distributions. */
const char *const *pv_suite_distributions(void);

/* The whole table, ended by an entry whose distribution is NULL. */
const struct pv_suite *pv_suite_table(void);

#endif
