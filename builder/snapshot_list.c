/* SPDX-License-Identifier: Apache-2.0 */
/* What lies in trees at one moment, to tell later what has changed. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "snapshot_priv.h"
#include "text.h"
#include "tree.h"

/* File systems stamp ctimes with the tick of the kernel's clock: 10 ms at most (CONFIG_HZ=100), where they are not finer. */
#define TICK_NS 20000000

struct listing {
	struct pv_snapshot_list *list;
	const char *part;
};

static int note(void *ctx, int dir_fd, const char *path, const struct pv_tree_entry *entry, struct pv_error *err)
{
	struct listing *l = ctx;
	struct pv_snapshot_list *list = l->list;

	(void)dir_fd, (void)err;
	if (list->n == list->cap) {
		list->cap = list->cap ? list->cap * 2 : 4096;
		list->v = pv_xreallocarray(list->v, list->cap, sizeof(*list->v));
	}
	list->v[list->n++] = (struct pv_snapshot_item){
		.path = pv_fmt("%s/%s", l->part, path), .ino = entry->st.st_ino, .mode = entry->st.st_mode,
		.ctime = entry->st.st_ctim,
	};
	return 0;
}

/* A slash before all other bytes: what is in a folder stands right behind it, "dir/file" before "dir-b". */
static unsigned rank(char c)
{
	return c == '\0' ? 0 : c == '/' ? 1 : (unsigned char)c + 1u;
}

static int compare(const void *a, const void *b)
{
	const char *x = ((const struct pv_snapshot_item *)a)->path, *y = ((const struct pv_snapshot_item *)b)->path;

	while (*x && *x == *y)
		x++, y++;
	return rank(*x) < rank(*y) ? -1 : rank(*x) > rank(*y);
}

int pv_snapshot_list(const struct pv_snapshot_part *parts, size_t n, struct pv_snapshot_list **ret, struct pv_error *err)
{
	pv_autosnapshotlist *list = pv_xcalloc(1, sizeof(*list));
	const struct timespec tick = { 0, TICK_NS };

	for (size_t i = 0; i < n; i++) {
		struct listing l = { list, parts[i].name };
		if (pv_tree_walk(parts[i].path, note, &l, err) < 0)
			return -1;
	}
	if (list->n > 1)
		qsort(list->v, list->n, sizeof(*list->v), compare);
	(void)nanosleep(&tick, NULL);
	*ret = pv_steal(&list);
	return 0;
}

const struct pv_snapshot_item *pv_snapshot_find(const struct pv_snapshot_list *list, const char *path)
{
	const struct pv_snapshot_item key = { .path = (char *)(uintptr_t)path };

	return list->n ? bsearch(&key, list->v, list->n, sizeof(*list->v), compare) : NULL;
}

void pv_snapshot_list_free(struct pv_snapshot_list *list)
{
	if (!list)
		return;
	for (size_t i = 0; i < list->n; i++)
		free(list->v[i].path);
	free(list->v);
	free(list);
}

void pv_snapshot_list_freep(struct pv_snapshot_list **list)
{
	pv_snapshot_list_free(*list);
	*list = NULL;
}
