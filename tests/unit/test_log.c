/* SPDX-License-Identifier: Apache-2.0 */
/* What people and programs see: plain lines, JSON lines, the live line on a real pseudo-terminal, the build log. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fsutil.h"
#include "log.h"
#include "text.h"

typedef void scene(struct pv_log *log);

static char *read_all(int fd)
{
	struct pv_str s = PV_STR_INIT;
	char buf[4096];
	ssize_t n;

	/* a pseudo-terminal ends with EIO */
	while ((n = read(fd, buf, sizeof(buf))) > 0 || (n < 0 && errno == EINTR))
		if (n > 0)
			pv_str_addn(&s, buf, (size_t)n);
	return pv_str_steal(&s);
}

/* Plays the scene in a child whose stderr (stdout for JSON) is ours to read; the caller frees. columns > 0: stderr is a
 * terminal that wide. */
static char *play(scene *fn, enum pv_log_mode mode, bool verbose, unsigned short columns, const char *term)
{
	const struct winsize ws = { .ws_row = 24, .ws_col = columns };
	int fds[2], status, target = mode == PV_LOG_JSON ? STDOUT_FILENO : STDERR_FILENO;
	char *text;
	pid_t pid;

	if (columns > 0)
		assert_int_equal(openpty(&fds[0], &fds[1], NULL, NULL, &ws), 0);
	else
		assert_int_equal(pipe(fds), 0);
	fflush(stdout);
	fflush(stderr);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct pv_log *log;

		dup2(fds[1], target);
		setenv("TERM", term ? term : "xterm", 1);
		log = pv_log_new(mode, verbose);
		fn(log);
		pv_log_free(log);
		fflush(stderr);
		_exit(0);
	}
	close(fds[1]);
	text = read_all(fds[0]);
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	return text;
}

static void messages(struct pv_log *log)
{
	pv_log_info(log, "hello %s", "world");
	pv_log_warn(log, "bad\033[31m\nline");
	pv_log_debug(log, "detail");
	pv_log_child(log, "from a child", 12);
}

static void test_plain_messages(void **state)
{
	pv_autofree char *quiet = play(messages, PV_LOG_PLAIN, false, 0, NULL);
	pv_autofree char *verbose = play(messages, PV_LOG_PLAIN, true, 0, NULL);

	(void)state;
	assert_string_equal(quiet, "hello world\nwarning: bad?[31m line\n");
	assert_string_equal(verbose,
			    "hello world\nwarning: bad?[31m line\ndebug: detail\n  | from a child\n");
}

static void child_lines(struct pv_log *log)
{
	pv_log_child(log, "10%\r50%\r100%\r", 13);
	pv_log_child(log, "", 0);
	pv_log_child(log, "a\0\033b", 4);
	pv_log_child(log, "no newline at all, cut", 2);
}

static void test_child_lines_are_cleaned(void **state)
{
	pv_autofree char *text = play(child_lines, PV_LOG_PLAIN, true, 0, NULL);

	(void)state;
	assert_string_equal(text, "  | 100%\n  | \n  | a??b\n  | no\n");
}

static void stages(struct pv_log *log)
{
	pv_log_stage_begin(log, "debian-2g", "fetch");
	pv_log_stage_progress(log, 148, 312, "packages");
	pv_log_stage_progress(log, 201ULL << 20, 388ULL << 20, "bytes");
	pv_log_stage_progress(log, 312, 312, "packages");
	pv_log_stage_end(log, true, "88 packages");
	pv_log_stage_begin(log, "debian-2g", "install");
	pv_log_stage_end(log, false, NULL);
	pv_log_stage_end(log, false, NULL);		/* none is open: nothing */
	pv_log_stage_progress(log, 1, 2, "files");
}

static void test_plain_stages(void **state)
{
	pv_autofree char *text = play(stages, PV_LOG_PLAIN, false, 0, NULL);

	(void)state;
	assert_string_equal(text, "debian-2g  fetch\n"
				  "debian-2g  fetch  done  88 packages  0:00\n"
				  "debian-2g  install\n"
				  "debian-2g  install  failed  0:00\n");
}

static void test_auto_is_plain_without_terminal(void **state)
{
	pv_autofree char *piped = play(stages, PV_LOG_AUTO, false, 0, NULL);
	pv_autofree char *dumb = play(stages, PV_LOG_AUTO, false, 80, "dumb");

	(void)state;
	assert_null(strchr(piped, '\r'));
	assert_null(strstr(dumb, "\033["));
	assert_true(pv_starts(piped, "debian-2g  fetch\n"));
}

