/* SPDX-License-Identifier: Apache-2.0 */
/* Loads overlays: walks their trees, reads OWNERS, renders templates, finds paths that two overlays want. */
#include "overlay_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fsutil.h"
#include "template.h"
#include "tree.h"

#define OWNERS "OWNERS"
#define OWNERS_MAX 65536u

/* One line of OWNERS. */
struct rule {
	char *path;
	bool folder, replaces, used;
	mode_t mode;
	char *owner, *group;
	char *condition;		/* a variable's name, or NULL */
	unsigned line;
};

struct loader {
	const char *overlay;
	char *dir, *owners_path;
	const struct pv_vars *vars;
	struct pv_overlay_set *set;
	struct rule *rules;
	size_t nrules, cap;
};

static void loader_done(struct loader *l)
{
	for (size_t i = 0; i < l->nrules; i++) {
		free(l->rules[i].path);
		free(l->rules[i].owner);
		free(l->rules[i].group);
		free(l->rules[i].condition);
	}
	free(l->rules);
	free(l->dir);
	free(l->owners_path);
}

/* A path below the root, in its shortest form: no empty part, "." or "..". */
static bool path_is_clean(const char *path)
{
	const char *part = path;

	for (;;) {
		size_t n = strcspn(part, "/");
		if (n == 0 || (n == 1 && part[0] == '.') || (n == 2 && part[0] == '.' && part[1] == '.'))
			return false;
		if (part[n] == '\0')
			return true;
		part += n + 1;
	}
}

/* "-" is the default; a name as useradd takes it, or a number. */
static bool owner_is_clean(const char *name)
{
	return pv_streq(name, "-") || (*name != '\0' && *name != '-' && strlen(name) <= 32 &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == strlen(name));
}

static int parse_mode(const char *text, mode_t *ret)
{
	mode_t mode = 0;
	size_t n = strlen(text);

	if (pv_streq(text, "-")) {
		*ret = PV_OVERLAY_MODE_UNSAID;
		return 0;
	}
	if (n < 3 || n > 4 || strspn(text, "01234567") != n)
		return -1;
	for (size_t i = 0; i < n; i++)
		mode = mode * 8 + (mode_t)(text[i] - '0');
	*ret = mode;
	return 0;
}

static int parse_flags(struct loader *l, struct rule *rule, char **words, size_t n, struct pv_error *err)
{
	for (size_t i = 0; i < n; i++) {
		if (pv_streq(words[i], "replaces")) {
			rule->replaces = true;
			continue;
		}
		const char *name = pv_starts(words[i], "if=") ? words[i] + 3 : NULL;
		if (!name)
			return pv_error_set(err, PV_ERR_RECIPE, "%s:%u: '%s' is neither \"replaces\" nor \"if=VARIABLE\"",
					    l->owners_path, rule->line, words[i]);
		if (!pv_vars_get(l->vars, name))
			return pv_error_set(err, PV_ERR_RECIPE, "%s:%u: no variable '%s'", l->owners_path, rule->line,
					    name);
		free(rule->condition);
		rule->condition = pv_xstrdup(name);
	}
	return 0;
}

static int parse_rule(struct loader *l, unsigned line, char **words, size_t n, struct pv_error *err)
{
	if (n < 4)
		return pv_error_set(err, PV_ERR_RECIPE, "%s:%u: PATH MODE OWNER GROUP wanted, %zu words found",
				    l->owners_path, line, n);
	if (l->nrules == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 16;
		l->rules = pv_xreallocarray(l->rules, l->cap, sizeof(*l->rules));
	}
	struct rule *rule = &l->rules[l->nrules++];
	*rule = (struct rule){ .path = pv_xstrdup(words[0]), .line = line };

	size_t len = strlen(rule->path);
	rule->folder = len > 1 && rule->path[len - 1] == '/';
	if (rule->folder)
		rule->path[len - 1] = '\0';
	if (!path_is_clean(rule->path))
		return pv_error_set(err, PV_ERR_RECIPE, "%s:%u: '%s' is not a path below the root", l->owners_path, line,
				    words[0]);
	if (parse_mode(words[1], &rule->mode) < 0)
		return pv_error_set(err, PV_ERR_RECIPE, "%s:%u: '%s' is not an octal mode of three or four digits",
				    l->owners_path, line, words[1]);
	if (!owner_is_clean(words[2]) || !owner_is_clean(words[3]))
		return pv_error_set(err, PV_ERR_RECIPE, "%s:%u: '%s' or '%s' is no user or group", l->owners_path, line,
				    words[2], words[3]);
	rule->owner = pv_streq(words[2], "-") ? NULL : pv_xstrdup(words[2]);
	rule->group = pv_streq(words[3], "-") ? NULL : pv_xstrdup(words[3]);
	for (size_t i = 0; i + 1 < l->nrules; i++)
		if (pv_streq(l->rules[i].path, rule->path))
			return pv_error_set(err, PV_ERR_RECIPE, "%s:%u: %s is in line %u already", l->owners_path, line,
					    rule->path, l->rules[i].line);
	return parse_flags(l, rule, words + 4, n - 4, err);
}

