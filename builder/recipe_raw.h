/* SPDX-License-Identifier: Apache-2.0 */
/* Loads a checked recipe file by libcyaml: every value still a text. */
#ifndef PV_RECIPE_RAW_H
#define PV_RECIPE_RAW_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "recipe_keys.h"

struct pv_recipe_raw {
	struct {
		char *text;
		char **list;
		uint32_t n;
	} v[PV_RECIPE_KEYS];		/* in the order of pv_recipe_keys() */
};

/* Owned by the caller, who frees it with pv_recipe_raw_free. An error here means that our own check
 * and libcyaml disagree: a bug, told as PV_ERR_RECIPE. */
int pv_recipe_raw_load(const char *file, const char *text, size_t len, struct pv_recipe_raw **ret,
		       struct pv_error *err) PV_MUST_CHECK;
void pv_recipe_raw_free(struct pv_recipe_raw *raw);
void pv_recipe_raw_freep(struct pv_recipe_raw **raw);
#define pv_autoraw __attribute__((cleanup(pv_recipe_raw_freep))) struct pv_recipe_raw

#endif
