/* SPDX-License-Identifier: Apache-2.0 */
/* Runs other programs: fork, watch, end them in time, tell how they ended. */
#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "fsutil.h"
#include "proc_priv.h"
#include "text.h"

#define LINE_MAX_BYTES 65536
#define TAIL_LINES 20
#define TAIL_LINE_BYTES 2048
#define GRACE_MS 2000		/* from SIGTERM to SIGKILL */
#define DRAIN_MS 1000		/* for output after the child ended */
#define TICK_MS 500
#define NO_TIME UINT64_MAX

/* --- the signal flag: the only mutable file-scope variable of pvimg --- */

static volatile sig_atomic_t noted_signal;

static void note_signal(int signo)
{
	noted_signal = signo;
}

void pv_proc_catch_signals(void)
{
	/* No SA_RESTART: sleeping calls are to end. */
	struct sigaction sa = { .sa_handler = note_signal };

	sigemptyset(&sa.sa_mask);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	sa.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &sa, NULL);
}

int pv_proc_interrupted(void)
{
	return noted_signal;
}

int pv_proc_check_interrupt(struct pv_error *err)
{
	int signo = noted_signal;

	if (signo == 0)
		return 0;
	return pv_error_set(err, signo == SIGINT ? PV_ERR_SIGINT : PV_ERR_SIGTERM, "interrupted by %s",
			    signo == SIGINT ? "SIGINT" : signo == SIGTERM ? "SIGTERM" : "SIGHUP");
}

/* --- the parent's side --- */

struct stream {			/* a pipe that is read by lines */
	int fd;			/* -1: at its end */
	pv_proc_line_fn *fn;
	void *ctx;
	bool in_tail;
	struct pv_str line;
};

enum { PFD_OUT, PFD_ERR, PFD_IN, PFD_FAIL, PFD_END, PFD_OWN };

struct watch {
	const struct pv_proc *proc;
	pid_t pid;
	int pidfd;		/* -1 on kernels without */
	int in_fd;		/* -1: all input written */
	size_t in_done;
	int fail_fd;
	bool failed;		/* failure holds words */
	struct pv_proc_failure failure;
	struct stream out, err;
	char *tail[TAIL_LINES];	/* a ring */
	size_t ntail;
	struct pollfd *polls;	/* PFD_OWN of ours, then one for each of proc->watches */
	bool *unwatched;	/* for each of proc->watches */
	uint64_t started, deadline, kill_at, drain_until, next_tick;	/* ms; NO_TIME: not set */
	bool ended, timed_out, stopped;
	int interrupted;	/* the signal, or 0 */
};

static void emit_line(struct watch *w, struct stream *s)
{
	if (s->fn)
		s->fn(s->ctx, pv_str_text(&s->line), s->line.len);
	if (s->in_tail) {
		size_t len = s->line.len < TAIL_LINE_BYTES ? s->line.len : TAIL_LINE_BYTES;
		char **slot = &w->tail[w->ntail++ % TAIL_LINES];

		free(*slot);
		*slot = pv_printable(pv_str_text(&s->line), len);
	}
	pv_str_reset(&s->line);
}

static void take_output(struct watch *w, struct stream *s, const char *data, size_t len)
{
	while (len > 0) {
		const char *nl = memchr(data, '\n', len);
		size_t room = LINE_MAX_BYTES - s->line.len;
		size_t n = nl ? (size_t)(nl - data) : len;

		if (n > room) {
			pv_str_addn(&s->line, data, room);
			emit_line(w, s);
			data += room;
			len -= room;
			continue;
		}
		pv_str_addn(&s->line, data, n);
		if (nl) {
			emit_line(w, s);
			n++;
		}
		data += n;
		len -= n;
	}
}

static void close_stream(struct watch *w, struct stream *s)
{
	if (s->fd >= 0 && s->line.len > 0)
		emit_line(w, s);
	pv_closep(&s->fd);
}