/* The n-th line of JSON, or NULL; the caller drops it. */
static json_t *nth_event(const char *text, unsigned n)
{
	for (; n > 0 && text; n--) {
		text = strchr(text, '\n');
		text = text ? text + 1 : NULL;
	}
	return text && *text ? json_loadb(text, strcspn(text, "\n"), JSON_REJECT_DUPLICATES, NULL) : NULL;
}

static const char *member(const json_t *event, const char *key)
{
	const char *s = json_string_value(json_object_get(event, key));

	return s ? s : "(none)";
}

static void test_json_stages(void **state)
{
	pv_autofree char *text = play(stages, PV_LOG_JSON, false, 0, NULL);
	json_t *e;

	(void)state;
	e = nth_event(text, 0);
	assert_string_equal(member(e, "event"), "stage");
	assert_string_equal(member(e, "image"), "debian-2g");
	assert_string_equal(member(e, "stage"), "fetch");
	assert_string_equal(member(e, "state"), "begin");
	json_decref(e);
	e = nth_event(text, 1);
	assert_string_equal(member(e, "state"), "progress");
	assert_string_equal(member(e, "unit"), "packages");
	assert_int_equal(json_integer_value(json_object_get(e, "done")), 148);
	assert_int_equal(json_integer_value(json_object_get(e, "total")), 312);
	json_decref(e);
	e = nth_event(text, 2);
	assert_string_equal(member(e, "unit"), "bytes");
	json_decref(e);
	/* the last of a unit is always told */
	e = nth_event(text, 3);
	assert_int_equal(json_integer_value(json_object_get(e, "done")), 312);
	json_decref(e);
	e = nth_event(text, 4);
	assert_string_equal(member(e, "state"), "end");
	assert_string_equal(member(e, "note"), "88 packages");
	assert_true(json_is_true(json_object_get(e, "ok")));
	json_decref(e);
	e = nth_event(text, 6);
	assert_true(json_is_false(json_object_get(e, "ok")));
	json_decref(e);
	assert_null(nth_event(text, 7));
}

static void test_json_messages(void **state)
{
	pv_autofree char *text = play(messages, PV_LOG_JSON, true, 0, NULL);
	static const char *const events[] = { "info", "warn", "debug", "output" };

	(void)state;
	for (unsigned i = 0; i < PV_COUNT(events); i++) {
		json_t *e = nth_event(text, i);

		assert_string_equal(member(e, "event"), events[i]);
		json_decref(e);
	}
	assert_null(nth_event(text, PV_COUNT(events)));
}

static void endings(struct pv_log *log)
{
	pv_autoerror err = PV_ERROR_INIT;

	pv_log_result(log, "img", "/out/img/img.raw");
	pv_error_set(&err, PV_ERR_ARCHIVE, "no \"way\"\033 out");
	pv_log_error(log, &err);
}

static void test_json_endings(void **state)
{
	pv_autofree char *text = play(endings, PV_LOG_JSON, false, 0, NULL);
	pv_autofree char *plain = play(endings, PV_LOG_PLAIN, false, 0, NULL);
	json_t *e;

	(void)state;
	e = nth_event(text, 0);
	assert_string_equal(member(e, "event"), "result");
	assert_string_equal(member(e, "image"), "img");
	assert_string_equal(member(e, "path"), "/out/img/img.raw");
	json_decref(e);
	e = nth_event(text, 1);
	assert_string_equal(member(e, "event"), "error");
	assert_int_equal(json_integer_value(json_object_get(e, "exit")), 6);
	assert_string_equal(member(e, "text"), "no \"way\"? out");
	json_decref(e);
	assert_null(nth_event(text, 2));
	/* people are told by the command and by main */
	assert_string_equal(plain, "");
}

static void flood(struct pv_log *log)
{
	pv_log_stage_begin(log, "img", "fetch");
	for (uint64_t i = 0; i < 100000; i++)
		pv_log_stage_progress(log, i, 200000, "bytes");
	pv_log_stage_end(log, true, NULL);
}

static void test_progress_is_throttled(void **state)
{
	pv_autofree char *json = play(flood, PV_LOG_JSON, false, 0, NULL);
	pv_autofree char *live = play(flood, PV_LOG_LIVE, false, 80, NULL);
	unsigned lines = 0;

	(void)state;
	for (const char *p = json; (p = strchr(p, '\n')); p++)
		lines++;
	assert_in_range(lines, 3, 10);
	assert_true(strlen(live) < 8000);
}

