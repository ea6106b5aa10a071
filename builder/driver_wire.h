/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes between pv_agent and a socket, as callbacks for pv_proc's watches. */
#ifndef PV_DRIVER_WIRE_H
#define PV_DRIVER_WIRE_H

#include <stdbool.h>

#include "agent.h"
#include "proc.h"

struct pv_agent_wire {
	int fd;				/* a stream socket of ours; -1: at its end */
	struct pv_agent *agent;		/* who hears and speaks now; may change after any line; NULL: nobody */
};

/* A watch of it; `wire` outlives it. */
struct pv_proc_watch pv_agent_wire_watch(struct pv_agent_wire *wire);

#endif
