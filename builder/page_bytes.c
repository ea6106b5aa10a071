/* SPDX-License-Identifier: Apache-2.0 */
/* The page: where the image's bytes go, by folder and by package. */
#include <stdlib.h>
#include <string.h>

#include "page_priv.h"

#define FOLDERS_FROM 100u		/* a folder is shown from this part of the whole on: a hundredth */
#define PACKAGES_SHOWN 20u

/* --- folders --- */

/* "/usr/lib" is in "/usr": 1; the root and its children are 0. */
static unsigned depth_of(const char *path)
{
	unsigned depth = 0;

	for (const char *c = path + (*path != '\0'); *c; c++)
		depth += *c == '/';
	return depth;
}

static void add_folders(struct pv_page *page)
{
	static const char *const indents[] = { "", "in1", "in2" };
	const json_t *folders = json_object_get(page->report, "folders");
	uint64_t whole = pv_page_number(json_array_get(folders, 0), "bytes");
	size_t n = json_array_size(folders);

	if (whole == 0)
		return;
	pv_str_add(&page->html, "<h3>By folder</h3>\n<table>\n<caption>Files in the root file system, in whole blocks; "
		   "folders with a hundredth or more of it.</caption>\n");
	pv_html_head(&page->html, "Folder|>Size|Part of all");
	pv_str_add(&page->html, "<tbody>\n");
	for (size_t i = 1; i < n; i++) {
		const json_t *folder = json_array_get(folders, i);
		const char *path = pv_page_text(folder, "path");
		uint64_t bytes = pv_page_number(folder, "bytes");
		unsigned depth = depth_of(path);
		if (bytes < whole / FOLDERS_FROM)
			continue;
		pv_html_addf(&page->html, "<tr><th scope=\"row\" class=\"mono %s\">%s</th>",
			     indents[depth < PV_COUNT(indents) ? depth : PV_COUNT(indents) - 1], path);
		pv_page_size_cell(page, bytes);
		pv_page_bar_cell(page, depth ? "hit" : "all", 0, bytes, whole);
		pv_str_add(&page->html, "</tr>\n");
	}
	pv_str_add(&page->html, "</tbody>\n<tfoot><tr><th scope=\"row\">all</th>");
	pv_page_size_cell(page, whole);
	pv_str_add(&page->html, "<td></td></tr></tfoot>\n</table>\n");
}

/* --- packages --- */

static uint64_t size_of(const json_t *package)
{
	return pv_page_number(package, "installed_size");
}

static int by_size(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;

	if (size_of(x) != size_of(y))
		return size_of(x) < size_of(y) ? 1 : -1;
	return strcmp(pv_page_text(x, "name"), pv_page_text(y, "name"));
}

/* Borrowed ones. The caller frees the list. */
static json_t **sorted(const json_t *packages, size_t n, uint64_t *ret_whole)
{
	json_t **list = pv_xcalloc(n + 1, sizeof(json_t *));

	*ret_whole = 0;
	for (size_t i = 0; i < n; i++) {
		list[i] = json_array_get(packages, i);
		*ret_whole += size_of(list[i]);
	}
	if (n)
		qsort(list, n, sizeof(json_t *), by_size);
	return list;
}

static void add_package(struct pv_page *page, const json_t *package)
{
	pv_html_addf(&page->html, "<tr><th scope=\"row\">%s</th><td class=\"mono opt\">%s</td>",
		     pv_page_text(package, "name"), pv_page_text(package, "version"));
	pv_page_size_cell(page, size_of(package));
}

static void add_packages(struct pv_page *page)
{
	const json_t *packages = json_object_get(page->manifest, "packages");
	size_t n = json_array_size(packages), shown = n < PACKAGES_SHOWN ? n : PACKAGES_SHOWN;
	uint64_t whole;

	if (n == 0)
		return;
	pv_autofree json_t **list = sorted(packages, n, &whole);
	pv_autofree char *size = pv_size_text(whole), *count = pv_fmt("%zu", n), *rest = pv_fmt("%zu", n - shown);
	pv_html_addf(&page->html, "<h3>By package</h3>\n<p class=\"dim\">%s packages that say they take %s in all.</p>\n",
		     count, size);
	pv_str_add(&page->html, "<table>\n");
	pv_html_head(&page->html, "Package|?Version|>Installed|Part of all");
	pv_str_add(&page->html, "<tbody>\n");
	for (size_t i = 0; i < shown; i++) {
		add_package(page, list[i]);
		pv_page_bar_cell(page, "all", 0, size_of(list[i]), whole);
		pv_str_add(&page->html, "</tr>\n");
	}
	pv_str_add(&page->html, "</tbody>\n</table>\n");
	if (shown == n)
		return;
	pv_html_addf(&page->html, "<details><summary>The other %s packages</summary>\n<table>\n", rest);
	pv_html_head(&page->html, "Package|?Version|>Installed|>Download");
	pv_str_add(&page->html, "<tbody>\n");
	for (size_t i = shown; i < n; i++) {
		add_package(page, list[i]);
		pv_page_size_cell(page, pv_page_number(list[i], "size"));
		pv_str_add(&page->html, "</tr>\n");
	}
	pv_str_add(&page->html, "</tbody>\n</table>\n</details>\n");
}

void pv_page_bytes(struct pv_page *page)
{
	if (!json_array_size(json_object_get(page->report, "folders")) &&
	    !json_array_size(json_object_get(page->manifest, "packages")))
		return;
	pv_str_add(&page->html, "<section>\n<h2>Where the bytes go</h2>\n");
	add_folders(page);
	add_packages(page);
	pv_str_add(&page->html, "</section>\n");
}
