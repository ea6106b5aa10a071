/* SPDX-License-Identifier: Apache-2.0 */
/* What a person or a program sees while pvimg works, and the build log. Only commands and stages log. */
#ifndef PV_LOG_H
#define PV_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

enum pv_log_mode {
	PV_LOG_AUTO,		/* live lines on a terminal, else plain */
	PV_LOG_PLAIN,
	PV_LOG_LIVE,
	PV_LOG_JSON,		/* one JSON object a line on stdout */
};

struct pv_log;

/* Text goes to stderr, JSON lines to stdout. Ends the program on lack of memory only. Every call below takes a NULL
 * log and then does nothing. One thread at a time. In JSON mode messages are {"event":"info|warn|debug","text":..} and a
 * child's lines (verbose only) {"event":"output","text":..}. */
struct pv_log *pv_log_new(enum pv_log_mode mode, bool verbose);
void pv_log_free(struct pv_log *log);		/* wipes live lines; NULL is fine */
void pv_log_freep(struct pv_log **log);
#define pv_autolog __attribute__((cleanup(pv_log_freep))) struct pv_log

/* From here on several processes write side by side, each of them for one image: messages name it, nothing is rewritten. */
void pv_log_share(struct pv_log *log, const char *image);

/* From here on everything, debug and children's output too, also goes to this file (made or emptied), each line with
 * seconds since the start. Closed by the next call or by free; NULL closes. */
int pv_log_file(struct pv_log *log, const char *path, struct pv_error *err) PV_MUST_CHECK;

void pv_log_info(struct pv_log *log, const char *fmt, ...) PV_PRINTF(2, 3);
void pv_log_warn(struct pv_log *log, const char *fmt, ...) PV_PRINTF(2, 3);
void pv_log_debug(struct pv_log *log, const char *fmt, ...) PV_PRINTF(2, 3);	/* terminal only when verbose */

/* One line of a child's output: build log, and the terminal only when verbose. Made printable first. */
void pv_log_child(struct pv_log *log, const char *line, size_t len);

/* Stages: one runs at a time within one image; image and stage name a line. Live: one line, rewritten at most ten
 * times a second: "debian-2g  fetch  148/312 packages  201/388 MiB  0:07". Plain: one line at begin, one a 10 s
 * while progress moves, one at the end. JSON: {"event":"stage","image":..,"stage":..,"state":"begin|progress|end"
 * ,"done":..,"total":..,"unit":..,"ms":..}. */
void pv_log_stage_begin(struct pv_log *log, const char *image, const char *stage);
/* unit "bytes" is shown as sizes; else "packages", "files". A stage may count bytes and one other unit side by side.
 * total 0: unknown. Cheap: may be called per block. JSON: at most one event a second and unit, and the last. */
void pv_log_stage_progress(struct pv_log *log, uint64_t done, uint64_t total, const char *unit);
/* The same for bytes, as a callback of who knows no log. */
void pv_log_stage_bytes(void *log, uint64_t done, uint64_t total);
/* Shows the time passing in a stage that has nothing to count. To be called now and then; cheap. */
void pv_log_tick(struct pv_log *log);
/* note: one short phrase, or NULL ("88 packages", "from the store"). */
void pv_log_stage_end(struct pv_log *log, bool ok, const char *note);

/* What programs read last: {"event":"result","image":..,"path":..} for each image made, or {"event":"error","exit":..,
 * "text":..}. JSON mode only: a person reads the message that the command and main print. */
void pv_log_result(struct pv_log *log, const char *image, const char *path);
void pv_log_error(struct pv_log *log, const struct pv_error *cause);

#endif
