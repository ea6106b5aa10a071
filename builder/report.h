/* SPDX-License-Identifier: Apache-2.0 */
/* The record of one run: stages, children, digests, findings. Append only; written as JSON, pvimg.report/1. */
#ifndef PV_REPORT_H
#define PV_REPORT_H

#include <stdint.h>

#include "digest.h"
#include "error.h"
#include "folders.h"
#include "proc.h"

struct pv_report;

/* A new report about the image `name`, whose wall time begins now. Every call below takes a NULL report and then does
 * nothing. */
struct pv_report *pv_report_new(const char *name);
void pv_report_free(struct pv_report *report);		/* NULL is fine */
void pv_report_freep(struct pv_report **report);
#define pv_autoreport __attribute__((cleanup(pv_report_freep))) struct pv_report

/* One stage runs at a time. state: "done", "failed" or "skipped". A stage still open when the report is written is
 * "failed". */
void pv_report_stage_begin(struct pv_report *report, const char *stage);
void pv_report_stage_end(struct pv_report *report, const char *state);

/* A child of the stage that runs now, as it ended. argv0 only: arguments may bear what no record may hold. */
void pv_report_child(struct pv_report *report, const char *argv0, const struct pv_proc_result *res);

/* A recipe's file or its base's, as the run read it. */
void pv_report_recipe(struct pv_report *report, const char *file, const char sha256[PV_SHA256_HEX]);

/* An artifact: its name without folders, digest and size in bytes. */
void pv_report_artifact(struct pv_report *report, const char *file, const char sha256[PV_SHA256_HEX], uint64_t size);

/* The same for a disk, whose digest is that of its chunks (chunks.h). */
void pv_report_disk(struct pv_report *report, const char *file, const char chunks_sha256[PV_SHA256_HEX], uint64_t size);

/* Something the reader should know though the run went on. One line, made printable. */
void pv_report_finding(struct pv_report *report, const char *fmt, ...) PV_PRINTF(2, 3);

/* How the run failed. The last one counts. */
void pv_report_error(struct pv_report *report, const struct pv_error *cause);

/* A number of the run, "downloaded_bytes". Set again: replaced. */
void pv_report_number(struct pv_report *report, const char *key, uint64_t value);

/* Where the image's bytes lie, [{"path", "bytes"}]; the second takes such an array (jansson) as it is, that of an
 * earlier build of the same tree. */
struct json_t;
void pv_report_folders(struct pv_report *report, const struct pv_folders *folders);
void pv_report_folders_json(struct pv_report *report, struct json_t *folders);

/* What is other than in the last result of that name: sections of pvimg.diff/1 (jansson). Takes the reference. */
void pv_report_since(struct pv_report *report, struct json_t *sections);

/* The epoch of the image and whether the archive was a stand-in. */
void pv_report_archive(struct pv_report *report, int64_t epoch, int stand_in);

/* What verification said: "PVHVM", "did not boot: kernel panic"; until then the report says "not verified". */
void pv_report_verified(struct pv_report *report, const char *words);

/* Writes {"schema": "pvimg.report/1", ..} with sorted keys, whole or not at all, mode 0644. */
int pv_report_write(const struct pv_report *report, const char *path, struct pv_error *err) PV_MUST_CHECK;

#endif
