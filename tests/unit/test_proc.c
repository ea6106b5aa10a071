/* SPDX-License-Identifier: Apache-2.0 */
/* Children: arguments, output, ends, deadlines, groups, interruption; the five traps that other builders fell into. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fsutil.h"
#include "proc.h"
#include "text.h"

#define SH(script) ((const char *const[]){ "sh", "-c", script, NULL })

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void keep_line(void *ctx, const char *line, size_t len)
{
	struct pv_str *s = ctx;

	pv_str_addn(s, line, len);
	pv_str_addc(s, '|');
}

/* Runs the script and returns its stdout with | after each line; the caller frees. */
static char *output_of(const struct pv_proc *given)
{
	struct pv_str out = PV_STR_INIT;
	struct pv_proc proc = *given;
	pv_autoproc res = PV_PROC_RESULT_INIT;
	pv_autoerror err = PV_ERROR_INIT;

	proc.on_stdout = keep_line;
	proc.ctx = &out;
	if (pv_proc_run(&proc, &res, &err) < 0)
		fail_msg("%s", err.text);
	return pv_str_steal(&out);
}

static bool gone(pid_t pid)
{
	for (int i = 0; i < 100; i++) {
		pv_autofree char *path = pv_fmt("/proc/%d/stat", (int)pid), *text = NULL;

		/* a zombie that nobody reaped yet is gone too */
		if (kill(pid, 0) < 0 || pv_read_file(path, 4096, &text, NULL, NULL) < 0 || strstr(text, ") Z "))
			return true;
		usleep(20000);
	}
	return false;
}

/* --- the traps --- */

static void test_trap1_no_shell_sees_arguments(void **state)
{
	const char *const nasty[] = {
		"printf", "%s\\n", "a b", "'", "\"; exit 9; \"", "$(exit 9)", "`exit 9`", "*", "", "\\", NULL,
	};
	const struct pv_proc proc = { .argv = nasty };
	pv_autofree char *out = output_of(&proc);

	(void)state;
	assert_string_equal(out, "a b|'|\"; exit 9; \"|$(exit 9)|`exit 9`|*||\\|");
}

static void test_trap2_killed_is_no_success(void **state)
{
	const struct pv_proc proc = { .argv = SH("kill -KILL $$") };
	pv_autoproc res = PV_PROC_RESULT_INIT;
	pv_autoerror err = PV_ERROR_INIT;
	pv_autofree char *fate = NULL;

	(void)state;
	assert_int_equal(pv_proc_run(&proc, &res, &err), 0);
	assert_int_equal(res.exit_code, -1);
	assert_int_equal(res.signal, SIGKILL);
	assert_false(res.timed_out);
	fate = pv_proc_fate(&res);
	assert_string_equal(fate, "killed by signal 9 (Killed)");
	assert_int_equal(pv_proc_check(&proc, PV_ERR_ARCHIVE, &err), -1);
	assert_int_equal(err.kind, PV_ERR_ARCHIVE);
	assert_string_equal(err.text, "sh: killed by signal 9 (Killed)");
}

