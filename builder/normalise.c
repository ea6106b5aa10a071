/* SPDX-License-Identifier: Apache-2.0 */
/* Rules by which a finished tree becomes the same from every build; see normalise.h. */
#include "normalise.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <string.h>
#include <unistd.h>

#include "accounts.h"
#include "fsutil.h"
#include "intree.h"
#include "text.h"
#include "tree.h"

#define SHARED "each guest makes its own; all would share this one"
#define RANDOM "a seed that all guests would share is none"
#define BUILDS "belongs to the build, not to the image"
#define BACKUP "a backup from a step of the build: which steps there were is no business of the image"
#define CACHE "made again when needed, with times and an order that vary"
#define LOGGED "tells of the build, with its times"
#define RUNTIME "what a running system mounts over or empties"

const struct pv_normal_rule pv_normal_rules[] = {
	/* identity */
	{ PV_NORMAL_GONE, "etc/ssh/ssh_host_*", NULL, SHARED },
	{ PV_NORMAL_EMPTY_FILE, "etc/machine-id", NULL, SHARED },
	{ PV_NORMAL_GONE, "var/lib/dbus/machine-id", NULL, "tmpfiles.d makes the link to /etc/machine-id" },
	{ PV_NORMAL_GONE, "var/lib/systemd/random-seed", NULL, RANDOM },
	{ PV_NORMAL_GONE, "var/lib/systemd/credential.secret", NULL, SHARED },
	{ PV_NORMAL_GONE, "var/lib/urandom/random-seed", NULL, RANDOM },
	{ PV_NORMAL_GONE, "var/lib/private/systemd/*.key", NULL, SHARED },
	{ PV_NORMAL_GONE, "etc/nvme/hostid", NULL, SHARED },
	{ PV_NORMAL_GONE, "etc/nvme/hostnqn", NULL, SHARED },
	{ PV_NORMAL_GONE, "etc/iscsi/initiatorname.iscsi", NULL, SHARED },
	{ PV_NORMAL_GONE, "etc/ssl/private/ssl-cert-snakeoil.key", NULL, SHARED },
	{ PV_NORMAL_GONE, "etc/ssl/certs/ssl-cert-snakeoil.pem", NULL, "its key is gone" },

	/* accounts */
	{ PV_NORMAL_GONE, "etc/passwd-", NULL, BACKUP },
	{ PV_NORMAL_GONE, "etc/group-", NULL, BACKUP },
	{ PV_NORMAL_GONE, "etc/shadow-", NULL, BACKUP },
	{ PV_NORMAL_GONE, "etc/gshadow-", NULL, BACKUP },
	{ PV_NORMAL_GONE, "etc/subuid-", NULL, BACKUP },
	{ PV_NORMAL_GONE, "etc/subgid-", NULL, BACKUP },
	{ PV_NORMAL_GONE, "etc/.pwd.lock", NULL, BUILDS },
	{ PV_NORMAL_GONE, "root/.bash_history", NULL, BUILDS },
	{ PV_NORMAL_GONE, "root/.wget-hsts", NULL, BUILDS },
	{ PV_NORMAL_EMPTY_FOLDER, "root/.gnupg", NULL, BUILDS },
	{ PV_NORMAL_GONE, "root/.gnupg", NULL, BUILDS },
	{ PV_NORMAL_EMPTY_FOLDER, "root/.cache", NULL, CACHE },
	{ PV_NORMAL_GONE, "root/.cache", NULL, CACHE },

	/* packages */
	{ PV_NORMAL_NO_FILES, "var/lib/apt/lists", NULL, "of the planned archive; a guest fetches its own" },
	{ PV_NORMAL_GONE, "var/lib/dpkg/*-old", NULL, BACKUP },
	{ PV_NORMAL_GONE, "var/lib/dpkg/lock", NULL, BUILDS },
	{ PV_NORMAL_GONE, "var/lib/dpkg/lock-frontend", NULL, BUILDS },
	{ PV_NORMAL_GONE, "var/lib/dpkg/triggers/Lock", NULL, BUILDS },
	{ PV_NORMAL_GONE, "var/cache/debconf/*-old", NULL, BACKUP },
	{ PV_NORMAL_GONE, "usr/sbin/policy-rc.d", NULL, "keeps daemons from starting: stage install put it there" },
	{ PV_NORMAL_GONE, "etc/apt/apt.conf.d/*pvimg-build*", NULL, BUILDS },

	/* caches: ldconfig's aux cache has inode numbers and times of the build's disk, fontconfig's and man's have times,
	 * apt's are of the planned archive. debconf's are its database. */
	{ PV_NORMAL_NO_FILES, "var/cache", "debconf", CACHE },
	{ PV_NORMAL_EMPTY_FOLDER, "var/cache/man", NULL, CACHE },

	/* state and logs of what ran here */
	{ PV_NORMAL_EMPTY_FOLDER, "var/lib/cloud", NULL, BUILDS },
	{ PV_NORMAL_EMPTY_FOLDER, "var/lib/dhcp", NULL, BUILDS },
	{ PV_NORMAL_EMPTY_FOLDER, "var/lib/chrony", NULL, BUILDS },
	{ PV_NORMAL_EMPTY_FOLDER, "var/lib/systemd/timers", NULL, "stamps with the build's times" },
	{ PV_NORMAL_EMPTY_FOLDER, "var/lib/logrotate", NULL, LOGGED },
	{ PV_NORMAL_EMPTY_FOLDER, "var/backups", NULL, BACKUP },
	{ PV_NORMAL_EMPTY_FOLDER, "var/log/journal", NULL, LOGGED },
	{ PV_NORMAL_EMPTY_FILE, "var/log/wtmp", NULL, LOGGED },
	{ PV_NORMAL_EMPTY_FILE, "var/log/btmp", NULL, LOGGED },
	{ PV_NORMAL_EMPTY_FILE, "var/log/lastlog", NULL, LOGGED },
	{ PV_NORMAL_EMPTY_FILE, "var/log/faillog", NULL, LOGGED },
	{ PV_NORMAL_NO_FILES, "var/log", "[bw]tmp|lastlog|faillog", LOGGED },
	{ PV_NORMAL_EMPTY_FOLDER, "var/tmp", NULL, RUNTIME },

	/* The sandbox had mounts here; debootstrap and packages put things below them. */
	{ PV_NORMAL_EMPTY_FOLDER, "dev", NULL, RUNTIME },
	{ PV_NORMAL_EMPTY_FOLDER, "proc", NULL, RUNTIME },
	{ PV_NORMAL_EMPTY_FOLDER, "sys", NULL, RUNTIME },
	{ PV_NORMAL_EMPTY_FOLDER, "run", NULL, RUNTIME },
	{ PV_NORMAL_EMPTY_FOLDER, "tmp", NULL, RUNTIME },
};
const size_t pv_normal_nrules = PV_COUNT(pv_normal_rules);

