/* SPDX-License-Identifier: Apache-2.0 */
/* Takes an earlier result again: as it is, or with other contents of small files. */
#include "result_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ext4_patch.h"
#include "fsutil.h"
#include "manifest.h"
#include "proc.h"
#include "settings.h"
#include "stagekey.h"
#include "undo.h"

#define MANIFEST PV_RESULT_MANIFEST
#define STAGE PV_RESULT_STAGE
#define CHUNKS_MAX ((size_t)PV_CHUNKS_MAX * PV_SHA256_LEN)

/* --- the record --- */

void pv_result_record_name(const char *final, char ret[PV_SHA256_HEX])
{
	pv_digest_mem(final, strlen(final), ret);
}

/* Beside the record: the digests of the disk's chunks, which the disk's digest vouches for. */
static char *chunks_path(const struct pv_objects *objects, const char *final)
{
	char name[PV_SHA256_HEX];

	pv_result_record_name(final, name);
	return pv_record_beside(objects, STAGE, name, "chunks");
}

int pv_result_key(const struct pv_plan *plan, const struct pv_stagecache *cache, struct pv_cachekey *ret, struct pv_error *err)
{
	const char *configure = pv_stagecache_configure(cache);

	return pv_stagekey_image(plan, configure ? configure : "none", pv_stagecache_overlays(cache), ret, err);
}

int pv_result_read(const struct pv_objects *objects, const char *final, struct pv_record *ret, bool *ret_found,
		   struct pv_error *err)
{
	char name[PV_SHA256_HEX];

	pv_result_record_name(final, name);
	return pv_record_read(objects, STAGE, name, ret, ret_found, err);
}

int pv_result_record(const struct pv_plan *plan, const struct pv_stagecache *cache, const struct pv_result_place *place,
		     const struct pv_chunks *chunks, struct pv_error *err)
{
	const struct pv_objects *objects = pv_stagecache_objects(cache);
	pv_autofree char *disk_name = pv_fmt("%s.raw", place->name);
	pv_autofree char *disk = pv_path_join(place->final, disk_name);
	pv_autofree char *manifest = pv_path_join(place->final, MANIFEST);
	pv_autorecord record = { .stage = pv_xstrdup(STAGE), .image = pv_xstrdup(place->name) };
	char name[PV_SHA256_HEX], hex[PV_SHA256_HEX];
	struct pv_file_id id;

	if (!objects || !pv_stagecache_configure(cache) || pv_result_key(plan, cache, &record.key, err) < 0)
		return objects && pv_stagecache_configure(cache) ? -1 : 0;
	pv_chunks_digest(chunks, hex);
	if (!pv_file_id_get(disk, &id))
		return pv_error_set(err, PV_ERR_STAGE, "%s: gone", disk);
	pv_record_add(&record, disk_name, hex, &id);
	if (pv_digest_file(manifest, hex, NULL, err) < 0)
		return -1;
	if (!pv_file_id_get(manifest, &id))
		return pv_error_set(err, PV_ERR_STAGE, "%s: gone", manifest);
	pv_record_add(&record, MANIFEST, hex, &id);
	pv_result_record_name(place->final, name);
	if (pv_record_write(objects, name, &record, err) < 0)
		return -1;
	pv_autofree char *beside = chunks_path(objects, place->final);
	return pv_write_file(beside, chunks->v, chunks->n * sizeof(*chunks->v), 0644, err);
}

/* --- is the old result what the record says --- */

bool pv_result_load_chunks(const struct pv_objects *objects, const char *final, const struct pv_record_file *disk,
			   struct pv_chunks *ret)
{
	pv_autofree char *path = chunks_path(objects, final);
	pv_autofree char *data = NULL;
	char hex[PV_SHA256_HEX];
	size_t len, want = (size_t)((disk->id.size + PV_CHUNK - 1) / PV_CHUNK) * PV_SHA256_LEN;

	if (!pv_exists(path) || pv_read_file(path, CHUNKS_MAX, &data, &len, NULL) < 0 || len != want)
		return false;
	pv_digest_mem(data, len, hex);
	if (!pv_streq(hex, disk->digest))
		return false;
	ret->n = len / PV_SHA256_LEN;
	ret->size = disk->id.size;
	ret->v = (uint8_t (*)[PV_SHA256_LEN])(void *)pv_steal(&data);
	return true;
}

/* 1 it is, 0 it is not, -1 interrupted. */
static int disk_is(const struct pv_objects *objects, const struct pv_result_place *place, const struct pv_record_file *file,
		   struct pv_chunks *ret, struct pv_error *err)
{
	pv_autofree char *path = pv_path_join(place->final, file->name);
	pv_autoerror cause = PV_ERROR_INIT;
	struct pv_file_id id;
	char hex[PV_SHA256_HEX];