/* A child that cannot exec must not come back into our code: this process would go on twice. */
static void test_trap3_failed_exec_does_not_return(void **state)
{
	static const char script[] = "#!/no/such/interpreter\n";
	char path[] = "/tmp/pvimg-test-proc.XXXXXX";
	int fd = mkstemp(path), marks[2];
	const struct pv_proc proc = { .argv = (const char *const[]){ path, NULL } };
	const struct pv_proc none = { .argv = (const char *const[]){ "no-such-program-at-all", NULL } };
	pv_autoproc res = PV_PROC_RESULT_INIT;
	pv_autoerror err = PV_ERROR_INIT;
	pv_autofree char *expected = NULL;
	char c[8];

	(void)state;
	assert_int_equal(pipe2(marks, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(pv_write_all(fd, script, strlen(script)), 0);
	fchmod(fd, 0755);
	close(fd);
	assert_int_equal(pv_proc_run(&proc, &res, &err), -1);
	assert_int_equal(write(marks[1], "x", 1), 1);
	assert_int_equal(err.kind, PV_ERR_HOST);
	expected = pv_fmt("%s: cannot run: its interpreter or loader is missing", path);
	assert_string_equal(err.text, expected);
	assert_int_equal(pv_proc_run(&none, &res, &err), -1);
	assert_int_equal(write(marks[1], "x", 1), 1);
	assert_string_equal(err.text, "no-such-program-at-all: not found; install it");
	usleep(50000);
	assert_int_equal(read(marks[0], c, sizeof(c)), 2);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	close(marks[0]);
	close(marks[1]);
	unlink(path);
}

static void test_trap4_deadline_ends_the_whole_group(void **state)
{
	pv_autostr out = PV_STR_INIT;
	const struct pv_proc proc = {
		.argv = SH("sleep 60 & echo $!; trap '' TERM; sleep 61; sleep 62; sleep 63"),
		.on_stdout = keep_line, .ctx = &out, .deadline_s = 1,
	};
	pv_autoproc res = PV_PROC_RESULT_INIT;
	pv_autoerror err = PV_ERROR_INIT;
	pv_autofree char *fate = NULL;
	uint64_t began = now_ms(), took;

	(void)state;
	assert_int_equal(pv_proc_run(&proc, &res, &err), 0);
	took = now_ms() - began;
	/* SIGTERM at 1 s is ignored, SIGKILL comes 2 s later */
	assert_in_range(took, 2900, 4500);
	assert_true(res.timed_out);
	assert_int_equal(res.signal, SIGKILL);
	fate = pv_proc_fate(&res);
	assert_string_equal(fate, "no end within 1 s");
	assert_true(gone((pid_t)atoi(pv_str_text(&out))));
}

/* Every way to fail returns -1 with words, none a stale 0. */
static void test_trap5_every_failure_fails(void **state)
{
	static const int bad_fd[] = { 1000 };
	const struct pv_proc bad[] = {
		{ .argv = SH("exit 1") },
		{ .argv = SH("exit 127") },
		{ .argv = SH("kill -TERM $$") },
		{ .argv = (const char *const[]){ "no-such-program-at-all", NULL } },
		{ .argv = (const char *const[]){ "/etc/hostname", NULL } },
		{ .argv = (const char *const[]){ "/", NULL } },
		{ .argv = (const char *const[]){ "", NULL } },
		{ .argv = SH("exit 0"), .cwd = "/no/such/folder" },
		{ .argv = SH("exit 0"), .keep_fds = bad_fd, .nkeep_fds = 1 },
		{ .argv = SH("sleep 30"), .deadline_s = 1 },
		/* ends well, but only after its time */
		{ .argv = SH("trap 'exit 0' TERM; sleep 30 & wait"), .deadline_s = 1 },
	};

	(void)state;
	for (size_t i = 0; i < PV_COUNT(bad); i++) {
		pv_autoerror err = PV_ERROR_INIT;

		if (pv_proc_check(&bad[i], PV_ERR_STAGE, &err) != -1 || err.kind == PV_OK || !err.text[0])
			fail_msg("case %zu", i);
	}
}

/* --- starting --- */

static int closed_stdio_child(void)
{
	pv_autostr out = PV_STR_INIT;
	const struct pv_proc proc = {
		.argv = SH("cat; echo err >&2"), .input = "in\n", .input_len = 3, .on_stdout = keep_line,
		.on_stderr = keep_line, .ctx = &out,
	};
	pv_autoproc res = PV_PROC_RESULT_INIT;

	close(0);
	close(1);
	close(2);
	if (pv_proc_run(&proc, &res, NULL) < 0 || res.exit_code != 0)
		return 1;
	return strstr(pv_str_text(&out), "in|") && strstr(pv_str_text(&out), "err|") ? 0 : 2;
}

static void test_works_without_stdio(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0)
		_exit(closed_stdio_child());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_environment_and_cwd(void **state)
{
	const char *const env[] = { "A=1", "PATH=/usr/bin:/bin", NULL };
	const struct pv_proc proc = { .argv = SH("env | grep -v '^PWD=\\|^_=\\|^SHLVL=' | sort; pwd"), .env = env, .cwd = "/usr" };
	pv_autofree char *out = output_of(&proc);

	(void)state;
	assert_string_equal(out, "A=1|PATH=/usr/bin:/bin|/usr|");
}

static void test_path_of_the_given_environment(void **state)
{
	const char *const env[] = { "PATH=/nowhere:relative::", NULL };
	const char *const argv[] = { "env", NULL };
	const struct pv_proc proc = { .argv = argv, .env = env, .cwd = "/usr/bin" };
	pv_autoproc res = PV_PROC_RESULT_INIT;
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	/* /usr/bin/env is there, but only the current folder and /usr/sbin:/sbin would have it */
	assert_int_equal(pv_proc_run(&proc, &res, &err), -1);
	assert_string_equal(err.text, "env: not found; install it");
}

static void test_signals_are_default_and_open(void **state)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, old_pipe, old_usr;
	/* The last seven digits, signals 1 to 28: glibc keeps 32 and 33 to itself, and make leaves them ignored. */
	const struct pv_proc proc = { .argv = SH("sed -n 's/^\\(Sig[BI][lg][kn]:\\).*\\(.......\\)$/\\1 \\2/p' "
						 "/proc/self/status") };
	pv_autofree char *out = NULL;
	sigset_t set, old;

	(void)state;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, &old);
	sigaction(SIGPIPE, &ignore, &old_pipe);
	sigaction(SIGUSR1, &ignore, &old_usr);
	out = output_of(&proc);
	sigaction(SIGPIPE, &old_pipe, NULL);
	sigaction(SIGUSR1, &old_usr, NULL);
	sigprocmask(SIG_SETMASK, &old, NULL);
	assert_string_equal(out, "SigBlk: 0000000|SigIgn: 0000000|");
}

