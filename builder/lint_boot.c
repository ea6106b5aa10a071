/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of how the image boots: grub.cfg, GRUB's settings, fstab, device names. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "deb822.h"
#include "lint.h"

#define GRUB_CFG "/boot/grub/grub.cfg"
#define GRUB_DIR "/boot/grub/i386-pc"
#define DEBCONF "/var/cache/debconf/config.dat"
#define DEBCONF_MAX ((size_t)32 << 20)
#define MODULE_MAX ((size_t)4 << 20)

static const char *const consoles[] = { "tty1", "hvc0" };

/* The device of the last "console=" is /dev/console. "ttyS0,115200n8" counts as ttyS0. */
static bool is_console(const char *word, const char *device)
{
	size_t len = strlen(device);

	if (!pv_starts(word, "console="))
		return false;
	word += strlen("console=");
	return strncmp(word, device, len) == 0 && (word[len] == '\0' || word[len] == ',');
}

static const char *find_console(const struct pv_strv *words, const char *device)
{
	for (size_t i = 0; i < words->n; i++)
		if (is_console(words->v[i], device))
			return words->v[i];
	return NULL;
}

/* What is missing or wrong among the consoles of one command line; `where` names it. */
static void check_console_words(struct pv_lint *lint, const struct pv_strv *words, const char *where)
{
	const char *last = NULL;

	for (size_t i = 0; i < words->n; i++)
		if (pv_starts(words->v[i], "console="))
			last = words->v[i];
	for (size_t i = 0; i < PV_COUNT(consoles); i++)
		if (!find_console(words, consoles[i]))
			pv_lint_fault(lint, "%s: no console=%s", where, consoles[i]);
	if (last && !is_console(last, "hvc0"))
		pv_lint_fault(lint, "%s: the last is %s and not hvc0: boot messages are lost where it has no device",
			      where, last);
}

typedef void line_fn(struct pv_lint *lint, const struct pv_strv *words, const char *where);

/* Calls fn with the words of each kernel command line. */
static void each_linux_line(struct pv_lint *lint, line_fn *fn)
{
	pv_autostrv lines = PV_STRV_INIT;

	pv_lint_linux_lines(lint, &lines);
	if (lines.n == 0)
		pv_lint_fault(lint, "%s has no \"linux\" line", GRUB_CFG);
	for (size_t i = 0; i < lines.n; i++) {
		pv_autostrv words = PV_STRV_INIT;
		pv_autofree char *where = pv_fmt("%s, entry %zu", GRUB_CFG, i + 1);
		pv_lint_words(lines.v[i], &words);
		fn(lint, &words, where);
	}
}

static void check_consoles(struct pv_lint *lint)
{
	each_linux_line(lint, check_console_words);
}

static void check_root_words(struct pv_lint *lint, const struct pv_strv *words, const char *where)
{
	char uuid[37];
	bool any = false;

	pv_image_fs_uuid(lint->image, uuid);
	pv_autofree char *want = pv_fmt("root=UUID=%s", uuid);
	for (size_t i = 0; i < words->n; i++) {
		if (!pv_starts(words->v[i], "root="))
			continue;
		any = true;
		if (!pv_streq(words->v[i], want))
			pv_lint_fault(lint, "%s: %s, but the root file system's UUID is %s", where, words->v[i], uuid);
	}
	if (!any)
		pv_lint_fault(lint, "%s: no root=", where);
}

static void check_root_uuid(struct pv_lint *lint)
{
	pv_autostrv lines = PV_STRV_INIT;
	char uuid[37];

	each_linux_line(lint, check_root_words);
	pv_image_fs_uuid(lint->image, uuid);
	pv_lint_lines(lint, GRUB_CFG, &lines);
	for (size_t i = 0; i < lines.n; i++)
		if (pv_starts(lines.v[i], "search ") && strstr(lines.v[i], "--fs-uuid") && !pv_ends(lines.v[i], uuid))
			pv_lint_fault(lint, "%s searches for another file system: %s", GRUB_CFG, lines.v[i]);
}

static void check_eth0_words(struct pv_lint *lint, const struct pv_strv *words, const char *where)
{
	if (!pv_strv_has(words, "net.ifnames=0"))
		pv_lint_fault(lint, "%s: no net.ifnames=0", where);
}

