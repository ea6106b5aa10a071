/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of an image: read out of the raw file, and from the records beside it. */
#ifndef PV_SUBJECT_H
#define PV_SUBJECT_H

#include "error.h"
#include "image.h"
#include "vars.h"

/* One table of facts; `have` false: nothing could be asked, which is not the same as an empty table. */
struct pv_facts {
	bool have;
	struct pv_vars v;		/* sorted by name */
};

enum pv_subject_table {
	PV_SUBJECT_IMAGE,		/* suite, epoch, flavor, ... */
	PV_SUBJECT_PACKAGES,		/* name -> version */
	PV_SUBJECT_SYSCTL,
	PV_SUBJECT_KERNEL,		/* words of the kernel's command line, "root" -> "UUID=..", "ro" -> "" */
	PV_SUBJECT_SETTINGS,		/* "memcached maxbytes", "apache MaxRequestWorkers" */
	PV_SUBJECT_SIZES,		/* bytes */
	PV_SUBJECT_FOLDERS,		/* bytes (folders.h) */
	PV_SUBJECT_STAGES,		/* milliseconds of the build's, or "skipped", "failed"; PV_SUBJECT_WHOLE_BUILD */
	PV_SUBJECT_BOOT,		/* milliseconds of the boot that was verified; "verdict" */
	PV_SUBJECT_TABLES,
};

#define PV_SUBJECT_WHOLE_BUILD "whole build"

struct pv_subject {
	char *path;			/* as it was named */
	struct pv_image *image;		/* NULL: records only */
	struct pv_facts tables[PV_SUBJECT_TABLES];
};

/* `path` is a raw image, a folder with a build's results, or a report, manifest or verdict in such a folder, which
 * stands for all of it; under another name ("yesterday.json") such a record stands for itself. records_only: the image
 * is not looked into, as if it were not there. PV_ERR_STAGE: it is none of these, or cannot be read. PV_ERR_DIFFERS: a
 * file that is no disk. */
int pv_subject_open(const char *path, bool records_only, struct pv_subject *ret, struct pv_error *err) PV_MUST_CHECK;
void pv_subject_done(struct pv_subject *s);
#define pv_autosubject __attribute__((cleanup(pv_subject_done))) struct pv_subject

/* DIR/FILE as JSON when it is there and its "schema" is that, else NULL; a new reference (jansson). */
struct json_t;
struct json_t *pv_subject_record(const char *dir, const char *file, const char *schema);

/* "packages", "kernel command line". */
const char *pv_subject_table_name(enum pv_subject_table table);

/* Whether its values are sizes or times; and such a value as people read it, "1.4 "
	"GiB", any other as it is. The caller frees. */
bool pv_subject_is_numeric(enum pv_subject_table table);
char *pv_subject_value_text(enum pv_subject_table table, const char *value);

#endif
