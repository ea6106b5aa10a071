/* SPDX-License-Identifier: Apache-2.0 */
/* Several jobs of one run, each in a process of its own, that take turns: processors, memory and quiet are given out by
 * the process that started them. */
#ifndef PV_TURNS_H
#define PV_TURNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"

/* What a job holds or waits for. */
enum pv_turn_kind {
	PV_TURN_NONE,		/* nothing: it has not begun, or waits for something outside */
	PV_TURN_PLAN,		/* a slot; one job at a time, so that the next one finds what it has downloaded */
	PV_TURN_WORK,		/* a slot, and memory */
	PV_TURN_PROOF,		/* the machine for itself, when no other job plans or works any more */
};

/* A job's end of it. Every call takes NULL, for who builds alone, and then grants at once. */
struct pv_turn;

/* Gives back what it holds and waits for a turn of this kind; `bytes` of memory are for PV_TURN_WORK. Who asks for more
 * than there is gets it when nobody else has any. NONE comes at once. To wait with a lock in hand is allowed to who never
 * waits for a lock with a turn in hand. PV_ERR_SIGINT, PV_ERR_SIGTERM; PV_ERR_STAGE: who gives turns is gone. */
int pv_turn_take(struct pv_turn *turn, enum pv_turn_kind kind, uint64_t bytes, struct pv_error *err) PV_MUST_CHECK;

/* --- the process that gives them --- */

struct pv_turn_seat {
	enum pv_turn_kind holds, wants;		/* wants NONE: it does not wait for a turn */
	uint64_t bytes;				/* of memory, that it holds or wants */
	bool ended;
};

struct pv_turn_limits {
	unsigned slots;				/* jobs that plan or work at the same time */
	uint64_t memory;			/* for all that work at the same time */
};

/* The job that gets its turn next, the first that can; n: none. A pure function. */
size_t pv_turns_next(const struct pv_turn_seat *seats, size_t n, const struct pv_turn_limits *limits);

/* Runs in a process of its own, forked from this one, in a mount namespace of its own; dies with who gives turns. */
typedef int pv_turns_job_fn(void *ctx, size_t job, struct pv_turn *turn, struct pv_error *err);

/* Called when job `job` has ended: cause is NULL, or why it failed. */
typedef void pv_turns_end_fn(void *ctx, size_t job, const struct pv_error *cause);

/* Runs jobs 0 to n - 1 and waits for all; that one fails does not end the others. A signal that is noted (proc.h) is
 * passed on to all. Needs pv_ns_enter and one thread. Errors: jobs cannot be started (those that were are ended);
 * interruption. */
int pv_turns_run(size_t n, const struct pv_turn_limits *limits, pv_turns_job_fn *job, pv_turns_end_fn *end, void *ctx,
		 struct pv_error *err) PV_MUST_CHECK;

#endif
