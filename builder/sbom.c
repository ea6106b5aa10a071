/* SPDX-License-Identifier: Apache-2.0 */
/* Makes SPDX and CycloneDX documents of a manifest. */
#include "sbom.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "spdx.h"
#include "text.h"
#include "version.h"

static const char *word(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

int pv_sbom_check_manifest(const char *path, const json_t *manifest, struct pv_error *err)
{
	static const char *const image[] = { "name", "distribution", "suite", "architecture", "archive" };
	static const char *const package[] = { "name", "version", "architecture" };
	const json_t *packages = json_object_get(manifest, "packages"), *p;
	size_t i;

	if (!pv_streq(word(manifest, "schema"), "pvimg.manifest/1"))
		return pv_error_set(err, PV_ERR_STAGE, "%s: is no pvimg.manifest/1; build the image anew", path);
	for (size_t k = 0; k < PV_COUNT(image); k++)
		if (!*word(manifest, image[k]))
			return pv_error_set(err, PV_ERR_STAGE, "%s: has no %s; build the image anew", path, image[k]);
	if (!json_is_integer(json_object_get(manifest, "epoch")) || json_array_size(packages) == 0)
		return pv_error_set(err, PV_ERR_STAGE, "%s: has no epoch or no packages; build the image anew", path);
	json_array_foreach(packages, i, p) {
		for (size_t k = 0; k < PV_COUNT(package); k++)
			if (!*word(p, package[k]))
				return pv_error_set(err, PV_ERR_STAGE, "%s: package %zu has no %s; build the image anew",
						    path, i + 1, package[k]);
		if (!pv_digest_valid(word(p, "sha256")))
			return pv_error_set(err, PV_ERR_STAGE, "%s: package %s has no digest; build the image anew", path,
					    word(p, "name"));
	}
	return 0;
}

/* Percent-encoding of purl: unreserved characters of RFC 3986 and the colon stay. */
static void encode(struct pv_str *s, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || strchr("-._~:", c))
			pv_str_addc(s, *text);
		else
			pv_str_addf(s, "%%%02X", c);
	}
}

char *pv_sbom_purl(const char *distribution, const char *name, const char *version, const char *arch, const char *suite)
{
	pv_autostr s = PV_STR_INIT;

	pv_str_add(&s, "pkg:deb/");
	encode(&s, distribution);
	pv_str_addc(&s, '/');
	encode(&s, name);
	pv_str_addc(&s, '@');
	encode(&s, version);
	pv_str_add(&s, "?arch=");
	encode(&s, arch);
	pv_str_add(&s, "&distro=");
	encode(&s, suite);
	return pv_str_steal(&s);
}

char *pv_sbom_time(long long epoch)
{
	char text[40];
	time_t t = (time_t)epoch;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm))
		return pv_xstrdup("1970-01-01T00:00:00Z");
	return pv_xstrdup(text);
}

static char *package_purl(const json_t *manifest, const json_t *p)
{
	return pv_sbom_purl(word(manifest, "distribution"), word(p, "name"), word(p, "version"), word(p, "architecture"),
			    word(manifest, "suite"));
}

/* The source package; its name and version are the binary's where the manifest names none. */
static const char *source(const json_t *p, const char *key, const char *fallback)
{
	return *word(p, key) ? word(p, key) : word(p, fallback);
}

static char *document_id(const json_t *manifest, const char *sha256, const char *purpose)
{
	pv_autofree char *seed = pv_fmt("%s:%lld", sha256, (long long)json_integer_value(json_object_get(manifest, "epoch")));
	uint8_t uuid[16];
	char text[37];

	pv_uuid_derive(seed, purpose, uuid);
	pv_uuid_text(uuid, text);
	return pv_fmt("urn:uuid:%s", text);
}

/* Takes the document. */
static char *text_of(json_t *document)
{
	pv_autofree char *text = json_dumps(document, JSON_INDENT(1) | JSON_SORT_KEYS);

	json_decref(document);
	return pv_fmt("%s\n", text ? text : "{}");
}

static json_t *epoch_json(const json_t *manifest)
{
	pv_autofree char *time = pv_sbom_time(json_integer_value(json_object_get(manifest, "epoch")));

	return json_string(time);
}

/* --- SPDX --- */

