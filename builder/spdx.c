/* SPDX-License-Identifier: Apache-2.0 */
/* One table of names, and the little grammar around them: NAME, "or", "and", and a comma, which binds loosest. */
#include "spdx.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "text.h"

/* Left: Debian's name without a "+"; right: SPDX's, "-only" and "-or-later" not yet there. */
static const struct {
	const char *debian, *spdx;
	bool versions;			/* "+" means "or later" */
} table[] = {
	{ "AGPL-3", "AGPL-3.0", true },
	{ "AGPL-3.0", "AGPL-3.0", true },
	{ "GFDL-1.1", "GFDL-1.1", true },
	{ "GFDL-1.2", "GFDL-1.2", true },
	{ "GFDL-1.3", "GFDL-1.3", true },
	{ "GFDL-NIV-1.1", "GFDL-1.1-no-invariants", true },
	{ "GFDL-NIV-1.2", "GFDL-1.2-no-invariants", true },
	{ "GFDL-NIV-1.3", "GFDL-1.3-no-invariants", true },
	{ "GPL-1", "GPL-1.0", true },
	{ "GPL-1.0", "GPL-1.0", true },
	{ "GPL-2", "GPL-2.0", true },
	{ "GPL-2.0", "GPL-2.0", true },
	{ "GPL-3", "GPL-3.0", true },
	{ "GPL-3.0", "GPL-3.0", true },
	{ "LGPL-2", "LGPL-2.0", true },
	{ "LGPL-2.0", "LGPL-2.0", true },
	{ "LGPL-2.1", "LGPL-2.1", true },
	{ "LGPL-3", "LGPL-3.0", true },
	{ "LGPL-3.0", "LGPL-3.0", true },

	{ "0BSD", "0BSD", false },
	{ "AFL-2.1", "AFL-2.1", false },
	{ "AFL-3.0", "AFL-3.0", false },
	{ "Apache-1.0", "Apache-1.0", false },
	{ "Apache-1.1", "Apache-1.1", false },
	{ "Apache-2", "Apache-2.0", false },
	{ "Apache-2.0", "Apache-2.0", false },
	{ "Artistic", "Artistic-1.0-Perl", false },	/* the text in /usr/share/common-licenses */
	{ "Artistic-2", "Artistic-2.0", false },
	{ "Artistic-2.0", "Artistic-2.0", false },
	{ "Beerware", "Beerware", false },
	{ "BSD-2-clause", "BSD-2-Clause", false },
	{ "BSD-3-clause", "BSD-3-Clause", false },
	{ "BSD-4-clause", "BSD-4-Clause", false },
	{ "BSD-4-clause-UC", "BSD-4-Clause-UC", false },
	{ "BSL-1.0", "BSL-1.0", false },
	{ "CC-BY-3.0", "CC-BY-3.0", false },
	{ "CC-BY-4.0", "CC-BY-4.0", false },
	{ "CC-BY-SA-3.0", "CC-BY-SA-3.0", false },
	{ "CC-BY-SA-4.0", "CC-BY-SA-4.0", false },
	{ "CC0", "CC0-1.0", false },
	{ "CC0-1.0", "CC0-1.0", false },
	{ "curl", "curl", false },
	{ "Expat", "MIT", false },
	{ "FSFAP", "FSFAP", false },
	{ "FSFUL", "FSFUL", false },
	{ "FSFULLR", "FSFULLR", false },
	{ "ISC", "ISC", false },
	{ "MIT", "MIT", false },
	{ "MIT-CMU", "MIT-CMU", false },
	{ "MPL-1.1", "MPL-1.1", false },
	{ "MPL-2.0", "MPL-2.0", false },
	{ "OFL-1.1", "OFL-1.1", false },
	{ "OpenSSL", "OpenSSL", false },
	{ "PSF-2", "PSF-2.0", false },
	{ "Python-2.0", "Python-2.0", false },
	{ "W3C", "W3C", false },
	{ "X11", "X11", false },
	{ "Zlib", "Zlib", false },
};

/* One word. false: it has no name there. */
static bool add_name(const char *word, struct pv_str *out)
{
	size_t len = strlen(word);
	bool later = len > 0 && word[len - 1] == '+';
	pv_autofree char *bare = pv_xstrndup(word, len - later);

	for (size_t i = 0; i < PV_COUNT(table); i++) {
		if (strcasecmp(bare, table[i].debian) != 0 || (later && !table[i].versions))
			continue;
		pv_str_addf(out, "%s%s", table[i].spdx, !table[i].versions ? "" : later ? "-or-later" : "-only");
		return true;
	}
	return false;
}

/* What stands between commas: NAME, then any number of "or NAME" and "and NAME", where "and" binds tighter as in SPDX. */
static bool add_group(char *group, struct pv_str *out, unsigned *names)
{
	bool want_name = true;
	char *rest = NULL;

	for (char *word = strtok_r(group, " \t", &rest); word; word = strtok_r(NULL, " \t", &rest)) {
		bool is_or = strcasecmp(word, "or") == 0;

		if (!want_name && (is_or || strcasecmp(word, "and") == 0)) {
			pv_str_add(out, is_or ? " OR " : " AND ");
			want_name = true;
			continue;
		}
		if (!want_name || !add_name(word, out))
			return false;
		(*names)++;
		want_name = false;
	}
	return !want_name;
}

/* "A or B, and C" is (A or B) and C. */
char *pv_spdx_expression(const char *name, bool *ret_single)
{
	pv_autofree char *text = pv_xstrdup(name);
	pv_autostr out = PV_STR_INIT;
	unsigned names = 0;

	if (ret_single)
		*ret_single = false;
	for (char *group = text; group;) {
		char *comma = strchr(group, ','), *next = comma ? comma + 1 : NULL;
		bool first = group == text;

		if (comma)
			*comma = '\0';
		if (!first) {
			group += strspn(group, " \t");
			if (strncasecmp(group, "and ", 4) != 0)		/* "or" after a comma would turn it around: rare */
				return NULL;
			group += 4;
			pv_str_add(&out, " AND ");
		}
		if (comma || !first)
			pv_str_addc(&out, '(');
		if (!add_group(group, &out, &names))
			return NULL;
		if (comma || !first)
			pv_str_addc(&out, ')');
		group = next;
	}
	if (ret_single)
		*ret_single = names == 1 && !strchr(pv_str_text(&out), '(');
	return pv_str_steal(&out);
}
