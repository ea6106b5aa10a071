/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU's monitor: canned conversations, hostile ones, and a real QEMU. */
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fsutil.h"
#include "proc.h"
#include "qmp.h"
#include "text.h"

#define HELLO "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, \"package\": \"x\"}, " \
	"\"capabilities\": [\"oob\"]}}\r\n"
#define AGREED "{\"return\": {}, \"id\": 0}\r\n"
#define CAPABILITIES "{\"execute\":\"qmp_capabilities\",\"id\":0}\n"

/* What the callbacks were told: "name(words)" each. */
static void on_greeted(void *ctx)
{
	pv_str_add(ctx, "greeted ");
}

static void on_event(void *ctx, const char *name, const json_t *data)
{
	pv_str_addf(ctx, "%s(%zu) ", name, json_object_size(data));
}

static void on_ended(void *ctx, const struct pv_error *err)
{
	pv_str_addf(ctx, "ended(%s) ", err->kind == PV_OK ? "" : err->text);
}

static void on_answer(void *ctx, const json_t *ret, const char *error)
{
	char *text = ret ? json_dumps(ret, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

	pv_str_addf(ctx, "answer(%s) ", text ? text : error);
	free(text);
}

static struct pv_qmp *client(struct pv_str *heard)
{
	const struct pv_qmp_handler handler = { on_greeted, on_event, on_ended, heard };

	return pv_qmp_new(-1, &handler);
}

static void feed(struct pv_qmp *q, const char *text)
{
	pv_qmp_feed(q, text, strlen(text));
}

/* What is to be written now, all of which is taken. */
static char *take(struct pv_qmp *q)
{
	size_t len;
	const char *data = pv_qmp_pending(q, &len);
	char *copy = pv_xstrndup(data, len);

	pv_qmp_sent(q, len);
	return copy;
}

static void assert_out(struct pv_qmp *q, const char *expected)
{
	pv_autofree char *out = take(q);

	assert_string_equal(out, expected);
}

static void send_it(struct pv_qmp *q, const char *command, json_t *args, struct pv_str *heard)
{
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_qmp_send(q, command, args, heard ? on_answer : NULL, heard, &err) < 0)
		fail_msg("%s", err.text);
}

static struct pv_qmp *open_client(struct pv_str *heard)
{
	struct pv_qmp *q = client(heard);

	feed(q, HELLO);
	assert_out(q, CAPABILITIES);
	feed(q, AGREED);
	assert_string_equal(pv_str_text(heard), "greeted ");
	pv_str_reset(heard);
	return q;
}

static void test_commands_wait_for_the_greeting(void **state)
{
	pv_autostr heard = PV_STR_INIT;
	pv_autoqmp *q = client(&heard);

	(void)state;
	send_it(q, "stop", NULL, &heard);
	assert_out(q, "");
	assert_null(pv_qmp_version(q));
	feed(q, HELLO);
	assert_string_equal(pv_qmp_version(q), "7.2.22");
	assert_false(pv_qmp_greeted(q));
	assert_out(q, CAPABILITIES);
	feed(q, AGREED);
	assert_true(pv_qmp_greeted(q));
	assert_out(q, "{\"execute\":\"stop\",\"id\":1}\n");
	assert_int_equal(pv_qmp_waiting(q), 1);
	feed(q, "{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, \"event\": \"STOP\"}\r\n{\"return\": {}, \"id\": 1}\r\n");
	assert_int_equal(pv_qmp_waiting(q), 0);
	assert_string_equal(pv_str_text(&heard), "greeted STOP(0) answer({}) ");
}

/* However the bytes are cut. */
static void test_pieces(void **state)
{
	static const char text[] = HELLO AGREED "\r\n{\"event\": \"MIGRATION\", \"data\": {\"status\": \"active\"}}\n"
		"{\"id\": 1, \"return\": [1, \"\\u00e9\"]}\r\n";
	const size_t len = sizeof(text) - 1;

	(void)state;
	for (size_t step = 1; step <= len; step += step < 8 ? 1 : 37) {
		pv_autostr heard = PV_STR_INIT;
		pv_autoqmp *q = client(&heard);

		send_it(q, "query-x", NULL, &heard);
		for (size_t i = 0; i < len; i += step) {
			pv_autofree char *out = take(q);	/* as a socket would */

			pv_qmp_feed(q, text + i, len - i < step ? len - i : step);
		}
		/* in one piece the answer comes before the question has left: it is put out all the same */
		assert_string_equal(pv_str_text(&heard), "greeted MIGRATION(1) answer([1,\"\xc3\xa9\"]) ");
		assert_int_equal(pv_qmp_error(q, NULL), 0);
	}
}

