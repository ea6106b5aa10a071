/* SPDX-License-Identifier: Apache-2.0 */
/* Loads a recipe: reads it and its base, has them checked, lays base, recipe and command line over
 * each other. */
#include "recipe.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fsutil.h"
#include "recipe_check.h"
#include "recipe_keys.h"
#include "recipe_raw.h"
#include "recipe_yaml.h"

#define FINDINGS_MAX 200u /* one bad file does not fill the screen */
#define SUFFIX       ".yaml"

/* Findings */

void pv_findings_add(struct pv_findings *f, const char *file, unsigned line, unsigned column,
		     const char *fmt, ...)
{
	va_list args;
	char *text = NULL;

	if (f->n > FINDINGS_MAX)
		return;
	if (f->n == f->cap) {
		f->cap = f->cap ? f->cap * 2 : 16;
		f->v = pv_xreallocarray(f->v, f->cap, sizeof(*f->v));
	}
	if (f->n == FINDINGS_MAX) {
		text = pv_xstrdup("more faults follow; mend these first");
	} else {
		va_start(args, fmt);
		if (vasprintf(&text, fmt, args) < 0)
			text = pv_xstrdup("a fault for whose words there is no memory");
		va_end(args);
	}
	f->v[f->n++] = (struct pv_finding){
		.file = pv_xstrdup(file), .line = line, .column = column, .text = text
	};
}

void pv_findings_done(struct pv_findings *f)
{
	for (size_t i = 0; i < f->n; i++) {
		free(f->v[i].file);
		free(f->v[i].text);
	}
	free(f->v);
	*f = (struct pv_findings){ 0 };
}

/* Reading */

struct source {
	char *file; /* what findings call it */
	char *text;
	size_t len;
	struct pv_yaml_node root;
	bool have; /* root is a tree */
};

static void source_done(struct source *s)
{
	free(s->file);
	free(s->text);
	pv_yaml_done(&s->root);
}
#define autosource __attribute__((cleanup(source_done))) struct source

/* Where bases come from: a folder, or one text for every name. */
struct bases {
	const char *dir; /* NULL: from memory */
	const char *text;
	size_t len;
};

static void parse(struct source *s, bool is_base, struct pv_findings *findings)
{
	s->have = pv_yaml_parse(s->file, s->text, s->len, &s->root, findings);
	if (s->have)
		pv_recipe_check_file(s->file, &s->root, is_base, findings);
}

/* "; did you mean "ubuntu"?" or "; there are: debian ubuntu". The caller frees. */
static char *hint(const char *dir, const char *name)
{
	pv_autoerror ignored = PV_ERROR_INIT;
	pv_autostrv names = PV_STRV_INIT;

	if (pv_recipe_names(dir, &names, &ignored) < 0 || !names.n)
		return pv_fmt("; there are none in %s", dir);
	const char *near = pv_nearest(name, (const char *const *)names.v);

	if (near)
		return pv_fmt("; did you mean \"%s\"?", near);
	pv_autofree char *all = pv_strv_join(&names, " ");

	return pv_fmt("; there are: %s", all);
}

/* Reads the base that the recipe names, if it names one; faults become findings at that place. */
static void read_base(const struct source *recipe, const struct bases *bases, struct source *ret,
		      struct pv_findings *findings)
{
	const struct pv_yaml_node *node = recipe->have ? pv_yaml_at(&recipe->root, "base") : NULL;

	if (!node || node->kind != PV_YAML_TEXT || !pv_recipe_name_ok(node->text))
		return;
	if (!bases->dir) {
		if (!bases->text) {
			pv_findings_add(findings, recipe->file, node->line, node->column,
					"base: there is no \"%s\"", node->text);
			return;
		}
		ret->file = pv_fmt("base/%s" SUFFIX, node->text);
		ret->text = pv_xmalloc(bases->len + 1);
		memcpy(ret->text, bases->text, bases->len);
		ret->text[bases->len] = '\0';
		ret->len = bases->len;
	} else {
		pv_autofree char *dir = pv_path_join(bases->dir, "base");
		pv_autofree char *leaf = pv_fmt("%s" SUFFIX, node->text);
		pv_autoerror err = PV_ERROR_INIT;

		ret->file = pv_path_join(dir, leaf);
		if (!pv_exists(ret->file)) {
			pv_autofree char *more = hint(dir, node->text);

			pv_findings_add(findings, recipe->file, node->line, node->column,
					"base: there is no \"%s\"%s", node->text, more);
			return;
		}
		if (pv_read_file(ret->file, PV_YAML_MAX, &ret->text, &ret->len, &err) < 0) {
			pv_findings_add(findings, recipe->file, node->line, node->column,
					"base: %s", err.text);
			return;
		}
	}
	parse(ret, true, findings);
}

/* Laying over each other */

static void put_text(char **at, const char *text)
{
	free(*at);
	*at = pv_xstrdup(text);
}

