/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs in processes of their own: a socket to each, on which it asks for its turn and at last says how it ended. */
#include "turns.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fsutil.h"
#include "proc.h"
#include "text.h"

#define NAP_MS 200		/* a signal just before poll must not be lost */

enum { WORDS_MAX = 4096 };

/* One packet: what a job asks for, or its end; the answer is one byte. */
struct message {
	bool is_end;
	enum pv_turn_kind kind;
	uint64_t bytes;
	enum pv_error_kind error;	/* PV_OK: it succeeded */
	char words[WORDS_MAX];
};

struct pv_turn {
	int fd;
};

/* A job as the process sees it that gives turns. */
struct job {
	pid_t pid;
	int fd;
	struct pv_error cause;		/* what it said at its end */
	bool said_end;
};

struct turns {
	const struct pv_turn_limits *limits;
	size_t n, running;
	struct job *jobs;
	struct pv_turn_seat *seats;
	struct pollfd *polls;
	int passed_on;			/* the signal that all have got, or 0 */
	pv_turns_end_fn *end;
	void *ctx;
};

/* --- whose turn it is --- */

static bool can_have(const struct pv_turn_seat *seats, size_t n, size_t asking, const struct pv_turn_limits *limits)
{
	const struct pv_turn_seat *one = &seats[asking];
	bool proof = one->wants == PV_TURN_PROOF;
	unsigned busy = 0;
	uint64_t memory = 0;

	for (size_t i = 0; i < n; i++) {
		const struct pv_turn_seat *other = &seats[i];
		if (i == asking || other->ended)
			continue;
		/* quiet is there when all others are done, or wait for quiet, too */
		if (other->holds == PV_TURN_PROOF || (proof && other->wants != PV_TURN_PROOF))
			return false;
		if (other->holds == PV_TURN_PLAN && one->wants == PV_TURN_PLAN)
			return false;
		busy += other->holds != PV_TURN_NONE;
		memory += other->holds == PV_TURN_WORK ? other->bytes : 0;
	}
	if (proof)
		return true;
	if (busy >= limits->slots)
		return false;
	return one->wants != PV_TURN_WORK || memory == 0 ||
	       (memory <= limits->memory && one->bytes <= limits->memory - memory);
}

size_t pv_turns_next(const struct pv_turn_seat *seats, size_t n, const struct pv_turn_limits *limits)
{
	for (size_t i = 0; i < n; i++)
		if (!seats[i].ended && seats[i].wants != PV_TURN_NONE && can_have(seats, n, i, limits))
			return i;
	return n;
}

/* --- a job's side --- */

static int gone(struct pv_error *err)
{
	return pv_error_set(err, PV_ERR_STAGE, "the pvimg that runs these builds is gone");
}

static int say(const struct pv_turn *turn, const struct message *message, struct pv_error *err)
{
	ssize_t n;

	do
		n = send(turn->fd, message, sizeof(*message), MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(*message) ? 0 : gone(err);
}

int pv_turn_take(struct pv_turn *turn, enum pv_turn_kind kind, uint64_t bytes, struct pv_error *err)
{
	char answer;

	if (!turn)
		return 0;
	pv_autofree struct message *message = pv_xcalloc(1, sizeof(*message));
	message->kind = kind;
	message->bytes = bytes;
	if (say(turn, message, err) < 0)
		return -1;
	while (kind != PV_TURN_NONE) {
		struct pollfd poll_fd = { .fd = turn->fd, .events = POLLIN };

		if (pv_proc_check_interrupt(err) < 0)
			return -1;
		if (poll(&poll_fd, 1, NAP_MS) > 0)
			return recv(turn->fd, &answer, 1, 0) == 1 ? 0 : gone(err);
	}
	return 0;
}

static void __attribute__((noreturn)) run_job(const struct turns *t, size_t i, int fd, pid_t parent,
					      pv_turns_job_fn *job)
{
	struct pv_turn turn = { .fd = fd };
	pv_autoerror cause = PV_ERROR_INIT, ignored = PV_ERROR_INIT;
	struct message *end = pv_xcalloc(1, sizeof(*end));
	int rc = -1;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(1);
	for (size_t k = 0; k < i; k++)
		pv_closep(&t->jobs[k].fd);
	/* what it mounts goes with it, not with the last of all */
	if (unshare(CLONE_NEWNS) < 0)
		pv_error_errno(&cause, PV_ERR_HOST, errno, "unshare");
	else
		rc = job(t->ctx, i, &turn, &cause);
	end->is_end = true;
	end->error = rc == 0 ? PV_OK : cause.kind == PV_OK ? PV_ERR_STAGE : cause.kind;
	snprintf(end->words, sizeof(end->words), "%s", cause.text ? cause.text : "failed");
	rc = say(&turn, end, &ignored);
	free(end);
	fflush(NULL);
	_exit(rc < 0 ? 1 : 0);
}

/* --- the side that gives --- */

static int start(struct turns *t, size_t i, pv_turns_job_fn *job, struct pv_error *err)
{
	int ends[2];
	pid_t parent = getpid();

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return pv_error_errno(err, PV_ERR_HOST, errno, "socketpair");
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		pv_closep(&ends[0]);
		run_job(t, i, ends[1], parent, job);
	}
	pv_closep(&ends[1]);
	if (pid < 0) {
		pv_closep(&ends[0]);
		return pv_error_errno(err, PV_ERR_HOST, errno, "fork");
	}
	t->jobs[i] = (struct job){ .pid = pid, .fd = ends[0] };
	t->seats[i].ended = false;
	t->running++;
	return 0;
}

