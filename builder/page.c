/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the records, writes the head of the page, has the sections written, and the files' digests at the end. */
#include "page.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fsutil.h"
#include "page_priv.h"
#include "subject.h"

const char *pv_page_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

uint64_t pv_page_number(const json_t *object, const char *key)
{
	json_int_t number = json_integer_value(json_object_get(object, key));

	return number > 0 ? (uint64_t)number : 0;
}

void pv_page_size_cell(struct pv_page *page, uint64_t bytes)
{
	pv_autofree char *text = pv_size_text(bytes);

	pv_html_addf(&page->html, "<td class=\"n\">%s</td>", text);
}

void pv_page_time_cell(struct pv_page *page, uint64_t ms)
{
	pv_autofree char *text = pv_ms_text(ms);

	pv_html_addf(&page->html, "<td class=\"n\">%s</td>", text);
}

void pv_page_bar_cell(struct pv_page *page, const char *class, uint64_t start, uint64_t part, uint64_t whole)
{
	pv_str_add(&page->html, "<td class=\"chart\">");
	pv_html_bar(&page->html, class, start, part, whole);
	pv_str_add(&page->html, "</td>");
}

/* --- the head --- */

static void fact(struct pv_page *page, const char *name, const char *value)
{
	if (value && *value)
		pv_html_addf(&page->html, "<div><dt>%s</dt><dd>%s</dd></div>\n", name, value);
}

static void number_facts(struct pv_page *page)
{
	size_t n = json_array_size(json_object_get(page->manifest, "packages"));
	uint64_t disk = pv_page_number(page->manifest, "disk_size");
	uint64_t peak = pv_page_number(page->report, "self_max_rss_kib");
	uint64_t downloaded = pv_page_number(json_object_get(page->report, "numbers"), "downloaded_bytes");
	pv_autofree char *packages = n ? pv_fmt("%zu", n) : NULL, *size = disk ? pv_size_text(disk) : NULL;
	pv_autofree char *memory = peak ? pv_size_text(peak * 1024) : NULL;
	pv_autofree char *loaded = downloaded ? pv_size_text(downloaded) : NULL;
	pv_autofree char *took = pv_ms_text(pv_page_number(page->report, "wall_ms"));

	fact(page, "Disk", size);
	fact(page, "Packages", packages);
	fact(page, "Build took", took);
	fact(page, "Downloaded", loaded);
	fact(page, "Peak memory of pvimg", memory);
}

/* The newest date of the archive's suites, not the time of the build. */
static char *epoch_text(const json_t *report)
{
	time_t epoch = (time_t)pv_page_number(report, "epoch");
	struct tm tm;
	char text[64];

	if (epoch == 0 || !gmtime_r(&epoch, &tm) || strftime(text, sizeof(text), "%Y-%m-%d %H:%M UTC", &tm) == 0)
		return NULL;
	return pv_xstrdup(text);
}

static void add_verdict(struct pv_page *page)
{
	struct pv_str *html = &page->html;

	if (!page->verdict) {
		const char *words = pv_page_text(page->report, "verified");
		pv_html_addf(html, "<p class=\"verdict %s\">%s</p>\n", pv_streq(words, "not "
			     "verified") ? "warn" : "", words);
		return;
	}
	bool green = json_is_true(json_object_get(page->verdict, "green"));
	const char *cause = pv_page_text(page->verdict, "cause");
	pv_html_addf(html, "<p class=\"verdict %s\">%s, %s%s%s</p>\n", green ? "good" : "bad",
		     pv_page_text(page->verdict, "class"), green ? "green" : "not green", *cause ? ": " : "", cause);
}

static void add_head(struct pv_page *page)
{
	struct pv_str *html = &page->html;
	const json_t *error = json_object_get(page->report, "error");
	const json_t *findings = json_object_get(page->report, "findings");
	pv_autofree char *epoch = epoch_text(page->report);

	pv_html_addf(html, "<h1>%s</h1>\n<p class=\"dim\">%s %s %s</p>\n", pv_page_text(page->report, "name"),
		     pv_page_text(page->manifest, "distribution"), pv_page_text(page->manifest, "suite"),
		     pv_page_text(page->manifest, "architecture"));
	if (json_is_object(error))
		pv_html_addf(html, "<p class=\"verdict bad\">The build failed: %s</p>\n", pv_page_text(error, "text"));
	else
		add_verdict(page);
	if (pv_streq(pv_page_text(page->report, "archive"), "stand-in"))
		pv_str_add(html, "<p class=\"warn\">The packages came from an archive that tests made.</p>\n");
	for (size_t i = 0; i < json_array_size(findings); i++)
		pv_html_addf(html, "<p class=\"warn\">%s</p>\n", json_string_value(json_array_get(findings, i)));
	pv_str_add(html, "<dl>\n");
	number_facts(page);
	fact(page, "Archive as of", epoch);
	pv_str_add(html, "</dl>\n");
}

/* --- the end --- */

static void add_files(struct pv_page *page)
{
	const json_t *files = json_object_get(page->report, "artifacts");

	if (json_array_size(files) == 0)
		return;
	pv_str_add(&page->html, "<section>\n<h2>Files</h2>\n<table>\n"
		   "<caption>A disk's digest is over the SHA-256 of each of its MiB.</caption>\n");
	pv_html_head(&page->html, "File|>Size|SHA-256");
	pv_str_add(&page->html, "<tbody>\n");
	for (size_t i = 0; i < json_array_size(files); i++) {
		const json_t *file = json_array_get(files, i);
		const char *chunks = pv_page_text(file, "chunks_sha256");
		pv_html_addf(&page->html, "<tr><th scope=\"row\">%s</th>", pv_page_text(file, "file"));
		pv_page_size_cell(page, pv_page_number(file, "size"));
		pv_html_addf(&page->html, "<td class=\"mono\">%s%s</td></tr>\n",
			     *chunks ? chunks : pv_page_text(file, "sha256"), *chunks ? " (of chunks)" : "");
	}
	pv_str_add(&page->html, "</tbody>\n</table>\n</section>\n");
}

static char *page_of(struct pv_page *page)
{
	pv_autofree char *title = pv_fmt("%s: build report", pv_page_text(page->report, "name"));

	pv_html_begin(&page->html, title);
	pv_str_add(&page->html, "<header>\n");
	add_head(page);
	pv_str_add(&page->html, "</header>\n");
	pv_page_since(page);
	pv_page_stages(page);
	pv_page_boot(page);
	pv_page_bytes(page);
	add_files(page);
	pv_html_addf(&page->html, "<footer>Made by pvimg %s of report.json, manifest.json and verdict.json beside it. "
		     "A record of one run, not an artifact.</footer>\n", pv_page_text(page->report, "pvimg"));
	pv_html_end(&page->html);
	return pv_str_steal(&page->html);
}

int pv_page_write(const char *dir, struct pv_error *err)
{
	struct pv_page page = {
		.report = pv_subject_record(dir, "report.json", "pvimg.report/1"),
		.manifest = pv_subject_record(dir, "manifest.json", "pvimg.manifest/1"),
		.verdict = pv_subject_record(dir, "verdict.json", "pvimg.verdict/1"),
	};
	pv_autofree char *path = pv_path_join(dir, "report.html");
	int rc;

	if (page.report) {
		pv_autofree char *html = page_of(&page);
		rc = pv_write_file(path, html, strlen(html), 0644, err);
	} else {
		rc = pv_error_set(err, PV_ERR_STAGE, "%s: there is no report.json to make it of", path);
	}
	json_decref(page.report);
	json_decref(page.manifest);
	json_decref(page.verdict);
	return rc;
}
