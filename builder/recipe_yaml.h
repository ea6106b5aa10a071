/* SPDX-License-Identifier: Apache-2.0 */
/* YAML text as a tree of nodes that know where they stood. Keys and values are not judged here. */
#ifndef PV_RECIPE_YAML_H
#define PV_RECIPE_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "recipe.h"

#define PV_YAML_MAX (64u * 1024u)	/* bytes of one file */
#define PV_YAML_DEPTH 4u		/* a recipe has at most 3: mapping, mapping or list, text */

enum pv_yaml_kind {
	PV_YAML_TEXT,
	PV_YAML_LIST,
	PV_YAML_MAPPING,
	PV_YAML_BROKEN,			/* there was something here that has its finding already */
};

struct pv_yaml_node {
	enum pv_yaml_kind kind;
	unsigned line, column;			/* of the value, 1-based */
	char *text;				/* of a text; without NUL bytes; owned */
	char *key;				/* in a mapping: its key; owned */
	unsigned key_line, key_column;
	struct pv_yaml_node *v;			/* children of a list or mapping; owned */
	size_t n, cap;
};

/* Reads one document. Everything that is not plain YAML (syntax, size, depth, more documents,
 * anchors, aliases, tags, keys that are not texts) is added to `findings` under the name `file`.
 * True: *ret is a tree, with PV_YAML_BROKEN where a finding was; an empty document gives a BROKEN
 * root. False: no tree, there is at least one finding. */
bool pv_yaml_parse(const char *file, const char *text, size_t len, struct pv_yaml_node *ret,
		   struct pv_findings *findings);
void pv_yaml_done(struct pv_yaml_node *node);
#define pv_autoyaml __attribute__((cleanup(pv_yaml_done))) struct pv_yaml_node

/* The first value at "key" or "key.key"; NULL when there is none. */
const struct pv_yaml_node *pv_yaml_at(const struct pv_yaml_node *root, const char *path);

#endif
