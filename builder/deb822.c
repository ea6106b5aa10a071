/* SPDX-License-Identifier: Apache-2.0 */
/* Reads deb822 stanzas in chunks and cuts them into fields in place. */
#include "deb822.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "fsutil.h"
#include "proc.h"
#include "text.h"

#define CHUNK (256u << 10)

struct field {
	char *name, *value;
	size_t name_len;
};

struct pv_stanza {
	size_t n;
	struct field f[PV_STANZA_FIELDS];
};

struct reader {
	const char *what;		/* for messages */
	int fd;				/* -1: from memory */
	const char *mem;
	size_t mem_left;
	char *buf;			/* cap + 1 bytes: a NUL fits behind any text */
	size_t cap, begin, end;		/* buf[begin, end) is not consumed yet */
	bool eof;
	uint64_t line;			/* number of the line at begin */
	struct pv_stanza stanza;
};

size_t pv_stanza_count(const struct pv_stanza *s)
{
	return s->n;
}

const char *pv_stanza_name(const struct pv_stanza *s, size_t i)
{
	return s->f[i].name;
}

const char *pv_stanza_value(const struct pv_stanza *s, size_t i)
{
	return s->f[i].value;
}

static const char *find_field(const struct pv_stanza *s, const char *name, size_t len)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->f[i].name_len == len && strncasecmp(s->f[i].name, name, len) == 0)
			return s->f[i].value;
	return NULL;
}

