/* SPDX-License-Identifier: Apache-2.0 */
/* Resolves names to packages: base by survey, the rest by a simulated transaction of the host's apt-get. */
#include "resolve.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "deb822.h"
#include "fsutil.h"
#include "proc.h"
#include "resolve_apt.h"
#include "survey.h"
#include "url.h"

#define SIZE_MAX_DEB (8ull << 30)	/* no .deb is larger */
#define INSTALLED_MAX_KIB (1ull << 32)

void pv_package_done(struct pv_package *p)
{
	pv_freep(&p->name);
	pv_freep(&p->version);
	pv_freep(&p->arch);
	pv_freep(&p->filename);
	if (p->base_url)
		explicit_bzero(p->base_url, strlen(p->base_url));
	pv_freep(&p->base_url);
	pv_freep(&p->suite);
	pv_freep(&p->priority);
	memset(p, 0, sizeof(*p));
}

void pv_packages_free(struct pv_package *v, size_t n)
{
	for (size_t i = 0; v && i < n; i++)
		pv_package_done(&v[i]);
	free(v);
}

void pv_resolution_done(struct pv_resolution *res)
{
	pv_packages_free(res->packages, res->npackages);
	pv_packages_free(res->base, res->nbase);
	memset(res, 0, sizeof(*res));
}

struct packages {
	struct pv_package *v;
	size_t n, cap;
};

static void packages_done(struct packages *list)
{
	pv_packages_free(list->v, list->n);
}
#define autopackages __attribute__((cleanup(packages_done))) struct packages

static void packages_add(struct packages *list, struct pv_package *p)
{
	if (list->n == list->cap) {
		list->cap = list->cap ? list->cap * 2 : 256;
		list->v = pv_xreallocarray(list->v, list->cap, sizeof(*list->v));
	}
	list->v[list->n++] = *p;
	memset(p, 0, sizeof(*p));
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct pv_package *)a)->name, ((const struct pv_package *)b)->name);
}

static void packages_sort(struct packages *list)
{
	if (list->n > 1)
		qsort(list->v, list->n, sizeof(*list->v), by_name);
}

/* Fills all but `requested` from a stanza; what a hostile index may have put there is refused. */
static int from_stanza(const struct pv_stanza *s, const struct pv_aptree_index *index, struct pv_package *ret,
		       struct pv_error *err)
{
	const char *name = pv_stanza_get(s, "Package"), *version = pv_stanza_get(s, "Version");
	const char *arch = pv_stanza_get(s, "Architecture"), *file = pv_stanza_get(s, "Filename");
	const char *sha256 = pv_stanza_get(s, "SHA256"), *size = pv_stanza_get(s, "Size");
	const char *installed = pv_stanza_get(s, "Installed-Size"), *priority = pv_stanza_get(s, "Priority");
	const char *wrong = NULL;
	uint64_t bytes = 0, kib = 0;

	if (!version || !*version || strlen(version) > 255 || strpbrk(version, " \n"))
		wrong = "Version";
	else if (!arch || !*arch || !pv_url_path_ok(arch))
		wrong = "Architecture";
	else if (!pv_url_path_ok(file) || !pv_starts(file, "pool/"))
		wrong = "Filename";
	else if (!sha256 || !pv_digest_valid(sha256))
		wrong = "SHA256";
	else if (!size || pv_parse_u64(size, 1, SIZE_MAX_DEB, &bytes) < 0)
		wrong = "Size";
	else if (installed && pv_parse_u64(installed, 0, INSTALLED_MAX_KIB, &kib) < 0)
		wrong = "Installed-Size";
	else if (priority && !pv_priority_ok(priority))
		wrong = "Priority";
	if (wrong)
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s %s: package %s: no or faulty %s", index->suite,
				    index->component, name, wrong);
	*ret = (struct pv_package){
		.name = pv_xstrdup(name), .version = pv_xstrdup(version), .arch = pv_xstrdup(arch),
		.filename = pv_xstrdup(file), .base_url = pv_xstrdup(index->base_url),
		.suite = pv_xstrdup(index->suite), .priority = pv_xstrdup(priority ? priority : "optional"),
		.size = bytes, .installed_kib = kib,
	};
	memcpy(ret->sha256, sha256, PV_SHA256_HEX);
	return 0;
}

