/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors that are served while a program runs, ticks, and programs that are told to stop. */
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fsutil.h"
#include "proc.h"
#include "text.h"

#define SH(script) ((const char *const[]){ "sh", "-c", script, NULL })

struct talk {			/* a conversation over one end of a socket pair */
	int ours, theirs;
	struct pv_str got;
	const char *say;	/* what is still to be written */
	unsigned reads, hangups, asked;
	const char *stop_at;	/* stop when this has come */
	bool once;		/* watch no more after the first read */
	bool let_go;		/* close our copy of the program's end after the first read */
};

static void talk_begin(struct talk *t)
{
	int pair[2];

	*t = (struct talk){ .ours = -1 };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
	t->ours = pair[0];
	t->theirs = pair[1];
}

static void talk_end(struct talk *t)
{
	pv_closep(&t->ours);
	pv_closep(&t->theirs);
	pv_str_done(&t->got);
}

static short talk_want(void *ctx)
{
	struct talk *t = ctx;

	t->asked++;
	return t->say && *t->say ? POLLIN | POLLOUT : POLLIN;
}

static bool talk_ready(void *ctx, short revents)
{
	struct talk *t = ctx;
	char buf[7];
	ssize_t n;

	if (revents & POLLHUP)
		t->hangups++;
	if ((revents & POLLOUT) && t->say && *t->say && write(t->ours, t->say, 1) == 1)
		t->say++;
	if (!(revents & (POLLIN | POLLHUP)))
		return true;
	t->reads++;
	n = read(t->ours, buf, sizeof(buf));
	if (n > 0)
		pv_str_addn(&t->got, buf, (size_t)n);
	if (t->let_go)
		pv_closep(&t->theirs);
	return n > 0 && !t->once;
}

static bool talk_stop(void *ctx)
{
	const struct talk *t = ctx;

	return t->stop_at && strstr(pv_str_text(&t->got), t->stop_at);
}

/* Runs the script, which finds its end of the socket at descriptor 9. */
static void run_talk(struct talk *t, const char *script, unsigned deadline_s, struct pv_proc_result *res)
{
	const struct pv_proc_watch watch = { .fd = t->ours, .want = talk_want, .ready = talk_ready, .ctx = t };
	int keep = t->theirs;
	pv_autofree char *full = pv_fmt("exec 9<&%d 8>&%d; %s", keep, keep, script);
	const struct pv_proc proc = {
		.argv = SH(full), .keep_fds = &keep, .nkeep_fds = 1, .deadline_s = deadline_s, .watches = &watch,
		.nwatches = 1, .stop = talk_stop, .tick_ctx = t,
	};
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_proc_run(&proc, res, &err) < 0)
		fail_msg("%s", err.text);
}

static void test_both_ways(void **state)
{
	pv_autoproc res = PV_PROC_RESULT_INIT;
	struct talk t;

	(void)state;
	talk_begin(&t);
	t.say = "ping\nquit\n";
	run_talk(&t, "while read line <&9; do echo got $line >&8; [ $line != quit ] || exit 7; done", 20, &res);
	assert_string_equal(pv_str_text(&t.got), "got ping\ngot quit\n");
	assert_int_equal(res.exit_code, 7);
	assert_false(res.stopped);
	assert_in_range(res.wall_ms, 0, 900);
	talk_end(&t);
}

/* What the program said last is read though it has ended, also where both ends are still open here. */
static void test_last_words_are_read(void **state)
{
	pv_autofree char *expected = pv_fmt("%0200d", 0);
	pv_autoproc res = PV_PROC_RESULT_INIT;
	struct talk t;

	(void)state;
	talk_begin(&t);
	run_talk(&t, "printf %0200d 0 >&8", 20, &res);
	assert_string_equal(pv_str_text(&t.got), expected);
	/* nobody waited for an end of input that could not come */
	assert_in_range(res.wall_ms, 0, 900);
	talk_end(&t);
}

static void test_stop_ends_it_without_error(void **state)
{
	pv_autofree char *fate = NULL;
	pv_autoproc res = PV_PROC_RESULT_INIT;
	struct talk t;

	(void)state;
	talk_begin(&t);
	t.stop_at = "enough";
	run_talk(&t, "echo some >&8; sleep 0.2; echo enough >&8; sleep 50", 60, &res);
	assert_true(res.stopped);
	assert_false(res.timed_out);
	assert_int_equal(res.signal, SIGTERM);
	assert_in_range(res.wall_ms, 150, 2000);
	fate = pv_proc_fate(&res);
	assert_string_equal(fate, "stopped");
	talk_end(&t);
}

static bool stop_at_once(void *ctx)
{
	unsigned *asked = ctx;

	++*asked;
	return true;
}

static void test_stop_of_a_deaf_program(void **state)
{
	unsigned asked = 0;
	const struct pv_proc proc = {
		.argv = SH("trap '' TERM; sleep 0.3; sleep 50; sleep 50; sleep 50"), .stop = stop_at_once, .tick_ctx = &asked,
	};
	pv_autoproc res = PV_PROC_RESULT_INIT;
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	assert_int_equal(pv_proc_run(&proc, &res, &err), 0);
	assert_true(res.stopped);
	assert_int_equal(asked, 1);
	assert_in_range(res.wall_ms, 0, 4000);
	/* and is no failure for who wants success */
	assert_int_equal(pv_proc_check(&proc, PV_ERR_STAGE, &err), 0);
}

