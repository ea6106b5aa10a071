/* SPDX-License-Identifier: Apache-2.0 */
/* Makes a flavor's disk from that of another flavor of the same tree, which lies beside it: their blocks are shared where the
 * file system knows reflinks. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk.h"
#include "fsutil.h"
#include "manifest.h"
#include "proc.h"
#include "result_priv.h"
#include "settings.h"
#include "stage.h"
#include "stagekey.h"

/* UEFI Specification 5.3: the protective MBR (its boot code, 440 bytes, is GRUB's and the same for all), the header, and 128
 * entries of 128 bytes; at the disk's end entries and header again. */
#define MBR_CODE 440u
#define ENTRIES (32u * PV_DISK_SECTOR)
#define GPT_HEAD (2u * PV_DISK_SECTOR + ENTRIES)
#define GPT_TAIL (PV_DISK_SECTOR + ENTRIES)

struct sibling {
	char *final, *disk_name;
	int fd;			/* its disk: who has it open sees it as it is now (undo.h) */
	struct pv_record record;
	struct pv_chunks chunks;
};

static void sibling_done(struct sibling *s)
{
	pv_freep(&s->final);
	pv_freep(&s->disk_name);
	pv_closep(&s->fd);
	pv_record_done(&s->record);
	pv_chunks_done(&s->chunks);
}

#define autosibling __attribute__((cleanup(sibling_done))) struct sibling

/* Lines of the key whose values the disk's GPT has, or the manifest alone; "partition:...": its number, start and size must
 * be the same, its id need not. */
static bool may_differ(const char *name, const char *a, const char *b)
{
	static const char *const own[] = { "name", "flavor", "boot-budget", "disk-id" };
	const char *id_a = strrchr(a, ' '), *id_b = strrchr(b, ' ');

	for (size_t i = 0; i < PV_COUNT(own); i++)
		if (pv_streq(name, own[i]))
			return true;
	if (pv_starts(name, PV_STAGEKEY_CONTENT))
		return true;
	return pv_starts(name, "partition:") && id_a && id_b && id_a - a == id_b - b && strncmp(a, b, (size_t)(id_a - a)) == 0;
}

static bool is_sibling(const struct pv_cachekey *a, const struct pv_cachekey *b)
{
	if (a->names.n != b->names.n)
		return false;
	for (size_t i = 0; i < a->names.n; i++)
		if (!pv_streq(a->names.v[i], b->names.v[i]) ||
		    (!pv_streq(a->values.v[i], b->values.v[i]) &&
		     !may_differ(a->names.v[i], a->values.v[i], b->values.v[i])))
			return false;
	return true;
}

/* Whether `name` in the folder is a result of the same tree and layout, whole and as it was recorded. */
static bool take(const struct pv_objects *objects, const char *folder, const char *name, const struct pv_cachekey *now,
		 struct sibling *ret)
{
	char record[PV_SHA256_HEX];
	bool found = false;
	struct stat st;
	struct pv_file_id id;

