/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the host's apt-get as resolver, with nothing of the host's, and reads its simulation. */
#include "resolve_apt.h"

#include <stdlib.h>
#include <string.h>

#include "proc.h"

#define WORDS_MAX 1000		/* of apt's own words in an error */
#define DEADLINE_S 300
#define BLAMED_MAX 4		/* packages that are asked about when apt refuses */

void pv_apt_changes_done(struct pv_apt_changes *c)
{
	for (size_t i = 0; i < c->n; i++) {
		free(c->v[i].name);
		free(c->v[i].version);
	}
	free(c->v);
	*c = (struct pv_apt_changes){ 0 };
}

static void add(struct pv_apt_changes *c, char *name, char *version)
{
	if (c->n == c->cap) {
		c->cap = c->cap ? c->cap * 2 : 256;
		c->v = pv_xreallocarray(c->v, c->cap, sizeof(*c->v));
	}
	c->v[c->n++] = (struct pv_apt_change){ name, version };
}

int pv_apt_changes_line(struct pv_apt_changes *c, const char *line, size_t len)
{
	pv_autofree char *text = pv_xstrndup(line, len);
	const char *name = text + strlen("Inst ");
	size_t name_len;
	const char *version;

	if (!pv_starts(text, "Inst ") && !pv_starts(text, "Remv "))
		return 0;
	name_len = strcspn(name, " :");
	if (name_len == 0)
		return -1;
	if (text[0] == 'R') {
		add(c, pv_xstrndup(name, name_len), NULL);
		return 0;
	}
	version = strstr(name, " (");
	if (!version || version[2] == ' ' || version[2] == ')' || version[2] == '\0')
		return -1;
	version += 2;
	add(c, pv_xstrndup(name, name_len), pv_xstrndup(version, strcspn(version, " )")));
	return 0;
}

ptrdiff_t pv_apt_change_find(const struct pv_apt_change *changes, size_t n, const char *name)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = strcmp(changes[mid].name, name);

		if (order == 0)
			return (ptrdiff_t)mid;
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return -1;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct pv_apt_change *)a)->name, ((const struct pv_apt_change *)b)->name);
}

struct reading {
	struct pv_apt_changes changes;
	char *not_understood;
	struct pv_str words;		/* what is no change: apt's reasons */
	struct pv_strv blamed;		/* packages of which apt says only that they will not be there */
};

static void reading_done(struct reading *r)
{
	pv_apt_changes_done(&r->changes);
	pv_freep(&r->not_understood);
	pv_str_done(&r->words);
	pv_strv_done(&r->blamed);
}

/* Lines that only introduce what follows, in the C locale. */
static bool is_small_talk(const char *line)
{
	static const char *const starts[] = {
		"Reading ", "Building ", "Calculating ", "Solving ", "Conf ", "NOTE", "Some packages could not be installed",
		"requested an impossible", "distribution that some", "or been moved out", "The following information",
		"The following packages have unmet", "W: ", "Done", "Correcting ", "This may mean", "is only available",
		"However the following", NULL,
	};

	for (size_t i = 0; starts[i]; i++)
		if (pv_starts(line, starts[i]))
			return true;
	return *line == '\0';
}

