/* SPDX-License-Identifier: Apache-2.0 */
/* The accounts of a tree: its four files, and the owners of all others. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "accounts.h"
#include "fsutil.h"
#include "intree.h"
#include "tree.h"

#define FILE_MAX ((size_t)4 << 20)
#define CAPS "security.capability"
#define CAPS_MAX 64u

/* POSIX ACLs as xattrs have them: include/uapi/linux/posix_acl_xattr.h, little endian. */
#define ACL_HEADER 4u
#define ACL_ENTRY 8u
#define ACL_USER 0x02u
#define ACL_GROUP 0x08u
#define ACL_MAX 65536u

/* A number has a new one at its own place; most have none. */
struct owners {
	uint32_t uid[PV_ACCOUNTS_LAST + 1], gid[PV_ACCOUNTS_LAST + 1];
	struct stat *seen;		/* files with several names, done already */
	size_t nseen;
};

static void fill(uint32_t map[PV_ACCOUNTS_LAST + 1], const struct pv_account_list *list)
{
	for (uint32_t i = 0; i <= PV_ACCOUNTS_LAST; i++)
		map[i] = i;
	for (size_t i = 0; i < list->n; i++)
		map[list->v[i].before] = list->v[i].after;
}

static uint32_t mapped(const uint32_t map[PV_ACCOUNTS_LAST + 1], uint32_t id)
{
	return id <= PV_ACCOUNTS_LAST ? map[id] : id;
}

static bool was_seen(struct owners *o, const struct stat *st)
{
	if (st->st_nlink < 2 || S_ISDIR(st->st_mode))
		return false;
	for (size_t i = 0; i < o->nseen; i++)
		if (o->seen[i].st_dev == st->st_dev && o->seen[i].st_ino == st->st_ino)
			return true;
	o->seen = pv_xreallocarray(o->seen, o->nseen + 1, sizeof(*o->seen));
	o->seen[o->nseen++] = *st;
	return false;
}

/* chown takes set-user-id bits and capabilities away. */
static int give(int dir_fd, const char *name, const struct stat *st, uint32_t uid, uint32_t gid)
{
	pv_autoclose int fd = -1;
	char caps[CAPS_MAX];
	ssize_t ncaps = -1;

	if (S_ISREG(st->st_mode)) {
		fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0)
			return -1;
		ncaps = fgetxattr(fd, CAPS, caps, sizeof(caps));
	}
	if (fchownat(dir_fd, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	if (!S_ISLNK(st->st_mode) && (st->st_mode & (S_ISUID | S_ISGID)) && fchmodat(dir_fd, name, st->st_mode & 07777, 0) < 0)
		return -1;
	return ncaps > 0 && fsetxattr(fd, CAPS, caps, (size_t)ncaps, 0) < 0 ? -1 : 0;
}

/* Users and groups that an ACL names. */
static int renumber_acl(const struct owners *o, int fd, const char *xattr)
{
	pv_autofree uint8_t *acl = pv_xmalloc(ACL_MAX);
	ssize_t len = fgetxattr(fd, xattr, acl, ACL_MAX);
	bool changed = false;

	if (len < 0)
		return errno == ENODATA || errno == ENOTSUP ? 0 : -1;
	for (size_t at = ACL_HEADER; at + ACL_ENTRY <= (size_t)len; at += ACL_ENTRY) {
		uint8_t *id = acl + at + 4;
		uint32_t before = (uint32_t)id[0] | (uint32_t)id[1] << 8 | (uint32_t)id[2] << 16 | (uint32_t)id[3] << 24;
		uint32_t after = acl[at] == ACL_USER ? mapped(o->uid, before) : acl[at] == ACL_GROUP ? mapped(o->gid, before)
												    : before;
		changed = changed || after != before;
		for (unsigned i = 0; i < 4; i++)
			id[i] = (uint8_t)(after >> 8 * i);
	}
	return changed ? fsetxattr(fd, xattr, acl, (size_t)len, 0) : 0;
}

static int renumber_acls(const struct owners *o, int dir_fd, const char *name)
{
	static const char *const xattrs[] = { "system.posix_acl_access", "system.posix_acl_default" };
	pv_autoclose int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -1;
	for (size_t i = 0; i < PV_COUNT(xattrs); i++)
		if (renumber_acl(o, fd, xattrs[i]) < 0)
			return -1;
	return 0;
}

static int renumber(void *ctx, int dir_fd, const char *path, const struct pv_tree_entry *entry, struct pv_error *err)
{
	struct owners *o = ctx;
	const struct stat *st = &entry->st;
	uint32_t uid = mapped(o->uid, st->st_uid), gid = mapped(o->gid, st->st_gid);
	bool moves = uid != st->st_uid || gid != st->st_gid;
	/* packages have no ACLs; logs' folders may */
	bool acls = (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode)) && pv_starts(path, "var/");

	if ((!moves && !acls) || was_seen(o, st))
		return 0;
	if (acls && renumber_acls(o, dir_fd, entry->name) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "/%s in the target's tree: its ACL", path);
	if (moves && give(dir_fd, entry->name, st, uid, gid) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "/%s in the target's tree: its owner", path);
	return 0;
}

