/* SPDX-License-Identifier: Apache-2.0 */
/* Builds an image twice from nothing, each time in other conditions, and compares what came out. */
#ifndef PV_REPRODUCE_H
#define PV_REPRODUCE_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"
#include "log.h"
#include "plan.h"
#include "recipe.h"

struct pv_reproduce_request {
	const struct pv_recipe *recipe;
	const struct pv_paths *paths;		/* downloads are taken from cache_dir's store; nothing else of it is used */
	const char *const *options;		/* of `pvimg build`, the same for both; NULL-terminated */
	const char *keyring;			/* --keyring, which may be the caller's alone to read; NULL: not said */
	const char *as_user;			/* builds the second time; NULL: one is looked for. Root only */
	struct pv_log *log;
};

/* All owned. */
struct pv_reproduced {
	bool equal;
	char *cause;				/* one line; NULL when equal */
	char *text;				/* for people: what was varied and what not, digests, differences */
	char *json;				/* pvimg.reproduce/1 */
	char *kept;				/* folder with both results, kept when they differ; NULL */
};
void pv_reproduced_done(struct pv_reproduced *r);
#define pv_autoreproduced __attribute__((cleanup(pv_reproduced_done))) struct pv_reproduced

/* Runs this very program twice. Work and results are in a fresh folder below TMPDIR or /var/tmp, which goes again unless
 * results differ. Different results are no error. A build that fails is one, of the build's kind, and says which of the two
 * it was. Not to be called in a builder namespace. */
int pv_reproduce(const struct pv_reproduce_request *req, struct pv_reproduced *ret, struct pv_error *err) PV_MUST_CHECK;

/* Removes the folders of runs of the caller's that were killed; pv_reproduce does it first of all. Those that were kept to be
 * looked at stay. */
int pv_reproduce_sweep(size_t *ret_removed, struct pv_error *err) PV_MUST_CHECK;

#endif
