/* SPDX-License-Identifier: Apache-2.0 */
/* A conversation with a program on another host: one ssh, lines and bytes to the program's stdin, lines from its stdout.
 * An answer's last line is "= ok WORDS" or "= error WORDS"; what comes before is its body. */
#ifndef PV_FAR_LINK_H
#define PV_FAR_LINK_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"
#include "far.h"

struct pv_far_link;

/* The whole conversation, in a thread of its own while ssh runs. It may block in the calls below. */
typedef int pv_far_talk_fn(struct pv_far_link *link, void *ctx, struct pv_error *err);

/* Runs `command` (words for the far shell) on the host and talks to it. What it writes last is waited for. ret_passing, when
 * -1: a broken connection or a host that does not answer, which may be better the next time. An interrupt ends ssh, and with
 * it the far program's input. PV_ERR_ARCHIVE, PV_ERR_HOST without ssh, or what talk says. err must not be NULL. */
int pv_far_run(const struct pv_far_address *to, const char *command, pv_far_talk_fn *talk, void *ctx, bool *ret_passing,
	       struct pv_error *err) PV_MUST_CHECK;

/* One line of an answer's body, of at most PV_FAR_LINE bytes. -1: no more of it. */
#define PV_FAR_LINE 4096u
typedef int pv_far_line_fn(void *ctx, const char *line, struct pv_error *err);

/* Sends a line. */
int pv_far_say(struct pv_far_link *link, struct pv_error *err, const char *fmt, ...) PV_PRINTF(3, 4) PV_MUST_CHECK;
int pv_far_send(struct pv_far_link *link, const void *data, size_t len, struct pv_error *err) PV_MUST_CHECK;
/* Reads an answer. on_line NULL: its body means nothing. ret_words, NULL or a string of the caller's: what follows "ok".
 * Where the far side says "error", PV_ERR_ARCHIVE with its words, else the last line of the body. */
int pv_far_answer(struct pv_far_link *link, pv_far_line_fn *on_line, void *ctx, struct pv_str *ret_words,
		  struct pv_error *err) PV_MUST_CHECK;
/* What is to be done there after an error; it may not arrive, and nobody waits. */
void pv_far_last_word(struct pv_far_link *link, const char *word);
/* Says and reads the answer. */
int pv_far_ask(struct pv_far_link *link, struct pv_str *ret_words, struct pv_error *err, const char *fmt, ...)
	PV_PRINTF(4, 5) PV_MUST_CHECK;

#endif
