/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of the system: packages, cloud-init, ssh, accounts, clock. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "deb822.h"
#include "lint.h"

#define TEXT_MAX ((size_t)1 << 20)
#define FAULTS_MAX 20u
#define CLOUD_CFG "/etc/cloud/cloud.cfg"
#define SSHD "/etc/ssh/sshd_config"

static void check_suite(struct pv_lint *lint)
{
	if (!lint->suite)
		pv_lint_fault(lint, "/usr/lib/os-release names no suite that pvimg knows (ID, VERSION_CODENAME)");
}

static int check_status(void *ctx, const struct pv_stanza *stanza)
{
	struct pv_lint *lint = ctx;
	const char *name = pv_stanza_get(stanza, "Package"), *status = pv_stanza_get(stanza, "Status");

	if (!pv_streq(status, "install ok installed") && !pv_streq(status, "hold ok installed"))
		pv_lint_fault(lint, "%s: %s", name ? name : "a package without a name", status ? status : "no status");
	return lint->faults.n > FAULTS_MAX;
}

static void check_packages(struct pv_lint *lint)
{
	size_t len = 0;
	pv_autofree char *text = pv_image_read(lint->image, PV_LINT_STATUS, PV_LINT_STATUS_MAX, &len);
	pv_autoerror err = PV_ERROR_INIT;

	if (!text)
		return pv_lint_fault(lint, "%s is missing or too large", PV_LINT_STATUS);
	if (pv_deb822_each_mem(text, len, check_status, lint, &err) < 0)
		pv_lint_fault(lint, "%s: %s", PV_LINT_STATUS, err.text);
	else if (lint->packages.n == 0)
		pv_lint_fault(lint, "%s: no package is installed", PV_LINT_STATUS);
}

static void want_packages(struct pv_lint *lint, const char *const *names)
{
	for (; *names; names++)
		if (!pv_lint_has_package(lint, *names))
			pv_lint_fault(lint, "%s is not installed", *names);
}

static void check_suite_packages(struct pv_lint *lint)
{
	const struct pv_suite *suite = lint->suite;

	if (!suite)
		return;		/* "suite" tells */
	const char *const single[] = { suite->kernel_package, suite->guest_agent, NULL };
	want_packages(lint, suite->boot_packages);
	want_packages(lint, suite->system_packages);
	want_packages(lint, single);
}

/* cloud.cfg and cloud.cfg.d, in the order in which a later one is stronger. */
static void cloud_files(const struct pv_lint *lint, struct pv_strv *ret)
{
	pv_strv_add(ret, CLOUD_CFG);
	pv_lint_files(lint, CLOUD_CFG ".d", ".cfg", ret);
}

/* The last value of "key: value" on one line, at the left margin ("mode" below "growpart:" when parent is given). NULL:
 * none. Lists must be on one line: ds-identify, which decides at boot, reads no others. */
static char *cloud_value(const struct pv_lint *lint, const char *parent, const char *key)
{
	pv_autostrv files = PV_STRV_INIT;
	pv_autofree char *value = NULL;
	size_t len = strlen(key);

	cloud_files(lint, &files);
	for (size_t f = 0; f < files.n; f++) {
		pv_autofree char *text = pv_image_read(lint->image, files.v[f], TEXT_MAX, NULL);
		char *rest = text;
		bool inside = !parent;
		for (char *line; rest && (line = strsep(&rest, "\n")); ) {
			size_t blanks = strspn(line, " ");
			if (parent && blanks == 0 && *line && *line != '#')
				inside = pv_starts(line, parent) && line[strlen(parent)] == ':';
			if (!inside || (blanks > 0) != (parent != NULL) || strncmp(line + blanks, key, len) != 0 ||
			    line[blanks + len] != ':')
				continue;
			const char *found = line + blanks + len + 1;
			found += strspn(found, " ");
			pv_freep(&value);
			value = pv_xstrdup(found);
		}
	}
	return pv_steal(&value);
}

/* "[ a, 'b' ]" as words. Changes the text. */
static void list_words(char *list, struct pv_strv *ret)
{
	for (char *p = list; *p; p++)
		if (strchr("[],'\"", *p))
			*p = ' ';
	pv_lint_words(list, ret);
}

static void check_datasources(struct pv_lint *lint)
{
	static const char *const wanted[] = { "NoCloud", "ConfigDrive", "Ec2", "None" };
	pv_autofree char *list = cloud_value(lint, NULL, "datasource_list");
	pv_autostrv words = PV_STRV_INIT;

	if (!list)
		return pv_lint_fault(lint, "/etc/cloud sets no datasource_list");
	list_words(list, &words);
	for (size_t i = 0; i < PV_COUNT(wanted); i++)
		if (!pv_strv_has(&words, wanted[i]))
			pv_lint_fault(lint, "/etc/cloud: datasource_list lacks %s", wanted[i]);
}