static void check_eth0(struct pv_lint *lint)
{
	each_linux_line(lint, check_eth0_words);
}

static void check_timeout(struct pv_lint *lint)
{
	pv_autostrv lines = PV_STRV_INIT;
	bool any = false;

	pv_lint_lines(lint, GRUB_CFG, &lines);
	for (size_t i = 0; i < lines.n; i++) {
		const char *line = lines.v[i];
		any = any || pv_streq(line, "set timeout=0");
		if (pv_starts(line, "set timeout=") && !pv_streq(line, "set timeout=0"))
			pv_lint_fault(lint, "%s waits: %s", GRUB_CFG, line);
		if (pv_starts(line, "set timeout_style=") && !pv_streq(line, "set timeout_style=hidden"))
			pv_lint_fault(lint, "%s shows a menu: %s", GRUB_CFG, line);
	}
	if (!any)
		pv_lint_fault(lint, "%s sets no timeout: GRUB would wait for a key for ever", GRUB_CFG);
}

/* The last assignment of a name in /etc/default/grub and then grub.d, as grub-mkconfig reads them; NULL: none. */
static char *grub_setting(const struct pv_lint *lint, const char *name)
{
	pv_autostrv files = PV_STRV_INIT;
	pv_autofree char *value = NULL;
	size_t len = strlen(name);

	pv_strv_add(&files, "/etc/default/grub");
	pv_lint_files(lint, "/etc/default/grub.d", ".cfg", &files);
	for (size_t f = 0; f < files.n; f++) {
		pv_autostrv lines = PV_STRV_INIT;
		pv_lint_lines(lint, files.v[f], &lines);
		for (size_t i = 0; i < lines.n; i++) {
			if (strncmp(lines.v[i], name, len) != 0 || lines.v[i][len] != '=')
				continue;
			const char *text = lines.v[i] + len + 1;
			bool quoted = *text == '"' || *text == '\'';
			pv_freep(&value);
			value = quoted ? pv_xstrndup(text + 1, strcspn(text + 1, "\"'")) : pv_xstrdup(text);
		}
	}
	return pv_steal(&value);
}

static void check_grub_defaults(struct pv_lint *lint)
{
	static const struct {
		const char *name, *value;
	} wanted[] = {
		{ "GRUB_TIMEOUT", "0" }, { "GRUB_TIMEOUT_STYLE", "hidden" }, { "GRUB_RECORDFAIL_TIMEOUT", "0" },
		{ "GRUB_DISABLE_OS_PROBER", "true" },
	};
	pv_autostrv words = PV_STRV_INIT;

	for (size_t i = 0; i < PV_COUNT(wanted); i++) {
		pv_autofree char *value = grub_setting(lint, wanted[i].name);
		if (!pv_streq(value, wanted[i].value))
			pv_lint_fault(lint, "/etc/default/grub*: %s is %s, wanted %s", wanted[i].name,
				      value ? value : "not set", wanted[i].value);
	}
	pv_autofree char *always = grub_setting(lint, "GRUB_CMDLINE_LINUX");
	pv_autofree char *normal = grub_setting(lint, "GRUB_CMDLINE_LINUX_DEFAULT");
	pv_lint_words(always ? always : "", &words);
	pv_lint_words(normal ? normal : "", &words);
	check_console_words(lint, &words, "/etc/default/grub*");
	check_eth0_words(lint, &words, "/etc/default/grub*");
}

