/* SPDX-License-Identifier: Apache-2.0 */
/* One image booted in every way that Xen knows, and what each way took: counts first, times where they mean something.
 *
 * The ways are PVHVM; HVM, whose guest is left with its emulated disk and card since it has no Xen platform device (what
 * xen_emul_unplug=never does, but without a change to the image's command line); PVH and PV, with kernel and initrd read
 * from the image. */
#ifndef PV_COMPARE_H
#define PV_COMPARE_H

#include "verify.h"

#define PV_COMPARE_WAYS 4u		/* as in enum pv_boot_as */

struct pv_compare_way {
	bool judged;			/* else it could not be tried; `cause` says why */
	enum pv_class class;
	char *cause;			/* one line: why it did not boot or is not PVHVM, or NULL */
	struct pv_vars timeline;	/* of the verdict */
	struct pv_vars measured;	/* pv_verify_result's */
};

enum pv_metric_kind {
	PV_METRIC_STATE,		/* words */
	PV_METRIC_COUNT,		/* holds on every machine */
	PV_METRIC_TIME,			/* means nothing where processors are emulated */
};

/* A row. Static strings but for name and values. */
struct pv_metric {
	const char *group;		/* "boot", "interrupts until the report" ... */
	char *name;
	const char *unit;		/* "ms", "KiB/s", "bytes"; NULL: a number of things, or words */
	enum pv_metric_kind kind;
	char *values[PV_COMPARE_WAYS];	/* a decimal number, or words; NULL: not seen */
};

struct pv_compare {
	char *image;			/* its name */
	struct pv_compare_way ways[PV_COMPARE_WAYS];
	struct pv_metric *metrics;
	size_t nmetrics;
	bool emulated;			/* processors were: times say nothing */
};
void pv_compare_done(struct pv_compare *c);
#define pv_autocompare __attribute__((cleanup(pv_compare_done))) struct pv_compare

struct pv_compare_result {
	struct pv_compare compared;
	char *json_path, *json, *text;
};
void pv_compare_result_done(struct pv_compare_result *res);
#define pv_autocompared __attribute__((cleanup(pv_compare_result_done))) struct pv_compare_result

/* Boots the image four times, one after the other, as req says (`as`, `no_load`, `measure` are set here), and writes
 * compare.json where the verdict would be, beside an image without a manifest IMAGE.compare.json. A way that does not
 * boot, or cannot be tried, is a column that says so; -1 as pv_verify when even PVHVM cannot be tried, or when
 * interrupted, and then nothing is written. Each boot has a deadline of its own. */
int pv_compare(const struct pv_verify_request *req, struct pv_compare_result *ret, struct pv_error *err) PV_MUST_CHECK;

/* compare_table.c: makes metrics and emulated of what the ways hold. Pure. */
void pv_compare_measure(struct pv_compare *c);
const char *pv_compare_way_name(size_t way);		/* "pvhvm", as --as names it */
#define PV_COMPARE_NOTE "emulated: not comparable"
/* A value of the run itself, such as "run.driver": of the first way that has it; NULL: none. */
const char *pv_compare_of_run(const struct pv_compare *c, const char *name);

/* {"schema": "pvimg.compare/1", ...}, sorted keys, ends in a newline; the caller frees. */
char *pv_compare_json(const struct pv_compare *c);
/* The table for people. Rows stand in a fixed order; nothing is ranked. The caller frees. */
char *pv_compare_text(const struct pv_compare *c);

#endif
