/* SPDX-License-Identifier: Apache-2.0 */
/* The one way to run another program. No shell is ever involved. */
#ifndef PV_PROC_H
#define PV_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

/* One line of the child's output, without its newline, at most 64 KiB (longer lines come in pieces). */
typedef void pv_proc_line_fn(void *ctx, const char *line, size_t len);

/* A descriptor of this process's own that is served while a program runs: the other end of a socket the program got
 * through keep_fds, say. Callbacks must not block; signals are held back while they run. After the program's end what
 * can still be read is read, for 1 s at most. */
struct pv_proc_watch {
	int fd;				/* not closed here; should not block; < 0: passed over */
	/* POLLIN|POLLOUT wanted now; 0: nothing now, and hang-ups are not seen either. NULL: always POLLIN. */
	short (*want)(void *ctx);
	/* revents as poll gives them, POLLHUP and POLLERR too: at the end of input return false, it comes again at once
	 * otherwise. False: watch it no more. */
	bool (*ready)(void *ctx, short revents);
	void *ctx;
};

struct pv_proc {
	const char *const *argv;	/* argv[0] is looked up on the child's PATH, after setup; NULL-terminated */
	const char *const *env;		/* NULL: this process's environment */
	const char *cwd;		/* entered after setup; NULL: unchanged */
	const char *input;		/* written to stdin; NULL: stdin is /dev/null */
	size_t input_len;
	const int *keep_fds;		/* descriptors (> 2) the program keeps, at the same numbers; all others close
					 * (setup still sees them all) */
	size_t nkeep_fds;
	int stdout_fd;			/* > 0: the child's stdout goes there, raw, and on_stdout sees nothing */
	pv_proc_line_fn *on_stdout;	/* NULL: stdout goes where stderr goes */
	pv_proc_line_fn *on_stderr;	/* NULL: kept only in the result's tail */
	void *ctx;			/* for both */
	void (*on_tick)(void *tick_ctx);	/* called about twice a second while the program runs; NULL: none */
	void *tick_ctx;
	const struct pv_proc_watch *watches;	/* served in this order; the array stays the caller's */
	size_t nwatches;
	/* Asked after each turn of the loop (each event, and about twice a second): true ends the program as a deadline
	 * does, yet is no error. NULL: never. */
	bool (*stop)(void *tick_ctx);
	unsigned deadline_s;		/* CLOCK_MONOTONIC seconds; 0: none. Past it the group gets SIGTERM, later SIGKILL */
	unsigned grace_s;		/* from SIGTERM to SIGKILL; 0: 2 s */
	int death_signal;		/* what it gets when this process dies; 0: SIGKILL */
	/* Runs in the child after fork and before exec: 0, or -1 with *err set (the words reach the parent's err).
	 * May fork further and never return in the middle processes, as long as these end with _exit and pass the
	 * last child's wait status on. */
	int (*setup)(void *setup_ctx, struct pv_error *err);
	void *setup_ctx;
};

struct pv_proc_result {
	int exit_code;			/* -1 when it did not exit by itself */
	int signal;			/* 0, or the signal that ended it */
	bool timed_out;
	uint64_t wall_ms;
	uint64_t max_rss_kib;		/* from wait4 */
	char *tail;			/* the last 20 lines of stderr (and of stdout where merged), printable; owned */
	unsigned deadline_s;		/* the one it was given */
	bool stopped;			/* by stop(), in time; it may have exited by itself all the same */
};
void pv_proc_result_done(struct pv_proc_result *res);
#define pv_autoproc __attribute__((cleanup(pv_proc_result_done))) struct pv_proc_result
#define PV_PROC_RESULT_INIT { -1, 0, false, 0, 0, 0, 0, false }

/* Runs and waits. Returns 0 when the child was started and has ended, however it ended; -1 when it could not be
 * started (PV_ERR_HOST "NAME: not found; install it" for a missing program), or when pv_proc_interrupted() became
 * true meanwhile (the group is ended and reaped; kind PV_ERR_SIGINT or PV_ERR_SIGTERM). The child leads its own
 * process group, has default signal handling and an empty mask, and dies with this process (PR_SET_PDEATHSIG) unless
 * death_signal lets it clean up first. What is left of its group when it has ended is killed; output that somebody else
 * still holds open is given up after 1 s. */
int pv_proc_run(const struct pv_proc *proc, struct pv_proc_result *res, struct pv_error *err) PV_MUST_CHECK;

/* pv_proc_run, and anything but exit code 0 or an end by stop() is an error of `kind`: "NAME: exit code 100: LAST LINE" or
 * "NAME: killed by signal 9 (Killed)". */
int pv_proc_check(const struct pv_proc *proc, enum pv_error_kind kind, struct pv_error *err) PV_MUST_CHECK;

/* Words for how a child ended: "exit code 2", "killed by signal 9 (Killed)", "no end within 30 s", "stopped". Caller
 * frees. */
char *pv_proc_fate(const struct pv_proc_result *res);
/* The last line of the tail that says something, at most 300 bytes: for an error's one line. "" when there is none. Caller
 * frees. */
char *pv_proc_last_line(const struct pv_proc_result *res);

/* Full path of a program on PATH (and /usr/sbin:/sbin, which an ordinary user's PATH lacks); NULL if none. The
 * caller frees. */
char *pv_proc_which(const char *name);

/* PV_ERR_HOST "NAME: not found; install PACKAGE" when pv_proc_which finds none. */
int pv_proc_need(const char *name, const char *package, struct pv_error *err) PV_MUST_CHECK;

/* Installs handlers for SIGINT, SIGTERM and SIGHUP that note the signal; SIGPIPE is ignored. main calls it once. */
void pv_proc_catch_signals(void);
/* The signal noted, or 0. Long loops ask. */
int pv_proc_interrupted(void);
/* 0, or -1 with the error "interrupted" of the right kind: for long loops. */
int pv_proc_check_interrupt(struct pv_error *err) PV_MUST_CHECK;

#endif
