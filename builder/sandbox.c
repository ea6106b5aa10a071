/* SPDX-License-Identifier: Apache-2.0 */
/* Runs target code: namespaces, the way from pvimg's child over pid 1 to the program, and how its end is passed on. */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fsutil.h"
#include "ns.h"
#include "sandbox_mount.h"
#include "sandbox_seccomp.h"
#include "text.h"

/* Three processes: the middle one, which pv_proc started and watches, outside the pid namespace; pid 1, which made the
 * mounts and reaps; and the program, in a user namespace below, where it is root and nothing else.
 *
 * middle   status[0] <- status[1]   pid 1     mapped[0] <- mapped[1]   program
 */

/* What dpkg, apt and maintainer scripts need; none of them means anything outside the inner user namespace. */
static const int kept_caps[] = {
	CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID, CAP_KILL, CAP_SETGID, CAP_SETUID, CAP_SETPCAP,
	CAP_NET_BIND_SERVICE, CAP_SYS_CHROOT, CAP_SETFCAP,
};

enum { HIGHEST_FILE_SOFT = 1024, HIGHEST_FILE_HARD = 65536 };

static int fail(const char *what, struct pv_error *err)
{
	return pv_error_errno(err, PV_ERR_HOST, errno, "sandbox: cannot %s", what);
}

/* Closes everything but `keep` and, if >= 0, `keep2`. */
static void close_all_but(int keep, int keep2)
{
	unsigned low = (unsigned)(keep2 < 0 || keep < keep2 ? keep : keep2);
	unsigned high = (unsigned)(keep2 < 0 || keep > keep2 ? keep : keep2);

	if (low > 0)
		close_range(0, low - 1, 0);
	if (high > low + 1)
		close_range(low + 1, high - 1, 0);
	close_range(high + 1, ~0u, 0);
}

/* --- the middle process --- */

/* Ends this process the way `status` says another one ended. */
static void __attribute__((noreturn)) end_like(int status)
{
	const struct sigaction sa = { .sa_handler = SIG_DFL };
	const struct rlimit no_core = { 0, 0 };
	sigset_t open_mask;

	if (WIFSIGNALED(status)) {
		setrlimit(RLIMIT_CORE, &no_core);
		sigaction(WTERMSIG(status), &sa, NULL);
		sigfillset(&open_mask);
		sigdelset(&open_mask, WTERMSIG(status));
		kill(getpid(), WTERMSIG(status));
		sigsuspend(&open_mask);
	}
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 127);
}

/* Waits for pid 1; a signal that is to end us ends the sandbox first. */
static void __attribute__((noreturn)) be_middle(pid_t pid1, int status_fd)
{
	sigset_t wanted;
	int status = 0, told = 0, got = 0;

	close_all_but(status_fd, -1);
	sigemptyset(&wanted);
	sigaddset(&wanted, SIGCHLD);
	sigaddset(&wanted, SIGTERM);
	sigaddset(&wanted, SIGINT);
	sigaddset(&wanted, SIGHUP);
	while (waitpid(pid1, &status, WNOHANG) != pid1) {
		int signo = sigwaitinfo(&wanted, NULL);
		if (signo == SIGTERM || signo == SIGINT || signo == SIGHUP) {
			got = signo;
			kill(pid1, SIGKILL);
		}
	}
	if (got)
		end_like(got);
	if (read(status_fd, &told, sizeof(told)) == (ssize_t)sizeof(told))
		end_like(told);
	end_like(status);
}

/* --- pid 1 --- */

static int drop_all_caps(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };

	return (int)syscall(SYS_capset, &head, none);
}

