/* SPDX-License-Identifier: Apache-2.0 */
/* What writer and reader of XVAs share: the sums of chunks. */
#ifndef PV_XVA_PRIV_H
#define PV_XVA_PRIV_H

#include <stdbool.h>
#include <stddef.h>

#define PV_XVA_SUM 41 /* with its NUL: 40 lower-case digits of SHA-1, or 16 upper-case ones of XXH64 with seed 0 */

void pv_xva_sum(bool xxhash, const void *data, size_t len, char ret[PV_XVA_SUM]);
/* ".xxhash" or ".checksum" */
const char *pv_xva_suffix(bool xxhash);

#endif
