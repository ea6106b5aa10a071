/* SPDX-License-Identifier: Apache-2.0 */
/* The table of suites: package names, keyrings and features that differ between Ubuntu's and
 * Debian's releases. */
#include "suite.h"

#include <stddef.h>

#include "text.h"

static const char *const ubuntu_components[] = { "main", "universe", NULL };
static const char *const debian_components[] = { "main", NULL };

/*
 * BIOS and UEFI from one disk, and upgrades that never ask.
 *
 * Ubuntu: grub-pc and grub-efi-amd64 conflict (jammy, noble), but grub-efi-amd64-signed is content
 * with "grub-efi-amd64 | grub-pc": Canonical's cloud images take grub-pc with the -bin, -signed and
 * shim packages beside it (livecd-rootfs, LP: #1901906) and set the debconf answers
 * grub-pc/cloud_style_installation and grub-efi/cloud_style_installation, with which the postinst
 * finds the disk by grub-probe (LP: #2054103). So do we.
 *
 * Debian: bookworm's grub-pc (2.06-13+deb12u2) does not know cloud_style_installation: its postinst
 * asks for disks. grub-cloud-amd64 is Debian's answer, and what its own cloud images have: it
 * depends on the -bin packages, the signed GRUB and shim, and re-installs both GRUBs by dpkg
 * triggers, never asking, as soon as the file /etc/grub.d/enable_cloud is there (make it last:
 * without it the postinst does nothing, which suits the build).
 *
 * zstd: what both initramfs makers compress with by default; a Recommends only.
 */
static const char *const ubuntu_boot_initramfs_tools[] = {
	"grub-pc",
	"grub-pc-bin",
	"grub-efi-amd64-bin",
	"grub-efi-amd64-signed",
	"shim-signed",
	"initramfs-tools",
	"zstd",
	NULL,
};
static const char *const ubuntu_boot_dracut[] = {
	"grub-pc",
	"grub-pc-bin",
	"grub-efi-amd64-bin",
	"grub-efi-amd64-signed",
	"shim-signed",
	"dracut",
	"zstd",
	NULL,
};
static const char *const debian_boot[] = {
	"grub-cloud-amd64",
	"grub-pc-bin",
	"grub-efi-amd64-bin",
	"grub-efi-amd64-signed",
	"shim-signed",
	"initramfs-tools",
	"zstd",
	NULL,
};

/*
 * What every image needs, beyond Essential and required. apt runs without Recommends, so each is
 * here on purpose: cloud-guest-utils (growpart, a Recommends of Debian's cloud-init) and fdisk (its
 * sfdisk) grow the partition, e2fsprogs (resize2fs) the file system; netplan.io, on Ubuntu, carries
 * out what cloud-init renders, as its users expect; Debian's images have cloud-init write for
 * networkd itself, which spares a start of Python at each boot (5 s where the processor is
 * emulated); libpam-systemd gives ssh sessions to logind, so that a shutdown ends them; logrotate
 * keeps Apache's logs from filling a small disk; netbase is /etc/services and /etc/protocols;
 * cloud-init asks lsb_release for the codename that it writes into apt's sources at first boot, but
 * Ubuntu's does not depend on it (without it: "UNAVAILABLE"). DHCP clients come by cloud-init's own
 * Depends (isc-dhcp-client or dhcpcd-base); only the Ec2 datasource uses them.
 */
#define SYSTEM_COMMON                                                                              \
	"systemd-sysv", "udev", "dbus", "libpam-systemd", "kmod", "procps", "iproute2", "netbase", \
		"cloud-init", "cloud-guest-utils", "fdisk", "e2fsprogs",             \
		"openssh-server", "chrony", "ca-certificates", "sudo", "logrotate",       \
		"lsb-release"

/* systemd-resolved is a package of its own since Debian 12 and Ubuntu 23.04. */
static const char *const system_debian[] = { SYSTEM_COMMON, "systemd-resolved", NULL };
static const char *const system_ubuntu[] = { SYSTEM_COMMON, "netplan.io", "systemd-resolved", NULL };
static const char *const system_jammy[] = { SYSTEM_COMMON, "netplan.io", NULL };

/*
 * One list for all five, on purpose: what GRUB 2.06 and e2fsck 1.46 (jammy, the oldest) know.
 * orphan_file and metadata_csum_seed, which mke2fs 1.47 adds, need e2fsck 1.47 and a GRUB of 2.12
 * and give a guest nothing.
 */
static const char ext4_features[] = "has_journal,ext_attr,resize_inode,dir_index,filetype,extent,"
				    "64bit,flex_bg,sparse_super,large_file,"
				    "huge_file,dir_nlink,extra_isize,metadata_csum";

/*
 * The Xen fronts, ext4 with its checksum, and what plain QEMU and HVM without PV drivers need. A
 * name that is built in or gone is harmless: initramfs-tools asks `modprobe --quiet --show-depends`
 * for each and takes what it is told (hook-functions, manual_add_modules).
 */
#define MODULES_COMMON                                                                             \
	"xen_blkfront", "xen_netfront", "ext4", "ata_piix", "sd_mod", "sym53c8xx", "virtio_pci",   \
		"virtio_blk", "virtio_scsi", "virtio_net"

static const char *const modules_with_crc32c[] = { MODULES_COMMON, "crc32c_generic", "crc32c_intel",
						   NULL };
