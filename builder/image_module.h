/* SPDX-License-Identifier: Apache-2.0 */
/* What a Linux kernel module says of itself: entries of its ELF section .modinfo. */
#ifndef PV_IMAGE_MODULE_H
#define PV_IMAGE_MODULE_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

#define PV_MODULE_MAX ((size_t)64 << 20)	/* of a module unpacked; a larger one is refused */

/* The value of `key` ("vermagic") in a module, .ko as it is or compressed with gzip, xz or zstd. *ret is the caller's
 * to free. PV_ERR_DIFFERS when it is no ELF64 module or has no such entry. */
int pv_module_info(const uint8_t *data, size_t len, const char *key, char **ret, struct pv_error *err) PV_MUST_CHECK;

#endif
