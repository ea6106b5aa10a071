/* SPDX-License-Identifier: Apache-2.0 */
/* An ssh key pair for one run, by OpenSSL. (ssh-keygen insists on a user in /etc/passwd, which a user namespace's ids have
 * not.) */
#ifndef PV_SSHKEY_H
#define PV_SSHKEY_H

#include "error.h"

/* A new ECDSA key on P-256. Writes the private half to `path`, mode 0600, in PEM (PKCS #8), which ssh(1) reads;
 * *ret_public is its line for authorized_keys (RFC 5656, 3.1), without a newline; the caller frees. */
int pv_sshkey_make(const char *path, char **ret_public, struct pv_error *err) PV_MUST_CHECK;

#endif
