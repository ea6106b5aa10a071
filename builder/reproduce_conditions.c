/* SPDX-License-Identifier: Apache-2.0 */
/* What the two builds have in common and what not: the one table of conditions. */
#include <locale.h>
#include <pwd.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fsutil.h"
#include "hostapt.h"
#include "ns_map.h"
#include "proc.h"
#include "reproduce_priv.h"
#include "url.h"

#define SUBID_FILE_MAX ((size_t)4 << 20)
#define OTHER_HOST "elsewhere"
#define OTHER_ZONE "Pacific/Kiritimati"	/* 14 hours before UTC: another day more often than not */

void pv_condition_varied(struct pv_conditions *c, const char *what, char *first, char *second)
{
	if (c->n < PV_CONDITIONS_MAX)
		c->v[c->n++] = (struct pv_condition){ what, first, second, NULL };
}

void pv_condition_same(struct pv_conditions *c, const char *what, char *why)
{
	if (c->n < PV_CONDITIONS_MAX)
		c->v[c->n++] = (struct pv_condition){ what, NULL, NULL, why };
}

void pv_conditions_done(struct pv_conditions *c)
{
	for (size_t i = 0; i < c->n; i++) {
		pv_freep(&c->v[i].first);
		pv_freep(&c->v[i].second);
		pv_freep(&c->v[i].why);
	}
	c->n = 0;
}

/* --- the user --- */

static bool has_ids(const char *path, const struct passwd *pw)
{
	pv_autofree char *text = NULL;
	uint32_t base;

	return pv_read_file(path, SUBID_FILE_MAX, &text, NULL, NULL) == 0 &&
	       pv_ns_subid_parse(text, pw->pw_name, pw->pw_uid, &base) == 0;
}

/* The one of that name; or the first ordinary one that has subordinate ids. */
static const struct passwd *find_user(const char *name)
{
	const struct passwd *pw;

	if (name)
		return getpwnam(name);
	setpwent();
	while ((pw = getpwent()))
		if (pw->pw_uid >= 1000 && pw->pw_uid < 60000 && has_ids("/etc/subuid", pw) && has_ids("/etc/subgid", pw))
			break;
	endpwent();
	return pw;
}

static char *caller_words(void)
{
	const struct passwd *pw = getpwuid(getuid());

	return pw ? pv_fmt("%s (%u)", pw->pw_name, getuid()) : pv_fmt("%u", getuid());
}

static int vary_user_as_root(const struct pv_reproduce_request *req, struct pv_rebuild *b, struct pv_conditions *c,
			     struct pv_error *err)
{
	const struct passwd *pw = find_user(req->as_user);

	if (!pw && req->as_user)
		return pv_error_set(err, PV_ERR_USAGE, "--as-user %s: there is no such user", req->as_user);
	if (pw && pw->pw_uid == 0)
		return pv_error_set(err, PV_ERR_USAGE, "--as-user %s: another user than root is wanted", pw->pw_name);
	if (!pw) {
		pv_condition_same(c, "user", pv_xstrdup("no ordinary user of this host has subordinate ids; name one with "
							"--as-user"));
		return 0;
	}
	b->user = pv_xstrdup(pw->pw_name);
	b->uid = pw->pw_uid;
	b->gid = pw->pw_gid;
	pv_condition_varied(c, "user", caller_words(), pv_fmt("%s (%u)", pw->pw_name, pw->pw_uid));
	return 0;
}

/* An ordinary user may be root only of a namespace of its own; then its program does what root's does. */
static int vary_user(const struct pv_reproduce_request *req, struct pv_rebuild *b, struct pv_conditions *c,
		     struct pv_error *err)
{
	pv_autoerror cause = PV_ERROR_INIT;

