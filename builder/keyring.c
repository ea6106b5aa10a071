/* SPDX-License-Identifier: Apache-2.0 */
/* Finds an archive's keyring, and where the host has none, takes it from the mirror against pinned fingerprints. */
#include "keyring.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "debfile.h"
#include "fsutil.h"
#include "gpg.h"
#include "pkgindex.h"
#include "release.h"
#include "url.h"

void pv_keyring_done(struct pv_keyring *k)
{
	free(k->path);
	free(k->from);
	free(k->package);
	pv_strv_done(&k->pins);
	*k = (struct pv_keyring){ 0 };
}

static bool has_pins(const struct pv_keyring_request *req)
{
	return req->trusted_keys && req->trusted_keys->n > 0;
}

static char *made_path(const struct pv_keyring_request *req)
{
	return pv_fmt("%s/archive-keyring.gpg", req->work_dir);
}

/* An OpenPGP packet's first octet has its top bit set (RFC 9580, 4.2); armor is text, and a keybox begins with a small
 * big-endian length. */
static bool is_binary(const char *data, size_t len)
{
	return len > 0 && ((unsigned char)data[0] & 0x80) != 0;
}

static int absolute_path(const char *path, char **ret, struct pv_error *err)
{
	char *full = realpath(path, NULL);

	if (!full)
		return pv_error_errno(err, PV_ERR_HOST, errno, "keyring %s", path);
	*ret = full;
	return 0;
}

/* A file that is there: used as it is when gpgv can read it so and nothing restricts it. */
static int from_file(const struct pv_keyring_request *req, const char *path, struct pv_keyring *k,
		     struct pv_error *err)
{
	pv_autofree char *data = NULL;
	size_t len;

	k->from = pv_xstrdup(path);
	if (pv_read_file(path, PV_KEYRING_MAX, &data, &len, err) < 0) {
		pv_error_wrap(err, "keyring");
		if (err)
			err->kind = PV_ERR_HOST;
		return -1;
	}
	if (is_binary(data, len) && !has_pins(req))
		return absolute_path(path, &k->path, err);
	k->path = made_path(req);
	if (pv_gpg_keyring_make(data, len, req->trusted_keys, req->work_dir, k->path, err) < 0)
		return pv_error_wrap(err, "keyring %s", path);
	return 0;
}

/* The index of an archive that nobody has vouched for yet. Only its shape is checked. */
static int unverified_index(const struct pv_keyring_request *req, char **ret_path, struct pv_error *err)
{
	pv_autofree char *path = pv_fmt("dists/%s/InRelease", req->suite->codename);
	pv_autofree char *url = pv_url_join(req->mirror, path);
	pv_autostr inrelease = PV_STR_INIT, text = PV_STR_INIT;
	pv_autorelease release = { 0 };
	struct pv_pkgindex_want want = {
		.base_url = req->mirror, .suite = req->suite->codename, .component = req->component,
		.arch = req->arch, .release = &release,
	};

	if (pv_fetch_mem(req->fetch, url, PV_RELEASE_MAX, &inrelease, err) < 0)
		return -1;
	if (pv_gpg_unverified_text(pv_str_text(&inrelease), inrelease.len, &text, err) < 0 ||
	    pv_release_parse(pv_str_text(&text), text.len, &release, err) < 0) {
		pv_autofree char *shown = pv_url_redacted(url);

		return pv_error_wrap(err, "%s", shown);
	}
	if (pv_pkgindex_get(&want, 1, req->store, req->fetch, NULL, NULL, err) < 0) {
		free(want.path);
		return -1;
	}
	*ret_path = want.path;
	return 0;
}

static int fetch_package(const struct pv_keyring_request *req, struct pv_keyring *k, char **ret_path,
			 struct pv_error *err)
{
	__attribute__((cleanup(pv_pkgindex_entry_done))) struct pv_pkgindex_entry entry = { 0 };
	pv_autofree char *index = NULL;
	struct pv_fetch_item item = { .base_url = req->mirror };

	if (unverified_index(req, &index, err) < 0 ||
	    pv_pkgindex_find(index, req->suite->keyring_package, &entry, err) < 0)
		return -1;
	if (entry.size > PV_KEYRING_DEB_MAX)
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s is said to have %llu bytes, more than a keyring has",
				    entry.filename, (unsigned long long)entry.size);
	item.path = entry.filename;
	item.size = entry.size;
	memcpy(item.sha256, entry.sha256, PV_SHA256_HEX);
	if (pv_fetch_all(req->fetch, &item, 1, NULL, NULL, err) < 0)
		return -1;
	k->package = pv_xstrdup(req->suite->keyring_package);
	k->from = pv_xstrdup(req->suite->keyring_package);
	memcpy(k->sha256, entry.sha256, PV_SHA256_HEX);
	k->size = entry.size;
	*ret_path = pv_store_path(req->store, entry.sha256);
	return 0;
}

static int from_package(const struct pv_keyring_request *req, struct pv_keyring *k, struct pv_error *err)
{
	pv_autofree char *deb = NULL;
	pv_autostr keys = PV_STR_INIT;

	if (fetch_package(req, k, &deb, err) < 0 ||
	    pv_deb_read_member(deb, req->suite->keyring_member, PV_KEYRING_MAX, &keys, err) < 0)
		return pv_error_wrap(err, "taking %s from the mirror", req->suite->keyring_package);
	k->path = made_path(req);
	if (pv_gpg_keyring_make(pv_str_text(&keys), keys.len, req->trusted_keys, req->work_dir, k->path, err) < 0)
		return pv_error_wrap(err, "package %s", req->suite->keyring_package);
	return 0;
}

static int find(const struct pv_keyring_request *req, struct pv_keyring *k, struct pv_error *err)
{
	const char *host = req->host_path ? req->host_path : req->suite->keyring_host_path;

	if (req->option) {
		k->source = PV_KEYRING_OPTION;
		return from_file(req, req->option, k, err);
	}
	if (host && *host && access(host, R_OK) == 0) {
		k->source = PV_KEYRING_HOST;
		return from_file(req, host, k, err);
	}
	if (has_pins(req)) {
		k->source = PV_KEYRING_PACKAGE;
		return from_package(req, k, err);
	}
	return pv_error_set(err, PV_ERR_HOST,
			    "no keyring for %s on this host: install %s, give --keyring, or name trusted-keys "
			    "in the recipe", req->suite->origin, req->suite->keyring_package);
}

int pv_keyring_find(const struct pv_keyring_request *req, struct pv_keyring *ret, struct pv_error *err)
{
	pv_autokeyring k = { 0 };

	if (find(req, &k, err) < 0)
		return -1;
	for (size_t i = 0; has_pins(req) && i < req->trusted_keys->n; i++)
		pv_strv_add(&k.pins, req->trusted_keys->v[i]);
	*ret = k;
	k = (struct pv_keyring){ 0 };
	return 0;
}

int pv_keyring_confirm(const struct pv_keyring *k, const char *packages_path, struct pv_error *err)
{
	int rc;

	if (k->source != PV_KEYRING_PACKAGE)
		return 0;
	rc = pv_pkgindex_holds(packages_path, k->package, k->sha256, k->size, err);
	if (rc < 0)
		return -1;
	if (rc == 0)
		return pv_error_set(err, PV_ERR_ARCHIVE,
				    "the mirror's package %s is not the one in the signed index: the mirror is "
				    "not to be trusted; take another with --mirror", k->package);
	return 0;
}