static void live_scene(struct pv_log *log)
{
	pv_log_stage_begin(log, "debian-2g", "fetch");
	usleep(120000);
	pv_log_stage_progress(log, 148, 312, "packages");
	pv_log_stage_progress(log, 201ULL << 20, 388ULL << 20, "bytes");
	usleep(120000);
	pv_log_stage_progress(log, 149, 312, "packages");
	pv_log_warn(log, "slow mirror");
	usleep(120000);
	pv_log_stage_progress(log, 1000, 388ULL << 20, "bytes");
	pv_log_stage_end(log, true, "done");
}

static void test_live_line(void **state)
{
	pv_autofree char *text = play(live_scene, PV_LOG_AUTO, false, 80, NULL);
	const char *warning = strstr(text, "warning: slow mirror\r\n");

	(void)state;
	assert_true(pv_starts(text, "\rdebian-2g  fetch  0:00\033[K"));
	assert_non_null(strstr(text, "\rdebian-2g  fetch  149/312 packages  201/388 MiB  0:00\033[K"));
	assert_non_null(strstr(text, "149/312 packages  1000 B/388 MiB"));
	/* the live line is wiped before other lines */
	assert_non_null(warning);
	assert_memory_equal(warning - 4, "\r\033[K", 4);
	assert_true(pv_ends(text, "\r\033[Kdebian-2g  fetch  done  done  0:00\r\n"));
}

static void test_live_line_is_cut(void **state)
{
	pv_autofree char *text = play(live_scene, PV_LOG_LIVE, false, 20, NULL);

	(void)state;
	assert_non_null(strstr(text, "\rdebian-2g  fetch  1\033[K"));
	assert_null(strstr(text, "149/312"));
}

static void aborted(struct pv_log *log)
{
	pv_log_stage_begin(log, "img", "fetch");
}

static void test_free_wipes_the_live_line(void **state)
{
	pv_autofree char *text = play(aborted, PV_LOG_LIVE, false, 80, NULL);

	(void)state;
	assert_true(pv_ends(text, "\r\033[K"));
}

static void test_build_log(void **state)
{
	char path[] = "/tmp/pvimg-test-log.XXXXXX";
	int fd = mkstemp(path);
	struct pv_log *log = pv_log_new(PV_LOG_PLAIN, false);
	pv_autofree char *text = NULL;
	pv_autofree char *rest = NULL;
	pv_autoerror err = PV_ERROR_INIT;
	int quiet = dup(2), null = open("/dev/null", O_WRONLY);

	(void)state;
	close(fd);
	dup2(null, 2);
	assert_int_equal(pv_log_file(log, path, &err), 0);
	messages(log);
	stages(log);
	/* whole before it is closed: a killed build leaves its log */
	assert_int_equal(pv_read_file(path, 10000, &text, NULL, NULL), 0);
	assert_int_equal(pv_log_file(log, NULL, NULL), 0);
	pv_log_info(log, "not in the file");
	pv_log_free(log);
	dup2(quiet, 2);
	assert_int_equal(pv_read_file(path, 10000, &rest, NULL, NULL), 0);
	assert_string_equal(text, rest);
	assert_non_null(strstr(text, "    0.0"));
	assert_non_null(strstr(text, " debug: detail\n"));
	assert_non_null(strstr(text, "   | from a child\n"));
	assert_non_null(strstr(text, " debian-2g  fetch  done  88 packages  0:00\n"));
	unlink(path);
	close(quiet);
	close(null);
}

static void test_build_log_that_cannot_be(void **state)
{
	pv_autolog *log = pv_log_new(PV_LOG_PLAIN, false);
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	assert_int_equal(pv_log_file(log, "/no/such/build.log", &err), -1);
	assert_true(pv_starts(err.text, "/no/such/build.log: cannot create the build log"));
}

static void test_null_log(void **state)
{
	(void)state;
	messages(NULL);
	stages(NULL);
	endings(NULL);
	assert_int_equal(pv_log_file(NULL, "/no/such", NULL), 0);
	pv_log_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_messages),
		cmocka_unit_test(test_child_lines_are_cleaned),
		cmocka_unit_test(test_plain_stages),
		cmocka_unit_test(test_auto_is_plain_without_terminal),
		cmocka_unit_test(test_json_stages),
		cmocka_unit_test(test_json_messages),
		cmocka_unit_test(test_json_endings),
		cmocka_unit_test(test_progress_is_throttled),
		cmocka_unit_test(test_live_line),
		cmocka_unit_test(test_live_line_is_cut),
		cmocka_unit_test(test_free_wipes_the_live_line),
		cmocka_unit_test(test_build_log),
		cmocka_unit_test(test_build_log_that_cannot_be),
		cmocka_unit_test(test_null_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
