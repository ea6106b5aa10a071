/* SPDX-License-Identifier: Apache-2.0 */
/* Enters the builder namespace: unshare here, the id maps written from outside by a child forked before. */
#include "ns.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fsutil.h"
#include "host.h"
#include "ns_map.h"
#include "proc.h"
#include "text.h"

enum { SUBID_FILE_MAX = 4 << 20, MAP_FILE_MAX = 1 << 16, WORDS_MAX = 4096 };

static int read_own_map(const char *path, struct pv_ns_extent *ret, struct pv_error *err)
{
	pv_autofree char *text = NULL;

	if (pv_read_file(path, MAP_FILE_MAX, &text, NULL, err) < 0)
		return -1;
	int n = pv_ns_map_parse(text, ret, PV_NS_MAX_EXTENTS);
	if (n < 1)
		return pv_error_set(err, PV_ERR_HOST, "%s: no id map that pvimg understands", path);
	return n;
}

/* What getsubids(1) says, for hosts that keep the ranges elsewhere than in files. */
static int ask_getsubids(const char *name, bool group, uint32_t *ret_base)
{
	const char *const user[] = { "getsubids", name, NULL };
	const char *const groups[] = { "getsubids", "-g", name, NULL };
	pv_autostr lines = PV_STR_INIT;
	pv_autoproc res = PV_PROC_RESULT_INIT;
	pv_autofree char *program = pv_proc_which("getsubids");
	const struct pv_proc proc = { .argv = group ? groups : user, .deadline_s = 10 };
	char *save = NULL;

	if (!program || !name || pv_proc_run(&proc, &res, NULL) < 0 || res.exit_code != 0 || !res.tail)
		return -1;
	/* "0: NAME FIRST COUNT" */
	for (char *line = strtok_r(res.tail, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *in_line = NULL;
		const char *words[4] = { 0 };
		size_t n = 0;
		for (char *w = strtok_r(line, " ", &in_line); w && n < 4; w = strtok_r(NULL, " ", &in_line))
			words[n++] = w;
		if (n == 4)
			pv_str_addf(&lines, "%s:%s:%s\n", words[1], words[2], words[3]);
	}
	return pv_ns_subid_parse(pv_str_text(&lines), name, UINT32_MAX, ret_base);
}

static int find_base(const char *path, bool group, const char *name, uint32_t *ret_base)
{
	pv_autofree char *text = NULL;

	if (pv_read_file(path, SUBID_FILE_MAX, &text, NULL, NULL) == 0 &&
	    pv_ns_subid_parse(text, name, getuid(), ret_base) == 0)
		return 0;
	return ask_getsubids(name, group, ret_base);
}

/* Root's range: its own entry if it can be mapped here, else one that systemd leaves to containers. */
static int root_base(const char *subids, bool group, const char *map_path, uint32_t *ret_base, struct pv_error *err)
{
	struct pv_ns_extent have[PV_NS_MAX_EXTENTS], out[PV_NS_MAX_EXTENTS];
	int nhave = read_own_map(map_path, have, err);

	if (nhave < 0)
		return -1;
	if (find_base(subids, group, "root", ret_base) == 0 &&
	    pv_ns_root_map(have, (size_t)nhave, *ret_base, out, PV_NS_MAX_EXTENTS) > 0)
		return 0;
	if (pv_ns_root_base(have, (size_t)nhave, ret_base) < 0)
		return pv_error_set(err, PV_ERR_HOST, "%s: this container has fewer than %u ids beside root's own; "
				    "give it more or run pvimg outside", map_path, PV_NS_IDS);
	return 0;
}

int pv_ns_ids(struct pv_ns_ids *ret, struct pv_error *err)
{
	struct pv_ns_ids ids = { 0, 0 };

	if (geteuid() == 0) {
		if (root_base("/etc/subuid", false, "/proc/self/uid_map", &ids.uid_base, err) < 0 ||
		    root_base("/etc/subgid", true, "/proc/self/gid_map", &ids.gid_base, err) < 0)
			return -1;
		*ret = ids;
		return 0;
	}
	const struct passwd *pw = getpwuid(getuid());
	pv_autofree char *name = pv_xstrdup(pw ? pw->pw_name : NULL);
	bool uids = find_base("/etc/subuid", false, name, &ids.uid_base) == 0;
	bool gids = find_base("/etc/subgid", true, name, &ids.gid_base) == 0;
	if (uids && gids) {
		*ret = ids;
		return 0;
	}
	pv_autofree char *who = name ? pv_xstrdup(name) : pv_fmt("%u", getuid());
	return pv_error_set(err, PV_ERR_HOST, "%s: no range of %u subordinate ids for %s; add one as root: usermod "
			    "--add-subuids 1000000-1065535 --add-subgids 1000000-1065535 %s (numbers nobody else has)",
			    uids ? "/etc/subgid" : gids ? "/etc/subuid" : "/etc/subuid, /etc/subgid", PV_NS_IDS, who,
			    who);
}

/* --- the helper: a child outside, which writes the maps of its parent --- */

static int write_map(pid_t pid, const char *file, const struct pv_ns_extent *map, int n, struct pv_error *err)
{
	pv_autofree char *path = pv_fmt("/proc/%d/%s", (int)pid, file);
	pv_autostr text = PV_STR_INIT;
	pv_autoclose int fd = open(path, O_WRONLY | O_CLOEXEC);

	for (int i = 0; i < n; i++)
		pv_str_addf(&text, "%u %u %u\n", map[i].inner, map[i].outer, map[i].count);
	/* The kernel takes a map in one write only. */
	if (fd < 0 || write(fd, text.data, text.len) != (ssize_t)text.len)
		return pv_error_errno(err, PV_ERR_HOST, errno, "%s: cannot map ids", path);
	return 0;
}

static int map_as_root(pid_t pid, const char *file, uint32_t base, struct pv_error *err)
{
	struct pv_ns_extent have[PV_NS_MAX_EXTENTS], map[PV_NS_MAX_EXTENTS];
	pv_autofree char *own = pv_fmt("/proc/self/%s", file);
	int nhave = read_own_map(own, have, err);

	if (nhave < 0)
		return -1;
	int n = pv_ns_root_map(have, (size_t)nhave, base, map, PV_NS_MAX_EXTENTS);
	if (n < 0)
		return pv_error_set(err, PV_ERR_HOST, "%s: cannot place ids %u..%u", own, base, base + PV_NS_IDS - 1);
	return write_map(pid, file, map, n, err);
}

static int map_by_tool(const char *tool, pid_t pid, uint32_t base, uint32_t self, struct pv_error *err)
{
	pv_autostrv argv = PV_STRV_INIT;
	pv_autofree char *program = pv_proc_which(tool);

	if (!program)
		return pv_error_set(err, PV_ERR_HOST, "%s: not found; install it: apt-get install uidmap", tool);
	pv_strv_add(&argv, program);
	pv_strv_addf(&argv, "%d", (int)pid);
	pv_strv_addf(&argv, "0");
	pv_strv_addf(&argv, "%u", base);
	pv_strv_addf(&argv, "%u", PV_NS_IDS);
	pv_strv_addf(&argv, "%u", PV_NS_SELF);
	pv_strv_addf(&argv, "%u", self);
	pv_strv_addf(&argv, "1");
	const struct pv_proc proc = { .argv = (const char *const *)argv.v, .deadline_s = 30 };
	if (pv_proc_check(&proc, PV_ERR_HOST, err) < 0)
		return pv_error_wrap(err, "cannot map subordinate ids (is %s setuid root?)", program);
	return 0;
}

static int write_maps(pid_t pid, const struct pv_ns_ids *ids, struct pv_error *err)
{
	if (geteuid() == 0) {
		if (map_as_root(pid, "uid_map", ids->uid_base, err) < 0)
			return -1;
		return map_as_root(pid, "gid_map", ids->gid_base, err);
	}
	if (map_by_tool("newuidmap", pid, ids->uid_base, getuid(), err) < 0)
		return -1;
	return map_by_tool("newgidmap", pid, ids->gid_base, getgid(), err);
}

/* Waits for the word that the namespace is there, maps, answers with nothing or with the words of the error. */
static void __attribute__((noreturn)) helper(pid_t parent, const struct pv_ns_ids *ids, int go, int answer)
{
	pv_autoerror err = PV_ERROR_INIT;
	char c;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || read(go, &c, 1) != 1)
		_exit(1);
	if (write_maps(parent, ids, &err) == 0)
		_exit(0);
	if (pv_write_all(answer, err.text, strnlen(err.text, WORDS_MAX)) < 0)
		_exit(1);
	_exit(1);
}