/* One read, so that a child that writes without end does not keep us from the deadline. */
static void read_stream(struct watch *w, struct stream *s)
{
	char buf[32768];
	ssize_t n = read(s->fd, buf, sizeof(buf));

	if (n > 0)
		take_output(w, s, buf, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		close_stream(w, s);
}

static void write_input(struct watch *w)
{
	ssize_t n = write(w->in_fd, w->proc->input + w->in_done, w->proc->input_len - w->in_done);

	if (n > 0)
		w->in_done += (size_t)n;
	/* EPIPE: the child does not want the rest, which is its own affair. */
	if ((n < 0 && errno != EAGAIN && errno != EINTR) || w->in_done == w->proc->input_len)
		pv_closep(&w->in_fd);
}

static void read_failure(struct watch *w)
{
	ssize_t n = read(w->fail_fd, &w->failure, sizeof(w->failure));

	if (n == (ssize_t)sizeof(w->failure)) {
		w->failure.text[sizeof(w->failure.text) - 1] = '\0';
		w->failed = true;
	}
	if (n >= 0 || (errno != EAGAIN && errno != EINTR))
		pv_closep(&w->fail_fd);
}

static bool child_ended(const struct watch *w)
{
	siginfo_t si = { 0 };

	/* WNOWAIT: while it is a zombie its group's number is not given to anybody else. */
	return waitid(P_PID, (id_t)w->pid, &si, WEXITED | WNOHANG | WNOWAIT) < 0 || si.si_pid == w->pid;
}

static void end_group(struct watch *w, uint64_t now)
{
	kill(-w->pid, SIGTERM);
	kill(w->pid, SIGTERM);	/* where the child has not made its group yet */
	w->kill_at = now + (w->proc->grace_s ? w->proc->grace_s * 1000ull : GRACE_MS);
}

static void check_time(struct watch *w)
{
	uint64_t now = pv_clock_ms();

	if (!w->ended && child_ended(w)) {
		w->ended = true;
		w->drain_until = now + DRAIN_MS;
		pv_closep(&w->in_fd);
	}
	if (w->ended)
		return;
	if (!w->interrupted && noted_signal) {
		w->interrupted = noted_signal;
		if (w->kill_at == NO_TIME)
			end_group(w, now);
	}
	if (w->deadline <= now && w->kill_at == NO_TIME) {
		w->timed_out = true;
		end_group(w, now);
	}
	if (w->kill_at <= now) {
		kill(-w->pid, SIGKILL);
		kill(w->pid, SIGKILL);
		w->kill_at = now + GRACE_MS;
	}
}

/* ms until check_time or tick has something to do, at most half a second (a signal may meet another thread). */
static int time_left(const struct watch *w)
{
	uint64_t now = pv_clock_ms(), next = now + (w->pidfd >= 0 ? TICK_MS : 20);

	if (w->proc->on_tick && w->next_tick < next)
		next = w->next_tick;
	if (!w->ended && w->kill_at == NO_TIME && w->deadline < next)
		next = w->deadline;
	if (!w->ended && w->kill_at < next)
		next = w->kill_at;
	if (w->ended && w->drain_until < next)
		next = w->drain_until;
	return next > now ? (int)(next - now) : 0;
}

static void tick(struct watch *w)
{
	uint64_t now = pv_clock_ms();

	if (!w->proc->on_tick || now < w->next_tick)
		return;
	w->proc->on_tick(w->proc->tick_ctx);
	w->next_tick = now + TICK_MS;
}

static short wanted(const struct watch *w, size_t i)
{
	const struct pv_proc_watch *watch = &w->proc->watches[i];
	short events;

	if (w->unwatched[i] || watch->fd < 0)
		return 0;
	events = watch->want ? watch->want(watch->ctx) : POLLIN;
	return w->ended ? events & POLLIN : events;	/* nobody is there to be written to */
}

/* ppoll passes over negative descriptors. */
static void fill_polls(struct watch *w)
{
	struct pollfd *p = w->polls;

	p[PFD_OUT] = (struct pollfd){ .fd = w->out.fd, .events = POLLIN };
	p[PFD_ERR] = (struct pollfd){ .fd = w->err.fd, .events = POLLIN };
	p[PFD_IN] = (struct pollfd){ .fd = w->in_fd, .events = POLLOUT };
	p[PFD_FAIL] = (struct pollfd){ .fd = w->fail_fd, .events = POLLIN };
	p[PFD_END] = (struct pollfd){ .fd = w->ended ? -1 : w->pidfd, .events = POLLIN };
	for (size_t i = 0; i < w->proc->nwatches; i++) {
		short events = wanted(w, i);

		p[PFD_OWN + i] = (struct pollfd){ .fd = events ? w->proc->watches[i].fd : -1, .events = events };
	}
}

static void serve_polls(struct watch *w)
{
	const struct pollfd *p = w->polls;

	if (p[PFD_FAIL].revents)
		read_failure(w);
	if (p[PFD_IN].revents)
		write_input(w);
	if (p[PFD_OUT].revents)
		read_stream(w, &w->out);
	if (p[PFD_ERR].revents)
		read_stream(w, &w->err);
	for (size_t i = 0; i < w->proc->nwatches; i++) {
		const struct pv_proc_watch *watch = &w->proc->watches[i];

		if (p[PFD_OWN + i].revents)
			w->unwatched[i] = !watch->ready(watch->ctx, p[PFD_OWN + i].revents);
	}
}

/* Whether something more may come after the child's end: its pipes are open, or a watched descriptor has input now. */
static bool draining(struct watch *w)
{
	if (w->out.fd >= 0 || w->err.fd >= 0)
		return true;
	if (w->proc->nwatches == 0)
		return false;
	fill_polls(w);
	return poll(w->polls + PFD_OWN, w->proc->nwatches, 0) > 0;
}

static void check_stop(struct watch *w)
{
	if (w->ended || w->kill_at != NO_TIME || !w->proc->stop || !w->proc->stop(w->proc->tick_ctx))
		return;
	w->stopped = true;
	end_group(w, pv_clock_ms());
}

/* Until the child has ended and its output too, or the time for that is over. */
static void watch_child(struct watch *w, const sigset_t *open_mask)
{
	for (;;) {
		struct timespec ts;
		int ms;

		check_time(w);
		if (w->ended && (w->drain_until <= pv_clock_ms() || !draining(w)))
			return;
		fill_polls(w);
		ms = time_left(w);
		ts = (struct timespec){ .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };
		int ready = ppoll(w->polls, PFD_OWN + w->proc->nwatches, &ts, open_mask);
		tick(w);
		if (ready > 0)
			serve_polls(w);
		check_stop(w);
	}
}

static char *join_tail(const struct watch *w)
{
	struct pv_str s = PV_STR_INIT;

	for (size_t i = w->ntail > TAIL_LINES ? w->ntail - TAIL_LINES : 0; i < w->ntail; i++)
		pv_str_addf(&s, "%s\n", w->tail[i % TAIL_LINES]);
	return pv_str_steal(&s);
}

static void watch_done(struct watch *w)
{
	pv_closep(&w->pidfd);
	pv_closep(&w->in_fd);
	pv_closep(&w->fail_fd);
	pv_closep(&w->out.fd);
	pv_closep(&w->err.fd);
	pv_str_done(&w->out.line);
	pv_str_done(&w->err.line);
	free(w->polls);
	free(w->unwatched);
	for (size_t i = 0; i < TAIL_LINES; i++)
		free(w->tail[i]);
}

/* Reaps, kills what is left of the group, and fills the result. */
static int finish(struct watch *w, struct pv_proc_result *res, struct pv_error *err)
{
	struct rusage usage = { 0 };
	int status;

	kill(-w->pid, SIGKILL);
	while (wait4(w->pid, &status, 0, &usage) < 0)
		if (errno != EINTR)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: wait", pv_proc_base_name(w->proc->argv[0]));
	close_stream(w, &w->out);
	close_stream(w, &w->err);
	if (w->fail_fd >= 0)
		read_failure(w);
	if (w->interrupted)
		return pv_proc_check_interrupt(err);
	if (w->failed)
		return pv_error_set(err, w->failure.kind, "%s", w->failure.text);
	*res = (struct pv_proc_result)PV_PROC_RESULT_INIT;
	if (WIFEXITED(status))
		res->exit_code = WEXITSTATUS(status);
	else if (WIFSIGNALED(status))
		res->signal = WTERMSIG(status);
	res->timed_out = w->timed_out;
	res->stopped = w->stopped;
	res->deadline_s = w->proc->deadline_s;
	res->wall_ms = pv_clock_ms() - w->started;
	res->max_rss_kib = (uint64_t)usage.ru_maxrss;
	res->tail = join_tail(w);
	return 0;
}

/* --- putting both together --- */

/* Both ends above 2 and close-on-exec; ours does not block. */
static int make_pipe(int fds[2], int ours)
{
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	for (int i = 0; i < 2; i++) {
		int fd = fds[i] > 2 ? fds[i] : fcntl(fds[i], F_DUPFD_CLOEXEC, 3);

		if (fd < 0)
			return -1;
		if (fd != fds[i])
			close(fds[i]);
		fds[i] = fd;
	}
	return fcntl(fds[ours], F_SETFL, O_NONBLOCK);
}

static void pipes_done(struct pv_proc_pipes *p)
{
	int *const fds[] = { p->in, p->out, p->err, p->fail };

	for (size_t i = 0; i < PV_COUNT(fds); i++) {
		pv_closep(&fds[i][0]);
		pv_closep(&fds[i][1]);
	}
}

static int make_pipes(const struct pv_proc *proc, struct pv_proc_pipes *p)
{
	if (proc->input && make_pipe(p->in, 1) < 0)
		return -1;
	if (proc->on_stdout && proc->stdout_fd <= 0 && make_pipe(p->out, 0) < 0)
		return -1;
	if (make_pipe(p->err, 0) < 0 || make_pipe(p->fail, 0) < 0)
		return -1;
	return 0;
}

/* Signals are all blocked: a child that has not reset its handlers must not note one in our name. */
static int start_and_watch(struct watch *w, struct pv_proc_pipes *p, const sigset_t *open_mask, struct pv_error *err)
{
	const struct pv_proc *proc = w->proc;
	pid_t parent = getpid();

	w->started = pv_clock_ms();
	w->pid = fork();
	if (w->pid < 0)
		return pv_error_errno(err, PV_ERR_HOST, errno, "%s: cannot fork", pv_proc_base_name(proc->argv[0]));
	if (w->pid == 0)
		pv_proc_child(proc, p, parent);
	setpgid(w->pid, w->pid);	/* the child does the same; whoever comes first */
	w->pidfd = (int)syscall(SYS_pidfd_open, w->pid, 0);
	w->in_fd = pv_steal_fd(&p->in[1]);
	w->out.fd = pv_steal_fd(&p->out[0]);
	w->err.fd = pv_steal_fd(&p->err[0]);
	w->fail_fd = pv_steal_fd(&p->fail[0]);
	pipes_done(p);
	if (proc->deadline_s > 0)
		w->deadline = w->started + (uint64_t)proc->deadline_s * 1000;
	if (w->in_fd >= 0 && proc->input_len == 0)
		pv_closep(&w->in_fd);
	watch_child(w, open_mask);
	return 0;
}

/* A SIGPIPE of our own making must not reach a program that does not ignore it. */
static void restore_mask(const sigset_t *old, bool pipe_was_pending)
{
	const struct timespec zero = { 0 };
	sigset_t pending, only_pipe;

	sigemptyset(&only_pipe);
	sigaddset(&only_pipe, SIGPIPE);
	if (!pipe_was_pending && sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE))
		sigtimedwait(&only_pipe, NULL, &zero);
	pthread_sigmask(SIG_SETMASK, old, NULL);
}

