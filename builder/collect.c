/* SPDX-License-Identifier: Apache-2.0 */
/* Measures, verifies and collects the cache. */
#include "collect.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fsutil.h"
#include "objects_priv.h"
#include "proc.h"
#include "text.h"

enum kind { PACKAGE, TREE, RESULT, DOM0 };

/* What is removed together. */
struct item {
	enum kind kind;
	char *record, *object;		/* either may be NULL */
	char *digest;			/* of an object in the store; NULL: it is none */
	char *folder;			/* of a dom0; NULL: it is none */
	uint64_t bytes;
	int64_t used;
};

struct items {
	struct item *v;
	size_t n, cap;
};

static void items_done(struct items *items)
{
	for (size_t i = 0; i < items->n; i++) {
		free(items->v[i].record);
		free(items->v[i].object);
		free(items->v[i].digest);
		free(items->v[i].folder);
	}
	free(items->v);
}
#define autoitems __attribute__((cleanup(items_done))) struct items

static struct item *add(struct items *items, enum kind kind)
{
	if (items->n == items->cap) {
		items->cap = items->cap ? items->cap * 2 : 256;
		items->v = pv_xreallocarray(items->v, items->cap, sizeof(*items->v));
	}
	struct item *item = &items->v[items->n++];
	*item = (struct item){ .kind = kind };
	return item;
}

/* Hidden ones are being made, or were when somebody was killed. */
static int list(const char *path, struct pv_strv *ret, struct pv_error *err)
{
	pv_autostrv names = PV_STRV_INIT;

	if (pv_list_dir(path, &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.n; i++)
		if (names.v[i][0] != '.')
			pv_strv_add(ret, names.v[i]);
	return 0;
}

static void count_file(const char *path, struct item *item, bool read_counts)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return;
	item->bytes += (uint64_t)st.st_blocks * 512;
	if (st.st_mtim.tv_sec > item->used)
		item->used = st.st_mtim.tv_sec;
	if (read_counts && st.st_atim.tv_sec > item->used)
		item->used = st.st_atim.tv_sec;
}

static char *object_path(const char *cache_dir, const char *digest)
{
	return pv_fmt("%s/store/sha256/%.2s/%s", cache_dir, digest, digest);
}

#define RECORD ".json"
#define CHUNKS ".chunks"

/* A result is a record with its chunks' digests beside it (result.c). */
static void add_result(const char *cache_dir, const struct pv_strv *names, const char *name, struct items *items)
{
	bool is_record = pv_ends(name, RECORD);
	pv_autofree char *stem = pv_xstrndup(name, strcspn(name, "."));
	pv_autofree char *record = pv_fmt("%s" RECORD, stem), *chunks = pv_fmt("%s" CHUNKS, stem);

	if (!is_record && pv_streq(name, chunks) && pv_strv_has(names, record))
		return;		/* goes with its record */
	struct item *item = add(items, RESULT);
	struct item beside = { .used = 0 };
	item->record = pv_fmt("%s/" PV_OBJECTS_DIR "/image/%s", cache_dir, name);
	count_file(item->record, item, false);
	if (!is_record)
		return;
	item->object = pv_fmt("%s/" PV_OBJECTS_DIR "/image/%s", cache_dir, chunks);
	count_file(item->object, &beside, false);
	item->bytes += beside.bytes;
}

static void add_record(const char *cache_dir, const char *stage, const char *name, struct items *items)
{
	pv_autofree char *path = pv_fmt("%s/" PV_OBJECTS_DIR "/%s/%s", cache_dir, stage, name);
	pv_autofree char *text = NULL;
	pv_autorecord record = { 0 };
	size_t len;
	struct item *item = add(items, TREE);

	count_file(path, item, false);
	item->record = pv_steal(&path);
	if (!pv_ends(name, RECORD) || pv_read_file(item->record, PV_RECORD_MAX, &text, &len, NULL) < 0 ||
	    !pv_record_parse(text, len, &record) || record.nfiles != 1)
		return;
	item->digest = pv_xstrdup(record.files[0].digest);
	item->object = object_path(cache_dir, item->digest);
	struct item ignored = { .used = 0 };	/* the record alone says when it was of use */
	count_file(item->object, &ignored, false);
	item->bytes += ignored.bytes;
}

