/* SPDX-License-Identifier: Apache-2.0 */
/* One streaming pass over all indexes: existence of names, and a graph of dependencies small enough to keep. */
#include "survey.h"

#include <stdlib.h>
#include <string.h>

struct node {
	uint64_t name;
	uint32_t first, n;		/* in graph.deps */
	bool release_suite;
	bool taken;			/* of the first node of a name: the whole name */
};

/* Who provides what. */
struct provider {
	uint64_t name;			/* provided */
	uint64_t package;
};

/* In graph.deps the lowest bit of a hash says: first alternative. */
#define FIRST 1u
#define NAME(dep) ((dep) & ~(uint64_t)FIRST)

struct graph {
	struct node *nodes;
	size_t nnodes, nodes_cap;
	uint64_t *deps;
	size_t ndeps, deps_cap;
	struct provider *providers;
	size_t nproviders, providers_cap;
};

struct hashes {
	uint64_t *v;
	size_t n, cap;
};

struct pass {
	struct graph graph;
	struct pv_survey survey;
	struct hashes roots;
	const struct pv_strv *wanted;
	const char *package;		/* of the stanza at hand */
	bool release_suite;
};

/* FNV-1a, 64 bits, the lowest one cleared. */
static uint64_t hash_name(const char *name, size_t len)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)name[i]) * 0x100000001b3u;
	return NAME(hash);
}

/* Makes room for one more. */
#define GROW(v, n, cap) do { \
	if ((n) == (cap)) { \
		(cap) = (cap) ? (cap) * 2 : 1024; \
		(v) = pv_xreallocarray((v), (cap), sizeof(*(v))); \
	} \
} while (0)

void pv_survey_done(struct pv_survey *s)
{
	pv_freep(&s->base);
	pv_freep(&s->reach);
	pv_freep(&s->found);
	s->nbase = s->nreach = 0;
}

ptrdiff_t pv_survey_find(const struct pv_strv *sorted, const char *word)
{
	size_t low = 0, high = sorted->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = strcmp(sorted->v[mid], word);

		if (order == 0)
			return (ptrdiff_t)mid;
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return -1;
}

typedef void relation_fn(struct pass *pass, const char *name, size_t len, bool first);

/* Calls fn with each name of a relation field, "a (>= 1) | b:any, c" (Policy 7.1); a and c are `first`. */
static void each_relation(struct pass *pass, const char *field, relation_fn *fn)
{
	static const char name_end[] = " \t\n(:,|[<";
	bool first = true;

	for (const char *p = field; p && *p; ) {
		size_t len;

		p += strspn(p, " \t\n");
		len = strcspn(p, name_end);
		if (len > 0)
			fn(pass, p, len, first);
		p = strpbrk(p + len, ",|");
		first = p && *p == ',';
		if (p)
			p++;
	}
}

static void add_dep(struct pass *pass, const char *name, size_t len, bool first)
{
	struct graph *g = &pass->graph;

	GROW(g->deps, g->ndeps, g->deps_cap);
	g->deps[g->ndeps++] = hash_name(name, len) | (first ? FIRST : 0);
	g->nodes[g->nnodes - 1].n++;
}

static void mark_found(struct pass *pass, const char *name)
{
	ptrdiff_t at = pv_survey_find(pass->wanted, name);

	if (at >= 0)
		pass->survey.found[at] = true;
}

static void add_provided(struct pass *pass, const char *name, size_t len, bool first)
{
	struct graph *g = &pass->graph;
	char copy[256];

	(void)first;
	GROW(g->providers, g->nproviders, g->providers_cap);
	g->providers[g->nproviders++] = (struct provider){
		hash_name(name, len), hash_name(pass->package, strlen(pass->package)),
	};
	if (len >= sizeof(copy))
		return;
	memcpy(copy, name, len);
	copy[len] = '\0';
	mark_found(pass, copy);
}

static void add_root(struct pass *pass, const char *name)
{
	GROW(pass->roots.v, pass->roots.n, pass->roots.cap);
	pass->roots.v[pass->roots.n++] = hash_name(name, strlen(name));
}

