/* SPDX-License-Identifier: Apache-2.0 */
/* Writing HTML: whatever comes from outside is text, and cannot become markup. */
#ifndef PV_HTML_H
#define PV_HTML_H

#include <stdint.h>

#include "error.h"
#include "text.h"

/* Escaped for an element's text and for an attribute in quotes; what is not printable becomes '?'. NULL is "". */
void pv_html_text(struct pv_str *html, const char *text);

/* The format is markup, of this program's own; it may have %s, each escaped as above, and nothing else of printf's. */
void pv_html_addf(struct pv_str *html, const char *fmt, ...) PV_PRINTF(2, 3);

/* A bar of a chart: from `start`, `part` of `whole` long, drawn as a span of class "bar "
	"CLASS"; at least a hair wide when part is
 * not 0. It says nothing to who cannot see it: the numbers stand beside it. */
void pv_html_bar(struct pv_str *html, const char *class, uint64_t start, uint64_t part, uint64_t whole);

/* The head of a table: "Stage|Cache|>Time|When"; '>' is before a column of numbers, '?' before one that narrow pages
 * leave out. */
void pv_html_head(struct pv_str *html, const char *columns);

/* From the doctype to the open <main>, and the end. The page loads nothing, runs nothing, and follows the reader's
 * choice of light or dark. */
void pv_html_begin(struct pv_str *html, const char *title);
void pv_html_end(struct pv_str *html);

#endif
