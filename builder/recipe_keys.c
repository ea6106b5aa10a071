/* SPDX-License-Identifier: Apache-2.0 */
/* The table of a recipe's keys and the checks of single values. */
#include "recipe_keys.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "export.h"
#include "publish.h"
#include "recipe.h"
#include "sizing.h"
#include "suite.h"
#include "url.h"

#define MIB              (UINT64_C(1) << 20)
#define GIB              (UINT64_C(1) << 30)
#define DISK_MIN         GIB
#define DISK_MAX         (2048 * GIB)
#define BOOT_BUDGET_MAX  1000u
#define NAME_MAX_LEN     64u
#define PACKAGE_MAX_LEN  128u
#define HOSTNAME_MAX_LEN 63u /* RFC 1123: one label */
#define KEYRING_MAX_LEN  1024u
#define FINGERPRINT_LEN  40u /* OpenPGP version 4 */

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"

/* First character from `first`, the others from `rest`, `min` to `max` of them in all. */
static bool is_word(const char *s, const char *first, const char *rest, size_t min, size_t max)
{
	size_t len = strlen(s);

	return len >= min && len <= max && len > 0 && strchr(first, s[0]) &&
	       strspn(s + 1, rest) == len - 1;
}

bool pv_recipe_name_ok(const char *name)
{
	return is_word(name, LOWER DIGITS, LOWER DIGITS ".-", 1, NAME_MAX_LEN);
}

static bool refuse(struct pv_str *why, const char *words)
{
	pv_str_add(why, words);
	return false;
}

static bool refuse_unknown(struct pv_str *why, const char *what, const char *value,
			   const char *const *known)
{
	const char *near = pv_nearest(value, known);

	pv_str_addf(why, "is no %s; ", what);
	if (near) {
		pv_str_addf(why, "did you mean \"%s\"?", near);
		return false;
	}
	pv_str_add(why, "known:");
	for (; known && *known; known++)
		pv_str_addf(why, " %s", *known);
	return false;
}

static bool check_name(const char *value, struct pv_str *why)
{
	return pv_recipe_name_ok(value) || refuse(why, "is no name; lower-case letters, digits, "
						       "\".\" and \"-\", at most 64, no path");
}

static bool check_kind(const char *value, struct pv_str *why)
{
	static const char *const kinds[] = { PV_KIND_IMAGE, PV_KIND_DOM0, NULL };

	return pv_streq(value, kinds[0]) || pv_streq(value, kinds[1]) ||
	       refuse_unknown(why, "known kind", value, kinds);
}

static bool check_distribution(const char *value, struct pv_str *why)
{
	return pv_suite_names(value) ||
	       refuse_unknown(why, "known distribution", value, pv_suite_distributions());
}

/* Known at all; whether it is the distribution's own is checked when both are known. */
static bool check_suite(const char *value, struct pv_str *why)
{
	pv_autostrv all = PV_STRV_INIT;

	for (const struct pv_suite *s = pv_suite_table(); s->distribution; s++) {
		if (pv_streq(s->codename, value))
			return true;
		pv_strv_add(&all, s->codename);
	}
	return refuse_unknown(why, "known suite", value, (const char *const *)all.v);
}

static bool check_url(const char *value, struct pv_str *why)
{
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_url_check(value, &err) == 0)
		return true;
	pv_str_addf(why, "is refused: %s", err.text);
	return false;
}

/* image-mirror ends in the image: what others can reach, and no password. */
static bool check_public_url(const char *value, struct pv_str *why)
{
	pv_autourl url = { 0 };
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_url_split(value, &url, &err) < 0) {
		pv_str_addf(why, "is refused: %s", err.text);
		return false;
	}
	if (url.user[0] || url.password[0])
		return refuse(why, "is refused: it bears a user name or password and would put it "
				   "into the image");
	if (!pv_streq(url.scheme, "http") && !pv_streq(url.scheme, "https"))
		return refuse(why, "is refused: the image can reach http: and https: only");
	return true;
}

/* With a date in place of {date} it is a URL; {archive} becomes debian or debian-security (prepare.c). */
static bool check_snapshot(const char *value, struct pv_str *why)
{
	if (!strstr(value, PV_SNAPSHOT_DATE))
		return refuse(why, "has no " PV_SNAPSHOT_DATE " in it, where snapshot-date is to stand");
	pv_autofree char *url = pv_recipe_snapshot_url(value, "20261122T133000Z", "archive");

	return check_url(url, why);
}

