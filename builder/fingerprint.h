/* SPDX-License-Identifier: Apache-2.0 */
/* The certificate that a host shows, for a person to compare and pin. Nothing is trusted and nothing is sent. */
#ifndef PV_FINGERPRINT_H
#define PV_FINGERPRINT_H

#include "digest.h"
#include "error.h"

struct pv_fingerprint {
	char *host;				/* "NAME:PORT" */
	char sha256[PV_SHA256_HEX];		/* of the certificate, as --pin takes it */
	char *subject, *issuer, *names;		/* printable; names: for which it is, "DNS:a, IP Address:b", "" */
	char *from, *until;			/* "2026-08-21T10:00:00Z" */
};
void pv_fingerprint_done(struct pv_fingerprint *f);
#define pv_autofingerprint __attribute__((cleanup(pv_fingerprint_done))) struct pv_fingerprint

/* Begins a TLS handshake with the host of an https URL, looks at what it shows, and breaks off: no request is made. Through
 * a proxy where the environment names one. PV_ERR_ARCHIVE; PV_ERR_USAGE for another URL. */
int pv_fingerprint_get(const char *url, struct pv_fingerprint *ret, struct pv_error *err) PV_MUST_CHECK;

#endif
