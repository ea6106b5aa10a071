/* SPDX-License-Identifier: Apache-2.0 */
/* Verify's side of the conversation with canned agents: what is asked when, and when it is over. */
#include "check.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fsutil.h"
#include "text.h"
#include "verify_brain.h"

#define NONCE "00112233445566778899aabbccddeeff"

struct talk {
	char dir[32];
	char *console;
	struct pv_evidence seen;
	struct pv_brain *brain;
	struct pv_agent *agent;
};

static void begin_with(struct talk *t, unsigned silence_ms)
{
	pv_autoerror err = PV_ERROR_INIT;

	memset(t, 0, sizeof(*t));
	strcpy(t->dir, "/tmp/pvimg-brain.XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	t->console = pv_path_join(t->dir, "console.log");
	const struct pv_brain_request req = { .nonce = NONCE, .load = false, .deadline_s = 600,
					      .silence_ms = silence_ms, .screen_every_ms = 1,
					      .console_path = t->console, .image = "test" };
	assert_int_equal(pv_brain_new(&req, &t->seen, &t->brain, &err), 0);
	t->agent = pv_brain_agent(t->brain);
}

static void begin(struct talk *t)
{
	begin_with(t, 0);
}

static void end(struct talk *t)
{
	pv_brain_freep(&t->brain);
	pv_evidence_done(&t->seen);
	free(t->console);
	assert_int_equal(pv_rmtree(t->dir, NULL), 0);
}

static void say(struct talk *t, const char *text)
{
	pv_agent_feed(t->agent, text, strlen(text));
}

/* What was asked since the last time, without the clock's number. */
static void assert_asked(struct talk *t, const char *wanted)
{
	size_t len;
	const char *asked = pv_agent_pending(t->agent, &len);
	pv_autofree char *copy = pv_xstrndup(asked, len);
	char *clock = strstr(copy, "clock ");

	if (clock) {
		char *newline = strchr(clock, '\n');
		memmove(clock + strlen("clock"), newline, strlen(newline) + 1);
	}
	assert_string_equal(copy, wanted);
	pv_agent_sent(t->agent, len);
}

static void test_not_created(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	assert_asked(&t, "");
	say(&t, "hello 1 xen=4.17\n");
	assert_asked(&t, "1 clock\n2 create\n");
	say(&t, "event failed no memory\n= 2 1\n");
	assert_true(pv_agent_stopped(t.agent));
	assert_asked(&t, "");
	assert_string_equal(t.seen.failed, "no memory");
	assert_false(t.seen.created);
	end(&t);
}

static void test_panic(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	say(&t, "hello 1 x=y\nevent created 1\n");
	assert_asked(&t, "1 clock\n2 create\n");
	say(&t, "console [    0.000000] Linux version 6.1.0-50-amd64 (x) #1 SMP\n");
	assert_false(pv_agent_stopped(t.agent));
	say(&t, "console [    1.500000] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\n");
	pv_agent_tick(t.agent);
	/* the kernel spoke, so nobody needs the screen */
	assert_asked(&t, "3 facts\n");
	assert_false(pv_agent_stopped(t.agent));
	say(&t, "> 3 domid 1\n= 3 0\n");
	assert_true(pv_agent_stopped(t.agent));
	assert_true(t.seen.created);
	assert_int_equal(t.seen.nconsole, 2);
	end(&t);
}

/* Only a kernel that has spoken and has not yet run its first program. */
static void test_kernel_falls_silent(void **state)
{
	static const struct {
		unsigned silence_ms;
		const char *console;
		bool silent;
	} rows[] = {
		{ 1, "console [    0.0] Linux version 6\n", true },
		{ 0, "console [    0.0] Linux version 6\n", false },
		{ 1, "console something else\n", false },
		{ 1, "console [    0.0] Linux version 6\nconsole [    9.0] Run /init as init process\n", false },
	};

	(void)state;
	for (size_t i = 0; i < PV_COUNT(rows); i++) {
		struct talk t;
		begin_with(&t, rows[i].silence_ms);
		say(&t, "hello 1 x=y\nevent created 1\n");
		say(&t, rows[i].console);
		usleep(5000);
		pv_agent_tick(t.agent);
		assert_int_equal(t.seen.silent, rows[i].silent);
		end(&t);
	}
}

static void test_guest_ends(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	say(&t, "hello 1 x=y\nevent created 1\nconsole [    0.0] Linux version 6\nevent ended reboot\n");
	assert_string_equal(t.seen.ended, "reboot");
	assert_true(pv_agent_stopped(t.agent));
	end(&t);
}

static void test_screen(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	say(&t, "hello 1 x=y\nevent created 1\n");
	usleep(5000);
	pv_agent_tick(t.agent);
	assert_asked(&t, "1 clock\n2 create\n3 vga\n");
	/* asked once until it is answered */
	pv_agent_tick(t.agent);
	assert_asked(&t, "");
	say(&t, "> 3 GNU GRUB version 2.06\n> 3 error: file not found\n> 3 \n> 3   \n= 3 0\n");
	assert_int_equal(t.seen.screen.n, 2);
	assert_non_null(pv_vars_get(&t.seen.marks, "grub"));
	end(&t);
}

static void test_console_log(void **state)
{
	struct talk t;
	pv_autoerror err = PV_ERROR_INIT;
	pv_autofree char *log = NULL;

	(void)state;
	begin(&t);
	say(&t, "hello 1 x=y\nevent created 1\nconsole one\nconsole PVIMG " NONCE " 0 2 1 AAAA\nconsole two\n");
	assert_int_equal(t.seen.nconsole, 2);
	assert_int_equal(pv_brain_end(t.brain, &err), 0);
	assert_int_equal(pv_read_file(t.console, 4096, &log, NULL, &err), 0);
	assert_non_null(strstr(log, "  one\n"));
	assert_non_null(strstr(log, "  two\n"));
	assert_false(t.seen.have_probe);
	end(&t);
}

static void test_no_folder(void **state)
{
	const struct pv_brain_request req = { .nonce = NONCE, .console_path = "/nowhere/console.log", .image = "x" };
	struct pv_evidence seen = { 0 };
	pv_autoerror err = PV_ERROR_INIT;
	pv_autobrain *brain = NULL;

	(void)state;
	assert_int_equal(pv_brain_new(&req, &seen, &brain, &err), -1);
	assert_non_null(strstr(err.text, "/nowhere/console.log"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_not_created), cmocka_unit_test(test_panic),
		cmocka_unit_test(test_kernel_falls_silent), cmocka_unit_test(test_guest_ends), cmocka_unit_test(test_screen),
		cmocka_unit_test(test_console_log), cmocka_unit_test(test_no_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
