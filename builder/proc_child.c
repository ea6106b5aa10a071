/* SPDX-License-Identifier: Apache-2.0 */
/* The child's side: from fork to the program. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "proc.h"
#include "proc_priv.h"
#include "text.h"

static void __attribute__((noreturn)) child_fail(int fail_fd, const struct pv_error *err)
{
	struct pv_proc_failure f = { .kind = err->kind };
	ssize_t n;

	snprintf(f.text, sizeof(f.text), "%s", err->text ? err->text : "no reason given");
	n = write(fail_fd, &f, sizeof(f));
	(void)n;
	_exit(127);
}

static void child_signals(void)
{
	const struct sigaction sa = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		sigaction(s, &sa, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Puts 0, 1 and 2 in place; all of pipes' descriptors are above 2. */
static int child_stdio(const struct pv_proc *proc, const struct pv_proc_pipes *p, struct pv_error *err)
{
	int in = p->in[0];
	int out = proc->stdout_fd > 0 ? proc->stdout_fd : p->out[1] >= 0 ? p->out[1] : p->err[1];

	if (in < 0)
		in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (in < 0)
		return pv_error_errno(err, PV_ERR_HOST, errno, "/dev/null: cannot open");
	/* stdout first: stdout_fd may be our own stderr. in may have become 0 where nothing was open there. */
	if ((out == 1 ? fcntl(1, F_SETFD, 0) : dup2(out, 1)) < 0 || dup2(p->err[1], 2) < 0 ||
	    (in == 0 ? fcntl(0, F_SETFD, 0) : dup2(in, 0)) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "cannot connect the child's input and output");
	return 0;
}

/* The pipes' other ends would keep the pipes alive in whoever setup leaves in the middle. */
static void child_close_pipes(const struct pv_proc_pipes *p)
{
	const int fds[] = { p->in[0], p->in[1], p->out[0], p->out[1], p->err[0], p->err[1], p->fail[0] };

	for (size_t i = 0; i < PV_COUNT(fds); i++)
		if (fds[i] > 2)
			close(fds[i]);
}

static int compare_ints(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

/* Closes all descriptors but 0 to 2, fail_fd (which closes by exec) and keep. */
static int child_close_others(const struct pv_proc *proc, int fail_fd, struct pv_error *err)
{
	pv_autofree int *keep = pv_xcalloc(proc->nkeep_fds + 1, sizeof(*keep));
	size_t n = 0;
	unsigned next = 3;

	keep[n++] = fail_fd;
	for (size_t i = 0; i < proc->nkeep_fds; i++) {
		if (fcntl(proc->keep_fds[i], F_SETFD, 0) < 0)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "descriptor %d is to be kept",
					      proc->keep_fds[i]);
		keep[n++] = proc->keep_fds[i];
	}
	qsort(keep, n, sizeof(*keep), compare_ints);
	for (size_t i = 0; i < n; i++) {
		unsigned fd = (unsigned)keep[i];

		if (fd < next)
			continue;
		if (fd > next && close_range(next, fd - 1, 0) < 0)
			return pv_error_errno(err, PV_ERR_HOST, errno, "cannot close descriptors");
		next = fd + 1;
	}
	if (close_range(next, ~0u, 0) < 0)
		return pv_error_errno(err, PV_ERR_HOST, errno, "cannot close descriptors");
	return 0;
}

static const char *path_in(const char *const *env)
{
	for (; env && *env; env++)
		if (pv_starts(*env, "PATH="))
			return *env + strlen("PATH=");
	return NULL;
}

/* Returns only with the reason. argv and env are not written to by execve; its prototype is older than const. */
static int child_exec(const struct pv_proc *proc, struct pv_error *err)
{
	const char *name = proc->argv[0];
	const char *const *env = proc->env ? proc->env : (const char *const *)environ;
	pv_autofree char *full = NULL;
	int cause;

	full = strchr(name, '/') ? pv_xstrdup(name) : pv_proc_find(name, path_in(env));
	if (!full)
		return pv_error_set(err, PV_ERR_HOST, "%s: not found; install it", pv_proc_base_name(name));
	execve(full, (char *const *)proc->argv, (char *const *)env);
	cause = errno;
	if (cause == ENOENT && access(full, F_OK) < 0)
		return pv_error_set(err, PV_ERR_HOST, "%s: not found; install it", full);
	if (cause == ENOENT)
		return pv_error_set(err, PV_ERR_HOST, "%s: cannot run: its interpreter or loader is missing", full);
	return pv_error_errno(err, PV_ERR_HOST, cause, "%s: cannot run", full);
}

static int child_prepare(const struct pv_proc *proc, const struct pv_proc_pipes *p, pid_t parent, struct pv_error *err)
{
	if (setpgid(0, 0) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "setpgid");
	if (prctl(PR_SET_PDEATHSIG, proc->death_signal ? proc->death_signal : SIGKILL) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "PR_SET_PDEATHSIG");
	if (getppid() != parent)
		_exit(127);	/* it ended before PR_SET_PDEATHSIG; nobody reads our words */
	child_signals();
	if (child_stdio(proc, p, err) < 0)
		return -1;
	child_close_pipes(p);
	if (proc->setup && proc->setup(proc->setup_ctx, err) < 0)
		return -1;
	/* A change of ids in setup forgot it. */
	if (prctl(PR_SET_PDEATHSIG, proc->death_signal ? proc->death_signal : SIGKILL) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "PR_SET_PDEATHSIG");
	if (proc->cwd && chdir(proc->cwd) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot enter", proc->cwd);
	return child_close_others(proc, p->fail[1], err);
}

/* Never returns into the parent's code: trap 3 of style.md. */
void pv_proc_child(const struct pv_proc *proc, const struct pv_proc_pipes *p, pid_t parent)
{
	struct pv_error err = PV_ERROR_INIT;

	if (child_prepare(proc, p, parent, &err) == 0)
		(void)!child_exec(proc, &err);
	child_fail(p->fail[1], &err);
}
