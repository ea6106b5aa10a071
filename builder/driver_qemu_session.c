/* SPDX-License-Identifier: Apache-2.0 */
/* One QEMU with Xen and dom0 in it: its sandbox, its sockets, and who hears what comes over them. */
#include "driver_qemu_session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "driver_qemu_save.h"
#include "driver_wire.h"
#include "fsutil.h"
#include "ns.h"
#include "proc.h"
#include "sandbox.h"

enum { LOG_MAX = 1 << 22, WORDS_MAX = 300 };

/* The state of a session while QEMU runs. dom0 is first spoken to by an agent of the session's own: it waits for the
 * hello, or tells a restored dom0 the time and waits for the answer. Then the caller's agent hears the hello and
 * everything after it. */
struct running {
	struct pv_qemu_session *s;
	struct pv_agent *own;
	struct pv_agent_wire wire;
	struct pv_qmp *qmp;
	struct pv_qemu_save save;
	unsigned asked;			/* id of the restored dom0's command */
	uint64_t started;
	bool handed_over;		/* the caller's agent has the wire */
	bool late;			/* there was no hello in time */
};

/* --- the greeting --- */

static void hand_over(struct running *r)
{
	if (r->handed_over)
		return;
	r->handed_over = true;
	r->wire.agent = r->s->agent;
	if (!r->s->agent)
		return;
	pv_autofree char *line = pv_fmt("hello %u %s\n", PV_AGENT_VERSION, r->s->hello);
	pv_agent_feed(r->s->agent, line, strlen(line));
}

static void greeted(struct running *r, const char *words)
{
	if (r->s->hello)
		return;
	r->s->hello = pv_xstrdup(words);
	r->s->hello_ms = pv_clock_ms() - r->started;
	if (r->s->save_fd >= 0)
		pv_qemu_save_begin(&r->save, pv_clock_ms());
	else
		hand_over(r);
}

static void on_hello(void *ctx, const char *facts)
{
	struct running *r = ctx;

	if (!r->s->restored)
		greeted(r, facts);
}

static void on_end(void *ctx, unsigned id, int status)
{
	struct running *r = ctx;

	(void)status;
	if (r->s->restored && id == r->asked)
		greeted(r, r->s->restored);
}

static struct pv_agent *own_agent(struct running *r)
{
	const struct pv_agent_handler handler = { .hello = on_hello, .end = on_end, .ctx = r };
	struct pv_agent *agent = pv_agent_new(&handler);
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (r->s->restored)
		r->asked = pv_agent_send(agent, "clock %lld", (long long)now.tv_sec);
	return agent;
}

/* --- the clock --- */

static void on_tick(void *ctx)
{
	struct running *r = ctx;

	if (!r->s->hello && pv_clock_ms() - r->started > (uint64_t)r->s->hello_s * 1000)
		r->late = true;
	pv_qemu_save_tick(&r->save, pv_clock_ms());
	if (r->save.state == PV_SAVE_OVER && !r->handed_over) {
		if (r->save.written)
			r->s->on_saved(r->s->ctx, r->s->hello, r->s->hello_ms);
		hand_over(r);
	}
	if (r->s->agent)
		pv_agent_tick(r->s->agent);
}

static bool is_over(void *ctx)
{
	const struct running *r = ctx;

	if (r->late)
		return true;
	if (r->s->agent && pv_agent_stopped(r->s->agent))
		return true;
	return r->handed_over && !r->s->agent;
}

/* --- last words --- */

/* The line of Xen's log that says most about an end; the caller frees. */
static char *log_words(const char *path)
{
	static const char *const telling[] = {
		"Panic on CPU", "Kernel panic", "FATAL", "Hardware Dom0 ", "BUG: ", "not found", "annot ",
	};
	pv_autofree char *text = NULL;
	size_t len = 0;
	const char *found = NULL, *last = "nothing";

	if (pv_read_file(path, LOG_MAX, &text, &len, NULL) < 0)
		return pv_xstrdup("unreadable");
	for (char *rest = text, *line; (line = strsep(&rest, "\r\n"));) {
		if (strspn(line, " \t*") < strlen(line))
			last = line;
		for (size_t i = 0; i < PV_COUNT(telling) && !found; i++)
			if (strstr(line, telling[i]))
				found = line;
	}
	if (!found)
		found = last;
	len = strlen(found);
	return pv_printable(found, len < WORDS_MAX ? len : WORDS_MAX);
}

static int ended_early(const struct pv_proc_result *res, const char *log_path, struct pv_error *err)
{
	pv_autofree char *fate = pv_proc_fate(res), *words = log_words(log_path), *own = pv_proc_last_line(res);

	if (*own)
		return pv_error_set(err, PV_ERR_STAGE, "QEMU ended by itself (%s): %s", fate, own);
	return pv_error_set(err, PV_ERR_STAGE, "Xen in QEMU ended by itself (%s); its last words: %s", fate, words);
}

/* --- setting up --- */

