/* SPDX-License-Identifier: Apache-2.0 */
/* Makes xen-in-qemu's dom0 when the cache has none, and hands out what is there. */
#include "dom0.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "build.h"
#include "digest.h"
#include "dom0files.h"
#include "fsutil.h"
#include "lockfile.h"
#include "objects.h"
#include "recipe.h"

#define RECIPE "xen-dom0"
#define MAKER "pvimg dom0 1"		/* to be counted up when the stages make something else of the same inputs */
#define INPUT_MAX ((size_t)1 << 20)
#define MANIFEST_MAX ((size_t)4 << 20)
#define TRIES 5				/* others may remove what was just found */

/* --- the key --- */

/* Name, length and bytes: no two sets of inputs give one stream. */
static int add_file(struct pv_digest *d, const char *name, const char *path, struct pv_error *err)
{
	pv_autofree char *text = NULL;
	size_t len;

	if (pv_read_file(path, INPUT_MAX, &text, &len, err) < 0)
		return -1;
	pv_autofree char *head = pv_fmt("%s %zu\n", name, len);
	pv_digest_add(d, head, strlen(head));
	pv_digest_add(d, text, len);
	return 0;
}

int pv_dom0_key(const struct pv_paths *paths, const struct pv_recipe *recipe, char **ret, struct pv_error *err)
{
	pv_autofree char *maker = pv_path_join(paths->scripts_dir, "target/dom0");
	pv_autofree char *dir = pv_path_join(paths->scripts_dir, "dom0");
	pv_autofree char *lock = pv_lockfile_path(recipe);
	pv_autodigest *d = pv_digest_new();
	pv_autostrv scripts = PV_STRV_INIT;
	char hex[PV_SHA256_HEX];

	pv_digest_add(d, MAKER, sizeof(MAKER));
	if (add_file(d, "recipe", recipe->path, err) < 0 || add_file(d, "maker", maker, err) < 0 ||
	    (recipe->base_path && add_file(d, "base", recipe->base_path, err) < 0) ||
	    (pv_exists(lock) && add_file(d, "lock", lock, err) < 0) ||
	    pv_dom0files_scripts(dir, &scripts, err) < 0)
		return -1;
	for (size_t i = 0; i < scripts.n; i++) {
		pv_autofree char *path = pv_path_join(dir, scripts.v[i]);
		if (add_file(d, scripts.v[i], path, err) < 0)
			return -1;
	}
	pv_digest_hex(d, hex);
	*ret = pv_xstrdup(hex);
	return 0;
}

/* --- what is there --- */

/* Which packages' versions are told, by what their names begin with. */
static const struct {
	const char *key, *package;
	bool digit;			/* a digit must follow: not linux-image-amd64, which holds nothing */
} told[] = {
	{ "xen", "xen-hypervisor-", true },
	{ "dom0_kernel", "linux-image-", true },
	{ "device_model", "qemu-system-xen", false },
};

static void take_version(struct pv_vars *versions, const char *name, const char *version)
{
	for (size_t i = 0; i < PV_COUNT(told); i++) {
		size_t len = strlen(told[i].package);
		if (strncmp(name, told[i].package, len) != 0)
			continue;
		if (told[i].digit ? name[len] >= '0' && name[len] <= '9' : name[len] == '\0')
			pv_vars_set(versions, told[i].key, version);
	}
}

static int read_versions(const char *dir, struct pv_vars *ret, struct pv_error *err)
{
	pv_autofree char *path = pv_path_join(dir, "manifest.json");
	pv_autofree char *text = NULL;
	json_error_t fault;
	json_t *package;
	size_t len, i;

	if (pv_read_file(path, MANIFEST_MAX, &text, &len, err) < 0)
		return -1;
	json_t *manifest = json_loadb(text, len, 0, &fault);
	if (!manifest)
		return pv_error_set(err, PV_ERR_STAGE, "%s: %s", path, fault.text);
	json_array_foreach(json_object_get(manifest, "packages"), i, package) {
		const char *name = json_string_value(json_object_get(package, "name"));
		const char *version = json_string_value(json_object_get(package, "version"));
		if (name && version)
			take_version(ret, name, version);
	}
	json_decref(manifest);
	return 0;
}

static bool is_whole(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0;
}

static bool is_complete(const char *dir)
{
	static const char *const files[] = { "xen.elf", "vmlinuz", "initrd", "manifest.json" };

	for (size_t i = 0; i < PV_COUNT(files); i++) {
		pv_autofree char *path = pv_path_join(dir, files[i]);
		if (!is_whole(path))
			return false;
	}
	return true;
}

