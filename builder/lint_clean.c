/* SPDX-License-Identifier: Apache-2.0 */
/* Checks that nothing of the build or its host is left: identities, logs, caches, sources, hooks. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lint.h"

#define FAULTS_MAX 20u
#define HOST_MAX 256

/* A fault if there is anything by that name. */
static void want_absent(struct pv_lint *lint, const char *path, const char *why)
{
	struct pv_image_stat st;

	if (pv_image_stat(lint->image, path, &st))
		pv_lint_fault(lint, "%s is there%s%s", path, why ? ": " : "", why ? why : "");
}

static void check_identity(struct pv_lint *lint)
{
	static const char *const paths[] = {
		"/var/lib/systemd/random-seed", "/var/lib/systemd/credential.secret", "/var/lib/urandom/random-seed",
		"/etc/nvme/hostid", "/etc/nvme/hostnqn", "/etc/iscsi/initiatorname.iscsi",
		"/etc/ssl/private/ssl-cert-snakeoil.key", "/root/.bash_history", "/root/.gnupg",
	};
	pv_autostrv keys = PV_STRV_INIT;

	pv_image_list(lint->image, "/etc/ssh", &keys);
	for (size_t i = 0; i < keys.n; i++)
		if (pv_starts(keys.v[i], "ssh_host_"))
			pv_lint_fault(lint, "/etc/ssh/%s is there: all guests would share it", keys.v[i]);
	for (size_t i = 0; i < PV_COUNT(paths); i++)
		want_absent(lint, paths[i], NULL);
}

static void check_machine_id(struct pv_lint *lint)
{
	struct pv_image_stat st;

	if (!pv_image_stat(lint->image, "/etc/machine-id", &st) || !S_ISREG(st.mode))
		pv_lint_fault(lint, "/etc/machine-id is no file: systemd could not fill it on a read-only root");
	else if (st.size > 0)
		pv_lint_fault(lint, "/etc/machine-id is not empty: all guests would have the same");
	if (pv_image_stat(lint->image, "/var/lib/dbus/machine-id", &st) && !S_ISLNK(st.mode))
		pv_lint_fault(lint, "/var/lib/dbus/machine-id is no link to /etc/machine-id");
}

/* Folders whose files must be empty, or must not be. */
struct emptiness {
	struct pv_lint *lint;
	bool files_too;			/* no file at all, not even an empty one */
};

static bool note_file(void *ctx, const char *path, const struct pv_image_stat *st)
{
	struct emptiness *e = ctx;

	if (S_ISREG(st->mode) && (e->files_too || st->size > 0) && !pv_starts(path, "/var/cache/debconf/"))
		pv_lint_fault(e->lint, "%s, %llu bytes", path, (unsigned long long)st->size);
	return e->lint->faults.n <= FAULTS_MAX;
}

static void check_logs(struct pv_lint *lint)
{
	struct emptiness e = { lint, false };

	pv_image_walk(lint->image, "/var/log", note_file, &e);
}

static void check_caches(struct pv_lint *lint)
{
	static const char *const folders[] = { "/var/lib/apt/lists", "/var/cache", "/var/backups" };
	struct emptiness e = { lint, true };

	for (size_t i = 0; i < PV_COUNT(folders); i++)
		pv_image_walk(lint->image, folders[i], note_file, &e);
	want_absent(lint, "/var/cache/debconf/config.dat-old", NULL);
}

/* What init mounts over, and what it empties: a file there is dead weight or a surprise. */
static void check_runtime(struct pv_lint *lint)
{
	static const char *const folders[] = { "/run", "/tmp", "/var/tmp", "/proc", "/sys" };
	static const struct {
		const char *path;
		mode_t mode;
	} modes[] = { { "/tmp", 01777 }, { "/var/tmp", 01777 }, { "/", 0755 }, { "/run", 0755 } };
	pv_autostrv dev = PV_STRV_INIT;
	struct pv_image_stat st;

	for (size_t i = 0; i < PV_COUNT(folders); i++) {
		pv_autostrv names = PV_STRV_INIT;
		pv_image_list(lint->image, folders[i], &names);
		if (!pv_image_exists(lint->image, folders[i]))
			pv_lint_fault(lint, "%s is missing", folders[i]);
		for (size_t k = 0; k < names.n && k < FAULTS_MAX; k++)
			pv_lint_fault(lint, "%s/%s is there", folders[i], names.v[k]);
	}
	pv_image_list(lint->image, "/dev", &dev);
	for (size_t i = 0; i < dev.n; i++) {
		pv_autofree char *path = pv_fmt("/dev/%s", dev.v[i]);
		if (pv_image_stat(lint->image, path, &st) && !S_ISCHR(st.mode))
			pv_lint_fault(lint, "%s is no character device", path);
	}
	for (size_t i = 0; i < PV_COUNT(modes); i++)
		if (pv_image_stat(lint->image, modes[i].path, &st) && (st.mode & 07777) != modes[i].mode)
			pv_lint_fault(lint, "%s has mode %04o, wanted %04o", modes[i].path, st.mode & 07777u, modes[i].mode);
}

