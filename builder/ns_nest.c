/* SPDX-License-Identifier: Apache-2.0 */
/* Root of a user namespace inside the builder namespace: the caller as id 0, the subordinate ids as 1 to 65536. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fsutil.h"
#include "ns.h"
#include "text.h"

static int write_map(pid_t pid, const char *file)
{
	pv_autofree char *path = pv_fmt("/proc/%d/%s", (int)pid, file);
	pv_autofree char *map = pv_fmt("0 %u 1\n1 0 %u\n", PV_NS_SELF, PV_NS_IDS);
	pv_autoclose int fd = open(path, O_WRONLY | O_CLOEXEC);

	/* The kernel takes a map in one write only. */
	return fd >= 0 && write(fd, map, strlen(map)) == (ssize_t)strlen(map) ? 0 : -1;
}

/* A child that stays outside, where the ids to be mapped have their meaning. */
static void __attribute__((noreturn)) helper(pid_t parent, int go)
{
	char c;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || read(go, &c, 1) != 1)
		_exit(1);
	_exit(write_map(parent, "uid_map") < 0 || write_map(parent, "gid_map") < 0 ? 1 : 0);
}

static int unshare_mapped(pid_t child, int go, struct pv_error *err)
{
	int status = 0;

	if (unshare(CLONE_NEWUSER) < 0)
		return pv_error_errno(err, PV_ERR_HOST, errno, "a user namespace in the builder namespace");
	if (pv_write_all(go, "g", 1) < 0)
		return pv_error_errno(err, PV_ERR_HOST, errno, "cannot map ids");
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return pv_error_errno(err, PV_ERR_HOST, errno, "cannot map ids");
	if (status != 0)
		return pv_error_set(err, PV_ERR_HOST, "cannot map ids in a nested user namespace");
	if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return pv_error_errno(err, PV_ERR_HOST, errno, "cannot become root of a user namespace");
	return 0;
}

int pv_ns_nest(struct pv_error *err)
{
	int go[2];

	if (!pv_ns_active())
		return pv_error_set(err, PV_ERR_HOST, "not in a builder namespace");
	if (pipe2(go, O_CLOEXEC) < 0)
		return pv_error_errno(err, PV_ERR_HOST, errno, "pipe");
	pid_t self = getpid(), child = fork();
	if (child == 0) {
		pv_closep(&go[1]);
		helper(self, go[0]);
	}
	int rc = child < 0 ? pv_error_errno(err, PV_ERR_HOST, errno, "fork") : 0;
	pv_closep(&go[0]);
	if (rc == 0)
		rc = unshare_mapped(child, go[1], err);
	pv_closep(&go[1]);	/* ends a helper that still waits */
	return rc;
}
