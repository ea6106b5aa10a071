/* SPDX-License-Identifier: Apache-2.0 */
/* Records and the cache as a whole: read back, believed only when unchanged, verified, collected by last use. */
#include "check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collect.h"
#include "fsutil.h"
#include "objects.h"
#include "text.h"

struct fixture {
	char dir[64];
	struct pv_store *store;
	struct pv_objects *objects;
};

static int enter(void **state)
{
	struct fixture *f = pv_xcalloc(1, sizeof(*f));

	strcpy(f->dir, "/tmp/pvimg-test-collect.XXXXXX");
	*state = f;
	return mkdtemp(f->dir) && pv_store_open(f->dir, &f->store, NULL) == 0 &&
	       pv_objects_open(f->dir, f->store, &f->objects, NULL) == 0 ? 0 : -1;
}

static int leave(void **state)
{
	struct fixture *f = *state;
	int rc = pv_rmtree(f->dir, NULL);

	pv_objects_free(f->objects);
	pv_store_free(f->store);
	free(f);
	return rc;
}

/* A record NAME of stage system with an object of these words; last used at `used`. */
static char *keep(const struct fixture *f, const char *name, const char *words, time_t used)
{
	pv_autorecord record = { .stage = pv_xstrdup("system"), .image = pv_xstrdup("test") };
	pv_autofree char *tmp = pv_fmt("%s/put", pv_store_tmp(f->store));
	pv_autofree char *path = pv_fmt("%s/stages/system/%s.json", f->dir, name);
	const struct timespec times[2] = { { .tv_sec = used }, { .tv_sec = used } };
	char hex[PV_SHA256_HEX];

	pv_cachekey_add(&record.key, "words", words);
	pv_cachekey_add(&record.seen, "content:etc/x", "y");
	pv_digest_mem(words, strlen(words), hex);
	assert_int_equal(pv_write_file(tmp, words, strlen(words), 0600, NULL), 0);
	assert_int_equal(pv_record_adopt(f->objects, &record, tmp, hex, NULL), 0);
	assert_int_equal(pv_record_write(f->objects, name, &record, NULL), 0);
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	return pv_store_path(f->store, hex);
}

static bool has(const struct fixture *f, const char *name, struct pv_record *ret)
{
	bool found;

	assert_int_equal(pv_record_read(f->objects, "system", name, ret, &found, NULL), 0);
	return found;
}

static void test_records(void **state)
{
	const struct fixture *f = *state;
	pv_autofree char *object = keep(f, "aa", "first", 1000);
	pv_autofree char *bad = pv_fmt("%s/stages/system/bb.json", f->dir);
	pv_autorecord record = { 0 };
	pv_autorecord other = { 0 };

	assert_true(has(f, "aa", &record));
	assert_string_equal(pv_cachekey_get(&record.key, "words"), "first");
	assert_string_equal(pv_cachekey_get(&record.seen, "content:etc/x"), "y");
	pv_autofree char *path = pv_record_object(f->objects, "aa", &record);
	assert_string_equal(path, object);
	assert_false(has(f, "cc", &other));
	/* from an older version, or half of one */
	assert_int_equal(pv_write_file(bad, "{\"schema\": \"pvimg.stage/0\"}", 27, 0644, NULL), 0);
	assert_false(has(f, "bb", &other));
	assert_false(pv_exists(bad));
}

/* Same size, times put back: the ctime tells, and the digest then. */
static void test_a_changed_object_is_dropped(void **state)
{
	const struct fixture *f = *state;
	pv_autofree char *object = keep(f, "aa", "first", 1000);
	pv_autorecord record = { 0 };
	struct stat st;

	assert_true(has(f, "aa", &record));
	assert_int_equal(stat(object, &st), 0);
	const struct timespec times[2] = { st.st_atim, st.st_mtim };
	assert_int_equal(chmod(object, 0644), 0);
	pv_autoclose int fd = open(object, O_WRONLY | O_CLOEXEC);
	assert_int_equal(write(fd, "F", 1), 1);
	assert_int_equal(futimens(fd, times), 0);
	assert_null(pv_record_object(f->objects, "aa", &record));
	assert_false(pv_exists(object));
	pv_record_done(&record);
	assert_false(has(f, "aa", &record));
}