static void check_resolver(struct pv_lint *lint)
{
	struct pv_image_stat st;
	pv_autofree char *link = pv_image_readlink(lint->image, "/etc/resolv.conf");

	if (link && !strstr(link, "run/systemd/resolve/") && !strstr(link, "run/resolvconf/"))
		pv_lint_fault(lint, "/etc/resolv.conf leads to %s", link);
	if (!link && pv_image_stat(lint->image, "/etc/resolv.conf", &st) && st.size > 0)
		pv_lint_fault(lint, "/etc/resolv.conf is a file with content: somebody's name servers");
	if (!link && pv_lint_has_package(lint, "systemd-resolved"))
		pv_lint_fault(lint, "/etc/resolv.conf does not lead to systemd-resolved");
}

static bool is_label(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-";

	return *name && *name != '-' && strspn(name, allowed) == strlen(name) && strlen(name) < 64;
}

static void check_hostname(struct pv_lint *lint)
{
	pv_autostrv lines = PV_STRV_INIT, hosts = PV_STRV_INIT;
	char host[HOST_MAX] = "";

	pv_lint_lines(lint, "/etc/hostname", &lines);
	if (lines.n != 1 || !is_label(lines.v[0]))
		return pv_lint_fault(lint, "/etc/hostname is not one plain name");
	/* a machine may well be called "debian" */
	if (gethostname(host, sizeof(host) - 1) == 0 && pv_streq(lines.v[0], host) &&
	    !(lint->suite && pv_streq(host, lint->suite->distribution)))
		pv_lint_fault(lint, "/etc/hostname is %s, as is the name of this machine", host);
	pv_lint_lines(lint, "/etc/hosts", &hosts);
	for (size_t i = 0; i < hosts.n; i++) {
		pv_autostrv words = PV_STRV_INIT;
		pv_lint_words(hosts.v[i], &words);
		if (pv_streq(words.v[0], "127.0.1.1") && !pv_strv_has(&words, lines.v[0]))
			pv_lint_fault(lint, "/etc/hosts: %s is not %s", hosts.v[i], lines.v[0]);
	}
	want_absent(lint, "/etc/mailname", "the build host's name for mail");
}

static void check_policy(struct pv_lint *lint)
{
	static const char why[] = "it would keep services from starting";

	want_absent(lint, "/usr/sbin/policy-rc.d", why);
	want_absent(lint, "/etc/policy-rc.d", why);
}

/* Three lines each: file, where it went, package; ":" is nobody's, made by hand. */
static void check_diversions(struct pv_lint *lint)
{
	pv_autostrv lines = PV_STRV_INIT;

	pv_lint_lines(lint, "/var/lib/dpkg/diversions", &lines);
	if (lines.n % 3)
		return pv_lint_fault(lint, "/var/lib/dpkg/diversions is damaged");
	for (size_t i = 0; i < lines.n; i += 3)
		if (pv_streq(lines.v[i + 2], ":") || strstr(lines.v[i + 2], "pvimg"))
			pv_lint_fault(lint, "%s is diverted to %s by no package", lines.v[i], lines.v[i + 1]);
}

static bool note_leftover(void *ctx, const char *path, const struct pv_image_stat *st)
{
	static const char *const suffixes[] = {
		".dpkg-new", ".dpkg-old", ".dpkg-dist", ".dpkg-tmp", ".dpkg-bak", ".ucf-old", ".ucf-new", ".ucf-dist", ".pvimg",
		".pvimg-new", ".swp", "~",
	};
	struct pv_lint *lint = ctx;

	for (size_t i = 0; i < PV_COUNT(suffixes); i++)
		if (!S_ISDIR(st->mode) && pv_ends(path, suffixes[i]))
			pv_lint_fault(lint, "%s is there", path);
	return lint->faults.n <= FAULTS_MAX;
}

