/* SPDX-License-Identifier: Apache-2.0 */
/* The conversation with dom0's agent: lines in pieces, answers to their commands, hostile lines dropped. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "agent.h"
#include "text.h"

static void on_hello(void *ctx, const char *facts)
{
	pv_str_addf(ctx, "hello(%s)", facts);
}

static void on_console(void *ctx, const char *text)
{
	pv_str_addf(ctx, "console(%s)", text);
}

static void on_event(void *ctx, const char *what, const char *text)
{
	pv_str_addf(ctx, "event(%s|%s)", what, text);
}

static void on_reply(void *ctx, unsigned id, const char *text)
{
	pv_str_addf(ctx, "reply(%u|%s)", id, text);
}

static void on_end(void *ctx, unsigned id, int status)
{
	pv_str_addf(ctx, "end(%u|%d)", id, status);
}

static struct pv_agent *make(struct pv_str *seen)
{
	const struct pv_agent_handler handler = { .hello = on_hello, .console = on_console, .event = on_event,
						  .reply = on_reply, .end = on_end, .ctx = seen };

	return pv_agent_new(&handler);
}

/* Feeds the text in pieces of `step` bytes. */
static void feed(struct pv_agent *agent, const char *text, size_t step)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i += step)
		pv_agent_feed(agent, text + i, len - i < step ? len - i : step);
}

static void test_lines(void **state)
{
	static const char said[] = "hello 1 xen=4.17.7 hap=yes\n"
				   "event created 3\n"
				   "console [    0.0] Linux version 6.1\r\n"
				   "console \033[0;32m  OK  \033[0m Reached\n"
				   "console \n"
				   "> 1 a b  c\n"
				   "= 1 0\n";
	static const char wanted[] = "hello(xen=4.17.7 hap=yes)event(created|3)console([    0.0] Linux version 6.1)"
				     "console(  OK   Reached)console()reply(1|a b  c)end(1|0)";

	(void)state;
	for (size_t step = 1; step < sizeof(said); step += 5) {
		pv_autostr seen = PV_STR_INIT;
		pv_autoagent *agent = make(&seen);
		assert_int_equal(pv_agent_send(agent, "facts"), 1);
		feed(agent, said, step);
		assert_string_equal(pv_str_text(&seen), wanted);
		assert_int_equal(pv_agent_dropped(agent), 0);
	}
}

static void test_dropped(void **state)
{
	static const char *const bad[] = {
		"\n", "hi\n", "hello 2 x\n", "hello\n", "= 1 256\n", "= 1 -1\n", "= 1\n", "= 2 0\n", "> 0 x\n", "> x y\n",
		"> 99999999999 x\n", "event\n", "consolex\n",
	};

	(void)state;
	for (size_t i = 0; i < PV_COUNT(bad); i++) {
		pv_autostr seen = PV_STR_INIT;
		pv_autoagent *agent = make(&seen);
		pv_agent_send(agent, "facts");
		feed(agent, bad[i], 3);
		if (seen.len > 0 || pv_agent_dropped(agent) != 1)
			fail_msg("taken: %s", bad[i]);
	}
}

static void test_too_long(void **state)
{
	pv_autostr seen = PV_STR_INIT, line = PV_STR_INIT;
	pv_autoagent *agent = make(&seen);

	(void)state;
	pv_str_add(&line, "console ");
	for (unsigned i = 0; i < 3 * PV_AGENT_LINE_MAX; i++)
		pv_str_addc(&line, 'x');
	pv_str_add(&line, "\nconsole y\n");
	feed(agent, line.data, 100);
	assert_string_equal(pv_str_text(&seen), "console(y)");
	assert_int_equal(pv_agent_dropped(agent), 1);
}

static void test_commands(void **state)
{
	pv_autostr seen = PV_STR_INIT;
	pv_autoagent *agent = make(&seen);
	size_t len;

	(void)state;
	assert_int_equal(pv_agent_send(agent, "clock %d", 7), 1);
	assert_int_equal(pv_agent_send(agent, "create"), 2);
	assert_string_equal(pv_agent_pending(agent, &len), "1 clock 7\n2 create\n");
	assert_int_equal(len, 19);
	pv_agent_sent(agent, 10);
	assert_string_equal(pv_agent_pending(agent, &len), "2 create\n");
	pv_agent_sent(agent, 9);
	pv_agent_pending(agent, &len);
	assert_int_equal(len, 0);
	assert_int_equal(pv_agent_send(agent, "end"), 3);
	assert_string_equal(pv_agent_pending(agent, &len), "3 end\n");
	assert_false(pv_agent_stopped(agent));
	pv_agent_stop(agent);
	assert_true(pv_agent_stopped(agent));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_dropped),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_commands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
