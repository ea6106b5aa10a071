/* SPDX-License-Identifier: Apache-2.0 */
/* Holds trees and overrides against the table of keys and notes every fault with its place. */
#include "recipe_check.h"

#include <stdlib.h>
#include <string.h>

#include "suite.h"

#define QUOTE_MAX 60u /* bytes of somebody's text repeated in a finding */

struct checker {
	const char *file;
	bool is_base;
	struct pv_findings *findings;
};

/* The text in quotes, printable and not too long. The caller frees. */
static char *quoted(const char *text)
{
	size_t len = strlen(text);
	pv_autofree char *shown = pv_printable(text, len < QUOTE_MAX ? len : QUOTE_MAX);

	return pv_fmt("\"%s%s\"", shown, len > QUOTE_MAX ? "..." : "");
}

static const char *kind_text(enum pv_yaml_kind kind)
{
	return kind == PV_YAML_TEXT   ? "a single value"
	       : kind == PV_YAML_LIST ? "a list"
				      : "a mapping";
}

/* True when the node has this kind; a broken one has its finding already. */
static bool is_kind(const struct checker *ck, const struct pv_yaml_node *node, const char *name,
		    enum pv_yaml_kind kind)
{
	if (node->kind != kind && node->kind != PV_YAML_BROKEN)
		pv_findings_add(ck->findings, ck->file, node->line, node->column,
				"%s: must be %s, not %s", name, kind_text(kind),
				kind_text(node->kind));
	return node->kind == kind;
}

static void check_value(const struct checker *ck, unsigned line, unsigned column,
			const struct pv_recipe_key *key, const char *value)
{
	pv_autostr why = PV_STR_INIT;

	if (pv_recipe_value_ok(key, value, &why))
		return;
	pv_autofree char *shown = key->secret || !*value ? pv_xstrdup("the value") : quoted(value);

	pv_findings_add(ck->findings, ck->file, line, column, "%s: %s %s", key->name, shown,
			pv_str_text(&why));
}

static void check_list(const struct checker *ck, const struct pv_recipe_key *key,
		       const struct pv_yaml_node *node)
{
	pv_autostrv seen = PV_STRV_INIT;

	if (!is_kind(ck, node, key->name, PV_YAML_LIST))
		return;
	for (size_t i = 0; i < node->n; i++) {
		const struct pv_yaml_node *item = &node->v[i];

		if (!is_kind(ck, item, key->name, PV_YAML_TEXT))
			continue;
		check_value(ck, item->line, item->column, key, item->text);
		if (pv_strv_has(&seen, item->text)) {
			pv_autofree char *shown = key->secret ? pv_xstrdup("the value") : quoted(item->text);

			pv_findings_add(ck->findings, ck->file, item->line, item->column,
					"%s: %s stands here twice", key->name, shown);
		}
		pv_strv_add(&seen, item->text);
	}
}

static void check_key(const struct checker *ck, const struct pv_recipe_key *key,
		      const struct pv_yaml_node *node)
{
	if (key->type == PV_KEY_BASE && ck->is_base)
		pv_findings_add(ck->findings, ck->file, node->key_line, node->key_column,
				"base: a base has no base of its own");
	if (key->type == PV_KEY_LIST)
		check_list(ck, key, node);
	else if (is_kind(ck, node, key->name, PV_YAML_TEXT))
		check_value(ck, node->line, node->column, key, node->text);
}

static void unknown_key(const struct checker *ck, const char *section,
			const struct pv_yaml_node *node)
{
	pv_autofree char *near = pv_recipe_key_nearest(section, node->key);
	pv_autofree char *whole = pv_fmt("%s%s%s", section, *section ? "." : "", node->key);
	pv_autofree char *shown = quoted(whole);

	if (!*section && pv_recipe_key_find(node->key))
		pv_findings_add(ck->findings, ck->file, node->key_line, node->key_column,
				"unknown key %s; write \"%.*s:\" and \"%s:\" below it", shown,
				(int)strcspn(node->key, "."), node->key,
				strchr(node->key, '.') + 1);
	else if (near)
		pv_findings_add(ck->findings, ck->file, node->key_line, node->key_column,
				"unknown key %s; did you mean \"%s%s%s\"?", shown, section,
				*section ? "." : "", near);
	else
		pv_findings_add(ck->findings, ck->file, node->key_line, node->key_column,
				"unknown key %s; pvimg-recipe(5) lists the keys", shown);
}