/* Linux 6.14 and later have crc32c in their library, not as modules. */
static const char *const modules_common[] = { MODULES_COMMON, NULL };

#define UBUNTU_COMMON                                                                              \
	.distribution = "ubuntu", .origin = "Ubuntu", .security_label = "Ubuntu",                  \
	.components = ubuntu_components, .kernel_package = "linux-image-virtual",                  \
	.grub_efi_id = "ubuntu", .debootstrap_script = "gutsy", .ext4_features = ext4_features,    \
	.network = PV_NETWORK_NETPLAN, .kernel_fronts_builtin = 1,                                 \
	.keyring_host_path = "/usr/share/keyrings/ubuntu-archive-keyring.gpg",                     \
	.keyring_package = "ubuntu-keyring",                                                       \
	.keyring_member = "./usr/share/keyrings/ubuntu-archive-keyring.gpg"

/*
 * linux-image-cloud-amd64: Debian's kernel for guests, with all of Xen's fronts. 27 MB to download in
 * place of 70, a third of the modules, and it boots in half the time: no search for a GART, no
 * sensors, WLAN or sound. Emulated hardware it drives is IDE (ata_piix); it has no driver for the
 * emulated network cards and the SCSI adapter of an HVM guest without PV drivers, which this image
 * is not made for.
 */
#define DEBIAN_COMMON                                                                              \
	.distribution = "debian", .origin = "Debian", .security_label = "Debian-Security",         \
	.security_sibling = "debian-security", .components = debian_components,                    \
	.kernel_package = "linux-image-cloud-amd64", .grub_efi_id = "debian",                            \
	.debootstrap_script = "sid", .boot_packages = debian_boot,                                 \
	.system_packages = system_debian, .ext4_features = ext4_features,                          \
	.network = PV_NETWORK_NETWORKD, .initramfs = PV_INITRAMFS_TOOLS,                            \
	.initramfs_modules = modules_with_crc32c,                                                  \
	.keyring_host_path = "/usr/share/keyrings/debian-archive-keyring.gpg",                     \
	.keyring_package = "debian-archive-keyring",                                               \
	.keyring_member = "./usr/share/keyrings/debian-archive-keyring.gpg"

/*
 * usr_is_merged: Debian 12's init-system-helpers depends on "usrmerge | usr-is-merged". Debian 13's
 * base-files provides it; Ubuntu's jammy has usrmerge alone, and later Ubuntus dropped the
 * dependency (LP: #2027712), so there it counts only for archives that fill "noble" with Debian's
 * packages. guest_agent: Debian packages none (apt-cache, bookworm); for resolute none was
 * confirmed.
 */
static const struct pv_suite suites[] = {
	{
		UBUNTU_COMMON,
		.codename = "jammy",
		.version = "22.04",
		.updates = "jammy-updates",
		.security = "jammy-security",
		.boot_packages = ubuntu_boot_initramfs_tools,
		.system_packages = system_jammy,
		.guest_agent = "xe-guest-utilities",
		.initramfs = PV_INITRAMFS_TOOLS,
		.initramfs_modules = modules_with_crc32c,
	},
	{
		UBUNTU_COMMON,
		.codename = "noble",
		.version = "24.04",
		.updates = "noble-updates",
		.security = "noble-security",
		.boot_packages = ubuntu_boot_initramfs_tools,
		.system_packages = system_ubuntu,
		.guest_agent = "xe-guest-utilities",
		.usr_is_merged = "usr-is-merged",
		.initramfs = PV_INITRAMFS_TOOLS,
		.initramfs_modules = modules_with_crc32c,
	},
	{
		UBUNTU_COMMON,
		.codename = "resolute",
		.version = "26.04",
		.updates = "resolute-updates",
		.security = "resolute-security",
		.boot_packages = ubuntu_boot_dracut,
		.system_packages = system_ubuntu,
		.usr_is_merged = "usr-is-merged",
		.initramfs = PV_INITRAMFS_DRACUT,
		.initramfs_modules = modules_common,
	},
	{
		DEBIAN_COMMON,
		.codename = "bookworm",
		.version = "12",
		.updates = "bookworm-updates",
		.security = "bookworm-security",
		.usr_is_merged = "usr-is-merged",
	},
	{
		DEBIAN_COMMON,
		.codename = "trixie",
		.version = "13",
		.updates = "trixie-updates",
		.security = "trixie-security",
	},
	{ .distribution = NULL },
};

static const char *const ubuntu_names[] = { "jammy", "noble", "resolute", NULL };
static const char *const debian_names[] = { "bookworm", "trixie", NULL };
static const char *const distributions[] = { "ubuntu", "debian", NULL };

const struct pv_suite *pv_suite_find(const char *distribution, const char *codename)
{
	for (const struct pv_suite *s = suites; s->distribution; s++)
		if (pv_streq(s->distribution, distribution) && pv_streq(s->codename, codename))
			return s;
	return NULL;
}

const char *const *pv_suite_names(const char *distribution)
{
	if (pv_streq(distribution, "ubuntu"))
		return ubuntu_names;
	if (pv_streq(distribution, "debian"))
		return debian_names;
	return NULL;
}

const char *const *pv_suite_distributions(void)
{
	return distributions;
}

const struct pv_suite *pv_suite_table(void)
{
	return suites;
}
