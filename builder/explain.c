/* SPDX-License-Identifier: Apache-2.0 */
/* Compares the keys of a plan with those of what the cache has. */
#include "explain.h"

#include <string.h>

#include "result.h"

static void add_change(struct pv_str *out, const char *name, const char *before, const char *now)
{
	pv_str_addf(out, "%s: %s -> %s\n", name, before ? before : "(none)", now ? now : "(none)");
}

static bool is_better(const struct pv_record *a, size_t distance_a, const struct pv_record *b, size_t distance_b,
		      const char *image)
{
	bool own_a = pv_streq(a->image, image), own_b = pv_streq(b->image, image);

	return distance_a != distance_b ? distance_a < distance_b : own_a && !own_b;
}

/* The record of a stage whose inputs are most alike. */
static bool nearest(const struct pv_objects *objects, const char *stage, const char *image, const struct pv_cachekey *now,
		    struct pv_record *ret)
{
	pv_autostrv names = PV_STRV_INIT;
	size_t best = 0;
	bool any = false;

	if (objects)
		pv_record_names(objects, stage, &names);
	for (size_t i = 0; i < names.n; i++) {
		pv_autorecord record = { 0 };
		bool found;
		if (pv_record_read(objects, stage, names.v[i], &record, &found, NULL) < 0 || !found)
			continue;
		size_t distance = pv_cachekey_distance(&record.key, now);
		if (any && !is_better(&record, distance, ret, best, image))
			continue;
		pv_record_done(ret);
		*ret = record;
		record = (struct pv_record){ 0 };
		best = distance;
		any = true;
	}
	return any;
}

static void explain_stage(const struct pv_plan *plan, const struct pv_stagecache *cache, const char *stage,
			  const struct pv_cachekey *key, const char *hit, struct pv_str *out)
{
	pv_autorecord record = { 0 };
	pv_autocachekey seen = { 0 };
	const char *name, *before, *now;

	pv_str_addf(out, "  %-10s ", stage);
	if (hit) {
		pv_str_add(out, "hit\n");
		return;
	}
	pv_str_add(out, "miss: ");
	if (!nearest(pv_stagecache_objects(cache), stage, plan->name, key, &record)) {
		pv_str_add(out, "the cache has none\n");
		return;
	}
	if (pv_cachekey_diff(&record.key, key, &name, &before, &now)) {
		add_change(out, name, before, now);
		return;
	}
	pv_stagecache_seen(cache, &record.seen, &seen);
	if (pv_cachekey_diff(&record.seen, &seen, &name, &before, &now))
		add_change(out, name, before, now);
	else
		pv_str_add(out, "its object is gone\n");
}

static int explain_image(const struct pv_plan *plan, const struct pv_stagecache *cache, const char *final, struct pv_str *out,
			 struct pv_error *err)
{
	pv_autorecord record = { 0 };
	pv_autocachekey key = { 0 };
	const char *name, *before, *now;
	bool found = false;

	if (pv_result_key(plan, cache, &key, err) < 0)
		return -1;
	if (pv_stagecache_objects(cache) && pv_result_read(pv_stagecache_objects(cache), final, &record, &found, err) < 0)
		return -1;
	pv_str_addf(out, "  %-10s ", "image");
	if (!found)
		pv_str_addf(out, "miss: no result known in %s\n", final);
	else if (!pv_cachekey_diff(&record.key, &key, &name, &before, &now))
		pv_str_addf(out, "hit: %s, if its files are unchanged\n", final);
	else
		pv_str_add(out, "miss: "), add_change(out, name, before, now);
	return 0;
}

int pv_explain(const struct pv_plan *plan, const struct pv_stagecache *cache, const char *final, struct pv_str *ret,
	       struct pv_error *err)
{
	explain_stage(plan, cache, "system", pv_stagecache_system_key(cache), pv_stagecache_system(cache), ret);
	explain_stage(plan, cache, "configure", pv_stagecache_configure_key(cache), pv_stagecache_configure(cache), ret);
	return explain_image(plan, cache, final, ret, err);
}