/* "a : Depends: b (>= 1) but it is not installable": b. "it is not going to be installed" says as little. */
static void note_blamed(struct reading *r, const char *words)
{
	const char *end = strstr(words, " but it is not "), *name = words;

	if (!end || r->blamed.n == BLAMED_MAX)
		return;
	for (const char *p = words; (p = strstr(p, ": ")) && p < end; )
		name = p += strlen(": ");
	pv_autofree char *bare = pv_xstrndup(name, strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789+.-"));
	if (*bare && *bare != '-' && *bare != '+' && *bare != '.')
		pv_strv_add(&r->blamed, bare);
}

static void take_line(void *ctx, const char *line, size_t len)
{
	struct reading *r = ctx;
	pv_autofree char *text = pv_printable(line, len);
	const char *words = text + strspn(text, " ");
	size_t before = r->changes.n;

	if (pv_apt_changes_line(&r->changes, line, len) < 0) {
		pv_freep(&r->not_understood);
		r->not_understood = pv_steal(&text);
		return;
	}
	if (r->changes.n > before || is_small_talk(words) || r->words.len > WORDS_MAX)
		return;
	/* No cause, where there is one before it. */
	if (r->words.len > 0 && pv_starts(words, "E: Unable to correct problems"))
		return;
	if (pv_starts(words, "E: "))
		words += strlen("E: ");
	note_blamed(r, words);
	pv_str_addf(&r->words, "%s%.400s", r->words.len > 0 ? "; " : "", words);
}

static int ask(const char *dir, const struct pv_strv *names, const char *more, struct reading *r,
	       struct pv_proc_result *res, struct pv_error *err)
{
	pv_autostrv argv = PV_STRV_INIT, env = PV_STRV_INIT;
	const char *path = getenv("PATH");

	pv_strv_add_all(&argv, (const char *const[]){ "apt-get", "--simulate", "-q", "--yes", "-o",
						      "APT::Get::Show-User-Simulation-Note=false", "dist-upgrade", "--",
						      NULL });
	if (names->n > 0)
		pv_strv_add_all(&argv, (const char *const *)names->v);
	if (more)
		pv_strv_add(&argv, more);
	pv_strv_addf(&env, "PATH=%s", path ? path : "/usr/sbin:/usr/bin:/sbin:/bin");
	pv_strv_add_all(&env, (const char *const[]){ "APT_CONFIG=./apt.conf", "LC_ALL=C", "HOME=/nonexistent",
						     NULL });
	const struct pv_proc proc = {
		.argv = (const char *const *)argv.v, .env = (const char *const *)env.v, .cwd = dir,
		.on_stdout = take_line, .on_stderr = take_line, .ctx = r, .deadline_s = DEADLINE_S,
	};
	return pv_proc_run(&proc, res, err);
}

/* apt drops a package that cannot be had and then says only that who needs it goes without. Asked for by name, that
 * package is kept, and apt says what is wrong with it. Best effort: adds to r's words. */
static void ask_why(const char *dir, const struct pv_strv *names, struct reading *r)
{
	for (size_t i = 0; i < r->blamed.n; i++) {
		__attribute__((cleanup(reading_done))) struct reading why = { 0 };
		pv_autoproc res = PV_PROC_RESULT_INIT;

		if (ask(dir, names, r->blamed.v[i], &why, &res, NULL) < 0 || res.exit_code == 0)
			continue;
		/* Unmet dependencies, and other ones than before; not: no such package. */
		const char *words = pv_str_text(&why.words);
		pv_autofree char *first = pv_xstrndup(words, strcspn(words, ";"));
		if (strstr(first, " : ") && !strstr(pv_str_text(&r->words), first))
			pv_str_addf(&r->words, "; with %s asked for: %s", r->blamed.v[i], first);
	}
}

static int judge(struct reading *r, const struct pv_proc_result *res, struct pv_error *err)
{
	if (res->exit_code != 0) {
		pv_autofree char *fate = pv_proc_fate(res);

		if (r->words.data && strstr(r->words.data, "MergeList"))
			return pv_error_set(err, PV_ERR_ARCHIVE, "the archive's index cannot be read: apt-get: %s",
					    r->words.data);
		return pv_error_set(err, res->exit_code > 0 ? PV_ERR_RECIPE : PV_ERR_STAGE,
				    "packages cannot be installed together: apt-get: %s", r->words.len > 0 ?
				    pv_str_text(&r->words) : fate);
	}
	if (r->not_understood)
		return pv_error_set(err, PV_ERR_HOST, "apt-get: cannot understand \"%.200s\"", r->not_understood);
	return 0;
}

int pv_apt_simulate(const char *dir, const struct pv_strv *names, struct pv_apt_changes *ret, struct pv_error *err)
{
	__attribute__((cleanup(reading_done))) struct reading r = { 0 };
	pv_autoproc res = PV_PROC_RESULT_INIT;

	if (ask(dir, names, NULL, &r, &res, err) < 0)
		return -1;
	if (res.exit_code > 0)
		ask_why(dir, names, &r);
	if (judge(&r, &res, err) < 0)
		return -1;
	if (r.changes.n > 1)
		qsort(r.changes.v, r.changes.n, sizeof(*r.changes.v), by_name);
	*ret = r.changes;
	r.changes = (struct pv_apt_changes){ 0 };
	return 0;
}