static void test_mask_is_restored(void **state)
{
	const struct pv_proc proc = { .argv = SH("exit 0") };
	pv_autoproc res = PV_PROC_RESULT_INIT;
	sigset_t before, after;

	(void)state;
	sigprocmask(SIG_SETMASK, NULL, &before);
	assert_int_equal(pv_proc_run(&proc, &res, NULL), 0);
	sigprocmask(SIG_SETMASK, NULL, &after);
	for (int s = 1; s < 32; s++)
		assert_int_equal(sigismember(&before, s), sigismember(&after, s));
}

static void test_descriptors(void **state)
{
	pv_autoclose int kept = -1, other = -1;
	pv_autofree char *out = NULL, *expected = NULL;
	int keep[1];

	(void)state;
	kept = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 40);
	other = fcntl(STDIN_FILENO, F_DUPFD, 30);	/* not close-on-exec: closed all the same */
	assert_true(kept >= 40 && other >= 30);
	keep[0] = kept;
	const struct pv_proc proc = {
		.argv = (const char *const[]){ "ls", "/proc/self/fd", NULL }, .keep_fds = keep, .nkeep_fds = 1,
	};
	out = output_of(&proc);
	/* 3 is ls's own */
	expected = pv_fmt("0|1|2|3|%d|", kept);
	assert_string_equal(out, expected);
	assert_int_equal(fcntl(kept, F_GETFD), FD_CLOEXEC);
}

static void test_own_group(void **state)
{
	const struct pv_proc proc = { .argv = SH("echo $$; cut -d' ' -f5 /proc/$$/stat") };
	pv_autofree char *out = output_of(&proc);
	int pid = 0, group = 0;

	(void)state;
	assert_int_equal(sscanf(out, "%d|%d|", &pid, &group), 2);
	assert_int_equal(pid, group);
}

static int failing_setup(void *ctx, struct pv_error *err)
{
	return pv_error_set(err, PV_ERR_HOST, "newuidmap: %s", (const char *)ctx);
}