/* An id may hold letters, digits, '.' and '-' only; the number keeps "g++" and "g--" apart. */
static char *spdx_id(size_t i, const char *name)
{
	pv_autofree char *clean = pv_xstrdup(name);

	for (char *c = clean; *c; c++)
		if (!((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '.'))
			*c = '-';
	return pv_fmt("SPDXRef-Package-%zu-%s", i + 1, clean);
}

static json_t *spdx_package(const char *id, const char *name, const char *version, const char *sha256)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:b, s:s, s:s, s:s, s:s, s:[{s:s, s:s}]}", "SPDXID", id, "name", name,
			 "versionInfo", version, "downloadLocation", "NOASSERTION", "filesAnalyzed", 0,
			 "licenseConcluded", "NOASSERTION", "licenseDeclared", "NOASSERTION", "copyrightText",
			 "NOASSERTION", "supplier", "NOASSERTION", "checksums", "algorithm", "SHA256", "checksumValue",
			 sha256);
}

/* All that debian/copyright names holds for some file of the package. The expression is there only when each name has its
 * like in SPDX; the names are told as they are in any case. */
static void spdx_licenses(json_t *object, const json_t *p)
{
	const json_t *licenses = json_object_get(p, "licenses");
	pv_autostrv names = PV_STRV_INIT, terms = PV_STRV_INIT;
	size_t known = 0;

	for (size_t i = 0; i < json_array_size(licenses); i++) {
		const char *name = json_string_value(json_array_get(licenses, i));
		bool single;
		pv_autofree char *term = name ? pv_spdx_expression(name, &single) : NULL, *one = NULL;

		if (name)
			pv_strv_add(&names, name);
		if (!term)
			continue;
		one = single ? pv_steal(&term) : pv_fmt("(%s)", term);
		if (!pv_strv_has(&terms, one))		/* BSD-3-clause and BSD-3-Clause are one */
			pv_strv_add(&terms, one);
		known++;
	}
	if (names.n == 0)
		return;
	if (known == names.n) {
		pv_autofree char *expression = pv_strv_join(&terms, " AND ");

		json_object_set_new(object, "licenseDeclared", json_string(expression));
	}
	pv_autofree char *joined = pv_strv_join(&names, ", ");
	pv_autofree char *words = pv_fmt("debian/copyright names: %s", joined);
	json_object_set_new(object, "licenseComments", json_string(words));
}

static json_t *relationship(const char *from, const char *type, const char *to)
{
	return json_pack("{s:s, s:s, s:s}", "spdxElementId", from, "relationshipType", type, "relatedSpdxElement", to);
}

char *pv_sbom_spdx(const json_t *manifest, const char image_sha256[PV_SHA256_HEX])
{
	pv_autofree char *id = document_id(manifest, image_sha256, "spdx"), *created = NULL;
	const json_t *list = json_object_get(manifest, "packages"), *p;
	json_t *packages = json_array(), *relations = json_array(), *image;
	size_t i;

	created = pv_sbom_time(json_integer_value(json_object_get(manifest, "epoch")));
	image = spdx_package("SPDXRef-Image", word(manifest, "name"), created, image_sha256);
	json_object_set_new(image, "primaryPackagePurpose", json_string("OPERATING_SYSTEM"));
	json_array_append_new(packages, image);
	json_array_append_new(relations, relationship("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-Image"));
	json_array_foreach(list, i, p) {
		pv_autofree char *ref = spdx_id(i, word(p, "name")), *purl = package_purl(manifest, p);
		pv_autofree char *from = pv_fmt("built from source package %s %s", source(p, "source", "name"),
						source(p, "source_version", "version"));
		json_t *object = spdx_package(ref, word(p, "name"), word(p, "version"), word(p, "sha256"));
		json_object_set_new(object, "sourceInfo", json_string(from));
		json_object_set_new(object, "externalRefs",
				    json_pack("[{s:s, s:s, s:s}]", "referenceCategory", "PACKAGE-MANAGER", "referenceType",
					      "purl", "referenceLocator", purl));
		spdx_licenses(object, p);
		json_array_append_new(packages, object);
		json_array_append_new(relations, relationship("SPDXRef-Image", "CONTAINS", ref));
	}
	return text_of(json_pack("{s:s, s:s, s:s, s:s, s:s, s:{s:o, s:[s]}, s:o, s:o}", "spdxVersion", "SPDX-2.3",
				 "dataLicense", "CC0-1.0", "SPDXID", "SPDXRef-DOCUMENT", "name", word(manifest, "name"),
				 "documentNamespace", id, "creationInfo", "created", epoch_json(manifest), "creators",
				 "Tool: pvimg-" PV_VERSION, "packages", packages, "relationships", relations));
}

