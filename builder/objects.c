/* SPDX-License-Identifier: Apache-2.0 */
/* Records of what stages made: kept, found again, believed only when nothing has changed. */
#include "objects.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "fsutil.h"
#include "objects_priv.h"
#include "proc.h"

#define SUFFIX ".json"

void pv_file_id_of(const struct stat *st, struct pv_file_id *ret)
{
	*ret = (struct pv_file_id){
		.dev = st->st_dev, .ino = st->st_ino, .size = (uint64_t)st->st_size, .mtime_s = st->st_mtim.tv_sec,
		.mtime_ns = st->st_mtim.tv_nsec, .ctime_s = st->st_ctim.tv_sec, .ctime_ns = st->st_ctim.tv_nsec,
	};
}

bool pv_file_id_get(const char *path, struct pv_file_id *ret)
{
	struct stat st;

	if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	pv_file_id_of(&st, ret);
	return true;
}

bool pv_file_id_same(const struct pv_file_id *a, const struct pv_file_id *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size && a->mtime_s == b->mtime_s &&
	       a->mtime_ns == b->mtime_ns && a->ctime_s == b->ctime_s && a->ctime_ns == b->ctime_ns;
}

void pv_record_done(struct pv_record *record)
{
	pv_freep(&record->stage);
	pv_freep(&record->image);
	pv_cachekey_done(&record->key);
	pv_cachekey_done(&record->seen);
	for (size_t i = 0; i < record->nfiles; i++)
		free(record->files[i].name);
	pv_freep(&record->files);
	record->nfiles = 0;
}

void pv_record_add(struct pv_record *record, const char *name, const char *digest, const struct pv_file_id *id)
{
	record->files = pv_xreallocarray(record->files, record->nfiles + 1, sizeof(*record->files));
	struct pv_record_file *file = &record->files[record->nfiles++];

	*file = (struct pv_record_file){ .name = pv_xstrdup(name), .id = *id };
	memcpy(file->digest, digest, sizeof(file->digest));
}

/* Shared; while somebody collects, which is short, it waits and can be interrupted. */
static int take_lock(const char *path, int *ret_fd, struct pv_error *err)
{
	pv_autoclose int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", path);
	while (flock(fd, LOCK_SH | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", path);
		if (pv_proc_check_interrupt(err) < 0)
			return -1;
		usleep(50000);
	}
	*ret_fd = pv_steal_fd(&fd);
	return 0;
}

int pv_objects_open(const char *cache_dir, struct pv_store *store, struct pv_objects **ret, struct pv_error *err)
{
	pv_autoobjects *objects = pv_xcalloc(1, sizeof(*objects));
	pv_autofree char *lock = pv_path_join(cache_dir, PV_OBJECTS_LOCK);

	objects->lock = -1;
	objects->store = store;
	objects->dir = pv_path_join(cache_dir, PV_OBJECTS_DIR);
	if (pv_mkdirs(objects->dir, 0755, err) < 0 || take_lock(lock, &objects->lock, err) < 0)
		return -1;
	if (access(objects->dir, W_OK | X_OK) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: not writable", objects->dir);
	*ret = pv_steal(&objects);
	return 0;
}

void pv_objects_free(struct pv_objects *objects)
{
	if (!objects)
		return;
	pv_closep(&objects->lock);
	free(objects->dir);
	free(objects);
}

void pv_objects_freep(struct pv_objects **objects)
{
	pv_objects_free(*objects);
	*objects = NULL;
}

const struct pv_store *pv_objects_store(const struct pv_objects *objects)
{
	return objects->store;
}

static char *record_path(const struct pv_objects *objects, const char *stage, const char *name)
{
	return pv_fmt("%s/%s/%s" SUFFIX, objects->dir, stage, name);
}

int pv_record_read(const struct pv_objects *objects, const char *stage, const char *name, struct pv_record *ret,
		   bool *ret_found, struct pv_error *err)
{
	pv_autofree char *path = record_path(objects, stage, name);
	pv_autofree char *text = NULL;
	size_t len;

	*ret_found = false;
	if (!pv_exists(path))
		return 0;
	if (pv_read_file(path, PV_RECORD_MAX, &text, &len, err) < 0)
		return -1;
	*ret_found = pv_record_parse(text, len, ret) && pv_streq(ret->stage, stage);
	if (!*ret_found) {
		pv_record_done(ret);
		(void)unlink(path);
	}
	return 0;
}

int pv_record_write(const struct pv_objects *objects, const char *name, const struct pv_record *record,
		    struct pv_error *err)
{
	pv_autofree char *dir = pv_path_join(objects->dir, record->stage);
	pv_autofree char *path = record_path(objects, record->stage, name);
	pv_autofree char *text = pv_record_text(record);

	if (pv_mkdirs(dir, 0755, err) < 0)
		return -1;
	return pv_write_file(path, text, strlen(text), 0644, err);
}

void pv_record_used(const struct pv_objects *objects, const char *stage, const char *name)
{
	pv_autofree char *path = record_path(objects, stage, name);

	(void)utimensat(AT_FDCWD, path, NULL, AT_SYMLINK_NOFOLLOW);
}

void pv_record_drop(const struct pv_objects *objects, const char *stage, const char *name)
{
	pv_autofree char *path = record_path(objects, stage, name);

	(void)unlink(path);
}

char *pv_record_beside(const struct pv_objects *objects, const char *stage, const char *name, const char *what)
{
	return pv_fmt("%s/%s/%s.%s", objects->dir, stage, name, what);
}

static void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

void pv_record_names(const struct pv_objects *objects, const char *stage, struct pv_strv *ret)
{
	pv_autofree char *path = pv_path_join(objects->dir, stage);
	__attribute__((cleanup(closedirp))) DIR *dir = opendir(path);
	const struct dirent *de;

	while (dir && (de = readdir(dir))) {
		size_t len = strlen(de->d_name);
		if (de->d_name[0] != '.' && len > strlen(SUFFIX) && pv_ends(de->d_name, SUFFIX))
			pv_strv_take(ret, pv_xstrndup(de->d_name, len - strlen(SUFFIX)));
	}
	pv_strv_sort(ret);
}

int pv_record_adopt(const struct pv_objects *objects, struct pv_record *record, const char *tmp_path,
		    const char sha256[PV_SHA256_HEX], struct pv_error *err)
{
	pv_autofree char *path = pv_store_path(objects->store, sha256);
	struct pv_file_id id;

	if (pv_store_adopt(objects->store, tmp_path, sha256, err) < 0)
		return -1;
	if (!pv_file_id_get(path, &id))
		return pv_error_set(err, PV_ERR_STAGE, "%s: gone", path);
	pv_record_add(record, "", sha256, &id);
	return 0;
}

char *pv_record_object(const struct pv_objects *objects, const char *name, struct pv_record *record)
{
	pv_autoerror ignored = PV_ERROR_INIT;
	struct pv_file_id id;
	bool ok = false;

	if (record->nfiles != 1)
		return NULL;
	struct pv_record_file *file = &record->files[0];
	pv_autofree char *path = pv_store_path(objects->store, file->digest);
	if (pv_file_id_get(path, &id) && pv_file_id_same(&id, &file->id))
		return pv_steal(&path);
	if (pv_store_check(objects->store, file->digest, &ok, &ignored) < 0 || !ok || !pv_file_id_get(path, &id)) {
		pv_record_drop(objects, record->stage, name);
		return NULL;
	}
	file->id = id;
	if (pv_record_write(objects, name, record, &ignored) < 0)
		pv_error_clear(&ignored);	/* then it is hashed again next time */
	return pv_steal(&path);
}
