/* SPDX-License-Identifier: Apache-2.0 */
/* Finds, restores and keeps the trees of an image's stages. */
#include "stagecache.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cacheremote.h"
#include "fsutil.h"
#include "openwatch.h"
#include "overlay.h"
#include "proc.h"
#include "snapshot.h"
#include "stage.h"
#include "stageclaim.h"
#include "stagekey.h"

enum { STAGES_SYSTEM = 3, STAGES_CONFIGURE = 4 };

/* In what configure has seen: the digest of the tree that its changes are changes of. Two runs of one key make trees of which
 * the image is the same, but not the trees: names in /tmp, numbers of accounts. */
#define SYSTEM_OBJECT "system-object"

struct pv_stagecache {
	const struct pv_plan *plan;
	const struct pv_paths *paths;
	struct pv_objects *objects;
	struct pv_cacheremote *remote;		/* NULL: none */
	struct pv_overlay_set overlays;
	struct pv_cachekey system_key, configure_key;
	char system[PV_SHA256_HEX];		/* the record's name */
	char system_object[PV_SHA256_HEX];	/* the tree itself; "": not known */
	char configure[PV_SHA256_HEX];		/* the first half of its record's name */
	bool has_system;
	char *configured;			/* the record that fits; NULL: none */
	struct pv_strv unopened;		/* files of overlays whose contents configure never saw */
	struct pv_openwatch *watch;
	struct pv_strv watched;			/* paths of files of overlays */
	struct pv_snapshot_list *list;		/* the tree as it was before configure */
	struct pv_stageclaim system_claim, configure_claim;
};

/* --- looking --- */

static const struct pv_overlay_entry *find_entry(const struct pv_overlay_set *set, const char *path)
{
	for (size_t i = 0; i < set->n; i++)
		if (pv_streq(set->v[i].path, path))
			return &set->v[i];
	return NULL;
}

static bool was_seen(const struct pv_cachekey *seen, const char *path)
{
	pv_autofree char *line = pv_fmt(PV_STAGEKEY_CONTENT "%s", path);

	return pv_cachekey_get(seen, line);
}

void pv_stagecache_seen(const struct pv_stagecache *cache, const struct pv_cachekey *before, struct pv_cachekey *ret)
{
	const char *object = pv_cachekey_get(before, SYSTEM_OBJECT);

	/* where there is no tree of system, nothing is laid over it either */
	if (object)
		pv_cachekey_add(ret, SYSTEM_OBJECT, *cache->system_object ? cache->system_object : object);
	for (size_t i = 0; i < cache->overlays.n; i++)
		if (was_seen(before, cache->overlays.v[i].path))
			pv_stagekey_content(&cache->overlays.v[i], ret);
}

/* Whether every file that was opened has the contents that it had then, and the tree of system is the one of then. */
static bool seen_is_same(const struct pv_stagecache *cache, const struct pv_cachekey *seen)
{
	pv_autocachekey now = { 0 };
	const char *name, *before, *after;

	pv_stagecache_seen(cache, seen, &now);
	return !pv_cachekey_diff(seen, &now, &name, &before, &after);
}

/* A record whose name begins with the key's digest; its lines are compared all the same. */
static void find_configured(struct pv_stagecache *cache)
{
	pv_autostrv names = PV_STRV_INIT;
	const char *name, *before, *now;

	pv_record_names(cache->objects, "configure", &names);
	for (size_t i = 0; i < names.n && !cache->configured; i++) {
		pv_autorecord record = { 0 };
		bool found;
		if (!pv_starts(names.v[i], cache->configure) ||
		    pv_record_read(cache->objects, "configure", names.v[i], &record, &found, NULL) < 0 || !found)
			continue;
		if (pv_cachekey_diff(&record.key, &cache->configure_key, &name, &before, &now) ||
		    !seen_is_same(cache, &record.seen))
			continue;
		cache->configured = pv_xstrdup(names.v[i]);
		for (size_t k = 0; k < cache->watched.n; k++)
			if (!was_seen(&record.seen, cache->watched.v[k]))
				pv_strv_add(&cache->unopened, cache->watched.v[k]);
	}
}