static int read_rules(struct loader *l, struct pv_error *err)
{
	pv_autofree char *text = NULL;
	char *rest, *line, *words[8];
	unsigned number = 0;

	if (!pv_exists(l->owners_path))
		return 0;
	if (pv_read_file(l->owners_path, OWNERS_MAX, &text, NULL, err) < 0)
		return -1;
	rest = text;
	while ((line = strsep(&rest, "\n"))) {
		size_t n = 0;
		char *word, *save = NULL;
		number++;
		char *comment = strchr(line, '#');
		if (comment)
			*comment = '\0';
		for (word = strtok_r(line, " \t", &save); word && n < PV_COUNT(words);
		     word = strtok_r(NULL, " \t", &save))
			words[n++] = word;
		if (word)
			return pv_error_set(err, PV_ERR_RECIPE, "%s:%u: too many words", l->owners_path, number);
		if (n > 0 && parse_rule(l, number, words, n, err) < 0)
			return -1;
	}
	return 0;
}

static bool covers(const struct rule *rule, const char *path)
{
	size_t n = strlen(rule->path);

	return strncmp(rule->path, path, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

/* Left out by its own rule or by one of a folder above it. */
static bool left_out(const struct loader *l, const char *path)
{
	for (size_t i = 0; i < l->nrules; i++)
		if (l->rules[i].condition && covers(&l->rules[i], path) &&
		    *pv_vars_get(l->vars, l->rules[i].condition) == '\0')
			return true;
	return false;
}

static struct rule *find_rule(struct loader *l, const char *path)
{
	for (size_t i = 0; i < l->nrules; i++)
		if (pv_streq(l->rules[i].path, path))
			return &l->rules[i];
	return NULL;
}

static struct pv_overlay_entry *add_entry(struct loader *l, const char *path, char type, const struct rule *rule)
{
	struct pv_overlay_set *set = l->set;

	if (set->n == set->cap) {
		set->cap = set->cap ? set->cap * 2 : 64;
		set->v = pv_xreallocarray(set->v, set->cap, sizeof(*set->v));
	}
	struct pv_overlay_entry *e = &set->v[set->n++];
	*e = (struct pv_overlay_entry){
		.path = pv_xstrdup(path), .overlay = pv_xstrdup(l->overlay), .type = type,
		.mode = rule ? rule->mode : PV_OVERLAY_MODE_UNSAID,
		.owner = pv_xstrdup(rule ? rule->owner : NULL), .group = pv_xstrdup(rule ? rule->group : NULL),
		.replaces = rule && rule->replaces,
	};
	return e;
}

static int load_file(struct loader *l, struct pv_overlay_entry *e, const char *source, bool executable, bool template,
		     struct pv_error *err)
{
	if (e->mode == PV_OVERLAY_MODE_UNSAID)
		e->mode = executable ? 0755 : 0644;
	if (pv_read_file(source, PV_OVERLAY_FILE_MAX, &e->data, &e->len, err) < 0)
		return -1;
	if (!template)
		return 0;
	pv_autostr out = PV_STR_INIT;
	if (pv_template_render(source, e->data, e->len, l->vars, &out, err) < 0)
		return -1;
	free(e->data);
	e->len = out.len;
	e->data = pv_str_steal(&out);
	return 0;
}

static int load_link(struct pv_overlay_entry *e, const char *source, struct pv_error *err)
{
	char target[4096];
	ssize_t n = readlink(source, target, sizeof(target));

	if (n < 0 || (size_t)n >= sizeof(target))
		return pv_error_errno(err, PV_ERR_RECIPE, n < 0 ? errno : ENAMETOOLONG, "%s", source);
	e->data = pv_xstrndup(target, (size_t)n);
	e->len = (size_t)n;
	return 0;
}

static int visit(void *ctx, int dir_fd, const char *path, const struct pv_tree_entry *entry, struct pv_error *err)
{
	struct loader *l = ctx;
	mode_t mode = entry->st.st_mode;
	bool template = S_ISREG(mode) && pv_ends(path, ".in");
	pv_autofree char *name = template ? pv_xstrndup(path, strlen(path) - strlen(".in")) : pv_xstrdup(path);
	pv_autofree char *source = pv_path_join(l->dir, path);

	(void)dir_fd;
	if (pv_streq(path, OWNERS))
		return 0;
	struct rule *rule = find_rule(l, name);
	if (rule)
		rule->used = true;
	if (rule && rule->folder && !S_ISDIR(mode))
		return pv_error_set(err, PV_ERR_RECIPE, "%s:%u: %s is no folder", l->owners_path, rule->line, name);
	if (left_out(l, name))
		return 0;
	if (S_ISDIR(mode)) {
		add_entry(l, name, 'd', rule);
		return 0;
	}
	if (S_ISREG(mode))
		return load_file(l, add_entry(l, name, 'f', rule), source, mode & 0100, template, err);
	if (S_ISLNK(mode))
		return load_link(add_entry(l, name, 'l', rule), source, err);
	return pv_error_set(err, PV_ERR_RECIPE, "%s: neither folder, file nor symbolic link", source);
}

/* A folder that only OWNERS names, and those above it. */
static void add_folder(struct loader *l, const struct rule *rule)
{
	for (const char *slash = strchr(rule->path, '/'); slash; slash = strchr(slash + 1, '/')) {
		pv_autofree char *above = pv_xstrndup(rule->path, (size_t)(slash - rule->path));
		if (!find_rule(l, above))
			add_entry(l, above, 'd', NULL);
	}
	add_entry(l, rule->path, 'd', rule);
}

/* Rules that met nothing in the overlay: folders are made; the rest is a slip of the pen. */
static int finish_rules(struct loader *l, struct pv_error *err)
{
	for (size_t i = 0; i < l->nrules; i++) {
		struct rule *rule = &l->rules[i];
		if (rule->used)
			continue;
		if (!rule->folder)
			return pv_error_set(err, PV_ERR_RECIPE, "%s:%u: %s is not in the overlay (a folder's name ends in "
					    "a slash)", l->owners_path, rule->line, rule->path);
		if (!left_out(l, rule->path))
			add_folder(l, rule);
	}
	return 0;
}

static int load_overlay(const char *overlays_dir, const char *name, const struct pv_vars *vars,
			struct pv_overlay_set *set, struct pv_error *err)
{
	__attribute__((cleanup(loader_done))) struct loader l = { .overlay = name, .vars = vars, .set = set };

	if (*name == '\0' || *name == '-' ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(name))
		return pv_error_set(err, PV_ERR_RECIPE, "overlay '%s': a name has a-z, 0-9 and - only", name);
	l.dir = pv_path_join(overlays_dir, name);
	l.owners_path = pv_path_join(l.dir, OWNERS);
	if (!pv_exists(l.dir))
		return pv_error_set(err, PV_ERR_RECIPE, "overlay %s: no folder %s", name, l.dir);
	if (read_rules(&l, err) < 0 || pv_tree_walk(l.dir, visit, &l, err) < 0 || finish_rules(&l, err) < 0)
		return pv_error_wrap(err, "overlay %s", name);
	return 0;
}

static void entry_done(struct pv_overlay_entry *e)
{
	free(e->path);
	free(e->overlay);
	free(e->owner);
	free(e->group);
	free(e->data);
}

/* By path; of one path the later overlay last: an insertion sort keeps the order (there are a few dozen entries). */
static void sort_entries(struct pv_overlay_set *set)
{
	for (size_t i = 1; i < set->n; i++) {
		struct pv_overlay_entry e = set->v[i];
		size_t at = i;
		while (at > 0 && strcmp(set->v[at - 1].path, e.path) > 0) {
			set->v[at] = set->v[at - 1];
			at--;
		}
		set->v[at] = e;
	}
}

/* Of two entries with one path, what holds is left in `later`. */
static int merge(struct pv_overlay_entry *earlier, struct pv_overlay_entry *later, struct pv_error *err)
{
	bool folders = earlier->type == 'd' && later->type == 'd';

	if (folders && later->mode == PV_OVERLAY_MODE_UNSAID && !later->owner && !later->group) {
		struct pv_overlay_entry swap = *earlier;
		*earlier = *later;
		*later = swap;
		return 0;
	}
	if (folders && earlier->mode == PV_OVERLAY_MODE_UNSAID && !earlier->owner && !earlier->group)
		return 0;
	if (later->replaces && earlier->type != 'd' && later->type != 'd')
		return 0;
	if (folders && later->replaces)
		return 0;
	return pv_error_set(err, PV_ERR_RECIPE, "overlays %s and %s both have %s; leave one out or say \"replaces\" in %s/"
			    OWNERS, earlier->overlay, later->overlay, later->path, later->overlay);
}

static int merge_entries(struct pv_overlay_set *set, struct pv_error *err)
{
	size_t n = 0;

	for (size_t i = 0; i < set->n; i++) {
		if (n > 0 && pv_streq(set->v[n - 1].path, set->v[i].path)) {
			if (merge(&set->v[n - 1], &set->v[i], err) < 0)
				return -1;
			entry_done(&set->v[n - 1]);
			set->v[n - 1] = set->v[i];
		} else {
			set->v[n++] = set->v[i];
		}
		if (n - 1 != i)
			set->v[i] = (struct pv_overlay_entry){ 0 };
	}
	set->n = n;
	return 0;
}

int pv_overlay_set_load(const char *overlays_dir, const struct pv_strv *names, const struct pv_vars *vars,
			struct pv_overlay_set *ret, struct pv_error *err)
{
	pv_autooverlayset set = { 0 };

	for (size_t i = 0; i < names->n; i++)
		if (load_overlay(overlays_dir, names->v[i], vars, &set, err) < 0)
			return -1;
	sort_entries(&set);
	if (merge_entries(&set, err) < 0)
		return -1;
	*ret = set;
	set = (struct pv_overlay_set){ 0 };
	return 0;
}

void pv_overlay_set_done(struct pv_overlay_set *set)
{
	for (size_t i = 0; i < set->n; i++)
		entry_done(&set->v[i]);
	free(set->v);
	*set = (struct pv_overlay_set){ 0 };
}
