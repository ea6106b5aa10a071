/* SPDX-License-Identifier: Apache-2.0 */
/* Parses a Release file and holds it against what was asked for. */
#include "release.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "deb822.h"
#include "url.h"

#define ENTRIES_MAX 65536

void pv_release_done(struct pv_release *r)
{
	free(r->origin);
	free(r->label);
	free(r->suite);
	free(r->codename);
	free(r->version);
	pv_strv_done(&r->architectures);
	pv_strv_done(&r->components);
	for (size_t i = 0; i < r->nentries; i++)
		free(r->entries[i].path);
	free(r->entries);
	*r = (struct pv_release){ 0 };
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n';
}

/* The next word of *p, which moves behind it; "" at the end. The caller frees. */
static char *next_word(const char **p)
{
	const char *begin;

	while (is_space(**p))
		(*p)++;
	begin = *p;
	while (**p && !is_space(**p))
		(*p)++;
	return pv_xstrndup(begin, (size_t)(*p - begin));
}

static void split_words(const char *text, struct pv_strv *ret)
{
	const char *p = text ? text : "";

	for (;;) {
		char *word = next_word(&p);

		if (!*word) {
			free(word);
			return;
		}
		pv_strv_take(ret, word);
	}
}

/* Two or four digits at *p, within [min, max]; -1 when not. */
static int digits(const char **p, int n, int min, int max)
{
	int value = 0;

	for (int i = 0; i < n; i++, (*p)++) {
		if (**p < '0' || **p > '9')
			return -1;
		value = value * 10 + (**p - '0');
	}
	return value >= min && value <= max ? value : -1;
}

static int name_of(const char **p, const char *const *names, int n)
{
	for (int i = 0; i < n; i++) {
		if (strncmp(*p, names[i], 3) == 0) {
			*p += 3;
			return i;
		}
	}
	return -1;
}

static bool skip(const char **p, const char *text)
{
	size_t n = strlen(text);

	if (strncmp(*p, text, n) != 0)
		return false;
	*p += n;
	return true;
}

int pv_release_date(const char *text, int64_t *ret)
{
	static const char *const days[] = { "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun" };
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	const char *p = text;
	struct tm tm = { 0 };
	int year;

	if (name_of(&p, days, 7) < 0 || !skip(&p, ", "))
		return -1;
	if (p[0] == ' ')		/* " 7 Jul" */
		p++;
	tm.tm_mday = digits(&p, p[0] && p[1] >= '0' && p[1] <= '9' ? 2 : 1, 1, 31);
	if (tm.tm_mday < 0 || !skip(&p, " "))
		return -1;
	tm.tm_mon = name_of(&p, months, 12);
	if (tm.tm_mon < 0 || !skip(&p, " "))
		return -1;
	year = digits(&p, 4, 1990, 9999);
	if (year < 0 || !skip(&p, " "))
		return -1;
	tm.tm_year = year - 1900;
	/* " 0:45:27", as Ubuntu's pockets have it */
	tm.tm_hour = skip(&p, " ") ? digits(&p, 1, 0, 9) : digits(&p, 2, 0, 23);
	if (tm.tm_hour < 0 || !skip(&p, ":"))
		return -1;
	tm.tm_min = digits(&p, 2, 0, 59);
	if (tm.tm_min < 0 || !skip(&p, ":"))
		return -1;
	tm.tm_sec = digits(&p, 2, 0, 60);
	if (tm.tm_sec < 0 || !skip(&p, " "))
		return -1;
	if (strcmp(p, "UTC") != 0 && strcmp(p, "GMT") != 0 && strcmp(p, "+0000") != 0)
		return -1;
	*ret = timegm(&tm);
	return 0;
}