static void put_list(const struct pv_recipe_key *key, struct pv_strv *at, char *const *list,
		     size_t n)
{
	if (!key->adds)
		pv_strv_done(at);
	for (size_t i = 0; i < n; i++)
		if (!pv_strv_has(at, list[i]))
			pv_strv_add(at, list[i]);
}

static void put_option(struct pv_recipe *r, const struct pv_recipe_key *key, const char *value)
{
	const char *name = strchr(key->name, '.') + 1;

	for (size_t i = 0; i < r->noptions; i++) {
		if (!pv_streq(r->options[i].key, name))
			continue;
		put_text(&r->options[i].value, value);
		return;
	}
	r->options = pv_xreallocarray(r->options, r->noptions + 1, sizeof(*r->options));
	r->options[r->noptions++] = (struct pv_option){ pv_xstrdup(name), pv_xstrdup(value) };
}

/* Puts a checked value in its place. */
static int put(struct pv_recipe *r, const struct pv_recipe_key *key, const char *text,
	       struct pv_error *err)
{
	void *at = (char *)r + key->offset;
	uint64_t number;

	switch (key->type) {
	case PV_KEY_TEXT:
		put_text(at, text);
		return 0;
	case PV_KEY_SIZE:
		if (pv_parse_size(text, &number) < 0)
			break;
		*(uint64_t *)at = number;
		return 0;
	case PV_KEY_COUNT:
		if (pv_parse_u64(text, key->min, key->max, &number) < 0)
			break;
		*(unsigned *)at = (unsigned)number;
		return 0;
	case PV_KEY_SWITCH:
		put_option(r, key, text);
		return 0;
	case PV_KEY_BASE:
	case PV_KEY_LIST:
		return 0;
	}
	return pv_error_set(err, PV_ERR_RECIPE, "%s: a bad value passed the check; this is a bug",
			    key->name);
}

static int put_source(struct pv_recipe *r, const struct source *s, struct pv_error *err)
{
	const struct pv_recipe_key *keys = pv_recipe_keys();
	pv_autoraw *raw = NULL;

	if (pv_recipe_raw_load(s->file, s->text, s->len, &raw, err) < 0)
		return -1;
	for (size_t i = 0; i < PV_RECIPE_KEYS; i++) {
		struct pv_strv *list = (void *)((char *)r + keys[i].offset);

		if (raw->v[i].text && put(r, &keys[i], raw->v[i].text, err) < 0)
			return -1;
		if (keys[i].type == PV_KEY_LIST && pv_yaml_at(&s->root, keys[i].name))
			put_list(&keys[i], list, raw->v[i].list, raw->v[i].n);
	}
	return 0;
}

static int put_sets(struct pv_recipe *r, const struct pv_recipe_sets *sets, struct pv_error *err)
{
	for (size_t i = 0; i < sets->n; i++) {
		const struct pv_recipe_set *set = &sets->v[i];

		if (set->key->type == PV_KEY_LIST)
			put_list(set->key, (void *)((char *)r + set->key->offset), set->list.v,
				 set->list.n);
		else if (put(r, set->key, set->text, err) < 0)
			return -1;
	}
	return 0;
}

static void put_fallbacks(struct pv_recipe *r)
{
	const struct pv_recipe_key *keys = pv_recipe_keys();

	for (size_t i = 0; i < PV_RECIPE_KEYS; i++) {
		char **at = (void *)((char *)r + keys[i].offset);

		if (keys[i].type == PV_KEY_TEXT && keys[i].fallback && !*at)
			*at = pv_xstrdup(keys[i].fallback);
	}
	if (!r->hostname)
		r->hostname = pv_xstrdup(r->distribution);
}

static int load(const char *name, struct source *recipe, const struct bases *bases,
		const struct pv_recipe_override *over, struct pv_recipe *ret,
		struct pv_findings *findings, struct pv_error *err)
{
	pv_autorecipe r = { 0 };
	pv_autorecipesets sets = { 0 };
	autosource base = { 0 };
	size_t before = findings->n;

	parse(recipe, false, findings);
	read_base(recipe, bases, &base, findings);
	pv_recipe_check_override(over, &sets, findings);
	if (recipe->have && (base.have || !pv_yaml_at(&recipe->root, "base")))
		pv_recipe_check_whole(recipe->file, &recipe->root, base.file,
				      base.have ? &base.root : NULL, &sets, findings);
	if (findings->n > before) {
		size_t n = findings->n - before;

		return pv_error_set(err, PV_ERR_RECIPE, "recipe %s: %zu fault%s", name, n,
				    n == 1 ? "" : "s");
	}
	if ((base.have && put_source(&r, &base, err) < 0) || put_source(&r, recipe, err) < 0 ||
	    put_sets(&r, &sets, err) < 0)
		return -1;
	put_fallbacks(&r);
	r.name = pv_xstrdup(name);
	r.path = pv_xstrdup(recipe->file);
	r.base_path = pv_xstrdup(base.file);
	pv_digest_mem(recipe->text, recipe->len, r.sha256);
	if (base.have)
		pv_digest_mem(base.text, base.len, r.base_sha256);
	*ret = r;
	r = (struct pv_recipe){ 0 };
	return 0;
}