static void pass_on(struct turns *t, int signo)
{
	for (size_t i = 0; i < t->n; i++)
		if (!t->seats[i].ended)
			(void)kill(t->jobs[i].pid, signo);
	t->passed_on = signo;
}

static void grant(struct turns *t)
{
	size_t i;

	while (!t->passed_on && (i = pv_turns_next(t->seats, t->n, t->limits)) < t->n) {
		t->seats[i].holds = t->seats[i].wants;
		t->seats[i].wants = PV_TURN_NONE;
		/* one that cannot be told is dying, which its socket will say */
		(void)send(t->jobs[i].fd, "g", 1, MSG_NOSIGNAL);
	}
}

static void reap(struct turns *t, size_t i)
{
	struct job *job = &t->jobs[i];
	int status = 0;

	while (waitpid(job->pid, &status, 0) < 0 && errno == EINTR)
		;
	pv_closep(&job->fd);
	t->seats[i] = (struct pv_turn_seat){ .ended = true };
	t->running--;
	if (!job->said_end && WIFSIGNALED(status))
		pv_error_set(&job->cause, PV_ERR_STAGE, "its process was killed by signal %d (%s)", WTERMSIG(status),
			     strsignal(WTERMSIG(status)));
	else if (!job->said_end)
		pv_error_set(&job->cause, PV_ERR_STAGE, "its process ended without a word");
	t->end(t->ctx, i, job->cause.kind == PV_OK ? NULL : &job->cause);
	pv_error_clear(&job->cause);
}

static void listen_to(struct turns *t, size_t i, struct message *message)
{
	struct job *job = &t->jobs[i];
	struct pv_turn_seat *seat = &t->seats[i];
	ssize_t n = recv(job->fd, message, sizeof(*message), MSG_DONTWAIT);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n != (ssize_t)sizeof(*message)) {
		reap(t, i);
		return;
	}
	message->words[WORDS_MAX - 1] = '\0';
	if (message->is_end) {
		job->said_end = true;
		if (message->error != PV_OK)
			pv_error_set(&job->cause, message->error, "%s", message->words);
		return;
	}
	*seat = (struct pv_turn_seat){ .holds = PV_TURN_NONE, .wants = message->kind, .bytes = message->bytes };
}

static void serve(struct turns *t)
{
	pv_autofree struct message *message = pv_xcalloc(1, sizeof(*message));

	while (t->running > 0) {
		int signo = pv_proc_interrupted();

		if (signo && signo != t->passed_on)
			pass_on(t, signo);
		grant(t);
		for (size_t i = 0; i < t->n; i++)
			t->polls[i] = (struct pollfd){ .fd = t->seats[i].ended ? -1 : t->jobs[i].fd, .events = POLLIN };
		if (poll(t->polls, t->n, NAP_MS) <= 0)
			continue;
		for (size_t i = 0; i < t->n; i++)
			if (t->polls[i].revents)
				listen_to(t, i, message);
	}
}

int pv_turns_run(size_t n, const struct pv_turn_limits *limits, pv_turns_job_fn *job, pv_turns_end_fn *end, void *ctx,
		 struct pv_error *err)
{
	pv_autofree struct job *jobs = pv_xcalloc(n, sizeof(*jobs));
	pv_autofree struct pv_turn_seat *seats = pv_xcalloc(n, sizeof(*seats));
	pv_autofree struct pollfd *polls = pv_xcalloc(n, sizeof(*polls));
	struct turns t = {
		.limits = limits, .n = n, .jobs = jobs, .seats = seats, .polls = polls, .end = end, .ctx = ctx,
	};
	int rc = 0;

	for (size_t i = 0; i < n; i++)
		seats[i].ended = true;
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = start(&t, i, job, err);
	if (rc < 0)
		pass_on(&t, SIGTERM);
	serve(&t);
	return rc < 0 ? -1 : pv_proc_check_interrupt(err);
}
