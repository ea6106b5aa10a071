/* SPDX-License-Identifier: Apache-2.0 */
/* The plan: recipe, host and archive resolved into one const value that every stage reads. */
#ifndef PV_PLAN_H
#define PV_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "digest.h"
#include "error.h"
#include "recipe.h"
#include "sizing.h"
#include "suite.h"
#include "text.h"
#include "vars.h"

/* Where things are; made from options and environment by main.c's commands. */
struct pv_paths {
	char *recipes_dir;		/* recipes/ of the source tree or of the installation */
	char *overlays_dir;
	char *scripts_dir;		/* sh that runs inside the target */
	char *out_dir;			/* --out, default out/images */
	char *cache_dir;		/* store/, freshness/, work/ below it */
};

struct pv_package {
	char *name, *version, *arch;
	char *filename;			/* pool/..., as in the index */
	char *base_url;			/* mirror it comes from; may bear credentials: never printed as it is */
	char *suite;			/* whose index has it: "bookworm-security" */
	char *priority;			/* the archive's word (its .deb may say another): debootstrap goes by it */
	char sha256[PV_SHA256_HEX];
	uint64_t size;			/* of the .deb */
	uint64_t installed_kib;		/* Installed-Size */
	bool requested;			/* named by recipe or suite (apt's "manual"), not only depended on */
};

struct pv_partition {
	unsigned number;		/* 1 root, 14 BIOS boot, 15 ESP, as Canonical and Debian number them */
	uint64_t start, size;		/* bytes */
	uint8_t uuid[16];		/* partition GUID */
};

/* Of a dom0 (pv_recipe_is_dom0) sizing, vars, base, disk and ids stay empty. */
struct pv_plan {
	char *name;
	const struct pv_recipe *recipe;		/* borrowed; outlives the plan */
	const struct pv_suite *suite;
	const char *arch;			/* "amd64" */
	struct pv_sizing sizing;
	struct pv_vars vars;			/* what overlays' templates may use */
	int64_t epoch;				/* newest Date of the suites, or SOURCE_DATE_EPOCH */
	bool stand_in;				/* the archive says it is not the distribution's (tests) */
	bool locked;				/* the packages are a lock's (lockfile.h) */
	struct pv_strv locked_tools;		/* "NAME VERSION": of the host that made the lock */

	struct pv_strv install_packages;	/* names asked for in the one apt transaction, sorted */
	struct pv_package *packages;		/* what the finished image has, sorted by name; NULL before resolving */
	size_t npackages;
	struct pv_package *base;		/* what debootstrap installs of these (names) */
	size_t nbase;
	uint64_t download_bytes, installed_bytes;	/* installed: rounded up to blocks, an estimate */

	uint64_t disk_size;
	uint8_t disk_uuid[16];
	struct pv_partition bios, esp, root;
	uint8_t root_fs_uuid[16], root_hash_seed[16];
	uint32_t esp_volume_id;
};

/* What needs no archive: suite, sizing, disk layout, package names to ask for. The recipe was checked. */
int pv_plan_make(const struct pv_recipe *recipe, struct pv_plan *ret, struct pv_error *err) PV_MUST_CHECK;

/* The epoch (SOURCE_DATE_EPOCH when set: malformed is PV_ERR_USAGE) and with it every id and the templates' variables.
 * newest_date: of the archive's suites, seconds since 1970. */
int pv_plan_set_epoch(struct pv_plan *plan, int64_t newest_date, bool stand_in, struct pv_error *err) PV_MUST_CHECK;

/* The resolved packages, moved out of `res`; PV_ERR_RECIPE when they cannot fit the recipe's disk. */
struct pv_resolution;
int pv_plan_set_packages(struct pv_plan *plan, struct pv_resolution *res, struct pv_error *err) PV_MUST_CHECK;

/* Whether debootstrap installs the package of this name. */
bool pv_plan_in_base(const struct pv_plan *plan, const char *name);

/* The plan as JSON (schema pvimg.plan/1), sorted keys, ending in a newline; without what no stage may depend on
 * (credentials). The caller frees. */
char *pv_plan_json(const struct pv_plan *plan);

void pv_plan_done(struct pv_plan *plan);
#define pv_autoplan __attribute__((cleanup(pv_plan_done))) struct pv_plan

#endif
