/* SPDX-License-Identifier: Apache-2.0 */
/* Whether an image may leave the house: what its verdict says, of which bytes. */
#ifndef PV_PUBLISH_GATE_H
#define PV_PUBLISH_GATE_H

#include <stdbool.h>

#include "digest.h"
#include "error.h"

/* Reads verdict.json and manifest.json beside the image. ret_sha256: the digest that the verdict is about, which the
 * bytes sent have to have; "" where unverified is true. Refused (PV_ERR_VERDICT): an image from a stand-in archive, always;
 * no verdict, one that is not green, from another driver than xl, xen-in-qemu or accept_driver (NULL: none), or at
 * another size than the flavor's; but for unverified. */
int pv_publish_gate(const char *image, bool unverified, const char *accept_driver, char ret_sha256[PV_SHA256_HEX],
		    struct pv_error *err) PV_MUST_CHECK;

#endif
