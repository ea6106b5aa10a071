/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's report as it comes over its console: frames of one line, each with the run's nonce and a checksum, among
 * kernel messages and whatever else is printed there. */
#ifndef PV_FRAMES_H
#define PV_FRAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"
#include "vars.h"

/* "PVIMG NONCE INDEX COUNT CKSUM BASE64": INDEX from 0; CKSUM is POSIX cksum's CRC of "INDEX COUNT BASE64" in decimal; the
 * payloads in order make a base64 text, which is gzip of lines "name=value". Frames may come twice and in any order, and
 * stand behind other words in a line (a login prompt). What else is in the line is lost with the frame. */
#define PV_FRAMES_MAX 4096u		/* frames */
#define PV_FRAMES_TEXT_MAX ((size_t)1 << 20)	/* of the report unpacked */
#define PV_FRAMES_NAMES_MAX 4096u	/* lines in it */

struct pv_frames;
/* nonce: copied; not empty, no blanks. */
struct pv_frames *pv_frames_new(const char *nonce);
void pv_frames_free(struct pv_frames *f);	/* NULL is fine */
void pv_frames_freep(struct pv_frames **f);
#define pv_autoframes __attribute__((cleanup(pv_frames_freep))) struct pv_frames

/* True when the line held a frame of this run (good or damaged): it then is no console line. */
bool pv_frames_line(struct pv_frames *f, const char *line);
bool pv_frames_complete(const struct pv_frames *f);
/* The report. Names [a-z][A-Za-z0-9_.@-]*, values printable; of a name that comes twice the last counts. PV_ERR_STAGE
 * when it is damaged or not complete; ret is then as it was. */
int pv_frames_report(const struct pv_frames *f, struct pv_vars *ret, struct pv_error *err) PV_MUST_CHECK;

#endif
