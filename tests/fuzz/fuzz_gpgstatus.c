/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as gpgv's status lines: no crash; what is accepted has a good and valid signature of a trusted key, and no bad
 * one beside it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gpg.h"
#include "gpg_status.h"

#define TAG "[GNUPG:] "

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A line that begins with TAG and those words. */
static bool has_line(const char *text, const char *words)
{
	for (const char *p = text; p; p = strchr(p, '\n'), p = p ? p + 1 : NULL)
		if (pv_starts(p, TAG) && pv_starts(p + strlen(TAG), words))
			return true;
	return false;
}

static void judge(const char *data, size_t size, const struct pv_strv *trusted)
{
	pv_autofree char *text = pv_xmalloc(size + 1), *whole = pv_xmalloc(size + 1), *fingerprint = NULL;
	pv_autoerror err = PV_ERROR_INIT;

	memcpy(text, data, size);
	text[size] = '\0';
	memcpy(whole, text, size + 1);
	if (pv_gpg_status_judge(text, size, trusted, "/keyring", &fingerprint, &err) < 0) {
		if (err.kind != PV_ERR_ARCHIVE || !err.text || fingerprint)
			abort();
		return;
	}
	if (!pv_gpg_fingerprint_valid(fingerprint) || (trusted && !pv_strv_has(trusted, fingerprint)) ||
	    !strstr(whole, fingerprint))
		abort();
	if (!has_line(whole, "GOODSIG") || !has_line(whole, "VALIDSIG ") || !has_line(whole, "PLAINTEXT") ||
	    has_line(whole, "BADSIG ") || has_line(whole, "NODATA "))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	pv_autostrv trusted = PV_STRV_INIT;

	pv_strv_add(&trusted, "F6ECB3762474EDA9D21B7022871920D1991BC93C");
	pv_strv_add(&trusted, "790BC7277767219C42C86F933B4FE6ACC0B21F32");
	judge((const char *)data, size, NULL);
	judge((const char *)data, size, &trusted);
	return 0;
}
