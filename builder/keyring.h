/* SPDX-License-Identifier: Apache-2.0 */
/* Which keys are believed for an archive: option, recipe, this host's keyring package, or keys pinned by the recipe. */
#ifndef PV_KEYRING_H
#define PV_KEYRING_H

#include <stdbool.h>
#include <stdint.h>

#include "digest.h"
#include "error.h"
#include "fetch.h"
#include "store.h"
#include "suite.h"
#include "text.h"

#define PV_KEYRING_MAX (4u << 20)	/* bytes of a keyring file, and of the package's member */
#define PV_KEYRING_DEB_MAX (8u << 20)	/* bytes of the keyring package */

enum pv_keyring_source {
	PV_KEYRING_OPTION,		/* --keyring or keyring: */
	PV_KEYRING_HOST,		/* the suite table's host path */
	PV_KEYRING_PACKAGE,		/* the mirror's keyring package, held against the pins */
};

struct pv_keyring_request {
	const struct pv_suite *suite;
	const char *option;		/* path from option or recipe; NULL: none */
	const struct pv_strv *trusted_keys;	/* pinned primary fingerprints; NULL or empty: none. They restrict
					 * every source: with option and no wish to restrict, pass NULL */
	const char *host_path;		/* NULL: suite->keyring_host_path; "" : pretend the host has none (tests) */
	const char *mirror, *component, *arch;	/* where the keyring package is looked up: "main" */
	const char *work_dir;		/* for the keyring file and the private GnuPG home */
	struct pv_store *store;
	struct pv_fetch *fetch;
};

struct pv_keyring {
	char *path;			/* absolute; a binary keyring for gpgv and debootstrap */
	char *from;			/* the file that was found, or the package's name: for people */
	struct pv_strv pins;		/* empty: every key in it is believed */
	enum pv_keyring_source source;
	/* PV_KEYRING_PACKAGE only: what was taken, to be held against the signed index */
	char *package;
	char sha256[PV_SHA256_HEX];
	uint64_t size;
};

/* Finds or makes the keyring. From a package, it is only as good as the pins until pv_keyring_confirm has passed.
 * Errors: PV_ERR_HOST (no keyring here, none pinned: with the ways out), PV_ERR_ARCHIVE. */
int pv_keyring_find(const struct pv_keyring_request *req, struct pv_keyring *ret, struct pv_error *err)
	PV_MUST_CHECK;

/* Holds the package that the keyring came from against an index that the keyring itself verified: the very same digest
 * and size must stand there, else PV_ERR_ARCHIVE. Fine, and nothing to do, for the other sources. */
int pv_keyring_confirm(const struct pv_keyring *k, const char *packages_path, struct pv_error *err) PV_MUST_CHECK;

void pv_keyring_done(struct pv_keyring *k);
#define pv_autokeyring __attribute__((cleanup(pv_keyring_done))) struct pv_keyring

#endif
