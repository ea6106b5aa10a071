/* SPDX-License-Identifier: Apache-2.0 */
/* Templates (*.in): text with @name@ in it. */
#ifndef PV_TEMPLATE_H
#define PV_TEMPLATE_H

#include <stddef.h>

#include "error.h"
#include "text.h"
#include "vars.h"

#define PV_TEMPLATE_MAX (1024u * 1024u)		/* bytes a template, and what becomes of it, may have */

/* Appends text to ret with each @name@ replaced by the variable's value, as it is (values are not rendered again), and
 * each @@ by one @. A line that holds one variable and nothing else, when the value is empty, leaves no line behind: so
 * a whole setting can depend on a variable. Everything else is an error (PV_ERR_RECIPE) with file, line and column: a
 * variable that is not there (with the nearest one that is), a single @, a NUL byte, a result that grows too long.
 * file is for messages. ret keeps what was there before when it fails. */
int pv_template_render(const char *file, const char *text, size_t len, const struct pv_vars *vars, struct pv_str *ret,
		       struct pv_error *err) PV_MUST_CHECK;

#endif