static int look_at(void *ctx, const struct pv_stanza *s)
{
	struct pass *pass = ctx;
	struct graph *g = &pass->graph;

	pass->package = pv_stanza_get(s, "Package");
	if (!pass->package)
		return 0;
	mark_found(pass, pass->package);
	GROW(g->nodes, g->nnodes, g->nodes_cap);
	g->nodes[g->nnodes++] = (struct node){
		.name = hash_name(pass->package, strlen(pass->package)), .first = (uint32_t)g->ndeps,
		.release_suite = pass->release_suite,
	};
	each_relation(pass, pv_stanza_get(s, "Pre-Depends"), add_dep);
	each_relation(pass, pv_stanza_get(s, "Depends"), add_dep);
	each_relation(pass, pv_stanza_get(s, "Provides"), add_provided);
	if (pass->release_suite && pv_streq(pv_stanza_get(s, "Priority"), "required"))
		add_root(pass, pass->package);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct node *na = a, *nb = b;

	return na->name < nb->name ? -1 : na->name > nb->name;
}

static int by_value(const void *a, const void *b)
{
	uint64_t ua = *(const uint64_t *)a, ub = *(const uint64_t *)b;

	return ua < ub ? -1 : ua > ub;
}

/* The first node of that name (several versions are neighbours), or nnodes. */
static size_t find_node(const struct graph *g, uint64_t name)
{
	size_t low = 0, high = g->nnodes;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (g->nodes[mid].name < name)
			low = mid + 1;
		else
			high = mid;
	}
	return low < g->nnodes && g->nodes[low].name == name ? low : g->nnodes;
}