static void test_arguments_and_errors(void **state)
{
	pv_autostr heard = PV_STR_INIT;
	pv_autoqmp *q = open_client(&heard);
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	send_it(q, "migrate", json_pack("{s:s}", "uri", "fd:\"st\xc3\xa4te\n"), &heard);
	assert_out(q, "{\"execute\":\"migrate\",\"id\":1,\"arguments\":{\"uri\":\"fd:\\\"st\\u00E4te\\n\"}}\n");
	send_it(q, "cont", NULL, NULL);
	send_it(q, "cont", NULL, NULL);
	feed(q, "{\"id\": 1, \"error\": {\"class\": \"GenericError\", \"desc\": \"no\\nsuch\\u001b[2J file\"}}\r\n");
	assert_string_equal(pv_str_text(&heard), "answer(GenericError: no?such?[2J file) ");
	assert_int_equal(pv_qmp_error(q, &err), 0);
	feed(q, "{\"id\": 2, \"error\": {\"class\": \"GenericError\", \"desc\": \"first\"}}\n");
	feed(q, "{\"id\": 3, \"error\": {}}\n");
	assert_int_equal(pv_qmp_error(q, &err), -1);
	assert_int_equal(err.kind, PV_ERR_STAGE);
	assert_string_equal(err.text, "QEMU's monitor: cont: GenericError: first");
	assert_false(pv_qmp_over(q));
	/* no object: refused, and freed */
	assert_int_equal(pv_qmp_send(q, "x", json_string("no object"), NULL, NULL, &err), -1);
	assert_string_equal(err.text, "QEMU's monitor: arguments of x cannot be sent");
	assert_int_equal(pv_qmp_send(q, "\xff", NULL, NULL, NULL, &err), -1);
}

struct chain {
	struct pv_qmp *q;
	unsigned left;
	struct pv_str said;
};

static void send_next(void *ctx, const json_t *ret, const char *error)
{
	struct chain *c = ctx;
	pv_autoerror err = PV_ERROR_INIT;

	(void)ret;
	pv_str_addf(&c->said, "%s,", error ? error : "ok");
	if (c->left-- > 0 && pv_qmp_send(c->q, "next", NULL, send_next, c, &err) < 0)
		pv_str_addf(&c->said, "(%s)", err.text);
}

static void test_callbacks_send(void **state)
{
	pv_autostr heard = PV_STR_INIT;
	pv_autoqmp *q = open_client(&heard);
	struct chain c = { .q = q, .left = 3 };
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	assert_int_equal(pv_qmp_send(q, "first", NULL, send_next, &c, &err), 0);
	feed(q, "{\"return\": {}, \"id\": 1}\n{\"return\": {}, \"id\": 2}\n");
	assert_string_equal(pv_str_text(&c.said), "ok,ok,");
	/* the conversation ends: each is told, and told that nothing can be sent */
	feed(q, "bang\n");
	assert_string_equal(pv_str_text(&c.said), "ok,ok,QEMU's monitor said what is no JSON object: bang,"
			    "(QEMU's monitor has closed: cannot send next)");
	assert_string_equal(pv_str_text(&heard), "ended(QEMU's monitor said what is no JSON object: bang) ");
	pv_str_done(&c.said);
}

static void test_queue_is_bounded(void **state)
{
	pv_autostr heard = PV_STR_INIT;
	pv_autoqmp *q = client(&heard);
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	for (unsigned i = 0; i < PV_QMP_QUEUE_MAX; i++)
		send_it(q, "stop", NULL, NULL);
	assert_int_equal(pv_qmp_send(q, "cont", NULL, NULL, NULL, &err), -1);
	assert_string_equal(err.text, "QEMU's monitor: 64 commands wait for an answer, no room for cont");
	assert_int_equal(pv_qmp_waiting(q), PV_QMP_QUEUE_MAX);
}

