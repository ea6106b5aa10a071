/* SPDX-License-Identifier: Apache-2.0 */
/* Compares versions part by part: epoch, upstream version, revision; text and numbers in turn. */
#include "debversion.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* A part of a version: not NUL-terminated. */
struct part {
	const char *at, *end;
};

static bool is_digit(const struct part *p)
{
	return p->at < p->end && *p->at >= '0' && *p->at <= '9';
}

/* Policy: "~" before the end of a part, that before letters, those before all else. Digits end a text. */
static int rank(const struct part *p)
{
	if (p->at == p->end || is_digit(p))
		return 0;
	if (*p->at == '~')
		return -1;
	if ((*p->at >= 'a' && *p->at <= 'z') || (*p->at >= 'A' && *p->at <= 'Z'))
		return *p->at;
	return (unsigned char)*p->at + 256;
}

static int compare_text(struct part *a, struct part *b)
{
	while (rank(a) || rank(b)) {
		if (rank(a) != rank(b))
			return rank(a) - rank(b);
		a->at++;
		b->at++;
	}
	return 0;
}

/* Of any length: without its zeros the longer number is the larger one. */
static struct part take_number(struct part *p)
{
	struct part number;

	while (is_digit(p) && *p->at == '0')
		p->at++;
	number.at = p->at;
	while (is_digit(p))
		p->at++;
	number.end = p->at;
	return number;
}

static int compare_number(struct part *a, struct part *b)
{
	struct part x = take_number(a), y = take_number(b);
	ptrdiff_t nx = x.end - x.at, ny = y.end - y.at;

	if (nx != ny)
		return nx < ny ? -1 : 1;
	return memcmp(x.at, y.at, (size_t)nx);
}

static int compare_part(struct part a, struct part b)
{
	while (a.at < a.end || b.at < b.end) {
		int order = compare_text(&a, &b);

		if (order == 0)
			order = compare_number(&a, &b);
		if (order)
			return order;
	}
	return 0;
}

struct version {
	struct part epoch, upstream, revision;
};

static struct version split(const char *text)
{
	const char *end = text + strlen(text), *colon = strchr(text, ':');
	const char *from = colon ? colon + 1 : text, *dash = strrchr(from, '-');

	return (struct version){
		.epoch = { text, colon ? colon : text }, .upstream = { from, dash ? dash : end },
		.revision = { dash ? dash + 1 : end, end },
	};
}

int pv_debversion_compare(const char *a, const char *b)
{
	struct version x = split(a), y = split(b);
	int order = compare_part(x.epoch, y.epoch);

	if (order == 0)
		order = compare_part(x.upstream, y.upstream);
	return order ? order : compare_part(x.revision, y.revision);
}
