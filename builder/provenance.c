/* SPDX-License-Identifier: Apache-2.0 */
/* Makes provenance.json. */
#include "provenance.h"

#include <jansson.h>
#include <string.h>

#include "sbom.h"
#include "text.h"
#include "version.h"

#define STATEMENT "https://in-toto.io/Statement/v1"
#define PREDICATE "https://slsa.dev/provenance/v1"

static const char *word(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static void copy(json_t *to, const json_t *from, const char *const *keys, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (json_object_get(from, keys[i]))
			json_object_set(to, keys[i], json_object_get(from, keys[i]));
}

/* A ResourceDescriptor. */
static json_t *resource(const char *name, const char *sha256)
{
	return json_pack("{s:s, s:{s:s}}", "name", name, "digest", "sha256", sha256);
}

static json_t *dependencies(const struct pv_provenance *p)
{
	const json_t *package, *manifest = p->manifest;
	json_t *list = json_array();
	size_t i;

	json_array_foreach(p->recipe, i, package)
		if (*word(package, "file") && pv_digest_valid(word(package, "sha256")))
			json_array_append_new(list, resource(word(package, "file"), word(package, "sha256")));
	if (p->lock_sha256) {
		pv_autofree char *file = pv_fmt("%s.lock", word(manifest, "name"));
		json_array_append_new(list, resource(file, p->lock_sha256));
	}
	json_array_foreach(json_object_get(manifest, "packages"), i, package) {
		pv_autofree char *purl = pv_sbom_purl(word(manifest, "distribution"), word(package, "name"),
						      word(package, "version"), word(package, "architecture"),
						      word(manifest, "suite"));
		json_t *one = resource(word(package, "name"), word(package, "sha256"));
		json_object_set_new(one, "uri", json_string(purl));
		json_array_append_new(list, one);
	}
	return list;
}

static json_t *byproducts(const struct pv_provenance *p)
{
	static const char *const keys[] = { "green", "class", "cause", "driver", "driver_facts", "proves", "memory", "vcpus",
					    "checks" };
	json_t *list = json_pack("[o]", resource("manifest.json", p->manifest_sha256));

	if (!p->verdict)
		return list;
	json_t *verdict = resource("verdict.json", p->verdict_sha256), *facts = json_object();
	copy(facts, p->verdict, keys, PV_COUNT(keys));
	json_object_set_new(verdict, "annotations", facts);
	json_array_append_new(list, verdict);
	return list;
}

char *pv_provenance_text(const struct pv_provenance *p)
{
	static const char *const keys[] = { "distribution", "suite", "architecture", "archive", "epoch", "disk_size", "flavor",
					    "settings" };
	pv_autofree char *image = pv_fmt("%s.raw", word(p->manifest, "name"));
	json_t *parameters = json_pack("{s:s}", "recipe", word(p->manifest, "name"));

	copy(parameters, p->manifest, keys, PV_COUNT(keys));
	json_t *definition = json_pack("{s:s, s:o, s:{}, s:o}", "buildType", "urn:pvimg:image:1", "externalParameters",
				       parameters, "internalParameters", "resolvedDependencies", dependencies(p));
	json_t *run = json_pack("{s:{s:s, s:{s:s}}, s:{}, s:o}", "builder", "id", "urn:pvimg:builder:1", "version", "pvimg",
				PV_VERSION, "metadata", "byproducts", byproducts(p));
	json_t *root = json_pack("{s:s, s:[o], s:s, s:{s:o, s:o}}", "_type", STATEMENT, "subject",
				 resource(image, p->image_sha256), "predicateType", PREDICATE, "predicate",
				 "buildDefinition", definition, "runDetails", run);
	pv_autofree char *text = json_dumps(root, JSON_INDENT(1) | JSON_SORT_KEYS);
	json_decref(root);
	return pv_fmt("%s\n", text ? text : "{}");
}

const char *pv_provenance_subject(const json_t *statement, const char *name)
{
	const json_t *subjects = json_object_get(statement, "subject"), *one = json_array_get(subjects, 0);

	if (!pv_streq(word(statement, "_type"), STATEMENT) || !pv_streq(word(statement, "predicateType"), PREDICATE) ||
	    json_array_size(subjects) != 1 || !pv_streq(word(one, "name"), name))
		return NULL;
	return json_string_value(json_object_get(json_object_get(one, "digest"), "sha256"));
}
