/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a lock, line by line, and refuses all that pv_lockfile_text would not write. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lockfile.h"
#include "recipe_keys.h"
#include "url.h"

#define WORDS_MAX 64u		/* of a line: components are the most */
#define TOOLS_MAX 50u
#define SHOWN_MAX 60
#define VERSION_LEN_MAX 255u
#define SIZE_MAX_DEB (8ull << 30)	/* as resolve.c */
#define INSTALLED_MAX_KIB (1ull << 32)

struct reader {
	const char *file;
	unsigned line;
	char *rest;			/* behind the line that was read */
	char *words[WORDS_MAX];
	size_t n;			/* words of the line; 0: none is left */
	struct pv_lockfile *lock;
	struct pv_error *err;
};

static int refuse(const struct reader *r, const char *fmt, ...) PV_PRINTF(2, 3);
static int refuse(const struct reader *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	pv_autofree char *words = pv_vfmt(fmt, ap);
	va_end(ap);
	const char *slash = strrchr(r->file, '/'), *name = slash ? slash + 1 : r->file;
	size_t len = strlen(name) - (pv_ends(name, ".lock") ? strlen(".lock") : 0);
	return pv_error_set(r->err, PV_ERR_RECIPE, "%s:%u: %s; pvimg lock --update %.*s makes it anew", r->file, r->line,
			    words, (int)len, name);
}

/* --- lines and words --- */

/* Only what a lock's text may have in it, so that errors may show it. */
static int check_bytes(struct reader *r, const char *text, size_t len)
{
	r->line = 1;
	for (size_t i = 0; i < len; i++) {
		if (text[i] != '\n' && (text[i] < 0x20 || text[i] > 0x7e))
			return refuse(r, "byte 0x%02x is none of a lock's", (unsigned)(unsigned char)text[i]);
		r->line += text[i] == '\n' && i + 1 < len;
	}
	if (len == 0 || text[len - 1] != '\n')
		return refuse(r, "is cut short: its last line has no end");
	return 0;
}

/* The next line's words; r->n is 0 behind the last. */
static int next_line(struct reader *r)
{
	char *line = r->rest;

	r->n = 0;
	r->line++;
	if (!*line)
		return 0;
	char *end = strchr(line, '\n');
	*end = '\0';
	r->rest = end + 1;
	for (char *word = line; word; ) {
		char *space = strchr(word, ' ');

		if (r->n == WORDS_MAX)
			return refuse(r, "has more than %u words", WORDS_MAX);
		if (space)
			*space++ = '\0';
		if (!*word)
			return refuse(r, "an empty line, or not one space between two words");
		r->words[r->n++] = word;
		word = space;
	}
	return 0;
}

static bool is_line(const struct reader *r, const char *key)
{
	return r->n > 0 && pv_streq(r->words[0], key);
}

static int unexpected(const struct reader *r, const char *wanted)
{
	return r->n > 0 ? refuse(r, "\"%.*s\" where \"%s\" is wanted", SHOWN_MAX, r->words[0], wanted) :
			  refuse(r, "ends where \"%s\" is wanted", wanted);
}

/* The one value of a line that must be there; then goes to the next line. */
static int take_value(struct reader *r, const char *key, char **ret)
{
	if (!is_line(r, key))
		return unexpected(r, key);
	if (r->n != 2)
		return refuse(r, "%s: one word is wanted", key);
	*ret = pv_xstrdup(r->words[1]);
	return next_line(r);
}

static int take_name(struct reader *r, const char *key, char **ret)
{
	if (is_line(r, key) && r->n == 2 && !pv_recipe_name_ok(r->words[1]))
		return refuse(r, "%s: \"%.*s\" is no name", key, SHOWN_MAX, r->words[1]);
	return take_value(r, key, ret);
}

/* One of two words. */
static int take_choice(struct reader *r, const char *key, const char *yes, const char *no, bool *ret)
{
	if (is_line(r, key) && (r->n != 2 || (!pv_streq(r->words[1], yes) && !pv_streq(r->words[1], no))))
		return refuse(r, "%s: \"%s\" or \"%s\" is wanted", key, yes, no);
	if (!is_line(r, key))
		return unexpected(r, key);
	*ret = pv_streq(r->words[1], yes);
	return next_line(r);
}

/* --- the lines --- */

static int take_first(struct reader *r)
{
	if (!is_line(r, "pvimg-lock") || r->n != 2)
		return refuse(r, "is no lock of pvimg");
	if (!pv_streq(r->words[1], PV_LOCKFILE_VERSION))
		return refuse(r, "is a lock of format %.*s, this pvimg knows " PV_LOCKFILE_VERSION, SHOWN_MAX,
			      r->words[1]);
	return next_line(r);
}

