/* SPDX-License-Identifier: Apache-2.0 */
/* Id maps as values: the subordinate id files, /proc's maps, and where root's ids go. */
#include "ns_map.h"

#include <stdlib.h>
#include <string.h>

#include "text.h"

/* (uid_t)-1 is no id, so the highest is one below. */
#define ID_END ((uint64_t)UINT32_MAX)

static bool subid_line(const char *line, size_t len, const char *name, uint32_t id, uint32_t *ret_base)
{
	pv_autofree char *copy = pv_xstrndup(line, len);
	pv_autofree char *number = pv_fmt("%u", id);
	char *first = strchr(copy, ':');
	uint64_t base, n;

	if (!first)
		return false;
	*first++ = '\0';
	char *count = strchr(first, ':');
	if (!count)
		return false;
	*count++ = '\0';
	if (!pv_streq(copy, number) && (!name || !pv_streq(copy, name)))
		return false;
	if (pv_parse_u64(first, 1, ID_END - PV_NS_IDS, &base) < 0 ||
	    pv_parse_u64(count, PV_NS_IDS, ID_END, &n) < 0)
		return false;
	*ret_base = (uint32_t)base;
	return true;
}

int pv_ns_subid_parse(const char *text, const char *name, uint32_t id, uint32_t *ret_base)
{
	while (*text) {
		size_t len = strcspn(text, "\n");
		if (subid_line(text, len, name, id, ret_base))
			return 0;
		text += len;
		text += *text == '\n';
	}
	return -1;
}

/* One decimal number after spaces; NULL when there is none. */
static const char *take_id(const char *p, uint32_t *ret)
{
	uint64_t n = 0;

	p += strspn(p, " \t");
	if (*p < '0' || *p > '9')
		return NULL;
	for (; *p >= '0' && *p <= '9'; p++) {
		n = n * 10 + (uint64_t)(*p - '0');
		if (n > ID_END)
			return NULL;
	}
	*ret = (uint32_t)n;
	return p;
}

int pv_ns_map_parse(const char *text, struct pv_ns_extent *ret, size_t max)
{
	size_t n = 0;

	while (*text) {
		struct pv_ns_extent e = { 0, 0, 0 };
		const char *p = take_id(text, &e.inner);
		if (p)
			p = take_id(p, &e.outer);
		if (p)
			p = take_id(p, &e.count);
		if (!p || *p != '\n' || e.count == 0 || n == max || (uint64_t)e.inner + e.count > ID_END ||
		    (uint64_t)e.outer + e.count > ID_END)
			return -1;
		ret[n++] = e;
		text = p + 1;
	}
	return (int)n;
}

static bool holds_range(const struct pv_ns_extent *e, uint64_t base)
{
	return base >= e->inner && base + PV_NS_IDS <= (uint64_t)e->inner + e->count;
}

static int by_inner(const void *a, const void *b)
{
	const struct pv_ns_extent *x = a, *y = b;

	return x->inner < y->inner ? -1 : x->inner > y->inner;
}

int pv_ns_root_base(const struct pv_ns_extent *have, size_t nhave, uint32_t *ret_base)
{
	uint64_t best = 0;

	for (size_t i = 0; i < nhave; i++) {
		uint64_t end = (uint64_t)have[i].inner + have[i].count;
		if (holds_range(&have[i], PV_NS_ROOT_BASE)) {
			*ret_base = PV_NS_ROOT_BASE;
			return 0;
		}
		if (have[i].count >= PV_NS_IDS && end - PV_NS_IDS > best)
			best = end - PV_NS_IDS;
	}
	if (best == 0)
		return -1;
	*ret_base = (uint32_t)best;
	return 0;
}

/* Adds the ids [from, to) to the map, after those that are there. */
static int add_piece(uint64_t from, uint64_t to, struct pv_ns_extent *map, size_t *n, size_t max)
{
	uint64_t next = (uint64_t)map[*n - 1].inner + map[*n - 1].count;

	if (from >= to)
		return 0;
	if (*n == max || next + (to - from) > ID_END)
		return -1;
	map[(*n)++] = (struct pv_ns_extent){ (uint32_t)next, (uint32_t)from, (uint32_t)(to - from) };
	return 0;
}

int pv_ns_root_map(const struct pv_ns_extent *have, size_t nhave, uint32_t base, struct pv_ns_extent *ret, size_t max)
{
	struct pv_ns_extent sorted[PV_NS_MAX_EXTENTS];
	uint64_t base_end = (uint64_t)base + PV_NS_IDS;
	bool placed = false;
	size_t n = 1;

	if (nhave == 0 || nhave > PV_NS_MAX_EXTENTS || max == 0 || base == 0)
		return -1;
	memcpy(sorted, have, nhave * sizeof(*have));
	qsort(sorted, nhave, sizeof(*sorted), by_inner);
	if (sorted[0].inner != 0)
		return -1;
	ret[0] = (struct pv_ns_extent){ 0, base, PV_NS_IDS };
	for (size_t i = 0; i < nhave; i++) {
		uint64_t from = sorted[i].inner, to = from + sorted[i].count;
		bool here = holds_range(&sorted[i], base);
		placed = placed || here;
		if (add_piece(from, here ? base : to, ret, &n, max) < 0 ||
		    (here && add_piece(base_end, to, ret, &n, max) < 0))
			return -1;
	}
	return placed ? (int)n : -1;
}
