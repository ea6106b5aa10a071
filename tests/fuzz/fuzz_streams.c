/* SPDX-License-Identifier: Apache-2.0 */
/* A mirror's list and index as somebody else may have left them. */
#include <stdlib.h>
#include <string.h>

#include "streams.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void use_list(json_t *list)
{
	static const struct pv_machine machine = { .name = (char *)"img", .epoch = 1790000000 };
	pv_autofree char *product = pv_streams_product("img"), *version = NULL, *text = NULL;
	pv_autostrv paths = PV_STRV_INIT, dropped = PV_STRV_INIT;
	pv_autofree uint64_t *sizes = NULL;
	pv_autoerror err = PV_ERROR_INIT;
	char sha256[PV_SHA256_HEX] = "";
	struct pv_streams_item item = { .ftype = (char *)"vhd", .path = (char *)"images/img/x", .size = 1 };
	const char *newest = pv_streams_newest(list, product);

	if (newest) {
		(void)pv_streams_holds(list, product, newest, sha256, &dropped);
		pv_streams_files(list, product, newest, &paths, &sizes);
	}
	if (pv_streams_next(list, product, machine.epoch, &version, &err) < 0)
		return;
	if (!pv_streams_version_valid(version))
		abort();
	pv_streams_add(list, &machine, version, sha256, &item, 1);
	/* what is new is what readers take, and what stays */
	pv_streams_prune(list, product, 1, &dropped);
	newest = pv_streams_newest(list, product);
	if (!newest || strcmp(newest, version) != 0)
		abort();
	text = pv_streams_text(list, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	pv_autoerror err = PV_ERROR_INIT;
	json_t *root = NULL;

	if (pv_streams_list_parse((const char *)data, len, "list", &root, &err) == 0)
		use_list(root);
	json_decref(root);
	root = NULL;
	pv_error_clear(&err);
	if (pv_streams_index_parse((const char *)data, len, "index", &root, &err) == 0) {
		json_t *list = NULL;

		if (pv_streams_list_parse(NULL, 0, "list", &list, NULL) == 0)
			pv_streams_index_update(root, list, true);
		json_decref(list);
		(void)pv_streams_index_has(root, "pvimg:img:amd64");
	}
	json_decref(root);
	return 0;
}