/* In place of the file's text; its mode and owner stay. */
static int rewrite(const char *root, const char *path, const char *text, struct pv_error *err)
{
	pv_autoclose int fd = -1;

	if (pv_intree_open(root, path, O_WRONLY | O_NOFOLLOW, &fd, err) < 0)
		return -1;
	if (ftruncate(fd, 0) < 0 || pv_write_all(fd, text, strlen(text)) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "/%s in the target's tree", path);
	return 0;
}

static int read_file(const char *root, const char *path, char **ret, struct pv_error *err)
{
	size_t len;

	if (!pv_intree_is_file(root, path)) {
		*ret = NULL;
		return 0;
	}
	return pv_intree_read(root, path, FILE_MAX, ret, &len, err);
}

/* gshadow has no numbers; its lines follow group's. */
static int order_gshadow(const char *root, const char *group, struct pv_error *err)
{
	pv_autofree char *gshadow = NULL, *ordered = NULL;

	if (read_file(root, "etc/gshadow", &gshadow, err) < 0)
		return -1;
	if (!gshadow)
		return 0;
	ordered = pv_accounts_ordered(gshadow, group);
	return rewrite(root, "etc/gshadow", ordered, err);
}

static int rewrite_files(const char *root, const char *passwd, const char *group, int64_t epoch, struct pv_error *err)
{
	pv_autofree char *shadow = NULL, *changed = NULL;

	if (rewrite(root, "etc/passwd", passwd, err) < 0 || rewrite(root, "etc/group", group, err) < 0 ||
	    read_file(root, "etc/shadow", &shadow, err) < 0)
		return -1;
	if (shadow)
		changed = pv_accounts_shadow(shadow, passwd, epoch);
	if (changed && rewrite(root, "etc/shadow", changed, err) < 0)
		return -1;
	return order_gshadow(root, group, err);
}

int pv_accounts_normalise(const char *root, int64_t epoch, struct pv_error *err)
{
	pv_autofree char *passwd = NULL, *group = NULL;
	pv_autofree struct owners *owners = pv_xcalloc(1, sizeof(*owners));
	pv_autoaccounts users = { NULL, 0 }, groups = { NULL, 0 };

	if (read_file(root, "etc/passwd", &passwd, err) < 0 || read_file(root, "etc/group", &group, err) < 0)
		return -1;
	if (!passwd || !group)
		return pv_error_set(err, PV_ERR_STAGE, "/etc/passwd or /etc/group is missing in the target's tree");
	pv_accounts_number(passwd, &users);
	pv_accounts_number(group, &groups);
	pv_autofree char *new_passwd = pv_accounts_rewrite(passwd, &users, &groups);
	pv_autofree char *new_group = pv_accounts_rewrite(group, &groups, NULL);
	fill(owners->uid, &users);
	fill(owners->gid, &groups);
	int rc = pv_tree_walk(root, renumber, owners, err);
	free(owners->seen);
	return rc < 0 ? -1 : rewrite_files(root, new_passwd, new_group, epoch, err);
}