static void note_object(struct pv_stagecache *cache, const struct pv_record *system)
{
	memcpy(cache->system_object, system->files[0].digest, sizeof(cache->system_object));
}

static void find_system(struct pv_stagecache *cache)
{
	pv_autorecord record = { 0 };
	const char *name, *before, *now;
	bool found;

	if (pv_record_read(cache->objects, "system", cache->system, &record, &found, NULL) == 0 && found &&
	    record.nfiles == 1 && !pv_cachekey_diff(&record.key, &cache->system_key, &name, &before, &now)) {
		cache->has_system = true;
		note_object(cache, &record);
	}
}

static int make_keys(struct pv_stagecache *cache, struct pv_error *err)
{
	const struct pv_plan *plan = cache->plan;

	if (pv_overlay_set_load(cache->paths->overlays_dir, &plan->recipe->overlays, &plan->vars, &cache->overlays, err) < 0 ||
	    pv_stagekey_system(plan, cache->paths, &cache->system_key, err) < 0)
		return -1;
	pv_cachekey_digest(&cache->system_key, cache->system);
	if (pv_stagekey_configure(plan, cache->paths, cache->system, &cache->overlays, &cache->configure_key, err) < 0)
		return -1;
	pv_cachekey_digest(&cache->configure_key, cache->configure);
	for (size_t i = 0; i < cache->overlays.n; i++)
		if (cache->overlays.v[i].type == 'f')
			pv_strv_add(&cache->watched, cache->overlays.v[i].path);
	return 0;
}

int pv_stagecache_new(const struct pv_plan *plan, const struct pv_paths *paths, struct pv_objects *objects,
		      struct pv_stagecache **ret, struct pv_error *err)
{
	pv_autostagecache *cache = pv_xcalloc(1, sizeof(*cache));

	cache->system_claim = cache->configure_claim = (struct pv_stageclaim)PV_STAGECLAIM_INIT;
	cache->plan = plan;
	cache->paths = paths;
	cache->objects = objects;
	if (make_keys(cache, err) < 0)
		return -1;
	if (objects) {
		find_system(cache);
		find_configured(cache);
	}
	*ret = pv_steal(&cache);
	return 0;
}

void pv_stagecache_free(struct pv_stagecache *cache)
{
	if (!cache)
		return;
	pv_stagecache_unclaim(cache);
	pv_overlay_set_done(&cache->overlays);
	pv_cachekey_done(&cache->system_key);
	pv_cachekey_done(&cache->configure_key);
	free(cache->configured);
	pv_strv_done(&cache->unopened);
	pv_strv_done(&cache->watched);
	pv_openwatch_free(cache->watch);
	pv_snapshot_list_free(cache->list);
	free(cache);
}

void pv_stagecache_freep(struct pv_stagecache **cache)
{
	pv_stagecache_free(*cache);
	*cache = NULL;
}

const struct pv_cachekey *pv_stagecache_system_key(const struct pv_stagecache *cache)
{
	return &cache->system_key;
}

const struct pv_cachekey *pv_stagecache_configure_key(const struct pv_stagecache *cache)
{
	return &cache->configure_key;
}

const struct pv_overlay_set *pv_stagecache_overlays(const struct pv_stagecache *cache)
{
	return &cache->overlays;
}

struct pv_objects *pv_stagecache_objects(const struct pv_stagecache *cache)
{
	return cache->objects;
}

const char *pv_stagecache_system(const struct pv_stagecache *cache)
{
	return cache->has_system ? cache->system : NULL;
}

const char *pv_stagecache_configure(const struct pv_stagecache *cache)
{
	return cache->configured;
}

/* --- who makes them --- */