static void test_setup_words_reach_the_parent(void **state)
{
	char words[] = "no subordinate ids";
	const struct pv_proc proc = { .argv = SH("exit 0"), .setup = failing_setup, .setup_ctx = words };
	pv_autoproc res = PV_PROC_RESULT_INIT;
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	assert_int_equal(pv_proc_run(&proc, &res, &err), -1);
	assert_int_equal(err.kind, PV_ERR_HOST);
	assert_string_equal(err.text, "newuidmap: no subordinate ids");
}

/* What a sandbox does: a middle process waits and passes the end on. */
static int forking_setup(void *ctx, struct pv_error *err)
{
	int status;
	pid_t pid = fork();

	(void)ctx;
	if (pid < 0)
		return pv_error_errno(err, PV_ERR_HOST, errno, "fork");
	if (pid == 0)
		return 0;
	while (waitpid(pid, &status, 0) < 0)
		;
	if (WIFSIGNALED(status)) {
		signal(WTERMSIG(status), SIG_DFL);
		raise(WTERMSIG(status));
	}
	_exit(WEXITSTATUS(status));
}

static void test_setup_may_fork(void **state)
{
	pv_autostr out = PV_STR_INIT;
	struct pv_proc proc = {
		.argv = SH("cat; exit 3"), .setup = forking_setup, .input = "hello", .input_len = 5,
		.on_stdout = keep_line, .ctx = &out,
	};
	pv_autoproc res = PV_PROC_RESULT_INIT;
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	/* cat ends: no middle process holds the other end of its stdin */
	proc.deadline_s = 20;
	assert_int_equal(pv_proc_run(&proc, &res, &err), 0);
	assert_int_equal(res.exit_code, 3);
	assert_string_equal(pv_str_text(&out), "hello|");
	pv_proc_result_done(&res);
	proc.argv = SH("kill -SEGV $$");
	assert_int_equal(pv_proc_run(&proc, &res, &err), 0);
	assert_int_equal(res.signal, SIGSEGV);
	proc.argv = (const char *const[]){ "no-such-program-at-all", NULL };
	assert_int_equal(pv_proc_run(&proc, &res, &err), -1);
	assert_string_equal(err.text, "no-such-program-at-all: not found; install it");
}

static int prepare_cwd(void *ctx, struct pv_error *err)
{
	if (chdir(ctx) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "chdir");
	return 0;
}

static void test_cwd_is_entered_after_setup(void **state)
{
	char dir[] = "/usr";
	const struct pv_proc proc = { .argv = SH("pwd"), .setup = prepare_cwd, .setup_ctx = dir, .cwd = "bin/.." };
	pv_autofree char *out = output_of(&proc);

	(void)state;
	assert_string_equal(out, "/usr|");
}

/* --- input and output --- */

static void test_stdin_is_empty_by_default(void **state)
{
	const struct pv_proc proc = { .argv = SH("cat; readlink /proc/self/fd/0") };
	pv_autofree char *out = output_of(&proc);

	(void)state;
	assert_string_equal(out, "/dev/null|");
}

static void test_large_input_and_output(void **state)
{
	size_t len = 3 * 1024 * 1024;
	pv_autofree char *input = pv_xmalloc(len + 1);
	pv_autofree char *out = NULL;

	(void)state;
	for (size_t i = 0; i < len; i++)
		input[i] = i % 64 == 63 ? '\n' : 'x';
	input[len] = '\0';
	const struct pv_proc proc = { .argv = (const char *const[]){ "cat", NULL }, .input = input, .input_len = len };

	out = output_of(&proc);
	assert_int_equal(strlen(out), len);
	for (size_t i = 0; i < len; i++)
		if (input[i] == '\n')
			input[i] = '|';
	assert_string_equal(out, input);
}

static void test_child_that_does_not_read(void **state)
{
	pv_autofree char *input = pv_xcalloc(1, 1024 * 1024);
	const struct pv_proc proc = { .argv = SH("exec <&-; echo done"), .input = input, .input_len = 1024 * 1024 };
	pv_autofree char *out = NULL;

	(void)state;
	/* no SIGPIPE for us, though nothing ignores it here */
	out = output_of(&proc);
	assert_string_equal(out, "done|");
}

