/* SPDX-License-Identifier: Apache-2.0 */
/* Memory, strings, string vectors, numbers and sizes. Out of memory ends the program (text.c). */
#ifndef PV_TEXT_H
#define PV_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

/* Allocation that cannot fail: prints one line and ends the process with exit code 1. */
void *pv_xmalloc(size_t size);
void *pv_xcalloc(size_t n, size_t size);
void *pv_xreallocarray(void *old, size_t n, size_t size);
char *pv_xstrdup(const char *s);		/* NULL stays NULL */
char *pv_xstrndup(const char *s, size_t n);
char *pv_fmt(const char *fmt, ...) PV_PRINTF(1, 2);	/* the caller frees */
char *pv_vfmt(const char *fmt, va_list ap) PV_PRINTF(1, 0);	/* the caller frees */

/* Frees what the pointer at `p` points to: for pv_autofree. */
void pv_freep(void *p);
#define pv_autofree __attribute__((cleanup(pv_freep)))

/* Hands ownership out of a cleanup variable: `return pv_steal(&x);` */
#define pv_steal(pp) __extension__({ __typeof__(*(pp)) pv_stolen = *(pp); *(pp) = NULL; pv_stolen; })

#define PV_COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* A growing string; data is NUL-terminated once anything was added, NULL before. */
struct pv_str {
	char *data;
	size_t len, cap;
};
#define PV_STR_INIT { 0, 0, 0 }
void pv_str_add(struct pv_str *s, const char *text);
void pv_str_addn(struct pv_str *s, const void *data, size_t n);
void pv_str_addc(struct pv_str *s, char c);
void pv_str_addf(struct pv_str *s, const char *fmt, ...) PV_PRINTF(2, 3);
void pv_str_vaddf(struct pv_str *s, const char *fmt, va_list ap) PV_PRINTF(2, 0);
const char *pv_str_text(const struct pv_str *s);	/* never NULL: "" when empty */
char *pv_str_steal(struct pv_str *s);			/* never NULL; s is empty afterwards */
void pv_str_reset(struct pv_str *s);			/* length 0, memory kept */
void pv_str_done(struct pv_str *s);			/* frees; idempotent */
#define pv_autostr __attribute__((cleanup(pv_str_done))) struct pv_str

/* A growing vector of owned strings; v is NULL-terminated once anything was added (usable as argv). */
struct pv_strv {
	char **v;
	size_t n, cap;
};
#define PV_STRV_INIT { 0, 0, 0 }
void pv_strv_add(struct pv_strv *sv, const char *s);		/* copies */
void pv_strv_addf(struct pv_strv *sv, const char *fmt, ...) PV_PRINTF(2, 3);
void pv_strv_take(struct pv_strv *sv, char *s);			/* takes ownership */
void pv_strv_add_all(struct pv_strv *sv, const char *const *list);	/* NULL-terminated list */
bool pv_strv_has(const struct pv_strv *sv, const char *s);
void pv_strv_sort(struct pv_strv *sv);				/* bytewise */
void pv_strv_uniq(struct pv_strv *sv);				/* of a sorted vector */
char *pv_strv_join(const struct pv_strv *sv, const char *sep);	/* never NULL */
void pv_strv_done(struct pv_strv *sv);				/* frees; idempotent */
#define pv_autostrv __attribute__((cleanup(pv_strv_done))) struct pv_strv

bool pv_streq(const char *a, const char *b);			/* NULL equals NULL only */
bool pv_starts(const char *s, const char *prefix);
bool pv_ends(const char *s, const char *suffix);

/* A decimal number and nothing else: no sign, space, leading zero ("0" alone is fine), within [min, max].
 * 0, or -1 with nothing set. */
int pv_parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret) PV_MUST_CHECK;

/* "512MiB", "2GiB", "1.5GiB" is refused; units KiB MiB GiB TiB, or a plain number of bytes. 0 or -1. */
int pv_parse_size(const char *text, uint64_t *ret_bytes) PV_MUST_CHECK;

/* "1.4 GiB", "2 GiB", "312 MiB", "17 B": for people. The caller frees. */
char *pv_size_text(uint64_t bytes);

/* "0.4 s", "12.3 s", "2 min 05 s": for people. The caller frees. */
char *pv_ms_text(uint64_t ms);

/* The member of the NULL-terminated list nearest to word (edit distance at most max(2, length/3), and something in
 * common), or NULL. */
const char *pv_nearest(const char *word, const char *const *list);

/* A line for a person or a log: control characters, invalid UTF-8 and the characters that reorder text become '?', a
 * tab becomes a space. The caller frees. */
char *pv_printable(const char *text, size_t len);

#endif
