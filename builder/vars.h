/* SPDX-License-Identifier: Apache-2.0 */
/* Names and values that templates may use. */
#ifndef PV_VARS_H
#define PV_VARS_H

#include <stddef.h>

struct pv_var {
	char *name, *value;		/* name: [a-z][a-z0-9_]* */
};
struct pv_vars {
	struct pv_var *v;
	size_t n, cap;
};
void pv_vars_set(struct pv_vars *vars, const char *name, const char *value);	/* copies; replaces */
void pv_vars_setf(struct pv_vars *vars, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
const char *pv_vars_get(const struct pv_vars *vars, const char *name);		/* NULL: not there */
void pv_vars_done(struct pv_vars *vars);

#endif
