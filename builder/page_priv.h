/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the page share. */
#ifndef PV_PAGE_PRIV_H
#define PV_PAGE_PRIV_H

#include <jansson.h>
#include <stdint.h>

#include "html.h"
#include "subject.h"

struct pv_page {
	json_t *report, *manifest, *verdict;	/* NULL: not there; report always is */
	struct pv_str html;
};

/* A member of an object: its text, or ""; its number, or 0 where it is none or below 0. */
const char *pv_page_text(const json_t *object, const char *key);
uint64_t pv_page_number(const json_t *object, const char *key);

/* <td class="n"> with a size or a time. */
void pv_page_size_cell(struct pv_page *page, uint64_t bytes);
void pv_page_time_cell(struct pv_page *page, uint64_t ms);
/* <td class="chart"> with a bar. */
void pv_page_bar_cell(struct pv_page *page, const char *class, uint64_t start, uint64_t part, uint64_t whole);

/* Of a table of times with rows by name: a column with what the last result had, its head for pv_html_head, and its
 * cells; `now` is what it had where nothing changed. "" and no cell where nothing is known. */
const char *pv_page_before_head(const struct pv_page *page, enum pv_subject_table table);
void pv_page_before_cell(struct pv_page *page, enum pv_subject_table table, const char *what, uint64_t now);

/* The sections; each leaves itself out where nothing is known. */
void pv_page_since(struct pv_page *page);
void pv_page_stages(struct pv_page *page);
void pv_page_bytes(struct pv_page *page);
void pv_page_boot(struct pv_page *page);

#endif