static void test_long_lines_come_in_pieces(void **state)
{
	const struct pv_proc proc = { .argv = SH("head -c 150000 /dev/zero | tr '\\0' a; printf '\\nb'") };
	pv_autofree char *out = output_of(&proc);

	(void)state;
	assert_int_equal(strlen(out), 150000 + 3 + 2);
	assert_int_equal(strcspn(out, "|"), 65536);
	assert_int_equal(strcspn(out + 65537, "|"), 65536);
	assert_true(pv_ends(out, "a|b|"));
}

static void test_streams_are_apart_or_merged(void **state)
{
	pv_autostr both = PV_STR_INIT, none = PV_STR_INIT;
	struct pv_proc proc = { .argv = SH("echo out; echo err >&2"), .on_stderr = keep_line, .ctx = &both };
	pv_autoproc res = PV_PROC_RESULT_INIT;

	(void)state;
	assert_int_equal(pv_proc_run(&proc, &res, NULL), 0);
	assert_string_equal(pv_str_text(&both), "out|err|");
	assert_string_equal(res.tail, "out\nerr\n");
	pv_proc_result_done(&res);
	proc.on_stdout = keep_line;
	proc.on_stderr = NULL;
	proc.ctx = &none;
	assert_int_equal(pv_proc_run(&proc, &res, NULL), 0);
	assert_string_equal(pv_str_text(&none), "out|");
	assert_string_equal(res.tail, "err\n");
}

static void test_stdout_to_a_descriptor(void **state)
{
	char path[] = "/tmp/pvimg-test-proc.XXXXXX";
	pv_autoclose int fd = mkostemp(path, O_CLOEXEC);
	pv_autostr lines = PV_STR_INIT;
	const struct pv_proc proc = {
		.argv = SH("printf 'raw\\0x'; echo e >&2"), .stdout_fd = fd, .on_stdout = keep_line,
		.on_stderr = keep_line, .ctx = &lines,
	};
	pv_autoproc res = PV_PROC_RESULT_INIT;
	pv_autofree char *text = NULL;
	size_t len = 0;

	(void)state;
	assert_int_equal(pv_proc_run(&proc, &res, NULL), 0);
	assert_string_equal(pv_str_text(&lines), "e|");
	assert_int_equal(pv_read_file(path, 100, &text, &len, NULL), 0);
	assert_int_equal(len, 5);
	assert_memory_equal(text, "raw\0x", 5);
	unlink(path);
}

static void test_tail_is_short_and_printable(void **state)
{
	const struct pv_proc proc = { .argv = SH("i=1; while [ $i -le 50 ]; do echo line $i; i=$((i+1)); done; printf 'x\\033[0m\\n'") };
	pv_autoproc res = PV_PROC_RESULT_INIT;

	(void)state;
	assert_int_equal(pv_proc_run(&proc, &res, NULL), 0);
	assert_true(pv_starts(res.tail, "line 32\nline 33\n"));
	assert_true(pv_ends(res.tail, "line 50\nx?[0m\n"));
}

/* --- ends --- */

static void test_check_gives_the_last_line(void **state)
{
	const struct pv_proc proc = { .argv = SH("echo first; echo 'E: it broke'; echo; exit 100") };
	const struct pv_proc good = { .argv = SH("echo fine") };
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	assert_int_equal(pv_proc_check(&proc, PV_ERR_STAGE, &err), -1);
	assert_string_equal(err.text, "sh: exit code 100: E: it broke");
	pv_error_clear(&err);
	assert_int_equal(pv_proc_check(&good, PV_ERR_STAGE, &err), 0);
	assert_null(err.text);
}

static void test_result_is_filled(void **state)
{
	const struct pv_proc proc = { .argv = SH("sleep 0.3") };
	pv_autoproc res = PV_PROC_RESULT_INIT;

	(void)state;
	assert_int_equal(pv_proc_run(&proc, &res, NULL), 0);
	assert_int_equal(res.exit_code, 0);
	assert_int_equal(res.signal, 0);
	assert_in_range(res.wall_ms, 290, 3000);
	assert_true(res.max_rss_kib > 100);
	assert_string_equal(res.tail, "");
}

