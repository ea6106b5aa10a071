/* SPDX-License-Identifier: Apache-2.0 */
/* Opens an archive: keyring, signed Release of each suite, checked Packages of each component. */
#include "archive.h"

#include <stdlib.h>
#include <string.h>

#include "freshness.h"
#include "fsutil.h"
#include "gpg.h"
#include "keyring.h"
#include "pkgindex.h"
#include "release.h"
#include "url.h"

#define SUITES_MAX 3

/* One suite on its way. */
struct pocket {
	const char *base_url, *suite;
	const char *hint;		/* the way out when it is not there; NULL: another mirror */
	char *inrelease_path, *release_path;
	char *record;			/* name of the origin in the freshness records */
	char sha256[PV_SHA256_HEX];	/* of the signed text */
	struct pv_release release;
};

struct opening {
	const struct pv_archive_request *req;
	struct pv_store *store;
	struct pv_fetch *fetch;
	pv_fetch_progress_fn *progress;
	void *ctx;
	struct pv_strv components;
	struct pv_keyring keyring;
	struct pocket pockets[SUITES_MAX];
	size_t n;
	struct pv_archive *archive;
};

void pv_archive_free(struct pv_archive *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < a->n; i++) {
		struct pv_archive_index *x = &a->indexes[i];

		free(x->base_url);
		free(x->suite);
		free(x->component);
		free(x->inrelease_path);
		free(x->release_path);
		free(x->packages_path);
	}
	free(a->indexes);
	for (size_t i = 0; i < a->nsuites; i++)
		free(a->suites[i].name);
	free(a->suites);
	free(a->keyring_path);
	free(a->keyring_from);
	pv_strv_done(&a->signed_by);
	free(a->origin);
	free(a->label);
	free(a->codename);
	free(a->version);
	free(a);
}

void pv_archive_freep(struct pv_archive **a)
{
	pv_archive_free(*a);
	*a = NULL;
}

static void close_opening(struct opening *o)
{
	for (size_t i = 0; i < o->n; i++) {
		free(o->pockets[i].inrelease_path);
		free(o->pockets[i].release_path);
		free(o->pockets[i].record);
		pv_release_done(&o->pockets[i].release);
	}
	pv_strv_done(&o->components);
	pv_keyring_done(&o->keyring);
	pv_archive_free(o->archive);
}

char *pv_archive_security_url(const struct pv_suite *suite, const char *mirror)
{
	size_t end = strlen(mirror), name = strlen(suite->distribution);

	while (end > 0 && mirror[end - 1] == '/')
		end--;
	if (!suite->security_sibling)
		return pv_xstrndup(mirror, end);
	if (end <= name || mirror[end - name - 1] != '/' ||
	    memcmp(mirror + end - name, suite->distribution, name) != 0)
		return NULL;
	return pv_fmt("%.*s%s", (int)(end - name), mirror, suite->security_sibling);
}

/* -- one suite -- */

static int fetch_inrelease(const struct opening *o, const struct pocket *p, struct pv_str *ret,
			   struct pv_error *err)
{
	pv_autofree char *path = pv_fmt("dists/%s/InRelease", p->suite);
	pv_autofree char *url = pv_url_join(p->base_url, path);

	if (pv_fetch_mem(o->fetch, url, PV_RELEASE_MAX, ret, err) == 0)
		return 0;
	return p->hint ? pv_error_wrap(err, "suite %s (%s)", p->suite, p->hint) :
			 pv_error_wrap(err, "suite %s", p->suite);
}

static int verify(struct opening *o, struct pocket *p, const struct pv_str *inrelease, struct pv_str *ret_text,
		  struct pv_error *err)
{
	const struct pv_archive_request *req = o->req;
	const struct pv_release_expect expect = {
		.origin = req->suite->origin, .codename = req->suite->codename, .suite = p->suite,
		.components = &o->components, .arch = req->arch,
	};
	char *signer;

