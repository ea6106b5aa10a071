/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures of SHA256SUMS with the user's own programs: gpg with its agent, or ssh-keygen (PROTOCOL.sshsig of OpenSSH). pvimg
 * sees no secret key and no passphrase. */
#ifndef PV_SIGNATURE_H
#define PV_SIGNATURE_H

#include <stddef.h>

#include "error.h"

#define PV_SIGNATURE_NAMESPACE "pvimg"		/* of ssh's signatures: one made for something else does not count */

/* 0 when it reads "gpg:KEYID" or "ssh:KEYFILE". PV_ERR_USAGE. */
int pv_signature_key_check(const char *key, struct pv_error *err) PV_MUST_CHECK;

/* Signs DIR/SHA256SUMS as `key` says and writes DIR/SHA256SUMS.gpg or .sig. A KEYFILE with a passphrase is used through the
 * user's ssh-agent: name its public half. PV_ERR_ARCHIVE (gpg), PV_ERR_STAGE (ssh-keygen): no signature
 * came; PV_ERR_HOST. */
int pv_signature_make(const char *dir, const char *key, struct pv_error *err) PV_MUST_CHECK;

/* Whose word counts: a keyring for gpg, or an allowed signers file and an identity for ssh. */
struct pv_signature_trust {
	const char *keyring, *allowed_signers, *identity;
};

/* PV_ERR_USAGE unless exactly one of both is given whole and its file is not in DIR: a key that comes with the files proves
 * nothing of them. */
int pv_signature_trust_check(const struct pv_signature_trust *trust, const char *dir, struct pv_error *err) PV_MUST_CHECK;

/* Whether that signature in DIR is good for these bytes. *ret_signer: fingerprint or identity; the caller
 * frees. PV_ERR_ARCHIVE. */
int pv_signature_verify(const char *dir, const char *text, size_t len, const struct pv_signature_trust *trust,
			char **ret_signer, struct pv_error *err) PV_MUST_CHECK;

#endif
