/* SPDX-License-Identifier: Apache-2.0 */
/* Makes, wraps and forgets errors; keeps their words to one printable line. */
#include "error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

/* One line for a person: newlines become spaces, the rest printable. Takes text over. */
static char *one_line(char *text)
{
	size_t len = strlen(text);
	char *ret;

	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == ' '))
		len--;
	for (size_t i = 0; i < len; i++)
		if (text[i] == '\n' || text[i] == '\r')
			text[i] = ' ';
	ret = pv_printable(text, len);
	free(text);
	return ret;
}

/* Takes text over. The old words may have been an argument of the new ones, so they go last. */
static void replace(struct pv_error *err, enum pv_error_kind kind, char *text)
{
	char *old = err->text;

	err->kind = kind;
	err->text = one_line(text);
	free(old);
}

int pv_error_set(struct pv_error *err, enum pv_error_kind kind, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	if (!err)
		return -1;
	va_start(ap, fmt);
	replace(err, kind, pv_vfmt(fmt, ap));
	va_end(ap);
	errno = saved;
	return -1;
}

int pv_error_errno(struct pv_error *err, enum pv_error_kind kind, int errnum, const char *fmt, ...)
{
	int saved = errno;
	char buf[128];
	char *words;
	va_list ap;

	if (!err)
		return -1;
	va_start(ap, fmt);
	words = pv_vfmt(fmt, ap);
	va_end(ap);
	replace(err, kind, pv_fmt("%s: %s", words, strerror_r(errnum, buf, sizeof(buf))));
	free(words);
	errno = saved;
	return -1;
}

int pv_error_wrap(struct pv_error *err, const char *fmt, ...)
{
	int saved = errno;
	char *words;
	va_list ap;

	if (!err)
		return -1;
	va_start(ap, fmt);
	words = pv_vfmt(fmt, ap);
	va_end(ap);
	if (err->text) {
		replace(err, err->kind, pv_fmt("%s: %s", words, err->text));
		free(words);
	} else {
		replace(err, err->kind == PV_OK ? PV_ERR_STAGE : err->kind, words);
	}
	errno = saved;
	return -1;
}

void pv_error_clear(struct pv_error *err)
{
	int saved = errno;

	if (!err)
		return;
	free(err->text);
	err->text = NULL;
	err->kind = PV_OK;
	errno = saved;
}