bool pv_priority_ok(const char *priority)
{
	size_t n = strlen(priority);

	return n > 0 && n <= 32 && strspn(priority, "abcdefghijklmnopqrstuvwxyz") == n;
}

bool pv_package_name_ok(const char *name)
{
	size_t n = strlen(name);

	return n >= 2 && n <= 128 && isalnum((unsigned char)name[0]) &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789+.-") == n;
}

/* One pass over one index. */
struct pass {
	const struct pv_aptree_index *index;
	const char *arch;
	struct pv_error *err;

	/* The base, and what apt has to know: */
	const struct pv_survey *survey;
	struct packages *base;
	bool release_suite;
	FILE *status, *reduced;

	/* The transaction's: */
	const struct pv_apt_change *changes;
	size_t nchanges;
	bool *filled;
	struct packages *chosen;
};

static bool is_ours(const struct pass *pass, const struct pv_stanza *s)
{
	const char *name = pv_stanza_get(s, "Package"), *arch = pv_stanza_get(s, "Architecture");

	return name && pv_package_name_ok(name) && (pv_streq(arch, pass->arch) || pv_streq(arch, "all"));
}

static bool has_name(const struct packages *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (pv_streq(list->v[i].name, name))
			return true;
	return false;
}

static int take_base(void *ctx, const struct pv_stanza *s)
{
	struct pass *pass = ctx;
	struct pv_package p = { 0 };
	const char *name = pv_stanza_get(s, "Package");

	if (!is_ours(pass, s) || !pv_survey_in_reach(pass->survey, name))
		return 0;
	pv_aptree_print(pass->reduced, s);
	if (!pass->release_suite || !pv_survey_in_base(pass->survey, name) || has_name(pass->base, name))
		return 0;
	if (from_stanza(s, pass->index, &p, pass->err) < 0)
		return -1;
	packages_add(pass->base, &p);
	fputs("Status: install ok installed\n", pass->status);
	pv_aptree_print(pass->status, s);
	return 0;
}

/* The base to `base` and to the status file, and to each reduced index what any solver could choose: apt reads some
 * thousand stanzas then and not 60 000. */
static int take_base_all(const struct pv_resolve_request *req, const struct pv_survey *survey,
			 const struct pv_strv *reduced, const char *status_path, struct packages *base,
			 struct pv_error *err)
{
	pv_autofclose FILE *status = fopen(status_path, "we");

	if (!status)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot make", status_path);
	for (size_t i = 0; i < req->nindexes; i++) {
		pv_autofclose FILE *out = fopen(reduced->v[i], "we");
		struct pass pass = {
			.index = &req->indexes[i], .arch = req->arch, .err = err, .survey = survey,
			.release_suite = pv_streq(req->indexes[i].suite, req->indexes[0].suite),
			.base = base, .status = status, .reduced = out,
		};

		if (!out)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot make", reduced->v[i]);
		if (pv_deb822_each_file(req->indexes[i].packages_path, take_base, &pass, err) < 0)
			return -1;
		if (fflush(out) != 0 || ferror(out))
			return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot write", reduced->v[i]);
	}
	if (fflush(status) != 0 || ferror(status))
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot write", status_path);
	packages_sort(base);
	return 0;
}

static int take_chosen(void *ctx, const struct pv_stanza *s)
{
	struct pass *pass = ctx;
	struct pv_package p = { 0 };
	ptrdiff_t at;

	if (!is_ours(pass, s))
		return 0;
	at = pv_apt_change_find(pass->changes, pass->nchanges, pv_stanza_get(s, "Package"));
	if (at < 0 || pass->filled[at] ||
	    !pv_streq(pass->changes[at].version, pv_stanza_get(s, "Version")))
		return 0;
	if (from_stanza(s, pass->index, &p, pass->err) < 0)
		return -1;
	pass->filled[at] = true;
	packages_add(pass->chosen, &p);
	return 0;
}

