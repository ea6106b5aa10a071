/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the records beside an image and decides. */
#include "publish_gate.h"

#include <jansson.h>
#include <string.h>

#include "fsutil.h"
#include "text.h"

#define RECORD_MAX ((size_t)64 << 20)

static void decrefp(json_t **j)
{
	json_decref(*j);
}
#define autojson __attribute__((cleanup(decrefp))) json_t

/* NULL and no error: there is no such record. */
static int read_record(const char *image, const char *file, const char *schema, json_t **ret, struct pv_error *err)
{
	const char *slash = strrchr(image, '/');
	pv_autofree char *path = pv_fmt("%.*s%s", slash ? (int)(slash - image) + 1 : 0, image, file), *text = NULL;
	json_error_t why;
	size_t len;

	*ret = NULL;
	if (!pv_exists(path))
		return 0;
	if (pv_read_file(path, RECORD_MAX, &text, &len, err) < 0)
		return -1;
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	if (!root || !pv_streq(json_string_value(json_object_get(root, "schema")), schema)) {
		json_decref(root);
		return pv_error_set(err, PV_ERR_VERDICT, "%s: is no %s; make it anew", path, schema);
	}
	*ret = root;
	return 0;
}

static const char *word(const json_t *root, const char *key)
{
	const char *text = json_string_value(json_object_get(root, key));

	return text ? text : "";
}

static bool same_number(const json_t *a, const json_t *b, const char *key)
{
	const json_t *x = json_object_get(a, key), *y = json_object_get(b, key);

	return json_is_integer(x) && json_is_integer(y) && json_integer_value(x) == json_integer_value(y);
}

static int judge(const char *image, const json_t *verdict, const json_t *flavor, const char *accept_driver,
		 struct pv_error *err)
{
	const char *driver = word(verdict, "driver");

	if (!json_is_true(json_object_get(verdict, "green")))
		return pv_error_set(err, PV_ERR_VERDICT, "%s: its verdict is not green; pvimg verify tells why", image);
	if (!pv_streq(driver, "xl") && !pv_streq(driver, "xen-in-qemu") && !(accept_driver && pv_streq(driver, accept_driver)))
		return pv_error_set(err, PV_ERR_VERDICT, "%s: its verdict is not Xen's own; verify with --driver "
				    "xen-in-qemu or xl, or take it with --accept-driver kvm-xen", image);
	if (!same_number(verdict, flavor, "memory") || !same_number(verdict, flavor, "vcpus"))
		return pv_error_set(err, PV_ERR_VERDICT, "%s: its verdict is of another size than its flavor's, or there "
				    "is no manifest that says it; verify it without --memory and --vcpus", image);
	if (!pv_digest_valid(word(verdict, "image_sha256")))
		return pv_error_set(err, PV_ERR_VERDICT, "%s: its verdict names no digest; verify it again", image);
	return 0;
}

int pv_publish_gate(const char *image, bool unverified, const char *accept_driver, char ret_sha256[PV_SHA256_HEX],
		    struct pv_error *err)
{
	autojson *manifest = NULL, *verdict = NULL;

	if (read_record(image, "manifest.json", "pvimg.manifest/1", &manifest, err) < 0)
		return -1;
	if (pv_streq(word(manifest, "archive"), "stand-in"))
		return pv_error_set(err, PV_ERR_VERDICT, "%s: was made from a test's stand-in archive; such images are "
				    "not published", image);
	ret_sha256[0] = '\0';
	if (unverified)
		return 0;
	if (read_record(image, "verdict.json", "pvimg.verdict/1", &verdict, err) < 0)
		return -1;
	if (!verdict)
		return pv_error_set(err, PV_ERR_VERDICT, "%s: has no verdict beside it; pvimg verify makes one, "
				    "--unverified publishes without", image);
	if (judge(image, verdict, json_object_get(manifest, "flavor"), accept_driver, err) < 0)
		return -1;
	memcpy(ret_sha256, word(verdict, "image_sha256"), PV_SHA256_HEX);
	return 0;
}
