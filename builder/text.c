/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that cannot fail, growing strings and vectors, numbers and sizes, words for people. */
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The only end of the program outside main.c: nothing sensible is left to do without memory. */
static void __attribute__((noreturn)) out_of_memory(void)
{
	static const char words[] = "pvimg: out of memory\n";
	ssize_t n = write(STDERR_FILENO, words, sizeof(words) - 1);

	(void)n;
	_exit(PV_ERR_STAGE);
}

void *pv_xmalloc(size_t size)
{
	void *p = malloc(size ? size : 1);

	if (!p)
		out_of_memory();
	return p;
}

void *pv_xcalloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);

	if (!p)
		out_of_memory();
	return p;
}

void *pv_xreallocarray(void *old, size_t n, size_t size)
{
	void *p = reallocarray(old, n ? n : 1, size ? size : 1);

	if (!p)
		out_of_memory();
	return p;
}

char *pv_xstrdup(const char *s)
{
	return s ? pv_xstrndup(s, strlen(s)) : NULL;
}

char *pv_xstrndup(const char *s, size_t n)
{
	size_t len = strnlen(s, n);
	char *p = pv_xmalloc(len + 1);

	memcpy(p, s, len);
	p[len] = '\0';
	return p;
}

char *pv_vfmt(const char *fmt, va_list ap)
{
	char *p;

	if (vasprintf(&p, fmt, ap) < 0)
		out_of_memory();
	return p;
}

char *pv_fmt(const char *fmt, ...)
{
	va_list ap;
	char *p;

	va_start(ap, fmt);
	p = pv_vfmt(fmt, ap);
	va_end(ap);
	return p;
}

void pv_freep(void *p)
{
	void **pp = p;
	int saved = errno;

	free(*pp);
	*pp = NULL;
	errno = saved;
}

/* --- growing string --- */

static void str_need(struct pv_str *s, size_t more)
{
	size_t need, cap;

	if (__builtin_add_overflow(s->len, more, &need) || need > SIZE_MAX / 4)
		out_of_memory();
	if (s->data && need < s->cap)
		return;
	cap = s->cap ? s->cap : 32;
	while (cap <= need)
		cap *= 2;
	s->data = pv_xreallocarray(s->data, cap, 1);
	s->cap = cap;
}

void pv_str_addn(struct pv_str *s, const void *data, size_t n)
{
	str_need(s, n);
	if (n > 0)
		memcpy(s->data + s->len, data, n);
	s->len += n;
	s->data[s->len] = '\0';
}

void pv_str_add(struct pv_str *s, const char *text)
{
	pv_str_addn(s, text, strlen(text));
}

void pv_str_addc(struct pv_str *s, char c)
{
	pv_str_addn(s, &c, 1);
}

void pv_str_vaddf(struct pv_str *s, const char *fmt, va_list ap)
{
	char *text = pv_vfmt(fmt, ap);

	pv_str_add(s, text);
	free(text);
}

void pv_str_addf(struct pv_str *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	pv_str_vaddf(s, fmt, ap);
	va_end(ap);
}

const char *pv_str_text(const struct pv_str *s)
{
	return s->data ? s->data : "";
}

char *pv_str_steal(struct pv_str *s)
{
	char *p = s->data ? s->data : pv_xstrdup("");

	*s = (struct pv_str)PV_STR_INIT;
	return p;
}

void pv_str_reset(struct pv_str *s)
{
	s->len = 0;
	if (s->data)
		s->data[0] = '\0';
}

void pv_str_done(struct pv_str *s)
{
	pv_freep(&s->data);
	s->len = s->cap = 0;
}

/* --- vector of strings --- */

void pv_strv_take(struct pv_strv *sv, char *s)
{
	if (sv->n + 2 > sv->cap) {
		sv->cap = sv->cap ? sv->cap * 2 : 8;
		sv->v = pv_xreallocarray(sv->v, sv->cap, sizeof(*sv->v));
	}
	sv->v[sv->n++] = s;
	sv->v[sv->n] = NULL;
}