static void test_no_descriptor_leaks(void **state)
{
	const struct pv_proc good = { .argv = SH("exit 0"), .input = "x", .input_len = 1, .on_stdout = keep_line };
	const struct pv_proc bad = { .argv = (const char *const[]){ "no-such-program-at-all", NULL } };
	int before = dup(0), after;

	(void)state;
	close(before);
	for (int i = 0; i < 20; i++) {
		pv_autoproc res = PV_PROC_RESULT_INIT;

		assert_int_equal(pv_proc_run(&good, &res, NULL), 0);
		assert_int_equal(pv_proc_run(&bad, &res, NULL), -1);
	}
	after = dup(0);
	close(after);
	assert_int_equal(before, after);
}

static void test_grandchild_that_holds_the_pipe(void **state)
{
	pv_autostr out = PV_STR_INIT;
	/* out of the group, so that it is not ended with it */
	const struct pv_proc proc = {
		.argv = SH("setsid sleep 8 & echo $!; exit 5"), .on_stdout = keep_line, .ctx = &out,
	};
	pv_autoproc res = PV_PROC_RESULT_INIT;
	uint64_t began = now_ms();
	pid_t sleeper;

	(void)state;
	assert_int_equal(pv_proc_run(&proc, &res, NULL), 0);
	assert_in_range(now_ms() - began, 900, 3000);
	assert_int_equal(res.exit_code, 5);
	sleeper = (pid_t)atoi(pv_str_text(&out));
	assert_true(sleeper > 1);
	kill(sleeper, SIGKILL);
}

static void test_left_over_group_is_ended(void **state)
{
	const struct pv_proc proc = { .argv = SH("sleep 60 >/dev/null 2>&1 & echo $!") };
	pv_autofree char *out = output_of(&proc);

	(void)state;
	assert_true(gone((pid_t)atoi(out)));
}

static void test_output_after_the_end_is_read(void **state)
{
	/* the child ends at once, its helper writes a little later */
	const struct pv_proc proc = { .argv = SH("(sleep 0.3; echo late) & exit 0") };
	pv_autofree char *out = output_of(&proc);

	(void)state;
	assert_string_equal(out, "late|");
}

static void test_deadline_not_reached(void **state)
{
	const struct pv_proc proc = { .argv = SH("sleep 0.2; exit 4"), .deadline_s = 20 };
	pv_autoproc res = PV_PROC_RESULT_INIT;

	(void)state;
	assert_int_equal(pv_proc_run(&proc, &res, NULL), 0);
	assert_false(res.timed_out);
	assert_int_equal(res.exit_code, 4);
}

/* A child that fills its output without end must not keep us from the deadline. */
static void test_deadline_under_a_flood(void **state)
{
	const struct pv_proc proc = { .argv = (const char *const[]){ "yes", NULL }, .deadline_s = 1 };
	pv_autoproc res = PV_PROC_RESULT_INIT;

	(void)state;
	assert_int_equal(pv_proc_run(&proc, &res, NULL), 0);
	assert_true(res.timed_out);
	assert_in_range(res.wall_ms, 900, 4000);
}

static void test_child_dies_with_us(void **state)
{
	int fds[2], status;
	pid_t driver, child = 0;
	char line[32] = "";

	(void)state;
	assert_int_equal(pipe(fds), 0);
	driver = fork();
	if (driver == 0) {
		const struct pv_proc proc = { .argv = SH("echo $$; exec sleep 60"), .stdout_fd = fds[1] };
		pv_autoproc res = PV_PROC_RESULT_INIT;

		_exit(pv_proc_run(&proc, &res, NULL) < 0);
	}
	assert_true(read(fds[0], line, sizeof(line) - 1) > 0);
	child = (pid_t)atoi(line);
	assert_int_equal(kill(child, 0), 0);
	kill(driver, SIGKILL);
	assert_int_equal(waitpid(driver, &status, 0), driver);
	assert_true(gone(child));
	close(fds[0]);
	close(fds[1]);
}

