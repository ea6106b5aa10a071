/* SPDX-License-Identifier: Apache-2.0 */
/* What S3 servers answer and what ~/.aws holds: an error is one printable line without a value of the file. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "aws.h"
#include "publish_s3.h"
#include "s3_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_words(struct pv_error *err)
{
	if (!err->text || strlen(err->text) > 8000)
		abort();
	for (const char *p = err->text; *p; p++)
		if ((unsigned char)*p < 0x20)
			abort();
	pv_error_clear(err);
}

static void answer(const char *text, size_t size)
{
	pv_autos3answer a = { 0 };
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_s3_answer_parse(text, size, &a, &err) < 0) {
		check_words(&err);
		return;
	}
	if (!a.root)
		abort();
	for (const char *p = a.message ? a.message : ""; *p; p++)
		if ((unsigned char)*p < 0x20)
			abort();
	for (size_t i = 0; i < a.n; i++)
		if (a.entries[i].part > 10000)
			abort();
}

static void ini(const char *text)
{
	static const char *const keys[] = { "aws_access_key_id", "aws_secret_access_key" };
	pv_autofree char *id = NULL, *secret = NULL;
	char **const ret[] = { &id, &secret };
	pv_autoerror err = PV_ERROR_INIT;
	bool found;

	if (pv_aws_ini(text, "credentials", "default", keys, ret, PV_COUNT(keys), &found, &err) < 0)
		check_words(&err);
}

static void address(const char *text)
{
	__attribute__((cleanup(pv_s3_address_done))) struct pv_s3_address a = { 0 };
	pv_autofree char *to = pv_fmt("s3://%.2000s", text);
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_s3_address_parse(to, &a, &err) < 0)
		check_words(&err);
	else if (strpbrk(a.bucket, "/?&\n %") || (*a.prefix && a.prefix[strlen(a.prefix) - 1] != '/'))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	pv_autofree char *text = pv_xstrndup((const char *)data, size);

	answer((const char *)data, size);
	ini(text);
	address(text);
	return 0;
}