/* The folder, links on the way followed inside the tree; `flags` O_NOFOLLOW: itself no link. *ret_fd -1: there is none. */
static int open_folder(const char *root, const char *path, int flags, int *ret_fd, struct pv_error *err)
{
	pv_autoerror cause = PV_ERROR_INIT;

	*ret_fd = -1;
	errno = 0;
	if (pv_intree_open(root, path, O_RDONLY | O_DIRECTORY | flags, ret_fd, &cause) == 0)
		return 0;
	if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
		return 0;
	return pv_error_set(err, cause.kind, "%s", cause.text);
}

static int remove_name(int dir_fd, const char *name, const char *path, struct pv_error *err)
{
	if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno == EISDIR && unlinkat(dir_fd, name, AT_REMOVEDIR) == 0)
		return 0;
	return pv_error_errno(err, PV_ERR_STAGE, errno, "/%s in the target's tree: %s", path, name);
}

static int make_gone(const char *root, const char *path, struct pv_error *err)
{
	const char *slash = strrchr(path, '/');
	pv_autofree char *parent = pv_xstrndup(path, slash ? (size_t)(slash - path) : 0);
	const char *pattern = slash ? slash + 1 : path;
	pv_autotreedir list = PV_TREE_DIR_INIT;
	pv_autoclose int fd = -1;

	if (open_folder(root, *parent ? parent : ".", 0, &fd, err) < 0)
		return -1;
	if (fd < 0)
		return 0;
	if (pv_tree_read_dir(fd, parent, &list, err) < 0)
		return -1;
	for (size_t i = 0; i < list.n; i++)
		if (fnmatch(pattern, list.v[i].name, 0) == 0 && remove_name(fd, list.v[i].name, parent, err) < 0)
			return -1;
	return 0;
}