/* Who has to clean up gets SIGTERM when we are killed, and time. */
static void test_child_cleans_up_after_us(void **state)
{
	int fds[2], status;
	pid_t driver;
	char line[32] = "";

	(void)state;
	assert_int_equal(pipe(fds), 0);
	driver = fork();
	if (driver == 0) {
		const struct pv_proc proc = {
			.argv = SH("trap 'sleep 0.2; echo cleaned; exit' TERM; echo ready; sleep 60 & wait"),
			.stdout_fd = fds[1], .death_signal = SIGTERM,
		};
		pv_autoproc res = PV_PROC_RESULT_INIT;

		_exit(pv_proc_run(&proc, &res, NULL) < 0);
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], line, sizeof(line) - 1), 6);
	kill(driver, SIGKILL);
	assert_int_equal(waitpid(driver, &status, 0), driver);
	assert_int_equal(read(fds[0], line, sizeof(line) - 1), 8);
	assert_memory_equal(line, "cleaned\n", 8);
	close(fds[0]);
}

static void test_grace(void **state)
{
	const struct pv_proc proc = { .argv = SH("trap 'sleep 3; exit 7' TERM; sleep 60 & wait"), .deadline_s = 1, .grace_s = 20 };
	pv_autoproc res = PV_PROC_RESULT_INIT;

	(void)state;
	assert_int_equal(pv_proc_run(&proc, &res, NULL), 0);
	assert_true(res.timed_out);
	assert_int_equal(res.exit_code, 7);
}

/* --- interruption --- */

static int interrupted_driver(int signo, int fd, const char *script)
{
	const struct pv_proc proc = { .argv = (const char *const[]){ "sh", "-c", script, NULL }, .stdout_fd = fd };
	pv_autoproc res = PV_PROC_RESULT_INIT;
	pv_autoerror err = PV_ERROR_INIT;
	enum pv_error_kind expected = signo == SIGINT ? PV_ERR_SIGINT : PV_ERR_SIGTERM;

	pv_proc_catch_signals();
	if (pv_proc_check_interrupt(&err) < 0 || pv_proc_run(&proc, &res, &err) != -1)
		return 1;
	if (err.kind != expected || !pv_starts(err.text, "interrupted by SIG"))
		return 2;
	if (pv_proc_interrupted() != signo || pv_proc_check_interrupt(&err) != -1 || err.kind != expected)
		return 3;
	/* nothing is started any more */
	if (pv_proc_run(&proc, &res, &err) != -1 || err.kind != expected)
		return 4;
	return waitpid(-1, NULL, WNOHANG) == -1 ? 0 : 5;
}

static uint64_t interrupt(int signo, const char *script)
{
	int fds[2], status;
	char line[32] = "";
	pid_t driver;
	uint64_t began;

	assert_int_equal(pipe(fds), 0);
	driver = fork();
	if (driver == 0)
		_exit(interrupted_driver(signo, fds[1], script));
	assert_true(read(fds[0], line, sizeof(line) - 1) > 0);
	began = now_ms();
	kill(driver, signo);
	assert_int_equal(waitpid(driver, &status, 0), driver);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_true(gone((pid_t)atoi(line)));
	close(fds[0]);
	close(fds[1]);
	return now_ms() - began;
}

static void test_interruption_ends_the_child(void **state)
{
	(void)state;
	assert_in_range(interrupt(SIGINT, "echo $$; exec sleep 60"), 0, 1500);
	assert_in_range(interrupt(SIGTERM, "echo $$; exec sleep 60"), 0, 1500);
	assert_in_range(interrupt(SIGHUP, "echo $$; exec sleep 60"), 0, 1500);
}

static void test_interruption_of_a_deaf_child(void **state)
{
	(void)state;
	assert_in_range(interrupt(SIGINT, "trap '' TERM INT; echo $$; sleep 60; sleep 61"), 1900, 4000);
}