static void check_leftovers(struct pv_lint *lint)
{
	static const char *const folders[] = { "/etc", "/boot", "/usr/sbin", "/usr/bin", "/usr/local", "/var/lib", "/root" };
	static const char *const paths[] = {
		"/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-", "/etc/.pwd.lock", "/var/lib/dpkg/status-old",
		"/var/lib/dpkg/lock", "/debootstrap", "/.dockerenv", "/pvimg", "/usr/lib/pvimg", "/var/lib/pvimg",
		"/boot/grub/grub.cfg.new",
	};
	pv_autostrv hooks = PV_STRV_INIT;

	for (size_t i = 0; i < PV_COUNT(folders); i++)
		pv_image_walk(lint->image, folders[i], note_leftover, lint);
	for (size_t i = 0; i < PV_COUNT(paths); i++)
		want_absent(lint, paths[i], NULL);
	pv_lint_files(lint, "/etc/dpkg/dpkg.cfg.d", "", &hooks);
	pv_lint_files(lint, "/etc/kernel/postinst.d", "", &hooks);
	pv_lint_files(lint, "/etc/initramfs-tools/hooks", "", &hooks);
	for (size_t i = 0; i < hooks.n; i++)
		if (strstr(hooks.v[i], "pvimg"))
			pv_lint_fault(lint, "%s is there", hooks.v[i]);
}

/* One line of sources.list or of a .sources file. */
static void check_source_line(struct pv_lint *lint, const char *path, const char *line)
{
	static const char *const words[] = {
		"file:", "copy:", "cdrom:", "localhost", "://127.", "://[::1]", "trusted=yes", "allow-insecure=yes",
	};
	const char *scheme = strstr(line, "://");

	for (size_t i = 0; i < PV_COUNT(words); i++)
		if (strstr(line, words[i]))
			pv_lint_fault(lint, "%s: \"%s\" in: %s", path, words[i], line);
	if (strncasecmp(line, "Trusted:", 8) == 0)
		pv_lint_fault(lint, "%s: %s", path, line);
	/* user:password@host; the line is not shown */
	if (scheme && memchr(scheme + 3, '@', strcspn(scheme + 3, "/ \t")))
		pv_lint_fault(lint, "%s: a user name in an address", path);
}

static void check_sources(struct pv_lint *lint)
{
	pv_autostrv files = PV_STRV_INIT;
	size_t any = 0;
	bool security = false;

	pv_strv_add(&files, "/etc/apt/sources.list");
	pv_lint_files(lint, "/etc/apt/sources.list.d", "", &files);
	for (size_t f = 0; f < files.n; f++) {
		pv_autostrv lines = PV_STRV_INIT;
		pv_lint_lines(lint, files.v[f], &lines);
		for (size_t i = 0; i < lines.n; i++) {
			any += pv_starts(lines.v[i], "deb ") || pv_starts(lines.v[i], "Types:");
			security = security || (lint->suite && strstr(lines.v[i], lint->suite->security));
			check_source_line(lint, files.v[f], lines.v[i]);
		}
	}
	if (any == 0)
		pv_lint_fault(lint, "/etc/apt has no sources");
	else if (!security && lint->suite)
		pv_lint_fault(lint, "/etc/apt: no source for %s", lint->suite->security);
}

/* Proxies, passwords and trust that only the build may have had. */
static void check_apt_config(struct pv_lint *lint)
{
	static const char *const words[] = {
		"proxy", "allowunauthenticated", "allowinsecure", "allow-insecure", "verify-peer", "verify-host",
		"force-unsafe-io",
	};
	pv_autostrv files = PV_STRV_INIT, secrets = PV_STRV_INIT;

	pv_strv_add(&files, "/etc/apt/apt.conf");
	pv_strv_add(&files, "/etc/environment");
	pv_lint_files(lint, "/etc/apt/apt.conf.d", "", &files);
	pv_lint_files(lint, "/etc/dpkg/dpkg.cfg.d", "", &files);
	for (size_t f = 0; f < files.n; f++) {
		pv_autostrv lines = PV_STRV_INIT;
		pv_lint_lines(lint, files.v[f], &lines);
		for (size_t i = 0; i < lines.n; i++)
			for (size_t w = 0; w < PV_COUNT(words); w++)
				if (!pv_starts(lines.v[i], "//") && strcasestr(lines.v[i], words[w]))
					pv_lint_fault(lint, "%s says %s", files.v[f], words[w]);
	}
	pv_strv_add(&secrets, "/etc/apt/auth.conf");
	pv_lint_files(lint, "/etc/apt/auth.conf.d", "", &secrets);
	for (size_t i = 0; i < secrets.n; i++) {
		pv_autostrv lines = PV_STRV_INIT;
		pv_lint_lines(lint, secrets.v[i], &lines);
		if (lines.n)
			pv_lint_fault(lint, "%s holds passwords", secrets.v[i]);
	}
}

