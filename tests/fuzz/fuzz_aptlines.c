/* SPDX-License-Identifier: Apache-2.0 */
/* What apt programs print: simulated transactions, index targets, debootstrap's scripts. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hostapt.h"
#include "resolve_apt.h"
#include "text.h"
#include "url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	pv_autofree char *text = pv_xstrndup((const char *)data, size);
	pv_autofree char *main_url = NULL;
	pv_autofree char *security = NULL;
	pv_autofree char *script = pv_hostapt_script_mirror(text, "noble", "amd64");
	pv_autochanges changes = { 0 };

	pv_hostapt_pick(text, "debian", "bookworm", "debian", "bookworm", &main_url, &security);
	if ((main_url && pv_url_check(main_url, NULL) < 0) || (security && pv_url_check(security, NULL) < 0) ||
	    (script && pv_url_check(script, NULL) < 0))
		abort();
	for (const char *line = text; *line; ) {
		size_t len = strcspn(line, "\n");

		if (pv_apt_changes_line(&changes, line, len) == 0 && changes.n > 0 &&
		    !*changes.v[changes.n - 1].name)
			abort();
		line += len + (line[len] == '\n');
	}
	return 0;
}
