/* SPDX-License-Identifier: Apache-2.0 */
/* Lays overlays over a target's tree. */
#include "overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fsutil.h"
#include "intree.h"
#include "overlay_set.h"

#define PASSWD_MAX ((size_t)4 << 20)
#define NEW_NAME ".pvimg-new"		/* beside the file, until it is renamed */

struct writer {
	const char *root;
	const struct pv_overlay_opts *opts;
	char *passwd, *group;		/* the tree's, whole; NULL until needed */
};

static void writer_done(struct writer *w)
{
	pv_freep(&w->passwd);
	pv_freep(&w->group);
}

/* The id of `name` in text of passwd(5)'s or group(5)'s form: the third field. */
/* Ids from here on are not the image's in the builder namespace (ns.h, PV_NS_IDS). */
#define ID_MAX 65535

static int find_id(const char *text, const char *name, uint64_t *ret)
{
	size_t len = strlen(name);

	for (const char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		if (strncmp(line, name, len) != 0 || line[len] != ':')
			continue;
		const char *id = line + len + 1;
		id += strcspn(id, ":\n");
		if (*id != ':')
			return -1;
		pv_autofree char *digits = pv_xstrndup(id + 1, strcspn(id + 1, ":\n"));
		return pv_parse_u64(digits, 0, ID_MAX, ret);
	}
	return -1;
}

static int resolve_id(const char *root, const char *file, char **cache, const char *name, uint64_t *ret,
		      struct pv_error *err)
{
	size_t len;

	*ret = 0;
	if (!name || pv_streq(name, "root") || pv_parse_u64(name, 0, ID_MAX, ret) == 0)
		return 0;
	if (!*cache && pv_intree_read(root, file, PASSWD_MAX, cache, &len, err) < 0)
		return -1;
	if (find_id(*cache, name, ret) < 0)
		return pv_error_set(err, PV_ERR_RECIPE, "no '%s' in the target's /%s; is its package in the recipe?", name,
				    file);
	return 0;
}

static int set_owner(struct writer *w, const struct pv_overlay_entry *e, int dir_fd, const char *name,
		     struct pv_error *err)
{
	uint64_t uid, gid;

	if (w->opts->keep_owner)
		return 0;
	if (resolve_id(w->root, "etc/passwd", &w->passwd, e->owner, &uid, err) < 0 ||
	    resolve_id(w->root, "etc/group", &w->group, e->group, &gid, err) < 0)
		return -1;
	if (fchownat(dir_fd, name, (uid_t)uid, (gid_t)gid, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "chown /%s in the target's tree", e->path);
	return 0;
}

static int open_parent(const struct writer *w, const char *path, int *ret_fd, const char **ret_name,
		       struct pv_error *err)
{
	const char *slash = strrchr(path, '/');
	pv_autofree char *parent = slash ? pv_xstrndup(path, (size_t)(slash - path)) : pv_xstrdup(".");

	*ret_name = slash ? slash + 1 : path;
	return pv_intree_open(w->root, parent, O_RDONLY | O_DIRECTORY, ret_fd, err);
}

static int set_times(const struct writer *w, int dir_fd, const char *name, const char *path, struct pv_error *err)
{
	const struct timespec times[2] = { { .tv_sec = w->opts->epoch }, { .tv_sec = w->opts->epoch } };

	if (utimensat(dir_fd, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "times of /%s in the target's tree", path);
	return 0;
}

static int write_folder(struct writer *w, const struct pv_overlay_entry *e, struct pv_error *err)
{
	pv_autoclose int parent = -1, fd = -1;
	const char *name;

	if (open_parent(w, e->path, &parent, &name, err) < 0)
		return -1;
	bool made = mkdirat(parent, name, 0755) == 0;
	if (!made && errno != EEXIST)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "mkdir /%s in the target's tree", e->path);
	/* An existing folder, or a link to one (/lib is usr/lib): as the tree has it. */
	if (pv_intree_open(w->root, e->path, O_RDONLY | O_DIRECTORY, &fd, err) < 0)
		return -1;
	bool said = e->owner || e->group;
	if ((made || said) && set_owner(w, e, fd, "", err) < 0)
		return -1;
	mode_t mode = e->mode != PV_OVERLAY_MODE_UNSAID ? e->mode : 0755;
	if ((made || e->mode != PV_OVERLAY_MODE_UNSAID) && fchmod(fd, mode) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "chmod /%s in the target's tree", e->path);
	return 0;
}

static int make_new(struct writer *w, const struct pv_overlay_entry *e, int parent, struct pv_error *err)
{
	if (e->type == 'l') {
		if (symlinkat(e->data, parent, NEW_NAME) < 0)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "link /%s in the target's tree", e->path);
		return set_owner(w, e, parent, NEW_NAME, err);
	}
	pv_autoclose int fd = openat(parent, NEW_NAME, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || pv_write_all(fd, e->data, e->len) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "write /%s in the target's tree", e->path);
	/* Owner first: a change of owner takes setuid away. */
	if (set_owner(w, e, fd, "", err) < 0)
		return -1;
	if (fchmod(fd, e->mode) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "chmod /%s in the target's tree", e->path);
	return 0;
}

static int write_other(struct writer *w, const struct pv_overlay_entry *e, struct pv_error *err)
{
	pv_autoclose int parent = -1;
	const char *name;

	if (open_parent(w, e->path, &parent, &name, err) < 0)
		return -1;
	if (unlinkat(parent, NEW_NAME, 0) < 0 && errno != ENOENT)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "/%s in the target's tree", e->path);
	if (make_new(w, e, parent, err) < 0 || set_times(w, parent, NEW_NAME, e->path, err) < 0) {
		(void)unlinkat(parent, NEW_NAME, 0);
		return -1;
	}
	if (renameat(parent, NEW_NAME, parent, name) < 0) {
		int errnum = errno;
		(void)unlinkat(parent, NEW_NAME, 0);
		return pv_error_errno(err, PV_ERR_STAGE, errnum, "put /%s into the target's tree", e->path);
	}
	return 0;
}

int pv_overlay_check(const char *overlays_dir, const struct pv_strv *names, const struct pv_vars *vars,
		     struct pv_error *err)
{
	pv_autooverlayset set = { 0 };

	return pv_overlay_set_load(overlays_dir, names, vars, &set, err);
}

int pv_overlay_apply(const char *overlays_dir, const struct pv_strv *names, const struct pv_vars *vars,
		     const char *root, const struct pv_overlay_opts *opts, struct pv_error *err)
{
	pv_autooverlayset set = { 0 };
	__attribute__((cleanup(writer_done))) struct writer w = { .root = root, .opts = opts };

	if (pv_overlay_set_load(overlays_dir, names, vars, &set, err) < 0)
		return -1;
	for (size_t i = 0; i < set.n; i++) {
		const struct pv_overlay_entry *e = &set.v[i];
		if (opts->only && !pv_strv_has(opts->only, e->path))
			continue;
		if ((e->type == 'd' ? write_folder(&w, e, err) : write_other(&w, e, err)) < 0)
			return pv_error_wrap(err, "overlay %s", e->overlay);
	}
	return 0;
}
