/* SPDX-License-Identifier: Apache-2.0 */
/* The folder that both builds lie in: locked while they run, and gone afterwards, also when a run was killed. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fsutil.h"
#include "proc.h"
#include "reproduce_priv.h"

#define PREFIX "pvimg-reproduce."
#define UNFINISHED ".unfinished"	/* in it until its run ends: what is kept on purpose has none */

static const char *parent(void)
{
	const char *tmp = getenv("TMPDIR");

	return tmp && tmp[0] == '/' ? tmp : "/var/tmp";
}

/* -1: not there, not a folder of the caller's own, or in use. */
static int lock_folder(const char *path)
{
	pv_autoclose int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_uid != geteuid() || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -1;
	return pv_steal_fd(&fd);
}

int pv_reproduce_scratch(char **ret, int *ret_lock, struct pv_error *err)
{
	pv_autofree char *path = pv_fmt("%s/" PREFIX "XXXXXX", parent());

	if (!mkdtemp(path))
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", path);
	pv_autofree char *mark = pv_path_join(path, UNFINISHED);
	pv_autoclose int lock = lock_folder(path);
	if (lock < 0 || chmod(path, 0755) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", path);
	if (pv_write_file(mark, "", 0, 0644, err) < 0)
		return -1;
	*ret = pv_steal(&path);
	*ret_lock = pv_steal_fd(&lock);
	return 0;
}

/* Trees of builds that died belong to subordinate ids; pvimg clean can remove them. Named as output folder, the cache keeps
 * it from every other one: the logs that are kept lie in one. */
static void remove_cache(const char *dir)
{
	pv_autofree char *cache = pv_path_join(dir, "cache");
	const char *const argv[] = { "/proc/self/exe", "clean", "--all", "--cache", cache, "--out", cache, NULL };
	const struct pv_proc proc = { .argv = argv, .deadline_s = 120 };
	pv_autoproc res = PV_PROC_RESULT_INIT;
	pv_autoerror left = PV_ERROR_INIT;

	if (pv_rmtree(cache, NULL) == 0)
		return;
	if (pv_proc_run(&proc, &res, &left) < 0 || pv_rmtree(cache, &left) < 0)
		pv_error_clear(&left);
}

int pv_reproduce_scratch_done(const char *scratch, bool keep, struct pv_error *err)
{
	pv_autofree char *mark = pv_path_join(scratch, UNFINISHED);
	pv_autostrv names = PV_STRV_INIT;

	if (pv_list_dir(scratch, &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		pv_autofree char *dir = pv_path_join(scratch, names.v[i]);
		if (names.v[i][0] != '.')
			remove_cache(dir);
	}
	if (!keep)
		return pv_rmtree(scratch, err);
	return unlink(mark) < 0 && errno != ENOENT ? pv_error_errno(err, PV_ERR_STAGE, errno, "%s", mark) : 0;
}

int pv_reproduce_sweep(size_t *ret_removed, struct pv_error *err)
{
	pv_autostrv names = PV_STRV_INIT;

	*ret_removed = 0;
	if (pv_list_dir(parent(), &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		if (!pv_starts(names.v[i], PREFIX))
			continue;
		pv_autofree char *path = pv_path_join(parent(), names.v[i]), *mark = pv_path_join(path, UNFINISHED);
		pv_autoclose int lock = lock_folder(path);
		if (lock < 0 || !pv_exists(mark))
			continue;
		if (pv_reproduce_scratch_done(path, false, err) < 0)
			return -1;
		(*ret_removed)++;
	}
	return 0;
}