static bool is_of_record(const struct items *items, size_t n, const char *digest)
{
	for (size_t i = 0; i < n; i++)
		if (pv_streq(items->v[i].digest, digest))
			return true;
	return false;
}

/* What a verification made and saved; whoever takes one touches its folder (dom0.h). */
static int find_dom0s(const char *cache_dir, struct items *ret, struct pv_error *err)
{
	pv_autofree char *dir = pv_path_join(cache_dir, "dom0");
	pv_autostrv names = PV_STRV_INIT;

	if (list(dir, &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		pv_autofree char *folder = pv_path_join(dir, names.v[i]);
		pv_autostrv files = PV_STRV_INIT;
		struct item *item = add(ret, DOM0), inside = { .used = 0 };

		if (pv_list_dir(folder, &files, err) < 0)
			return -1;
		for (size_t k = 0; k < files.n; k++) {
			pv_autofree char *file = pv_path_join(folder, files.v[k]);

			count_file(file, &inside, false);
		}
		count_file(folder, item, false);
		item->bytes += inside.bytes;
		item->folder = pv_steal(&folder);
	}
	return 0;
}

static const char *const stages[] = { "system", "configure", "image" };

static int find_items(const char *cache_dir, struct items *ret, struct pv_error *err)
{
	pv_autofree char *objects = pv_path_join(cache_dir, "store/sha256");
	pv_autostrv folders = PV_STRV_INIT;

	for (size_t i = 0; i < PV_COUNT(stages); i++) {
		pv_autofree char *dir = pv_fmt("%s/" PV_OBJECTS_DIR "/%s", cache_dir, stages[i]);
		pv_autostrv names = PV_STRV_INIT;
		if (list(dir, &names, err) < 0)
			return -1;
		for (size_t k = 0; k < names.n; k++)
			if (pv_streq(stages[i], "image"))
				add_result(cache_dir, &names, names.v[k], ret);
			else
				add_record(cache_dir, stages[i], names.v[k], ret);
	}
	if (find_dom0s(cache_dir, ret, err) < 0)
		return -1;
	size_t nrecords = ret->n;
	if (list(objects, &folders, err) < 0)
		return -1;
	for (size_t i = 0; i < folders.n; i++) {
		pv_autofree char *dir = pv_path_join(objects, folders.v[i]);
		pv_autostrv names = PV_STRV_INIT;
		if (list(dir, &names, err) < 0)
			return -1;
		for (size_t k = 0; k < names.n; k++) {
			if (!pv_digest_valid(names.v[k]) || is_of_record(ret, nrecords, names.v[k]))
				continue;
			struct item *item = add(ret, PACKAGE);
			item->digest = pv_xstrdup(names.v[k]);
			item->object = object_path(cache_dir, names.v[k]);
			count_file(item->object, item, true);
		}
	}
	return 0;
}

static void count(const struct item *item, struct pv_cache_part *part)
{
	part->n++;
	part->bytes += item->bytes;
}

int pv_cache_measure(const char *cache_dir, struct pv_cache_size *ret, struct pv_error *err)
{
	autoitems items = { .n = 0 };

	*ret = (struct pv_cache_size){ 0 };
	if (find_items(cache_dir, &items, err) < 0)
		return -1;
	for (size_t i = 0; i < items.n; i++)
		count(&items.v[i], items.v[i].kind == PACKAGE ? &ret->packages :
				   items.v[i].kind == TREE ? &ret->trees :
				   items.v[i].kind == DOM0 ? &ret->dom0s : &ret->results);
	return 0;
}

static int by_use(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	return (x->used > y->used) - (x->used < y->used);
}

int pv_cache_remove_dom0(const char *folder, bool *ret_busy, struct pv_error *err)
{
	pv_autoclose int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	*ret_busy = false;
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : pv_error_errno(err, PV_ERR_STAGE, errno, "%s", folder);
	*ret_busy = flock(fd, LOCK_EX | LOCK_NB) < 0;
	return *ret_busy ? 0 : pv_rmtree(folder, err);
}

/* Record first: an object without one is only space, a record without an object a lie. */
static int remove_item(const struct item *item, struct pv_error *err)
{
	const char *const paths[] = { item->record, item->object };

	for (size_t i = 0; i < PV_COUNT(paths); i++)
		if (paths[i] && unlink(paths[i]) < 0 && errno != ENOENT)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot remove", paths[i]);
	return 0;
}

/* How the cache is locked. -1 in *ret_fd: others use it. */
static int lock(const char *cache_dir, int how, int *ret_fd, struct pv_error *err)
{
	pv_autofree char *path = pv_path_join(cache_dir, PV_OBJECTS_LOCK);
	pv_autoclose int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	*ret_fd = -1;
	if (fd < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", path);
	if (flock(fd, how | LOCK_NB) == 0)
		*ret_fd = pv_steal_fd(&fd);
	else if (errno != EWOULDBLOCK)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", path);
	return 0;
}

/* What a killed build was writing. To be called under the exclusive lock, when nobody writes. */
static int remove_begun(const char *cache_dir, struct pv_error *err)
{
	for (size_t i = 0; i < PV_COUNT(stages); i++) {
		pv_autofree char *dir = pv_fmt("%s/" PV_OBJECTS_DIR "/%s", cache_dir, stages[i]);
		pv_autostrv names = PV_STRV_INIT;
		if (pv_list_dir(dir, &names, err) < 0)
			return -1;
		for (size_t k = 0; k < names.n; k++) {
			pv_autofree char *path = pv_path_join(dir, names.v[k]);
			if (names.v[k][0] == '.' && unlink(path) < 0 && errno != ENOENT)
				return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot remove", path);
		}
	}
	return 0;
}

int pv_cache_collect(const char *cache_dir, uint64_t limit, bool *ret_busy, struct pv_cache_part *ret_freed,
		     struct pv_error *err)
{
	autoitems items = { .n = 0 };
	pv_autoclose int fd = -1;
	uint64_t total = 0;

	*ret_busy = false;
	*ret_freed = (struct pv_cache_part){ 0 };
	if (!pv_exists(cache_dir))
		return 0;
	if (lock(cache_dir, LOCK_EX, &fd, err) < 0)
		return -1;
	*ret_busy = fd < 0;
	if (*ret_busy)
		return 0;
	if (remove_begun(cache_dir, err) < 0 || find_items(cache_dir, &items, err) < 0)
		return -1;
	for (size_t i = 0; i < items.n; i++)
		total += items.v[i].bytes;
	if (items.n > 1)
		qsort(items.v, items.n, sizeof(*items.v), by_use);
	for (size_t i = 0; i < items.n && total > limit; i++) {
		bool busy = false;

		int rc = items.v[i].folder ? pv_cache_remove_dom0(items.v[i].folder, &busy, err) :
					     remove_item(&items.v[i], err);

		if (rc < 0)
			return -1;
		if (busy)
			continue;
		total -= items.v[i].bytes;
		count(&items.v[i], ret_freed);
	}
	return 0;
}

static int verify_item(const struct item *item, bool *ret_ok, struct pv_error *err)
{
	char hex[PV_SHA256_HEX];

	*ret_ok = false;
	if (pv_exists(item->object)) {
		if (pv_digest_file(item->object, hex, NULL, err) < 0)
			return -1;
		*ret_ok = pv_streq(hex, item->digest);
	}
	return *ret_ok ? 0 : remove_item(item, err);
}

int pv_cache_verify(const char *cache_dir, struct pv_cache_part *ret_good, size_t *ret_bad, struct pv_error *err)
{
	autoitems items = { .n = 0 };
	pv_autoclose int fd = -1;

	*ret_good = (struct pv_cache_part){ 0 };
	*ret_bad = 0;
	if (!pv_exists(cache_dir))
		return 0;
	if (lock(cache_dir, LOCK_SH, &fd, err) < 0)
		return -1;
	if (fd < 0)
		return pv_error_set(err, PV_ERR_STAGE, "%s: is being made smaller; try again after it", cache_dir);
	if (find_items(cache_dir, &items, err) < 0)
		return -1;
	for (size_t i = 0; i < items.n; i++) {
		bool ok;
		if (!items.v[i].digest)
			continue;
		if (verify_item(&items.v[i], &ok, err) < 0)
			return -1;
		if (ok)
			count(&items.v[i], ret_good);
		else
			(*ret_bad)++;
	}
	return 0;
}
