/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures by gpgv and keyrings by gpg, both as child processes with a private home. */
#ifndef PV_GPG_H
#define PV_GPG_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"
#include "text.h"

#define PV_FINGERPRINT_LEN 40		/* v4 OpenPGP key: 40 upper-case hex digits */

bool pv_gpg_fingerprint_valid(const char *text);

/* Checks a clearsigned message. Accepted only when gpgv's status lines (GnuPG's doc/DETAILS) tell of at least one
 * signature that has GOODSIG and VALIDSIG, a SHA-2 digest of 256 bits or more, and a PRIMARY fingerprint in `fingerprints`
 * (NULL or empty: any key of the keyring), and when no signature at all is a BADSIG. A signature by an expired or
 * revoked key, an expired one, or one whose key is not in the keyring does not count and does no harm beside a good one
 * (Debian's files carry several). Text before, between or after the one signed block is refused.
 * keyring_path: absolute, binary (pv_gpg_keyring_make makes one from anything).
 * *ret_content is what gpgv itself wrote: the signed text and nothing else; the caller frees. *ret_fingerprint: the
 * primary key that was accepted. Either may be NULL. Errors: PV_ERR_ARCHIVE (not accepted), PV_ERR_HOST (no gpgv). */
int pv_gpg_verify_inline(const char *text, size_t len, const char *keyring_path,
			 const struct pv_strv *fingerprints, struct pv_str *ret_content, char **ret_fingerprint,
			 struct pv_error *err) PV_MUST_CHECK;

/* The same rule for a detached signature (binary or armored) over data, by any key of the keyring. Nothing is written. */
int pv_gpg_verify_detached(const void *data, size_t len, const void *signature, size_t signature_len,
			   const char *keyring_path, char **ret_fingerprint, struct pv_error *err) PV_MUST_CHECK;

/* The text between the armor of a clearsigned message, UNVERIFIED, for finding things that are verified later. Only
 * for the keyring bootstrap. */
int pv_gpg_unverified_text(const char *text, size_t len, struct pv_str *ret_content, struct pv_error *err)
	PV_MUST_CHECK;

/* Writes ret_path, a binary keyring for gpgv, from key material: binary, armored, or a keybox. With fingerprints: only
 * those primary keys, minimal and clean, and at least one of them must be there. Nothing outside work_dir is
 * touched; no agent is started. Errors: PV_ERR_ARCHIVE (material refused), PV_ERR_HOST (no gpg). */
int pv_gpg_keyring_make(const void *data, size_t len, const struct pv_strv *fingerprints, const char *work_dir,
			const char *ret_path, struct pv_error *err) PV_MUST_CHECK;

/* Full fingerprints of the primary keys in a binary keyring file, in its order. */
int pv_gpg_keyring_list(const char *path, const char *work_dir, struct pv_strv *ret, struct pv_error *err)
	PV_MUST_CHECK;

#endif