static void check_cloud_init(struct pv_lint *lint)
{
	static const char *const off[] = { "/etc/cloud/cloud-init.disabled", "/var/lib/cloud/instance" };
	/* cloud-init 24.3 renamed cloud-init.service */
	pv_autostrv wants = PV_STRV_INIT;

	if (!pv_lint_has_package(lint, "cloud-init"))
		pv_lint_fault(lint, "cloud-init is not installed");
	pv_image_list(lint->image, "/etc/systemd/system/cloud-init.target.wants", &wants);
	pv_image_list(lint->image, "/usr/lib/systemd/system/cloud-init.target.wants", &wants);
	if (!pv_strv_has(&wants, "cloud-init-local.service") || !pv_strv_has(&wants, "cloud-final.service"))
		pv_lint_fault(lint, "cloud-init is not enabled: cloud-init.target wants no cloud-init-local.service or "
			      "cloud-final.service");
	for (size_t i = 0; i < PV_COUNT(off); i++)
		if (pv_image_exists(lint->image, off[i]))
			pv_lint_fault(lint, "%s is there", off[i]);
}

static void check_growroot(struct pv_lint *lint)
{
	static const char *const programs[] = { "/usr/bin/growpart", "/usr/sbin/resize2fs", "/usr/sbin/sfdisk" };
	pv_autofree char *mode = cloud_value(lint, "growpart", "mode");
	pv_autofree char *resize = cloud_value(lint, NULL, "resize_rootfs");

	for (size_t i = 0; i < PV_COUNT(programs); i++)
		if (!pv_image_exists(lint->image, programs[i]))
			pv_lint_fault(lint, "%s is missing", programs[i]);
	if (mode && !pv_streq(mode, "auto") && !pv_streq(mode, "growpart"))
		pv_lint_fault(lint, "/etc/cloud: growpart's mode is %s", mode);
	if (resize && strcasecmp(resize, "true") != 0 && !pv_streq(resize, "noblock"))
		pv_lint_fault(lint, "/etc/cloud: resize_rootfs is %s", resize);
}

/* sshd takes the first value of a keyword; an Include stands for its files, in their order. */
static char *sshd_value(const struct pv_lint *lint, const char *path, const char *keyword, unsigned depth)
{
	pv_autostrv lines = PV_STRV_INIT;

	pv_lint_lines(lint, path, &lines);
	for (size_t i = 0; i < lines.n; i++) {
		pv_autostrv words = PV_STRV_INIT, files = PV_STRV_INIT;
		pv_lint_words(lines.v[i], &words);
		if (strcasecmp(words.v[0], "Match") == 0)
			break;
		if (words.n > 1 && strcasecmp(words.v[0], keyword) == 0)
			return pv_xstrdup(words.v[1]);
		if (words.n < 2 || depth > 0 || strcasecmp(words.v[0], "Include") != 0 ||
		    !pv_streq(words.v[1], SSHD ".d/*.conf"))
			continue;
		pv_lint_files(lint, SSHD ".d", ".conf", &files);
		for (size_t f = 0; f < files.n; f++) {
			char *value = sshd_value(lint, files.v[f], keyword, depth + 1);
			if (value)
				return value;
		}
	}
	return NULL;
}

static void check_ssh_passwords(struct pv_lint *lint)
{
	static const char *const off[] = { "PasswordAuthentication", "KbdInteractiveAuthentication" };
	pv_autofree char *pwauth = cloud_value(lint, NULL, "ssh_pwauth");

	for (size_t i = 0; i < PV_COUNT(off); i++) {
		pv_autofree char *value = sshd_value(lint, SSHD, off[i], 0);
		if (!value || strcasecmp(value, "no") != 0)
			pv_lint_fault(lint, "%s: %s is %s, wanted no", SSHD, off[i], value ? value : "not set");
	}
	pv_autofree char *root = sshd_value(lint, SSHD, "PermitRootLogin", 0);
	if (root && strcasecmp(root, "yes") == 0)
		pv_lint_fault(lint, "%s: PermitRootLogin is yes", SSHD);
	if (pwauth && (strcasecmp(pwauth, "true") == 0 || strcasecmp(pwauth, "yes") == 0 || pv_streq(pwauth, "1")))
		pv_lint_fault(lint, "/etc/cloud: ssh_pwauth is %s", pwauth);
}

/* By its own service or, on newer Ubuntu, by its socket. */
static void check_ssh_server(struct pv_lint *lint)
{
	struct pv_image_stat st;

	if (!pv_lint_has_package(lint, "openssh-server"))
		return pv_lint_fault(lint, "openssh-server is not installed");
	if (!pv_image_stat(lint->image, "/etc/systemd/system/sockets.target.wants/ssh.socket", &st))
		pv_lint_want_enabled(lint, "multi-user.target", "ssh.service");
	pv_autofree char *delete = cloud_value(lint, NULL, "ssh_deletekeys");
	if (delete && strcasecmp(delete, "true") != 0)
		pv_lint_fault(lint, "/etc/cloud: ssh_deletekeys is %s: copies of a guest would share host keys", delete);
}