static int take_components(struct reader *r)
{
	pv_autostrv all = PV_STRV_INIT;

	if (!is_line(r, "components") || r->n < 2)
		return unexpected(r, "components");
	for (size_t i = 1; i < r->n; i++) {
		if (!pv_recipe_name_ok(r->words[i]))
			return refuse(r, "components: \"%.*s\" is no component", SHOWN_MAX, r->words[i]);
		pv_strv_add(&all, r->words[i]);
	}
	r->lock->components = pv_strv_join(&all, " ");
	return next_line(r);
}

static int take_snapshot(struct reader *r)
{
	const struct pv_recipe_key *key = pv_recipe_key_find("snapshot-date");
	pv_autostr why = PV_STR_INIT;

	if (!is_line(r, "snapshot"))
		return 0;
	if (r->n != 2 || !pv_recipe_value_ok(key, r->words[1], &why))
		return refuse(r, "snapshot: no date like 20261122T133000Z");
	return take_value(r, "snapshot", &r->lock->snapshot);
}

static int take_inputs(struct reader *r)
{
	if (!is_line(r, "inputs"))
		return unexpected(r, "inputs");
	if (r->n != 2 || !pv_digest_valid(r->words[1]))
		return refuse(r, "inputs: no SHA-256 in 64 lower-case hex digits");
	memcpy(r->lock->inputs, r->words[1], PV_SHA256_HEX);
	return next_line(r);
}

static int out_of_order(const struct reader *r, const char *what, const char *before)
{
	return refuse(r, "%s %.*s stands behind %.*s: repeated, or not sorted", what, SHOWN_MAX, r->words[1], SHOWN_MAX,
		      before);
}

/* Sorted by name: "NAME VERSION" sorts as the names do, since a blank is less than all else in them. */
static int take_tools(struct reader *r)
{
	struct pv_strv *tools = &r->lock->tools;

	while (is_line(r, "tool")) {
		if (r->n != 3 || !pv_recipe_name_ok(r->words[1]) || strlen(r->words[2]) > VERSION_LEN_MAX)
			return refuse(r, "tool: a name and a version are wanted");
		const char *last = tools->n > 0 ? tools->v[tools->n - 1] : NULL;
		if (last && strcmp(last, r->words[1]) >= 0)
			return out_of_order(r, "tool", last);
		if (tools->n == TOOLS_MAX)
			return refuse(r, "more than %u tools", TOOLS_MAX);
		pv_strv_addf(tools, "%s %s", r->words[1], r->words[2]);
		if (next_line(r) < 0)
			return -1;
	}
	return 0;
}

static int take_asks(struct reader *r)
{
	struct pv_strv *asks = &r->lock->asks;

	while (is_line(r, "ask")) {
		if (r->n != 2 || !pv_package_name_ok(r->words[1]))
			return refuse(r, "ask: no package's name");
		if (asks->n > 0 && strcmp(asks->v[asks->n - 1], r->words[1]) >= 0)
			return out_of_order(r, "ask", asks->v[asks->n - 1]);
		if (asks->n == PV_LOCKFILE_PACKAGES)
			return refuse(r, "more than %u packages", PV_LOCKFILE_PACKAGES);
		pv_strv_add(asks, r->words[1]);
		if (next_line(r) < 0)
			return -1;
	}
	return 0;
}

/* timegm mends what is out of range; a date that comes out as another one was none. 32 bits as plan.c. */
static bool read_date(const char *text, int64_t *ret)
{
	struct tm tm = { 0 }, back;
	char again[32];
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	time_t when = end && !*end ? timegm(&tm) : 0;

	if (when <= 0 || when > (time_t)UINT32_MAX || !gmtime_r(&when, &back))
		return false;
	strftime(again, sizeof(again), "%Y-%m-%dT%H:%M:%SZ", &back);
	*ret = when;
	return pv_streq(again, text);
}

static int take_suite(struct reader *r)
{
	struct pv_lockfile *lock = r->lock;
	struct pv_archive_suite suite = { 0 };

	if (r->n != 4 || !pv_recipe_name_ok(r->words[1]))
		return refuse(r, "suite: a name, a digest and a date are wanted");
	if (!pv_digest_valid(r->words[2]))
		return refuse(r, "suite %s: no SHA-256 in 64 lower-case hex digits", r->words[1]);
	if (!read_date(r->words[3], &suite.date))
		return refuse(r, "suite %s: no date like 2026-11-22T13:30:00Z", r->words[1]);
	if (lock->nsuites > 0 && strcmp(lock->suites[lock->nsuites - 1].name, r->words[1]) >= 0)
		return out_of_order(r, "suite", lock->suites[lock->nsuites - 1].name);
	memcpy(suite.release_sha256, r->words[2], PV_SHA256_HEX);
	suite.name = pv_xstrdup(r->words[1]);
	lock->suites = pv_xreallocarray(lock->suites, lock->nsuites + 1, sizeof(*lock->suites));
	lock->suites[lock->nsuites++] = suite;
	return next_line(r);
}