static size_t find_provider(const struct graph *g, uint64_t name)
{
	size_t low = 0, high = g->nproviders;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (g->providers[mid].name < name)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void take(struct graph *g, struct hashes *list, uint64_t name, bool release_suite)
{
	size_t first = find_node(g, name), at = first;

	if (first == g->nnodes || g->nodes[first].taken)
		return;
	while (release_suite && !g->nodes[at].release_suite)
		if (++at == g->nnodes || g->nodes[at].name != name)
			return;
	g->nodes[first].taken = true;
	GROW(list->v, list->n, list->cap);
	list->v[list->n++] = name;
}

/* Takes what can be reached from what the list holds: by debootstrap's rule, or by any way. An update's dependencies count
 * as the release's do: the base is installed as updated (noble's libpam-modules needs libdb5.3t64 since an update). */
static void close_over(struct graph *g, struct hashes *list, bool debootstrap)
{
	for (size_t i = 0; i < list->n; i++) {
		uint64_t name = list->v[i];

		for (size_t at = find_node(g, name); at < g->nnodes && g->nodes[at].name == name; at++) {
			const struct node *node = &g->nodes[at];

			for (uint32_t d = 0; d < node->n; d++) {
				uint64_t dep = g->deps[node->first + d];

				if (debootstrap && !(dep & FIRST))
					continue;
				take(g, list, NAME(dep), false);
				for (size_t p = find_provider(g, NAME(dep)); !debootstrap && p < g->nproviders &&
				     g->providers[p].name == NAME(dep); p++)
					take(g, list, g->providers[p].package, false);
			}
		}
	}
}

static int by_provided(const void *a, const void *b)
{
	const struct provider *pa = a, *pb = b;

	return pa->name < pb->name ? -1 : pa->name > pb->name;
}

static void sort_graph(struct graph *g)
{
	if (g->nnodes > 1)
		qsort(g->nodes, g->nnodes, sizeof(*g->nodes), by_name);
	if (g->nproviders > 1)
		qsort(g->providers, g->nproviders, sizeof(*g->providers), by_provided);
}

static uint64_t hash_text(const char *name)
{
	return hash_name(name, strlen(name));
}

/* The tree is merged from the start, so usrmerge has nothing to do and only draws perl in, as long as something else
 * fulfills the dependency on it. A suite that has it as required (jammy) gets it. NULL: it is not left out. */
static struct node *usrmerge_left_out(const struct pass *pass)
{
	const struct graph *g = &pass->graph;
	uint64_t usrmerge = hash_text("usrmerge"), merged = hash_text("usr-is-merged");
	size_t at = find_node(g, usrmerge);

	if (at == g->nnodes)
		return NULL;
	for (size_t i = 0; i < pass->roots.n; i++)
		if (pass->roots.v[i] == usrmerge)
			return NULL;
	if (find_node(g, merged) < g->nnodes)
		return &g->nodes[at];
	for (size_t p = find_provider(g, merged); p < g->nproviders && g->providers[p].name == merged; p++)
		if (g->providers[p].package != usrmerge)
			return &g->nodes[at];
	return NULL;
}

static void close_base(struct pass *pass)
{
	struct graph *g = &pass->graph;
	struct node *usrmerge = usrmerge_left_out(pass);
	struct hashes list = { 0 };

	if (usrmerge)
		usrmerge->taken = true;
	for (size_t i = 0; i < pass->roots.n; i++)
		take(g, &list, pass->roots.v[i], true);
	close_over(g, &list, true);
	pass->survey.base = list.v;
	pass->survey.nbase = list.n;
}

static void close_reach(struct pass *pass)
{
	struct graph *g = &pass->graph;
	struct hashes list = { 0 };

	for (size_t i = 0; i < g->nnodes; i++)
		g->nodes[i].taken = false;
	for (size_t i = 0; i < pass->survey.nbase; i++)
		take(g, &list, pass->survey.base[i], false);
	for (size_t i = 0; i < pass->wanted->n; i++) {
		const char *word = pass->wanted->v[i];
		uint64_t name = hash_name(word, strlen(word));

		take(g, &list, name, false);
		for (size_t p = find_provider(g, name); p < g->nproviders && g->providers[p].name == name; p++)
			take(g, &list, g->providers[p].package, false);
	}
	close_over(g, &list, false);
	pass->survey.reach = list.v;
	pass->survey.nreach = list.n;
}

static void sort_hashes(uint64_t *v, size_t n)
{
	if (n > 1)
		qsort(v, n, sizeof(*v), by_value);
}

static void pass_done(struct pass *pass)
{
	pv_freep(&pass->graph.nodes);
	pv_freep(&pass->graph.deps);
	pv_freep(&pass->graph.providers);
	pv_freep(&pass->roots.v);
	pv_survey_done(&pass->survey);
}

static bool has_hash(const uint64_t *v, size_t n, const char *name)
{
	uint64_t hash = hash_name(name, strlen(name));

	return n > 0 && bsearch(&hash, v, n, sizeof(hash), by_value);
}

bool pv_survey_in_base(const struct pv_survey *s, const char *name)
{
	return has_hash(s->base, s->nbase, name);
}

bool pv_survey_in_reach(const struct pv_survey *s, const char *name)
{
	return has_hash(s->reach, s->nreach, name);
}

int pv_survey(const struct pv_aptree_index *indexes, size_t nindexes, const struct pv_strv *wanted,
	      const char *const *base_names, struct pv_survey *ret, struct pv_error *err)
{
	__attribute__((cleanup(pass_done))) struct pass pass = { .wanted = wanted };

	pass.survey.found = pv_xcalloc(wanted->n + 1, sizeof(bool));
	for (size_t i = 0; i < nindexes; i++) {
		pass.release_suite = pv_streq(indexes[i].suite, indexes[0].suite);
		if (pv_deb822_each_file(indexes[i].packages_path, look_at, &pass, err) < 0)
			return pv_error_wrap(err, "%s %s", indexes[i].suite, indexes[i].component);
	}
	add_root(&pass, "apt");
	for (size_t i = 0; base_names && base_names[i]; i++)
		add_root(&pass, base_names[i]);
	sort_graph(&pass.graph);
	close_base(&pass);
	close_reach(&pass);
	sort_hashes(pass.survey.base, pass.survey.nbase);
	sort_hashes(pass.survey.reach, pass.survey.nreach);
	if (!pv_survey_in_base(&pass.survey, "apt"))
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s has no package apt; is this the suite's main archive?",
				    nindexes > 0 ? indexes[0].suite : "archive");
	*ret = pass.survey;
	pass.survey = (struct pv_survey){ 0 };
	return 0;
}
