/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of archive trust: throw-away keys, signed texts, .debs and tiny archives in a folder of their own. */
#ifndef PV_ARCHIVE_HELP_H
#define PV_ARCHIVE_HELP_H

#include <stdbool.h>
#include <stdint.h>

#include "text.h"

struct fx {
	char *dir;			/* scratch folder: keys, mirror/, work/, cache/ */
	char *good, *other, *expired, *revoked, *adopter;	/* primary fingerprints */
};

/* NULL, with the reason on stdout, when this host lacks gpg, gpgv, dpkg-deb, xz or ar. adopter: a key that has bound
 * good's key as its own subkey. */
struct fx *fx_new(void);
void fx_free(struct fx *fx);		/* ends the gpg-agent of this folder, removes the folder */

/* Runs a shell line in fx->dir, with $GOOD, $OTHER, $EXPIRED, $REVOKED, $ADOPTER, and the functions sign_as, mkdeb and
 * mkrelease of the helper. Fails the test unless it exits 0. */
void fx_sh(const struct fx *fx, const char *fmt, ...) PV_PRINTF(2, 3);

char *fx_path(const struct fx *fx, const char *name);	/* caller frees */
char *fx_read(const struct fx *fx, const char *name, size_t *ret_len);
void fx_write(const struct fx *fx, const char *name, const void *data, size_t len);

/* One suite of a tiny archive below fx->dir/mirror; NULL members have a default that is accepted. */
struct fx_suite {
	const char *mirror;		/* folder's name, "mirror" */
	const char *name;		/* below dists/, "noble" */
	const char *origin, *label, *suite, *codename, *components, *archs;	/* Ubuntu noble, main, amd64 */
	const char *extra;		/* more lines of Release */
	int64_t date, valid_until;	/* 0: now; 0: none */
	const char *signer;		/* fingerprint(s), blank between; good */
	const char *packages;		/* text of main's Packages; "" */
	bool by_hash;			/* offered and there */
	bool by_hash_lie;		/* offered but not there */
	bool no_xz;			/* only .gz */
	bool only_plain;		/* no packed index */
};
void fx_suite(const struct fx *fx, const struct fx_suite *s);

/* Adds a package with the keyring file `ring` (a name in fx->dir) to mirror's pool; returns its Packages stanza. */
char *fx_keyring_package(const struct fx *fx, const char *ring, const char *version);

#endif