/* As snapshot services have it: 20261122T133000Z. */
static bool check_snapshot_date(const char *value, struct pv_str *why)
{
	struct tm tm = { 0 }, back;
	char again[32];
	const char *end = strptime(value, PV_SNAPSHOT_FORMAT, &tm);
	time_t when = end && !*end ? timegm(&tm) : 0;

	if (when > 0 && when <= (time_t)UINT32_MAX && gmtime_r(&when, &back) &&
	    strftime(again, sizeof(again), PV_SNAPSHOT_FORMAT, &back) && pv_streq(again, value))
		return true;
	return refuse(why, "is no date like 20261122T133000Z");
}

static bool check_security(const char *value, struct pv_str *why)
{
	static const char *const words[] = { "auto", "none", NULL };

	if (pv_streq(value, "auto") || pv_streq(value, "none"))
		return true;
	if (strchr(value, ':'))
		return check_url(value, why);
	const char *near = pv_nearest(value, words);

	pv_str_add(why, "is neither \"auto\" nor \"none\" nor a URL");
	if (near)
		pv_str_addf(why, "; did you mean \"%s\"?", near);
	return false;
}

static bool check_path(const char *value, struct pv_str *why)
{
	size_t len = strlen(value);

	if (value[0] != '/' || len > KEYRING_MAX_LEN)
		return refuse(why, "is no absolute path of at most 1024 bytes");
	for (size_t i = 0; i < len; i++)
		if (iscntrl((unsigned char)value[i]))
			return refuse(why, "has a control character in it");
	return true;
}

static bool check_fingerprint(const char *value, struct pv_str *why)
{
	if (strlen(value) != FINGERPRINT_LEN ||
	    strspn(value, DIGITS "ABCDEFabcdef") != FINGERPRINT_LEN)
		return refuse(why, "is no fingerprint; all 40 hex digits, without spaces (short "
				   "ids can be forged)");
	return strspn(value, DIGITS "ABCDEF") == FINGERPRINT_LEN ||
	       refuse(why, "is in lower case; write the fingerprint in upper case");
}

static bool check_component(const char *value, struct pv_str *why)
{
	return is_word(value, LOWER DIGITS, LOWER DIGITS ".-", 1, NAME_MAX_LEN) ||
	       refuse(why,
		      "is no component; lower-case letters, digits, \".\" and \"-\", like main");
}

/* Debian Policy 5.6.1. */
static bool check_package(const char *value, struct pv_str *why)
{
	return is_word(value, LOWER DIGITS, LOWER DIGITS "+.-", 2, PACKAGE_MAX_LEN) ||
	       refuse(why, "is no package name; lower-case letters, digits, \"+\", \".\" and "
			   "\"-\", at least 2; no version "
			   "or architecture");
}

static bool check_overlay(const char *value, struct pv_str *why)
{
	return is_word(value, LOWER DIGITS, LOWER DIGITS "-", 1, NAME_MAX_LEN) ||
	       refuse(why, "is no overlay name; lower-case letters, digits and \"-\"");
}

static bool check_format(const char *value, struct pv_str *why)
{
	const char *const *known = pv_export_formats();

	for (size_t i = 0; known[i]; i++)
		if (pv_streq(known[i], value))
			return true;
	return refuse_unknown(why, "known format", value, known);
}

/* Of a scheme that publish knows, the same place from wherever it is read, and fit to be shown. What only its target can
 * judge is judged there, before anything is sent. */
static bool check_target(const char *value, struct pv_str *why)
{
	const struct pv_publish_target *kind;
	pv_autoerror err = PV_ERROR_INIT;
	size_t len = strlen(value);

	if (len > PV_URL_MAX)
		return refuse(why, "is refused: longer than 2048 bytes");
	for (size_t i = 0; i < len; i++)
		if (iscntrl((unsigned char)value[i]))
			return refuse(why, "is refused: a control character in it");
	if (pv_publish_find(value, &kind, &err) < 0)
		return refuse(why, "is refused: pvimg publish knows no such target");
	const char *rest = value + strlen(kind->scheme);
	if (!*rest)
		return refuse(why, "is refused: it names no place");
	if (!pv_ends(kind->scheme, "//"))
		return rest[0] == '/' || refuse(why, "is refused: a recipe's folder is an absolute path");
	const char *at = strrchr(rest, '@');
	size_t user = at ? (size_t)(at - rest) : 0;
	/* a percent sign could be a colon in disguise, and a password may hold a slash */
	return (!memchr(rest, ':', user) && !memchr(rest, '%', user)) ||
	       refuse(why, "is refused: a password, or what looks like one, stands before an @");
}

static bool check_hostname(const char *value, struct pv_str *why)
{
	size_t len = strlen(value);

	return (is_word(value, LOWER DIGITS, LOWER DIGITS "-", 1, HOSTNAME_MAX_LEN) &&
		value[len - 1] != '-') ||
	       refuse(why, "is no host name; one label of lower-case letters, digits and inner "
			   "\"-\", at most 63");
}

