/* SPDX-License-Identifier: Apache-2.0 */
/* Stage fetch: every planned .deb into the store, and a local archive of them for debootstrap and apt. */
#include <string.h>

#include "aptree.h"
#include "stage.h"

struct debs {
	struct pv_fetch_item *items;
	struct pv_aptree_deb *debs;
	size_t n;
};

static void add_packages(struct debs *list, const struct pv_package *packages, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct pv_package *p = &packages[i];
		struct pv_fetch_item *item = &list->items[list->n];
		item->base_url = p->base_url;
		item->path = p->filename;
		item->size = p->size;
		memcpy(item->sha256, p->sha256, sizeof(item->sha256));
		list->debs[list->n++] = (struct pv_aptree_deb){ p->filename, p->sha256, p->size };
	}
}

static void show_progress(void *ctx, uint64_t done_bytes, uint64_t total_bytes, size_t done_items)
{
	struct pv_run *run = ctx;

	(void)done_items;
	pv_log_stage_progress(run->log, done_bytes, total_bytes, "bytes");
}

static int lay_out_archive(struct pv_run *run, const struct debs *list, struct pv_error *err)
{
	return pv_aptree_archive(run->archive_dir, run->plan->arch, run->indexes, run->nindexes,
				 list->debs, list->n, run->store, err);
}

int pv_stage_fetch(struct pv_run *run, struct pv_error *err)
{
	const struct pv_plan *plan = run->plan;
	size_t n = plan->npackages + plan->nbase;
	pv_autofree struct pv_fetch_item *items = pv_xcalloc(n, sizeof(*items));
	pv_autofree struct pv_aptree_deb *debs = pv_xcalloc(n, sizeof(*debs));
	struct debs list = { items, debs, 0 };

	add_packages(&list, plan->packages, plan->npackages);
	add_packages(&list, plan->base, plan->nbase);
	if (pv_fetch_all(run->fetch, list.items, list.n, show_progress, run, err) < 0)
		return -1;
	return lay_out_archive(run, &list, err);
}