static void test_deadline_comes_before_a_late_stop(void **state)
{
	pv_autoproc res = PV_PROC_RESULT_INIT;
	struct talk t;

	(void)state;
	talk_begin(&t);
	t.stop_at = "late";
	run_talk(&t, "trap 'echo late >&8; exit 0' TERM; sleep 50 & wait", 1, &res);
	assert_true(res.timed_out);
	assert_false(res.stopped);
	assert_string_equal(pv_str_text(&t.got), "late\n");
	talk_end(&t);
}

static void test_watched_no_more(void **state)
{
	pv_autoproc res = PV_PROC_RESULT_INIT;
	struct talk t;

	(void)state;
	talk_begin(&t);
	t.once = true;
	run_talk(&t, "echo a >&8; sleep 0.2; echo b >&8", 20, &res);
	assert_int_equal(t.reads, 1);
	assert_string_equal(pv_str_text(&t.got), "a\n");
	talk_end(&t);
}

/* The program closes its end and lives on: one turn with POLLHUP, no spinning. */
static void test_end_of_the_other_side(void **state)
{
	pv_autofree char *script = NULL;
	pv_autoproc res = PV_PROC_RESULT_INIT;
	struct talk t;
	int keep;

	(void)state;
	talk_begin(&t);
	t.let_go = true;
	keep = t.theirs;
	assert_in_range(keep, 3, 9);	/* what sh can close */
	script = pv_fmt("echo bye >&%d; exec %d>&-; sleep 0.7", keep, keep);
	const struct pv_proc_watch watch = { .fd = t.ours, .want = talk_want, .ready = talk_ready, .ctx = &t };
	const struct pv_proc proc = {
		.argv = SH(script), .keep_fds = &keep, .nkeep_fds = 1, .watches = &watch, .nwatches = 1,
	};
	assert_int_equal(pv_proc_run(&proc, &res, NULL), 0);
	assert_string_equal(pv_str_text(&t.got), "bye\n");
	assert_int_equal(t.hangups, 1);
	assert_in_range(t.asked, 1, 10);
	assert_in_range(res.wall_ms, 600, 1500);
	talk_end(&t);
}

static short nothing_wanted(void *ctx)
{
	++*(unsigned *)ctx;
	return 0;
}

static bool never_ready(void *ctx, short revents)
{
	(void)ctx;
	(void)revents;
	fail_msg("called though nothing was wanted");
	return false;
}

/* A peer that is gone, input that nobody wants: not looked at, and the loop does not spin. */
static void test_nothing_wanted(void **state)
{
	unsigned asked = 0;
	struct talk t;

	(void)state;
	talk_begin(&t);
	const struct pv_proc_watch watches[] = {
		{ .fd = t.ours, .want = nothing_wanted, .ready = never_ready, .ctx = &asked },
		{ .fd = -1, .want = talk_want, .ready = never_ready, .ctx = &t },
	};
	const struct pv_proc proc = { .argv = SH("sleep 0.7"), .watches = watches, .nwatches = 2 };
	pv_autoproc res = PV_PROC_RESULT_INIT;

	assert_int_equal(write(t.theirs, "x", 1), 1);
	pv_closep(&t.theirs);
	assert_int_equal(pv_proc_run(&proc, &res, NULL), 0);
	assert_in_range(asked, 1, 20);
	assert_int_equal(t.asked, 0);
	assert_in_range(res.wall_ms, 0, 1500);
	talk_end(&t);
}

static bool drain_some(void *ctx, short revents)
{
	char buf[4096];

	(void)revents;
	return read(*(int *)ctx, buf, sizeof(buf)) > 0;
}

static void count_tick(void *ctx)
{
	++*(unsigned *)ctx;
}

/* However busy the wire is, ticks stay at about two a second, and the deadline holds. */
static void test_ticks_under_a_flood(void **state)
{
	pv_autofree char *script = NULL;
	pv_autoproc res = PV_PROC_RESULT_INIT;
	unsigned ticks = 0;
	struct talk t;
	int keep;

	(void)state;
	talk_begin(&t);
	keep = t.theirs;
	script = pv_fmt("exec yes >&%d", keep);
	const struct pv_proc_watch watch = { .fd = t.ours, .ready = drain_some, .ctx = &t.ours };
	const struct pv_proc proc = {
		.argv = (const char *const[]){ "sh", "-c", script, NULL }, .keep_fds = &keep, .nkeep_fds = 1,
		.watches = &watch, .nwatches = 1, .on_tick = count_tick, .tick_ctx = &ticks, .deadline_s = 2,
	};
	assert_int_equal(pv_proc_run(&proc, &res, NULL), 0);
	assert_true(res.timed_out);
	assert_in_range(ticks, 2, 7);
	assert_in_range(res.wall_ms, 1900, 4500);
	talk_end(&t);
}

static void test_ticks_in_silence(void **state)
{
	unsigned ticks = 0;
	const struct pv_proc proc = { .argv = SH("sleep 1.2"), .on_tick = count_tick, .tick_ctx = &ticks };
	pv_autoproc res = PV_PROC_RESULT_INIT;

	(void)state;
	assert_int_equal(pv_proc_run(&proc, &res, NULL), 0);
	assert_in_range(ticks, 2, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ways),
		cmocka_unit_test(test_last_words_are_read),
		cmocka_unit_test(test_stop_ends_it_without_error),
		cmocka_unit_test(test_stop_of_a_deaf_program),
		cmocka_unit_test(test_deadline_comes_before_a_late_stop),
		cmocka_unit_test(test_watched_no_more),
		cmocka_unit_test(test_end_of_the_other_side),
		cmocka_unit_test(test_nothing_wanted),
		cmocka_unit_test(test_ticks_under_a_flood),
		cmocka_unit_test(test_ticks_in_silence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
