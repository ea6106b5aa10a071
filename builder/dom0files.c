/* SPDX-License-Identifier: Apache-2.0 */
/* Collects and writes the entries of dom0's initramfs. */
#include "dom0files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fsutil.h"
#include "intree.h"
#include "text.h"

#define SCRIPT_MAX 65536u
#define FILES_MAX 50000u

static const char *const merged[] = { "bin", "sbin", "lib", "lib64" };

/* Mount points, and what the Xen tools write to and do not make. */
static const char *const folders[] = {
	"dev", "proc", "sys", "run", "tmp", "root", "job", "var/lib/xen", "var/lib/xenstored", "var/log/xen/console",
};

static struct pv_dom0file *add(struct pv_dom0files *files, const char *name, mode_t mode)
{
	if (files->n == files->cap) {
		files->cap = files->cap ? files->cap * 2 : 256;
		files->v = pv_xreallocarray(files->v, files->cap, sizeof(*files->v));
	}
	files->v[files->n] = (struct pv_dom0file){ .name = pv_xstrdup(name), .mode = mode };
	return &files->v[files->n++];
}

static bool path_ok(const char *path)
{
	if (path[0] != '/' || strlen(path) >= 4096)
		return false;
	for (const char *p = path; *p; ) {
		size_t len = strcspn(++p, "/");
		if (len == 0 || (p[0] == '.' && (len == 1 || (len == 2 && p[1] == '.'))))
			return false;
		p += len;
	}
	return true;
}

int pv_dom0files_tree(struct pv_dom0files *files, const char *path, struct pv_error *err)
{
	if (!path_ok(path) || files->n >= FILES_MAX) {
		pv_autofree char *shown = pv_printable(path, strnlen(path, 200));
		return pv_error_set(err, PV_ERR_STAGE, "dom0: %s: no path of a file, or too many", shown);
	}
	path++;
	size_t first = strcspn(path, "/");
	bool below_usr = false;
	for (size_t i = 0; i < PV_COUNT(merged); i++)
		below_usr = below_usr || (strlen(merged[i]) == first && strncmp(path, merged[i], first) == 0);
	pv_autofree char *name = pv_fmt("%s%s", below_usr ? "usr/" : "", path);
	add(files, name, 0)->from = pv_xstrdup(path);
	return 0;
}

void pv_dom0files_text(struct pv_dom0files *files, const char *name, mode_t mode, const char *text)
{
	add(files, name, mode)->text = pv_xstrdup(text);
}

static void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

int pv_dom0files_scripts(const char *scripts_dir, struct pv_strv *ret, struct pv_error *err)
{
	__attribute__((cleanup(closedirp))) DIR *dir = opendir(scripts_dir);
	const struct dirent *de;

	if (!dir)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", scripts_dir);
	/* An editor's leavings are no scripts. */
	while ((de = readdir(dir)))
		if (de->d_name[0] != '.' && !strpbrk(de->d_name, "~#"))
			pv_strv_add(ret, de->d_name);
	pv_strv_sort(ret);
	return 0;
}

static char *script_place(const char *name)
{
	if (pv_streq(name, "init"))
		return pv_xstrdup(name);
	if (pv_streq(name, "block") || pv_streq(name, "vif-bridge"))
		return pv_fmt("etc/xen/scripts/%s", name);
	return pv_fmt("pvimg/%s", name);
}

int pv_dom0files_skeleton(struct pv_dom0files *files, const char *scripts_dir, struct pv_error *err)
{
	pv_autostrv scripts = PV_STRV_INIT;

	for (size_t i = 0; i < PV_COUNT(merged); i++) {
		pv_autofree char *target = pv_fmt("usr/%s", merged[i]);
		add(files, target, 0755);
		add(files, merged[i], 0777)->target = pv_steal(&target);
	}
	for (size_t i = 0; i < PV_COUNT(folders); i++)
		add(files, folders[i], 0755);
	add(files, "usr/bin/sh", 0777)->target = pv_xstrdup("busybox");
	add(files, "var/run", 0777)->target = pv_xstrdup("/run");
	add(files, "var/lock", 0777)->target = pv_xstrdup("/run/lock");
	/* ssh does not start for a user without a name. */
	pv_dom0files_text(files, "etc/passwd", 0644, "root:x:0:0:root:/root:/bin/sh\n");
	pv_dom0files_text(files, "etc/group", 0644, "root:x:0:\n");
	if (pv_dom0files_scripts(scripts_dir, &scripts, err) < 0)
		return -1;
	for (size_t i = 0; i < scripts.n; i++) {
		pv_autofree char *from = pv_path_join(scripts_dir, scripts.v[i]);
		pv_autofree char *place = script_place(scripts.v[i]);
		pv_autofree char *text = NULL;
		if (pv_read_file(from, SCRIPT_MAX, &text, NULL, err) < 0)
			return -1;
		pv_dom0files_text(files, place, 0755, text);
	}
	return 0;
}

/* --- writing --- */


/* Of entries with one name the first counts: ours before the tree's, and folders last. */
static int rank(const struct pv_dom0file *f)
{
	return f->text ? 0 : f->target ? 1 : f->from ? 2 : 3;
}

static int by_name(const void *a, const void *b)
{
	const struct pv_dom0file *fa = a, *fb = b;
	int order = strcmp(fa->name, fb->name);

	return order ? order : rank(fa) - rank(fb);
}

/* The folders above every entry. */
static void add_parents(struct pv_dom0files *files)
{
	pv_autostrv parents = PV_STRV_INIT;

	for (size_t i = 0; i < files->n; i++) {
		const char *name = files->v[i].name;
		for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/'))
			pv_strv_take(&parents, pv_xstrndup(name, (size_t)(slash - name)));
	}
	pv_strv_sort(&parents);
	pv_strv_uniq(&parents);
	for (size_t i = 0; i < parents.n; i++)
		add(files, parents.v[i], 0755);
}

static int write_one(const struct pv_dom0file *f, const char *root, struct pv_cpio *cpio, struct pv_error *err)
{
	pv_autoclose int fd = -1;
	struct stat st;

	if (f->target)
		return pv_cpio_link(cpio, f->name, f->target, err);
	if (f->text)
		return pv_cpio_data(cpio, f->name, f->mode, f->text, strlen(f->text), err);
	if (!f->from)
		return pv_cpio_dir(cpio, f->name, f->mode, err);
	if (pv_intree_open(root, f->from, O_RDONLY | O_NONBLOCK | O_NOCTTY, &fd, err) < 0)
		return -1;
	if (fstat(fd, &st) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", f->from);
	return pv_cpio_file(cpio, f->name, st.st_mode & 0100 ? 0755 : 0644, fd, err);
}

int pv_dom0files_write(struct pv_dom0files *files, const char *root, struct pv_cpio *cpio, struct pv_error *err)
{
	add_parents(files);
	qsort(files->v, files->n, sizeof(*files->v), by_name);
	for (size_t i = 0; i < files->n; i++) {
		if (i > 0 && pv_streq(files->v[i].name, files->v[i - 1].name))
			continue;
		if (write_one(&files->v[i], root, cpio, err) < 0)
			return -1;
	}
	return 0;
}

void pv_dom0files_done(struct pv_dom0files *files)
{
	for (size_t i = 0; i < files->n; i++) {
		free(files->v[i].name);
		free(files->v[i].from);
		free(files->v[i].text);
		free(files->v[i].target);
	}
	free(files->v);
	*files = (struct pv_dom0files){ 0 };
}