static void check_fstab(struct pv_lint *lint)
{
	pv_autostrv lines = PV_STRV_INIT;
	char uuid[37], esp[10];
	bool root = false, efi = false;

	pv_image_fs_uuid(lint->image, uuid);
	pv_image_esp_volume_id(lint->image, esp);
	pv_autofree char *want_root = pv_fmt("UUID=%s", uuid), *want_esp = pv_fmt("UUID=%s", esp);
	pv_lint_lines(lint, "/etc/fstab", &lines);
	for (size_t i = 0; i < lines.n; i++) {
		pv_autostrv words = PV_STRV_INIT;
		pv_lint_words(lines.v[i], &words);
		const char *where = words.n > 1 ? words.v[1] : "";
		if (!pv_starts(words.v[0], "UUID=") && !pv_streq(words.v[0], "tmpfs"))
			pv_lint_fault(lint, "/etc/fstab: %s is not named by UUID", words.v[0]);
		if (pv_streq(where, "/") && !pv_streq(words.v[0], want_root))
			pv_lint_fault(lint, "/etc/fstab: the root is %s, but its UUID is %s", words.v[0], uuid);
		if (pv_streq(where, "/boot/efi") && !pv_streq(words.v[0], want_esp))
			pv_lint_fault(lint, "/etc/fstab: /boot/efi is %s, but the ESP's id is %s", words.v[0], esp);
		root = root || pv_streq(where, "/");
		efi = efi || pv_streq(where, "/boot/efi");
	}
	if (!root)
		pv_lint_fault(lint, "/etc/fstab has no line for /");
	if (!efi && *esp)
		pv_lint_fault(lint, "/etc/fstab has no line for /boot/efi: GRUB's upgrades would miss it");
	if (!pv_image_exists(lint->image, "/boot/efi"))
		pv_lint_fault(lint, "/boot/efi is missing");
}

/* "/dev/sda", "/dev/loop0": names that a Xen, KVM or EC2 guest, or the build host, gives by chance. */
static bool names_device(const char *line)
{
	static const struct {
		const char *prefix;
		int (*goes_on)(int c);
	} kinds[] = {
		{ "sd", islower }, { "vd", islower }, { "hd", islower }, { "xvd", islower }, { "loop", isdigit },
		{ "nvme", isdigit },
	};

	for (const char *p = line; (p = strstr(p, "/dev/")); ) {
		p += strlen("/dev/");
		for (size_t i = 0; i < PV_COUNT(kinds); i++)
			if (pv_starts(p, kinds[i].prefix) && kinds[i].goes_on((unsigned char)p[strlen(kinds[i].prefix)]))
				return true;
	}
	return false;
}

static void boot_files(const struct pv_lint *lint, struct pv_strv *ret)
{
	static const char *const files[] = {
		GRUB_CFG, "/boot/grub/custom.cfg", "/boot/grub/device.map", "/etc/fstab", "/etc/crypttab",
		"/etc/default/grub", "/etc/kernel/cmdline", "/etc/initramfs-tools/initramfs.conf",
		"/etc/dracut.conf", "/etc/cloud/cloud.cfg", NULL,
	};
	static const char *const folders[] = {
		"/etc/default/grub.d", "/etc/initramfs-tools/conf.d", "/etc/dracut.conf.d", "/etc/grub.d",
		"/etc/cloud/cloud.cfg.d",
	};

	pv_strv_add_all(ret, files);
	for (size_t i = 0; i < PV_COUNT(folders); i++)
		pv_lint_files(lint, folders[i], "", ret);
}

static void check_device_names(struct pv_lint *lint)
{
	pv_autostrv files = PV_STRV_INIT;

	boot_files(lint, &files);
	for (size_t f = 0; f < files.n; f++) {
		pv_autostrv lines = PV_STRV_INIT;
		/* GRUB's scripts are programs that know device names, not configuration */
		if (pv_starts(files.v[f], "/etc/grub.d/") && !strstr(files.v[f], "custom"))
			continue;
		pv_lint_lines(lint, files.v[f], &lines);
		for (size_t i = 0; i < lines.n; i++)
			if (names_device(lines.v[i]))
				pv_lint_fault(lint, "%s: %s", files.v[f], lines.v[i]);
	}
	for (const char *const *name = (const char *const[]){ "BOOT", "debian", "ubuntu", NULL }; *name; name++) {
		pv_autofree char *path = pv_fmt("EFI/%s/grub.cfg", *name);
		if (lint->suite && !pv_streq(*name, "BOOT") && !pv_streq(*name, lint->suite->grub_efi_id))
			continue;
		pv_autofree char *text = pv_image_esp_read(lint->image, path, 65536, NULL);
		if (text && names_device(text))
			pv_lint_fault(lint, "ESP: %s names a device", path);
	}
}