int pv_proc_run(const struct pv_proc *proc, struct pv_proc_result *res, struct pv_error *err)
{
	struct pv_proc_pipes p = { { -1, -1 }, { -1, -1 }, { -1, -1 }, { -1, -1 } };
	struct watch w = {
		.proc = proc, .pidfd = -1, .in_fd = -1, .fail_fd = -1,
		.out = { .fd = -1, .fn = proc->on_stdout, .ctx = proc->ctx },
		.err = { .fd = -1, .fn = proc->on_stderr, .ctx = proc->ctx, .in_tail = true },
		.deadline = NO_TIME, .kill_at = NO_TIME, .drain_until = NO_TIME,
	};
	sigset_t all, old, pending, open_mask;
	int rc;

	if (pv_proc_check_interrupt(err) < 0)
		return -1;
	if (make_pipes(proc, &p) < 0) {
		pv_error_errno(err, PV_ERR_HOST, errno, "%s: cannot make a pipe", pv_proc_base_name(proc->argv[0]));
		pipes_done(&p);
		return -1;
	}
	w.polls = pv_xcalloc(PFD_OWN + proc->nwatches, sizeof(*w.polls));
	w.unwatched = pv_xcalloc(proc->nwatches + 1, sizeof(*w.unwatched));
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	sigpending(&pending);
	open_mask = old;
	sigaddset(&open_mask, SIGPIPE);
	rc = start_and_watch(&w, &p, &open_mask, err);
	pipes_done(&p);
	if (rc == 0)
		rc = finish(&w, res, err);
	watch_done(&w);
	restore_mask(&old, sigismember(&pending, SIGPIPE) == 1);
	return rc;
}

