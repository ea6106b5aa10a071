/* SPDX-License-Identifier: Apache-2.0 */
/* What gpgv's status channel says about a message (GnuPG's doc/DETAILS). Inside of gpg. */
#ifndef PV_GPG_STATUS_H
#define PV_GPG_STATUS_H

#include <stddef.h>

#include "error.h"
#include "text.h"

/* text: NUL-terminated, len bytes, destroyed. Accepted (0) as gpg.h says of pv_gpg_verify_inline: *ret_fingerprint is
 * the first trusted primary key with a good signature, the caller frees. Else PV_ERR_ARCHIVE; keyring is named in
 * the error. trusted NULL or empty: any key. */
int pv_gpg_status_judge(char *text, size_t len, const struct pv_strv *trusted, const char *keyring, char **ret_fingerprint,
			struct pv_error *err) PV_MUST_CHECK;

/* The same about a detached signature, by any key of the keyring. */
int pv_gpg_status_judge_detached(char *text, size_t len, const char *keyring, char **ret_fingerprint, struct pv_error *err)
	PV_MUST_CHECK;

#endif