static bool is_repeated(const struct checker *ck, const struct pv_yaml_node *map, size_t at)
{
	for (size_t i = 0; i < at; i++) {
		if (!pv_streq(map->v[i].key, map->v[at].key))
			continue;
		pv_autofree char *shown = quoted(map->v[at].key);

		pv_findings_add(ck->findings, ck->file, map->v[at].key_line, map->v[at].key_column,
				"key %s is repeated; it stands on line %u already", shown,
				map->v[i].key_line);
		return true;
	}
	return false;
}

static void check_mapping(const struct checker *ck, const char *section,
			  const struct pv_yaml_node *map)
{
	for (size_t i = 0; i < map->n; i++) {
		const struct pv_yaml_node *node = &map->v[i];

		if (!node->key)
			continue; /* has its finding */
		is_repeated(ck, map, i);
		pv_autofree char *name = pv_fmt("%s%s%s", section, *section ? "." : "", node->key);
		/* A dot in a key would reach into a section. */
		const struct pv_recipe_key *key =
			strchr(node->key, '.') ? NULL : pv_recipe_key_find(name);

		if (key)
			check_key(ck, key, node);
		else if (!*section && pv_recipe_section(node->key)) {
			if (is_kind(ck, node, node->key, PV_YAML_MAPPING))
				check_mapping(ck, node->key, node);
		} else
			unknown_key(ck, section, node);
	}
}

void pv_recipe_check_file(const char *file, const struct pv_yaml_node *root, bool is_base,
			  struct pv_findings *findings)
{
	const struct checker ck = { .file = file, .is_base = is_base, .findings = findings };

	if (is_kind(&ck, root, "recipe", PV_YAML_MAPPING))
		check_mapping(&ck, "", root);
}

/* Overrides */

void pv_recipe_sets_done(struct pv_recipe_sets *sets)
{
	for (size_t i = 0; i < sets->n; i++) {
		free(sets->v[i].text);
		pv_strv_done(&sets->v[i].list);
	}
	free(sets->v);
	*sets = (struct pv_recipe_sets){ 0 };
}

static void split_list(const char *value, struct pv_strv *ret)
{
	for (;;) {
		size_t len = strcspn(value, ",");

		pv_strv_take(ret, pv_xstrndup(value, len));
		if (!value[len])
			return;
		value += len + 1;
	}
}

/* Checks one value and keeps it when it is right. */
static void take(struct pv_recipe_sets *sets, const char *file, const struct pv_recipe_key *key,
		 const char *value, struct pv_findings *findings)
{
	const struct checker ck = { .file = file, .findings = findings };
	struct pv_recipe_set set = { .key = key, .file = file };
	size_t before = findings->n;

	if (key->type == PV_KEY_LIST) {
		split_list(value, &set.list);
		for (size_t i = 0; i < set.list.n; i++)
			check_value(&ck, 0, 0, key, set.list.v[i]);
	} else {
		set.text = pv_xstrdup(value);
		check_value(&ck, 0, 0, key, value);
	}
	if (findings->n > before) {
		free(set.text);
		pv_strv_done(&set.list);
		return;
	}
	if (sets->n == sets->cap) {
		sets->cap = sets->cap ? sets->cap * 2 : 8;
		sets->v = pv_xreallocarray(sets->v, sets->cap, sizeof(*sets->v));
	}
	sets->v[sets->n++] = set;
}

static void take_set(struct pv_recipe_sets *sets, const char *text, struct pv_findings *findings)
{
	size_t len = strcspn(text, "=");
	pv_autofree char *name = pv_xstrndup(text, len);
	const struct pv_recipe_key *key = pv_recipe_key_find(name);
	pv_autofree char *shown = quoted(name);

	if (key && key->type == PV_KEY_BASE) {
		pv_findings_add(findings, "--set", 0, 0, "base: only a recipe's file can name it");
	} else if (key && !text[len]) {
		pv_findings_add(findings, "--set", 0, 0, "%s: no value; write --set %s=VALUE", name,
				name);
	} else if (key) {
		take(sets, "--set", key, text + len + 1, findings);
	} else {
		pv_autofree char *near = pv_recipe_key_nearest(NULL, name);

		if (pv_recipe_section(name))
			pv_findings_add(findings, "--set", 0, 0,
					"%s: a group of keys; name one, like %s.%s", name, name,
					pv_streq(name, "flavor") ? "memory" : "KEY");
		else if (near)
			pv_findings_add(findings, "--set", 0, 0,
					"unknown key %s; did you mean \"%s\"?", shown, near);
		else
			pv_findings_add(findings, "--set", 0, 0,
					"unknown key %s; pvimg-recipe(5) lists the keys", shown);
	}
}

