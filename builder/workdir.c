/* SPDX-License-Identifier: Apache-2.0 */
/* Work folders: a lock beside each tells whether its builder lives; memory where there is enough, else disk. */
#include "workdir.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fsutil.h"
#include "host.h"
#include "ns.h"
#include "text.h"

#define LOCK_SUFFIX ".lock"

enum { MIB = 1 << 20, RESERVE_MIN = 512 * MIB };

uint64_t pv_workdir_memory(void)
{
	uint64_t have, reserve;

	if (pv_host_memory(&have, NULL) < 0)
		return 0;
	reserve = have / 4 > RESERVE_MIN ? have / 4 : RESERVE_MIN;
	return have > reserve ? have - reserve : 0;
}

static bool fits_memory(uint64_t bytes)
{
	return bytes > 0 && bytes <= pv_workdir_memory();
}

static int check_disk(const char *path, uint64_t bytes, struct pv_error *err)
{
	uint64_t have;

	if (pv_free_space(path, &have, err) < 0)
		return -1;
	if (bytes <= have)
		return 0;
	pv_autofree char *want_text = pv_size_text(bytes);
	pv_autofree char *have_text = pv_size_text(have);
	return pv_error_set(err, PV_ERR_HOST, "%s: the build needs %s and there is neither that much memory nor disk "
			    "(%s free); use --cache DIR on a larger disk", path, want_text, have_text);
}

static int mount_memory(const char *path, uint64_t bytes)
{
	pv_autofree char *options = pv_fmt("size=%llu,nr_inodes=0,mode=0700", (unsigned long long)bytes);

	return mount("pvimg", path, "tmpfs", MS_NOSUID | MS_NODEV, options);
}

/* wd has its paths; makes lock and folder. */
static int make(struct pv_workdir *wd, uint64_t bytes, struct pv_error *err)
{
	if (pv_lock(wd->lock_path, false, &wd->lock_fd, err) < 0)
		return -1;
	if (wd->lock_fd < 0)
		return pv_error_set(err, PV_ERR_STAGE, "%s: held by another process", wd->lock_path);
	if (mkdir(wd->path, 0700) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot make the work folder", wd->path);
	if (fits_memory(bytes)) {
		if (mount_memory(wd->path, bytes) < 0)
			return pv_error_errno(err, PV_ERR_HOST, errno, "%s: cannot mount a tmpfs", wd->path);
		wd->in_memory = true;
		return 0;
	}
	return check_disk(wd->path, bytes, err);
}

int pv_workdir_create(const char *cache_dir, const char *name, uint64_t bytes, struct pv_workdir *ret,
		      struct pv_error *err)
{
	pv_autoworkdir wd = PV_WORKDIR_INIT;
	pv_autofree char *work = pv_path_join(cache_dir, "work");
	unsigned char random[3];

	if (bytes > 0 && !pv_ns_active())
		return pv_error_set(err, PV_ERR_HOST, "work folder: not in a builder namespace");
	if (cache_dir[0] != '/' || !*name || strchr(name, '/') || name[0] == '.' || strlen(name) > 100)
		return pv_error_set(err, PV_ERR_STAGE, "work folder: bad name %s in %s", name, cache_dir);
	if (pv_mkdirs(work, 0755, err) < 0)
		return -1;
	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return pv_error_errno(err, PV_ERR_HOST, errno, "getrandom");
	wd.path = pv_fmt("%s/%s.%d-%02x%02x%02x", work, name, (int)getpid(), random[0], random[1], random[2]);
	wd.lock_path = pv_fmt("%s" LOCK_SUFFIX, wd.path);
	if (make(&wd, bytes, err) < 0)
		return -1;
	*ret = wd;
	wd = (struct pv_workdir)PV_WORKDIR_INIT;
	return 0;
}

void pv_workdir_free(struct pv_workdir *wd)
{
	/* Only what is locked is ours. */
	if (wd->lock_fd >= 0 && wd->path) {
		if (wd->in_memory)
			(void)umount2(wd->path, MNT_DETACH);
		if (pv_rmtree(wd->path, NULL) == 0)
			(void)unlink(wd->lock_path);
	}
	pv_closep(&wd->lock_fd);
	pv_freep(&wd->path);
	pv_freep(&wd->lock_path);
	*wd = (struct pv_workdir)PV_WORKDIR_INIT;
}

/* --- what others left --- */

static void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* The names in work/, without ".lock", once each. A folder that is not there is empty. */
static int list_names(const char *work, struct pv_strv *ret, struct pv_error *err)
{
	__attribute__((cleanup(closedirp))) DIR *dir = opendir(work);
	const struct dirent *de;

	if (!dir && errno == ENOENT)
		return 0;
	if (!dir)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot read", work);
	while ((de = readdir(dir))) {
		size_t len = strlen(de->d_name);
		if (de->d_name[0] == '.')
			continue;
		if (pv_ends(de->d_name, LOCK_SUFFIX))
			len -= strlen(LOCK_SUFFIX);
		if (len > 0)
			pv_strv_take(ret, pv_xstrndup(de->d_name, len));
	}
	pv_strv_sort(ret);
	pv_strv_uniq(ret);
	return 0;
}

/* 1 when it was stale (and removed if asked for), 0 when its builder lives. */
static int sweep_one(const char *work, const char *name, bool removing, struct pv_error *err)
{
	pv_autofree char *path = pv_path_join(work, name);
	pv_autofree char *lock_path = pv_fmt("%s" LOCK_SUFFIX, path);
	pv_autoclose int lock = -1;

	if (pv_lock(lock_path, false, &lock, err) < 0)
		return -1;
	if (lock < 0)
		return 0;
	if (!removing)
		return 1;
	if (pv_rmtree(path, err) < 0)
		return -1;
	if (unlink(lock_path) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot remove", lock_path);
	return 1;
}

/* Goes over all, sweeps if `removing`, and counts. The first error is told when all are done. */
static int sweep(const char *cache_dir, bool removing, size_t *live, size_t *stale, struct pv_error *err)
{
	pv_autofree char *work = pv_path_join(cache_dir, "work");
	pv_autostrv names = PV_STRV_INIT;
	pv_autoerror first = PV_ERROR_INIT;

	*live = *stale = 0;
	if (list_names(work, &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		int rc = sweep_one(work, names.v[i], removing, first.kind == PV_OK ? &first : NULL);
		*stale += rc > 0;
		*live += rc == 0;
	}
	return first.kind == PV_OK ? 0 : pv_error_set(err, first.kind, "%s", first.text);
}

int pv_workdir_sweep(const char *cache_dir, size_t *ret_removed, struct pv_error *err)
{
	size_t live, stale;

	if (!pv_ns_active())
		return pv_error_set(err, PV_ERR_HOST, "work folder: not in a builder namespace");
	if (sweep(cache_dir, true, &live, &stale, err) < 0)
		return -1;
	if (ret_removed)
		*ret_removed = stale;
	return 0;
}

int pv_workdir_count(const char *cache_dir, size_t *ret_live, size_t *ret_stale, struct pv_error *err)
{
	size_t live, stale;

	if (sweep(cache_dir, false, &live, &stale, err) < 0)
		return -1;
	*ret_live = live;
	*ret_stale = stale;
	return 0;
}
