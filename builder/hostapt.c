/* SPDX-License-Identifier: Apache-2.0 */
/* Asks this machine's apt and reads debootstrap's scripts for mirrors and proxies. */
#include "hostapt.h"

#include <stdlib.h>
#include <string.h>

#include "fsutil.h"
#include "proc.h"
#include "text.h"
#include "url.h"

#define OUTPUT_MAX (1u << 20)
#define SCRIPT_MAX (256u << 10)
#define DEADLINE_S 30
#define SCRIPTS "/usr/share/debootstrap/scripts"

static void add_line(void *ctx, const char *line, size_t len)
{
	struct pv_str *out = ctx;

	if (out->len + len < OUTPUT_MAX) {
		pv_str_addn(out, line, len);
		pv_str_addc(out, '\n');
	}
}

static void drop_line(void *ctx, const char *line, size_t len)
{
	(void)ctx;
	(void)line;
	(void)len;
}

/* Standard output of a program of apt; *ret_there false when this host has none or it fails: then the host's apt has
 * nothing to say. */
static int ask(const char *const *argv, struct pv_str *ret, bool *ret_there, struct pv_error *err)
{
	pv_autoproc res = PV_PROC_RESULT_INIT;
	pv_autofree char *program = pv_proc_which(argv[0]);
	const struct pv_proc proc = { .argv = argv, .on_stdout = add_line, .on_stderr = drop_line, .ctx = ret,
				      .deadline_s = DEADLINE_S };

	*ret_there = false;
	if (!program)
		return 0;
	if (pv_proc_run(&proc, &res, err) < 0)
		return -1;
	*ret_there = res.exit_code == 0;
	return 0;
}

/* One line of apt-get indextargets, cut at the bars. */
struct target {
	char *origin, *codename, *release, *uri;
};

static bool cut_target(char *line, struct target *ret)
{
	char *part[5];

	for (size_t i = 0; i < PV_COUNT(part); i++) {
		part[i] = strsep(&line, "|");
		if (!part[i])
			return false;
	}
	if (line || !pv_streq(part[0], "Packages"))
		return false;
	*ret = (struct target){ part[1], part[2], part[3], part[4] };
	return true;
}

/* "bookworm" of "bookworm-updates", "bookworm/updates" and "bookworm-security". */
static bool is_of(const char *suite, const char *codename)
{
	size_t n = strlen(codename);

	return pv_starts(suite, codename) && (suite[n] == '\0' || suite[n] == '-' || suite[n] == '/');
}

static bool is_security(const char *suite)
{
	return pv_ends(suite, "-security") || pv_ends(suite, "/updates");
}

struct found {
	const char *same, *any;		/* of the same codename; of the distribution */
};

static void note(struct found *found, const char *uri, bool same)
{
	if (same && !found->same)
		found->same = uri;
	if (!found->any)
		found->any = uri;
}

/* Without slashes at the end; NULL for "file:/", where nothing is left then. */
static char *clean_uri(const char *uri)
{
	char *clean;
	size_t n;

	if (!uri)
		return NULL;
	n = strlen(uri);
	while (n > 0 && uri[n - 1] == '/')
		n--;
	clean = pv_xstrndup(uri, n);
	if (pv_url_check(clean, NULL) < 0)
		pv_freep(&clean);
	return clean;
}

