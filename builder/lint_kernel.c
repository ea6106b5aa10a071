/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of the kernel: its files, configuration, modules and initramfs, and that they belong together. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "image_initramfs.h"
#include "image_module.h"
#include "lint.h"

#define KERNEL_MAX ((size_t)128 << 20)
#define INITRAMFS_MAX ((size_t)512 << 20)
#define CONFIG_MAX ((size_t)4 << 20)
#define DEP_MAX ((size_t)16 << 20)
#define BZ_MAGIC 0x202u			/* "HdrS"; Documentation/arch/x86/boot.rst */
#define BZ_VERSION 0x20eu		/* place of the version's text, less 0x200 */

/* Calls fn with each kernel version of the image. */
static void each_kernel(struct pv_lint *lint, void (*fn)(struct pv_lint *lint, const char *version))
{
	pv_autostrv versions = PV_STRV_INIT;

	pv_lint_kernels(lint, &versions);
	for (size_t i = 0; i < versions.n; i++)
		fn(lint, versions.v[i]);
}

static void check_files_of(struct pv_lint *lint, const char *version)
{
	static const char *const names[] = { "vmlinuz", "initrd.img", "config" };

	for (size_t i = 0; i < PV_COUNT(names); i++) {
		pv_autofree char *path = pv_fmt("/boot/%s-%s", names[i], version);
		if (!pv_image_exists(lint->image, path))
			pv_lint_fault(lint, "%s is missing", path);
	}
}

static void check_files(struct pv_lint *lint)
{
	pv_autostrv versions = PV_STRV_INIT, boot = PV_STRV_INIT;

	pv_lint_kernels(lint, &versions);
	if (versions.n == 0)
		pv_lint_fault(lint, "/lib/modules holds no kernel's modules");
	each_kernel(lint, check_files_of);
	pv_image_list(lint->image, "/boot", &boot);
	for (size_t i = 0; i < boot.n; i++) {
		const char *version = pv_lint_kernel_version(boot.v[i]);
		if (version && pv_starts(boot.v[i], "vmlinuz-") && !pv_strv_has(&versions, version))
			pv_lint_fault(lint, "/boot/%s has no modules in /lib/modules", boot.v[i]);
	}
}

static void check_link(struct pv_lint *lint, const char *name, const char *prefix, const char *version)
{
	pv_autofree char *want = pv_fmt("%s-%s", prefix, version);
	/* Debian's and older Ubuntu's kernels keep the links in /, newer Ubuntu's in /boot */
	const char *const folders[] = { "", "/boot" };

	for (size_t i = 0; i < PV_COUNT(folders); i++) {
		pv_autofree char *path = pv_fmt("%s/%s", folders[i], name);
		pv_autofree char *target = pv_image_readlink(lint->image, path);
		const char *base = target ? strrchr(target, '/') : NULL;
		if (target && !pv_streq(base ? base + 1 : target, want))
			pv_lint_fault(lint, "%s leads to %s, but GRUB boots %s", path, target, version);
		else if (target && !pv_image_exists(lint->image, path))
			pv_lint_fault(lint, "%s leads nowhere", path);
	}
}

/* Every kernel and initrd that grub.cfg names is there. */
static void check_grub_files(struct pv_lint *lint)
{
	pv_autostrv lines = PV_STRV_INIT;

	pv_lint_lines(lint, "/boot/grub/grub.cfg", &lines);
	for (size_t i = 0; i < lines.n; i++) {
		pv_autostrv words = PV_STRV_INIT;
		pv_lint_words(lines.v[i], &words);
		bool file = words.n > 1 && (pv_streq(words.v[0], "linux") || pv_streq(words.v[0], "initrd"));
		if (file && words.v[1][0] == '/' && !pv_image_exists(lint->image, words.v[1]))
			pv_lint_fault(lint, "grub.cfg names %s, which is missing", words.v[1]);
	}
}

static void check_default(struct pv_lint *lint)
{
	pv_autostrv lines = PV_STRV_INIT, words = PV_STRV_INIT, versions = PV_STRV_INIT;

	pv_lint_linux_lines(lint, &lines);
	if (lines.n)
		pv_lint_words(lines.v[0], &words);
	const char *version = words.n ? pv_lint_kernel_version(words.v[0]) : NULL;
	if (!version)
		return pv_lint_fault(lint, "grub.cfg's first entry names no vmlinuz-VERSION");
	pv_lint_kernels(lint, &versions);
	if (!pv_strv_has(&versions, version))
		pv_lint_fault(lint, "GRUB boots %s, which has no modules in /lib/modules", version);
	check_grub_files(lint);
	check_link(lint, "vmlinuz", "vmlinuz", version);
	check_link(lint, "initrd.img", "initrd.img", version);
}

