/* SPDX-License-Identifier: Apache-2.0 */
/* Reads what is known of an image from the manifest beside it. */
#include "machine.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "fsutil.h"
#include "sizing.h"
#include "suite.h"
#include "text.h"

#define MANIFEST_MAX ((size_t)64 << 20)
#define EPOCH_MAX UINT64_C(253402300799)	/* end of the year 9999 */

void pv_machine_done(struct pv_machine *m)
{
	pv_freep(&m->name);
	pv_freep(&m->distribution);
	pv_freep(&m->suite);
	pv_freep(&m->version);
}

char *pv_machine_description(const struct pv_machine *m)
{
	return m->distribution ? pv_fmt("%s %s (%s), PVHVM, made by pvimg", m->distribution, m->version, m->suite) :
				 pv_xstrdup("made by pvimg");
}

/* A word for file names, XML and configurations: what is none of these characters becomes '-'. */
static char *plain_name(const char *path)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	char *name = pv_xstrdup(*base ? base : "-"), *dot = strrchr(name, '.');

	if (dot && dot != name)
		*dot = '\0';
	for (char *c = name; *c; c++)
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_", *c))
			*c = '-';
	if (*name == '.')
		*name = '-';
	return name;
}

static char *text_of(const json_t *object, const char *key)
{
	return pv_xstrdup(json_string_value(json_object_get(object, key)));
}

static int64_t number_of(const json_t *object, const char *key, int64_t max)
{
	json_int_t n = json_integer_value(json_object_get(object, key));

	return n > 0 && n <= max ? n : 0;
}

static void take(const json_t *root, struct pv_machine *m)
{
	const json_t *flavor = json_object_get(root, "flavor");

	m->distribution = text_of(root, "distribution");
	m->suite = text_of(root, "suite");
	m->epoch = number_of(root, "epoch", (int64_t)EPOCH_MAX);
	m->memory = (uint64_t)number_of(flavor, "memory", (int64_t)PV_SIZING_MAX_MIB << 20);
	m->vcpus = (unsigned)number_of(flavor, "vcpus", PV_SIZING_MAX_VCPUS);
	const struct pv_suite *suite = m->distribution && m->suite ? pv_suite_find(m->distribution, m->suite) : NULL;
	if (suite) {
		m->version = pv_xstrdup(suite->version);
	} else {	/* not from us: no word of it goes into files */
		pv_freep(&m->distribution);
		pv_freep(&m->suite);
	}
}

static int read_manifest(const char *path, struct pv_machine *m, struct pv_error *err)
{
	pv_autofree char *dir = pv_path_dir(path), *manifest = pv_path_join(dir, "manifest.json"), *text = NULL;
	size_t len;
	json_error_t why;

	if (!pv_exists(manifest))
		return 0;
	if (pv_read_file(manifest, MANIFEST_MAX, &text, &len, err) < 0)
		return -1;
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	if (!root)
		return pv_error_set(err, PV_ERR_STAGE, "%s:%d: no JSON: %s", manifest, why.line, why.text);
	/* another image in the folder is none of its business */
	if (pv_streq(json_string_value(json_object_get(root, "schema")), "pvimg.manifest/1") &&
	    pv_streq(json_string_value(json_object_get(root, "name")), m->name)) {
		take(root, m);
		pv_digest_mem(text, len, m->seed);
	}
	json_decref(root);
	return 0;
}

static int take_epoch(struct pv_machine *m, struct pv_error *err)
{
	const char *word = getenv("SOURCE_DATE_EPOCH");
	uint64_t epoch;

	if (m->epoch || !word || !*word)
		return 0;
	if (pv_parse_u64(word, 0, EPOCH_MAX, &epoch) < 0)
		return pv_error_set(err, PV_ERR_USAGE, "SOURCE_DATE_EPOCH=%s: seconds since 1970 are wanted", word);
	m->epoch = (int64_t)epoch;
	return 0;
}

int pv_machine_of_image(const char *path, uint64_t memory, unsigned vcpus, struct pv_machine *ret, struct pv_error *err)
{
	pv_automachine m = { .name = plain_name(path) };

	if (read_manifest(path, &m, err) < 0 || take_epoch(&m, err) < 0)
		return -1;
	if (memory)
		m.memory = memory;
	if (vcpus)
		m.vcpus = vcpus;
	if (!m.memory)
		m.memory = PV_MACHINE_MEMORY;
	if (!m.vcpus)
		m.vcpus = PV_MACHINE_VCPUS;
	*ret = m;
	memset(&m, 0, sizeof(m));
	return 0;
}
