/* SPDX-License-Identifier: Apache-2.0 */
/* A small ordered map from names to values, for templates. */
#include "vars.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

static struct pv_var *find(const struct pv_vars *vars, const char *name)
{
	for (size_t i = 0; i < vars->n; i++)
		if (pv_streq(vars->v[i].name, name))
			return &vars->v[i];
	return NULL;
}

static void set_taken(struct pv_vars *vars, const char *name, char *value)
{
	struct pv_var *var = find(vars, name);

	if (var) {
		free(var->value);
		var->value = value;
		return;
	}
	if (vars->n == vars->cap) {
		vars->cap = vars->cap ? vars->cap * 2 : 32;
		vars->v = pv_xreallocarray(vars->v, vars->cap, sizeof(*vars->v));
	}
	vars->v[vars->n++] = (struct pv_var){ .name = pv_xstrdup(name), .value = value };
}

void pv_vars_set(struct pv_vars *vars, const char *name, const char *value)
{
	/* Copied first: value may be the very text that is replaced. */
	set_taken(vars, name, pv_xstrdup(value));
}

void pv_vars_setf(struct pv_vars *vars, const char *name, const char *fmt, ...)
{
	va_list args;
	char *value;
	int len;

	va_start(args, fmt);
	len = vasprintf(&value, fmt, args);
	va_end(args);
	if (len < 0)
		value = pv_xmalloc(SIZE_MAX); /* ends the program: there is no memory */
	set_taken(vars, name, value);
}

const char *pv_vars_get(const struct pv_vars *vars, const char *name)
{
	const struct pv_var *var = find(vars, name);

	return var ? var->value : NULL;
}

void pv_vars_done(struct pv_vars *vars)
{
	for (size_t i = 0; i < vars->n; i++) {
		free(vars->v[i].name);
		free(vars->v[i].value);
	}
	free(vars->v);
	*vars = (struct pv_vars){ 0 };
}
