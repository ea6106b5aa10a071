/* SPDX-License-Identifier: Apache-2.0 */
/* Walks two sorted tables side by side and notes what only one has and what differs. */
#include "subject_diff.h"

#include <jansson.h>
#include <string.h>

#include "debversion.h"
#include "text.h"

bool pv_subject_is_measured(enum pv_subject_table table)
{
	return table == PV_SUBJECT_BOOT || table == PV_SUBJECT_STAGES;
}

static const char *how_word(enum pv_subject_table table, const char *first, const char *second)
{
	if (!first || !second)
		return first ? "removed" : "added";
	if (table != PV_SUBJECT_PACKAGES)
		return "changed";
	int order = pv_debversion_compare(first, second);
	return order < 0 ? "up" : order > 0 ? "down" : "changed";
}

static json_t *change_json(enum pv_subject_table table, const char *name, const char *first, const char *second)
{
	return json_pack("{s:s, s:s?, s:s?, s:s}", "what", name, "first", first, "second", second, "how",
			 how_word(table, first, second));
}

static json_t *changes_of(enum pv_subject_table table, const struct pv_vars *a, const struct pv_vars *b)
{
	json_t *changes = json_array();
	size_t i = 0, k = 0;

	while (i < a->n || k < b->n) {
		int order = i == a->n ? 1 : k == b->n ? -1 : strcmp(a->v[i].name, b->v[k].name);
		const char *what = order <= 0 ? a->v[i].name : b->v[k].name;
		const char *first = order <= 0 ? a->v[i].value : NULL, *second = order >= 0 ? b->v[k].value : NULL;
		if (!pv_streq(first, second))
			json_array_append_new(changes, change_json(table, what, first, second));
		i += order <= 0;
		k += order >= 0;
	}
	return changes;
}

json_t *pv_subject_section(const struct pv_subject *a, const struct pv_subject *b, enum pv_subject_table table)
{
	const struct pv_facts *x = &a->tables[table], *y = &b->tables[table];
	const char *name = pv_subject_table_name(table);

	if (!x->have || !y->have)
		return json_pack("{s:s, s:s, s:s, s:[]}", "name", name, "state", "not compared", "why",
				 x->have ? "nothing is known of the second"
				 : y->have ? "nothing is known of the first" : "nothing is known of either", "changes");
	json_t *changes = changes_of(table, &x->v, &y->v);
	return json_pack("{s:s, s:s, s:n, "
			 "s:o}", "name", name, "state", json_array_size(changes) ? "different" : "equal",
			 "why", "changes", changes);
}