	if (!pv_file_id_get(path, &id))
		return 0;
	if (pv_file_id_same(&id, &file->id) && pv_result_load_chunks(objects, place->final, file, ret))
		return 1;
	if (id.size != file->id.size)
		return 0;
	if (pv_chunks_file(path, ret, &cause) < 0)
		return pv_proc_interrupted() ? pv_error_set(err, cause.kind, "%s", cause.text) : 0;
	pv_chunks_digest(ret, hex);
	return pv_streq(hex, file->digest);
}

bool pv_result_manifest_is(const char *final, const struct pv_record_file *file)
{
	pv_autofree char *path = pv_path_join(final, file->name);
	char hex[PV_SHA256_HEX];

	return pv_digest_file(path, hex, NULL, NULL) == 0 && pv_streq(hex, file->digest);
}

/* --- taking it --- */

int pv_result_copy(int in, const char *from, const char *to, struct pv_error *err)
{
	pv_autoclose int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
	struct stat st;

	if (out < 0 || fstat(in, &st) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", out < 0 ? to : from);
	if (ioctl(out, FICLONE, in) == 0)
		return 0;
	if (ftruncate(out, st.st_size) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", to);
	for (off_t at = 0, end; at < st.st_size; at = end) {
		at = lseek(in, at, SEEK_DATA);
		if (at < 0)
			return errno == ENXIO ? 0 : pv_error_errno(err, PV_ERR_STAGE, errno, "%s", from);
		end = lseek(in, at, SEEK_HOLE);
		for (off_t in_at = at, out_at = at; in_at < end; ) {
			size_t piece = end - in_at < (16 << 20) ? (size_t)(end - in_at) : 16u << 20;
			if (pv_proc_check_interrupt(err) < 0)
				return -1;
			if (copy_file_range(in, &in_at, out, &out_at, piece, 0) <= 0)
				return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", to);
		}
	}
	return 0;
}

static int copy_disk(const char *from, const char *to, struct pv_error *err)
{
	pv_autoclose int in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (in < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", from);
	return pv_result_copy(in, from, to, err);
}

/* A further name costs nothing, and nobody writes to either; where there are none, a copy. */
static int take_same(const struct pv_result_place *place, const char *name, struct pv_error *err)
{
	pv_autofree char *from = pv_path_join(place->final, name);
	pv_autofree char *to = pv_path_join(place->hidden, name);

	return link(from, to) == 0 ? 0 : copy_disk(from, to, err);
}

int pv_result_plan_patch(const struct pv_plan *plan, const struct pv_stagecache *cache, const struct pv_record *record,
			 const char *disk, struct pv_patch *ret, bool *ret_possible, struct pv_error *err)
{
	const struct pv_overlay_set *set = pv_stagecache_overlays(cache);

	*ret_possible = true;
	for (size_t i = 0; i < set->n && *ret_possible; i++) {
		pv_autocachekey now = { 0 };
		if (set->v[i].type != 'f')
			continue;
		pv_autofree char *line = pv_fmt(PV_STAGEKEY_CONTENT "%s", set->v[i].path);
		pv_stagekey_content(&set->v[i], &now);
		if (pv_streq(pv_cachekey_get(&record->key, line), now.values.v[0]))
			continue;
		if (pv_ext4_patch(disk, plan->root.start, set->v[i].path, set->v[i].data, set->v[i].len, ret, ret_possible,
				  err) < 0)
			return -1;
	}
	return 0;
}

int pv_result_patch_disk(const char *path, const struct pv_patch *patch, struct pv_chunks *chunks, struct pv_error *err)
{
	pv_autoclose int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", path);
	if (pv_patch_apply(patch, fd, path, err) < 0)
		return -1;
	for (size_t i = 0; i < patch->n; i++)
		if (pv_chunks_again(chunks, fd, path, patch->v[i].offset, patch->v[i].len, err) < 0)
			return -1;
	return 0;
}

static int take_patched(const struct pv_plan *plan, const struct pv_paths *paths, const struct pv_result_place *place,
			const char *disk_name, const struct pv_patch *patch, struct pv_chunks *chunks, struct pv_error *err)
{
	pv_autofree char *from = pv_path_join(place->final, disk_name), *to = pv_path_join(place->hidden, disk_name);
	pv_autofree char *old = pv_path_join(place->final, MANIFEST), *manifest = pv_path_join(place->hidden, MANIFEST);
	pv_autosettings settings = { 0 };
	bool moved = false;

	if (place->taken && pv_undo_take(from, place->hidden, patch, &moved, err) < 0)
		return -1;
	if (!moved && copy_disk(from, to, err) < 0)
		return -1;
	if (pv_result_patch_disk(to, patch, chunks, err) < 0 ||
	    pv_settings_of_plan(plan, paths->overlays_dir, &settings, err) < 0)
		return -1;
	return pv_manifest_with_settings(old, &settings, manifest, err);
}

int pv_result_note(const struct pv_result_place *place, const char *disk_name, const struct pv_chunks *chunks,
		   struct pv_report *report, struct pv_error *err)
{
	pv_autofree char *manifest = pv_path_join(place->hidden, MANIFEST);
	char hex[PV_SHA256_HEX];
	uint64_t size;

	pv_chunks_digest(chunks, hex);
	pv_report_disk(report, disk_name, hex, chunks->size);
	if (pv_digest_file(manifest, hex, &size, err) < 0)
		return -1;
	pv_report_artifact(report, MANIFEST, hex, size);
	return 0;
}

/* True: equal but for the contents of files of overlays. Those that configure has opened are in the key of configure. */
static bool nearly_same(const struct pv_cachekey *before, const struct pv_cachekey *now, bool *ret_same)
{
	*ret_same = true;
	if (before->names.n != now->names.n)
		return false;
	for (size_t i = 0; i < now->names.n; i++) {
		if (!pv_streq(before->names.v[i], now->names.v[i]))
			return false;
		if (pv_streq(before->values.v[i], now->values.v[i]))
			continue;
		if (!pv_starts(now->names.v[i], PV_STAGEKEY_CONTENT))
			return false;
		*ret_same = false;
	}
	return true;
}

int pv_result_give_up(const struct pv_result_place *place, const char *disk_name, const struct pv_error *cause,
		      struct pv_error *err)
{
	pv_autofree char *disk = pv_path_join(place->hidden, disk_name), *manifest = pv_path_join(place->hidden, MANIFEST);

	if (pv_proc_interrupted())
		return pv_error_set(err, cause->kind, "%s", cause->text);
	if (pv_result_recover(place, err) < 0)
		return -1;
	(void)unlink(disk);
	(void)unlink(manifest);
	return 0;
}

int pv_result_reuse(const struct pv_plan *plan, const struct pv_paths *paths, const struct pv_stagecache *cache,
		    const struct pv_result_place *place, struct pv_report *report, struct pv_chunks *chunks,
		    enum pv_result_reuse *ret, struct pv_error *err)
{
	const struct pv_objects *objects = pv_stagecache_objects(cache);
	pv_autofree char *disk_name = pv_fmt("%s.raw", place->name);
	pv_autofree char *disk = pv_path_join(place->final, disk_name);
	pv_autorecord record = { 0 };
	pv_autocachekey now = { 0 };
	pv_autochunks old = { 0 };
	pv_autopatch patch = { 0 };
	pv_autoerror cause = PV_ERROR_INIT;
	bool found = false, same, possible = true;

	*ret = PV_RESULT_NONE;
	if (!objects || !pv_stagecache_configure(cache) || pv_result_read(objects, place->final, &record, &found, NULL) < 0 ||
	    !found || record.nfiles != 2 || !pv_streq(record.files[0].name, disk_name) ||
	    !pv_streq(record.files[1].name, MANIFEST))
		return 0;
	if (pv_result_key(plan, cache, &now, err) < 0)
		return -1;
	if (!nearly_same(&record.key, &now, &same))
		return 0;
	int rc = disk_is(objects, place, &record.files[0], &old, err);
	if (rc <= 0)
		return rc;
	if (!pv_result_manifest_is(place->final, &record.files[1]))
		return 0;
	if (!same && pv_result_plan_patch(plan, cache, &record, disk, &patch, &possible, &cause) < 0)
		possible = false;
	if (!possible)
		return 0;
	if (same)
		rc = take_same(place, disk_name, &cause) < 0 || take_same(place, MANIFEST, &cause) < 0 ? -1 : 0;
	else
		rc = take_patched(plan, paths, place, disk_name, &patch, &old, &cause);
	if (rc < 0)
		return pv_result_give_up(place, disk_name, &cause, err);
	*ret = same ? PV_RESULT_SAME : PV_RESULT_PATCHED;
	*chunks = old;
	old = (struct pv_chunks){ 0 };
	return pv_result_note(place, disk_name, chunks, report, err);
}

int pv_result_recover(const struct pv_result_place *place, struct pv_error *err)
{
	pv_autofree char *disk_name = pv_fmt("%s.raw", place->name);

	return pv_undo_recover(place->hidden, place->final, disk_name, err);
}
