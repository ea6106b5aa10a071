/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a remote cache's record and as its manifest: no crash; what is accepted keeps its bounds and survives being
 * written and read again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cacherecord.h"
#include "text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_record(const char *text, size_t size)
{
	pv_autocacherecord record = { 0 }, again = { 0 };
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_cacherecord_parse(text, size, &record, &err) < 0) {
		if (err.kind != PV_ERR_ARCHIVE || !err.text || record.stage)
			abort();
		return;
	}
	if (!pv_digest_valid(record.key) || !pv_digest_valid(record.sha256) || record.size == 0 ||
	    record.size > PV_CACHERECORD_OBJECT_MAX || record.seen.names.n != record.seen.values.n)
		abort();
	pv_autofree char *written = pv_cacherecord_text(&record);
	if (pv_cacherecord_parse(written, strlen(written), &again, &err) < 0 || again.size != record.size ||
	    !pv_streq(again.stage, record.stage) || again.seen.names.n != record.seen.names.n)
		abort();
}

static void check_manifest(const char *text, size_t size)
{
	struct pv_cachemanifest manifest, again;
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_cachemanifest_parse(text, size, &manifest, &err) < 0)
		return;
	if (manifest.record.size > PV_CACHERECORD_MAX || manifest.signature.size > PV_CACHEMANIFEST_SIGNATURE_MAX ||
	    !pv_digest_valid(manifest.record.sha256))
		abort();
	pv_autofree char *written = pv_cachemanifest_text(&manifest);
	if (pv_cachemanifest_parse(written, strlen(written), &again, &err) < 0 || again.object.size != manifest.object.size)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_record((const char *)data, size);
	check_manifest((const char *)data, size);
	return 0;
}
