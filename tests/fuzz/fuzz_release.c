/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a Release file, plain or clearsigned: no crash, and what is listed is sorted, unique and stays inside. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gpg.h"
#include "release.h"
#include "url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse(const char *text, size_t len)
{
	pv_autorelease r = { 0 };
	pv_autoerror err = PV_ERROR_INIT;
	pv_autostrv components = PV_STRV_INIT;
	struct pv_release_expect expect = { "Debian", "bookworm", "bookworm", &components, "amd64" };

	if (pv_release_parse(text, len, &r, &err) < 0) {
		if (!err.text || r.entries)
			abort();
		return;
	}
	for (size_t i = 0; i < r.nentries; i++) {
		const struct pv_release_entry *e = &r.entries[i];

		if (!pv_url_path_ok(e->path) || !pv_digest_valid(e->sha256) || pv_release_find(&r, e->path) != e ||
		    (i > 0 && strcmp(r.entries[i - 1].path, e->path) >= 0))
			abort();
	}
	pv_strv_add(&components, "main");
	if (pv_release_check(&r, &expect, 1783771200, false, &err) == 0 &&
	    (strcmp(r.origin, "Debian") != 0 || (r.valid_until && r.valid_until < 1783771200)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	pv_autostr content = PV_STR_INIT;

	parse((const char *)data, size);
	if (pv_gpg_unverified_text((const char *)data, size, &content, NULL) == 0) {
		if (content.len > size + 1)
			abort();
		parse(pv_str_text(&content), content.len);
	}
	return 0;
}