	ret->final = pv_path_join(folder, name);
	ret->disk_name = pv_fmt("%s.raw", name);
	pv_result_record_name(ret->final, record);
	if (pv_record_read(objects, PV_RESULT_STAGE, record, &ret->record, &found, NULL) < 0 || !found ||
	    ret->record.nfiles != 2 || !pv_streq(ret->record.files[0].name, ret->disk_name) ||
	    !pv_streq(ret->record.files[1].name, PV_RESULT_MANIFEST) || !is_sibling(&ret->record.key, now))
		return false;
	pv_autofree char *disk = pv_path_join(ret->final, ret->disk_name);
	ret->fd = open(disk, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (ret->fd < 0 || fstat(ret->fd, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	pv_file_id_of(&st, &id);
	return pv_file_id_same(&id, &ret->record.files[0].id) &&
	       pv_result_load_chunks(objects, ret->final, &ret->record.files[0], &ret->chunks) &&
	       pv_result_manifest_is(ret->final, &ret->record.files[1]);
}

static bool find(const struct pv_objects *objects, const struct pv_result_place *place, const struct pv_cachekey *now,
		 struct sibling *ret)
{
	pv_autofree char *folder = pv_path_dir(place->final);
	pv_autostrv names = PV_STRV_INIT;
	bool found = false;

	if (pv_list_dir(folder, &names, NULL) < 0)
		return false;
	for (size_t i = 0; i < names.n && !found; i++) {
		if (names.v[i][0] == '.' || pv_streq(names.v[i], place->name))
			continue;
		found = take(objects, folder, names.v[i], now, ret);
		if (!found) {
			sibling_done(ret);
			*ret = (struct sibling){ .fd = -1 };
		}
	}
	return found;
}

static int plan_range(int have_fd, int want_fd, const char *path, uint64_t offset, size_t len, struct pv_patch *patch,
		      struct pv_error *err)
{
	uint8_t have[GPT_HEAD], want[GPT_HEAD];

	if (pv_pread_all(have_fd, have, len, (off_t)offset) != (ssize_t)len ||
	    pv_pread_all(want_fd, want, len, (off_t)offset) != (ssize_t)len)
		return pv_error_set(err, PV_ERR_STAGE, "%s: cut short", path);
	pv_patch_add(patch, offset, have, want, len);
	return 0;
}

/* The ids of disk and partitions: from an empty disk that has them. */
static int plan_gpt(const struct pv_plan *plan, const struct pv_result_place *place, int fd, struct pv_patch *patch,
		    struct pv_error *err)
{
	pv_autofree char *path = pv_path_join(place->hidden, ".gpt");

	if (pv_stage_make_disk(plan, path, err) < 0)
		return -1;
	pv_autoclose int empty = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int rc = empty < 0 ? pv_error_errno(err, PV_ERR_STAGE, errno, "%s", path) : 0;
	if (unlink(path) < 0 && rc == 0)
		rc = pv_error_errno(err, PV_ERR_STAGE, errno, "%s", path);
	if (rc < 0 || plan_range(fd, empty, path, MBR_CODE, GPT_HEAD - MBR_CODE, patch, err) < 0)
		return -1;
	return plan_range(fd, empty, path, plan->disk_size - GPT_TAIL, GPT_TAIL, patch, err);
}

static int make(const struct pv_plan *plan, const struct pv_paths *paths, const struct pv_result_place *place,
		const char *disk_name, struct sibling *from, const struct pv_patch *patch, struct pv_error *err)
{
	pv_autofree char *to = pv_path_join(place->hidden, disk_name);
	pv_autofree char *old = pv_path_join(from->final, PV_RESULT_MANIFEST);
	pv_autofree char *manifest = pv_path_join(place->hidden, PV_RESULT_MANIFEST);
	pv_autosettings settings = { 0 };

	if (pv_result_copy(from->fd, from->disk_name, to, err) < 0 ||
	    pv_result_patch_disk(to, patch, &from->chunks, err) < 0 ||
	    pv_settings_of_plan(plan, paths->overlays_dir, &settings, err) < 0)
		return -1;
	return pv_manifest_of_sibling(old, plan, &settings, manifest, err);
}

int pv_result_of_sibling(const struct pv_plan *plan, const struct pv_paths *paths, const struct pv_stagecache *cache,
			 const struct pv_result_place *place, struct pv_report *report, struct pv_chunks *chunks,
			 char **ret_final,
			 struct pv_error *err)
{
	const struct pv_objects *objects = pv_stagecache_objects(cache);
	pv_autofree char *disk_name = pv_fmt("%s.raw", place->name);
	autosibling from = { .fd = -1 };
	pv_autocachekey now = { 0 };
	pv_autopatch patch = { 0 };
	pv_autoerror cause = PV_ERROR_INIT;
	bool possible;

	*ret_final = NULL;
	if (!objects || !pv_stagecache_configure(cache))
		return 0;
	if (pv_result_key(plan, cache, &now, err) < 0)
		return -1;
	if (!find(objects, place, &now, &from))
		return 0;
	pv_autofree char *disk = pv_fmt("/proc/self/fd/%d", from.fd);
	int rc = pv_result_plan_patch(plan, cache, &from.record, disk, &patch, &possible, &cause);
	if (rc == 0 && !possible)
		return 0;
	if (rc < 0 || plan_gpt(plan, place, from.fd, &patch, &cause) < 0 ||
	    make(plan, paths, place, disk_name, &from, &patch, &cause) < 0)
		return pv_result_give_up(place, disk_name, &cause, err);
	*chunks = from.chunks;
	from.chunks = (struct pv_chunks){ 0 };
	*ret_final = pv_steal(&from.final);
	return pv_result_note(place, disk_name, chunks, report, err);
}
