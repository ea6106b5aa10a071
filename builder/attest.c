/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the files that go with an image, and checks them. */
#include "attest.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chunks.h"
#include "fsutil.h"
#include "lockfile.h"
#include "provenance.h"
#include "sbom.h"
#include "sums.h"

#define RECORD_MAX ((size_t)64 << 20)

static void decrefp(json_t **j)
{
	json_decref(*j);
}
#define autojson __attribute__((cleanup(decrefp))) json_t

static const char *word(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* *ret: NULL and 0 when there is no such file. ret_sha256 may be NULL. */
static int read_json(const char *dir, const char *file, json_t **ret, char ret_sha256[PV_SHA256_HEX], struct pv_error *err)
{
	pv_autofree char *path = pv_path_join(dir, file), *text = NULL;
	json_error_t why;
	size_t len;

	*ret = NULL;
	if (!pv_exists(path))
		return 0;
	if (pv_sums_read(dir, file, RECORD_MAX, &text, &len, err) < 0)
		return -1;
	*ret = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	if (!*ret) {
		pv_autofree char *words = pv_printable(why.text, strlen(why.text));
		return pv_error_set(err, PV_ERR_STAGE, "%s:%d: %s; make it anew", path, why.line, words);
	}
	if (ret_sha256)
		pv_digest_mem(text, len, ret_sha256);
	return 0;
}

static int read_manifest(const char *dir, json_t **ret, char ret_sha256[PV_SHA256_HEX], struct pv_error *err)
{
	pv_autofree char *path = pv_path_join(dir, "manifest.json");
	autojson *manifest = NULL;

	if (read_json(dir, "manifest.json", &manifest, ret_sha256, err) < 0)
		return -1;
	if (!manifest)
		return pv_error_set(err, PV_ERR_STAGE, "%s: is not there; an image and its manifest are wanted, as a build "
				    "makes them", path);
	if (pv_sbom_check_manifest(path, manifest, err) < 0)
		return -1;
	if (!pv_sums_name_ok(word(manifest, "name")))
		return pv_error_set(err, PV_ERR_STAGE, "%s: a strange name; build the image anew", path);
	*ret = pv_steal(&manifest);
	return 0;
}

int pv_attest_name(const char *dir, char **ret, struct pv_error *err)
{
	char sha256[PV_SHA256_HEX];
	autojson *manifest = NULL;

	if (read_manifest(dir, &manifest, sha256, err) < 0)
		return -1;
	*ret = pv_xstrdup(word(manifest, "name"));
	return 0;
}

/* --- making --- */

/* The report's digest of the disk is one of its chunks. *ret_recipe: what the report of this very disk says; else NULL. */
static int check_report(const char *dir, const char *image, json_t **ret_recipe, struct pv_error *err)
{
	pv_autofree char *path = pv_path_join(dir, image);
	pv_autochunks chunks = { 0 };
	char digest[PV_SHA256_HEX];
	autojson *report = NULL;
	const json_t *a;
	size_t i;

	*ret_recipe = NULL;
	if (read_json(dir, "report.json", &report, NULL, err) < 0)
		return -1;
	json_array_foreach(json_object_get(report, "artifacts"), i, a) {
		const char *said = word(a, "chunks_sha256");
		if (!pv_streq(word(a, "file"), image) || !*said)
			continue;
		if (pv_chunks_file(path, &chunks, err) < 0)
			return -1;
		pv_chunks_digest(&chunks, digest);
		if (!pv_streq(said, digest))
			return pv_error_set(err, PV_ERR_DIFFERS, "%s: report.json beside it is of another image, or the image "
					    "was changed since; build it anew", path);
		*ret_recipe = json_incref(json_object_get(report, "recipe"));
		return 0;
	}
	return 0;
}

static int check_verdict(const char *dir, const json_t *verdict, const char *sha256, struct pv_error *err)
{
	if (!verdict || (pv_streq(word(verdict, "schema"), "pvimg.verdict/1") &&
			 pv_streq(word(verdict, "image_sha256"), sha256)))
		return 0;
	return pv_error_set(err, PV_ERR_DIFFERS, "%s/verdict.json: is of another image; pvimg verify makes one of this", dir);
}

/* Whether each package of the manifest is in the lock, the same to the byte, and no other. */
static bool lock_fits(const struct pv_lockfile *lock, const json_t *manifest)
{
	const json_t *packages = json_object_get(manifest, "packages"), *p;
	size_t i;

	if (json_array_size(packages) != lock->npackages || !pv_streq(lock->recipe, word(manifest, "name")))
		return false;
	json_array_foreach(packages, i, p)
		if (!pv_streq(word(p, "name"), lock->packages[i].package.name) ||
		    !pv_streq(word(p, "sha256"), lock->packages[i].package.sha256))
			return false;
	return true;
}

/* False: none, or none of this image. */
static bool lock_digest(const char *path, const json_t *manifest, char ret[PV_SHA256_HEX])
{
	pv_autofree char *text = NULL;
	pv_autolockfile lock = { 0 };
	size_t len;

	if (!path || pv_read_file(path, PV_LOCKFILE_MAX, &text, &len, NULL) < 0 ||
	    pv_lockfile_parse(path, text, len, &lock, NULL) < 0 || !lock_fits(&lock, manifest))
		return false;
	pv_digest_mem(text, len, ret);
	return true;
}

static int write_text(const char *dir, const char *file, const char *text, struct pv_error *err)
{
	pv_autofree char *path = pv_path_join(dir, file);

	return pv_write_file(path, text, strlen(text), 0644, err);
}

static int forget(const char *dir, const char *file, struct pv_error *err)
{
	pv_autofree char *path = pv_path_join(dir, file);

	return unlink(path) < 0 && errno != ENOENT ? pv_error_errno(err, PV_ERR_STAGE, errno, "%s", path) : 0;
}

static int write_documents(const char *dir, const struct pv_provenance *p, struct pv_error *err)
{
	pv_autofree char *spdx = pv_sbom_spdx(p->manifest, p->image_sha256), *provenance = pv_provenance_text(p);
	pv_autofree char *cyclonedx = pv_sbom_cyclonedx(p->manifest, p->image_sha256);

	/* a sum that is no longer true goes first */
	if (forget(dir, PV_SUMS_GPG, err) < 0 || forget(dir, PV_SUMS_SSH, err) < 0 || forget(dir, PV_SUMS_FILE, err) < 0)
		return -1;
	return write_text(dir, PV_ATTEST_SPDX, spdx, err) < 0 || write_text(dir, PV_ATTEST_CYCLONEDX, cyclonedx, err) < 0
		       ? -1 : write_text(dir, PV_ATTEST_PROVENANCE, provenance, err);
}

/* known: the image, hashed just now. */
static int write_sums(const char *dir, const struct pv_sum *known, struct pv_error *err)
{
	pv_autosums sums = { NULL, 0 };

	if (pv_sums_make(dir, known, &sums, err) < 0)
		return -1;
	pv_autofree char *text = pv_sums_text(&sums);
	return write_text(dir, PV_SUMS_FILE, text, err);
}

int pv_attest_make(const char *dir, const char *lock, const char *key, bool *ret_verified, struct pv_error *err)
{
	char manifest_sha256[PV_SHA256_HEX], verdict_sha256[PV_SHA256_HEX], lock_sha256[PV_SHA256_HEX];
	autojson *manifest = NULL, *verdict = NULL, *recipe = NULL;
	struct pv_sum known;

	if (read_manifest(dir, &manifest, manifest_sha256, err) < 0 ||
	    read_json(dir, "verdict.json", &verdict, verdict_sha256, err) < 0)
		return -1;
	pv_autofree char *image = pv_fmt("%s.raw", word(manifest, "name"));
	known.name = image;
	if (pv_sums_hash(dir, image, known.sha256, err) < 0 || check_verdict(dir, verdict, known.sha256, err) < 0 ||
	    check_report(dir, image, &recipe, err) < 0)
		return -1;
	struct pv_provenance p = {
		.manifest = manifest, .image_sha256 = known.sha256, .manifest_sha256 = manifest_sha256, .verdict = verdict,
		.verdict_sha256 = verdict_sha256, .lock_sha256 = lock_digest(lock, manifest, lock_sha256) ? lock_sha256 : NULL,
		.recipe = recipe,
	};
	if (write_documents(dir, &p, err) < 0 || write_sums(dir, &known, err) < 0)
		return -1;
	*ret_verified = verdict != NULL;
	return key ? pv_signature_make(dir, key, err) : 0;
}

/* --- checking --- */

static const char *verdict_subject(const json_t *verdict)
{
	return json_string_value(json_object_get(verdict, "image_sha256"));
}

/* The file has to speak of the image with that digest. One that cannot be read is a finding too: somebody signed nonsense. */
static void check_subject(const char *dir, const char *file, const char *image, const struct pv_sums *sums,
			  struct pv_strv *findings)
{
	pv_autoerror ignored = PV_ERROR_INIT;
	autojson *document = NULL;
	const char *subject = NULL;

	if (read_json(dir, file, &document, NULL, &ignored) < 0 || !document) {
		pv_strv_addf(findings, "unreadable %s", file);
		return;
	}
	if (pv_streq(file, PV_ATTEST_SPDX))
		subject = pv_sbom_spdx_subject(document);
	else if (pv_streq(file, PV_ATTEST_CYCLONEDX))
		subject = pv_sbom_cyclonedx_subject(document);
	else if (pv_streq(file, PV_ATTEST_PROVENANCE))
		subject = pv_provenance_subject(document, image);
	else
		subject = verdict_subject(document);
	if (!subject || !pv_streq(subject, pv_sums_find(sums, image)))
		pv_strv_addf(findings, "another image's %s", file);
}

static void check_subjects(const char *dir, const struct pv_sums *sums, struct pv_strv *findings)
{
	static const char *const wanted[] = { PV_ATTEST_SPDX, PV_ATTEST_CYCLONEDX, PV_ATTEST_PROVENANCE, "verdict.json" };
	pv_autoerror ignored = PV_ERROR_INIT;
	pv_autofree char *name = NULL;

	if (!pv_sums_find(sums, "manifest.json")) {
		pv_strv_addf(findings, "not covered manifest.json");
		return;
	}
	if (pv_attest_name(dir, &name, &ignored) < 0) {
		pv_strv_addf(findings, "unreadable manifest.json");
		return;
	}
	pv_autofree char *image = pv_fmt("%s.raw", name);
	if (!pv_sums_find(sums, image)) {
		pv_strv_addf(findings, "not covered %s", image);
		return;
	}
	for (size_t i = 0; i < PV_COUNT(wanted); i++) {
		if (pv_sums_find(sums, wanted[i]))
			check_subject(dir, wanted[i], image, sums, findings);
		else if (!pv_streq(wanted[i], "verdict.json"))	/* an image need not be verified; its provenance says so */
			pv_strv_addf(findings, "not covered %s", wanted[i]);
	}
}

int pv_attest_check(const char *dir, const struct pv_signature_trust *trust, char **ret_signer, size_t *ret_files,
		    struct pv_strv *ret_findings, struct pv_error *err)
{
	pv_autofree char *text = NULL, *signer = NULL;
	pv_autosums sums = { NULL, 0 };
	size_t len;

	if (pv_signature_trust_check(trust, dir, err) < 0)
		return -1;
	if (pv_sums_read(dir, PV_SUMS_FILE, PV_SUMS_MAX, &text, &len, err) < 0) {
		if (err && err->kind == PV_ERR_STAGE)
			err->kind = PV_ERR_ARCHIVE;
		return -1;
	}
	if (pv_signature_verify(dir, text, len, trust, &signer, err) < 0 || pv_sums_parse(text, len, &sums, err) < 0)
		return pv_error_wrap(err, "%s", dir);
	if (pv_sums_compare(dir, &sums, ret_findings, err) < 0)
		return -1;
	/* what the files say counts only when they are those that were signed */
	if (ret_findings->n == 0)
		check_subjects(dir, &sums, ret_findings);
	*ret_signer = pv_steal(&signer);
	*ret_files = sums.n;
	return 0;
}
