/* SPDX-License-Identifier: Apache-2.0 */
/* The conversation with the agent that works in dom0 (scripts/dom0/agent): its lines taken apart, commands queued. Pure:
 * a driver moves the bytes. Whatever comes in is hostile: the guest's console is in it. */
#ifndef PV_AGENT_H
#define PV_AGENT_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"

/* Lines end in '\n'. From the agent, one of
 *	hello VERSION KEY=VALUE...	once, when dom0 is ready ("xen=4.17.5 kernel=6.1.0-50-amd64 dm=7.2.22 hap=yes")
 *	console TEXT			a line of the guest's hvc0
 *	event WORD TEXT			created DOMID; ended poweroff|reboot|crash|...; failed CAUSE; note TEXT
 *	> ID TEXT			a line of a command's answer
 *	= ID STATUS			the command's end: its exit status
 * To the agent: "ID COMMAND ARGUMENT...", words without blanks in them. Commands run side by side. Every other line
 * (and what is longer than PV_AGENT_LINE_MAX) is dropped and counted. */
#define PV_AGENT_LINE_MAX 8192u
#define PV_AGENT_VERSION 1u

struct pv_agent_handler {		/* any may be NULL; text is NUL-terminated and printable */
	void (*hello)(void *ctx, const char *facts);
	void (*console)(void *ctx, const char *text);
	void (*event)(void *ctx, const char *what, const char *text);
	void (*reply)(void *ctx, unsigned id, const char *text);
	void (*end)(void *ctx, unsigned id, int status);
	void (*tick)(void *ctx);	/* about twice a second while a driver runs */
	void *ctx;
};

struct pv_agent;
struct pv_agent *pv_agent_new(const struct pv_agent_handler *handler);
void pv_agent_free(struct pv_agent *agent);		/* NULL is fine */
void pv_agent_freep(struct pv_agent **agent);
#define pv_autoagent __attribute__((cleanup(pv_agent_freep))) struct pv_agent

/* For drivers: what came over the wire; the handler is called for each whole line. */
void pv_agent_feed(struct pv_agent *agent, const void *data, size_t len);
void pv_agent_tick(struct pv_agent *agent);
/* What is to go over the wire, and how much of it went. */
const char *pv_agent_pending(const struct pv_agent *agent, size_t *ret_len);
void pv_agent_sent(struct pv_agent *agent, size_t len);
/* The conversation is over: the driver ends the domain and returns 0. */
bool pv_agent_stopped(const struct pv_agent *agent);

/* For the brain: queues a command, returns its id (from 1). Arguments must hold no blanks or newlines. */
unsigned pv_agent_send(struct pv_agent *agent, const char *fmt, ...) PV_PRINTF(2, 3);
void pv_agent_stop(struct pv_agent *agent);
size_t pv_agent_dropped(const struct pv_agent *agent);

#endif