/* The kernel's own idea of its version stands in its boot header. */
static void check_image_of(struct pv_lint *lint, const char *version)
{
	pv_autofree char *path = pv_fmt("/boot/vmlinuz-%s", version);
	size_t len = 0, want = strlen(version);
	pv_autofree char *data = pv_image_read(lint->image, path, KERNEL_MAX, &len);

	if (!data)
		return;		/* "kernel-files" tells */
	const uint8_t *p = (const uint8_t *)data;
	if (len < BZ_VERSION + 2 || memcmp(p + BZ_MAGIC, "HdrS", 4) != 0)
		return pv_lint_fault(lint, "%s is no kernel for x86", path);
	size_t at = 0x200u + (p[BZ_VERSION] | (size_t)p[BZ_VERSION + 1] << 8);
	if (at >= len || len - at <= want || memcmp(p + at, version, want) != 0 || p[at + want] != ' ')
		pv_lint_fault(lint, "%s says that it is %.40s", path, at < len ? data + at : "outside itself");
}

static void check_image(struct pv_lint *lint)
{
	each_kernel(lint, check_image_of);
}

static char *read_config(const struct pv_lint *lint, const char *version)
{
	pv_autofree char *path = pv_fmt("/boot/config-%s", version);

	return pv_image_read(lint->image, path, CONFIG_MAX, NULL);
}

/* 'y', 'm', or 'n' when it is not set. */
static char config_value(const char *config, const char *symbol)
{
	pv_autofree char *want = pv_fmt("CONFIG_%s=", symbol);

	for (const char *p = config; (p = strstr(p, want)); p += strlen(want))
		if (p == config || p[-1] == '\n')
			return p[strlen(want)];
	return 'n';
}

/* arch/x86/xen/Kconfig, drivers/xen/Kconfig and the fronts' own. Without the first group there is no PVHVM.
 * HIBERNATE_CALLBACKS is what save and restore are built with (drivers/xen/manage.c); XEN_SAVE_RESTORE, which only
 * selected it, is gone in Ubuntu's 7.0. */
static void check_config_of(struct pv_lint *lint, const char *version)
{
	static const char *const built_in[] = {
		"XEN", "XEN_PVHVM", "XEN_PVHVM_SMP", "XEN_XENBUS_FRONTEND", "HIBERNATE_CALLBACKS",
		"HVC_XEN", "HVC_XEN_FRONTEND", "XEN_SYS_HYPERVISOR", "XEN_BALLOON", "XEN_COMPAT_XENFS",
		"SERIAL_8250_CONSOLE", "DEVTMPFS", "EFI_STUB", "EFI_PARTITION",
	};
	static const char *const either[] = {
		"XEN_BLKDEV_FRONTEND", "XEN_NETDEV_FRONTEND", "XENFS", "EXT4_FS", "VIRTIO_PCI", "VIRTIO_BLK", "VIRTIO_NET",
		"VFAT_FS",
	};
	pv_autofree char *config = read_config(lint, version);

	if (!config)
		return;		/* "kernel-files" tells */
	for (size_t i = 0; i < PV_COUNT(built_in); i++)
		if (config_value(config, built_in[i]) != 'y')
			pv_lint_fault(lint, "/boot/config-%s: CONFIG_%s is not y", version, built_in[i]);
	/* split off XEN_PVHVM in 5.x: older kernels do not know it */
	if (strstr(config, "# CONFIG_XEN_PVHVM_GUEST is not set"))
		pv_lint_fault(lint, "/boot/config-%s: CONFIG_XEN_PVHVM_GUEST is not set", version);
	for (size_t i = 0; i < PV_COUNT(either); i++)
		if (config_value(config, either[i]) == 'n')
			pv_lint_fault(lint, "/boot/config-%s: CONFIG_%s is neither y nor m", version, either[i]);
}

static void check_config(struct pv_lint *lint)
{
	each_kernel(lint, check_config_of);
}

/* What a kernel must have as a module where it is not built in; the rest of the suite's list may be missing from it. */
static const char *const needed[] = {
	"xen_blkfront", "xen_netfront", "ext4", "xenfs", "ata_piix", "sd_mod", "virtio_pci", "virtio_blk", "virtio_net",
};

/* Lines of modules.dep and modules.builtin of one kernel. */
struct modules {
	struct pv_strv dep, builtin;
	char *dir;
};

static void modules_done(struct modules *m)
{
	pv_strv_done(&m->dep);
	pv_strv_done(&m->builtin);
	free(m->dir);
}
#define automodules __attribute__((cleanup(modules_done))) struct modules

static void split_lines(char *text, struct pv_strv *ret)
{
	for (char *line; text && (line = strsep(&text, "\n")); )
		if (*line)
			pv_strv_add(ret, line);
}

