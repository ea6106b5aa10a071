/* SPDX-License-Identifier: Apache-2.0 */
/* Adds up the files of a tree, or of an image's file system, by folder. */
#include "folders.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "text.h"
#include "tree.h"

struct file_id {
	uint64_t device, inode;
};

struct sum {
	struct pv_folders folders;
	size_t cap;
	void *by_path;			/* tsearch tree of struct pv_folder, each its own memory */
	void *seen;			/* tsearch tree of struct file_id: files with several names */
};

static int compare_paths(const void *a, const void *b)
{
	return strcmp(((const struct pv_folder *)a)->path, ((const struct pv_folder *)b)->path);
}

static int compare_ids(const void *a, const void *b)
{
	const struct file_id *x = a, *y = b;

	if (x->device != y->device)
		return x->device < y->device ? -1 : 1;
	return (x->inode > y->inode) - (x->inode < y->inode);
}

static void add_to(struct sum *sum, const char *path, size_t len, uint64_t bytes)
{
	struct pv_folder *fresh = pv_xcalloc(1, sizeof(*fresh));

	fresh->path = pv_xstrndup(path, len);
	struct pv_folder **found = tsearch(fresh, &sum->by_path, compare_paths);
	if (found)
		(*found)->bytes += bytes;
	if (found && *found == fresh)
		return;
	free(fresh->path);
	free(fresh);
}

static int seen_before(struct sum *sum, struct file_id id)
{
	struct file_id *key = pv_xmalloc(sizeof(*key));

	*key = id;
	struct file_id **found = tsearch(key, &sum->seen, compare_ids);
	if (found && *found == key)
		return 0;
	free(key);
	return 1;
}

/* path begins with '/'. */
static void add_file(struct sum *sum, const char *path, uint64_t size, uint64_t links, struct file_id id)
{
	uint64_t bytes = (size + PV_TREE_BLOCK - 1) / PV_TREE_BLOCK * PV_TREE_BLOCK;
	unsigned depth = 0;
	const char *slash = path;

	if (bytes == 0 || (links > 1 && seen_before(sum, id)))
		return;
	add_to(sum, "/", 1, bytes);
	while (depth++ < PV_FOLDERS_DEPTH && (slash = strchr(slash + 1, '/')))
		add_to(sum, path, (size_t)(slash - path), bytes);
}

static void take(const void *node, VISIT visit, void *arg)
{
	struct pv_folder *folder = *(struct pv_folder *const *)node;
	struct sum *sum = arg;

	if ((visit != postorder && visit != leaf) || (folder->bytes < PV_FOLDERS_FROM && !pv_streq(folder->path, "/")))
		return;
	if (sum->folders.n == sum->cap) {
		sum->cap = sum->cap ? sum->cap * 2 : 32;
		sum->folders.v = pv_xreallocarray(sum->folders.v, sum->cap, sizeof(*sum->folders.v));
	}
	sum->folders.v[sum->folders.n++] = (struct pv_folder){ pv_steal(&folder->path), folder->bytes };
}

static void free_folder(void *node)
{
	struct pv_folder *folder = node;

	free(folder->path);
	free(folder);
}

/* Frees what was summed. */
static void finish(struct sum *sum, struct pv_folders *ret)
{
	if (ret) {
		twalk_r(sum->by_path, take, sum);
		*ret = sum->folders;
	}
	tdestroy(sum->by_path, free_folder);
	tdestroy(sum->seen, free);
}

static int take_entry(void *ctx, int dir_fd, const char *path, const struct pv_tree_entry *entry, struct pv_error *err)
{
	const struct stat *st = &entry->st;

	(void)dir_fd;
	(void)err;
	if (!S_ISREG(st->st_mode))
		return 0;
	pv_autofree char *absolute = pv_fmt("/%s", path);
	add_file(ctx, absolute, (uint64_t)st->st_size, st->st_nlink, (struct file_id){ st->st_dev, st->st_ino });
	return 0;
}

int pv_folders_of_tree(const char *root, struct pv_folders *ret, struct pv_error *err)
{
	struct sum sum = { .cap = 0 };
	int rc = pv_tree_walk(root, take_entry, &sum, err);

	finish(&sum, rc == 0 ? ret : NULL);
	return rc;
}

static bool take_inode(void *ctx, const char *path, const struct pv_image_stat *st)
{
	if (S_ISREG(st->mode))
		add_file(ctx, path, st->size, st->links, (struct file_id){ 0, st->inode });
	return true;
}

void pv_folders_of_image(const struct pv_image *image, struct pv_folders *ret)
{
	struct sum sum = { .cap = 0 };

	pv_image_walk(image, "/", take_inode, &sum);
	finish(&sum, ret);
}

void pv_folders_done(struct pv_folders *folders)
{
	for (size_t i = 0; i < folders->n; i++)
		free(folders->v[i].path);
	free(folders->v);
	*folders = (struct pv_folders){ .v = NULL };
}
