/* SPDX-License-Identifier: Apache-2.0 */
/* A client of QEMU's monitor protocol over a connected stream socket: never blocks, made for pv_proc's watches. */
#ifndef PV_QMP_H
#define PV_QMP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "error.h"

/* Source of the protocol: QEMU docs/interop/qmp-spec. QEMU greets, is answered with qmp_capabilities, and then takes
 * commands in order. One JSON object a line. What QEMU says is held to be hostile (a guest may own QEMU): a line longer
 * than PV_QMP_LINE_MAX, one that is no JSON object, or an answer to nothing ends the conversation.
 *
 * Use:	int pair[2];
 *	socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
 *	QEMU gets	-chardev socket,id=qmp,fd=PAIR1 -mon chardev=qmp,mode=control	and pair[1] through keep_fds
 *	qmp = pv_qmp_new(pair[0], &handler);
 *	watch = { .fd = pair[0], .want = pv_qmp_want, .ready = pv_qmp_ready, .ctx = qmp };
 *	pv_qmp_send(qmp, "cont", NULL, NULL, NULL, NULL);	before or while QEMU runs, from callbacks too
 *	pv_proc_run(); pv_qmp_error(); pv_qmp_free();
 * Who waits for an answer in vain: that is the caller's clock (on_tick, stop); pv_qmp_waiting tells. */
#define PV_QMP_LINE_MAX (1024u * 1024)
#define PV_QMP_QUEUE_MAX 64u		/* commands not answered yet */

/* A command's answer, called exactly once for each command sent, unless pv_qmp_free comes first. ret: what QEMU
 * returned, borrowed, never NULL on success. error: NULL, or one printable line ("GenericError: no such device", or
 * why the conversation ended), then ret is NULL. */
typedef void pv_qmp_answer_fn(void *ctx, const json_t *ret, const char *error);

struct pv_qmp_handler {			/* any may be NULL */
	/* Negotiated; pv_qmp_version is known. */
	void (*greeted)(void *ctx);
	/* "STOP", "RESUME", "SHUTDOWN", "RESET", "MIGRATION"... data: borrowed, an object, never NULL. (MIGRATION comes only
	 * after migrate-set-capabilities with events on; its data is {"status": "completed"} and the like.) */
	void (*event)(void *ctx, const char *name, const json_t *data);
	/* The conversation is over: QEMU closed it (err->kind PV_OK) or broke its rules. Called once. */
	void (*ended)(void *ctx, const struct pv_error *err);
	void *ctx;
};

struct pv_qmp;
/* Takes fd over (closed by pv_qmp_free), makes it non-blocking. The handler is copied. fd -1: none; what is to be
 * written stays (pv_qmp_pending), input comes by pv_qmp_feed: for tests. */
struct pv_qmp *pv_qmp_new(int fd, const struct pv_qmp_handler *handler);
void pv_qmp_free(struct pv_qmp *qmp);		/* NULL is fine; calls nobody */
void pv_qmp_freep(struct pv_qmp **qmp);
#define pv_autoqmp __attribute__((cleanup(pv_qmp_freep))) struct pv_qmp

/* Queues a command; it is written once QEMU has greeted. args: an object that this call takes over also when it fails,
 * or NULL. answer may be NULL: errors are then kept for pv_qmp_error. PV_ERR_STAGE when the conversation is over or the
 * queue is full. */
int pv_qmp_send(struct pv_qmp *qmp, const char *command, json_t *args, pv_qmp_answer_fn *answer, void *ctx,
		struct pv_error *err) PV_MUST_CHECK;
/* The same, and fd rides along (SCM_RIGHTS): "getfd" with {"fdname": NAME}, or "add-fd". The caller keeps fd, a
 * duplicate is sent. Later commands wait until this one is answered, or QEMU might mix the descriptors up. */
int pv_qmp_send_fd(struct pv_qmp *qmp, int fd, const char *command, json_t *args, pv_qmp_answer_fn *answer, void *ctx,
		   struct pv_error *err) PV_MUST_CHECK;
/* "getfd" in short: QEMU then knows fd as NAME ("migrate" to "fd:NAME", say). */
int pv_qmp_give_fd(struct pv_qmp *qmp, int fd, const char *name, pv_qmp_answer_fn *answer, void *ctx,
		   struct pv_error *err) PV_MUST_CHECK;

/* For struct pv_proc_watch, ctx being the struct pv_qmp. */
short pv_qmp_want(void *qmp);
bool pv_qmp_ready(void *qmp, short revents);

/* What QEMU said, from wherever: pv_qmp_ready's inside. */
void pv_qmp_feed(struct pv_qmp *qmp, const void *data, size_t len);
/* What is to be written now (without descriptors): for tests. */
const char *pv_qmp_pending(const struct pv_qmp *qmp, size_t *ret_len);
void pv_qmp_sent(struct pv_qmp *qmp, size_t len);

bool pv_qmp_greeted(const struct pv_qmp *qmp);		/* negotiated */
bool pv_qmp_over(const struct pv_qmp *qmp);
size_t pv_qmp_waiting(const struct pv_qmp *qmp);	/* commands queued or not answered yet */
const char *pv_qmp_version(const struct pv_qmp *qmp);	/* "7.2.22"; NULL before the greeting */
/* 0, or -1 with the first thing that went wrong: rules broken, or the error of a command that nobody waited for. An
 * end of the conversation is nothing wrong by itself. */
int pv_qmp_error(const struct pv_qmp *qmp, struct pv_error *err) PV_MUST_CHECK;

#endif
