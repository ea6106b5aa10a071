/* SPDX-License-Identifier: Apache-2.0 */
/* The page: what verification saw: the boot on a line of time, what decides the class, and the checks. */
#include <stdlib.h>
#include <string.h>

#include "page_priv.h"

#define SERVICES_SHOWN 12u
#define SERVICE "service "

/* In the order of a boot; of firmware and GRUB either both or the one for both is there (verdict_time.c). */
static const char *const phases[] = { "firmware", "grub", "firmware and grub", "kernel", "initramfs", "userspace" };

static void begin_chart(struct pv_page *page, const char *caption, const char *first, const char *last)
{
	pv_autofree char *head = pv_fmt("%s|>Time%s|%s", first, pv_page_before_head(page, PV_SUBJECT_BOOT), last);

	pv_html_addf(&page->html, "<table>\n<caption>%s</caption>\n", caption);
	pv_html_head(&page->html, head);
	pv_str_add(&page->html, "<tbody>\n");
}

/* `what` is the name in the timeline. */
static void add_row(struct pv_page *page, const char *what, const char *name, uint64_t start, uint64_t ms,
		    uint64_t whole)
{
	pv_html_addf(&page->html, "<tr><th scope=\"row\">%s</th>", name);
	pv_page_time_cell(page, ms);
	pv_page_before_cell(page, PV_SUBJECT_BOOT, what, ms);
	pv_page_bar_cell(page, "all", start, ms, whole);
	pv_str_add(&page->html, "</tr>\n");
}

static void add_phases(struct pv_page *page, const json_t *timeline)
{
	uint64_t start = 0, sum = 0, total = pv_page_number(timeline, "total");

	for (size_t i = 0; i < PV_COUNT(phases); i++)
		sum += pv_page_number(timeline, phases[i]);
	if (sum == 0)
		return;
	pv_str_add(&page->html, "<h3>The boot</h3>\n");
	begin_chart(page, "From the domain's creation to the end of the boot.", "Phase", "When");
	for (size_t i = 0; i < PV_COUNT(phases); i++) {
		uint64_t ms = pv_page_number(timeline, phases[i]);
		if (!json_object_get(timeline, phases[i]))
			continue;
		add_row(page, phases[i], phases[i], start, ms, sum > total ? sum : total);
		start += ms;
	}
	pv_str_add(&page->html, "</tbody>\n");
	if (total) {
		pv_str_add(&page->html, "<tfoot><tr><th scope=\"row\">whole boot</th>");
		pv_page_time_cell(page, total);
		pv_page_before_cell(page, PV_SUBJECT_BOOT, "total", total);
		pv_str_add(&page->html, "<td></td></tr></tfoot>\n");
	}
	pv_str_add(&page->html, "</table>\n");
}

/* --- services --- */

struct service {
	const char *what;
	uint64_t ms;
};

static int slowest_first(const void *a, const void *b)
{
	const struct service *x = a, *y = b;

	if (x->ms != y->ms)
		return x->ms < y->ms ? 1 : -1;
	return strcmp(x->what, y->what);
}

static void add_services(struct pv_page *page, json_t *timeline)
{
	pv_autofree struct service *list = pv_xcalloc(json_object_size(timeline) + 1, sizeof(*list));
	const char *key;
	json_t *value;
	size_t n = 0;

	json_object_foreach(timeline, key, value)
		if (pv_starts(key, SERVICE) && pv_page_number(timeline, key) > 0)
			list[n++] = (struct service){ key, pv_page_number(timeline, key) };
	if (n == 0)
		return;
	qsort(list, n, sizeof(*list), slowest_first);
	pv_str_add(&page->html, "<h3>Services</h3>\n");
	begin_chart(page, "The slowest to start; they start side by side.", "Unit", "Beside the slowest");
	for (size_t i = 0; i < n && i < SERVICES_SHOWN; i++)
		add_row(page, list[i].what, list[i].what + strlen(SERVICE), 0, list[i].ms, list[0].ms);
	pv_str_add(&page->html, "</tbody>\n</table>\n");
}

