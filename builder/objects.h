/* SPDX-License-Identifier: Apache-2.0 */
/* Records of what stages made: the key, the object in the store or the files that were made, and what tells that these are
 * still the same. */
#ifndef PV_OBJECTS_H
#define PV_OBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "cachekey.h"
#include "digest.h"
#include "error.h"
#include "store.h"

/* cache_dir/stages/STAGE/NAME.json (schema pvimg.stage/1), each written whole; its mtime is when it was last of use. What a
 * record says is believed only after its key was compared line by line, and its files by pv_file_is or by digest. The lock
 * cache_dir/stages.lock is held shared by whoever uses the cache and exclusively by who collects. */
struct pv_objects;

/* What the kernel says of a file: when nothing of it has changed, neither has the file. */
struct pv_file_id {
	uint64_t dev, ino, size;
	int64_t mtime_s, mtime_ns, ctime_s, ctime_ns;
};
void pv_file_id_of(const struct stat *st, struct pv_file_id *ret);
/* Of a regular file, links not followed; false: there is none. */
bool pv_file_id_get(const char *path, struct pv_file_id *ret);
bool pv_file_id_same(const struct pv_file_id *a, const struct pv_file_id *b);

struct pv_record_file {
	char *name;			/* "debian-2g.raw"; of an object in the store: "" */
	char digest[PV_SHA256_HEX];	/* of an image's disk: that of its chunks (chunks.h) */
	struct pv_file_id id;
};

struct pv_record {
	char *stage, *image;		/* image: the one it was made for; for people */
	struct pv_cachekey key;
	struct pv_cachekey seen;	/* inputs that turned out to be some; part of the key */
	struct pv_record_file *files;
	size_t nfiles;
};
void pv_record_done(struct pv_record *record);
#define pv_autorecord __attribute__((cleanup(pv_record_done))) struct pv_record
/* Adds one; `name` is copied. */
void pv_record_add(struct pv_record *record, const char *name, const char *digest, const struct pv_file_id *id);

/* Opens the records of a cache and takes the lock, shared; where somebody collects it waits. The store is borrowed.
 * PV_ERR_STAGE: the folder cannot be made or written. */
int pv_objects_open(const char *cache_dir, struct pv_store *store, struct pv_objects **ret, struct pv_error *err) PV_MUST_CHECK;
void pv_objects_free(struct pv_objects *objects);	/* NULL is fine */
void pv_objects_freep(struct pv_objects **objects);
#define pv_autoobjects __attribute__((cleanup(pv_objects_freep))) struct pv_objects

const struct pv_store *pv_objects_store(const struct pv_objects *objects);

/* Reads a record; *ret_found false: there is none, or it is of another version or damaged (then it is removed). `name`: of
 * [0-9a-f.]. */
int pv_record_read(const struct pv_objects *objects, const char *stage, const char *name, struct pv_record *ret,
		   bool *ret_found, struct pv_error *err) PV_MUST_CHECK;
int pv_record_write(const struct pv_objects *objects, const char *name, const struct pv_record *record,
		    struct pv_error *err) PV_MUST_CHECK;
void pv_record_used(const struct pv_objects *objects, const char *stage, const char *name);
void pv_record_drop(const struct pv_objects *objects, const char *stage, const char *name);
/* The path of a file that belongs to a record: stages/STAGE/NAME.WHAT. The caller frees. */
char *pv_record_beside(const struct pv_objects *objects, const char *stage, const char *name, const char *what);
/* Names of all records of a stage, sorted, without ".json"; none where there is no such folder. */
void pv_record_names(const struct pv_objects *objects, const char *stage, struct pv_strv *ret);

/* Puts a file of the store's tmp folder, of this digest, into the store and notes it as the record's object. */
int pv_record_adopt(const struct pv_objects *objects, struct pv_record *record, const char *tmp_path,
		    const char sha256[PV_SHA256_HEX], struct pv_error *err) PV_MUST_CHECK;
/* The path of a record's object when it is whole: unchanged since it was recorded, or hashed anew. NULL: missing or damaged;
 * then object and record are gone. The caller frees. */
char *pv_record_object(const struct pv_objects *objects, const char *name, struct pv_record *record);

#endif
