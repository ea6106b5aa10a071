/* SPDX-License-Identifier: Apache-2.0 */
/* What a stage's result depends on: a printable list of names and values, in order, and its digest. */
#ifndef PV_CACHEKEY_H
#define PV_CACHEKEY_H

#include <stdbool.h>
#include <stddef.h>

#include "digest.h"
#include "error.h"
#include "text.h"

#define PV_CACHEKEY_LINES_MAX 20000u

/* names and values have the same length. No two lines have one name. */
struct pv_cachekey {
	struct pv_strv names, values;
};

/* Adds a line. `name` must be [a-zA-Z0-9._+:/~-]+ or it is made so, each other byte as %XX. A value that is long or not
 * printable stands there as "sha256:" and its digest, so that two lists are equal exactly when their inputs are. */
void pv_cachekey_add(struct pv_cachekey *key, const char *name, const char *value);
void pv_cachekey_addf(struct pv_cachekey *key, const char *name, const char *fmt, ...) PV_PRINTF(3, 4);
/* The digest of a file's contents, or "none" when it is not there. PV_ERR_STAGE when it cannot be read. */
int pv_cachekey_file(struct pv_cachekey *key, const char *name, const char *path, struct pv_error *err) PV_MUST_CHECK;

/* Of all lines, "name=value\n" each. */
void pv_cachekey_digest(const struct pv_cachekey *key, char ret[PV_SHA256_HEX]);

/* `name` as it was added. NULL: no such line. */
const char *pv_cachekey_get(const struct pv_cachekey *key, const char *name);

/* The first line that differs, in the order of `now`; then what only `before` has. Values are NULL where there is no such
 * line. False: the lists are the same. The strings are borrowed. */
bool pv_cachekey_diff(const struct pv_cachekey *before, const struct pv_cachekey *now, const char **ret_name,
		      const char **ret_before, const char **ret_now);
/* How many lines of `now` differ from or are not in `before`, and the other way round. */
size_t pv_cachekey_distance(const struct pv_cachekey *before, const struct pv_cachekey *now);

void pv_cachekey_done(struct pv_cachekey *key);
#define pv_autocachekey __attribute__((cleanup(pv_cachekey_done))) struct pv_cachekey

#endif
