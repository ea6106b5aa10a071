/* SPDX-License-Identifier: Apache-2.0 */
/* The page: stages of the build on a line of time, with what the cache had, and the programs that they ran. */
#include <string.h>

#include "page_priv.h"

/* What never comes from the cache: how it went is all there is to say. */
static bool is_cached_stage(const char *name)
{
	static const char *const never[] = { "plan", "restore", "verify", "formats" };

	for (size_t i = 0; i < PV_COUNT(never); i++)
		if (pv_streq(name, never[i]))
			return false;
	return true;
}

static const char *outcome(const char *name, const char *state)
{
	if (pv_streq(state, "failed"))
		return "failed";
	if (pv_streq(state, "skipped") || pv_streq(name, "reuse"))
		return "hit";
	return is_cached_stage(name) ? "miss" : "";
}

static uint64_t stages_time(const json_t *stages)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < json_array_size(stages); i++)
		sum += pv_page_number(json_array_get(stages, i), "wall_ms");
	return sum;
}

static void add_stage_rows(struct pv_page *page, const json_t *stages, uint64_t whole)
{
	uint64_t start = 0;

	for (size_t i = 0; i < json_array_size(stages); i++) {
		const json_t *stage = json_array_get(stages, i);
		const char *name = pv_page_text(stage, "name"), *state = pv_page_text(stage, "state");
		const char *word = outcome(name, state);
		uint64_t ms = pv_page_number(stage, "wall_ms");
		bool failed = pv_streq(word, "failed");
		pv_html_addf(&page->html, "<tr><th scope=\"row\" class=\"w\">%s</th><td class=\"w %s\">%s</td>", name,
			     failed ? "bad" : pv_streq(word, "hit") ? "good" : "dim", word);
		if (pv_streq(state, "skipped"))
			pv_str_add(&page->html, "<td class=\"n dim\">\xe2\x80\x93</td>");
		else
			pv_page_time_cell(page, ms);
		pv_page_before_cell(page, PV_SUBJECT_STAGES, name, ms);
		pv_page_bar_cell(page, failed ? "bad" : *word ? word : "none", start, ms, whole);
		pv_str_add(&page->html, "</tr>\n");
		start += ms;
	}
}

static void add_program_row(struct pv_page *page, const json_t *child)
{
	json_t *code = json_object_get(child, "exit");
	unsigned long long by_signal = pv_page_number(child, "signal");
	pv_autofree char *fate = json_is_integer(code) ? pv_fmt("exit %lld", (long long)json_integer_value(code))
						       : pv_fmt("signal %llu", by_signal);
	bool good = json_is_integer(code) && json_integer_value(code) == 0;

	pv_html_addf(&page->html, "<tr><th scope=\"row\" class=\"mono\">%s</th><td>%s</td><td class=\"w %s\">%s%s</td>",
		     pv_page_text(child, "argv0"), pv_page_text(child, "stage"), good ? "dim" : "bad", fate,
		     json_is_true(json_object_get(child, "timed_out")) ? ", out of time" : "");
	pv_page_time_cell(page, pv_page_number(child, "wall_ms"));
	pv_page_size_cell(page, pv_page_number(child, "max_rss_kib") * 1024);
	pv_str_add(&page->html, "</tr>\n");
}

static void add_programs(struct pv_page *page)
{
	const json_t *children = json_object_get(page->report, "children");
	size_t n = json_array_size(children);
	pv_autofree char *count = pv_fmt("%zu", n);

	if (n == 0)
		return;
	pv_html_addf(&page->html, "<details><summary>Programs that were run (%s)</summary>\n<table>\n", count);
	pv_html_head(&page->html, "Program|Stage|Ended|>Time|>Memory");
	pv_str_add(&page->html, "<tbody>\n");
	for (size_t i = 0; i < n; i++)
		add_program_row(page, json_array_get(children, i));
	pv_str_add(&page->html, "</tbody>\n</table>\n</details>\n");
}

void pv_page_stages(struct pv_page *page)
{
	const json_t *stages = json_object_get(page->report, "stages");
	uint64_t sum = stages_time(stages), wall = pv_page_number(page->report, "wall_ms");

	if (json_array_size(stages) == 0)
		return;
	pv_autofree char *head = pv_fmt("Stage|Cache|>Time%s|When", pv_page_before_head(page, PV_SUBJECT_STAGES));
	pv_str_add(&page->html, "<section>\n<h2>Stages of the build</h2>\n<table>\n"
		   "<caption>Hit: taken from the cache. Miss: made by this run.</caption>\n");
	pv_html_head(&page->html, head);
	pv_str_add(&page->html, "<tbody>\n");
	add_stage_rows(page, stages, sum > wall ? sum : wall);
	pv_str_add(&page->html, "</tbody>\n<tfoot><tr><th scope=\"row\" class=\"w\">" PV_SUBJECT_WHOLE_BUILD
		   "</th><td></td>");
	pv_page_time_cell(page, wall);
	pv_page_before_cell(page, PV_SUBJECT_STAGES, PV_SUBJECT_WHOLE_BUILD, wall);
	pv_str_add(&page->html, "<td></td></tr></tfoot>\n</table>\n");
	add_programs(page);
	pv_str_add(&page->html, "</section>\n");
}