static int set_root_ids(void)
{
	if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return -1;
	/* A change of ids forgets the first and clears the second, which /proc goes by. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return -1;
	return prctl(PR_SET_DUMPABLE, 1);
}

static int raise_lo(void)
{
	pv_autoclose int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq req = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };

	return s < 0 ? -1 : ioctl(s, SIOCSIFFLAGS, &req);
}

static int set_limits(void)
{
	const struct rlimit no_core = { 0, 0 };
	struct rlimit files;

	if (setrlimit(RLIMIT_CORE, &no_core) < 0 || getrlimit(RLIMIT_NOFILE, &files) < 0)
		return -1;
	if (files.rlim_max > HIGHEST_FILE_HARD)
		files.rlim_max = HIGHEST_FILE_HARD;
	files.rlim_cur = files.rlim_max < HIGHEST_FILE_SOFT ? files.rlim_max : HIGHEST_FILE_SOFT;
	return setrlimit(RLIMIT_NOFILE, &files);
}

/* Writes "0 0 65536" into the program's map: of the builder namespace's ids only the subordinate ones exist there. */
static int write_map(pid_t program, const char *file)
{
	pv_autofree char *path = pv_fmt("/proc/%d/%s", (int)program, file);
	pv_autofree char *map = pv_fmt("0 0 %u\n", PV_NS_IDS);
	pv_autoclose int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -1 : pv_write_all(fd, map, strlen(map));
}

/* Maps the program's ids when it is ready, then holds nothing but its end. */
static void __attribute__((noreturn)) be_pid1(pid_t program, int ready, int mapped, int status_fd)
{
	int status, answer = 0;
	char c;

	if (read(ready, &c, 1) != 1)
		answer = EPIPE;
	else if (write_map(program, "gid_map") < 0 || write_map(program, "uid_map") < 0)
		answer = errno;
	if (write(mapped, &answer, sizeof(answer)) != (ssize_t)sizeof(answer) || drop_all_caps() < 0)
		_exit(127);
	close_all_but(status_fd, -1);
	prctl(PR_SET_DUMPABLE, 0);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	for (;;) {
		pid_t pid = waitpid(-1, &status, 0);
		if (pid == program)
			break;
		if (pid < 0 && errno != EINTR)
			_exit(127);
	}
	/* With pid 1 all others go. */
	_exit(write(status_fd, &status, sizeof(status)) == (ssize_t)sizeof(status) ? 0 : 127);
}

/* PR_SET_PDEATHSIG came too late when nobody reads our status any more. */
static bool is_orphan(int status_fd)
{
	struct pollfd p = { .fd = status_fd, .events = 0 };

	return poll(&p, 1, 0) > 0 && (p.revents & POLLERR) != 0;
}

static int set_up_pid1(const struct pv_sandbox *box, int status_fd, struct pv_error *err)
{
	struct pv_sandbox_mounts mounts;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return fail("set PR_SET_PDEATHSIG", err);
	if (pv_sandbox_mounts_open(box, &mounts, err) < 0)
		return -1;
	if (set_root_ids() < 0)
		return fail("become its root", err);
	if (is_orphan(status_fd))
		_exit(127);
	umask(022);
	/* Out of the caller's session: /dev/tty is nobody's. */
	if (setsid() < 0)
		return fail("make a session", err);
	if (sethostname("localhost", strlen("localhost")) < 0 || setdomainname("(none)", strlen("(none)")) < 0)
		return fail("name its host", err);
	if (raise_lo() < 0)
		return fail("raise lo", err);
	if (set_limits() < 0)
		return fail("set limits", err);
	return pv_sandbox_mounts_enter(&mounts, err);
}

/* --- the program, up to its exec --- */

static bool is_kept(int cap)
{
	for (size_t i = 0; i < PV_COUNT(kept_caps); i++)
		if (kept_caps[i] == cap)
			return true;
	return false;
}

static int drop_caps(void)
{
	/* The kernel tells its highest capability by refusing the next one. */
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (!is_kept(cap) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return -1;
	return 0;
}

static int set_up_program(const struct pv_sandbox *box, int ready, int mapped, struct pv_error *err)
{
	sigset_t none;
	int answer = 0;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return fail("set PR_SET_PDEATHSIG", err);
	if (unshare(CLONE_NEWUSER) < 0)
		return fail("make its user namespace", err);
	if (write(ready, "r", 1) != 1 || read(mapped, &answer, sizeof(answer)) != (ssize_t)sizeof(answer))
		return pv_error_set(err, PV_ERR_HOST, "sandbox: its pid 1 is gone");
	errno = answer;
	if (answer != 0)
		return fail("map its ids", err);
	if (set_root_ids() < 0)
		return fail("become its root", err);
	if (drop_caps() < 0)
		return fail("drop capabilities", err);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	return pv_sandbox_seccomp(!box->keep_sync, err);
}

/* In pid 1: becomes pid 1 for good; returns in the program. */
static int fork_program(const struct pv_sandbox *box, int status_fd, struct pv_error *err)
{
	int ready[2], mapped[2];

	if (pipe2(ready, O_CLOEXEC) < 0 || pipe2(mapped, O_CLOEXEC) < 0)
		return fail("make pipes", err);
	pid_t program = fork();
	if (program < 0)
		return fail("fork", err);
	if (program > 0) {
		close(ready[1]);
		close(mapped[0]);
		be_pid1(program, ready[0], mapped[1], status_fd);
	}
	close(ready[0]);
	close(mapped[1]);
	close(status_fd);
	return set_up_program(box, ready[1], mapped[0], err);
}

/* pv_proc's setup: called in its child. */
static int set_up(void *ctx, struct pv_error *err)
{
	const struct pv_sandbox *box = ctx;
	sigset_t held;
	int status[2];

	if (pipe2(status, O_CLOEXEC) < 0)
		return fail("make pipes", err);
	/* Before pid 1 may send one. */
	sigemptyset(&held);
	sigaddset(&held, SIGCHLD);
	sigaddset(&held, SIGTERM);
	sigaddset(&held, SIGINT);
	sigaddset(&held, SIGHUP);
	sigprocmask(SIG_BLOCK, &held, NULL);
	if (unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC) < 0)
		return fail("make namespaces (user.max_*_namespaces?)", err);
	if (unshare(CLONE_NEWCGROUP) < 0 && errno != EINVAL)
		return fail("make a cgroup namespace", err);
	pid_t pid1 = fork();
	if (pid1 < 0)
		return fail("fork", err);
	if (pid1 > 0)
		be_middle(pid1, status[0]);
	close(status[0]);
	if (set_up_pid1(box, status[1], err) < 0)
		return -1;
	return fork_program(box, status[1], err);
}

/* --- what callers see --- */

static int check_box(const struct pv_sandbox *box, const struct pv_proc *proc, struct pv_error *err)
{
	if (!pv_ns_active())
		return pv_error_set(err, PV_ERR_HOST, "sandbox: not in a builder namespace");
	if (proc->setup || !box->root || box->root[0] != '/')
		return pv_error_set(err, PV_ERR_STAGE, "sandbox: %s", proc->setup ? "setup is taken" :
				    "its root is no absolute path");
	for (size_t i = 0; i < box->nbinds; i++)
		if (box->binds[i].source[0] != '/' || box->binds[i].target[0] != '/')
			return pv_error_set(err, PV_ERR_STAGE, "sandbox: %s at %s: no absolute paths",
					    box->binds[i].source, box->binds[i].target);
	return 0;
}

static struct pv_proc inside(const struct pv_sandbox *box, const struct pv_proc *proc)
{
	static const char *const env[] = {
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8",
		"LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", "DEBCONF_NONINTERACTIVE_SEEN=true", "container=lxc",
		NULL,
	};
	struct pv_proc p = *proc;

	if (!p.env)
		p.env = env;
	p.setup = set_up;
	p.setup_ctx = (void *)box;
	return p;
}

int pv_sandbox_run(const struct pv_sandbox *box, const struct pv_proc *proc, struct pv_proc_result *res,
		   struct pv_error *err)
{
	if (check_box(box, proc, err) < 0)
		return -1;
	const struct pv_proc p = inside(box, proc);
	return pv_proc_run(&p, res, err);
}

int pv_sandbox_check(const struct pv_sandbox *box, const struct pv_proc *proc, enum pv_error_kind kind,
		     struct pv_error *err)
{
	if (check_box(box, proc, err) < 0)
		return -1;
	const struct pv_proc p = inside(box, proc);
	return pv_proc_check(&p, kind, err);
}