void pv_proc_result_done(struct pv_proc_result *res)
{
	pv_freep(&res->tail);
}

char *pv_proc_fate(const struct pv_proc_result *res)
{
	if (res->timed_out)
		return pv_fmt("no end within %u s", res->deadline_s);
	if (res->stopped)
		return pv_xstrdup("stopped");
	if (res->signal) {
		const char *words = sigdescr_np(res->signal);

		return pv_fmt("killed by signal %d (%s)", res->signal, words ? words : "unknown");
	}
	return pv_fmt("exit code %d", res->exit_code);
}

char *pv_proc_last_line(const struct pv_proc_result *res)
{
	const char *tail = res->tail ? res->tail : "";
	size_t end = strlen(tail), start;

	while (end > 0 && (tail[end - 1] == '\n' || tail[end - 1] == ' '))
		end--;
	for (start = end; start > 0 && tail[start - 1] != '\n'; start--)
		;
	while (start < end && tail[start] == ' ')
		start++;
	return pv_xstrndup(tail + start, end - start < 300 ? end - start : 300);
}

int pv_proc_check(const struct pv_proc *proc, enum pv_error_kind kind, struct pv_error *err)
{
	pv_autoproc res = PV_PROC_RESULT_INIT;
	pv_autofree char *fate = NULL, *last = NULL;

	if (pv_proc_run(proc, &res, err) < 0)
		return -1;
	if (res.stopped || (res.exit_code == 0 && !res.timed_out))
		return 0;
	fate = pv_proc_fate(&res);
	last = pv_proc_last_line(&res);
	return pv_error_set(err, kind, "%s: %s%s%s", pv_proc_base_name(proc->argv[0]), fate, *last ? ": " : "", last);
}
