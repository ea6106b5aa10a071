/* SPDX-License-Identifier: Apache-2.0 */
/* A recipe: only what its file (and its base's file, and --set) said. Numbers are parsed, nothing is derived. */
#ifndef PV_RECIPE_H
#define PV_RECIPE_H

#include <stdbool.h>
#include <stdint.h>

#include "digest.h"
#include "error.h"
#include "text.h"

/* One thing wrong with a recipe. */
struct pv_finding {
	char *file;
	unsigned line, column;		/* 1-based; 0: not known */
	char *text;			/* one line: what is wrong and the nearest valid key or value */
};
struct pv_findings {
	struct pv_finding *v;
	size_t n, cap;
};
void pv_findings_add(struct pv_findings *f, const char *file, unsigned line, unsigned column, const char *fmt, ...)
	PV_PRINTF(5, 6);
void pv_findings_done(struct pv_findings *f);
#define pv_autofindings __attribute__((cleanup(pv_findings_done))) struct pv_findings

struct pv_option {			/* options: the documented switches of overlays */
	char *key, *value;
};

struct pv_recipe {
	char *name;			/* the file's name without .yaml */
	char *path;			/* the file itself */
	char *base_path;		/* its base's file, or NULL */
	char sha256[PV_SHA256_HEX], base_sha256[PV_SHA256_HEX];	/* of both files; "" without a base */
	char *kind;			/* kind: "image", also when not said, or "dom0" */
	char *distribution;		/* distribution: */
	char *suite;			/* suite: (codename) */
	uint64_t memory, disk;		/* flavor: memory, disk: bytes */
	unsigned vcpus;			/* flavor: vcpus */
	unsigned boot_budget;		/* boot-budget: times dom0's own boot that the guest's may take; 0: not said */
	char *mirror;			/* mirror: NULL when not said */
	char *snapshot;			/* snapshot: URL pattern with {date}, NULL when not said */
	char *snapshot_date;		/* snapshot-date: "20261122T133000Z", NULL when not said */
	char *image_mirror;		/* image-mirror: NULL when not said */
	char *security;			/* security: "auto" (also when not said), "none", or a URL */
	char *keyring;			/* keyring: path, NULL when not said */
	struct pv_strv trusted_keys;	/* trusted-keys: 40 upper-case hex digits each */
	struct pv_strv components;	/* components: empty when not said */
	struct pv_strv packages;	/* packages: base's first, then the recipe's; no repeats */
	struct pv_strv overlays;	/* overlays: base's first, then the recipe's; no repeats */
	struct pv_option *options;	/* options: base's, replaced by the recipe's, then --set */
	size_t noptions;
	struct pv_strv formats;		/* formats: what the raw disk is exported as; empty when not said */
	struct pv_strv targets;		/* targets: where publish sends it; empty when not said. No input of any stage */
	char *hostname;			/* hostname: default the distribution's name */
};

struct pv_recipe_override {		/* from the command line; members may be NULL */
	const char *suite, *mirror, *keyring;
	const struct pv_strv *sets;	/* "flavor.memory=4GiB", "options.memcached-large-pages=true", ... */
};

/* Loads recipes_dir/NAME.yaml, its base, then the overrides, and checks all of it. Every fault is added to
 * `findings` (which the caller prints) and the call then fails with PV_ERR_RECIPE "recipe NAME: N faults".
 * An unknown name is one error that gives the nearest name; `name` is never a path: [a-z0-9][a-z0-9.-]*. */
int pv_recipe_load(const char *recipes_dir, const char *name, const struct pv_recipe_override *over,
		   struct pv_recipe *ret, struct pv_findings *findings, struct pv_error *err) PV_MUST_CHECK;

/* The same from memory, for tests and the fuzzer: `base_text` may be NULL. */
int pv_recipe_load_mem(const char *name, const char *text, size_t len, const char *base_text, size_t base_len,
		       const struct pv_recipe_override *over, struct pv_recipe *ret, struct pv_findings *findings,
		       struct pv_error *err) PV_MUST_CHECK;

void pv_recipe_done(struct pv_recipe *r);
#define pv_autorecipe __attribute__((cleanup(pv_recipe_done))) struct pv_recipe

/* What it makes is no disk image but the dom0 that xen-in-qemu boots. Flavor, overlays, options, image-mirror and hostname
 * say nothing then, and a recipe that has them is refused. */
bool pv_recipe_is_dom0(const struct pv_recipe *r);

/* Names of all recipes in a folder, sorted. */
int pv_recipe_names(const char *recipes_dir, struct pv_strv *ret, struct pv_error *err) PV_MUST_CHECK;

/* The value of an option, or its default (recipe.c has the table), never NULL for a known key. */
const char *pv_recipe_option(const struct pv_recipe *r, const char *key);

#endif
