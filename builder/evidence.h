/* SPDX-License-Identifier: Apache-2.0 */
/* What was seen of one boot: the console, the guest's own report, what dom0 saw, what an outsider saw. Collected by
 * verify, judged by verdict. */
#ifndef PV_EVIDENCE_H
#define PV_EVIDENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "text.h"
#include "vars.h"

struct pv_seen_line {
	uint64_t ms;			/* since the driver started */
	char *text;			/* printable */
};

/* A guest may print for ever: the first lines and the newest are kept, those between are dropped and counted. */
#define PV_EVIDENCE_LINES 16384u
#define PV_EVIDENCE_LINE_MAX 1000u	/* bytes kept of a line */

struct pv_evidence {
	struct pv_seen_line *console;	/* hvc0, without frames */
	size_t nconsole, console_cap, console_dropped;
	struct pv_strv screen;		/* the VGA text page when last read, without empty lines at its end */
	bool created;			/* the domain was made */
	char *failed;			/* why it was not (xl's words), or NULL */
	char *ended;			/* "poweroff", "reboot", "crash": how it ended by itself; NULL: it ran to our end */
	bool deadline;			/* time ran out */
	bool silent;			/* given up since its kernel fell silent (verify_brain.h) */
	bool have_probe, have_dom0;
	struct pv_vars probe;		/* the guest's report (scripts/guest/probe) */
	struct pv_vars dom0;		/* what dom0 saw (dom0facts.h) */
	struct pv_vars outside;		/* from dom0 across the netfront: "http_status" "200", "http_body" "ok", "memcached"
					 * "refused" | "timeout" | "open", "ssh" "ok"; a failure's words stand as the value */
	/* Of the load test; empty: none was made. "memcached_bytes", "memcached_evictions" (memcached's stats when it was
	 * full), "hold_held" (connections that dom0 held), "apache_busy" (busy workers then), "mem_available_kib" (the
	 * lowest seen), "oom_kills", "failed_units", "memcached_pid_same", "apache_pid_same" (scripts/guest/load has more). */
	struct pv_vars load;
	/* Of a boot that is measured (compare.h); else empty. What the agent's `stats` printed before dom0 fetched a file,
	 * and after it as "after.NAME"; "pull.bytes", "pull.ms" of the file, or "pull" with the words of a failure; of the
	 * windows in which exits were traced "disk.exits_total", "disk.exit.REASON" ... and "net.exits_total" ..., or
	 * "disk.exits", "net.exits" with the words of a failure. */
	struct pv_vars measured;
	/* ms since the driver's start: "hello", "created", "screen", "grub", "kernel", "initramfs", "userspace", "login",
	 * "report" (it is whole), "done" (when watching ended). */
	struct pv_vars marks;
};

/* Takes a copy, cut at PV_EVIDENCE_LINE_MAX, without a terminal's colours. Lines come in the order of their times. */
void pv_evidence_line(struct pv_evidence *seen, uint64_t ms, const char *text);
void pv_evidence_done(struct pv_evidence *seen);
#define pv_autoevidence __attribute__((cleanup(pv_evidence_done))) struct pv_evidence

#endif