int pv_recipe_load_mem(const char *name, const char *text, size_t len, const char *base_text,
		       size_t base_len, const struct pv_recipe_override *over,
		       struct pv_recipe *ret, struct pv_findings *findings, struct pv_error *err)
{
	const struct bases bases = { .text = base_text, .len = base_len };
	autosource recipe = { .file = pv_fmt("%s" SUFFIX, name),
			      .text = pv_xmalloc(len + 1),
			      .len = len };

	memcpy(recipe.text, text, len);
	recipe.text[len] = '\0';
	return load(name, &recipe, &bases, over, ret, findings, err);
}

int pv_recipe_load(const char *recipes_dir, const char *name, const struct pv_recipe_override *over,
		   struct pv_recipe *ret, struct pv_findings *findings, struct pv_error *err)
{
	const struct bases bases = { .dir = recipes_dir };
	struct pv_recipe_override whole = over ? *over : (struct pv_recipe_override){ 0 };
	pv_autofree char *shown = pv_printable(name, strlen(name));
	pv_autofree char *leaf = pv_fmt("%s" SUFFIX, name);
	pv_autofree char *cwd = getcwd(NULL, 0);
	pv_autofree char *keyring = NULL;
	autosource recipe = { .file = pv_path_join(recipes_dir, leaf) };

	if (!pv_recipe_name_ok(name))
		return pv_error_set(err, PV_ERR_RECIPE,
				    "recipe \"%s\": no recipe's name; it is a name in %s, not a "
				    "path",
				    shown, recipes_dir);
	if (!pv_exists(recipe.file)) {
		pv_autofree char *more = hint(recipes_dir, name);

		return pv_error_set(err, PV_ERR_RECIPE, "recipe \"%s\": there is none%s", shown,
				    more);
	}
	/* An option's path is relative to where the user stands; a recipe's is absolute. */
	if (whole.keyring && whole.keyring[0] && whole.keyring[0] != '/' && cwd) {
		keyring = pv_path_join(cwd, whole.keyring);
		whole.keyring = keyring;
	}
	if (pv_read_file(recipe.file, PV_YAML_MAX, &recipe.text, &recipe.len, err) < 0) {
		if (err)
			err->kind = PV_ERR_RECIPE;
		return pv_error_wrap(err, "recipe %s", shown);
	}
	return load(name, &recipe, &bases, &whole, ret, findings, err);
}

void pv_recipe_done(struct pv_recipe *r)
{
	char **texts[] = { &r->name,    &r->path,     &r->base_path, &r->kind,
			   &r->distribution, &r->suite, &r->mirror,  &r->image_mirror,
			   &r->security, &r->keyring, &r->hostname, &r->snapshot, &r->snapshot_date };
	struct pv_strv *lists[] = { &r->trusted_keys, &r->components, &r->packages, &r->overlays,
			    &r->formats, &r->targets };

	for (size_t i = 0; i < PV_COUNT(texts); i++)
		free(*texts[i]);
	for (size_t i = 0; i < PV_COUNT(lists); i++)
		pv_strv_done(lists[i]);
	for (size_t i = 0; i < r->noptions; i++) {
		free(r->options[i].key);
		free(r->options[i].value);
	}
	free(r->options);
	*r = (struct pv_recipe){ 0 };
}

bool pv_recipe_is_dom0(const struct pv_recipe *r)
{
	return pv_streq(r->kind, PV_KIND_DOM0);
}

int pv_recipe_names(const char *recipes_dir, struct pv_strv *ret, struct pv_error *err)
{
	pv_autostrv names = PV_STRV_INIT;
	DIR *dir = opendir(recipes_dir);
	struct dirent *entry;

	if (!dir)
		return pv_error_errno(err, PV_ERR_RECIPE, errno, "recipes folder %s", recipes_dir);
	while ((entry = readdir(dir))) {
		size_t len = strlen(entry->d_name);

		if (!pv_ends(entry->d_name, SUFFIX) || len == strlen(SUFFIX))
			continue;
		pv_autofree char *name = pv_xstrndup(entry->d_name, len - strlen(SUFFIX));

		if (pv_recipe_name_ok(name))
			pv_strv_add(&names, name);
	}
	closedir(dir);
	pv_strv_sort(&names);
	pv_strv_done(ret);
	*ret = names;
	names = (struct pv_strv)PV_STRV_INIT;
	return 0;
}

const char *pv_recipe_option(const struct pv_recipe *r, const char *key)
{
	for (size_t i = 0; i < r->noptions; i++)
		if (pv_streq(r->options[i].key, key))
			return r->options[i].value;
	pv_autofree char *name = pv_fmt("options.%s", key);
	const struct pv_recipe_key *row = pv_recipe_key_find(name);

	return row ? row->fallback : NULL;
}