void pv_hostapt_pick(const char *text, const char *distribution, const char *codename, const char *os_distribution,
		     const char *os_codename, char **ret_main, char **ret_security)
{
	pv_autofree char *copy = pv_xstrdup(text);
	char *rest = copy, *line;
	struct found archive = { 0 }, security = { 0 };

	while ((line = strsep(&rest, "\n"))) {
		struct target t;
		bool ours;

		if (!cut_target(line, &t) || pv_url_check(t.uri, NULL) < 0)
			continue;
		if (*t.origin && *t.origin != '$')	/* "Debian", "Ubuntu"; "$(ORIGIN)" where apt knows none */
			ours = strcasecmp(t.origin, distribution) == 0;
		else			/* lists were never fetched: by the suite's name alone */
			ours = is_of(t.release, codename) ||
			       (pv_streq(os_distribution, distribution) && os_codename &&
				is_of(t.release, os_codename));
		if (!ours)
			continue;
		note(is_security(t.release) ? &security : &archive, t.uri,
		     is_of(t.release, codename) || is_of(t.codename, codename));
	}
	*ret_main = clean_uri(archive.same ? archive.same : archive.any);
	*ret_security = clean_uri(security.same ? security.same : security.any);
}

/* A value of os-release, unquoted; NULL when it is not there. */
static char *os_release_value(const char *text, const char *key)
{
	pv_autofree char *copy = pv_xstrdup(text);
	char *rest = copy, *line;
	size_t n = strlen(key);

	while ((line = strsep(&rest, "\n"))) {
		char *value = line + n + 1;
		size_t len;

		if (!pv_starts(line, key) || line[n] != '=')
			continue;
		len = strlen(value);
		if (len >= 2 && (value[0] == '"' || value[0] == '\'') && value[len - 1] == value[0])
			return pv_xstrndup(value + 1, len - 2);
		return pv_xstrdup(value);
	}
	return NULL;
}

int pv_hostapt_mirror(const char *distribution, const char *codename, char **ret_main, char **ret_security,
		      struct pv_error *err)
{
	/* The first knows origins but names only suites whose lists were fetched; the second names all. */
	static const char *const argvs[][6] = {
		{ "apt-get", "indextargets", "--format", PV_HOSTAPT_FORMAT, NULL },
		{ "apt-get", "indextargets", "--no-release-info", "--format", PV_HOSTAPT_FORMAT, NULL },
	};
	pv_autofree char *os = NULL;
	pv_autofree char *id = NULL;
	pv_autofree char *os_codename = NULL;

	if (pv_read_file("/etc/os-release", SCRIPT_MAX, &os, NULL, NULL) == 0) {
		id = os_release_value(os, "ID");
		os_codename = os_release_value(os, "VERSION_CODENAME");
	}
	*ret_main = *ret_security = NULL;
	for (size_t i = 0; i < PV_COUNT(argvs) && !*ret_main; i++) {
		pv_autostr out = PV_STR_INIT;
		bool there;

		if (ask(argvs[i], &out, &there, err) < 0)
			return -1;
		pv_freep(ret_security);
		pv_hostapt_pick(there ? pv_str_text(&out) : "", distribution, codename, id, os_codename, ret_main,
				ret_security);
	}
	return 0;
}

/* The words of "default_mirror URL", or NULL. */
static char *default_mirror(char *line)
{
	static const char word[] = "default_mirror";
	char *url;

	line += strspn(line, " \t");
	if (!pv_starts(line, word) || !strchr(" \t", line[strlen(word)]))
		return NULL;
	url = line + strlen(word);
	url += strspn(url, " \t\"'");
	url[strcspn(url, " \t\"'#;")] = '\0';
	return pv_url_check(url, NULL) == 0 ? url : NULL;
}

/* Does a shell pattern list ("amd64|i386)" or "*)") hold the word? */
static bool pattern_has(char *patterns, const char *word)
{
	char *one;

	patterns += strspn(patterns, " \t(");
	patterns[strcspn(patterns, ")")] = '\0';
	while ((one = strsep(&patterns, "|"))) {
		one += strspn(one, " \t");
		one[strcspn(one, " \t")] = '\0';
		if (pv_streq(one, "*") || pv_streq(one, word))
			return true;
	}
	return false;
}

/* Where we are in nested case statements. */
struct cases {
	struct {
		const char *word;	/* NULL: not about what we know, every branch is looked at */
		bool done, active;
	} v[16];
	size_t n;
};

