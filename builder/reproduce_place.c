/* SPDX-License-Identifier: Apache-2.0 */
/* Places for the two builds: a scratch folder, a copy of the program and its data, stores with what was downloaded before. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "digest.h"
#include "fsutil.h"
#include "proc.h"
#include "reproduce_priv.h"
#include "store.h"
#include "tree.h"

#define DATA_FILE_MAX ((size_t)64 << 20)	/* the program is the largest */
#define LINK_MAX_LEN 4096u

static int make_folder(const char *path, struct pv_error *err)
{
	if (pv_mkdirs(path, 0755, err) < 0)
		return -1;
	if (chmod(path, 0755) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", path);
	return 0;
}

/* --- copies that others can read --- */

struct copying {
	const char *from, *to;
};

static int copy_file(const char *from, const char *to, mode_t mode, struct pv_error *err)
{
	pv_autofree char *data = NULL;
	size_t len;

	if (pv_read_file(from, DATA_FILE_MAX, &data, &len, err) < 0)
		return -1;
	return pv_write_file(to, data, len, mode & 0111 ? 0755 : 0644, err);
}

static int copy_entry(void *ctx, int dir_fd, const char *path, const struct pv_tree_entry *entry, struct pv_error *err)
{
	const struct copying *c = ctx;
	pv_autofree char *from = pv_path_join(c->from, path), *to = pv_path_join(c->to, path);
	char link[LINK_MAX_LEN];

	if (S_ISDIR(entry->st.st_mode))
		return make_folder(to, err);
	if (S_ISREG(entry->st.st_mode))
		return copy_file(from, to, entry->st.st_mode, err);
	ssize_t len = S_ISLNK(entry->st.st_mode) ? readlinkat(dir_fd, entry->name, link, sizeof(link) - 1) : 0;
	if (len <= 0)
		return 0;	/* what is neither is none of a recipe's */
	link[len] = '\0';
	if (symlink(link, to) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", to);
	return 0;
}

static int copy_tree(const char *from, const char *to, struct pv_error *err)
{
	struct copying copying = { from, to };

	return make_folder(to, err) < 0 ? -1 : pv_tree_walk(from, copy_entry, &copying, err);
}

/* Laid out like a source tree, so that the copied program finds its data: main.c, data_dir. */
static int copy_program(const struct pv_reproduce_request *req, struct pv_rebuild *b, struct pv_error *err)
{
	pv_autofree char *data = pv_path_join(b->dir, "copied pvimg"), *out = pv_path_join(data, "out");
	pv_autofree char *base = pv_path_join(data, "recipes/base"), *overlays = pv_path_join(data, "overlays");
	pv_autofree char *scripts = pv_path_join(data, "scripts"), *keyring = pv_path_join(data, "keyring.gpg");

	b->program = pv_path_join(out, "pvimg");
	b->recipes = pv_path_join(data, "recipes");
	if (make_folder(out, err) < 0 || copy_file("/proc/self/exe", b->program, 0755, err) < 0 ||
	    copy_tree(req->paths->recipes_dir, b->recipes, err) < 0 || make_folder(base, err) < 0 ||
	    copy_tree(req->paths->overlays_dir, overlays, err) < 0 ||
	    copy_tree(req->paths->scripts_dir, scripts, err) < 0)
		return -1;
	if (!req->keyring)
		return 0;
	if (copy_file(req->keyring, keyring, 0644, err) < 0)
		return -1;
	b->keyring = pv_steal(&keyring);
	return 0;
}

static int make_place(struct pv_rebuild *b, const char *scratch, const char *name, struct pv_error *err)
{
	b->dir = pv_path_join(scratch, name);
	b->home = pv_path_join(b->dir, "home");
	b->cache = pv_path_join(b->dir, "cache");
	b->out = pv_path_join(b->dir, "out");
	b->cwd = pv_xstrdup(b->home);
	const char *const folders[] = { b->dir, b->home, b->cache, b->out };
	for (size_t i = 0; i < PV_COUNT(folders); i++)
		if (make_folder(folders[i], err) < 0)
			return -1;
	return 0;
}

int pv_reproduce_places(const struct pv_reproduce_request *req, const char *scratch, struct pv_rebuild builds[2],
			struct pv_error *err)
{
	char self[LINK_MAX_LEN];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (len <= 0)
		return pv_error_errno(err, PV_ERR_HOST, errno, "/proc/self/exe");
	self[len] = '\0';
	if (make_place(&builds[0], scratch, "1", err) < 0 ||
	    make_place(&builds[1], scratch, "2 in \"another\" place", err) < 0)
		return -1;
	builds[0].program = pv_xstrdup(self);
	builds[0].recipes = pv_xstrdup(req->paths->recipes_dir);
	builds[0].keyring = pv_xstrdup(req->keyring);
	return copy_program(req, &builds[1], err);
}

/* --- downloads --- */

static void take_line(void *text, const char *line, size_t len)
{
	pv_str_addn(text, line, len);
	pv_str_addc(text, '\n');
}

/* This process must not enter the builder namespace itself: pvimg plan is asked. */
int pv_reproduce_plan(const struct pv_reproduce_request *req, const struct pv_rebuild *b, struct json_t **ret,
		      struct pv_error *err)
{
	pv_autostrv argv = PV_STRV_INIT;
	pv_autostr text = PV_STR_INIT;
	pv_autoproc res = PV_PROC_RESULT_INIT;

	pv_strv_add(&argv, b->program);
	pv_strv_add(&argv, "plan");
	pv_strv_add_all(&argv, req->options);
	pv_strv_add(&argv, "--json");
	pv_strv_addf(&argv, "--recipes=%s", b->recipes);
	pv_strv_addf(&argv, "--cache=%s", req->paths->cache_dir);
	if (req->keyring)
		pv_strv_addf(&argv, "--keyring=%s", req->keyring);
	pv_strv_add(&argv, "--");
	pv_strv_add(&argv, req->recipe->name);
	const struct pv_proc proc = { .argv = (const char *const *)argv.v, .on_stdout = take_line, .ctx = &text };
	if (pv_proc_run(&proc, &res, err) < 0)
		return -1;
	if (res.exit_code != 0)
		return pv_reproduce_failed(&res, err);
	*ret = json_loads(pv_str_text(&text), 0, NULL);
	return *ret ? 0 : pv_error_set(err, PV_ERR_STAGE, "pvimg plan printed no JSON");
}

static int seed_one(struct pv_store *from, struct pv_store *to, const json_t *package, struct pv_error *err)
{
	const char *sha256 = json_string_value(json_object_get(package, "sha256"));
	json_int_t size = json_integer_value(json_object_get(package, "size"));

	if (!sha256 || !pv_digest_valid(sha256) || size < 0 || !pv_store_has(from, sha256, (uint64_t)size))
		return 0;
	pv_autofree char *path = pv_store_path(from, sha256);
	return pv_store_put_file(to, path, sha256, NULL, err);
}

int pv_reproduce_seed(const struct json_t *plan, const char *from_cache, const char *to_cache, struct pv_error *err)
{
	pv_autostore *source = NULL, *target = NULL;
	const json_t *packages = json_object_get(plan, "packages");

	if (pv_store_open(from_cache, &source, err) < 0 || pv_store_open(to_cache, &target, err) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(packages); i++)
		if (pv_proc_check_interrupt(err) < 0 || seed_one(source, target, json_array_get(packages, i), err) < 0)
			return -1;
	return 0;
}

static int give(void *ctx, int dir_fd, const char *path, const struct pv_tree_entry *entry, struct pv_error *err)
{
	const struct pv_rebuild *b = ctx;

	if (fchownat(dir_fd, entry->name, b->uid, b->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", path);
	return 0;
}

int pv_reproduce_hand_over(const struct pv_rebuild *b, struct pv_error *err)
{
	struct pv_rebuild copy = *b;

	if (!b->user)
		return 0;
	if (chown(b->dir, b->uid, b->gid) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", b->dir);
	return pv_tree_walk(b->dir, give, &copy, err);
}
