/* SPDX-License-Identifier: Apache-2.0 */
/* The one error type: every function that can fail takes it last. */
#ifndef PV_ERROR_H
#define PV_ERROR_H

#include <stdarg.h>

/* The kind is the exit code of pvimg (ARCHITECTURE.md, "Exit codes"). */
enum pv_error_kind {
	PV_OK = 0,
	PV_ERR_STAGE = 1,	/* a stage failed: input, output, a child */
	PV_ERR_USAGE = 2,	/* the command line */
	PV_ERR_RECIPE = 3,	/* the recipe or an overlay is refused */
	PV_ERR_HOST = 4,	/* this host lacks something */
	PV_ERR_VERDICT = 5,	/* verification not green */
	PV_ERR_ARCHIVE = 6,	/* archive, remote or signature */
	PV_ERR_DIFFERS = 7,	/* lint, compare or reproduce found differences */
	PV_ERR_SIGINT = 130,
	PV_ERR_SIGTERM = 143,
};

struct pv_error {
	enum pv_error_kind kind;
	char *text;		/* one line, no newline; owned */
};

#define PV_ERROR_INIT { PV_OK, 0 }
#define PV_MUST_CHECK __attribute__((warn_unused_result))
#define PV_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* Sets the error (an earlier one is a bug and is replaced). Always returns -1: `return pv_error_set(...)`.
 * A NULL err is allowed everywhere: the caller does not want the words. */
int pv_error_set(struct pv_error *err, enum pv_error_kind kind, const char *fmt, ...) PV_PRINTF(3, 4);

/* The same, with ": strerror(errnum)" at the end. */
int pv_error_errno(struct pv_error *err, enum pv_error_kind kind, int errnum, const char *fmt, ...)
	PV_PRINTF(4, 5);

/* Puts "fmt: " before the words that are there; keeps the kind. Always returns -1. */
int pv_error_wrap(struct pv_error *err, const char *fmt, ...) PV_PRINTF(2, 3);

/* Forgets the error, frees its text; idempotent, keeps errno. */
void pv_error_clear(struct pv_error *err);

#define pv_autoerror __attribute__((cleanup(pv_error_clear))) struct pv_error

#endif
