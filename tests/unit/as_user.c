/* SPDX-License-Identifier: Apache-2.0 */
/* Children that run as somebody: see as_user.h. */
#include "as_user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "fsutil.h"
#include "ns_map.h"
#include "proc.h"
#include "text.h"

#define TEST_PREFIX "pv"	/* users that come and go with tests, ours and the scripts' */

static bool has_ids(const char *path, const struct passwd *pw)
{
	pv_autofree char *text = NULL;
	uint32_t base;

	return pv_read_file(path, 1 << 20, &text, NULL, NULL) == 0 &&
	       pv_ns_subid_parse(text, pw->pw_name, pw->pw_uid, &base) == 0;
}

static bool take_person(struct people *p, const struct passwd *pw)
{
	struct person *who = &p->who[p->n];

	if (!pw || strlen(pw->pw_name) >= sizeof(who->name))
		return false;
	snprintf(who->name, sizeof(who->name), "%s", pw->pw_name);
	who->uid = pw->pw_uid;
	who->gid = pw->pw_gid;
	snprintf(who->dir, sizeof(who->dir), "/tmp/pvimg it's \"%zu\"-XXXXXX", p->n);
	if (!mkdtemp(who->dir) || chown(who->dir, who->uid, who->gid) < 0)
		abort();
	p->n++;
	return true;
}

/* `name` NULL: any that is there to stay. */
static bool take_ordinary(struct people *p, const char *name)
{
	const struct passwd *pw;
	bool found = false;

	setpwent();
	while (!found && (pw = getpwent()))
		found = (name ? pv_streq(pw->pw_name, name) : !pv_starts(pw->pw_name, TEST_PREFIX)) &&
			pw->pw_uid >= 1000 && pw->pw_uid < 60000 && has_ids("/etc/subuid", pw) &&
			has_ids("/etc/subgid", pw) && take_person(p, pw);
	endpwent();
	return found;
}

void people_set_up(struct people *p)
{
	memset(p, 0, sizeof(*p));
	if (!take_person(p, getpwuid(geteuid())))
		abort();
	if (geteuid() != 0 || take_ordinary(p, NULL))
		return;
	snprintf(p->made, sizeof(p->made), TEST_PREFIX "-u%d", (int)getpid());
	const char *const argv[] = { "useradd", "-m", p->made, NULL };
	const struct pv_proc proc = { .argv = argv, .deadline_s = 30 };
	if (pv_proc_check(&proc, PV_ERR_HOST, NULL) < 0) {
		p->made[0] = '\0';	/* a host without useradd: as root alone */
		return;
	}
	if (!take_ordinary(p, p->made))
		fprintf(stderr, "%s got no subordinate ids: tests run as root alone\n", p->made);
}

void people_tear_down(struct people *p)
{
	const char *const argv[] = { "userdel", "-r", p->made, NULL };
	const struct pv_proc proc = { .argv = argv, .deadline_s = 30 };

	for (size_t i = 0; i < p->n; i++)
		if (pv_rmtree(p->who[i].dir, NULL) < 0)
			fprintf(stderr, "%s: left behind\n", p->who[i].dir);
	if (p->made[0] && pv_proc_check(&proc, PV_ERR_HOST, NULL) < 0)
		fprintf(stderr, "user %s: left behind\n", p->made);
}

pid_t start_as(const struct person *who, void (*fn)(void *ctx), void *ctx)
{
	fflush(NULL);
	pid_t pid = fork();
	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (who->uid != geteuid()) {
		CHECK(initgroups(who->name, who->gid) == 0);
		CHECK(setresgid(who->gid, who->gid, who->gid) == 0);
		CHECK(setresuid(who->uid, who->uid, who->uid) == 0);
		/* As after a login: newuidmap looks at who owns /proc/PID. */
		CHECK(prctl(PR_SET_DUMPABLE, 1) == 0);
	}
	fn(ctx);
	fflush(NULL);
	_exit(0);
}

int run_as(const struct person *who, void (*fn)(void *ctx), void *ctx)
{
	int status = 0;
	pid_t pid = start_as(who, fn, ctx);

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