static int parse_entry_line(const char *line, struct pv_release *r, size_t *cap, struct pv_error *err)
{
	const char *p = line;
	pv_autofree char *hash = next_word(&p);
	pv_autofree char *size = next_word(&p);
	pv_autofree char *path = next_word(&p);
	pv_autofree char *more = next_word(&p);
	struct pv_release_entry *e;
	uint64_t bytes;

	if (!*hash)
		return 0;
	if (!pv_digest_valid(hash) || pv_parse_u64(size, 0, INT64_MAX, &bytes) < 0 || !*path || *more) {
		pv_autofree char *shown = pv_printable(line, strnlen(line, 120));

		return pv_error_set(err, PV_ERR_ARCHIVE, "Release: bad line in SHA256: %s", shown);
	}
	if (!pv_url_path_ok(path))
		return 0;	/* nothing that we could ask for */
	if (r->nentries == ENTRIES_MAX)
		return pv_error_set(err, PV_ERR_ARCHIVE, "Release: more than %d files in SHA256",
				    ENTRIES_MAX);
	if (r->nentries == *cap) {
		*cap = *cap ? *cap * 2 : 256;
		r->entries = pv_xreallocarray(r->entries, *cap, sizeof(*r->entries));
	}
	e = &r->entries[r->nentries++];
	e->path = pv_steal(&path);
	memcpy(e->sha256, hash, PV_SHA256_HEX);
	e->size = bytes;
	return 0;
}

static int compare_entries(const void *a, const void *b)
{
	const struct pv_release_entry *x = a, *y = b;

	return strcmp(x->path, y->path);
}

static int parse_entries(const char *text, struct pv_release *r, struct pv_error *err)
{
	size_t cap = 0;

	while (*text) {
		size_t n = strcspn(text, "\n");
		pv_autofree char *line = pv_xstrndup(text, n);

		if (parse_entry_line(line, r, &cap, err) < 0)
			return -1;
		text += n + (text[n] == '\n');
	}
	if (r->nentries > 1)
		qsort(r->entries, r->nentries, sizeof(*r->entries), compare_entries);
	for (size_t i = 1; i < r->nentries; i++)
		if (strcmp(r->entries[i - 1].path, r->entries[i].path) == 0)
			return pv_error_set(err, PV_ERR_ARCHIVE, "Release: SHA256 names %s twice",
					    r->entries[i].path);
	return 0;
}

struct parse_ctx {
	struct pv_release *r;
	struct pv_error *err;
	bool seen;
};

static char *text_field(const struct pv_stanza *s, const char *name)
{
	const char *value = pv_stanza_get(s, name);

	return value ? pv_printable(value, strlen(value)) : pv_xstrdup("");
}

static int date_field(const struct pv_stanza *s, const char *name, bool needed, int64_t *ret,
		      struct pv_error *err)
{
	const char *value = pv_stanza_get(s, name);

	if (!value && needed)
		return pv_error_set(err, PV_ERR_ARCHIVE, "Release: no %s", name);
	if (value && pv_release_date(value, ret) < 0) {
		pv_autofree char *shown = pv_printable(value, strnlen(value, 80));

		return pv_error_set(err, PV_ERR_ARCHIVE, "Release: %s is no date: %s", name, shown);
	}
	return 0;
}

static int parse_stanza(void *vctx, const struct pv_stanza *s)
{
	struct parse_ctx *ctx = vctx;
	struct pv_release *r = ctx->r;
	const char *hashes = pv_stanza_get(s, "SHA256");
	const char *by_hash = pv_stanza_get(s, "Acquire-By-Hash");
	const char *stand_in = pv_stanza_get(s, "X-Pvimg-Stand-In");

	if (ctx->seen)
		return pv_error_set(ctx->err, PV_ERR_ARCHIVE, "Release: more than one stanza");
	ctx->seen = true;
	r->origin = text_field(s, "Origin");
	r->label = text_field(s, "Label");
	r->suite = text_field(s, "Suite");
	r->codename = text_field(s, "Codename");
	r->version = text_field(s, "Version");
	split_words(pv_stanza_get(s, "Architectures"), &r->architectures);
	split_words(pv_stanza_get(s, "Components"), &r->components);
	r->by_hash = by_hash && strcasecmp(by_hash, "yes") == 0;
	r->stand_in = (stand_in && strcasecmp(stand_in, "yes") == 0) || pv_ends(r->label, "stand-in");
	if (date_field(s, "Date", true, &r->date, ctx->err) < 0 ||
	    date_field(s, "Valid-Until", false, &r->valid_until, ctx->err) < 0)
		return -1;
	if (!hashes)
		return pv_error_set(ctx->err, PV_ERR_ARCHIVE, "Release: no SHA256");
	return parse_entries(hashes, r, ctx->err);
}