static bool has_suite(const struct pv_lockfile *lock, const char *name)
{
	for (size_t i = 0; i < lock->nsuites; i++)
		if (pv_streq(lock->suites[i].name, name))
			return true;
	return false;
}

/* Which of a package's words is wrong, or NULL. */
static const char *wrong_word(const struct reader *r, struct pv_package *ret)
{
	char *const *w = r->words;

	if (!pv_package_name_ok(w[1]))
		return "name";
	if (strlen(w[2]) > VERSION_LEN_MAX)
		return "version";
	if (!pv_streq(w[3], r->lock->arch) && !pv_streq(w[3], "all"))
		return "architecture";
	if (pv_parse_u64(w[4], 1, SIZE_MAX_DEB, &ret->size) < 0)
		return "size";
	if (!pv_digest_valid(w[5]))
		return "SHA-256";
	if (!pv_url_path_ok(w[6]) || !pv_starts(w[6], "pool/"))
		return "path";
	if (!has_suite(r->lock, w[7]))
		return "suite";
	if (pv_parse_u64(w[8], 0, INSTALLED_MAX_KIB, &ret->installed_kib) < 0)
		return "installed size";
	if (!pv_priority_ok(w[9]))
		return "priority";
	return pv_streq(w[10], "base") || pv_streq(w[10], "more") ? NULL : "part (base or more)";
}

static int take_package(struct reader *r, size_t *cap)
{
	struct pv_lockfile *lock = r->lock;
	struct pv_package p = { 0 };

	if (r->n != 11)
		return refuse(r, "package: 10 words are wanted behind it, %zu are there", r->n - 1);
	const char *wrong = wrong_word(r, &p);
	if (wrong)
		return refuse(r, "package %.*s: faulty %s", SHOWN_MAX, r->words[1], wrong);
	const char *last = lock->npackages > 0 ? lock->packages[lock->npackages - 1].package.name : NULL;
	if (last && strcmp(last, r->words[1]) >= 0)
		return out_of_order(r, "package", last);
	if (lock->npackages == PV_LOCKFILE_PACKAGES)
		return refuse(r, "more than %u packages", PV_LOCKFILE_PACKAGES);
	if (lock->npackages == *cap) {
		*cap = *cap ? *cap * 2 : 256;
		lock->packages = pv_xreallocarray(lock->packages, *cap, sizeof(*lock->packages));
	}
	p.name = pv_xstrdup(r->words[1]);
	p.version = pv_xstrdup(r->words[2]);
	p.arch = pv_xstrdup(r->words[3]);
	memcpy(p.sha256, r->words[5], PV_SHA256_HEX);
	p.filename = pv_xstrdup(r->words[6]);
	p.suite = pv_xstrdup(r->words[7]);
	p.priority = pv_xstrdup(r->words[9]);
	lock->packages[lock->npackages++] = (struct pv_lock_package){ p, pv_streq(r->words[10], "base") };
	return next_line(r);
}

static int take_lists(struct reader *r)
{
	size_t cap = 0;

	if (take_tools(r) < 0 || take_asks(r) < 0)
		return -1;
	while (is_line(r, "suite"))
		if (take_suite(r) < 0)
			return -1;
	if (r->lock->nsuites == 0)
		return unexpected(r, "suite");
	while (is_line(r, "package"))
		if (take_package(r, &cap) < 0)
			return -1;
	if (r->lock->npackages == 0 || r->n > 0)
		return unexpected(r, "package");
	return 0;
}

static int take_all(struct reader *r)
{
	struct pv_lockfile *lock = r->lock;

	if (next_line(r) < 0 || take_first(r) < 0 || take_name(r, "recipe", &lock->recipe) < 0 ||
	    take_name(r, "distribution", &lock->distribution) < 0 || take_name(r, "architecture", &lock->arch) < 0 ||
	    take_choice(r, "archive", "stand-in", "distribution", &lock->stand_in) < 0 || take_components(r) < 0 ||
	    take_choice(r, "security", "yes", "no", &lock->security) < 0 || take_snapshot(r) < 0 || take_inputs(r) < 0)
		return -1;
	return take_lists(r);
}

int pv_lockfile_parse(const char *file, const char *text, size_t len, struct pv_lockfile *ret, struct pv_error *err)
{
	pv_autolockfile lock = { 0 };
	struct reader r = { .file = file, .lock = &lock, .err = err };

	if (check_bytes(&r, text, len) < 0)
		return -1;
	pv_autofree char *copy = pv_xstrndup(text, len);
	r.rest = copy;
	r.line = 0;
	if (take_all(&r) < 0)
		return -1;
	*ret = lock;
	lock = (struct pv_lockfile){ 0 };
	return 0;
}