static void check_shadow_line(struct pv_lint *lint, const char *line)
{
	size_t name = strcspn(line, ":");
	const char *password = line[name] ? line + name + 1 : "";

	if (*password != '*' && *password != '!')
		pv_lint_fault(lint, "/etc/shadow: %.*s has %s", (int)name, line,
			      *password == ':' || !*password ? "an empty password" : "a password");
}

/* "name:x:uid:..." */
static void check_passwd_line(struct pv_lint *lint, const char *line)
{
	size_t name = strcspn(line, ":");
	const char *p = line + name;
	char *end;

	if (*p == ':')
		p += 1 + strcspn(p + 1, ":");
	if (*p != ':')
		return pv_lint_fault(lint, "/etc/passwd: %s", line);
	unsigned long uid = strtoul(p + 1, &end, 10);
	if (uid == 0 && strncmp(line, "root:", 5) != 0)
		pv_lint_fault(lint, "/etc/passwd: %.*s has uid 0", (int)name, line);
	if (uid >= 1000 && uid < 60000)
		pv_lint_fault(lint, "/etc/passwd: %.*s: people's accounts are made at first boot", (int)name, line);
}

static void check_accounts(struct pv_lint *lint)
{
	static const char *const keys[] = { "/root/.ssh/authorized_keys", "/root/.ssh/authorized_keys2" };
	pv_autostrv shadow = PV_STRV_INIT, passwd = PV_STRV_INIT;
	bool root = false;

	pv_lint_lines(lint, "/etc/shadow", &shadow);
	for (size_t i = 0; i < shadow.n; i++) {
		root = root || pv_starts(shadow.v[i], "root:");
		check_shadow_line(lint, shadow.v[i]);
	}
	if (!root)
		pv_lint_fault(lint, "/etc/shadow has no line for root");
	pv_lint_lines(lint, "/etc/passwd", &passwd);
	for (size_t i = 0; i < passwd.n; i++)
		check_passwd_line(lint, passwd.v[i]);
	for (size_t i = 0; i < PV_COUNT(keys); i++) {
		struct pv_image_stat st;
		if (pv_image_stat(lint->image, keys[i], &st) && st.size > 0)
			pv_lint_fault(lint, "%s lets somebody in", keys[i]);
	}
}

static void check_clock(struct pv_lint *lint)
{
	if (!pv_lint_has_package(lint, "chrony"))
		return pv_lint_fault(lint, "chrony is not installed");
	pv_lint_want_enabled(lint, "multi-user.target", "chrony.service");
}

/* What takes seconds of every boot, or of the first, and serves no guest. The reasons are where each is switched off. */
static void check_boot_waste(struct pv_lint *lint)
{
	static const char reap[] = "/etc/systemd/system/multi-user.target.wants/e2scrub_reap.service";
	pv_autofree char *types = cloud_value(lint, NULL, "ssh_genkeytypes");
	pv_autostrv words = PV_STRV_INIT;
	struct pv_image_stat st;

	if (types)
		list_words(types, &words);
	if (!pv_strv_has(&words, "ed25519") || pv_strv_has(&words, "rsa") || pv_strv_has(&words, "dsa"))
		pv_lint_fault(lint, "/etc/cloud: ssh_genkeytypes is %s: the first boot waits for RSA or DSA keys",
			      types ? types : "not set");
	pv_lint_want_line(lint, "/etc/modprobe.d/50-pvimg.conf", "blacklist cfg80211");
	if (!pv_lint_has_package(lint, "lvm2") && pv_image_stat(lint->image, reap, &st))
		pv_lint_fault(lint, "%s is there, without lvm2", reap);
}

const struct pv_lint_check pv_lint_system_checks[] = {
	{ "suite", "a distribution and suite that pvimg knows", check_suite },
	{ "packages", "every package is wholly installed", check_packages },
	{ "suite-packages", "what every image of the suite has, the guest agent included", check_suite_packages },
	{ "cloud-init", "cloud-init runs at first boot", check_cloud_init },
	{ "datasources", "cloud-init asks NoCloud, ConfigDrive, Ec2 and None", check_datasources },
	{ "grow-root", "cloud-init grows the root to the guest's disk", check_growroot },
	{ "ssh-server", "an ssh server starts at boot and makes its own keys", check_ssh_server },
	{ "ssh-passwords", "nobody logs in by ssh with a password", check_ssh_passwords },
	{ "accounts", "root and all others are locked, no key is let in", check_accounts },
	{ "clock", "chrony runs: Xen sets a guest's clock at boot only", check_clock },
	{ "boot-waste", "no seconds of a boot go to what serves no guest", check_boot_waste },
	{ NULL, NULL, NULL },
};