int pv_stagecache_claim(struct pv_stagecache *cache, struct pv_log *log, struct pv_error *err)
{
	const char *image;

	if (!cache || !cache->objects)
		return 0;
	image = cache->plan->name;
	if (!cache->has_system) {
		if (pv_stageclaim_take(&cache->system_claim, cache->objects, "system", cache->system, true, log, image,
				       err) < 0)
			return -1;
		find_system(cache);
		if (!cache->has_system)
			return 0;
		pv_stageclaim_drop(&cache->system_claim);
		find_configured(cache);
	}
	if (cache->configured)
		return 0;
	if (pv_stageclaim_take(&cache->configure_claim, cache->objects, "configure", cache->configure, true, log, image,
			       err) < 0)
		return -1;
	find_configured(cache);
	if (cache->configured)
		pv_stageclaim_drop(&cache->configure_claim);
	return 0;
}

void pv_stagecache_unclaim(struct pv_stagecache *cache)
{
	if (!cache)
		return;
	pv_stageclaim_drop(&cache->system_claim);
	pv_stageclaim_drop(&cache->configure_claim);
}

/* Who waited for system waits for configure next. No waiting here: another build may have it and wait for this one's
 * turn. */
static int hand_on(struct pv_stagecache *cache, struct pv_log *log, struct pv_error *err)
{
	if (cache->system_claim.fd >= 0 &&
	    pv_stageclaim_take(&cache->configure_claim, cache->objects, "configure", cache->configure, false, log,
			       cache->plan->name, err) < 0)
		return -1;
	pv_stageclaim_drop(&cache->system_claim);
	return 0;
}

/* --- the trees --- */

/* The programs that stand in for others, what they held back, and what configure makes for the boot loader, lie beside the
 * root. */
struct parts {
	struct pv_snapshot_part v[4];
	char *bin, *held, *out;
};

static void parts_done(struct parts *p)
{
	free(p->bin);
	free(p->held);
	free(p->out);
}

#define autoparts __attribute__((cleanup(parts_done))) struct parts

static void parts_of(const struct pv_run *run, struct parts *ret)
{
	ret->bin = pv_path_join(run->run_dir, "bin");
	ret->held = pv_path_join(run->run_dir, "held");
	ret->out = pv_path_join(run->run_dir, "out");
	ret->v[0] = (struct pv_snapshot_part){ "root", run->root };
	ret->v[1] = (struct pv_snapshot_part){ "bin", ret->bin };
	ret->v[2] = (struct pv_snapshot_part){ "held", ret->held };
	ret->v[3] = (struct pv_snapshot_part){ "out", ret->out };
}

static bool interrupted(const struct pv_error *cause)
{
	return cause->kind == PV_ERR_SIGINT || cause->kind == PV_ERR_SIGTERM;
}

/* 1: done; 0: the cache has it no more, or it cannot be used; -1: interrupted. */
static int apply(struct pv_stagecache *cache, const struct pv_run *run, const char *stage, const char *name,
		 struct pv_error *err)
{
	pv_autorecord record = { 0 };
	pv_autoerror cause = PV_ERROR_INIT;
	autoparts parts = { .held = NULL };
	bool found;

	if (pv_record_read(cache->objects, stage, name, &record, &found, &cause) < 0 || !found)
		return 0;
	/* another build may have written the records anew since they were found */
	bool is_system = pv_streq(stage, "system");
	if (!is_system && !pv_streq(pv_cachekey_get(&record.seen, SYSTEM_OBJECT), cache->system_object))
		return 0;
	pv_autofree char *object = pv_record_object(cache->objects, name, &record);
	if (!object) {
		pv_log_warn(run->log, "cache: the %s of %s is missing or damaged; it is made anew", stage, record.image);
		return 0;
	}
	parts_of(run, &parts);
	if (pv_snapshot_apply(object, parts.v, PV_COUNT(parts.v), &cause) == 0) {
		pv_record_used(cache->objects, stage, name);
		if (is_system)
			note_object(cache, &record);
		return 1;
	}
	if (interrupted(&cause))
		return pv_error_set(err, cause.kind, "%s", cause.text);
	pv_log_warn(run->log, "cache: %s; it is made anew", cause.text);
	pv_record_drop(cache->objects, stage, name);
	return 0;
}