/* A file that ties an interface to one machine's address would take eth0 from every guest. */
static void check_network(struct pv_lint *lint)
{
	static const char *const folders[] = {
		"/etc/netplan", "/etc/systemd/network", "/etc/udev/rules.d", "/etc/network/interfaces.d",
	};
	static const char *const words[] = { "macaddress", "hwaddr", "hwaddress", "attr{address}" };
	pv_autostrv files = PV_STRV_INIT;

	pv_strv_add(&files, "/etc/network/interfaces");
	for (size_t i = 0; i < PV_COUNT(folders); i++)
		pv_lint_files(lint, folders[i], "", &files);
	for (size_t f = 0; f < files.n; f++) {
		pv_autostrv lines = PV_STRV_INIT;
		pv_lint_lines(lint, files.v[f], &lines);
		for (size_t i = 0; i < lines.n; i++)
			for (size_t w = 0; w < PV_COUNT(words); w++)
				if (strcasestr(lines.v[i], words[w]))
					pv_lint_fault(lint, "%s: %s", files.v[f], lines.v[i]);
	}
}

#define PYC_HEADER 16u			/* PEP 552: magic, flags, then a hash, or the source's time and size */
#define PYC_MAX ((size_t)16 << 20)

/* "DIR/__pycache__/NAME.cpython-311.pyc" is of DIR/NAME.py; NULL: no such name. */
static char *pyc_source(const char *path)
{
	static const char cache[] = "/__pycache__/";
	const char *at = strstr(path, cache), *name = at ? at + strlen(cache) : NULL, *dot = name ? strchr(name, '.') : NULL;

	return dot ? pv_fmt("%.*s/%.*s.py", (int)(at - path), path, (int)(dot - name), name) : NULL;
}

static uint32_t le32(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return (uint32_t)u[0] | (uint32_t)u[1] << 8 | (uint32_t)u[2] << 16 | (uint32_t)u[3] << 24;
}

static bool note_stale(void *ctx, const char *path, const struct pv_image_stat *st)
{
	struct pv_lint *lint = ctx;
	size_t len = 0;

	if (!S_ISREG(st->mode) || !pv_ends(path, ".pyc"))
		return true;
	pv_autofree char *source = pyc_source(path), *data = pv_image_read(lint->image, path, PYC_MAX, &len);
	struct pv_image_stat of_source;
	struct pv_image_inode inode;
	if (!data || len < PYC_HEADER)
		pv_lint_fault(lint, "%s is damaged", path);
	else if (!source || !pv_image_stat(lint->image, source, &of_source))
		pv_lint_fault(lint, "%s has no source", path);
	else if ((le32(data + 4) & 1) == 0 && (!pv_image_inode(lint->image, of_source.inode, &inode) ||
					       le32(data + 8) != (uint32_t)inode.mtime.s || le32(data + 12) != of_source.size))
		pv_lint_fault(lint, "%s is older or newer than its source", path);
	return lint->faults.n <= FAULTS_MAX;
}

static void check_bytecode(struct pv_lint *lint)
{
	pv_image_walk(lint->image, "/usr/lib/python3", note_stale, lint);
}

const struct pv_lint_check pv_lint_clean_checks[] = {
	{ "identity", "no host key, seed or private key that all guests would share", check_identity },
	{ "machine-id", "machine-id is empty: each guest makes its own", check_machine_id },
	{ "hostname", "a plain hostname, not the build host's", check_hostname },
	{ "resolver", "no name servers of the build host", check_resolver },
	{ "network", "no interface is tied to one machine's address", check_network },
	{ "logs", "logs are empty", check_logs },
	{ "caches", "no package lists, packages or other caches", check_caches },
	{ "bytecode", "Python's compiled files are valid: else each boot compiles again", check_bytecode },
	{ "runtime", "/run, /tmp and the like are empty, /dev has devices only", check_runtime },
	{ "policy-rc.d", "nothing keeps services from starting", check_policy },
	{ "diversions", "no file is diverted but by a package", check_diversions },
	{ "leftovers", "no half-installed file, backup, lock or hook of the build", check_leftovers },
	{ "apt-sources", "packages come from public archives, with security updates", check_sources },
	{ "apt-config", "no proxy, password or switched-off check for apt", check_apt_config },
	{ NULL, NULL, NULL },
};