	if (pv_gpg_verify_inline(pv_str_text(inrelease), inrelease->len, o->keyring.path, &o->keyring.pins,
				 ret_text, &signer, err) < 0)
		return -1;
	pv_strv_take(&o->archive->signed_by, signer);
	if (pv_release_parse(pv_str_text(ret_text), ret_text->len, &p->release, err) < 0 ||
	    pv_release_check(&p->release, &expect, req->now, req->allow_older, err) < 0)
		return -1;
	p->record = pv_fmt("%s%s", p->release.origin, p->release.stand_in ? "-stand-in" : "");
	return pv_freshness_check(req->cache_dir, p->record, p->suite, p->release.date, req->allow_older, err);
}

static int open_pocket(struct opening *o, struct pocket *p, struct pv_error *err)
{
	pv_autostr inrelease = PV_STR_INIT, text = PV_STR_INIT;

	if (fetch_inrelease(o, p, &inrelease, err) < 0)
		return -1;
	if (verify(o, p, &inrelease, &text, err) < 0) {
		pv_autofree char *shown = pv_url_redacted(p->base_url);

		return pv_error_wrap(err, "%s: dists/%s/InRelease", shown, p->suite);
	}
	pv_digest_mem(pv_str_text(&text), text.len, p->sha256);
	p->inrelease_path = pv_fmt("%s/%s.InRelease", o->req->work_dir, p->suite);
	p->release_path = pv_fmt("%s/%s.Release", o->req->work_dir, p->suite);
	if (pv_write_file(p->inrelease_path, inrelease.data, inrelease.len, 0644, err) < 0)
		return -1;
	return pv_write_file(p->release_path, text.data, text.len, 0644, err);
}

/* -- all of them -- */

static void add_pocket(struct opening *o, const char *base_url, const char *suite, const char *hint)
{
	o->pockets[o->n++] = (struct pocket){ .base_url = base_url, .suite = suite, .hint = hint };
}

static int list_pockets(struct opening *o, struct pv_error *err)
{
	const struct pv_archive_request *req = o->req;
	const struct pv_suite *s = req->suite;

	if (req->components && req->components->n > 0)
		pv_strv_add_all(&o->components, (const char *const *)req->components->v);
	else
		pv_strv_add_all(&o->components, s->components);
	for (size_t i = 0; i < o->components.n; i++)
		if (!pv_url_path_ok(o->components.v[i]))
			return pv_error_set(err, PV_ERR_RECIPE, "component %s: not a component's name",
					    o->components.v[i]);
	add_pocket(o, req->mirror, s->codename, NULL);
	if (s->updates)
		add_pocket(o, req->mirror, s->updates, NULL);
	if (s->security && req->security_mirror)
		add_pocket(o, req->security_mirror, s->security,
			   "name its mirror in the recipe, security: URL, or do without, security: none");
	return 0;
}

static int find_keyring(struct opening *o, struct pv_error *err)
{
	const struct pv_archive_request *req = o->req;
	const struct pv_keyring_request k = {
		.suite = req->suite, .option = req->keyring_option, .trusted_keys = req->trusted_keys,
		.host_path = req->keyring_host_path, .mirror = req->mirror, .component = "main",
		.arch = req->arch, .work_dir = req->work_dir, .store = o->store, .fetch = o->fetch,
	};

	if (pv_keyring_find(&k, &o->keyring, err) < 0)
		return -1;
	o->archive->keyring_path = pv_xstrdup(o->keyring.path);
	if (o->keyring.source == PV_KEYRING_PACKAGE)
		o->archive->keyring_from = pv_fmt("package %s, pinned keys", o->keyring.package);
	else
		o->archive->keyring_from = pv_xstrdup(o->keyring.from);
	return 0;
}

/* The package that the keys came from must be in the index that they signed. */
static int confirm_keyring(struct opening *o, struct pv_error *err)
{
	struct pv_pkgindex_want want = {
		.base_url = o->req->mirror, .suite = o->req->suite->codename, .component = "main",
		.arch = o->req->arch, .release = &o->pockets[0].release,
	};
	int rc;

	if (o->keyring.source != PV_KEYRING_PACKAGE)
		return 0;
	rc = pv_pkgindex_get(&want, 1, o->store, o->fetch, NULL, NULL, err);
	if (rc == 0)
		rc = pv_keyring_confirm(&o->keyring, want.path, err);
	free(want.path);
	return rc;
}