void pv_strv_add(struct pv_strv *sv, const char *s)
{
	pv_strv_take(sv, pv_xstrdup(s));
}

void pv_strv_addf(struct pv_strv *sv, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	pv_strv_take(sv, pv_vfmt(fmt, ap));
	va_end(ap);
}

void pv_strv_add_all(struct pv_strv *sv, const char *const *list)
{
	for (; list && *list; list++)
		pv_strv_add(sv, *list);
}

bool pv_strv_has(const struct pv_strv *sv, const char *s)
{
	for (size_t i = 0; i < sv->n; i++)
		if (pv_streq(sv->v[i], s))
			return true;
	return false;
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void pv_strv_sort(struct pv_strv *sv)
{
	if (sv->n > 1)
		qsort(sv->v, sv->n, sizeof(*sv->v), compare_strings);
}

void pv_strv_uniq(struct pv_strv *sv)
{
	size_t kept = 0;

	for (size_t i = 0; i < sv->n; i++) {
		if (kept > 0 && pv_streq(sv->v[kept - 1], sv->v[i]))
			free(sv->v[i]);
		else
			sv->v[kept++] = sv->v[i];
	}
	sv->n = kept;
	if (sv->v)
		sv->v[kept] = NULL;
}

char *pv_strv_join(const struct pv_strv *sv, const char *sep)
{
	struct pv_str s = PV_STR_INIT;

	for (size_t i = 0; i < sv->n; i++) {
		if (i > 0)
			pv_str_add(&s, sep);
		pv_str_add(&s, sv->v[i]);
	}
	return pv_str_steal(&s);
}

void pv_strv_done(struct pv_strv *sv)
{
	int saved = errno;

	for (size_t i = 0; i < sv->n; i++)
		free(sv->v[i]);
	free(sv->v);
	*sv = (struct pv_strv)PV_STRV_INIT;
	errno = saved;
}

/* --- comparing and parsing --- */

bool pv_streq(const char *a, const char *b)
{
	if (!a || !b)
		return a == b;
	return strcmp(a, b) == 0;
}

bool pv_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool pv_ends(const char *s, const char *suffix)
{
	size_t ls = strlen(s), lx = strlen(suffix);

	return ls >= lx && memcmp(s + ls - lx, suffix, lx) == 0;
}

/* len digits at text. */
static int parse_digits(const char *text, size_t len, uint64_t *ret)
{
	uint64_t value = 0;

	if (len == 0 || (len > 1 && text[0] == '0'))
		return -1;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value))
			return -1;
	}
	*ret = value;
	return 0;
}

int pv_parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
	uint64_t value;

	if (!text || parse_digits(text, strlen(text), &value) < 0 || value < min || value > max)
		return -1;
	*ret = value;
	return 0;
}

static const struct {
	const char *name;
	unsigned shift;
} units[] = {
	{ "B", 0 }, { "KiB", 10 }, { "MiB", 20 }, { "GiB", 30 }, { "TiB", 40 },
};

int pv_parse_size(const char *text, uint64_t *ret_bytes)
{
	uint64_t value;
	size_t digits;

	if (!text)
		return -1;
	digits = strspn(text, "0123456789");
	if (parse_digits(text, digits, &value) < 0)
		return -1;
	if (text[digits] == '\0') {
		*ret_bytes = value;
		return 0;
	}
	for (size_t i = 1; i < PV_COUNT(units); i++) {
		if (!pv_streq(text + digits, units[i].name))
			continue;
		if (value > UINT64_MAX >> units[i].shift)
			return -1;
		*ret_bytes = value << units[i].shift;
		return 0;
	}
	return -1;
}