void pv_recipe_check_override(const struct pv_recipe_override *over, struct pv_recipe_sets *ret,
			      struct pv_findings *findings)
{
	if (!over)
		return;
	for (size_t i = 0; over->sets && i < over->sets->n; i++)
		take_set(ret, over->sets->v[i], findings);
	if (over->suite)
		take(ret, "--suite", pv_recipe_key_find("suite"), over->suite, findings);
	if (over->mirror)
		take(ret, "--mirror", pv_recipe_key_find("mirror"), over->mirror, findings);
	if (over->keyring)
		take(ret, "--keyring", pv_recipe_key_find("keyring"), over->keyring, findings);
}

/* The whole */

struct place {
	const char *file;
	unsigned line, column;
	const char *text; /* NULL: nowhere given as a text */
};

static bool find_in(const struct pv_yaml_node *root, const char *file, const char *name,
		    struct place *ret)
{
	const struct pv_yaml_node *node = root ? pv_yaml_at(root, name) : NULL;

	if (node)
		*ret = (struct place){ file, node->line, node->column, node->text };
	return node;
}

static bool find_set(const struct pv_recipe_sets *sets, const char *name, struct place *ret)
{
	for (size_t i = sets->n; i > 0; i--) {
		const struct pv_recipe_set *set = &sets->v[i - 1];

		if (!pv_streq(set->key->name, name))
			continue;
		*ret = (struct place){ set->file, 0, 0, set->text };
		return true;
	}
	return false;
}

/* What the recipe, its base and the command line make together. */
struct whole {
	const char *file, *base_file;
	const struct pv_yaml_node *recipe, *base;
	const struct pv_recipe_sets *sets;
	struct pv_findings *findings;
};

/* The place that counts: the command line's, else the recipe's, else its base's. */
static bool find(const struct whole *w, const char *name, struct place *ret)
{
	return find_set(w->sets, name, ret) || find_in(w->recipe, w->file, name, ret) ||
	       find_in(w->base, w->base_file, name, ret);
}

static void check_missing(const struct whole *w, const char *name)
{
	pv_autofree char *section = pv_xstrndup(name, strcspn(name, "."));
	const struct pv_yaml_node *node = strchr(name, '.') ? pv_yaml_at(w->recipe, section) : NULL;

	if (node && node->kind != PV_YAML_MAPPING)
		return; /* has its finding */
	pv_findings_add(w->findings, w->file, node ? node->key_line : 1,
			node ? node->key_column : 1, "missing key \"%s\"%s", name,
			w->base ? "; its base does not give it either" : "");
}

static void check_keys(const struct whole *w)
{
	const struct pv_recipe_key *keys = pv_recipe_keys();
	struct place kind = { 0 }, place;
	bool is_dom0 = find(w, "kind", &kind) && pv_streq(kind.text, PV_KIND_DOM0);

	for (size_t i = 0; i < PV_RECIPE_KEYS; i++) {
		bool given = find(w, keys[i].name, &place);

		if (is_dom0 && keys[i].image_only && given)
			pv_findings_add(w->findings, place.file, place.line, place.column,
					"%s: says nothing about a dom0; leave it out",
					keys[i].name);
		else if (!given && keys[i].required && !(is_dom0 && keys[i].image_only))
			check_missing(w, keys[i].name);
	}
}

void pv_recipe_check_whole(const char *file, const struct pv_yaml_node *recipe,
			   const char *base_file, const struct pv_yaml_node *base,
			   const struct pv_recipe_sets *sets, struct pv_findings *findings)
{
	const struct whole w = { file, base_file, recipe, base, sets, findings };
	struct place suite = { 0 }, distribution = { 0 };

	if (recipe->kind != PV_YAML_MAPPING || (base && base->kind != PV_YAML_MAPPING))
		return; /* what is missing cannot be told */
	check_keys(&w);
	bool have = find(&w, "suite", &suite) && find(&w, "distribution", &distribution);

	if (!have || !suite.text || !distribution.text)
		return;
	const char *const *names = pv_suite_names(distribution.text);
	pv_autostrv known = PV_STRV_INIT;
	bool elsewhere = false;

	for (const struct pv_suite *s = pv_suite_table(); s->distribution; s++)
		elsewhere = elsewhere || pv_streq(s->codename, suite.text);
	/* A suite or distribution that nobody knows has its finding. */
	if (!names || !elsewhere || pv_suite_find(distribution.text, suite.text))
		return;
	pv_strv_add_all(&known, names);
	pv_autofree char *list = pv_strv_join(&known, ", ");

	pv_findings_add(findings, suite.file, suite.line, suite.column,
			"suite: \"%s\" is no suite of %s, which has %s", suite.text,
			distribution.text, list);
}