static bool is_active(const struct cases *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (!c->v[i].active)
			return false;
	return true;
}

/* "case $ARCH in", "esac", "amd64|i386)": follows them. */
static void follow(struct cases *c, const char *line, const char *arch, const char *suite)
{
	line += strspn(line, " \t");
	if (pv_starts(line, "case ")) {
		if (c->n < PV_COUNT(c->v)) {
			c->v[c->n].word = strstr(line, "ARCH") ? arch : strstr(line, "SUITE") ||
					  strstr(line, "CODENAME") ? suite : NULL;
			c->v[c->n].done = false;
			c->v[c->n].active = false;
			c->n++;
		}
	} else if (pv_starts(line, "esac") && c->n > 0) {
		c->n--;
	} else if (c->n > 0 && strchr(line, ')') && !strpbrk(line, "$=(")) {
		pv_autofree char *patterns = pv_xstrdup(line);
		size_t top = c->n - 1;

		c->v[top].active = !c->v[top].done && c->v[top].word && pattern_has(patterns, c->v[top].word);
		if (c->v[top].active)
			c->v[top].done = true;
	}
}

char *pv_hostapt_script_mirror(const char *script, const char *codename, const char *arch)
{
	pv_autofree char *text = pv_xstrdup(script);
	char *rest = text, *line;
	const char *url = NULL;
	struct cases cases = { 0 };

	while (!url && (line = strsep(&rest, "\n"))) {
		follow(&cases, line, arch, codename);
		if (is_active(&cases))
			url = default_mirror(line);
	}
	return clean_uri(url);
}

int pv_hostapt_debootstrap_mirror(const char *codename, const char *script, const char *arch, char **ret,
				  struct pv_error *err)
{
	const char *names[] = { codename, script };
	pv_autofree char *text = NULL;

	*ret = NULL;
	for (size_t i = 0; i < PV_COUNT(names); i++) {
		pv_autofree char *path = pv_fmt(SCRIPTS "/%s", names[i] ? names[i] : "");

		if (!names[i] || strchr(names[i], '/') || !pv_exists(path))
			continue;
		if (pv_read_file(path, SCRIPT_MAX, &text, NULL, err) < 0)
			return -1;
		*ret = pv_hostapt_script_mirror(text, codename, arch);
		return 0;
	}
	return 0;
}

/* apt-config dump prints NAME "VALUE"; one a line. */
static char *config_value(const char *text, const char *name)
{
	pv_autofree char *copy = pv_xstrdup(text);
	char *rest = copy, *line;
	size_t n = strlen(name);

	while ((line = strsep(&rest, "\n"))) {
		size_t len = strlen(line);

		if (strncasecmp(line, name, n) != 0 || !pv_starts(line + n, " \"") || !pv_ends(line, "\";"))
			continue;
		return len - n - 4 > 0 ? pv_xstrndup(line + n + 2, len - n - 4) : NULL;
	}
	return NULL;
}

static char *proxy_value(const char *text, const char *name)
{
	char *value = config_value(text, name);

	if (value && pv_streq(value, "DIRECT"))
		pv_freep(&value);
	return value;
}

int pv_hostapt_proxy(char **ret_http, char **ret_https, struct pv_error *err)
{
	static const char *const argv[] = { "apt-config", "dump", NULL };
	pv_autostr out = PV_STR_INIT;
	pv_autofree char *https = NULL;
	bool there;

	if (ask(argv, &out, &there, err) < 0)
		return -1;
	if (!there)
		pv_str_reset(&out);
	*ret_http = proxy_value(pv_str_text(&out), "Acquire::http::Proxy");
	https = config_value(pv_str_text(&out), "Acquire::https::Proxy");
	/* apt: https takes what http has where it says nothing itself. */
	*ret_https = https ? proxy_value(pv_str_text(&out), "Acquire::https::Proxy") : pv_xstrdup(*ret_http);
	return 0;
}
