/* SPDX-License-Identifier: Apache-2.0 */
/* The Release file of a suite: what it says, and whether that is what was asked for. Pure: no I/O. */
#ifndef PV_RELEASE_H
#define PV_RELEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "digest.h"
#include "error.h"
#include "text.h"

#define PV_RELEASE_MAX (4u << 20)	/* bytes of an InRelease file that are read at all */
#define PV_RELEASE_FUTURE_S 3600	/* a Date further ahead of our clock is refused */

struct pv_release_entry {
	char *path;			/* "main/binary-amd64/Packages.xz" */
	char sha256[PV_SHA256_HEX];
	uint64_t size;
};

struct pv_release {
	char *origin, *label, *suite, *codename, *version;	/* "" when not said */
	int64_t date;			/* seconds since 1970 */
	int64_t valid_until;		/* 0: not said */
	struct pv_strv architectures, components;
	bool by_hash;			/* Acquire-By-Hash: yes */
	bool stand_in;			/* X-Pvimg-Stand-In: yes, or Label ends in "stand-in": a test's archive */
	struct pv_release_entry *entries;	/* of SHA256:, sorted by path */
	size_t nentries;
};

int pv_release_parse(const char *text, size_t len, struct pv_release *ret, struct pv_error *err) PV_MUST_CHECK;
void pv_release_done(struct pv_release *r);
#define pv_autorelease __attribute__((cleanup(pv_release_done))) struct pv_release

struct pv_release_expect {
	const char *origin;		/* "Debian" */
	const char *codename;		/* the main suite's: "bookworm" */
	const char *suite;		/* the name asked for below dists/: "bookworm-security" */
	const struct pv_strv *components;
	const char *arch;
};

/* Is it what was asked for? Origin equal; Suite equal to the asked name, or Codename where Suite is no other pocket's name
 * (Ubuntu's noble-updates has Codename noble, Debian's bookworm has Suite stable); Codename equal to the asked name
 * or to the main suite's; architecture and
 * components listed ("updates/main" counts as main); Date not in the future, Valid-Until not in the past unless
 * ignore_valid_until. */
int pv_release_check(const struct pv_release *r, const struct pv_release_expect *expect, int64_t now,
		     bool ignore_valid_until, struct pv_error *err) PV_MUST_CHECK;

/* NULL when it is not listed. */
const struct pv_release_entry *pv_release_find(const struct pv_release *r, const char *path);

/* "Sat, 11 Jul 2026 10:16:37 UTC" (also GMT, +0000, and " 9:03:47"); whatever the locale. 0 or -1. */
int pv_release_date(const char *text, int64_t *ret) PV_MUST_CHECK;

#endif