static int interrupted_long_loop(const char *lock)
{
	pv_autoerror err = PV_ERROR_INIT;
	int fd;

	pv_proc_catch_signals();
	alarm(10);
	kill(getpid(), SIGTERM);
	/* a lock that is held: waiting must end */
	if (pv_lock(lock, true, &fd, &err) == 0)
		return 1;
	return err.kind == PV_ERR_SIGTERM ? 0 : 2;
}

static void test_interruption_ends_waiting_for_a_lock(void **state)
{
	char path[] = "/tmp/pvimg-test-proc.XXXXXX";
	pv_autoclose int made = mkostemp(path, O_CLOEXEC), held = -1;
	int status;
	pid_t pid;

	(void)state;
	assert_true(made >= 0);
	assert_int_equal(pv_lock(path, true, &held, NULL), 0);
	pid = fork();
	if (pid == 0)
		_exit(interrupted_long_loop(path));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	unlink(path);
}

/* --- which --- */

static void test_which(void **state)
{
	pv_autofree char *sh = pv_proc_which("sh"), *full = pv_proc_which("/bin/sh"), *none = pv_proc_which("no-such"),
			 *folder = pv_proc_which("/"), *file = pv_proc_which("/etc/passwd"), *empty = pv_proc_which("");

	(void)state;
	assert_non_null(sh);
	assert_true(pv_starts(sh, "/"));
	assert_string_equal(full, "/bin/sh");
	assert_null(none);
	assert_null(folder);
	assert_null(file);
	assert_null(empty);
}

static void test_which_knows_sbin(void **state)
{
	pv_autofree char *old = pv_xstrdup(getenv("PATH")), *found = NULL;

	(void)state;
	setenv("PATH", "/nowhere", 1);
	found = pv_proc_which("ldconfig");
	setenv("PATH", old ? old : "", 1);
	assert_non_null(found);
	assert_true(strstr(found, "sbin/ldconfig") != NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trap1_no_shell_sees_arguments),
		cmocka_unit_test(test_trap2_killed_is_no_success),
		cmocka_unit_test(test_trap3_failed_exec_does_not_return),
		cmocka_unit_test(test_trap4_deadline_ends_the_whole_group),
		cmocka_unit_test(test_trap5_every_failure_fails),
		cmocka_unit_test(test_works_without_stdio),
		cmocka_unit_test(test_environment_and_cwd),
		cmocka_unit_test(test_path_of_the_given_environment),
		cmocka_unit_test(test_signals_are_default_and_open),
		cmocka_unit_test(test_mask_is_restored),
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_own_group),
		cmocka_unit_test(test_setup_words_reach_the_parent),
		cmocka_unit_test(test_setup_may_fork),
		cmocka_unit_test(test_cwd_is_entered_after_setup),
		cmocka_unit_test(test_stdin_is_empty_by_default),
		cmocka_unit_test(test_large_input_and_output),
		cmocka_unit_test(test_child_that_does_not_read),
		cmocka_unit_test(test_long_lines_come_in_pieces),
		cmocka_unit_test(test_streams_are_apart_or_merged),
		cmocka_unit_test(test_stdout_to_a_descriptor),
		cmocka_unit_test(test_tail_is_short_and_printable),
		cmocka_unit_test(test_check_gives_the_last_line),
		cmocka_unit_test(test_result_is_filled),
		cmocka_unit_test(test_no_descriptor_leaks),
		cmocka_unit_test(test_grandchild_that_holds_the_pipe),
		cmocka_unit_test(test_left_over_group_is_ended),
		cmocka_unit_test(test_output_after_the_end_is_read),
		cmocka_unit_test(test_deadline_not_reached),
		cmocka_unit_test(test_deadline_under_a_flood),
		cmocka_unit_test(test_child_dies_with_us),
		cmocka_unit_test(test_child_cleans_up_after_us),
		cmocka_unit_test(test_grace),
		cmocka_unit_test(test_interruption_ends_the_child),
		cmocka_unit_test(test_interruption_of_a_deaf_child),
		cmocka_unit_test(test_interruption_ends_waiting_for_a_lock),
		cmocka_unit_test(test_which),
		cmocka_unit_test(test_which_knows_sbin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
