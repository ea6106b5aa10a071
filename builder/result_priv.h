/* SPDX-License-Identifier: Apache-2.0 */
/* What result.c and result_sibling.c share. */
#ifndef PV_RESULT_PRIV_H
#define PV_RESULT_PRIV_H

#include "ext4_patch.h"
#include "result.h"

#define PV_RESULT_MANIFEST "manifest.json"
#define PV_RESULT_STAGE "image"		/* of records */

/* The name of the record of the result in `final`. */
void pv_result_record_name(const char *final, char ret[PV_SHA256_HEX]);
/* The digests of the disk's chunks, which the record's digest of it vouches for; false: they are not there. */
bool pv_result_load_chunks(const struct pv_objects *objects, const char *final, const struct pv_record_file *disk,
			   struct pv_chunks *ret);
bool pv_result_manifest_is(const char *final, const struct pv_record_file *file);

/* A reflink where the file system knows them, else a copy that keeps holes. `from`: its name in errors. */
int pv_result_copy(int in, const char *from, const char *to, struct pv_error *err) PV_MUST_CHECK;

/* What must be written so that the record's disk has the overlays' files as they are now. */
int pv_result_plan_patch(const struct pv_plan *plan, const struct pv_stagecache *cache, const struct pv_record *record,
			 const char *disk, struct pv_patch *ret, bool *ret_possible, struct pv_error *err) PV_MUST_CHECK;
/* Writes it, and digests again the chunks that it touches. */
int pv_result_patch_disk(const char *path, const struct pv_patch *patch, struct pv_chunks *chunks, struct pv_error *err)
	PV_MUST_CHECK;

/* Disk and manifest are in place->hidden: notes them in the report. */
int pv_result_note(const struct pv_result_place *place, const char *disk_name, const struct pv_chunks *chunks,
		   struct pv_report *report, struct pv_error *err) PV_MUST_CHECK;
/* They were begun and cannot be finished this way: removes them. Errors: interruption, as `cause` says. */
int pv_result_give_up(const struct pv_result_place *place, const char *disk_name, const struct pv_error *cause,
		      struct pv_error *err) PV_MUST_CHECK;

#endif
