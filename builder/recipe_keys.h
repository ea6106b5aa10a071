/* SPDX-License-Identifier: Apache-2.0 */
/* The one table of a recipe's keys: checks, loading, overrides, defaults and the manual's test
 * read it. */
#ifndef PV_RECIPE_KEYS_H
#define PV_RECIPE_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

enum pv_key_type {
	PV_KEY_BASE,		/* a text that names the base; not kept in the recipe */
	PV_KEY_TEXT,		/* char * */
	PV_KEY_SIZE,		/* uint64_t, bytes, a whole number of MiB between min and max */
	PV_KEY_COUNT,		/* unsigned between min and max */
	PV_KEY_LIST,		/* struct pv_strv */
	PV_KEY_SWITCH,		/* an option: "true" or "false" */
};

/* Says what is wrong with a text in `why` ("is not ..."), after which the value is refused. The
 * value itself is not repeated there: the caller quotes it where `secret` allows. */
typedef bool pv_key_check_fn(const char *value, struct pv_str *why);

struct pv_recipe_key {
	const char *name;		/* "suite", "flavor.memory" */
	enum pv_key_type type;
	bool required : 1;		/* by the recipe and its base together */
	bool adds : 1;			/* a list that is added to the base's, not in its place */
	bool secret : 1;		/* may bear a password: never quoted */
	bool image_only : 1;		/* means something in an image's recipe alone: refused in others, and not
					 * required there */
	pv_key_check_fn *check;		/* of a text or a list's member; NULL: the type's only */
	uint64_t min, max;
	const char *fallback;		/* of a text or switch that nobody gave; may be NULL */
	size_t offset;			/* in struct pv_recipe, but for BASE and SWITCH */
};

/* Values of `kind`. */
#define PV_KIND_IMAGE "image"
#define PV_KIND_DOM0  "dom0"

#define PV_RECIPE_KEYS 24u
/* PV_RECIPE_KEYS rows; the keys of one section stand together. */
const struct pv_recipe_key *pv_recipe_keys(void);

/* The row of a whole name, or NULL. */
const struct pv_recipe_key *pv_recipe_key_find(const char *name);

/* The nearest name to `word` among the rows below `section` ("" for the top, where a section's own
 * name counts too), or among all whole names when section is NULL. The caller frees; NULL when none
 * is near. */
char *pv_recipe_key_nearest(const char *section, const char *word);

/* What stands for what in a snapshot's pattern, and how a date is written there (strftime). */
#define PV_SNAPSHOT_DATE "{date}"
#define PV_SNAPSHOT_ARCHIVE "{archive}"
#define PV_SNAPSHOT_FORMAT "%Y%m%dT%H%M%SZ"
/* The pattern with both put in. The caller frees. */
char *pv_recipe_snapshot_url(const char *pattern, const char *date, const char *archive);

/* True when some key is below it. */
bool pv_recipe_section(const char *name);

/* True when the value is right; else `why` says what is not: is no size; did you mean "4GiB"? */
bool pv_recipe_value_ok(const struct pv_recipe_key *key, const char *value, struct pv_str *why);

/* [a-z0-9][a-z0-9.-]*, at most 64: the names of recipes and bases. */
bool pv_recipe_name_ok(const char *name);

#endif