/* Only touched: hashed, found good, and not hashed again. */
static void test_a_touched_object_is_good(void **state)
{
	const struct fixture *f = *state;
	pv_autofree char *object = keep(f, "aa", "first", 1000);
	pv_autorecord record = { 0 };
	struct pv_file_id id;

	assert_true(has(f, "aa", &record));
	assert_int_equal(utimensat(AT_FDCWD, object, NULL, 0), 0);
	pv_autofree char *path = pv_record_object(f->objects, "aa", &record);
	assert_non_null(path);
	pv_record_done(&record);
	assert_true(has(f, "aa", &record));
	assert_true(pv_file_id_get(object, &id));
	assert_true(pv_file_id_same(&id, &record.files[0].id));
}

static void test_verify(void **state)
{
	const struct fixture *f = *state;
	pv_autofree char *good = keep(f, "aa", "first", 1000), *bad = keep(f, "bb", "second", 1000);
	pv_autofree char *gone = keep(f, "cc", "third", 1000);
	pv_autorecord record = { 0 };
	struct pv_cache_part part;
	size_t nbad;

	assert_int_equal(chmod(bad, 0644), 0);
	assert_int_equal(pv_write_file(bad, "secOnd", 6, 0444, NULL), 0);
	assert_int_equal(unlink(gone), 0);
	assert_int_equal(pv_cache_verify(f->dir, &part, &nbad, NULL), 0);
	assert_int_equal(part.n, 1);
	assert_int_equal(nbad, 2);
	assert_true(pv_exists(good));
	assert_false(pv_exists(bad));
	assert_false(has(f, "cc", &record));
}

static void test_collect(void **state)
{
	struct fixture *f = *state;
	pv_autofree char *old = keep(f, "aa", "first", 1000), *young = keep(f, "bb", "second", 2000);
	struct pv_cache_size size;
	struct pv_cache_part freed;
	bool busy;

	/* what a running build holds stays */
	assert_int_equal(pv_cache_collect(f->dir, 1, &busy, &freed, NULL), 0);
	assert_true(busy);
	assert_true(pv_exists(old));
	pv_objects_freep(&f->objects);
	assert_int_equal(pv_cache_measure(f->dir, &size, NULL), 0);
	assert_int_equal(size.trees.n, 2);
	assert_int_equal(pv_cache_collect(f->dir, size.trees.bytes, &busy, &freed, NULL), 0);
	assert_false(busy);
	assert_int_equal(freed.n, 0);
	assert_int_equal(pv_cache_collect(f->dir, size.trees.bytes - 1, &busy, &freed, NULL), 0);
	assert_int_equal(freed.n, 1);
	assert_false(pv_exists(old));
	assert_true(pv_exists(young));
}

/* A result is its record and the digests beside it; what a killed build began to write is nothing. */
static void test_results(void **state)
{
	struct fixture *f = *state;
	pv_autofree char *chunks = pv_fmt("%s/stages/image/aa.chunks", f->dir);
	pv_autofree char *left = pv_fmt("%s/stages/image/.aa.json.XyZ123", f->dir);
	pv_autofree char *orphan = pv_fmt("%s/stages/image/bb.chunks", f->dir);
	pv_autorecord record = { .stage = pv_xstrdup("image"), .image = pv_xstrdup("test") };
	const struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
	struct pv_cache_size size;
	struct pv_cache_part part;
	size_t bad;
	bool busy;

	assert_int_equal(pv_record_write(f->objects, "aa", &record, NULL), 0);
	assert_int_equal(pv_write_file(chunks, "c", 1, 0644, NULL), 0);
	assert_int_equal(utimensat(AT_FDCWD, chunks, old, 0), 0);
	assert_int_equal(pv_cache_measure(f->dir, &size, NULL), 0);
	assert_int_equal(size.results.n, 1);
	assert_int_equal(pv_cache_verify(f->dir, &part, &bad, NULL), 0);
	assert_int_equal(bad, 0);
	assert_int_equal(pv_write_file(orphan, "c", 1, 0644, NULL), 0);
	assert_int_equal(pv_write_file(left, "{", 1, 0644, NULL), 0);
	pv_objects_freep(&f->objects);
	/* the digests are of no less use than their record, which is new */
	assert_int_equal(utimensat(AT_FDCWD, orphan, old, 0), 0);
	assert_int_equal(pv_cache_collect(f->dir, size.results.bytes, &busy, &part, NULL), 0);
	assert_int_equal(part.n, 1);
	assert_false(pv_exists(orphan));
	assert_true(pv_exists(chunks));
	assert_false(pv_exists(left));
	assert_int_equal(pv_cache_collect(f->dir, 0, &busy, &part, NULL), 0);
	assert_false(pv_exists(chunks));
}

