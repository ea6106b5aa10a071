/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with a recipe: files against the table of keys, overrides, and the whole that they
 * make together. */
#ifndef PV_RECIPE_CHECK_H
#define PV_RECIPE_CHECK_H

#include <stdbool.h>

#include "recipe.h"
#include "recipe_keys.h"
#include "recipe_yaml.h"

/* One value from the command line, parsed and checked. */
struct pv_recipe_set {
	const struct pv_recipe_key *key;
	const char *file;		/* "--set", "--suite": for findings; static */
	char *text;			/* of every type but PV_KEY_LIST; owned */
	struct pv_strv list;		/* of PV_KEY_LIST */
};
struct pv_recipe_sets {
	struct pv_recipe_set *v;
	size_t n, cap;
};
void pv_recipe_sets_done(struct pv_recipe_sets *sets);
#define pv_autorecipesets __attribute__((cleanup(pv_recipe_sets_done))) struct pv_recipe_sets

/* One file: unknown, repeated and misplaced keys, wrong types, bad values. `root` may be BROKEN. */
void pv_recipe_check_file(const char *file, const struct pv_yaml_node *root, bool is_base,
			  struct pv_findings *findings);

/* Takes the command line's values, in the order in which they count (later ones win): --set, then
 * the options that have a name of their own. What is bad is added to `findings` and left out.
 * `over` may be NULL. */
void pv_recipe_check_override(const struct pv_recipe_override *over, struct pv_recipe_sets *ret,
			      struct pv_findings *findings);

/* Recipe, base (may be NULL) and sets together: missing keys, and the suite's being the
 * distribution's. */
void pv_recipe_check_whole(const char *file, const struct pv_yaml_node *recipe,
			   const char *base_file, const struct pv_yaml_node *base,
			   const struct pv_recipe_sets *sets, struct pv_findings *findings);

#endif