/* What follows a descriptor waits until that one is answered, what precedes it has gone before. */
static void test_descriptors_one_at_a_time(void **state)
{
	pv_autostr heard = PV_STR_INIT;
	pv_autoqmp *q = open_client(&heard);
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	send_it(q, "a", NULL, &heard);
	assert_int_equal(pv_qmp_give_fd(q, 0, "one", on_answer, &heard, &err), 0);
	assert_int_equal(pv_qmp_give_fd(q, 0, "two", on_answer, &heard, &err), 0);
	send_it(q, "b", NULL, &heard);
	assert_out(q, "{\"execute\":\"a\",\"id\":1}\n");
	assert_out(q, "{\"execute\":\"getfd\",\"id\":2,\"arguments\":{\"fdname\":\"one\"}}\n");
	assert_out(q, "");
	feed(q, "{\"return\": {}, \"id\": 1}\n");
	assert_out(q, "");
	feed(q, "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}, \"id\": 2}\n");
	assert_out(q, "{\"execute\":\"getfd\",\"id\":3,\"arguments\":{\"fdname\":\"two\"}}\n");
	feed(q, "{\"return\": {}, \"id\": 3}\n");
	assert_out(q, "{\"execute\":\"b\",\"id\":4}\n");
	assert_string_equal(pv_str_text(&heard), "answer({}) answer(GenericError: no) answer({}) ");
	assert_int_equal(pv_qmp_give_fd(q, 1000, "bad", NULL, NULL, &err), -1);
	assert_string_equal(err.text, "QEMU's monitor: cannot pass descriptor 1000: Bad file descriptor");
}

static void test_what_breaks_the_rules(void **state)
{
	static const struct {
		const char *said, *words;
		bool greeted;
	} cases[] = {
		{ "hello\n", "said what is no JSON object: hello", false },
		{ "{\"return\": {}}\n", "did not greet: {\"return\": {}}", false },
		{ "{\"QMP\": 1}\n", "did not greet: {\"QMP\": 1}", false },
		{ "[]\n", "said what is no JSON object: []", true },
		{ "{\"a\": 1, \"a\": 2}\n", "said what is no JSON object: {\"a\": 1, \"a\": 2}", true },
		{ "{} {}\n", "said what is no JSON object: {} {}", true },
		{ "{}\n", "said what is no answer: {}", true },
		{ HELLO, "said what is no answer: ", true },
		{ "{\"return\": {}}\n", "answered what was not asked: {\"return\": {}}", true },
		{ "{\"return\": {}, \"id\": 0}\n", "answered what was not asked: {\"return\": {}, \"id\": 0}", true },
		{ "{\"return\": {}, \"id\": \"1\"}\n", "answered what was not asked: {\"return\": {}, \"id\": \"1\"}", true },
		{ "{\"return\": {}, \"id\": 2}\n", "answered what was not asked: ", true },
		{ "{\"event\": 7}\n", "told of no proper event: {\"event\": 7}", true },
		{ "{\"event\": \"a b\"}\n", "told of no proper event: ", true },
		{ "{\"event\": \"STOP\", \"data\": []}\n", "told of no proper event: ", true },
		{ "\033[2J\n", "said what is no JSON object: ?[2J", true },
	};

	(void)state;
	for (size_t i = 0; i < PV_COUNT(cases); i++) {
		pv_autostr heard = PV_STR_INIT;
		pv_autoqmp *q = cases[i].greeted ? open_client(&heard) : client(&heard);
		pv_autofree char *words = pv_fmt("QEMU's monitor %s", cases[i].words);
		pv_autoerror err = PV_ERROR_INIT;

		send_it(q, "query-status", NULL, NULL);
		feed(q, cases[i].said);
		assert_true(pv_qmp_over(q));
		assert_int_equal(pv_qmp_want(q), 0);
		assert_int_equal(pv_qmp_error(q, &err), -1);
		if (!pv_starts(err.text, words))
			fail_msg("case %zu: %s", i, err.text);
		feed(q, "{\"event\": \"RESET\"}\n");
		assert_null(strstr(pv_str_text(&heard), "RESET"));
	}
}

