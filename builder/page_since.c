/* SPDX-License-Identifier: Apache-2.0 */
/* The page: what is other than in the last result of that name. */
#include <string.h>

#include "page_priv.h"
#include "subject_diff.h"

#define SHOWN 40u			/* rows of a section before the rest is folded away */

static enum pv_subject_table table_of(const char *name)
{
	unsigned table = 0;

	while (table < PV_SUBJECT_TABLES && !pv_streq(name, pv_subject_table_name((enum pv_subject_table)table)))
		table++;
	return (enum pv_subject_table)table;
}

static char *value_of(enum pv_subject_table table, const json_t *change, const char *key)
{
	const char *text = json_string_value(json_object_get(change, key));

	return text ? pv_subject_value_text(table, text) : pv_xstrdup("\xe2\x80\x93");
}

/* "+12 MiB" where both are numbers. */
static char *delta_of(enum pv_subject_table table, const json_t *change)
{
	uint64_t a, b;

	if (pv_parse_u64(pv_page_text(change, "first"), 0, INT64_MAX, &a) < 0 ||
	    pv_parse_u64(pv_page_text(change, "second"), 0, INT64_MAX, &b) < 0 || !pv_subject_is_numeric(table))
		return pv_xstrdup(pv_page_text(change, "how"));
	pv_autofree char *plain = pv_fmt("%llu", (unsigned long long)(a > b ? a - b : b - a));
	pv_autofree char *words = pv_subject_value_text(table, plain);
	return pv_fmt("%s%s", b >= a ? "+" : "\xe2\x88\x92", words);
}

static void add_row(struct pv_page *page, enum pv_subject_table table, const json_t *change)
{
	pv_autofree char *first = value_of(table, change, "first"), *second = value_of(table, change, "second");
	pv_autofree char *delta = delta_of(table, change);
	const char *class = pv_subject_is_numeric(table) ? "n" : "";

	pv_html_addf(&page->html, "<tr><th scope=\"row\">%s</th><td class=\"%s\">%s</td><td class=\"%s\">%s</td>"
		     "<td class=\"w %s\">%s</td></tr>\n", pv_page_text(change, "what"), class, first, class, second, class,
		     delta);
}

static void add_rows(struct pv_page *page, enum pv_subject_table table, const json_t *changes, size_t from, size_t to)
{
	pv_str_add(&page->html, "<table class=\"since\">\n");
	pv_html_head(&page->html, pv_subject_is_numeric(table) ? "What|>Before|>Now|>Change" : "What|Before|Now|Change");
	pv_str_add(&page->html, "<tbody>\n");
	for (size_t i = from; i < to; i++)
		add_row(page, table, json_array_get(changes, i));
	pv_str_add(&page->html, "</tbody>\n</table>\n");
}

/* "3 added, 1 removed, 12 up" */
static char *summary_of(const json_t *changes)
{
	static const char *const hows[] = { "added", "removed", "up", "down", "changed" };
	pv_autostr text = PV_STR_INIT;

	for (size_t i = 0; i < PV_COUNT(hows); i++) {
		size_t n = 0;
		for (size_t k = 0; k < json_array_size(changes); k++)
			n += pv_streq(pv_page_text(json_array_get(changes, k), "how"), hows[i]);
		if (n)
			pv_str_addf(&text, "%s%zu %s", text.len ? ", " : "", n, hows[i]);
	}
	return pv_str_steal(&text);
}

static void add_section(struct pv_page *page, const json_t *section)
{
	const char *name = pv_page_text(section, "name");
	const json_t *changes = json_object_get(section, "changes");
	size_t n = json_array_size(changes), shown = n > SHOWN ? SHOWN : n;
	enum pv_subject_table table = table_of(name);

	if (n == 0 || pv_subject_is_measured(table))
		return;
	pv_autofree char *summary = summary_of(changes), *rest = pv_fmt("%zu more", n - shown);
	pv_html_addf(&page->html, "<h3>%s%s: %s</h3>\n", name, table == PV_SUBJECT_IMAGE ? " itself" : "", summary);
	add_rows(page, table, changes, 0, shown);
	if (shown == n)
		return;
	pv_html_addf(&page->html, "<details><summary>%s</summary>\n", rest);
	add_rows(page, table, changes, shown, n);
	pv_str_add(&page->html, "</details>\n");
}

static const json_t *section_of(const struct pv_page *page, enum pv_subject_table table)
{
	const json_t *sections = json_object_get(page->report, "since");

	for (size_t i = 0; i < json_array_size(sections); i++)
		if (pv_streq(pv_page_text(json_array_get(sections, i), "name"), pv_subject_table_name(table)))
			return json_array_get(sections, i);
	return NULL;
}

static bool knows_before(const struct pv_page *page, enum pv_subject_table table)
{
	const json_t *section = section_of(page, table);

	return section && !pv_streq(pv_page_text(section, "state"), "not compared");
}

/* What is not among the changes is as it was. */
static char *before_of(const struct pv_page *page, enum pv_subject_table table, const char *what, const char *now)
{
	const json_t *changes = json_object_get(section_of(page, table), "changes");

	for (size_t i = 0; i < json_array_size(changes); i++) {
		const json_t *change = json_array_get(changes, i);
		if (pv_streq(pv_page_text(change, "what"), what))
			return value_of(table, change, "first");
	}
	return pv_xstrdup(now);
}

const char *pv_page_before_head(const struct pv_page *page, enum pv_subject_table table)
{
	return knows_before(page, table) ? "|>Before" : "";
}

void pv_page_before_cell(struct pv_page *page, enum pv_subject_table table, const char *what, uint64_t now)
{
	pv_autofree char *time = pv_ms_text(now), *before = before_of(page, table, what, time);

	if (knows_before(page, table))
		pv_html_addf(&page->html, "<td class=\"n dim\">"
			     "%s</td>", pv_streq(before, "skipped") ? "cache" : before);
}

/* The names of sections in that state, "sysctl, settings"; what is measured is told elsewhere. */
static char *names_of(const json_t *sections, const char *state)
{
	pv_autostrv names = PV_STRV_INIT;

	for (size_t i = 0; i < json_array_size(sections); i++) {
		const json_t *section = json_array_get(sections, i);
		if (pv_streq(pv_page_text(section, "state"), state) &&
		    !pv_subject_is_measured(table_of(pv_page_text(section, "name"))))
			pv_strv_add(&names, pv_page_text(section, "name"));
	}
	return pv_strv_join(&names, ", ");
}

void pv_page_since(struct pv_page *page)
{
	const json_t *sections = json_object_get(page->report, "since");

	/* a build that failed takes no result's place */
	if (!sections && json_is_object(json_object_get(page->report, "error")))
		return;
	pv_str_add(&page->html, "<section>\n<h2>Since the last build of this name</h2>\n");
	if (!json_is_array(sections)) {
		pv_str_add(&page->html, "<p class=\"dim\">There was no earlier result to compare "
			   "with.</p>\n</section>\n");
		return;
	}
	for (size_t i = 0; i < json_array_size(sections); i++)
		add_section(page, json_array_get(sections, i));
	pv_autofree char *same = names_of(sections, "equal"), *unknown = names_of(sections, "not compared");
	if (*same)
		pv_html_addf(&page->html, "<p class=\"dim\">The same as before: %s.</p>\n", same);
	if (*unknown)
		pv_html_addf(&page->html, "<p class=\"dim\">Not compared, for want of records: %s.</p>\n", unknown);
	pv_str_add(&page->html, "</section>\n");
}
