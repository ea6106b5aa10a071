/* SPDX-License-Identifier: Apache-2.0 */
/* NAME.lock: which packages, to the byte, a recipe's image is made of. Beside NAME.yaml, reviewed and committed like it. */
#ifndef PV_LOCKFILE_H
#define PV_LOCKFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "archive.h"
#include "digest.h"
#include "error.h"
#include "plan.h"
#include "resolve.h"
#include "text.h"

/* The file is lines of words, one space between, ASCII; in this order, what repeats sorted bytewise:
 *
 *   pvimg-lock 1
 *   recipe NAME
 *   distribution debian|ubuntu
 *   architecture amd64
 *   archive distribution|stand-in              stand-in: an archive that tests made
 *   components COMPONENT...
 *   security yes|no                            whether security updates are in
 *   snapshot YYYYMMDDTHHMMSSZ                  only when the recipe names one
 *   inputs SHA256                              of all that the set depends on (pv_lockfile_inputs)
 *   tool NAME VERSION                          of the host that made it, as far as it shapes an image
 *   ask PACKAGE                                what recipe and suite ask for by name
 *   suite NAME SHA256 YYYY-MM-DDTHH:MM:SSZ     digest of the signed text of its InRelease, its Date
 *   package NAME VERSION ARCH SIZE SHA256 PATH SUITE INSTALLED-KIB PRIORITY base|more
 *
 * base: debootstrap installs it. No host's name and no mirror is in it: whoever has it can use any mirror. */
#define PV_LOCKFILE_VERSION "1"
#define PV_LOCKFILE_MAX ((size_t)8 << 20)	/* bytes; 400 packages take 80 KiB */
#define PV_LOCKFILE_PACKAGES 20000u

struct pv_lock_package {
	struct pv_package package;	/* base_url is NULL, `requested` not set */
	bool base;
};

struct pv_lockfile {
	char *recipe, *distribution, *arch, *components, *snapshot;	/* snapshot: NULL without */
	bool stand_in, security;
	char inputs[PV_SHA256_HEX];
	struct pv_strv tools;		/* "NAME VERSION" */
	struct pv_strv asks;
	struct pv_archive_suite *suites;
	size_t nsuites;
	struct pv_lock_package *packages;
	size_t npackages;
};

void pv_lockfile_done(struct pv_lockfile *lock);
#define pv_autolockfile __attribute__((cleanup(pv_lockfile_done))) struct pv_lockfile

/* The lock's place: the recipe's file with .lock for .yaml. The caller frees. */
char *pv_lockfile_path(const struct pv_recipe *recipe);

/* Strict: anything but what pv_lockfile_text writes is PV_ERR_RECIPE "FILE:LINE: what is wrong". file: for errors. */
int pv_lockfile_parse(const char *file, const char *text, size_t len, struct pv_lockfile *ret, struct pv_error *err)
	PV_MUST_CHECK;
int pv_lockfile_read(const char *path, struct pv_lockfile *ret, struct pv_error *err) PV_MUST_CHECK;

/* The file's text; the same lock gives the same bytes. The caller frees. */
char *pv_lockfile_text(const struct pv_lockfile *lock);

/* Of a plan whose packages were resolved from this archive, and of this host's tools. */
void pv_lockfile_make(const struct pv_plan *plan, const struct pv_archive *archive, struct pv_lockfile *ret);

/* Digest of all in recipe, suite table and host-independent options that decides which packages an archive gives. */
void pv_lockfile_inputs(const struct pv_plan *plan, char ret_hex[PV_SHA256_HEX]);

/* 0 when it is a lock for this plan; a lock of another recipe, suite or package list is PV_ERR_RECIPE: what differs and
 * the way out. file: for errors. */
int pv_lockfile_check(const struct pv_lockfile *lock, const char *file, const struct pv_plan *plan,
		      struct pv_error *err) PV_MUST_CHECK;

/* The newest Date of its suites: the epoch. */
int64_t pv_lockfile_date(const struct pv_lockfile *lock);

/* Its packages as if they had just been resolved; base_url is NULL. The caller frees (pv_resolution_done). */
void pv_lockfile_resolution(const struct pv_lockfile *lock, struct pv_resolution *ret);

/* What of this host shapes an image, as "NAME VERSION", sorted. Runs programs. */
void pv_lockfile_tools(struct pv_strv *ret);
/* How this host differs from that, for a warning; NULL: not at all. Runs programs. The caller frees. */
char *pv_lockfile_tools_differ(const struct pv_strv *locked);

/* What becomes different from one lock to the next, sorted by name. Strings are borrowed from the locks. */
enum pv_lock_change_kind { PV_LOCK_ADDED, PV_LOCK_REMOVED, PV_LOCK_UP, PV_LOCK_DOWN, PV_LOCK_CHANGED };
struct pv_lock_change {
	enum pv_lock_change_kind kind;	/* CHANGED: the same version, another file */
	const char *name;
	const char *before, *after;	/* versions; NULL: none */
	bool security;			/* the new one comes from the security suite */
};
struct pv_lock_changes {
	struct pv_lock_change *v;
	size_t n;
};
void pv_lockfile_diff(const struct pv_lockfile *before, const struct pv_lockfile *after, struct pv_lock_changes *ret);
void pv_lock_changes_done(struct pv_lock_changes *changes);
#define pv_autolockchanges __attribute__((cleanup(pv_lock_changes_done))) struct pv_lock_changes
/* "added", "removed", "up", "down", "changed". */
const char *pv_lock_change_name(enum pv_lock_change_kind kind);

#endif
