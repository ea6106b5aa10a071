/* SPDX-License-Identifier: Apache-2.0 */
/* Another host that is reached by the user's own OpenSSH: its address, words for its shell, the command line, and what a
 * failure of ssh means. */
#ifndef PV_FAR_H
#define PV_FAR_H

#include <stdbool.h>

#include "error.h"
#include "text.h"

/* xl+ssh://[USER@]HOST[:PORT]/FOLDER[?bridge=NAME], every member owned. */
struct pv_far_address {
	char *user, *port;	/* NULL: as ~/.ssh/config says */
	char *host;		/* a name, an address or a Host of ~/.ssh/config, without [] */
	char *folder;		/* absolute, percent signs decoded, no slash at its end */
	char *bridge;		/* NULL: not said */
	char *shown;		/* "xl+ssh://..." as it was given, without the query: for people and records */
};
/* PV_ERR_USAGE. A password is refused, and not repeated in the error; so are a folder with "." or "..", and what xl or the
 * device model reads its own way in a disk's path: commas, colons, double quotes, backslashes, control characters. */
int pv_far_address_parse(const char *to, struct pv_far_address *ret, struct pv_error *err) PV_MUST_CHECK;
void pv_far_address_done(struct pv_far_address *a);
#define pv_autofar __attribute__((cleanup(pv_far_address_done))) struct pv_far_address

/* Adds the word to out so that a POSIX shell reads exactly this word. -1 with nothing added: control characters, which no
 * name of ours has. The program's text (with its newlines) goes through pv_far_quote_text. */
int pv_far_quote(struct pv_str *out, const char *word) PV_MUST_CHECK;
void pv_far_quote_text(struct pv_str *out, const char *text);

/* "ssh" with its options and the address, up to the far command, which the caller adds. Nobody is asked anything, no
 * key is accepted, nothing is forwarded, no connection of somebody else's is shared. */
void pv_far_argv(const struct pv_far_address *to, struct pv_strv *ret);

/* What an end of ssh with exit code 255 means, by the last lines it wrote. ret_passing: it may be different the next time.
 * PV_ERR_ARCHIVE, always -1. */
int pv_far_why(const struct pv_far_address *to, const char *tail, bool *ret_passing, struct pv_error *err);

#endif
