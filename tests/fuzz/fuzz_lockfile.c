/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a lock: refused with a line, or the very bytes that the lock is written as; then a plan can be made of it,
 * no path leaves the pool, and a lock does not differ from itself. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lockfile.h"
#include "url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	pv_autolockfile lock = { 0 };
	pv_autolockchanges changes = { 0 };
	pv_autoresolution res = { 0 };
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_lockfile_parse("f", (const char *)data, size, &lock, &err) < 0) {
		if (err.kind != PV_ERR_RECIPE || strncmp(err.text, "f:", 2) != 0 || strchr(err.text, '\n'))
			abort();
		return 0;
	}
	pv_autofree char *text = pv_lockfile_text(&lock);
	if (strlen(text) != size || memcmp(text, data, size) != 0)
		abort();
	pv_lockfile_resolution(&lock, &res);
	for (size_t i = 0; i < res.npackages; i++)
		if (!pv_url_path_ok(res.packages[i].filename) || !pv_digest_valid(res.packages[i].sha256))
			abort();
	pv_lockfile_diff(&lock, &lock, &changes);
	if (changes.n > 0 || pv_lockfile_date(&lock) <= 0)
		abort();
	return 0;
}