char *pv_size_text(uint64_t bytes)
{
	size_t u = 0;
	uint64_t unit, whole, rest, tenths;

	while (u + 1 < PV_COUNT(units) && bytes >> units[u + 1].shift)
		u++;
	unit = (uint64_t)1 << units[u].shift;
	whole = bytes >> units[u].shift;
	rest = bytes & (unit - 1);
	tenths = (rest * 10 + unit / 2) / unit;
	if (rest != 0 && whole * 10 + tenths < 100)
		return pv_fmt("%llu.%llu %s", (unsigned long long)(whole + tenths / 10),
			      (unsigned long long)(tenths % 10), units[u].name);
	if (rest != 0 && rest >= unit / 2)
		whole++;
	if (whole == 1024 && u + 1 < PV_COUNT(units)) {
		whole = 1;
		u++;
	}
	return pv_fmt("%llu %s", (unsigned long long)whole, units[u].name);
}

char *pv_ms_text(uint64_t ms)
{
	unsigned long long s = ms / 1000;

	if (s >= 60)
		return pv_fmt("%llu min %02llu s", s / 60, s % 60);
	return pv_fmt("%llu.%llu s", s, (unsigned long long)(ms % 1000 / 100));
}

/* --- words for people --- */

#define NEAREST_MAX 64		/* longer words get no suggestion */

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

/* Insertions, deletions, replacements and swaps of neighbours from a to b; both at most NEAREST_MAX long. */
static unsigned edit_distance(const char *a, size_t la, const char *b, size_t lb)
{
	unsigned rows[3][NEAREST_MAX + 1];
	unsigned *before = rows[0], *last = rows[1], *now = rows[2];

	memset(rows, 0, sizeof(rows));
	for (size_t j = 0; j <= lb; j++)
		last[j] = (unsigned)j;
	for (size_t i = 1; i <= la; i++) {
		unsigned *spare = before;

		now[0] = (unsigned)i;
		for (size_t j = 1; j <= lb; j++) {
			now[j] = min3(last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < now[j])
				now[j] = before[j - 2] + 1;
		}
		before = last;
		last = now;
		now = spare;
	}
	return last[lb];
}

const char *pv_nearest(const char *word, const char *const *list)
{
	size_t len = strlen(word);
	unsigned limit = len / 3 > 2 ? (unsigned)(len / 3) : 2;
	const char *best = NULL;
	unsigned best_distance = limit + 1;

	if (len == 0 || len > NEAREST_MAX)
		return NULL;
	for (; list && *list; list++) {
		size_t other = strlen(*list);
		unsigned d;

		if (other > NEAREST_MAX)
			continue;
		d = edit_distance(word, len, *list, other);
		if (d < best_distance && d < (len > other ? len : other)) {
			best = *list;
			best_distance = d;
		}
	}
	return best;
}

/* Length of the valid UTF-8 sequence at p (RFC 3629), its code point in *ret; 0 when invalid. */
static size_t utf8_len(const unsigned char *p, size_t left, uint32_t *ret)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n;
	uint32_t c;

	if (p[0] < 0x80) {
		*ret = p[0];
		return 1;
	}
	n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc0 ? 2 : 0;
	if (n == 0 || p[0] > 0xf7 || n > left)
		return 0;
	c = p[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3fu);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret = c;
	return n;
}

static bool harmless(uint32_t c)
{
	if (c < 0x20 || (c >= 0x7f && c < 0xa0))
		return false;
	/* line separators, bidirectional marks and overrides */
	return !(c >= 0x2028 && c <= 0x202e) && !(c >= 0x2066 && c <= 0x2069);
}

char *pv_printable(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text;
	char *ret = pv_xmalloc(len + 1);
	size_t out = 0;

	for (size_t i = 0; i < len;) {
		uint32_t c = 0;
		size_t n = utf8_len(p + i, len - i, &c);

		if (n > 0 && harmless(c)) {
			memcpy(ret + out, p + i, n);
			out += n;
		} else {
			ret[out++] = c == '\t' ? ' ' : '?';
		}
		i += n > 0 ? n : 1;
	}
	ret[out] = '\0';
	return ret;
}