/* --- the process itself --- */

static int explain(int errnum, const char *what, struct pv_error *err)
{
	const char *way = "this container or a seccomp filter forbids them: run pvimg outside, or allow unshare(2)";

	if (pv_host_sysctl("/proc/sys/kernel/unprivileged_userns_clone") == 0 && geteuid() != 0)
		way = "allow them as root: sysctl -w kernel.unprivileged_userns_clone=1";
	else if (pv_host_sysctl("/proc/sys/user/max_user_namespaces") == 0)
		way = "allow them as root: sysctl -w user.max_user_namespaces=15000";
	else if (pv_host_sysctl("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == 1 && geteuid() != 0)
		way = "AppArmor allows them to known programs only: run scripts/deps, which installs a profile";
	else if (errnum == ENOSPC)
		way = "too many are in use: raise user.max_user_namespaces and user.max_mnt_namespaces";
	else if (errnum == ENOSYS || errnum == EINVAL)
		way = "this kernel has none: it needs CONFIG_USER_NS";
	return pv_error_set(err, PV_ERR_HOST, "user namespaces are forbidden on this host (%s: %s); %s", what,
			    strerror(errnum), way);
}

/* Settings that forbid, told before anything else: with them no other advice helps. */
static int check_settings(struct pv_error *err)
{
	if (pv_host_sysctl("/proc/sys/user/max_user_namespaces") == 0)
		return explain(ENOSPC, "unshare", err);
	if (pv_host_sysctl("/proc/sys/kernel/unprivileged_userns_clone") == 0 && geteuid() != 0)
		return explain(EPERM, "unshare", err);
	return 0;
}

/* Reads the helper's answer to its end and reaps it. */
static int take_answer(pid_t child, int answer, struct pv_error *err)
{
	char words[WORDS_MAX + 1];
	size_t len = 0;
	ssize_t n;
	int status = 0;

	while (len < WORDS_MAX && (n = read(answer, words + len, WORDS_MAX - len)) != 0) {
		if (n > 0)
			len += (size_t)n;
		else if (errno != EINTR)
			break;
	}
	words[len] = '\0';
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return pv_error_errno(err, PV_ERR_HOST, errno, "cannot map ids");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return pv_error_set(err, PV_ERR_HOST, "%s", len ? words : "cannot map ids: the helper was killed");
}

static int unshare_and_map(pid_t child, int go, int answer, struct pv_error *err)
{
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return explain(errno, "unshare", err);
	if (pv_write_all(go, "g", 1) < 0)
		return pv_error_errno(err, PV_ERR_HOST, errno, "cannot map ids");
	if (take_answer(child, answer, err) < 0)
		return -1;
	/* Mounts of the host still come in; none of ours go out. */
	if (mount("none", "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return explain(errno, "mount", err);
	return 0;
}

int pv_ns_enter(struct pv_error *err)
{
	struct pv_ns_ids ids = { 0, 0 };
	int go[2], answer[2];

	if (pv_ns_active())
		return 0;
	if (check_settings(err) < 0 || pv_ns_ids(&ids, err) < 0)
		return -1;
	if (pipe2(go, O_CLOEXEC) < 0)
		return pv_error_errno(err, PV_ERR_HOST, errno, "pipe");
	if (pipe2(answer, O_CLOEXEC) < 0) {
		pv_closep(&go[0]);
		pv_closep(&go[1]);
		return pv_error_errno(err, PV_ERR_HOST, errno, "pipe");
	}
	pid_t self = getpid();
	pid_t child = fork();
	if (child == 0) {
		pv_closep(&go[1]);
		pv_closep(&answer[0]);
		helper(self, &ids, go[0], answer[1]);
	}
	int rc = child < 0 ? pv_error_errno(err, PV_ERR_HOST, errno, "fork") : 0;
	pv_closep(&go[0]);
	pv_closep(&answer[1]);
	if (rc == 0)
		rc = unshare_and_map(child, go[1], answer[0], err);
	pv_closep(&go[1]);	/* ends a helper that still waits */
	pv_closep(&answer[0]);
	if (rc < 0 && child > 0)
		waitpid(child, NULL, 0);
	return rc;
}

bool pv_ns_active(void)
{
	struct pv_ns_extent map[PV_NS_MAX_EXTENTS];
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2] = { 0 };

	if (geteuid() != PV_NS_SELF || read_own_map("/proc/self/uid_map", map, NULL) < 2)
		return false;
	if (map[0].inner != 0 || map[0].count != PV_NS_IDS || syscall(SYS_capget, &head, caps) < 0)
		return false;
	return (caps[0].effective & (1u << CAP_SYS_ADMIN)) != 0;
}

int pv_ns_probe(struct pv_error *err)
{
	int answer[2];

	if (pipe2(answer, O_CLOEXEC) < 0)
		return pv_error_errno(err, PV_ERR_HOST, errno, "pipe");
	pid_t child = fork();
	if (child == 0) {
		pv_autoerror mine = PV_ERROR_INIT;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pv_closep(&answer[0]);
		if (pv_ns_enter(&mine) == 0)
			_exit(0);
		_exit(pv_write_all(answer[1], mine.text, strnlen(mine.text, WORDS_MAX)) < 0 ? 2 : 1);
	}
	pv_closep(&answer[1]);
	int rc = child < 0 ? pv_error_errno(err, PV_ERR_HOST, errno, "fork") : take_answer(child, answer[0], err);
	pv_closep(&answer[0]);
	return rc;
}