static void test_refused_negotiation(void **state)
{
	pv_autostr heard = PV_STR_INIT;
	pv_autoqmp *q = client(&heard);

	(void)state;
	feed(q, HELLO "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"no\"}, \"id\": 0}\n");
	assert_true(pv_qmp_over(q));
	assert_string_equal(pv_str_text(&heard), "ended(QEMU's monitor refused qmp_capabilities: CommandNotFound: no) ");
}

static void test_line_without_end(void **state)
{
	pv_autostr heard = PV_STR_INIT;
	pv_autoqmp *q = open_client(&heard);
	char block[4096];
	size_t fed = 0;

	(void)state;
	memset(block, '{', sizeof(block));
	for (; !pv_qmp_over(q) && fed < 4 * PV_QMP_LINE_MAX; fed += sizeof(block))
		pv_qmp_feed(q, block, sizeof(block));
	assert_in_range(fed, PV_QMP_LINE_MAX, PV_QMP_LINE_MAX + 2 * sizeof(block));
	/* as deep as it is long: refused too, without recursion that ends the stack */
	pv_str_reset(&heard);
	pv_autoqmp *deep = open_client(&heard);
	for (size_t i = 0; i + 1 < PV_QMP_LINE_MAX / sizeof(block); i++)
		pv_qmp_feed(deep, block, sizeof(block));
	feed(deep, "\n");
	assert_true(pv_qmp_over(deep));
}

/* --- over a socket --- */

struct talk {
	struct pv_qmp *q;
	struct pv_str heard;
	const char *until;		/* stop when this was heard */
};

static bool heard_all(void *ctx)
{
	const struct talk *t = ctx;

	return t->until && strstr(pv_str_text(&t->heard), t->until);
}

static void test_descriptor_arrives(void **state)
{
	pv_autostr heard = PV_STR_INIT;
	const struct pv_qmp_handler handler = { on_greeted, on_event, on_ended, &heard };
	char buf[512], room[CMSG_SPACE(4 * sizeof(int))];
	struct iovec iov = { .iov_base = buf, .iov_len = sizeof(buf) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room) };
	struct stat sent, got;
	int pair[2], null, fd;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	pv_autoqmp *q = pv_qmp_new(pair[0], &handler);
	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(pv_qmp_give_fd(q, null, "n", NULL, NULL, NULL), 0);
	fstat(null, &sent);
	close(null);			/* ours was a duplicate */
	assert_int_equal(write(pair[1], HELLO AGREED, strlen(HELLO AGREED)), (ssize_t)strlen(HELLO AGREED));
	assert_true(pv_qmp_ready(q, POLLIN));
	assert_int_equal(pv_qmp_want(q), POLLIN | POLLOUT);
	assert_true(pv_qmp_ready(q, POLLOUT));
	assert_true(pv_qmp_ready(q, POLLOUT));
	assert_int_equal(pv_qmp_want(q), POLLIN);
	assert_int_equal(recv(pair[1], buf, strlen(CAPABILITIES), 0), (ssize_t)strlen(CAPABILITIES));
	assert_true(recvmsg(pair[1], &msg, 0) > 0);
	assert_non_null(CMSG_FIRSTHDR(&msg));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	assert_int_equal(fstat(fd, &got), 0);
	assert_true(sent.st_rdev == got.st_rdev);
	close(fd);
	close(pair[1]);
	assert_false(pv_qmp_ready(q, POLLIN | POLLHUP));
	assert_string_equal(pv_str_text(&heard), "greeted ended() ");
	assert_int_equal(pv_qmp_error(q, NULL), 0);
}

/* Runs a QEMU without a machine until t->until was heard, or it ends by itself. */
static void run_qemu(struct talk *t, int ours, int theirs, struct pv_proc_result *res)
{
	pv_autofree char *chardev = pv_fmt("socket,id=qmp,fd=%d", theirs);
	const char *const argv[] = {
		"qemu-system-x86_64", "-machine", "none", "-accel", "tcg", "-S", "-nodefaults", "-no-user-config", "-display",
		"none", "-chardev", chardev, "-mon", "chardev=qmp,mode=control", NULL,
	};
	const struct pv_proc_watch watch = { .fd = ours, .want = pv_qmp_want, .ready = pv_qmp_ready, .ctx = t->q };
	const struct pv_proc proc = {
		.argv = argv, .keep_fds = &theirs, .nkeep_fds = 1, .watches = &watch, .nwatches = 1, .stop = heard_all,
		.tick_ctx = t, .deadline_s = 60,
	};
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_proc_run(&proc, res, &err) < 0)
		fail_msg("%s", err.text);
	if (res->timed_out)
		fail_msg("QEMU: no end; heard: %s; said: %s", pv_str_text(&t->heard), res->tail);
}