static int empty_folders(const struct pv_run *run, struct pv_error *err)
{
	autoparts parts = { .held = NULL };

	parts_of(run, &parts);
	for (size_t i = 0; i < PV_COUNT(parts.v); i++) {
		if (pv_rmtree(parts.v[i].path, err) < 0 || pv_mkdirs(parts.v[i].path, 0755, err) < 0)
			return -1;
		/* as build.c made them */
		if ((i == 0 && chown(parts.v[i].path, 0, 0) < 0) || chmod(parts.v[i].path, i < 2 ? 0755 : 01777) < 0)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", parts.v[i].path);
	}
	return 0;
}

/* The files whose contents configure never saw, as they are now. */
static int lay_unopened(const struct pv_stagecache *cache, const struct pv_run *run, struct pv_error *err)
{
	const struct pv_overlay_opts opts = { .epoch = cache->plan->epoch, .only = &cache->unopened };

	return pv_overlay_apply(cache->paths->overlays_dir, &cache->plan->recipe->overlays, &cache->plan->vars, run->root,
				&opts, err);
}

int pv_stagecache_restore(struct pv_stagecache *cache, struct pv_run *run, unsigned *ret_stages, struct pv_error *err)
{
	*ret_stages = 0;
	if (!cache->has_system)
		return 0;
	int rc = apply(cache, run, "system", cache->system, err);
	if (rc < 0)
		return -1;
	cache->has_system = rc > 0;
	if (!cache->has_system)
		return empty_folders(run, err);
	*ret_stages = STAGES_SYSTEM;
	if (!cache->configured)
		return 0;
	rc = apply(cache, run, "configure", cache->configured, err);
	if (rc > 0) {
		*ret_stages = STAGES_CONFIGURE;
		return lay_unopened(cache, run, err);
	}
	pv_freep(&cache->configured);
	if (rc < 0 || empty_folders(run, err) < 0)
		return -1;
	return pv_stagecache_restore(cache, run, ret_stages, err);
}

void pv_stagecache_watch(struct pv_stagecache *cache, const char *root)
{
	if (cache && cache->objects)
		cache->watch = pv_openwatch_begin(root, (const char *const *)cache->watched.v, cache->watched.n);
}

/* --- the cache that builders share --- */

void pv_stagecache_share(struct pv_stagecache *cache, struct pv_cacheremote *remote)
{
	cache->remote = remote;
}

static void copy_key(const struct pv_cachekey *from, struct pv_cachekey *to)
{
	for (size_t i = 0; i < from->names.n; i++) {
		pv_strv_add(&to->names, from->names.v[i]);
		pv_strv_add(&to->values, from->values.v[i]);
	}
}

static char *configure_name(const struct pv_stagecache *cache, const struct pv_cachekey *seen)
{
	char hex[PV_SHA256_HEX];

	pv_cachekey_digest(seen, hex);
	return pv_fmt("%s.%.16s", cache->configure, hex);
}

/* Where a stage's results are looked for. What configure saw of the overlays is known afterwards only: so one lies under all
 * files that it could see, for builders of the very same image, and the last one under the key alone. */
static void remote_tags(const struct pv_stagecache *cache, const char *stage, struct pv_strv *ret)
{
	pv_autocachekey all = { 0 };

	if (pv_streq(stage, "system")) {
		pv_strv_addf(ret, "system-%s", cache->system);
		return;
	}
	pv_cachekey_add(&all, SYSTEM_OBJECT, cache->system_object);
	for (size_t i = 0; i < cache->overlays.n; i++)
		if (cache->overlays.v[i].type == 'f')
			pv_stagekey_content(&cache->overlays.v[i], &all);
	pv_autofree char *name = configure_name(cache, &all);
	name[strcspn(name, ".")] = '-';
	pv_strv_addf(ret, "configure-%s", name);
	pv_strv_addf(ret, "configure-%s", cache->configure);
}