	if (geteuid() == 0)
		return vary_user_as_root(req, b, c, err);
	if (req->as_user)
		return pv_error_set(err, PV_ERR_USAGE, "--as-user %s: only root can become somebody else", req->as_user);
	b->nested = true;
	b->hostname = pv_xstrdup(OTHER_HOST);
	if (pv_reproduce_try(b, &cause) == 0) {
		pv_condition_varied(c, "user", caller_words(), pv_xstrdup("root of a user namespace, on the same user's ids"));
		return 0;
	}
	b->nested = false;
	pv_freep(&b->hostname);
	pv_condition_same(c, "user", pv_fmt("this user cannot be root of a nested user namespace here: %s", cause.text));
	return 0;
}

static void vary_host(struct pv_rebuild *b, struct pv_conditions *c)
{
	char name[256] = "";

	if (gethostname(name, sizeof(name) - 1) < 0)
		name[0] = '\0';
	if (geteuid() == 0 && !b->hostname)
		b->hostname = pv_xstrdup(OTHER_HOST);
	if (b->hostname)
		pv_condition_varied(c, "host name", pv_printable(name, strlen(name)), pv_xstrdup(b->hostname));
	else
		pv_condition_same(c, "host name", pv_xstrdup("an ordinary user can change it in a user namespace only"));
}

/* --- the rest --- */

static void vary_cores(struct pv_rebuild *b, struct pv_conditions *c)
{
	cpu_set_t all;

	CPU_ZERO(&all);
	int n = sched_getaffinity(0, sizeof(all), &all) == 0 ? CPU_COUNT(&all) : 1;
	b->one_core = n > 1;
	if (n > 1)
		pv_condition_varied(c, "processors", pv_fmt("%d", n), pv_xstrdup("1"));
	else
		pv_condition_same(c, "processors", pv_xstrdup("there is one only"));
}

static const char *other_locale(void)
{
	/* Turkish first: its i and I have surprised many a program */
	static const char *const names[] = { "tr_TR.UTF-8", "de_DE.UTF-8", "fr_FR.UTF-8", "en_US.UTF-8" };

	for (size_t i = 0; i < PV_COUNT(names); i++) {
		locale_t found = newlocale(LC_ALL_MASK, names[i], (locale_t)0);
		if (!found)
			continue;
		freelocale(found);
		return names[i];
	}
	return "POSIX";
}

static void vary_locale(struct pv_rebuild builds[2], struct pv_conditions *c)
{
	const char *other = other_locale();

	pv_strv_add(&builds[0].env, "LC_ALL=C.UTF-8");
	pv_strv_addf(&builds[1].env, "LC_ALL=%s", other);
	pv_strv_addf(&builds[1].env, "LANGUAGE=%.2s", pv_streq(other, "POSIX") ? "tr" : other);
	pv_condition_varied(c, "locale", pv_xstrdup("C.UTF-8"), pv_xstrdup(other));
}

/* What programs of the host that a build runs would heed. */
static void vary_taste(struct pv_rebuild *b, struct pv_conditions *c)
{
	static const char *const taste[] = {
		"MKE2FS_CONFIG=/proc/self/cmdline", "MTOOLSRC=/proc/self/cmdline", "MTOOLS_LOWER_CASE=1", "ZSTD_CLEVEL=1",
		"ZSTD_NBTHREADS=3", "XZ_DEFAULTS=-0", "XZ_OPT=-0", "GZIP=-1", "PYTHONHASHSEED=7", "PYTHONDONTWRITEBYTECODE=1",
		"POSIXLY_CORRECT=1", "DEB_BUILD_OPTIONS=nodoc", "DEBIAN_FRONTEND=readline", "DEBOOTSTRAP_DIR=/nonexistent",
		"PERL_HASH_SEED=7", NULL,
	};

	pv_strv_add_all(&b->env, taste);
	pv_condition_varied(c, "environment", pv_xstrdup("nothing but what a build needs"),
			    pv_xstrdup("settings for mke2fs, mtools, zstd, xz, gzip, Python, Perl, dpkg and debootstrap"));
}

static char *with_other_slash(const char *url)
{
	return pv_ends(url, "/") ? pv_xstrndup(url, strlen(url) - 1) : pv_fmt("%s/", url);
}