/* --- checks --- */

static void add_checks(struct pv_page *page, const json_t *checks, bool green)
{
	pv_str_add(&page->html, "<table>\n");
	pv_html_head(&page->html, "Check|Result|Expected|Seen");
	pv_str_add(&page->html, "<tbody>\n");
	for (size_t i = 0; i < json_array_size(checks); i++) {
		const json_t *check = json_array_get(checks, i);
		const char *state = pv_page_text(check, "state");
		if (pv_streq(state, "green") != green)
			continue;
		const char *class = green ? "good" : pv_streq(state, "red") ? "bad" : "warn";
		pv_html_addf(&page->html, "<tr><th scope=\"row\">%s</th><td class=\"w %s\">%s</td><td>%s</td>"
			     "<td>%s</td></tr>\n", pv_page_text(check, "name"), class, state, pv_page_text(check, "expected"),
			     pv_page_text(check, "seen"));
	}
	pv_str_add(&page->html, "</tbody>\n</table>\n");
}

static void add_all_checks(struct pv_page *page)
{
	const json_t *checks = json_object_get(page->verdict, "checks");
	size_t n = json_array_size(checks), green = 0;

	for (size_t i = 0; i < n; i++)
		green += pv_streq(pv_page_text(json_array_get(checks, i), "state"), "green");
	if (n == 0)
		return;
	pv_str_add(&page->html, "<h3>Checks</h3>\n");
	if (green < n)
		add_checks(page, checks, false);
	if (green == 0)
		return;
	pv_autofree char *count = pv_fmt("%zu of %zu", green, n);
	pv_html_addf(&page->html, "<details><summary>Green: %s</summary>\n", count);
	add_checks(page, checks, true);
	pv_str_add(&page->html, "</details>\n");
}

/* --- what it rests on --- */

static void add_evidence(struct pv_page *page)
{
	const json_t *lines = json_object_get(page->verdict, "evidence");

	if (json_array_size(lines) == 0)
		return;
	pv_str_add(&page->html, "<details><summary>Evidence for the class</summary>\n<ul class=\"lines mono\">\n");
	for (size_t i = 0; i < json_array_size(lines); i++)
		pv_html_addf(&page->html, "<li>%s</li>\n", json_string_value(json_array_get(lines, i)));
	pv_str_add(&page->html, "</ul>\n</details>\n");
}

static void add_facts(struct pv_page *page, json_t *facts)
{
	const char *key;
	json_t *value;

	if (json_object_size(facts) == 0)
		return;
	pv_str_add(&page->html, "<details><summary>Driver and versions</summary>\n<table>\n");
	pv_html_head(&page->html, "What|Value");
	pv_str_add(&page->html, "<tbody>\n");
	json_object_foreach(facts, key, value)
		pv_html_addf(&page->html, "<tr><th scope=\"row\" class=\"w\">%s</th><td class=\"mono\">%s</td></tr>\n", key,
			     json_string_value(value));
	pv_str_add(&page->html, "</tbody>\n</table>\n</details>\n");
}

void pv_page_boot(struct pv_page *page)
{
	json_t *timeline = json_object_get(page->verdict, "timeline");
	json_t *facts = json_object_get(page->verdict, "driver_facts");
	bool emulated = pv_streq(pv_page_text(facts, "accelerator"), "tcg");

	if (!page->verdict)
		return;
	pv_html_addf(&page->html, "<section>\n<h2>Verification</h2>\n<p>Driver %s: %s.</p>\n<p class=\"dim\">Proves %s.",
		     pv_page_text(page->verdict, "driver"), pv_page_text(page->verdict, "driver_why"),
		     pv_page_text(page->verdict, "proves"));
	if (emulated)
		pv_str_add(&page->html, " Processors were emulated: the times are many times those of hardware.");
	pv_str_add(&page->html, "</p>\n");
	add_phases(page, timeline);
	add_services(page, timeline);
	add_all_checks(page);
	add_evidence(page);
	add_facts(page, facts);
	pv_str_add(&page->html, "</section>\n");
}