/* Every `from` in *text becomes `to`. */
static void replace(char **text, const char *from, const char *to)
{
	pv_autostr out = PV_STR_INIT;
	const char *p = *text;

	for (const char *hit; (hit = strstr(p, from)); p = hit + strlen(from)) {
		pv_str_addn(&out, p, (size_t)(hit - p));
		pv_str_add(&out, to);
	}
	pv_str_add(&out, p);
	free(*text);
	*text = pv_str_steal(&out);
}

char *pv_recipe_snapshot_url(const char *pattern, const char *date, const char *archive)
{
	char *url = pv_xstrdup(pattern);

	replace(&url, PV_SNAPSHOT_ARCHIVE, archive);
	replace(&url, PV_SNAPSHOT_DATE, date);
	return url;
}

#define AT(member) .offset = offsetof(struct pv_recipe, member)

static const struct pv_recipe_key keys[] = {
	{ .name = "base", .type = PV_KEY_BASE, .check = check_name },
	{ .name = "kind",
	  .type = PV_KEY_TEXT,
	  .check = check_kind,
	  .fallback = PV_KIND_IMAGE,
	  AT(kind) },
	{ .name = "distribution",
	  .type = PV_KEY_TEXT,
	  .required = true,
	  .check = check_distribution,
	  AT(distribution) },
	{ .name = "suite", .type = PV_KEY_TEXT, .required = true, .check = check_suite, AT(suite) },
	{ .name = "flavor.memory",
	  .image_only = true,
	  .type = PV_KEY_SIZE,
	  .required = true,
	  AT(memory),
	  .min = PV_SIZING_MIN_MIB * MIB,
	  .max = PV_SIZING_MAX_MIB * MIB },
	{ .name = "flavor.vcpus",
	  .image_only = true,
	  .type = PV_KEY_COUNT,
	  .required = true,
	  AT(vcpus),
	  .min = 1,
	  .max = PV_SIZING_MAX_VCPUS },
	{ .name = "flavor.disk",
	  .image_only = true,
	  .type = PV_KEY_SIZE,
	  .required = true,
	  AT(disk),
	  .min = DISK_MIN,
	  .max = DISK_MAX },
	{ .name = "boot-budget",
	  .image_only = true,
	  .type = PV_KEY_COUNT,
	  AT(boot_budget),
	  .min = 1,
	  .max = BOOT_BUDGET_MAX },
	{ .name = "mirror", .type = PV_KEY_TEXT, .secret = true, .check = check_url, AT(mirror) },
	{ .name = "snapshot",
	  .type = PV_KEY_TEXT,
	  .secret = true,
	  .check = check_snapshot,
	  AT(snapshot) },
	{ .name = "snapshot-date",
	  .type = PV_KEY_TEXT,
	  .check = check_snapshot_date,
	  AT(snapshot_date) },
	{ .name = "image-mirror",
	  .image_only = true,
	  .type = PV_KEY_TEXT,
	  .secret = true,
	  .check = check_public_url,
	  AT(image_mirror) },
	{ .name = "security",
	  .type = PV_KEY_TEXT,
	  .secret = true,
	  .check = check_security,
	  .fallback = "auto",
	  AT(security) },
	{ .name = "keyring", .type = PV_KEY_TEXT, .check = check_path, AT(keyring) },
	{ .name = "trusted-keys",
	  .type = PV_KEY_LIST,
	  .check = check_fingerprint,
	  AT(trusted_keys) },
	{ .name = "components", .type = PV_KEY_LIST, .check = check_component, AT(components) },
	{ .name = "packages",
	  .type = PV_KEY_LIST,
	  .adds = true,
	  .check = check_package,
	  AT(packages) },
	{ .name = "overlays",
	  .type = PV_KEY_LIST,
	  .image_only = true,
	  .adds = true,
	  .check = check_overlay,
	  AT(overlays) },
	{ .name = "formats",
	  .type = PV_KEY_LIST,
	  .image_only = true,
	  .check = check_format,
	  AT(formats) },
	{ .name = "targets",
	  .type = PV_KEY_LIST,
	  .image_only = true,
	  .secret = true,
	  .check = check_target,
	  AT(targets) },
	{ .name = "hostname",
	  .type = PV_KEY_TEXT,
	  .image_only = true,
	  .check = check_hostname,
	  AT(hostname) },
	/* Switches of overlays; each is off because it was not measured to help on 1 to 4 vcpus. */
	{ .name = "options.memcached-large-pages",
	  .type = PV_KEY_SWITCH,
	  .image_only = true,
	  .fallback = "false" },
	{ .name = "options.memcached-lock-memory",
	  .type = PV_KEY_SWITCH,
	  .image_only = true,
	  .fallback = "false" },
	{ .name = "options.memcached-pin-cpus",
	  .type = PV_KEY_SWITCH,
	  .image_only = true,
	  .fallback = "false" },
};
_Static_assert(PV_COUNT(keys) == PV_RECIPE_KEYS, "PV_RECIPE_KEYS is the number of rows");