/* An address with a user name never reaches a command line. */
static bool may_say(const char *url)
{
	pv_autourl parts = { 0 };
	pv_autoerror ignored = PV_ERROR_INIT;

	return pv_url_split(url, &parts, &ignored) == 0 && !*parts.user && !*parts.password;
}

static int vary_mirror(const struct pv_reproduce_request *req, struct pv_rebuild *b, struct pv_conditions *c,
		       struct pv_error *err)
{
	const struct pv_recipe *recipe = req->recipe;
	pv_autofree char *main = pv_xstrdup(recipe->mirror), *security = NULL;

	if (!main && pv_hostapt_mirror(recipe->distribution, recipe->suite, &main, &security, err) < 0)
		return -1;
	if (!main || !may_say(main) || (security && !may_say(security))) {
		pv_condition_same(c, "mirror", pv_xstrdup(main ? "its address bears a user name"
							       : "debootstrap's default is taken as it stands"));
		return 0;
	}
	pv_autofree char *other = with_other_slash(main);
	pv_strv_addf(&b->more, "--mirror=%s", other);
	if (security && pv_streq(recipe->security, "auto"))
		pv_strv_addf(&b->more, "--security=%s", security);
	pv_condition_varied(c, "mirror", pv_steal(&main), pv_steal(&other));
	return 0;
}

/* What both get of the caller's environment: where downloads go through, and the time that a caller has set. */
static void common_env(struct pv_rebuild *b)
{
	static const char *const kept[] = {
		"PATH", "SOURCE_DATE_EPOCH", "http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY",
		"NO_PROXY", "ASAN_OPTIONS", "UBSAN_OPTIONS",
	};

	for (size_t i = 0; i < PV_COUNT(kept); i++)
		if (getenv(kept[i]))
			pv_strv_addf(&b->env, "%s=%s", kept[i], getenv(kept[i]));
	pv_strv_addf(&b->env, "HOME=%s", b->home);
}

static void vary_places(struct pv_rebuild builds[2], struct pv_conditions *c)
{
	struct pv_rebuild *a = &builds[0], *b = &builds[1];

	b->on_disk = true;
	a->umask = 022;
	b->umask = 077;
	pv_strv_add(&a->env, "TZ=UTC0");
	pv_strv_add(&b->env, "TZ=" OTHER_ZONE);
	pv_condition_varied(c, "home", pv_xstrdup(a->home), pv_xstrdup(b->home));
	pv_condition_varied(c, "program", pv_xstrdup(a->program), pv_xstrdup(b->program));
	pv_condition_varied(c, "work folder", pv_xstrdup(a->cache), pv_xstrdup(b->cache));
	pv_condition_varied(c, "file system order", pv_xstrdup("the tree is in memory, where there is enough"),
			    pv_xstrdup("the tree is on the disk"));
	pv_condition_varied(c, "time zone", pv_xstrdup("UTC"), pv_xstrdup(OTHER_ZONE));
	pv_condition_varied(c, "umask", pv_xstrdup("022"), pv_xstrdup("077"));
}

static void name_the_rest(struct pv_conditions *c)
{
	pv_condition_same(c, "date", pv_xstrdup("no namespace moves the clock; the second build is later, not on another day"));
	pv_condition_same(c, "kernel and processor", pv_xstrdup("both builds run on this machine"));
	pv_condition_same(c, "tools", pv_xstrdup("both use this host's debootstrap, mke2fs, mtools and GnuPG"));
}

int pv_reproduce_conditions(const struct pv_reproduce_request *req, struct pv_rebuild builds[2], struct pv_conditions *ret,
			    struct pv_error *err)
{
	builds[0].ordinal = "first";
	builds[1].ordinal = "second";
	common_env(&builds[0]);
	common_env(&builds[1]);
	vary_places(builds, ret);
	vary_locale(builds, ret);
	vary_taste(&builds[1], ret);
	vary_cores(&builds[1], ret);
	if (vary_user(req, &builds[1], ret, err) < 0 || vary_mirror(req, &builds[1], ret, err) < 0)
		return -1;
	vary_host(&builds[1], ret);
	name_the_rest(ret);
	return 0;
}
