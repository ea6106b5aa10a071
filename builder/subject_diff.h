/* SPDX-License-Identifier: Apache-2.0 */
/* Two subjects compared table by table, as sections of pvimg.diff/1. */
#ifndef PV_SUBJECT_DIFF_H
#define PV_SUBJECT_DIFF_H

#include <stdbool.h>

#include "subject.h"

struct json_t;

/* Two runs with one recipe differ in these: what was measured is told, and makes no difference. */
bool pv_subject_is_measured(enum pv_subject_table table);

/* {"name", "state": "equal|different|not compared", "why", "changes": [{"what", "first", "second", "how"}]}. how:
 * "added", "removed", "changed"; of packages "up" and "down" in place of that. A new reference (jansson). */
struct json_t *pv_subject_section(const struct pv_subject *a, const struct pv_subject *b, enum pv_subject_table table);

#endif
