/* SPDX-License-Identifier: Apache-2.0 */
/* Reader of deb822 stanzas (Packages, Release, .sources), one stanza in memory at a time. */
#ifndef PV_DEB822_H
#define PV_DEB822_H

#include <stddef.h>

#include "error.h"

#define PV_STANZA_MAX (4u << 20)	/* bytes of one stanza; a larger one is refused */
#define PV_STANZA_FIELDS 256		/* fields of one stanza; more are refused */

/* Valid only inside the callback it is given to. */
struct pv_stanza;

/* Value of a field, name in any case; NULL when the stanza has none. Blanks at both ends are gone; continuation
 * lines follow after a "\n" each, without their first blank. Valid as long as the stanza. */
const char *pv_stanza_get(const struct pv_stanza *s, const char *field);

/* The fields in the file's order. */
size_t pv_stanza_count(const struct pv_stanza *s);
const char *pv_stanza_name(const struct pv_stanza *s, size_t i);
const char *pv_stanza_value(const struct pv_stanza *s, size_t i);

/* 0: go on; 1: enough, the reader returns 0; -1: failed, the reader returns -1 and leaves *err as it is (the callback
 * has it in its ctx). */
typedef int pv_stanza_fn(void *ctx, const struct pv_stanza *s);

/* Calls fn for each stanza. Refused, with the line's number: a line that is neither field, continuation, comment ("#" in
 * column 1) nor empty; a line of blanks only; a NUL byte; a field twice in one stanza; the bounds above. Kind of
 * such errors: PV_ERR_ARCHIVE. No file is ever in memory whole. */
int pv_deb822_each_file(const char *path, pv_stanza_fn *fn, void *ctx, struct pv_error *err) PV_MUST_CHECK;
int pv_deb822_each_mem(const char *text, size_t len, pv_stanza_fn *fn, void *ctx, struct pv_error *err)
	PV_MUST_CHECK;

#endif