int pv_release_parse(const char *text, size_t len, struct pv_release *ret, struct pv_error *err)
{
	pv_autorelease r = { 0 };
	struct parse_ctx ctx = { .r = &r, .err = err };

	if (len > PV_RELEASE_MAX)
		return pv_error_set(err, PV_ERR_ARCHIVE, "Release: larger than %u bytes", PV_RELEASE_MAX);
	if (pv_deb822_each_mem(text, len, parse_stanza, &ctx, err) < 0)
		return -1;
	if (!ctx.seen)
		return pv_error_set(err, PV_ERR_ARCHIVE, "Release: empty");
	*ret = r;
	r = (struct pv_release){ 0 };
	return 0;
}

static char *date_text(int64_t when)
{
	time_t t = (time_t)when;
	struct tm tm;

	gmtime_r(&t, &tm);
	return pv_fmt("%04d-%02d-%02d %02d:%02d UTC", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
		      tm.tm_hour, tm.tm_min);
}

static int check_time(const struct pv_release *r, int64_t now, bool ignore_valid_until, struct pv_error *err)
{
	if (r->date > now + PV_RELEASE_FUTURE_S) {
		pv_autofree char *when = date_text(r->date);
		pv_autofree char *clock = date_text(now);

		return pv_error_set(err, PV_ERR_ARCHIVE,
				    "Release is dated %s, and this host's clock says %s: set the clock",
				    when, clock);
	}
	if (r->valid_until && r->valid_until < now && !ignore_valid_until) {
		pv_autofree char *when = date_text(r->valid_until);

		return pv_error_set(err, PV_ERR_ARCHIVE,
				    "Release expired on %s: the mirror is stale; take another with --mirror, "
				    "or --allow-older when this is a snapshot", when);
	}
	return 0;
}

/* "main" or "updates/main" for main. */
static bool lists_component(const struct pv_release *r, const char *component)
{
	for (size_t i = 0; i < r->components.n; i++) {
		const char *name = r->components.v[i], *slash = strrchr(name, '/');

		if (pv_streq(slash ? slash + 1 : name, component))
			return true;
	}
	return false;
}

/* Is it the suite below dists/NAME? Ubuntu's pockets all have the main suite's Codename, so that their Suite alone tells
 * them apart; Debian's Suite is "stable" or the like, and its Codename tells. */
static bool is_suite(const struct pv_release *r, const struct pv_release_expect *expect)
{
	size_t n = strlen(expect->codename);

	if (pv_streq(r->suite, expect->suite))
		return true;
	if (pv_starts(r->suite, expect->codename) && r->suite[n] == '-')
		return false;
	return pv_streq(r->codename, expect->suite);
}

int pv_release_check(const struct pv_release *r, const struct pv_release_expect *expect, int64_t now,
		     bool ignore_valid_until, struct pv_error *err)
{
	if (!pv_streq(r->origin, expect->origin))
		return pv_error_set(err, PV_ERR_ARCHIVE, "Release has Origin \"%s\", not \"%s\"", r->origin,
				    expect->origin);
	if (!is_suite(r, expect))
		return pv_error_set(err, PV_ERR_ARCHIVE,
				    "Release has Suite \"%s\" and Codename \"%s\", not those of %s", r->suite,
				    r->codename, expect->suite);
	if (!pv_streq(r->codename, expect->suite) && !pv_streq(r->codename, expect->codename))
		return pv_error_set(err, PV_ERR_ARCHIVE, "Release has Codename \"%s\", not %s", r->codename,
				    expect->codename);
	if (!pv_strv_has(&r->architectures, expect->arch))
		return pv_error_set(err, PV_ERR_ARCHIVE, "Release lists no architecture %s", expect->arch);
	for (size_t i = 0; i < expect->components->n; i++)
		if (!lists_component(r, expect->components->v[i]))
			return pv_error_set(err, PV_ERR_ARCHIVE, "Release lists no component %s",
					    expect->components->v[i]);
	return check_time(r, now, ignore_valid_until, err);
}

const struct pv_release_entry *pv_release_find(const struct pv_release *r, const char *path)
{
	struct pv_release_entry key = { .path = (char *)(uintptr_t)path };

	if (r->nentries == 0)
		return NULL;
	return bsearch(&key, r->entries, r->nentries, sizeof(*r->entries), compare_entries);
}
