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

static void begin_asking_for(struct talk *t, const struct pv_brain_request *wanted)
{
	pv_autoerror err = PV_ERROR_INIT;

	memset(t, 0, sizeof(*t));
	strcpy(t->dir, "/tmp/pvimg-brain.XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	t->console = pv_path_join(t->dir, "console.log");
	struct pv_brain_request req = *wanted;
	req.nonce = NONCE;
	req.deadline_s = 600;
	req.console_path = t->console;
	req.image = "test";
	assert_int_equal(pv_brain_new(&req, &t->seen, &t->brain, &err), 0);
	t->agent = pv_brain_agent(t->brain);
}

static void begin_with(struct talk *t, unsigned silence_ms)
{
	const struct pv_brain_request wanted = { .silence_ms = silence_ms, .screen_every_ms = 1 };

	begin_asking_for(t, &wanted);
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

/* The whole of a report, as far as the brain looks. */
static const char frame[] = "console PVIMG " NONCE " 0 1 18794188 AAAA\n";

/* A guest that reported and answered from outside: HTTP/1.1 STATUS, or no network. */
static void report_and_answer(struct talk *t, const char *http)
{
	pv_autofree char *answers = pv_fmt("> 4 domid 1\n= 4 0\n%s\n> 6 refused\n= 6 0\n> 7 login ok\n= 7 0\n", http);

	say(t, "hello 1 x=y\nevent created 1\nconsole [    0.0] Linux version 6\n");
	assert_asked(t, "1 clock\n2 create\n");
	/* not of this run */
	say(t, "console PVIMG-MEASURE 00000000000000000000000000000000 disk\n");
	assert_asked(t, "");
	say(t, "console PVIMG-MEASURE " NONCE " disk\n");
	assert_asked(t, "3 exits 12\n");
	say(t, "console PVIMG-MEASURE " NONCE " disk\n");
	assert_asked(t, "");
	say(t, frame);
	/* nothing else is asked while exits are counted */
	assert_non_null(pv_vars_get(&t->seen.marks, "report"));
	assert_asked(t, "");
	say(t, "> 3 exits_total=5\n> 3 exit.hlt=5\n= 3 0\n");
	assert_asked(t, "4 facts\n5 http 80 /healthz\n6 tcp 11211\n7 ssh login.sh\n");
	say(t, answers);
	assert_asked(t, "8 stats\n");
	assert_false(pv_agent_stopped(t->agent));
}

static void assert_measured(const struct talk *t, const char *name, const char *value)
{
	assert_string_equal(pv_vars_get(&t->seen.measured, name), value);
}

static void test_measure(void **state)
{
	static const struct pv_brain_request wanted = { .measure = true, .pull_after_ms = 1 };
	struct talk t;

	(void)state;
	begin_asking_for(&t, &wanted);
	report_and_answer(&t, "> 5 HTTP/1.1 200 OK\n> 5 \n> 5 ok\n= 5 0");
	say(&t, "> 8 vbd-1-2048.rd_req=7\n> 8 some words = no value\n= 8 0\n");
	assert_asked(&t, "9 exits 12\n");
	usleep(5000);
	pv_agent_tick(t.agent);
	assert_asked(&t, "10 pull 80 /pvimg-pull\n");
	say(&t, "> 10 bytes=8388608\n> 10 ms=90\n= 10 0\n");
	/* what dom0 served is asked for when tracing is over */
	assert_asked(&t, "");
	say(&t, "> 9 no trace buffers\n= 9 1\n");
	assert_asked(&t, "11 stats\n");
	say(&t, "> 11 vbd-1-2048.rd_req=9\n= 11 0\n");
	assert_true(pv_agent_stopped(t.agent));
	assert_measured(&t, "disk.exits_total", "5");
	assert_measured(&t, "disk.exit.hlt", "5");
	assert_measured(&t, "vbd-1-2048.rd_req", "7");
	assert_measured(&t, "after.vbd-1-2048.rd_req", "9");
	assert_measured(&t, "net.exits", "no trace buffers");
	assert_measured(&t, "pull.bytes", "8388608");
	assert_null(pv_vars_get(&t.seen.measured, "pull"));
	assert_int_equal(t.seen.measured.n, 7);
	end(&t);
}

/* Without a network only what dom0 served can be had. */
static void test_measure_without_network(void **state)
{
	static const struct pv_brain_request wanted = { .measure = true, .pull_after_ms = 1 };
	struct talk t;

	(void)state;
	begin_asking_for(&t, &wanted);
	report_and_answer(&t, "> 5 timeout\n= 5 1");
	say(&t, "> 8 vbd-1-2048.rd_req=7\n= 8 0\n");
	assert_asked(&t, "");
	assert_true(pv_agent_stopped(t.agent));
	end(&t);
}

/* The guest dies while it is measured: that is the end, as at any time. */
static void test_measure_dies(void **state)
{
	static const struct pv_brain_request wanted = { .measure = true, .pull_after_ms = 1 };
	struct talk t;

	(void)state;
	begin_asking_for(&t, &wanted);
	report_and_answer(&t, "> 5 HTTP/1.1 200 OK\n= 5 0");
	say(&t, "event ended crash\n");
	assert_true(pv_agent_stopped(t.agent));
	assert_string_equal(t.seen.ended, "crash");
	end(&t);
}

/* Who does not measure asks nothing of it, whatever the guest says. */
static void test_unmeasured(void **state)
{
	struct talk t;

	(void)state;
	begin(&t);
	say(&t, "hello 1 x=y\nevent created 1\nconsole PVIMG-MEASURE " NONCE " disk\n");
	assert_asked(&t, "1 clock\n2 create\n");
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
		cmocka_unit_test(test_measure), cmocka_unit_test(test_measure_without_network),
		cmocka_unit_test(test_measure_dies), cmocka_unit_test(test_unmeasured),
		cmocka_unit_test(test_console_log), cmocka_unit_test(test_no_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