static void test_real_qemu(void **state)
{
	pv_autofree char *program = pv_proc_which("qemu-system-x86_64");
	char path[] = "/tmp/pvimg-test-qmp.XXXXXX";
	struct talk t = { .until = "\"running\":false" };
	const struct pv_qmp_handler handler = { on_greeted, on_event, on_ended, &t.heard };
	pv_autoproc res = PV_PROC_RESULT_INIT;
	pv_autoerror err = PV_ERROR_INIT;
	struct stat st;
	int pair[2], fd;

	(void)state;
	if (!program)
		skip();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	fd = mkostemp(path, O_CLOEXEC);
	unlink(path);
	t.q = pv_qmp_new(pair[0], &handler);
	assert_int_equal(pv_qmp_give_fd(t.q, fd, "state", on_answer, &t.heard, &err), 0);
	send_it(t.q, "no-such-command", NULL, &t.heard);
	send_it(t.q, "migrate", json_pack("{s:s}", "uri", "fd:no-such-name"), &t.heard);
	send_it(t.q, "cont", NULL, &t.heard);
	send_it(t.q, "stop", NULL, &t.heard);
	send_it(t.q, "closefd", json_pack("{s:s}", "fdname", "state"), &t.heard);
	send_it(t.q, "query-status", NULL, &t.heard);
	run_qemu(&t, pair[0], pair[1], &res);
	assert_true(res.stopped);
	assert_true(pv_qmp_version(t.q)[0] >= '1');
	/* the descriptor was there: closefd of a name unknown would be an error */
	if (!strstr(pv_str_text(&t.heard), "greeted answer({}) answer(CommandNotFound: ") ||
	    !strstr(pv_str_text(&t.heard), "RESUME(0) ") || !strstr(pv_str_text(&t.heard), "STOP(0) answer({}) answer({}) "))
		fail_msg("%s", pv_str_text(&t.heard));
	assert_int_equal(fstat(fd, &st), 0);
	close(fd);
	close(pair[1]);
	pv_qmp_free(t.q);
	pv_str_done(&t.heard);
}

/* It quits when told to, and its last event is heard. */
static void test_real_qemu_quits(void **state)
{
	pv_autofree char *program = pv_proc_which("qemu-system-x86_64");
	struct talk t = { .until = NULL };
	const struct pv_qmp_handler handler = { on_greeted, on_event, on_ended, &t.heard };
	pv_autoproc res = PV_PROC_RESULT_INIT;
	int pair[2];

	(void)state;
	if (!program)
		skip();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	t.q = pv_qmp_new(pair[0], &handler);
	send_it(t.q, "quit", NULL, &t.heard);
	run_qemu(&t, pair[0], pair[1], &res);
	assert_int_equal(res.exit_code, 0);
	assert_false(res.stopped);
	if (!strstr(pv_str_text(&t.heard), "answer({}) ") || !strstr(pv_str_text(&t.heard), "SHUTDOWN("))
		fail_msg("%s", pv_str_text(&t.heard));
	close(pair[1]);
	pv_qmp_free(t.q);
	pv_str_done(&t.heard);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands_wait_for_the_greeting),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_arguments_and_errors),
		cmocka_unit_test(test_callbacks_send),
		cmocka_unit_test(test_queue_is_bounded),
		cmocka_unit_test(test_descriptors_one_at_a_time),
		cmocka_unit_test(test_what_breaks_the_rules),
		cmocka_unit_test(test_refused_negotiation),
		cmocka_unit_test(test_line_without_end),
		cmocka_unit_test(test_descriptor_arrives),
		cmocka_unit_test(test_real_qemu),
		cmocka_unit_test(test_real_qemu_quits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