const char *pv_sbom_spdx_subject(const json_t *document)
{
	const json_t *p;
	size_t i;

	json_array_foreach(json_object_get(document, "packages"), i, p)
		if (pv_streq(word(p, "SPDXID"), "SPDXRef-Image"))
			return json_string_value(
				json_object_get(json_array_get(json_object_get(p, "checksums"), 0), "checksumValue"));
	return NULL;
}

/* --- CycloneDX --- */

static json_t *sha256_json(const char *hex)
{
	return json_pack("[{s:s, s:s}]", "alg", "SHA-256", "content", hex);
}

/* One identifier of SPDX, else the name as it is: an expression may only stand there alone. Each once. */
static void add_cyclonedx_license(json_t *list, const char *name)
{
	bool single;
	pv_autofree char *id = pv_spdx_expression(name, &single);
	json_t *license = json_pack("{s:{s:s}}", "license", id && single ? "id" : "name", id && single ? id : name);
	bool there = false;

	for (size_t i = 0; i < json_array_size(list); i++)
		there = there || json_equal(json_array_get(list, i), license);
	if (!there)
		json_array_append(list, license);
	json_decref(license);
}

static json_t *cyclonedx_component(const json_t *manifest, const json_t *p, const char *purl)
{
	const json_t *licenses = json_object_get(p, "licenses");
	pv_autofree char *from = pv_sbom_purl(word(manifest, "distribution"), source(p, "source", "name"),
					      source(p, "source_version", "version"), "source", word(manifest, "suite"));
	json_t *object = json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:[{s:s, s:s}]}", "type", "library", "bom-ref", purl,
				   "name", word(p, "name"), "version", word(p, "version"), "purl", purl, "hashes",
				   sha256_json(word(p, "sha256")), "properties", "name", "pvimg:source", "value", from);
	json_t *list = json_array();

	for (size_t i = 0; i < json_array_size(licenses); i++)
		if (json_is_string(json_array_get(licenses, i)))
			add_cyclonedx_license(list, json_string_value(json_array_get(licenses, i)));
	if (json_array_size(list) > 0)
		json_object_set(object, "licenses", list);
	json_decref(list);
	return object;
}

char *pv_sbom_cyclonedx(const json_t *manifest, const char image_sha256[PV_SHA256_HEX])
{
	pv_autofree char *id = document_id(manifest, image_sha256, "cyclonedx");
	const json_t *list = json_object_get(manifest, "packages"), *p;
	json_t *components = json_array(), *contains = json_array();
	size_t i;

	json_array_foreach(list, i, p) {
		pv_autofree char *purl = package_purl(manifest, p);
		json_array_append_new(components, cyclonedx_component(manifest, p, purl));
		json_array_append_new(contains, json_string(purl));
	}
	json_t *tool = json_pack("{s:s, s:s, s:s}", "type", "application", "name", "pvimg", "version", PV_VERSION);
	json_t *image = json_pack("{s:s, s:s, s:s, s:o, s:o}", "type", "operating-system", "bom-ref", "image", "name",
				  word(manifest, "name"), "version", epoch_json(manifest), "hashes",
				  sha256_json(image_sha256));
	return text_of(json_pack("{s:s, s:s, s:s, s:i, s:{s:o, s:{s:[o]}, s:o}, s:o, s:[{s:s, s:o}]}", "bomFormat",
				 "CycloneDX", "specVersion", "1.5", "serialNumber", id, "version", 1, "metadata",
				 "timestamp", epoch_json(manifest), "tools", "components", tool, "component", image,
				 "components", components, "dependencies", "ref", "image", "dependsOn", contains));
}

const char *pv_sbom_cyclonedx_subject(const json_t *document)
{
	const json_t *image = json_object_get(json_object_get(document, "metadata"), "component");

	return json_string_value(json_object_get(json_array_get(json_object_get(image, "hashes"), 0), "content"));
}
