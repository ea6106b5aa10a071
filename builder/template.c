/* SPDX-License-Identifier: Apache-2.0 */
/* Renders templates. */
#include "template.h"

#include <string.h>

struct reader {
	const char *file, *text, *end, *at, *line_start;
	unsigned line;
	const struct pv_vars *vars;
	struct pv_str *out;
};

static unsigned column_of(const struct reader *r, const char *at)
{
	return (unsigned)(at - r->line_start) + 1;
}

static int refuse_unknown(const struct reader *r, const char *at, const char *name, struct pv_error *err)
{
	pv_autostrv names = PV_STRV_INIT;
	for (size_t i = 0; i < r->vars->n; i++)
		pv_strv_add(&names, r->vars->v[i].name);
	const char *near = names.n > 0 ? pv_nearest(name, (const char *const *)names.v) : NULL;

	return pv_error_set(err, PV_ERR_RECIPE, "%s:%u:%u: no variable @%s@%s%s%s", r->file, r->line, column_of(r, at),
			    name, near ? "; did you mean @" : "", near ? near : "", near ? "@?" : "");
}

static size_t name_length(const char *s, const char *end)
{
	size_t n = 0;

	while (s + n < end && ((s[n] >= 'a' && s[n] <= 'z') || s[n] == '_' || (n > 0 && s[n] >= '0' && s[n] <= '9')))
		n++;
	return n;
}

/* At an '@': puts out what it stands for and moves on behind it. */
static int render_at(struct reader *r, struct pv_error *err)
{
	const char *at = r->at;
	size_t n = name_length(at + 1, r->end);

	if (at + 1 < r->end && at[1] == '@') {
		pv_str_addc(r->out, '@');
		r->at = at + 2;
		return 0;
	}
	if (n == 0 || at + 1 + n >= r->end || at[1 + n] != '@')
		return pv_error_set(err, PV_ERR_RECIPE, "%s:%u:%u: a single @: write @@ for the character, @name@ for a "
				    "variable", r->file, r->line, column_of(r, at));
	pv_autofree char *name = pv_xstrndup(at + 1, n);
	const char *value = pv_vars_get(r->vars, name);
	if (!value)
		return refuse_unknown(r, at, name, err);
	r->at = at + n + 2;
	bool alone = at == r->line_start && r->at < r->end && *r->at == '\n';
	if (alone && *value == '\0') {
		r->at++;
		r->line++;
		r->line_start = r->at;
		return 0;
	}
	pv_str_add(r->out, value);
	return 0;
}

static int render_next(struct reader *r, struct pv_error *err)
{
	char c = *r->at;

	if (c == '@')
		return render_at(r, err);
	if (c == '\0')
		return pv_error_set(err, PV_ERR_RECIPE, "%s:%u:%u: a NUL byte; a template is text", r->file, r->line,
				    column_of(r, r->at));
	pv_str_addc(r->out, c);
	r->at++;
	if (c == '\n') {
		r->line++;
		r->line_start = r->at;
	}
	return 0;
}

int pv_template_render(const char *file, const char *text, size_t len, const struct pv_vars *vars, struct pv_str *ret,
		       struct pv_error *err)
{
	pv_autostr out = PV_STR_INIT;
	struct reader r = {
		.file = file, .text = text, .end = text + len, .at = text, .line_start = text, .line = 1,
		.vars = vars, .out = &out,
	};

	if (len > PV_TEMPLATE_MAX)
		return pv_error_set(err, PV_ERR_RECIPE, "%s: longer than %u bytes", file, PV_TEMPLATE_MAX);
	while (r.at < r.end) {
		if (render_next(&r, err) < 0)
			return -1;
		if (out.len > PV_TEMPLATE_MAX)
			return pv_error_set(err, PV_ERR_RECIPE, "%s:%u: renders to more than %u bytes", file, r.line,
					    PV_TEMPLATE_MAX);
	}
	pv_str_addn(ret, out.data, out.len);
	return 0;
}
