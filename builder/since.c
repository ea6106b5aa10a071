/* SPDX-License-Identifier: Apache-2.0 */
/* Compares the records of two results, and carries over what needs no new look. */
#include "since.h"

#include <jansson.h>

#include "fsutil.h"
#include "subject_diff.h"

int pv_since_note(struct pv_report *report, const char *before, const char *now, struct pv_error *err)
{
	pv_autosubject a = { .path = NULL }, b = { .path = NULL };
	pv_autofree char *record = pv_path_join(before, "report.json");

	if (!pv_exists(record))
		return 0;
	if (pv_subject_open(before, true, &a, err) < 0 || pv_subject_open(now, true, &b, err) < 0)
		return -1;
	json_t *sections = json_array();
	for (unsigned table = 0; table < PV_SUBJECT_TABLES; table++)
		json_array_append_new(sections, pv_subject_section(&a, &b, (enum pv_subject_table)table));
	pv_report_since(report, sections);
	return 0;
}

void pv_since_keep_folders(struct pv_report *report, const char *before)
{
	json_t *old = pv_subject_record(before, "report.json", "pvimg.report/1");

	pv_report_folders_json(report, json_object_get(old, "folders"));
	json_decref(old);
}