static void take_index(struct pv_archive_index *x, const struct pocket *p, const struct pv_pkgindex_want *w)
{
	pv_autofree char *name = pv_fmt("%s/binary-%s/Packages", w->component, w->arch);
	const struct pv_release_entry *e = pv_release_find(&p->release, name);
	size_t len = strlen(p->base_url);

	while (len > 0 && p->base_url[len - 1] == '/')
		len--;
	x->base_url = pv_xstrndup(p->base_url, len);
	x->suite = pv_xstrdup(p->suite);
	x->component = pv_xstrdup(w->component);
	x->inrelease_path = pv_xstrdup(p->inrelease_path);
	x->release_path = pv_xstrdup(p->release_path);
	x->packages_path = pv_xstrdup(w->path);
	x->packages_size = e->size;
	memcpy(x->packages_sha256, e->sha256, PV_SHA256_HEX);
}

static int get_indexes(struct opening *o, struct pv_error *err)
{
	size_t n = o->n * o->components.n;
	pv_autofree struct pv_pkgindex_want *wants = pv_xcalloc(n + 1, sizeof(*wants));
	struct pv_archive *a = o->archive;
	int rc;

	for (size_t i = 0; i < n; i++) {
		const struct pocket *p = &o->pockets[i / o->components.n];

		wants[i] = (struct pv_pkgindex_want){
			.base_url = p->base_url, .suite = p->suite,
			.component = o->components.v[i % o->components.n], .arch = o->req->arch,
			.release = &p->release,
		};
	}
	rc = pv_pkgindex_get(wants, n, o->store, o->fetch, o->progress, o->ctx, err);
	if (rc == 0) {
		a->indexes = pv_xcalloc(n + 1, sizeof(*a->indexes));
		for (; a->n < n; a->n++)
			take_index(&a->indexes[a->n], &o->pockets[a->n / o->components.n], &wants[a->n]);
	}
	for (size_t i = 0; i < n; i++)
		free(wants[i].path);
	return rc;
}

static void describe(struct opening *o)
{
	const struct pv_release *main_release = &o->pockets[0].release;
	struct pv_archive *a = o->archive;

	a->origin = pv_xstrdup(main_release->origin);
	a->label = pv_xstrdup(main_release->label);
	a->codename = pv_xstrdup(main_release->codename);
	a->version = pv_xstrdup(main_release->version);
	a->suites = pv_xcalloc(o->n, sizeof(*a->suites));
	for (size_t i = 0; i < o->n; i++) {
		const struct pv_release *r = &o->pockets[i].release;
		struct pv_archive_suite *suite = &a->suites[a->nsuites++];

		suite->name = pv_xstrdup(o->pockets[i].suite);
		suite->date = r->date;
		memcpy(suite->release_sha256, o->pockets[i].sha256, sizeof(suite->release_sha256));
		if (r->date > a->newest_date)
			a->newest_date = r->date;
		a->stand_in = a->stand_in || r->stand_in;
	}
	pv_strv_sort(&a->signed_by);
	pv_strv_uniq(&a->signed_by);
}

static int remember(const struct opening *o, struct pv_error *err)
{
	for (size_t i = 0; i < o->n; i++) {
		const struct pocket *p = &o->pockets[i];

		if (pv_freshness_update(o->req->cache_dir, p->record, p->suite, p->release.date, err) < 0)
			return -1;
	}
	return 0;
}

int pv_archive_open(const struct pv_archive_request *req, struct pv_store *store, struct pv_fetch *fetch,
		    pv_fetch_progress_fn *progress, void *ctx, struct pv_archive **ret, struct pv_error *err)
{
	__attribute__((cleanup(close_opening))) struct opening o = {
		.req = req, .store = store, .fetch = fetch, .progress = progress, .ctx = ctx,
		.archive = pv_xcalloc(1, sizeof(*o.archive)),
	};

	if (list_pockets(&o, err) < 0 || find_keyring(&o, err) < 0)
		return -1;
	for (size_t i = 0; i < o.n; i++)
		if (open_pocket(&o, &o.pockets[i], err) < 0)
			return -1;
	if (confirm_keyring(&o, err) < 0 || get_indexes(&o, err) < 0)
		return -1;
	describe(&o);
	if (remember(&o, err) < 0)
		return -1;
	*ret = o.archive;
	o.archive = NULL;
	return 0;
}
