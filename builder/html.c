/* SPDX-License-Identifier: Apache-2.0 */
/* Markup, escaping, bars, and the one style sheet. */
#include "html.h"

#include <stdlib.h>
#include <string.h>

/* Colours have a contrast of 4.5 or more on their ground, text of 7 (WCAG 2.1, 1.4.3 and 1.4.6). */
static const char style[] =
	":root{color-scheme:light dark;--bg:#fff;--fg:#1c2126;--dim:#55606b;--line:#d9dee3;--bar:#3f6f9f;"
	"--hit:#8a97a4;--good:#1a6b3a;--bad:#a8201a;--warn:#7a5200}\n"
	"@media(prefers-color-scheme:dark){:root{--bg:#14171a;--fg:#e4e8eb;--dim:#a3adb7;--line:#333a41;"
	"--bar:#6c9fd2;--hit:#66727e;--good:#6cc48c;--bad:#ff8a80;--warn:#e0b050}}\n"
	"*{box-sizing:border-box}\n"
	"body{margin:0;background:var(--bg);color:var(--fg);font:15px/1.45 system-ui,-apple-system,'Segoe UI',Roboto,"
	"'Liberation Sans',sans-serif;font-variant-numeric:tabular-nums}\n"
	"main{max-width:66rem;margin:0 auto;padding:1.5rem 1rem 3rem}\n"
	"h1{font-size:1.6rem;line-height:1.2;margin:0 0 .15rem;overflow-wrap:anywhere}\n"
	"h2{font-size:1.1rem;margin:2.4rem 0 .6rem;padding-bottom:.3rem;border-bottom:1px solid var(--line)}\n"
	"h3{font-size:.95rem;margin:1.3rem 0 .4rem}h3::first-letter{text-transform:uppercase}\n"
	"p{margin:.35rem 0;max-width:46rem}\n"
	".dim{color:var(--dim)}.good{color:var(--good)}.bad{color:var(--bad)}.warn{color:var(--warn)}\n"
	".verdict{font-weight:600;font-size:1.05rem;margin:.6rem 0}\n"
	"dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(10.5rem,1fr));gap:.7rem 1.2rem;"
	"margin:1rem 0 0}\n"
	"dl div{min-width:0}dt{color:var(--dim);font-size:.82rem}dd{margin:0;font-weight:600;overflow-wrap:anywhere}\n"
	"table{border-collapse:collapse;width:100%}\n"
	"caption{text-align:left;color:var(--dim);font-size:.85rem;padding-bottom:.35rem}\n"
	"th,td{text-align:left;vertical-align:top;padding:.22rem .9rem .22rem 0;border-bottom:1px solid var(--line);"
	"font-weight:400;overflow-wrap:anywhere}\n"
	"th:last-child,td:last-child{padding-right:0}\n"
	"thead th{color:var(--dim);font-size:.82rem;white-space:nowrap}\n"
	"tfoot th,tfoot td{font-weight:600;border-bottom:0}\n"
	"th.n,td.n{text-align:right;white-space:nowrap;overflow-wrap:normal}\n"
	"td.w,th.w{white-space:nowrap;overflow-wrap:normal}\n"
	"td.chart{width:45%;padding-top:.5rem}\n"
	".bar{display:block;height:.7rem;min-width:2px;border-radius:1px;background:var(--bar)}\n"
	".bar.hit{background:var(--hit)}.bar.bad{background:var(--bad)}\n"
	".mono{font-family:ui-monospace,'Liberation Mono',Menlo,Consolas,monospace;font-size:.88em}\n"
	"ul.lines{list-style:none;margin:.4rem 0;padding:0}ul.lines li{padding:.1rem 0;overflow-wrap:anywhere}\n"
	"details{margin:.7rem 0}summary{cursor:pointer;color:var(--dim)}details[open] summary{margin-bottom:.4rem}\n"
	"summary:focus-visible{outline:2px solid var(--bar);outline-offset:2px}\n"
	"table.since{table-layout:fixed}.since th:first-child{width:34%}.since th:last-child{width:16%}\n"
	".in1{padding-left:1.1rem}.in2{padding-left:2.2rem}\n"
	"footer{margin-top:3rem;color:var(--dim);font-size:.82rem}\n"
	"@media(max-width:40rem){main{padding:1rem .8rem 2rem}body{font-size:14px}td.chart{width:26%}"
	"thead th{white-space:normal}"
	"th,td{padding-right:.6rem}.in1{padding-left:.6rem}.in2{padding-left:1.2rem}.opt{display:none}"
	".since th:first-child{width:31%}.since th:last-child{width:21%}}\n";


static void escape(struct pv_str *html, const char *text)
{
	for (const char *c = text; *c; c++) {
		switch (*c) {
		case '&':
			pv_str_add(html, "&amp;");
			break;
		case '<':
			pv_str_add(html, "&lt;");
			break;
		case '>':
			pv_str_add(html, "&gt;");
			break;
		case '"':
			pv_str_add(html, "&quot;");
			break;
		case '\'':
			pv_str_add(html, "&#39;");
			break;
		default:
			pv_str_addc(html, *c);
		}
	}
}

void pv_html_text(struct pv_str *html, const char *text)
{
	if (!text)
		return;
	pv_autofree char *clean = pv_printable(text, strlen(text));
	escape(html, clean);
}

void pv_html_addf(struct pv_str *html, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	for (const char *hole; (hole = strstr(fmt, "%s")); fmt = hole + 2) {
		pv_str_addn(html, fmt, (size_t)(hole - fmt));
		pv_html_text(html, va_arg(ap, const char *));
	}
	va_end(ap);
	pv_str_add(html, fmt);
}

/* In hundredths of a percent, so that the text is the same in every locale. */
static void add_percent(struct pv_str *html, const char *property, uint64_t part, uint64_t whole)
{
	uint64_t hundredths = (uint64_t)((double)part / (double)whole * 10000);

	pv_str_addf(html, "%s:%llu.%02llu%%", property, (unsigned long long)(hundredths / 100),
		    (unsigned long long)(hundredths % 100));
}

void pv_html_bar(struct pv_str *html, const char *class, uint64_t start, uint64_t part, uint64_t whole)
{
	if (part == 0 || whole == 0)
		return;
	if (start > whole)
		start = whole;
	if (part > whole - start)
		part = whole - start;
	pv_html_addf(html, "<span class=\"bar %s\" aria-hidden=\"true\" style=\"", class);
	add_percent(html, "margin-left", start, whole);
	add_percent(html, ";width", part, whole);
	pv_str_add(html, "\"></span>");
}

void pv_html_head(struct pv_str *html, const char *columns)
{
	pv_str_add(html, "<thead><tr>");
	for (const char *c = columns; *c; ) {
		size_t len = strcspn(c, "|");
		const char *class = *c == '>' ? "n" : *c == '?' ? "opt" : "";
		pv_autofree char *name = pv_xstrndup(*class ? c + 1 : c, *class ? len - 1 : len);
		pv_html_addf(html, "<th scope=\"col\" class=\"%s\">%s</th>", class, name);
		c += len + (c[len] == '|');
	}
	pv_str_add(html, "</tr></thead>\n");
}

void pv_html_begin(struct pv_str *html, const char *title)
{
	pv_html_addf(html, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		     "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
		     "style-src 'unsafe-inline'\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
		     "<title>%s</title>\n", title);
	pv_str_add(html, "<style>\n");
	pv_str_add(html, style);
	pv_str_add(html, "</style>\n</head>\n<body>\n<main>\n");
}

void pv_html_end(struct pv_str *html)
{
	pv_str_add(html, "</main>\n</body>\n</html>\n");
}
