/* SPDX-License-Identifier: Apache-2.0 */
/* Verify's side of the conversation: what to ask of the agent and when, until nothing more is to be seen. */
#ifndef PV_VERIFY_BRAIN_H
#define PV_VERIFY_BRAIN_H

#include <stdbool.h>

#include "agent.h"
#include "error.h"
#include "evidence.h"
#include "log.h"

/* Reading the screen costs dom0 more than a second where it is emulated, and GRUB's disk waits for dom0 then. */
#define PV_BRAIN_SCREEN_MS 25000u

/* Measuring: how long exits are traced, in seconds. The probe waits 4 s before it reads the disk, and the brain waits
 * before it has the file fetched. */
#define PV_BRAIN_TRACE_S "12"

struct pv_brain_request {
	const char *nonce;		/* of the guest's frames */
	bool load;			/* make the load test */
	bool measure;			/* ask what compare wants to know (evidence: measured), once all else is seen */
	unsigned workers;		/* Apache's limit, to be held; 0: unknown */
	unsigned deadline_s;		/* since the agent's hello */
	unsigned silence_ms;		/* a kernel that says nothing for so long before its first program is given up
					 * (evidence: silent); 0: never */
	unsigned screen_every_ms;	/* how often the screen is read before the kernel speaks; 0: PV_BRAIN_SCREEN_MS */
	unsigned pull_after_ms;		/* measuring: how long tracing has to begin before the file is fetched; 0: 3000 */
	const char *console_path;	/* the console's log is written there as it comes */
	const char *image;		/* for the log's lines */
	struct pv_log *log;
};

struct pv_brain;
/* `seen` outlives the brain and is filled by it. */
int pv_brain_new(const struct pv_brain_request *req, struct pv_evidence *seen, struct pv_brain **ret,
		 struct pv_error *err) PV_MUST_CHECK;
/* For the driver; the brain's own. */
struct pv_agent *pv_brain_agent(const struct pv_brain *brain);
/* Ends the collecting: what frames and dom0 said goes into the evidence. Whether the console's log could be written. */
int pv_brain_end(struct pv_brain *brain, struct pv_error *err) PV_MUST_CHECK;
void pv_brain_free(struct pv_brain *brain);
void pv_brain_freep(struct pv_brain **brain);
#define pv_autobrain __attribute__((cleanup(pv_brain_freep))) struct pv_brain

#endif
