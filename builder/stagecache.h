/* SPDX-License-Identifier: Apache-2.0 */
/* Between the stages of an image and the cache: what need not run because its result is there, and keeping what was made. */
#ifndef PV_STAGECACHE_H
#define PV_STAGECACHE_H

#include <stdbool.h>

#include "error.h"
#include "log.h"
#include "objects.h"
#include "overlay_set.h"
#include "plan.h"

struct pv_cacheremote;
struct pv_run;
struct pv_stagecache;

/* Makes the keys of a plan for an image, and looks what the cache has. objects may be NULL: then it has nothing and keeps
 * nothing. plan, paths and objects are borrowed. */
int pv_stagecache_new(const struct pv_plan *plan, const struct pv_paths *paths, struct pv_objects *objects,
		      struct pv_stagecache **ret, struct pv_error *err) PV_MUST_CHECK;
void pv_stagecache_free(struct pv_stagecache *cache);	/* NULL is fine */
void pv_stagecache_freep(struct pv_stagecache **cache);
#define pv_autostagecache __attribute__((cleanup(pv_stagecache_freep))) struct pv_stagecache

/* The keys, for pvimg plan --explain, and the overlays as they are now. */
const struct pv_cachekey *pv_stagecache_system_key(const struct pv_stagecache *cache);
const struct pv_cachekey *pv_stagecache_configure_key(const struct pv_stagecache *cache);
const struct pv_overlay_set *pv_stagecache_overlays(const struct pv_stagecache *cache);
struct pv_objects *pv_stagecache_objects(const struct pv_stagecache *cache);
/* The names of the records that fit, or NULL; that of configure may fit where that of system is gone: an image in place
 * can be the right one all the same. */
const char *pv_stagecache_system(const struct pv_stagecache *cache);
const char *pv_stagecache_configure(const struct pv_stagecache *cache);

/* A cache that builders share, borrowed; NULL: none. Only system and configure go there: an image is made of configure's
 * tree in a second or two, is some hundred times as large as what configure changes, and has a name and formats of its own. */
void pv_stagecache_share(struct pv_stagecache *cache, struct pv_cacheremote *remote);
/* Brings what is missing here from there, so that it is found as if it had been made here. Whatever goes wrong is one warning
 * of the log; interruption is an error. */
int pv_stagecache_pull(struct pv_stagecache *cache, struct pv_run *run, struct pv_error *err) PV_MUST_CHECK;

/* Before the stages run: says what this build is going to make. Where another build makes just that, here or in another
 * process, waits for it and finds it. Holds a claim afterwards for the first that is missing, until it is kept or given
 * up. Never to be called with a turn in hand (turns.h). Errors: interruption alone. A NULL cache: nothing. */
int pv_stagecache_claim(struct pv_stagecache *cache, struct pv_log *log, struct pv_error *err) PV_MUST_CHECK;
void pv_stagecache_unclaim(struct pv_stagecache *cache);

/* The lines of what a record of configure has seen (`before`), as they are now. */
void pv_stagecache_seen(const struct pv_stagecache *cache, const struct pv_cachekey *before, struct pv_cachekey *ret);

/* Restores the furthest tree that the cache has. *ret_stages: how many of the image's stages (fetch, bootstrap, install,
 * configure) need not run. What cannot be restored is dropped, and the run's folders are as they were. Errors:
 * interruption, and folders that cannot be emptied. */
int pv_stagecache_restore(struct pv_stagecache *cache, struct pv_run *run, unsigned *ret_stages, struct pv_error *err)
	PV_MUST_CHECK;

/* Called by stage configure when the overlays lie in the tree and before target code runs. A NULL cache: nothing. */
void pv_stagecache_watch(struct pv_stagecache *cache, const char *root);

/* After stage install and after stage configure: keeps the tree, and pushes it where that was asked for. A failure is a
 * warning of the log; interruption is an error. A NULL cache: nothing. */
int pv_stagecache_keep_system(struct pv_stagecache *cache, struct pv_run *run, struct pv_error *err) PV_MUST_CHECK;
int pv_stagecache_keep_configure(struct pv_stagecache *cache, struct pv_run *run, struct pv_error *err) PV_MUST_CHECK;

#endif
