/* SPDX-License-Identifier: Apache-2.0 */
/* License names of debian/copyright as SPDX has them. */
#ifndef PV_SPDX_H
#define PV_SPDX_H

#include <stdbool.h>

/* A short name of the machine-readable format 1.0 ("GPL-2+", "Expat", "GPL-1+ or Artistic"; section 7.2) as an expression of
 * SPDX 2.3, Annex D. NULL for a name that has no one meaning there, "GPL" and "public-domain" among them: such ones are told
 * as they are, never guessed. *ret_single (may be NULL): it is one identifier. The caller frees. */
char *pv_spdx_expression(const char *name, bool *ret_single);

#endif
