/* SPDX-License-Identifier: Apache-2.0 */
/* A .deb without compression: the same members and the same bytes in them, so dpkg installs the same and does not spend
 * its time on decompressing. */
#ifndef PV_DEBPLAIN_H
#define PV_DEBPLAIN_H

#include <stdint.h>

#include "digest.h"
#include "error.h"

/* Reads the .deb `from` and writes it anew to `to`, which must not exist; at most `max` bytes. Both results describe the
 * new file. After an error `to` is gone. PV_ERR_ARCHIVE: no .deb, damaged, larger than max; PV_ERR_STAGE: the disk. */
int pv_debplain_write(const char *from, const char *to, uint64_t max, char ret_sha256[PV_SHA256_HEX],
		      uint64_t *ret_size, struct pv_error *err) PV_MUST_CHECK;

#endif
