/* SPDX-License-Identifier: Apache-2.0 */
/* Which packages an image gets: debootstrap's base by debootstrap's rule, the rest by the host's apt-get as resolver. */
#ifndef PV_RESOLVE_H
#define PV_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>

#include "aptree.h"
#include "error.h"
#include "plan.h"
#include "text.h"

struct pv_resolve_request {
	const char *work_dir;		/* made if needed; apt's private files go to work_dir/apt */
	const char *arch;		/* "amd64" */
	/* The release suite's components come first, then updates, then security. Indexes of the first one's suite are
	 * what debootstrap sees. */
	const struct pv_aptree_index *indexes;
	size_t nindexes;
	const struct pv_strv *names;	/* wanted beside the base; real or virtual names */
	const char *const *base_names;	/* debootstrap's --include: usr-is-merged; NULL-terminated, may be NULL */
	bool no_base;			/* the names and what they depend on alone, not even what is essential: for a tree in
					 * which nothing is installed */
};

struct pv_resolution {
	struct pv_package *packages;	/* what the finished image has, sorted by name; `requested` is set for names */
	size_t npackages;
	struct pv_package *base;	/* what debootstrap would install from the release suite alone, sorted by name:
					 * its names are the base; the versions installed are those in `packages` */
	size_t nbase;
};
void pv_resolution_done(struct pv_resolution *res);
#define pv_autoresolution __attribute__((cleanup(pv_resolution_done))) struct pv_resolution

/* A name that no index has (also not as Provides) is PV_ERR_RECIPE, all such names in one error with the nearest
 * existing ones; dependencies that cannot be met are PV_ERR_RECIPE with apt's words; faulty index entries (no or bad
 * Filename, SHA256, Size) are PV_ERR_ARCHIVE. Holds no whole index in memory. */
int pv_resolve(const struct pv_resolve_request *req, struct pv_resolution *ret, struct pv_error *err) PV_MUST_CHECK;

struct pv_package pv_package_copy(const struct pv_package *p);
void pv_package_done(struct pv_package *p);
void pv_packages_free(struct pv_package *v, size_t n);

/* A package's name as Policy 5.6.1 has it, at most 128 bytes; nothing else is compared or handed to apt. */
bool pv_package_name_ok(const char *name);
/* A word of lower-case letters: "required", "optional". */
bool pv_priority_ok(const char *priority);

#endif
