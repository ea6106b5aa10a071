/* SPDX-License-Identifier: Apache-2.0 */
/* A lock for each key of a stage that somebody makes right now. */
#include "stageclaim.h"

#include <string.h>
#include <unistd.h>

#include "fsutil.h"
#include "text.h"

static bool interrupted(const struct pv_error *cause)
{
	return cause->kind == PV_ERR_SIGINT || cause->kind == PV_ERR_SIGTERM;
}

static int take(struct pv_stageclaim *claim, const char *stage, bool wait, struct pv_log *log, const char *image,
		struct pv_error *err)
{
	pv_autofree char *folder = pv_xstrndup(claim->path, (size_t)(strrchr(claim->path, '/') - claim->path));

	if (pv_mkdirs(folder, 0755, err) < 0 || pv_lock(claim->path, false, &claim->fd, err) < 0)
		return -1;
	if (claim->fd >= 0 || !wait)
		return 0;
	pv_log_info(log, "%s: another build makes the same %s; waiting for it", image, stage);
	return pv_lock(claim->path, true, &claim->fd, err);
}

int pv_stageclaim_take(struct pv_stageclaim *claim, const struct pv_objects *objects, const char *stage, const char *key,
		       bool wait, struct pv_log *log, const char *image, struct pv_error *err)
{
	pv_autoerror cause = PV_ERROR_INIT;

	pv_stageclaim_drop(claim);
	claim->path = pv_record_beside(objects, stage, key, "lock");
	if (take(claim, stage, wait, log, image, &cause) == 0)
		return 0;
	pv_stageclaim_drop(claim);
	if (interrupted(&cause))
		return pv_error_set(err, cause.kind, "%s", cause.text);
	return 0;
}

void pv_stageclaim_drop(struct pv_stageclaim *claim)
{
	/* Under the lock: who has opened the file sees that it is gone, and makes another (pv_lock). */
	if (claim->fd >= 0)
		(void)unlink(claim->path);
	pv_closep(&claim->fd);
	pv_freep(&claim->path);
}
