/* SPDX-License-Identifier: Apache-2.0 */
/* Reads an S3 server's answers by expat, within bounds. */
#include "s3_answer.h"

#include <expat.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

#define DEPTH_MAX 16u
#define ENTRIES_MAX 100000u
#define TEXT_MAX 4096u			/* of a value; keys have 1024 bytes at most */
#define LEN_MAX ((size_t)16 << 20)
#define PART_MAX 10000u

struct reader {
	XML_Parser parser;
	const char *why;		/* it was stopped; NULL: not */
	unsigned depth;
	bool in_entry;
	struct pv_str text;
	struct pv_s3_answer a;
	struct pv_s3_entry now;
};

static void entry_done(struct pv_s3_entry *e)
{
	pv_freep(&e->key);
	pv_freep(&e->upload_id);
	pv_freep(&e->etag);
	*e = (struct pv_s3_entry){ 0 };
}

void pv_s3_answer_done(struct pv_s3_answer *a)
{
	char **const all[] = { &a->root, &a->code, &a->message, &a->upload_id, &a->etag, &a->next_token, &a->next_key,
			       &a->next_upload, &a->next_part };

	for (size_t i = 0; i < PV_COUNT(all); i++)
		pv_freep(all[i]);
	for (size_t i = 0; i < a->n; i++)
		entry_done(&a->entries[i]);
	pv_freep(&a->entries);
	a->n = 0;
}

static void stop(struct reader *r, const char *why)
{
	if (!r->why)
		r->why = why;
	XML_StopParser(r->parser, XML_FALSE);
}

static void on_start(void *ctx, const char *tag, const char **attributes)
{
	struct reader *r = ctx;

	(void)attributes;
	if (r->why)
		return;
	if (++r->depth > DEPTH_MAX) {
		stop(r, "it is nested too deep");
		return;
	}
	pv_str_reset(&r->text);
	if (r->depth == 1)
		r->a.root = pv_printable(tag, strnlen(tag, TEXT_MAX));
	if (r->depth == 2)
		r->in_entry = pv_streq(tag, "Contents") || pv_streq(tag, "Upload") || pv_streq(tag, "Part");
}

static void on_text(void *ctx, const char *text, int len)
{
	struct reader *r = ctx;

	if (r->why || len <= 0)
		return;
	if (r->text.len + (size_t)len > TEXT_MAX) {
		stop(r, "a value is too long");
		return;
	}
	pv_str_addn(&r->text, text, (size_t)len);
}

static void keep(char **place, const char *text)
{
	free(*place);
	*place = pv_xstrdup(text);
}

/* Without the quotes that it has in most answers. */
static void keep_etag(char **place, const char *text)
{
	size_t len = strlen(text);

	free(*place);
	*place = len >= 2 && text[0] == '"' && text[len - 1] == '"' ? pv_xstrndup(text + 1, len - 2) : pv_xstrdup(text);
}

static void take_entry_field(struct reader *r, const char *tag, const char *text)
{
	uint64_t number;

	if (pv_streq(tag, "Key"))
		keep(&r->now.key, text);
	else if (pv_streq(tag, "UploadId"))
		keep(&r->now.upload_id, text);
	else if (pv_streq(tag, "ETag"))
		keep_etag(&r->now.etag, text);
	else if (pv_streq(tag, "Size") && pv_parse_u64(text, 0, INT64_MAX, &number) == 0)
		r->now.size = number;
	else if (pv_streq(tag, "PartNumber") && pv_parse_u64(text, 1, PART_MAX, &number) == 0)
		r->now.part = (unsigned)number;
}

static void take_field(struct reader *r, const char *tag, const char *text)
{
	static const char *const names[] = { "UploadId", "NextContinuationToken", "NextKeyMarker", "NextUploadIdMarker",
					     "NextPartNumberMarker" };
	char **const places[] = { &r->a.upload_id, &r->a.next_token, &r->a.next_key, &r->a.next_upload, &r->a.next_part };

	for (size_t i = 0; i < PV_COUNT(names); i++)
		if (pv_streq(tag, names[i]))
			keep(places[i], text);
	if (pv_streq(tag, "IsTruncated"))
		r->a.truncated = pv_streq(text, "true");
	if (pv_streq(tag, "ETag"))
		keep_etag(&r->a.etag, text);
	if (pv_streq(tag, "Code") || pv_streq(tag, "Message")) {
		char **place = *tag == 'C' ? &r->a.code : &r->a.message;

		free(*place);
		*place = pv_printable(text, strlen(text));
	}
}

static void end_entry(struct reader *r)
{
	if (r->a.n == ENTRIES_MAX) {
		stop(r, "it has too many entries");
		return;
	}
	r->a.entries = pv_xreallocarray(r->a.entries, r->a.n + 1, sizeof(*r->a.entries));
	r->a.entries[r->a.n++] = r->now;
	r->now = (struct pv_s3_entry){ 0 };
}

static void on_end(void *ctx, const char *tag)
{
	struct reader *r = ctx;
	const char *text = pv_str_text(&r->text);

	if (r->why)
		return;
	if (r->depth == 3 && r->in_entry)
		take_entry_field(r, tag, text);
	else if (r->depth == 2 && r->in_entry)
		end_entry(r);
	else if (r->depth == 2)
		take_field(r, tag, text);
	pv_str_reset(&r->text);
	r->depth--;
}

static void on_doctype(void *ctx, const char *name, const char *system_id, const char *public_id, int internal)
{
	(void)name;
	(void)system_id;
	(void)public_id;
	(void)internal;
	stop(ctx, "it has a doctype");
}

int pv_s3_answer_parse(const char *text, size_t len, struct pv_s3_answer *ret, struct pv_error *err)
{
	struct reader r = { .parser = NULL };

	/* some begin with the white space by which they kept the connection open */
	while (len > 0 && strchr(" \t\r\n", *text) && *text) {
		text++;
		len--;
	}
	if (len == 0 || len > LEN_MAX)
		return pv_error_set(err, PV_ERR_ARCHIVE, "the answer is %s", len ? "too long" : "empty");
	r.parser = XML_ParserCreate(NULL);
	if (!r.parser)
		return pv_error_set(err, PV_ERR_HOST, "expat: cannot start a parser");
	XML_SetUserData(r.parser, &r);
	XML_SetElementHandler(r.parser, on_start, on_end);
	XML_SetCharacterDataHandler(r.parser, on_text);
	XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);
	int rc = 0;
	if (XML_Parse(r.parser, text, (int)len, 1) != XML_STATUS_OK || r.why)
		rc = pv_error_set(err, PV_ERR_ARCHIVE, "the answer's XML: line %lu: %s",
				  (unsigned long)XML_GetCurrentLineNumber(r.parser),
				  r.why ? r.why : XML_ErrorString(XML_GetErrorCode(r.parser)));
	XML_ParserFree(r.parser);
	pv_str_done(&r.text);
	entry_done(&r.now);
	if (rc == 0)
		*ret = r.a;
	else
		pv_s3_answer_done(&r.a);
	return rc;
}