static bool load_modules(const struct pv_lint *lint, const char *version, struct modules *m)
{
	m->dir = pv_fmt("/lib/modules/%s", version);
	pv_autofree char *dep_path = pv_fmt("%s/modules.dep", m->dir);
	pv_autofree char *builtin_path = pv_fmt("%s/modules.builtin", m->dir);
	pv_autofree char *dep = pv_image_read(lint->image, dep_path, DEP_MAX, NULL);
	pv_autofree char *builtin = pv_image_read(lint->image, builtin_path, DEP_MAX, NULL);

	split_lines(dep, &m->dep);
	split_lines(builtin, &m->builtin);
	return dep && builtin;
}

/* Is "kernel/fs/ext4/ext4.ko.zst: ..." the module of this name? '-' and '_' are the same. */
static bool is_module(const char *line, const char *name)
{
	size_t len = strcspn(line, ":"), base = 0;

	for (size_t i = 0; i < len; i++)
		if (line[i] == '/')
			base = i + 1;
	const char *p = line + base;
	for (; *name; p++, name++)
		if (*p != *name && !(*p == '-' && *name == '_') && !(*p == '_' && *name == '-'))
			return false;
	return strncmp(p, ".ko", 3) == 0;
}

static const char *find_module(const struct pv_strv *lines, const char *name)
{
	for (size_t i = 0; i < lines->n; i++)
		if (is_module(lines->v[i], name))
			return lines->v[i];
	return NULL;
}

/* A line of modules.dep: the module's file and all it depends on must be there. */
static void check_dep_line(struct pv_lint *lint, const struct modules *m, const char *line)
{
	pv_autostrv words = PV_STRV_INIT;

	pv_lint_words(line, &words);
	for (size_t i = 0; i < words.n; i++) {
		size_t len = strcspn(words.v[i], ":");
		pv_autofree char *path = pv_fmt("%s/%.*s", m->dir, (int)len, words.v[i]);
		if (!pv_image_exists(lint->image, path))
			pv_lint_fault(lint, "%s/modules.dep names %.*s, which is missing", m->dir, (int)len, words.v[i]);
	}
}

static void check_modules_of(struct pv_lint *lint, const char *version)
{
	automodules m = { PV_STRV_INIT, PV_STRV_INIT, NULL };
	const char *const *suite = lint->suite ? lint->suite->initramfs_modules : NULL;

	if (!load_modules(lint, version, &m))
		return pv_lint_fault(lint, "%s: modules.dep or modules.builtin is missing", m.dir);
	for (size_t i = 0; i < PV_COUNT(needed); i++)
		if (!find_module(&m.dep, needed[i]) && !find_module(&m.builtin, needed[i]))
			pv_lint_fault(lint, "%s: %s is neither a module nor built in", m.dir, needed[i]);
	for (size_t i = 0; i < PV_COUNT(needed); i++) {
		const char *line = find_module(&m.dep, needed[i]);
		if (line)
			check_dep_line(lint, &m, line);
	}
	for (size_t i = 0; suite && suite[i]; i++) {
		const char *line = find_module(&m.dep, suite[i]);
		bool done = false;
		for (size_t k = 0; k < PV_COUNT(needed); k++)
			done = done || pv_streq(needed[k], suite[i]);
		if (line && !done)
			check_dep_line(lint, &m, line);
	}
}

static void check_modules(struct pv_lint *lint)
{
	each_kernel(lint, check_modules_of);
}

static void check_vermagic_file(struct pv_lint *lint, const char *path, const char *version)
{
	size_t len = 0, want = strlen(version);
	pv_autofree char *data = pv_image_read(lint->image, path, PV_MODULE_MAX, &len);
	pv_autofree char *magic = NULL;
	pv_autoerror err = PV_ERROR_INIT;

	if (!data)
		return;		/* "kernel-modules" tells */
	if (pv_module_info((const uint8_t *)data, len, "vermagic", &magic, &err) < 0)
		pv_lint_fault(lint, "%s: %s", path, err.text);
	else if (!pv_starts(magic, version) || magic[want] != ' ')
		pv_lint_fault(lint, "%s is for the kernel %.80s", path, magic);
}

/* Of the modules that a guest needs to boot; where all are built in, of the first one listed. */
static void check_vermagic_of(struct pv_lint *lint, const char *version)
{
	automodules m = { PV_STRV_INIT, PV_STRV_INIT, NULL };
	size_t checked = 0;

	if (!load_modules(lint, version, &m) || m.dep.n == 0)
		return;		/* "kernel-modules" tells */
	for (size_t i = 0; i <= PV_COUNT(needed); i++) {
		const char *line = i < PV_COUNT(needed) ? find_module(&m.dep, needed[i]) : checked ? NULL : m.dep.v[0];
		if (!line)
			continue;
		pv_autofree char *path = pv_fmt("%s/%.*s", m.dir, (int)strcspn(line, ":"), line);
		check_vermagic_file(lint, path, version);
		checked++;
	}
}