static void check_grub_modules(struct pv_lint *lint)
{
	/* what grub.cfg needs on its way to the kernel, and what core.img holds already */
	static const char *const modules[] = {
		"normal", "linux", "part_gpt", "ext2", "search", "search_fs_uuid", "gzio", "serial", "terminal",
		"test", "echo", "minicmd", "loadenv", "configfile", "biosdisk",
	};
	size_t len = 0, from_len = 0;

	for (size_t i = 0; i < PV_COUNT(modules); i++) {
		pv_autofree char *path = pv_fmt("%s/%s.mod", GRUB_DIR, modules[i]);
		pv_autofree char *from = pv_fmt("/usr/lib/grub/i386-pc/%s.mod", modules[i]);
		pv_autofree char *here = pv_image_read(lint->image, path, MODULE_MAX, &len);
		pv_autofree char *there = pv_image_read(lint->image, from, MODULE_MAX, &from_len);
		if (!here)
			pv_lint_fault(lint, "%s is missing", path);
		else if (there && (len != from_len || memcmp(here, there, len) != 0))
			pv_lint_fault(lint, "%s is of another GRUB than %s", path, from);
	}
	if (!pv_image_exists(lint->image, GRUB_DIR "/moddep.lst"))
		pv_lint_fault(lint, "%s/moddep.lst is missing", GRUB_DIR);
}

struct answer {
	const char *name;
	char *value;
};

static int match_answer(void *ctx, const struct pv_stanza *stanza)
{
	struct answer *answer = ctx;

	if (!pv_streq(pv_stanza_get(stanza, "Name"), answer->name))
		return 0;
	answer->value = pv_xstrdup(pv_stanza_get(stanza, "Value"));
	return 1;
}

/* debconf's answer to a question; NULL: none. */
static char *debconf_value(const struct pv_lint *lint, const char *name)
{
	size_t len = 0;
	pv_autofree char *text = pv_image_read(lint->image, DEBCONF, DEBCONF_MAX, &len);
	struct answer answer = { name, NULL };
	pv_autoerror ignored = PV_ERROR_INIT;

	if (text && pv_deb822_each_mem(text, len, match_answer, &answer, &ignored) < 0)
		pv_freep(&answer.value);
	return answer.value;
}

static void check_upgrades(struct pv_lint *lint)
{
	static const struct {
		const char *package, *prefix;
	} grubs[] = { { "grub-pc", "grub-pc" }, { "grub-efi-amd64", "grub-efi" } };

	if (pv_lint_has_package(lint, "grub-cloud-amd64") && !pv_image_exists(lint->image, "/etc/grub.d/enable_cloud"))
		pv_lint_fault(lint, "/etc/grub.d/enable_cloud is missing: grub-cloud-amd64 would not install new GRUBs");
	for (size_t i = 0; i < PV_COUNT(grubs); i++) {
		pv_autofree char *style = pv_fmt("%s/cloud_style_installation", grubs[i].prefix);
		pv_autofree char *devices = pv_fmt("%s/install_devices", grubs[i].prefix);
		pv_autofree char *on = debconf_value(lint, style), *list = debconf_value(lint, devices);
		if (pv_lint_has_package(lint, grubs[i].package) && !pv_streq(on, "true"))
			pv_lint_fault(lint, "debconf: %s is %s: an upgrade would ask for a disk", style, on ? on : "not set");
		if (list && *list)
			pv_lint_fault(lint, "debconf: %s names %s", devices, list);
	}
}

const struct pv_lint_check pv_lint_boot_checks[] = {
	{ "grub-timeout", "grub.cfg waits for nobody and shows no menu", check_timeout },
	{ "grub-defaults", "the next update-grub keeps timeout, consoles and eth0", check_grub_defaults },
	{ "consoles", "tty1 and hvc0 on every kernel command line, hvc0 last", check_consoles },
	{ "root-uuid", "the kernel finds its root by UUID, whatever the disk is called", check_root_uuid },
	{ "eth0", "the first network interface is eth0 on every suite", check_eth0 },
	{ "fstab", "file systems are mounted by UUID, and these are right", check_fstab },
	{ "device-names", "no disk or loop device is named in boot configuration", check_device_names },
	{ "grub-modules", "GRUB's modules for BIOS are there and of the installed GRUB", check_grub_modules },
	{ "grub-upgrades", "GRUB's upgrades find the disk by themselves and never ask", check_upgrades },
	{ NULL, NULL, NULL },
};