/* The packages of the transaction, from the reduced indexes. */
static int take_chosen_all(const struct pv_resolve_request *req, const struct pv_strv *reduced,
			   const struct pv_apt_change *changes, size_t n, struct packages *ret,
			   struct pv_error *err)
{
	pv_autofree bool *filled = pv_xcalloc(n + 1, sizeof(bool));

	for (size_t i = 0; i < req->nindexes; i++) {
		struct pass pass = {
			.index = &req->indexes[i], .arch = req->arch, .err = err, .changes = changes,
			.nchanges = n, .filled = filled, .chosen = ret,
		};

		if (pv_deb822_each_file(reduced->v[i], take_chosen, &pass, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < n; i++)
		if (changes[i].version && !filled[i])
			return pv_error_set(err, PV_ERR_ARCHIVE, "apt chose %s %s, which no index has",
					    changes[i].name, changes[i].version);
	return 0;
}

struct pv_package pv_package_copy(const struct pv_package *p)
{
	struct pv_package copy = *p;

	copy.name = pv_xstrdup(p->name);
	copy.version = pv_xstrdup(p->version);
	copy.arch = pv_xstrdup(p->arch);
	copy.filename = pv_xstrdup(p->filename);
	copy.base_url = pv_xstrdup(p->base_url);
	copy.suite = pv_xstrdup(p->suite);
	copy.priority = pv_xstrdup(p->priority);
	return copy;
}

/* What is there in the end: the transaction's, and of the base what it neither replaces nor removes. */
static void add_kept_base(const struct packages *base, const struct pv_apt_change *changes, size_t n,
			  struct packages *final)
{
	for (size_t i = 0; i < base->n; i++) {
		struct pv_package copy;

		if (pv_apt_change_find(changes, n, base->v[i].name) >= 0)
			continue;
		copy = pv_package_copy(&base->v[i]);
		packages_add(final, &copy);
	}
}

static int add_name(void *ctx, const struct pv_stanza *s)
{
	const char *name = pv_stanza_get(s, "Package");

	if (name)
		pv_strv_add(ctx, name);
	return 0;
}

static int no_such_packages(const struct pv_resolve_request *req, const struct pv_strv *missing,
			    struct pv_error *err)
{
	pv_autostrv all = PV_STRV_INIT, suites = PV_STRV_INIT;
	pv_autostr text = PV_STR_INIT;
	pv_autofree char *where = NULL;

	for (size_t i = 0; i < req->nindexes; i++) {
		if (!pv_strv_has(&suites, req->indexes[i].suite))
			pv_strv_add(&suites, req->indexes[i].suite);
		if (pv_deb822_each_file(req->indexes[i].packages_path, add_name, &all, err) < 0)
			return -1;
	}
	where = pv_strv_join(&suites, ", ");
	for (size_t i = 0; i < missing->n; i++) {
		const char *nearest = pv_nearest(missing->v[i], (const char *const *)all.v);

		pv_str_addf(&text, "%spackage %s: not in %s", i > 0 ? "; " : "", missing->v[i], where);
		if (nearest)
			pv_str_addf(&text, " (nearest: %s)", nearest);
	}
	return pv_error_set(err, PV_ERR_RECIPE, "%s", pv_str_text(&text));
}

/* Sorted, no repeats, nothing that apt could take for an option or a pattern. */
static int check_names(const struct pv_strv *names, struct pv_strv *ret, struct pv_error *err)
{
	for (size_t i = 0; i < names->n; i++) {
		if (!pv_package_name_ok(names->v[i])) {
			pv_autofree char *shown = pv_printable(names->v[i], strlen(names->v[i]));

			return pv_error_set(err, PV_ERR_RECIPE, "\"%.200s\" is no package name", shown);
		}
		pv_strv_add(ret, names->v[i]);
	}
	pv_strv_sort(ret);
	pv_strv_uniq(ret);
	return 0;
}

static int check_found(const struct pv_resolve_request *req, const struct pv_strv *names,
		       const struct pv_survey *survey, struct pv_error *err)
{
	pv_autostrv missing = PV_STRV_INIT;

	for (size_t i = 0; i < names->n; i++)
		if (!survey->found[i])
			pv_strv_add(&missing, names->v[i]);
	return missing.n == 0 ? 0 : no_such_packages(req, &missing, err);
}

/* Where the reduced indexes go: work_dir/reduced.N. */
static int reduced_paths(const struct pv_resolve_request *req, struct pv_strv *ret, struct pv_error *err)
{
	for (size_t i = 0; i < req->nindexes; i++)
		pv_strv_addf(ret, "%s/reduced.%zu", req->work_dir, i);
	return pv_mkdirs(req->work_dir, 0755, err);
}

/* dist-upgrade installs what is essential, and apt takes itself for that. */
static const char nothing_essential[] =
	"pkgCacheGen::Essential \"none\";\n"
	"pkgCacheGen::ForceEssential \"\";\n";

static int make_apt(const struct pv_resolve_request *req, const struct pv_strv *reduced, const char *dir,
		    struct pv_error *err)
{
	pv_autofree struct pv_aptree_index *indexes = pv_xcalloc(req->nindexes, sizeof(*indexes));
	const struct pv_aptree_apt apt = {
		/* The archive's own place does not matter here: nothing of it is opened. */
		.dir = dir, .seen_dir = ".", .archive_dir = "/pvimg/archive", .arch = req->arch,
		.private_state = true, .extra_conf = req->no_base ? nothing_essential : NULL,
	};

	for (size_t i = 0; i < req->nindexes; i++) {
		indexes[i] = req->indexes[i];
		indexes[i].packages_path = reduced->v[i];
	}
	return pv_aptree_apt(&apt, indexes, req->nindexes, err);
}

int pv_resolve(const struct pv_resolve_request *req, struct pv_resolution *ret, struct pv_error *err)
{
	pv_autostrv names = PV_STRV_INIT, reduced = PV_STRV_INIT;
	pv_autosurvey survey = { 0 };
	pv_autochanges changes = { 0 };
	autopackages base = { 0 };
	autopackages final = { 0 };
	pv_autofree char *dir = pv_path_join(req->work_dir, "apt");
	pv_autofree char *status = pv_path_join(dir, "status");

	if (req->nindexes == 0)
		return pv_error_set(err, PV_ERR_ARCHIVE, "no index to resolve packages from");
	if (check_names(req->names, &names, err) < 0 ||
	    pv_survey(req->indexes, req->nindexes, &names, req->base_names, &survey, err) < 0 ||
	    check_found(req, &names, &survey, err) < 0)
		return -1;
	if (req->no_base)
		survey.nbase = 0;
	if (reduced_paths(req, &reduced, err) < 0 ||
	    pv_mkdirs(dir, 0755, err) < 0 ||
	    take_base_all(req, &survey, &reduced, status, &base, err) < 0 ||
	    make_apt(req, &reduced, dir, err) < 0 || pv_apt_simulate(dir, &names, &changes, err) < 0 ||
	    take_chosen_all(req, &reduced, changes.v, changes.n, &final, err) < 0)
		return -1;
	add_kept_base(&base, changes.v, changes.n, &final);
	packages_sort(&final);
	for (size_t i = 0; i < final.n; i++)
		final.v[i].requested = pv_survey_find(&names, final.v[i].name) >= 0;
	for (size_t i = 0; i < base.n; i++)
		base.v[i].requested = pv_survey_find(&names, base.v[i].name) >= 0;
	*ret = (struct pv_resolution){
		.packages = final.v, .npackages = final.n, .base = base.v, .nbase = base.n,
	};
	final = base = (struct packages){ 0 };
	return 0;
}