static void check_vermagic(struct pv_lint *lint)
{
	each_kernel(lint, check_vermagic_of);
}

/* "usr/lib/modules/VERSION/kernel/..." or "lib/modules/...": what comes behind VERSION/; NULL: no module's name. */
static const char *module_in_initramfs(const char *name, const char *version, bool *ret_other)
{
	const char *p = strstr(name, "lib/modules/");
	size_t len = strlen(version);

	if (!p)
		return NULL;
	p += strlen("lib/modules/");
	if (strncmp(p, version, len) != 0 || (p[len] != '/' && p[len] != '\0')) {
		*ret_other = *p != '\0';
		return NULL;
	}
	return p[len] == '/' ? p + len + 1 : NULL;
}

/* The module and all it depends on, each in the initramfs. */
static void want_in_initramfs(struct pv_lint *lint, const struct pv_strv *inside, const char *version, const char *line)
{
	pv_autostrv words = PV_STRV_INIT;

	pv_lint_words(line, &words);
	for (size_t i = 0; i < words.n; i++) {
		/* initramfs makers may unpack what is compressed */
		size_t len = strcspn(words.v[i], ":");
		const char *ko = strstr(words.v[i], ".ko");
		size_t stem = ko && ko < words.v[i] + len ? (size_t)(ko - words.v[i]) + strlen(".ko") : len;
		bool found = false;
		for (size_t k = 0; k < inside->n && !found; k++)
			found = strncmp(inside->v[k], words.v[i], stem) == 0 &&
				(inside->v[k][stem] == '\0' || inside->v[k][stem] == '.');
		if (!found)
			pv_lint_fault(lint, "/boot/initrd.img-%s: %.*s is missing", version, (int)len, words.v[i]);
	}
}

static void check_initramfs_names(struct pv_lint *lint, const char *version, const struct pv_strv *names)
{
	automodules m = { PV_STRV_INIT, PV_STRV_INIT, NULL };
	pv_autostrv inside = PV_STRV_INIT;
	const struct pv_suite *suite = lint->suite ? lint->suite : pv_suite_table();
	bool other = false;

	for (size_t i = 0; i < names->n; i++) {
		const char *module = module_in_initramfs(names->v[i], version, &other);
		if (module)
			pv_strv_add(&inside, module);
	}
	if (other)
		pv_lint_fault(lint, "/boot/initrd.img-%s holds modules of another kernel", version);
	if (!pv_strv_has(names, "init"))
		pv_lint_fault(lint, "/boot/initrd.img-%s has no /init", version);
	if (!load_modules(lint, version, &m))
		return;		/* "kernel-modules" tells */
	for (size_t i = 0; suite->initramfs_modules[i]; i++) {
		const char *line = find_module(&m.dep, suite->initramfs_modules[i]);
		if (line)
			want_in_initramfs(lint, &inside, version, line);
	}
}

static void check_initramfs_of(struct pv_lint *lint, const char *version)
{
	pv_autofree char *path = pv_fmt("/boot/initrd.img-%s", version);
	size_t len = 0;
	pv_autofree char *data = pv_image_read(lint->image, path, INITRAMFS_MAX, &len);
	pv_autostrv names = PV_STRV_INIT;
	pv_autoerror err = PV_ERROR_INIT;

	if (!data)
		return;		/* "kernel-files" tells */
	if (pv_initramfs_names((const uint8_t *)data, len, &names, &err) < 0)
		return pv_lint_fault(lint, "%s: %s", path, err.text);
	check_initramfs_names(lint, version, &names);
}

static void check_initramfs(struct pv_lint *lint)
{
	each_kernel(lint, check_initramfs_of);
}

const struct pv_lint_check pv_lint_kernel_checks[] = {
	{ "kernel-files", "a kernel with modules, initramfs and configuration", check_files },
	{ "kernel-default", "GRUB's default, the links and /lib/modules agree", check_default },
	{ "kernel-image", "the kernel's own version is the one it is called by", check_image },
	{ "kernel-config", "what PVHVM, EC2 and plain KVM need is configured", check_config },
	{ "kernel-modules", "the drivers for disk, net and root are there, with what they need", check_modules },
	{ "vermagic", "the modules are for this kernel", check_vermagic },
	{ "initramfs", "it can read the root on each hypervisor: blkfront, ext4 and the others", check_initramfs },
	{ NULL, NULL, NULL },
};
