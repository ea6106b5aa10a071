/* SPDX-License-Identifier: Apache-2.0 */
/* The comparison for people: a table of what was measured, the four ways side by side. */
#include <string.h>

#include "compare.h"

#define CELL_MAX 24u			/* columns of a value; the rest is in compare.json */

/* Terminal columns: a UTF-8 character is one. */
static size_t columns(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

/* The caller frees. */
static char *cell(const char *value)
{
	size_t len = 0, n = 0;

	if (!value)
		return pv_xstrdup("-");
	if (columns(value) <= CELL_MAX)
		return pv_xstrdup(value);
	while (n < CELL_MAX - 3) {
		len++;
		while (((unsigned char)value[len] & 0xc0) == 0x80)
			len++;
		n++;
	}
	return pv_fmt("%.*s...", (int)len, value);
}

static void add_padded(struct pv_str *out, const char *text, size_t width, bool right)
{
	size_t n = columns(text);
	int pad = n < width ? (int)(width - n) : 0;

	pv_str_addf(out, "%*s%s%*s", right ? pad : 0, "", text, right ? 0 : pad, "");
}

static char *label(const struct pv_metric *m)
{
	if (!m->unit || strstr(m->name, m->unit))
		return pv_xstrdup(m->name);
	return pv_fmt("%s (%s)", m->name, m->unit);
}

struct widths {
	size_t name, way[PV_COMPARE_WAYS];
};

static void measure_widths(const struct pv_compare *c, struct widths *w)
{
	*w = (struct widths){ 0 };
	for (size_t k = 0; k < PV_COMPARE_WAYS; k++)
		w->way[k] = strlen(pv_compare_way_name(k));
	for (size_t i = 0; i < c->nmetrics; i++) {
		pv_autofree char *name = label(&c->metrics[i]);
		w->name = columns(name) > w->name ? columns(name) : w->name;
		for (size_t k = 0; k < PV_COMPARE_WAYS; k++) {
			pv_autofree char *value = cell(c->metrics[i].values[k]);
			w->way[k] = columns(value) > w->way[k] ? columns(value) : w->way[k];
		}
	}
}

static void add_head(struct pv_str *out, const struct pv_compare *c)
{
	pv_autofree char *image = pv_printable(c->image, strlen(c->image));
	const char *sha256 = pv_compare_of_run(c, "run.image_sha256"), *format = pv_compare_of_run(c, "run.format");
	const char *driver = pv_compare_of_run(c, "run.driver"), *accel = pv_compare_of_run(c, "driver.accelerator");
	const char *memory = pv_compare_of_run(c, "run.memory"), *vcpus = pv_compare_of_run(c, "run.vcpus");
	uint64_t bytes = 0;

	if (memory && pv_parse_u64(memory, 0, INT64_MAX, &bytes) < 0)
		bytes = 0;
	pv_autofree char *size = pv_size_text(bytes);
	pv_str_addf(out, "  image   %s (%s, sha256 %.12s...)\n", image, format ? format : "?", sha256 ? sha256 : "?");
	pv_str_addf(out, "  guest   %s, vcpus: %s\n", size, vcpus ? vcpus : "?");
	pv_str_addf(out, "  driver  %s%s%s\n", driver ? driver : "?", accel ? ", accelerator " : "",
		    accel ? accel : "");
	if (c->emulated)
		pv_str_add(out, "  The processors are emulated: the counts are the result, "
			   "times say nothing about Xen.\n");
}

static void add_row(struct pv_str *out, const struct pv_compare *c, const struct pv_metric *m,
		    const struct widths *w)
{
	pv_autofree char *name = label(m);

	pv_str_add(out, "  ");
	add_padded(out, name, w->name, false);
	for (size_t k = 0; k < PV_COMPARE_WAYS; k++) {
		pv_autofree char *value = cell(m->values[k]);
		pv_str_add(out, "  ");
		add_padded(out, value, w->way[k], true);
	}
	if (m->kind == PV_METRIC_TIME && c->emulated)
		pv_str_add(out, "  " PV_COMPARE_NOTE);
	pv_str_addc(out, '\n');
}

char *pv_compare_text(const struct pv_compare *c)
{
	struct pv_str out = PV_STR_INIT;
	struct widths w;
	const char *group = NULL;

	measure_widths(c, &w);
	add_head(&out, c);
	pv_str_add(&out, "\n  ");
	add_padded(&out, "", w.name, false);
	for (size_t k = 0; k < PV_COMPARE_WAYS; k++) {
		pv_str_add(&out, "  ");
		add_padded(&out, pv_compare_way_name(k), w.way[k], true);
	}
	pv_str_addc(&out, '\n');
	for (size_t i = 0; i < c->nmetrics; i++) {
		if (!pv_streq(group, c->metrics[i].group))
			pv_str_addf(&out, "%s\n", c->metrics[i].group);
		group = c->metrics[i].group;
		add_row(&out, c, &c->metrics[i], &w);
	}
	for (size_t k = 0, n = 0; k < PV_COMPARE_WAYS; k++) {
		const struct pv_compare_way *way = &c->ways[k];
		if (!way->cause || (way->judged && way->class != PV_CLASS_NOT_BOOTED))
			continue;
		pv_str_addf(&out, "%s%s: %s: %s\n", n++ ? "" : "\n", pv_compare_way_name(k),
			    way->judged ? pv_class_name(way->class) : "could not be tried", way->cause);
	}
	return pv_str_steal(&out);
}
