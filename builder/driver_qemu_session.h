/* SPDX-License-Identifier: Apache-2.0 */
/* One QEMU with Xen and dom0 in it, from its start to its end. Only the driver xen-in-qemu uses this. */
#ifndef PV_DRIVER_QEMU_SESSION_H
#define PV_DRIVER_QEMU_SESSION_H

#include "agent.h"
#include "dom0.h"
#include "driver_qemu_args.h"

struct pv_qemu_session {
	/* What to do. */
	const struct pv_qemu_machine *machine;
	struct pv_qemu_files files;	/* wire, qmp and log are the session's own */
	const struct pv_dom0 *dom0;
	const char *work_dir;		/* xen.log appears in it */
	struct pv_agent *agent;		/* has the conversation once dom0 has said hello; NULL: that is all it is to do */
	const char *restored;		/* what the saved dom0 that comes in had said; NULL: it boots */
	int save_fd;			/* >= 0: its state goes there once it has said hello, before anything is asked of it */
	void (*on_saved)(void *ctx, const char *hello, uint64_t hello_ms);	/* the state is complete; QEMU goes on */
	void *ctx;
	unsigned hello_s;		/* how long it may take to the hello, in seconds */

	/* What came of it. */
	char *hello;			/* its words; NULL: none in time. pv_qemu_session_done frees */
	uint64_t hello_ms;		/* from QEMU's start */
	char *last_words;		/* of Xen and dom0, when there was no hello in time; else NULL */
	char *save_error;		/* why not; NULL when nothing was to be saved, or all went well */
};

/* Runs QEMU in a sandbox (host_tools) until the agent is stopped or what was to do is done. 0 also when there was no
 * hello in time. PV_ERR_STAGE: QEMU, Xen or dom0 ended by itself, with its last words; PV_ERR_HOST: it cannot be run here.
 * Needs pv_ns_enter. */
int pv_qemu_session_run(struct pv_qemu_session *s, struct pv_error *err) PV_MUST_CHECK;
void pv_qemu_session_done(struct pv_qemu_session *s);

#endif