/* The object becomes ours, with a record as if it had been made here. */
static int take_remote(struct pv_stagecache *cache, const struct pv_cacherecord *found, struct pv_error *err)
{
	bool is_system = pv_streq(found->stage, "system");
	pv_autofree char *name = is_system ? pv_xstrdup(cache->system) : configure_name(cache, &found->seen);
	pv_autofree char *path = NULL;
	pv_autorecord record = { .stage = pv_xstrdup(found->stage), .image = pv_xstrdup(cache->plan->name) };

	copy_key(is_system ? &cache->system_key : &cache->configure_key, &record.key);
	copy_key(&found->seen, &record.seen);
	if (pv_cacheremote_pull(cache->remote, found, &path, err) < 0)
		return -1;
	int rc = pv_record_adopt(cache->objects, &record, path, found->sha256, err);
	if (rc == 0)
		rc = pv_record_write(cache->objects, name, &record, err);
	(void)unlink(path);
	return rc;
}

static int pull_stage(struct pv_stagecache *cache, const char *stage, const char *key, bool *ret_pulled, struct pv_error *err)
{
	pv_autostrv tags = PV_STRV_INIT;

	*ret_pulled = false;
	remote_tags(cache, stage, &tags);
	for (size_t i = 0; i < tags.n && !*ret_pulled; i++) {
		pv_autocacherecord found = { 0 };
		bool there;
		if (pv_cacheremote_find(cache->remote, tags.v[i], stage, key, &found, &there, err) < 0)
			return -1;
		if (!there || !seen_is_same(cache, &found.seen))
			continue;
		if (take_remote(cache, &found, err) < 0)
			return -1;
		*ret_pulled = true;
	}
	return 0;
}

/* configure's changes are worth nothing without the system below them. */
static int pull_stages(struct pv_stagecache *cache, unsigned *ret_n, struct pv_error *err)
{
	bool pulled;

	if (!cache->has_system) {
		if (pull_stage(cache, "system", cache->system, &pulled, err) < 0)
			return -1;
		*ret_n += pulled;
		find_system(cache);
	}
	if (!cache->has_system || cache->configured)
		return 0;
	if (pull_stage(cache, "configure", cache->configure, &pulled, err) < 0)
		return -1;
	*ret_n += pulled;
	find_configured(cache);
	return 0;
}

int pv_stagecache_pull(struct pv_stagecache *cache, struct pv_run *run, struct pv_error *err)
{
	pv_autoerror cause = PV_ERROR_INIT;
	unsigned n = 0;

	if (!cache->objects || !pv_cacheremote_pulls(cache->remote) || (cache->has_system && cache->configured))
		return 0;
	pv_log_stage_begin(run->log, run->plan->name, "pull");
	pv_report_stage_begin(run->report, "pull");
	int rc = pull_stages(cache, &n, &cause);
	pv_report_stage_end(run->report, rc == 0 ? "done" : "failed");
	pv_log_stage_end(run->log, rc == 0, n == 2 ? "system, configure" : n == 1 ? "one stage" : "nothing");
	if (rc == 0)
		return 0;
	if (interrupted(&cause))
		return pv_error_set(err, cause.kind, "%s", cause.text);
	pv_log_warn(run->log, "the remote cache is not used: %s", cause.text);
	return 0;
}

/* What was kept. */
static int push_stage(const struct pv_stagecache *cache, const struct pv_run *run, const struct pv_record *record,
		      struct pv_error *err)
{
	pv_autocacherecord out = { .stage = pv_xstrdup(record->stage) };
	pv_autostrv tags = PV_STRV_INIT;
	pv_autoerror cause = PV_ERROR_INIT;

	if (!pv_cacheremote_pushes(cache->remote) || record->nfiles != 1)
		return 0;
	memcpy(out.key, pv_streq(record->stage, "system") ? cache->system : cache->configure, sizeof(out.key));
	memcpy(out.sha256, record->files[0].digest, sizeof(out.sha256));
	out.size = record->files[0].id.size;
	copy_key(&record->seen, &out.seen);
	remote_tags(cache, record->stage, &tags);
	if (pv_cacheremote_push(cache->remote, &out, (const char *const *)tags.v, &cause) == 0)
		return 0;
	if (interrupted(&cause))
		return pv_error_set(err, cause.kind, "%s", cause.text);
	pv_log_warn(run->log, "the remote cache does not get this %s: %s", record->stage, cause.text);
	return 0;
}