/* "a|b*|c": one of the patterns fits a part of the path. */
static bool is_excepted(const char *except, const char *path)
{
	pv_autofree char *patterns = pv_xstrdup(except), *parts = NULL;
	char *outer = NULL, *inner = NULL;

	for (char *p = patterns ? strtok_r(patterns, "|", &outer) : NULL; p; p = strtok_r(NULL, "|", &outer)) {
		pv_freep(&parts);
		parts = pv_xstrdup(path);
		for (char *part = strtok_r(parts, "/", &inner); part; part = strtok_r(NULL, "/", &inner))
			if (fnmatch(p, part, 0) == 0)
				return true;
	}
	return false;
}

static int remove_file(void *ctx, int dir_fd, const char *path, const struct pv_tree_entry *entry, struct pv_error *err)
{
	const struct pv_normal_rule *rule = ctx;

	if (!S_ISREG(entry->st.st_mode) || (rule->except && is_excepted(rule->except, path)))
		return 0;
	return remove_name(dir_fd, entry->name, rule->path, err);
}

static int truncate_file(const char *root, const char *path, struct pv_error *err)
{
	pv_autoerror ignored = PV_ERROR_INIT;
	pv_autoclose int fd = -1;

	if (!pv_intree_is_file(root, path) || pv_intree_open(root, path, O_WRONLY | O_NOFOLLOW, &fd, &ignored) < 0)
		return 0;
	if (ftruncate(fd, 0) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "/%s in the target's tree", path);
	return 0;
}

int pv_normalise_rule(const char *root, const struct pv_normal_rule *rule, struct pv_error *err)
{
	pv_autoclose int fd = -1;

	if (rule->action == PV_NORMAL_GONE)
		return make_gone(root, rule->path, err);
	if (rule->action == PV_NORMAL_EMPTY_FILE)
		return truncate_file(root, rule->path, err);
	if (open_folder(root, rule->path, O_NOFOLLOW, &fd, err) < 0)
		return -1;
	if (fd < 0)
		return 0;
	if (rule->action == PV_NORMAL_EMPTY_FOLDER)
		return pv_intree_empty(root, rule->path, err);
	struct pv_normal_rule copy = *rule;
	pv_autofree char *self = pv_fmt("/proc/self/fd/%d", fd);
	return pv_tree_walk(self, remove_file, &copy, err);
}

/* systemd fills an empty one at first boot; one that is missing it could not make on a root that is read-only yet. */
static int set_machine_id(const char *root, struct pv_error *err)
{
	static const char path[] = "etc/machine-id";
	pv_autoclose int fd = -1;

	if (pv_intree_write(root, path, "", 0, 0444, err) < 0 ||
	    pv_intree_open(root, path, O_RDONLY | O_NOFOLLOW, &fd, err) < 0)
		return -1;
	/* what this process makes is the caller's, not the target's root's */
	if (fchown(fd, 0, 0) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "/%s in the target's tree: its owner", path);
	return 0;
}

/* Names by hash, of certificates that the rules took away. */
static int remove_dead_links(const char *root, struct pv_error *err)
{
	static const char certs[] = "etc/ssl/certs";
	pv_autotreedir list = PV_TREE_DIR_INIT;
	pv_autoclose int fd = -1;

	if (open_folder(root, certs, 0, &fd, err) < 0)
		return -1;
	if (fd < 0)
		return 0;
	if (pv_tree_read_dir(fd, certs, &list, err) < 0)
		return -1;
	for (size_t i = 0; i < list.n; i++) {
		pv_autofree char *path = pv_path_join(certs, list.v[i].name);
		if (S_ISLNK(list.v[i].st.st_mode) && !pv_intree_is_file(root, path) &&
		    remove_name(fd, list.v[i].name, certs, err) < 0)
			return -1;
	}
	return 0;
}

int pv_normalise(const char *root, int64_t epoch, struct pv_error *err)
{
	for (size_t i = 0; i < pv_normal_nrules; i++)
		if (pv_normalise_rule(root, &pv_normal_rules[i], err) < 0)
			return -1;
	if (set_machine_id(root, err) < 0 || remove_dead_links(root, err) < 0)
		return -1;
	return pv_accounts_normalise(root, epoch, err);
}