const struct pv_recipe_key *pv_recipe_keys(void)
{
	return keys;
}

const struct pv_recipe_key *pv_recipe_key_find(const char *name)
{
	for (size_t i = 0; i < PV_COUNT(keys); i++)
		if (pv_streq(keys[i].name, name))
			return &keys[i];
	return NULL;
}

bool pv_recipe_section(const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < PV_COUNT(keys); i++)
		if (len && strncmp(keys[i].name, name, len) == 0 && keys[i].name[len] == '.')
			return true;
	return false;
}

char *pv_recipe_key_nearest(const char *section, const char *word)
{
	pv_autostrv names = PV_STRV_INIT;

	for (size_t i = 0; i < PV_COUNT(keys); i++) {
		const char *name = keys[i].name;
		const char *dot = strchr(name, '.');

		if (!section)
			pv_strv_add(&names, name);
		else if (!*section)
			pv_strv_take(&names, pv_xstrndup(name, strcspn(name, ".")));
		else if (dot && strncmp(name, section, strlen(section)) == 0 &&
			 name[strlen(section)] == '.')
			pv_strv_add(&names, dot + 1);
	}
	return names.n ? pv_xstrdup(pv_nearest(word, (const char *const *)names.v)) : NULL;
}

/* The unit that was meant: "4GB", "4G", "4 GiB" and "4gib" are all 4GiB. */
static void suggest_size(const char *value, struct pv_str *why)
{
	size_t digits = strspn(value, DIGITS);
	const char *unit = value + digits + strspn(value + digits, " ");
	char letter = (char)toupper((unsigned char)unit[0]);
	size_t rest = strlen(unit);

	if (digits && digits < 8 && value[0] != '0' && rest >= 1 && rest <= 3 && letter &&
	    strchr("KMGT", letter))
		pv_str_addf(why, "; did you mean \"%.*s%ciB\"?", (int)digits, value, letter);
	else
		pv_str_add(why, "; a whole number and MiB or GiB, like 4GiB");
}

static bool size_ok(const struct pv_recipe_key *key, const char *value, struct pv_str *why)
{
	uint64_t bytes;

	if (pv_parse_size(value, &bytes) < 0) {
		pv_str_add(why, "is no size");
		suggest_size(value, why);
		return false;
	}
	if (bytes < key->min || bytes > key->max) {
		pv_autofree char *min = pv_size_text(key->min);
		pv_autofree char *max = pv_size_text(key->max);

		pv_str_addf(why, "is out of range; from %s to %s", min, max);
		return false;
	}
	if (bytes % MIB != 0)
		pv_str_addf(why, "is not a whole number of MiB; %lluMiB is the next below",
			    (unsigned long long)(bytes / MIB));
	return bytes % MIB == 0;
}

static bool count_ok(const struct pv_recipe_key *key, const char *value, struct pv_str *why)
{
	uint64_t count;

	if (pv_parse_u64(value, key->min, key->max, &count) == 0)
		return true;
	pv_str_addf(why, "is no whole number from %llu to %llu", (unsigned long long)key->min,
		    (unsigned long long)key->max);
	return false;
}

static bool switch_ok(const char *value, struct pv_str *why)
{
	static const char *const words[] = { "true", "false", NULL };
	static const char *const elsewhere[][2] = {
		{ "yes", "true" }, { "on", "true" },   { "1", "true" },  { "y", "true" },
		{ "no", "false" }, { "off", "false" }, { "0", "false" }, { "n", "false" },
	};

	if (pv_streq(value, words[0]) || pv_streq(value, words[1]))
		return true;
	for (size_t i = 0; i < PV_COUNT(elsewhere); i++) {
		if (strcasecmp(value, elsewhere[i][0]) != 0)
			continue;
		pv_str_addf(why, "is no switch; did you mean \"%s\"?", elsewhere[i][1]);
		return false;
	}
	return refuse_unknown(why, "switch", value, words);
}

bool pv_recipe_value_ok(const struct pv_recipe_key *key, const char *value, struct pv_str *why)
{
	if (!*value)
		return refuse(why, "is empty; give it a value or leave the key out");
	switch (key->type) {
	case PV_KEY_SIZE:
		return size_ok(key, value, why);
	case PV_KEY_COUNT:
		return count_ok(key, value, why);
	case PV_KEY_SWITCH:
		return switch_ok(value, why);
	case PV_KEY_BASE:
	case PV_KEY_TEXT:
	case PV_KEY_LIST:
		break;
	}
	return !key->check || key->check(value, why);
}