/* --- keeping --- */

static int write_object(const struct pv_stagecache *cache, const struct pv_run *run, const struct pv_snapshot_list *since,
			struct pv_record *record, struct pv_error *err)
{
	const struct pv_store *store = pv_objects_store(cache->objects);
	uint64_t random;	/* a cache may be shared by hosts and containers, whose process ids are not */
	if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return pv_error_errno(err, PV_ERR_HOST, errno, "getrandom");
	pv_autofree char *tmp = pv_fmt("%s/put.%016llx.%s", pv_store_tmp(store), (unsigned long long)random, record->stage);
	autoparts parts = { .held = NULL };
	char hex[PV_SHA256_HEX];
	uint64_t size;

	parts_of(run, &parts);
	if (pv_snapshot_write(tmp, parts.v, PV_COUNT(parts.v), since, hex, &size, err) < 0)
		return -1;
	if (pv_record_adopt(cache->objects, record, tmp, hex, err) == 0)
		return 0;
	(void)unlink(tmp);
	return -1;
}

static int keep(const struct pv_stagecache *cache, const struct pv_run *run, const char *name, struct pv_record *record,
		const struct pv_snapshot_list *since, struct pv_error *err)
{
	pv_autoerror cause = PV_ERROR_INIT;

	if (write_object(cache, run, since, record, &cause) == 0 &&
	    pv_record_write(cache->objects, name, record, &cause) == 0)
		return push_stage(cache, run, record, err);
	if (interrupted(&cause))
		return pv_error_set(err, cause.kind, "%s", cause.text);
	pv_log_warn(run->log, "the cache does not keep this %s: %s", record->stage, cause.text);
	return 0;
}

/* The tree as configure finds it. */
static int note_tree(struct pv_stagecache *cache, const struct pv_run *run, struct pv_error *err)
{
	autoparts parts = { .held = NULL };

	parts_of(run, &parts);
	return pv_snapshot_list(parts.v, PV_COUNT(parts.v), &cache->list, err);
}

int pv_stagecache_keep_system(struct pv_stagecache *cache, struct pv_run *run, struct pv_error *err)
{
	pv_autorecord record = { 0 };

	if (!cache || !cache->objects)
		return 0;
	if (!cache->has_system) {
		record.stage = pv_xstrdup("system");
		record.image = pv_xstrdup(cache->plan->name);
		copy_key(&cache->system_key, &record.key);
		*cache->system_object = '\0';
		pv_freep(&cache->configured);	/* it went with another tree */
		if (keep(cache, run, cache->system, &record, NULL, err) < 0)
			return -1;
		if (record.nfiles == 1)
			note_object(cache, &record);
		if (hand_on(cache, run->log, err) < 0)
			return -1;
	}
	return note_tree(cache, run, err);
}

/* The tree of system and the files that were opened; their digests are the second half of the record's name. */
static void note_seen(struct pv_stagecache *cache, struct pv_cachekey *ret)
{
	pv_autofree bool *opened = pv_xcalloc(cache->watched.n + 1, sizeof(*opened));

	pv_cachekey_add(ret, SYSTEM_OBJECT, cache->system_object);
	pv_openwatch_end(cache->watch, opened);
	for (size_t i = 0; i < cache->watched.n; i++)
		if (opened[i])
			pv_stagekey_content(find_entry(&cache->overlays, cache->watched.v[i]), ret);
}

int pv_stagecache_keep_configure(struct pv_stagecache *cache, struct pv_run *run, struct pv_error *err)
{
	pv_autorecord record = { 0 };

	if (!cache || !cache->objects || !cache->watch || !cache->list || !*cache->system_object)
		return 0;
	record.stage = pv_xstrdup("configure");
	record.image = pv_xstrdup(cache->plan->name);
	copy_key(&cache->configure_key, &record.key);
	note_seen(cache, &record.seen);
	cache->configured = configure_name(cache, &record.seen);
	int rc = keep(cache, run, cache->configured, &record, cache->list, err);
	pv_stagecache_unclaim(cache);
	return rc;
}