/* Files that QEMU opens by name: in the sandbox, under names of ours. */
static void add_binds(const struct pv_dom0 *dom0, bool kvm, struct pv_sandbox_bind *binds, size_t *n)
{
	*n = 0;
	binds[(*n)++] = (struct pv_sandbox_bind){ .source = dom0->xen, .target = PV_QEMU_XEN };
	binds[(*n)++] = (struct pv_sandbox_bind){ .source = dom0->kernel, .target = PV_QEMU_KERNEL };
	binds[(*n)++] = (struct pv_sandbox_bind){ .source = dom0->initrd, .target = PV_QEMU_INITRD };
	if (kvm)
		binds[(*n)++] = (struct pv_sandbox_bind){ .source = "/dev/kvm", .target = "/dev/kvm", .writable = true };
}

static int make_root(const char *work_dir, char **ret, struct pv_error *err)
{
	pv_autofree char *root = pv_path_join(work_dir, "qemu-root");

	if (pv_mkdirs(root, 0755, err) < 0)
		return -1;
	if (pv_ns_active() && chown(root, 0, 0) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", root);
	*ret = pv_steal(&root);
	return 0;
}

/* ours[0], theirs[0]: the wire; [1]: the monitor. */
static int make_sockets(int ours[2], int theirs[2], struct pv_error *err)
{
	for (int i = 0; i < 2; i++) {
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
			return pv_error_errno(err, PV_ERR_HOST, errno, "cannot make a socket");
		ours[i] = pair[0];
		theirs[i] = pair[1];
		if (fcntl(ours[i], F_SETFL, O_NONBLOCK) < 0)
			return pv_error_errno(err, PV_ERR_HOST, errno, "cannot make a socket");
	}
	return 0;
}

static size_t list_fds(const struct pv_qemu_files *f, int *ret)
{
	const int all[] = { f->image, f->overlay, f->seed, f->job, f->extra, f->log, f->wire, f->qmp, f->incoming };
	size_t n = 0;

	for (size_t i = 0; i < PV_COUNT(all); i++)
		if (all[i] >= 0)
			ret[n++] = all[i];
	return n;
}

enum { BINDS_MAX = 4, FDS_MAX = 9 };

static int run_qemu(struct running *r, const struct pv_qemu_files *files, int monitor, struct pv_proc_result *res,
		    struct pv_error *err)
{
	struct pv_sandbox_bind binds[BINDS_MAX];
	int fds[FDS_MAX];
	size_t nbinds;
	pv_autofree char *root = NULL;
	pv_autostrv argv = PV_STRV_INIT;

	if (make_root(r->s->work_dir, &root, err) < 0)
		return -1;
	add_binds(r->s->dom0, r->s->machine->kvm, binds, &nbinds);
	pv_qemu_args(r->s->machine, files, &argv);
	const struct pv_proc_watch watches[] = {
		pv_agent_wire_watch(&r->wire),
		{ .fd = monitor, .want = pv_qmp_want, .ready = pv_qmp_ready, .ctx = r->qmp },
	};
	const struct pv_sandbox box = { .root = root, .host_tools = true, .binds = binds, .nbinds = nbinds };
	const struct pv_proc proc = {
		.argv = (const char *const *)argv.v, .keep_fds = fds, .nkeep_fds = list_fds(files, fds),
		.on_tick = on_tick, .tick_ctx = r, .watches = watches, .nwatches = PV_COUNT(watches), .stop = is_over,
	};
	r->started = pv_clock_ms();
	return pv_sandbox_run(&box, &proc, res, err);
}

static int run_with_sockets(struct pv_qemu_session *s, int ours[2], const int theirs[2], struct pv_error *err)
{
	const struct pv_qmp_handler nothing = { .ctx = NULL };
	pv_autofree char *log_path = pv_path_join(s->work_dir, "xen.log");
	pv_autoclose int log_fd = open(log_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	pv_autoproc res = PV_PROC_RESULT_INIT;
	struct pv_qemu_files files = s->files;
	struct running r = { .s = s };
	int monitor = ours[1];

	if (log_fd < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", log_path);
	files.log = log_fd;
	files.wire = theirs[0];
	files.qmp = theirs[1];
	r.qmp = pv_qmp_new(pv_steal_fd(&ours[1]), &nothing);
	r.save = (struct pv_qemu_save){ .qmp = r.qmp, .fd = s->save_fd };
	r.own = own_agent(&r);
	r.wire = (struct pv_agent_wire){ .fd = ours[0], .agent = r.own };
	int rc = run_qemu(&r, &files, monitor, &res, err);
	s->save_error = pv_steal(&r.save.error);
	pv_qemu_save_done(&r.save);
	pv_agent_free(r.own);
	pv_qmp_free(r.qmp);
	if (rc < 0)
		return -1;
	if (r.late)
		s->last_words = log_words(log_path);
	return res.stopped ? 0 : ended_early(&res, log_path, err);
}

int pv_qemu_session_run(struct pv_qemu_session *s, struct pv_error *err)
{
	int ours[2] = { -1, -1 }, theirs[2] = { -1, -1 };
	int rc = make_sockets(ours, theirs, err);

	if (rc == 0)
		rc = run_with_sockets(s, ours, theirs, err);
	for (int i = 0; i < 2; i++) {
		pv_closep(&ours[i]);
		pv_closep(&theirs[i]);
	}
	return rc;
}

void pv_qemu_session_done(struct pv_qemu_session *s)
{
	pv_freep(&s->hello);
	pv_freep(&s->save_error);
	pv_freep(&s->last_words);
}
