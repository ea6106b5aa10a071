/* SPDX-License-Identifier: Apache-2.0 */
/* The result of an earlier build of the same image in the same place: taken again when nothing has changed, and changed where
 * only files of overlays did that no program of the build has ever opened. */
#ifndef PV_RESULT_H
#define PV_RESULT_H

#include <stdbool.h>

#include "chunks.h"
#include "error.h"
#include "report.h"
#include "stagecache.h"

/* Where a result is (build.h): made in `hidden`, it becomes `final`. */
struct pv_result_place {
	const char *name;		/* the image's: the disk is NAME.raw */
	const char *hidden, *final;
	bool taken;			/* nobody will look at the old result any more once the new one is there, so its disk
					 * may be changed where it lies, if no other process has it open and it has no
					 * other name; else a copy is changed */
};

enum pv_result_reuse { PV_RESULT_NONE, PV_RESULT_SAME, PV_RESULT_PATCHED };

/* Makes disk and manifest in `hidden` from those in `final`, notes them in the report, and gives the disk's chunks. What the
 * old result is, is believed when its files are unchanged since they were recorded, or hashed. NONE: it cannot be used; hidden
 * has neither. Errors: interruption, PV_ERR_STAGE. */
int pv_result_reuse(const struct pv_plan *plan, const struct pv_paths *paths, const struct pv_stagecache *cache,
		    const struct pv_result_place *place, struct pv_report *report, struct pv_chunks *chunks,
		    enum pv_result_reuse *ret, struct pv_error *err) PV_MUST_CHECK;

/* The same from the result of another image that lies beside `final`, where the two have one tree and one layout, and differ in
 * ids of the disk, in the manifest, and in contents of files of overlays that no program of the build has opened. *ret_final:
 * the folder that it was made from (the caller frees), or NULL, and hidden has neither. */
int pv_result_of_sibling(const struct pv_plan *plan, const struct pv_paths *paths, const struct pv_stagecache *cache,
			 const struct pv_result_place *place, struct pv_report *report, struct pv_chunks *chunks,
			 char **ret_final,
			 struct pv_error *err) PV_MUST_CHECK;

/* Records what `final` has now. */
int pv_result_record(const struct pv_plan *plan, const struct pv_stagecache *cache, const struct pv_result_place *place,
		     const struct pv_chunks *chunks, struct pv_error *err) PV_MUST_CHECK;

/* A build that was killed or failed while it changed the old result's disk: gives it back, as it was. To be called under the
 * result's lock before `hidden` is removed. */
int pv_result_recover(const struct pv_result_place *place, struct pv_error *err) PV_MUST_CHECK;

/* The key of an image, for pvimg plan --explain. PV_RESULT_NONE's way of saying why: the record of the result in `final`.
 * *ret_found false: there is none. */
struct pv_cachekey;
int pv_result_key(const struct pv_plan *plan, const struct pv_stagecache *cache, struct pv_cachekey *ret, struct pv_error *err)
	PV_MUST_CHECK;
int pv_result_read(const struct pv_objects *objects, const char *final, struct pv_record *ret, bool *ret_found,
		   struct pv_error *err) PV_MUST_CHECK;

#endif
