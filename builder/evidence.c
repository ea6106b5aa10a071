/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps what was seen of a boot, within bounds. */
#include "evidence.h"

#include <stdlib.h>
#include <string.h>

#define KEPT_FIRST (PV_EVIDENCE_LINES / 2)
#define DROPPED_AT_ONCE (PV_EVIDENCE_LINES / 8)

static void make_room(struct pv_evidence *seen)
{
	struct pv_seen_line *from = seen->console + KEPT_FIRST;

	for (size_t i = 0; i < DROPPED_AT_ONCE; i++)
		free(from[i].text);
	memmove(from, from + DROPPED_AT_ONCE, (seen->nconsole - KEPT_FIRST - DROPPED_AT_ONCE) * sizeof(*from));
	seen->nconsole -= DROPPED_AT_ONCE;
	seen->console_dropped += DROPPED_AT_ONCE;
}

/* What colours a terminal goes: "ESC [ 0;32m", whose first character pv_printable has made a '?' already. */
static void drop_colors(char *text)
{
	char *to = text;

	for (const char *from = text; *from;) {
		size_t n = from[0] == '?' && from[1] == '[' ? 2 + strspn(from + 2, "0123456789;") : 0;
		if (n > 0 && strchr("mKJHh", from[n]) && from[n])
			from += n + 1;
		else
			*to++ = *from++;
	}
	*to = '\0';
}

void pv_evidence_line(struct pv_evidence *seen, uint64_t ms, const char *text)
{
	if (seen->nconsole == PV_EVIDENCE_LINES)
		make_room(seen);
	if (seen->nconsole == seen->console_cap) {
		seen->console_cap = seen->console_cap ? seen->console_cap * 2 : 256;
		seen->console = pv_xreallocarray(seen->console, seen->console_cap, sizeof(*seen->console));
	}
	/* Again printable: the cut may have been within a character. */
	char *kept = pv_printable(text, strnlen(text, PV_EVIDENCE_LINE_MAX));
	drop_colors(kept);
	seen->console[seen->nconsole++] = (struct pv_seen_line){ .ms = ms, .text = kept };
}

void pv_evidence_done(struct pv_evidence *seen)
{
	for (size_t i = 0; i < seen->nconsole; i++)
		free(seen->console[i].text);
	free(seen->console);
	pv_strv_done(&seen->screen);
	free(seen->failed);
	free(seen->ended);
	pv_vars_done(&seen->probe);
	pv_vars_done(&seen->dom0);
	pv_vars_done(&seen->outside);
	pv_vars_done(&seen->load);
	pv_vars_done(&seen->measured);
	pv_vars_done(&seen->marks);
	*seen = (struct pv_evidence){ 0 };
}