const char *pv_stanza_get(const struct pv_stanza *s, const char *field)
{
	return find_field(s, field, strlen(field));
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static size_t trimmed_len(const char *p, size_t len)
{
	while (len > 0 && (is_blank(p[len - 1]) || p[len - 1] == '\r'))
		len--;
	return len;
}

static int bad(const struct reader *r, struct pv_error *err, const char *why)
{
	return pv_error_set(err, PV_ERR_ARCHIVE, "%s: line %llu: %s", r->what, (unsigned long long)r->line,
			    why);
}

/* Length of the name of "Name: value", 0 when the line is not of that kind. */
static size_t name_length(const char *p, size_t len)
{
	size_t n = 0;

	if (len > 0 && p[0] == '-')
		return 0;
	while (n < len && p[n] > ' ' && p[n] < 127 && p[n] != ':')
		n++;
	return n < len && p[n] == ':' ? n : 0;
}

/* Returns the end of the value's first line, NULL when refused. */
static char *add_field(struct reader *r, char *p, size_t len, struct pv_error *err)
{
	struct pv_stanza *s = &r->stanza;
	size_t nlen = name_length(p, len), skip;

	if (nlen == 0 || s->n == PV_STANZA_FIELDS || find_field(s, p, nlen)) {
		bad(r, err, nlen == 0 ? "neither a field nor its continuation" :
		    s->n == PV_STANZA_FIELDS ? "too many fields in one stanza" :
		    "the same field again in one stanza");
		return NULL;
	}
	skip = nlen + 1;
	while (skip < len && is_blank(p[skip]))
		skip++;
	p[nlen] = '\0';
	s->f[s->n++] = (struct field){ .name = p, .value = p + skip, .name_len = nlen };
	return p + skip + trimmed_len(p + skip, len - skip);
}

/* Cuts text[0, len) into fields, in place. A value's end is known, and its NUL is written, only when the next field
 * begins, because continuation lines are moved up to it. */
static int cut_stanza(struct reader *r, char *text, size_t len, struct pv_error *err)
{
	char *p = text, *stop = text + len, *value_end = NULL;

	r->stanza.n = 0;
	if (memchr(text, 0, len))
		return bad(r, err, "a NUL byte");
	for (; p < stop; r->line++) {
		char *nl = memchr(p, '\n', (size_t)(stop - p));
		char *next = nl ? nl + 1 : stop;
		size_t n = trimmed_len(p, (size_t)((nl ? nl : stop) - p));

		if (*p == '#') {
			p = next;
			continue;
		}
		if (n == 0)
			return bad(r, err, "blanks only");
		if (is_blank(*p)) {
			if (!value_end)
				return bad(r, err, "a continuation without a field");
			*value_end++ = '\n';
			memmove(value_end, p + 1, n - 1);
			value_end += n - 1;
		} else {
			if (value_end)
				*value_end = '\0';
			value_end = add_field(r, p, n, err);
			if (!value_end)
				return -1;
		}
		p = next;
	}
	if (value_end)
		*value_end = '\0';
	return 0;
}

/* Moves what is left to the front, makes room and reads on. */
static int fill(struct reader *r, struct pv_error *err)
{
	size_t want;

	if (r->begin > 0) {
		memmove(r->buf, r->buf + r->begin, r->end - r->begin);
		r->end -= r->begin;
		r->begin = 0;
	}
	if (r->cap - r->end < CHUNK / 2) {
		r->cap += r->cap > CHUNK ? r->cap : CHUNK;
		r->buf = pv_xreallocarray(r->buf, r->cap + 1, 1);
	}
	want = r->cap - r->end;
	if (r->fd < 0) {
		if (want > r->mem_left)
			want = r->mem_left;
		if (want > 0)
			memcpy(r->buf + r->end, r->mem, want);
		r->mem += want;
		r->mem_left -= want;
		r->end += want;
		r->eof = r->mem_left == 0;
		return 0;
	}
	for (;;) {
		ssize_t n = read(r->fd, r->buf + r->end, want);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot read", r->what);
		r->end += (size_t)n;
		r->eof = n == 0;
		return pv_proc_check_interrupt(err);
	}
}

/* Finds the next stanza, all of it in memory. 1: *ret_len bytes at buf + begin, 0: no more, -1. */
static int next_stanza(struct reader *r, size_t *ret_len, struct pv_error *err)
{
	size_t seen = 0;

	for (;;) {
		size_t have;
		char *p, *sep;

		while (seen == 0 && r->begin < r->end && r->buf[r->begin] == '\n') {
			r->begin++;
			r->line++;
		}
		have = r->end - r->begin;
		p = r->buf + r->begin;
		sep = have > seen ? memmem(p + seen, have - seen, "\n\n", 2) : NULL;
		if (sep || (r->eof && have > 0)) {
			*ret_len = sep ? (size_t)(sep - p) + 1 : have;
			break;
		}
		if (r->eof)
			return 0;
		if (have > PV_STANZA_MAX)
			break;
		seen = have > 0 ? have - 1 : 0;
		if (fill(r, err) < 0)
			return -1;
	}
	if (r->end - r->begin > PV_STANZA_MAX && *ret_len > PV_STANZA_MAX)
		return bad(r, err, "a stanza that is too long");
	return 1;
}

static int each(struct reader *r, pv_stanza_fn *fn, void *ctx, struct pv_error *err)
{
	r->line = 1;
	r->cap = CHUNK;
	r->buf = pv_xmalloc(r->cap + 1);
	for (;;) {
		size_t len = PV_STANZA_MAX + 1;
		int rc = next_stanza(r, &len, err);

		if (rc <= 0)
			return rc;
		if (cut_stanza(r, r->buf + r->begin, len, err) < 0)
			return -1;
		r->begin += len;
		if (r->stanza.n == 0)
			continue;	/* comments only */
		rc = fn(ctx, &r->stanza);
		if (rc != 0)
			return rc < 0 ? -1 : 0;
	}
}

int pv_deb822_each_file(const char *path, pv_stanza_fn *fn, void *ctx, struct pv_error *err)
{
	pv_autofree struct reader *r = pv_xcalloc(1, sizeof(*r));
	pv_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int rc;

	if (fd < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", path);
	r->what = path;
	r->fd = fd;
	rc = each(r, fn, ctx, err);
	free(r->buf);
	return rc;
}

int pv_deb822_each_mem(const char *text, size_t len, pv_stanza_fn *fn, void *ctx, struct pv_error *err)
{
	pv_autofree struct reader *r = pv_xcalloc(1, sizeof(*r));
	int rc;

	r->what = "deb822 text";
	r->fd = -1;
	r->mem = text;
	r->mem_left = len;
	rc = each(r, fn, ctx, err);
	free(r->buf);
	return rc;
}