/* The folder that was locked is still the one of that name. */
static bool same_folder(int fd, const char *dir)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && stat(dir, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Opens the folder under a shared lock. *ret_fd is -1 when it is not there or being removed. It appeared by a rename,
 * complete; one that is not is what a power cut left, and goes. */
static int open_there(const char *dir, int *ret_fd, struct pv_error *err)
{
	pv_autoclose int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	*ret_fd = -1;
	if (fd < 0)
		return errno == ENOENT ? 0 : pv_error_errno(err, PV_ERR_STAGE, errno, "%s", dir);
	if (flock(fd, LOCK_SH | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? 0 : pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot lock", dir);
	if (!same_folder(fd, dir))
		return 0;
	if (is_complete(dir)) {
		(void)futimens(fd, NULL);	/* used now, for who collects */
		*ret_fd = pv_steal_fd(&fd);
		return 0;
	}
	/* Who else removes it holds the lock alone, as we must. */
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 || !same_folder(fd, dir))
		return 0;
	return pv_rmtree(dir, err);
}

/* --- making it --- */

static int load_recipe(const struct pv_paths *paths, struct pv_recipe *ret, struct pv_error *err)
{
	pv_autofindings findings = { 0 };

	if (pv_recipe_load(paths->recipes_dir, RECIPE, NULL, ret, &findings, err) < 0) {
		if (findings.n > 0)
			pv_error_set(err, PV_ERR_RECIPE, "%s:%u:%u: %s", findings.v[0].file, findings.v[0].line,
				     findings.v[0].column, findings.v[0].text);
		return -1;
	}
	if (!pv_recipe_is_dom0(ret))
		return pv_error_set(err, PV_ERR_RECIPE, "%s: is no recipe of a dom0", ret->path);
	return 0;
}

static int make(const struct pv_driver_run *run, const struct pv_recipe *recipe, const char *parent, const char *key,
		struct pv_error *err)
{
	pv_autostore *store = NULL;
	pv_autofetch *fetch = NULL;
	pv_autoobjects *held = NULL;
	pv_autoerror ignored = PV_ERROR_INIT;

	if (pv_build_begin(run->paths, run->jobs, run->log, &store, &fetch, err) < 0)
		return -1;
	/* Nothing of a dom0 is kept in stages/, but nobody may collect its packages meanwhile. */
	if (pv_objects_open(run->paths->cache_dir, store, &held, &ignored) < 0)
		pv_error_clear(&ignored);
	if (run->offline)
		pv_fetch_set_offline(fetch);
	const struct pv_build_request req = {
		.recipe = recipe, .paths = run->paths, .dir = parent, .name = key, .store = store, .fetch = fetch,
		.log = run->log, .keep = true,
	};
	pv_log_info(run->log, "making the dom0 that guests are booted under; the next verify finds it in %s", parent);
	if (pv_build(&req, err) < 0)
		return pv_error_wrap(err, "dom0");
	return 0;
}

static int get(const struct pv_driver_run *run, struct pv_dom0 *d, struct pv_error *err)
{
	const struct timespec pause = { .tv_nsec = 200 * 1000 * 1000 };
	pv_autofree char *parent = pv_path_join(run->paths->cache_dir, "dom0");
	pv_autorecipe recipe = { 0 };

	if (load_recipe(run->paths, &recipe, err) < 0 || pv_dom0_key(run->paths, &recipe, &d->key, err) < 0)
		return -1;
	d->dir = pv_path_join(parent, d->key);
	for (int i = 0; d->lock_fd < 0 && i < TRIES; i++) {
		if (i > 1)
			nanosleep(&pause, NULL);
		if (open_there(d->dir, &d->lock_fd, err) < 0)
			return -1;
		if (d->lock_fd < 0 && make(run, &recipe, parent, d->key, err) < 0)
			return -1;
	}
	if (d->lock_fd < 0)
		return pv_error_set(err, PV_ERR_STAGE, "%s: others remove it as often as it is made", d->dir);
	d->xen = pv_path_join(d->dir, "xen.elf");
	d->kernel = pv_path_join(d->dir, "vmlinuz");
	d->initrd = pv_path_join(d->dir, "initrd");
	return read_versions(d->dir, &d->versions, err);
}

int pv_dom0_get(const struct pv_driver_run *run, struct pv_dom0 *ret, struct pv_error *err)
{
	pv_autodom0 d = PV_DOM0_INIT;

	if (get(run, &d, err) < 0)
		return -1;
	*ret = d;
	d = (struct pv_dom0)PV_DOM0_INIT;
	return 0;
}

void pv_dom0_done(struct pv_dom0 *d)
{
	if (d->dir)
		pv_closep(&d->lock_fd);
	pv_freep(&d->dir);
	pv_freep(&d->xen);
	pv_freep(&d->kernel);
	pv_freep(&d->initrd);
	pv_freep(&d->key);
	pv_vars_done(&d->versions);
	*d = (struct pv_dom0)PV_DOM0_INIT;
}
