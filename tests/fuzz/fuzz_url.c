/* SPDX-License-Identifier: Apache-2.0 */
/* URLs and archive paths: whatever the text, an accepted URL is printable, splits again to the same, and hides its
 * password. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"
#include "url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	pv_autofree char *text = pv_xstrndup((const char *)data, size);
	pv_autofree char *shown = pv_url_redacted(text);
	pv_autofree char *bare = pv_url_bare(text);
	pv_autourl url = { 0 }, again = { 0 };
	pv_autoerror err = PV_ERROR_INIT;

	for (const char *p = shown; *p; p++)
		if ((unsigned char)*p < 0x20)
			abort();
	if (pv_url_path_ok(text) && (strstr(text, "/../") || text[0] == '/'))
		abort();
	if (pv_url_split(text, &url, &err) < 0) {
		if (bare || !err.text || strchr(err.text, '\n'))
			abort();
		return 0;
	}
	if (strstr(url.path, "/../") || !bare || pv_url_split(bare, &again, NULL) < 0)
		abort();
	if (*again.user || *again.password || !pv_streq(url.host, again.host) || !pv_streq(url.path, again.path) ||
	    !pv_streq(url.port, again.port) || !pv_url_same_site(text, bare))
		abort();
	return 0;
}