/* A dom0 and what it saved go together, the one that was of no use for longest first, and never one that is held. */
static void test_dom0s(void **state)
{
	struct fixture *f = *state;
	const struct timespec old[2] = { { 1000, 0 }, { 1000, 0 } }, young[2] = { { 2000, 0 }, { 2000, 0 } };
	pv_autofree char *a = pv_fmt("%s/dom0/aa", f->dir), *b = pv_fmt("%s/dom0/bb", f->dir);
	pv_autofree char *initrd = pv_path_join(a, "initrd"), *saved = pv_path_join(a, "state-1");
	struct pv_cache_size size;
	struct pv_cache_part freed;
	bool busy;

	assert_int_equal(pv_mkdirs(a, 0755, NULL), 0);
	assert_int_equal(pv_mkdirs(b, 0755, NULL), 0);
	assert_int_equal(pv_write_file(initrd, "x", 1, 0600, NULL), 0);
	assert_int_equal(pv_write_file(saved, "x", 1, 0600, NULL), 0);
	assert_int_equal(utimensat(AT_FDCWD, a, old, 0), 0);
	assert_int_equal(utimensat(AT_FDCWD, b, young, 0), 0);
	assert_int_equal(pv_cache_measure(f->dir, &size, NULL), 0);
	assert_int_equal(size.dom0s.n, 2);
	assert_true(size.dom0s.bytes >= 8192);
	pv_objects_free(f->objects);
	f->objects = NULL;

	int held = open(a, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(held, LOCK_SH), 0);
	assert_int_equal(pv_cache_collect(f->dir, 0, &busy, &freed, NULL), 0);
	assert_false(busy);
	assert_true(pv_exists(saved));
	assert_false(pv_exists(b));
	close(held);
	assert_int_equal(pv_mkdirs(b, 0755, NULL), 0);
	assert_int_equal(pv_cache_measure(f->dir, &size, NULL), 0);
	assert_int_equal(pv_cache_collect(f->dir, size.dom0s.bytes - 1, &busy, &freed, NULL), 0);
	assert_int_equal(freed.n, 1);
	assert_false(pv_exists(a));
	assert_true(pv_exists(b));
}

static void test_nobody_verifies_what_is_collected(void **state)
{
	struct fixture *f = *state;
	pv_autofree char *lock = pv_path_join(f->dir, "stages.lock");
	pv_autoerror err = PV_ERROR_INIT;
	pv_autoclose int held = -1;
	struct pv_cache_part part;
	size_t bad;

	pv_objects_freep(&f->objects);
	assert_int_equal(pv_lock(lock, false, &held, NULL), 0);
	assert_true(held >= 0);
	assert_int_equal(pv_cache_verify(f->dir, &part, &bad, &err), -1);
	assert_non_null(strstr(err.text, "try again"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_records, enter, leave),
		cmocka_unit_test_setup_teardown(test_a_changed_object_is_dropped, enter, leave),
		cmocka_unit_test_setup_teardown(test_a_touched_object_is_good, enter, leave),
		cmocka_unit_test_setup_teardown(test_verify, enter, leave),
		cmocka_unit_test_setup_teardown(test_collect, enter, leave),
		cmocka_unit_test_setup_teardown(test_results, enter, leave),
		cmocka_unit_test_setup_teardown(test_dom0s, enter, leave),
		cmocka_unit_test_setup_teardown(test_nobody_verifies_what_is_collected, enter, leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
