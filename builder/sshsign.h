/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures of short texts by ssh-keygen -Y (ssh-keygen(1), "ALLOWED SIGNERS"; the format is OpenSSH's PROTOCOL.sshsig). Keys
 * and passphrases are never seen here. */
#ifndef PV_SSHSIGN_H
#define PV_SSHSIGN_H

#include <stddef.h>

#include "error.h"
#include "text.h"

/* key: a private key without a passphrase, or a public one whose private half an agent holds. name_space: what the signature is
 * for; one made for another purpose is worth nothing here. PV_ERR_HOST without ssh-keygen, else PV_ERR_STAGE. */
int pv_sshsign_make(const char *key, const char *name_space, const char *text, size_t len, struct pv_str *ret_signature,
		    struct pv_error *err) PV_MUST_CHECK;

/* Whether a key of `signers` (allowed_signers) made it for these bytes and this purpose. signature_path: a file, hostile.
 * PV_ERR_ARCHIVE: no; *ret_signer (the caller frees) is who it was. */
int pv_sshsign_check(const char *signers, const char *name_space, const char *signature_path, const char *text, size_t len,
		     char **ret_signer, struct pv_error *err) PV_MUST_CHECK;

/* The same where it must be a key of `identity`, one of the principals in `signers`. */
int pv_sshsign_verify(const char *signers, const char *identity, const char *name_space, const char *signature_path,
		      const char *text, size_t len, struct pv_error *err) PV_MUST_CHECK;

#endif
