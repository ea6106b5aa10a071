/* SPDX-License-Identifier: Apache-2.0 */
/* Saving a state over the monitor: QEMU goes on whatever happens, and only a completed state counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "driver_qemu_save.h"
#include "fsutil.h"
#include "text.h"

/* A QEMU of a few lines, at the other end of a socket pair. */
struct monitor {
	int qemu;
	struct pv_qmp *qmp;
	struct pv_qemu_save save;
	struct pv_str heard;
};

static void say(struct monitor *m, const char *text)
{
	assert_int_equal(pv_write_all(m->qemu, text, strlen(text)), 0);
}

static int set_up(void **state)
{
	const struct pv_qmp_handler nothing = { .ctx = NULL };
	struct monitor *m = pv_xcalloc(1, sizeof(*m));
	int pair[2];

	*state = m;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	m->qemu = pair[1];
	m->qmp = pv_qmp_new(pair[0], &nothing);
	m->save = (struct pv_qemu_save){ .qmp = m->qmp, .fd = STDERR_FILENO };
	say(m, "{\"QMP\":{\"version\":{\"qemu\":{\"major\":7,\"minor\":2,\"micro\":22},\"package\":\"\"},\"capabilities\":[]}}\n");
	return fcntl(m->qemu, F_SETFL, O_NONBLOCK);
}

static int tear_down(void **state)
{
	struct monitor *m = *state;

	pv_qemu_save_done(&m->save);
	pv_qmp_free(m->qmp);
	close(m->qemu);
	pv_str_done(&m->heard);
	free(m);
	return 0;
}

/* The answer to one command, `migration` for query-migrate; returns whether there was one. */
static bool answer_one(struct monitor *m, const char *migration, const char *refused)
{
	char *newline = memchr(pv_str_text(&m->heard), '\n', m->heard.len);
	size_t n;

	if (!newline)
		return false;
	*newline = '\0';
	json_t *command = json_loads(m->heard.data, 0, NULL);
	const char *name = json_string_value(json_object_get(command, "execute"));
	json_t *id = json_object_get(command, "id");
	pv_autofree char *id_text = id ? json_dumps(id, JSON_ENCODE_ANY) : NULL;
	pv_autofree char *id_part = id_text ? pv_fmt(",\"id\":%s", id_text) : pv_xstrdup("");
	pv_autofree char *line = NULL;
	if (pv_streq(name, refused))
		line = pv_fmt("{\"error\":{\"class\":\"GenericError\",\"desc\":\"no %s\"}%s}\n", name, id_part);
	else
		line = pv_fmt("{\"return\":%s%s}\n", pv_streq(name, "query-migrate") ? migration : "{}", id_part);
	json_decref(command);
	say(m, line);
	n = (size_t)(newline + 1 - m->heard.data);
	memmove(m->heard.data, m->heard.data + n, m->heard.len - n);
	m->heard.len -= n;
	m->heard.data[m->heard.len] = '\0';
	return true;
}

/* Both sides take turns; `log` gets all that the monitor was told. */
static void talk(struct monitor *m, const char *migration, const char *refused, struct pv_str *log)
{
	for (int turn = 0; turn < 50; turn++) {
		char buf[4096];
		ssize_t n;

		pv_qemu_save_tick(&m->save, 1000);
		(void)pv_qmp_ready(m->qmp, pv_qmp_want(m->qmp));
		while ((n = read(m->qemu, buf, sizeof(buf))) > 0) {
			pv_str_addn(&m->heard, buf, (size_t)n);
			pv_str_addn(log, buf, (size_t)n);
		}
		while (answer_one(m, migration, refused))
			;
		(void)pv_qmp_ready(m->qmp, pv_qmp_want(m->qmp));
	}
}

static void test_a_completed_state(void **state)
{
	struct monitor *m = *state;
	pv_autostr log = PV_STR_INIT;

	pv_qemu_save_begin(&m->save, 1000);
	talk(m, "{\"status\":\"active\"}", NULL, &log);
	assert_int_equal(m->save.state, PV_SAVE_WRITING);
	assert_null(strstr(pv_str_text(&log), "\"cont\""));
	talk(m, "{\"status\":\"completed\"}", NULL, &log);
	assert_int_equal(m->save.state, PV_SAVE_OVER);
	assert_true(m->save.written);
	assert_null(m->save.error);
	assert_non_null(strstr(pv_str_text(&log), "fd:state"));
	assert_non_null(strstr(pv_str_text(&log), "\"cont\""));
}

static void expect_failure(struct monitor *m, const char *migration, const char *refused, const char *words)
{
	pv_autostr log = PV_STR_INIT;

	pv_qemu_save_begin(&m->save, 1000);
	talk(m, migration, refused, &log);
	assert_int_equal(m->save.state, PV_SAVE_OVER);
	assert_false(m->save.written);
	assert_non_null(m->save.error);
	assert_non_null(strstr(m->save.error, words));
	assert_non_null(strstr(pv_str_text(&log), "\"cont\""));
}

static void test_a_failed_state(void **state)
{
	expect_failure(*state, "{\"status\":\"failed\",\"error-desc\":\"no space\"}", NULL, "no space");
}

static void test_a_refused_command(void **state)
{
	expect_failure(*state, "{\"status\":\"none\"}", "migrate", "no migrate");
}

static void test_it_takes_too_long(void **state)
{
	struct monitor *m = *state;
	pv_autostr log = PV_STR_INIT;

	pv_qemu_save_begin(&m->save, 1000);
	talk(m, "{\"status\":\"active\"}", NULL, &log);
	pv_qemu_save_tick(&m->save, 40000);
	talk(m, "{\"status\":\"completed\"}", NULL, &log);
	assert_int_equal(m->save.state, PV_SAVE_OVER);
	assert_false(m->save.written);
	assert_non_null(strstr(pv_str_text(&log), "migrate_cancel"));
	assert_non_null(strstr(pv_str_text(&log), "\"cont\""));
}

/* Not even to "cont": the session must not wait for ever. */
static void test_a_monitor_that_says_nothing(void **state)
{
	struct monitor *m = *state;

	pv_qemu_save_begin(&m->save, 1000);
	pv_qemu_save_tick(&m->save, 40000);
	assert_int_equal(m->save.state, PV_SAVE_RESUMING);
	pv_qemu_save_tick(&m->save, 100000);
	assert_int_equal(m->save.state, PV_SAVE_OVER);
	assert_false(m->save.written);
}

static void test_a_monitor_that_goes(void **state)
{
	struct monitor *m = *state;
	pv_autostr log = PV_STR_INIT;

	pv_qemu_save_begin(&m->save, 1000);
	shutdown(m->qemu, SHUT_RDWR);
	for (int turn = 0; turn < 5; turn++) {
		(void)pv_qmp_ready(m->qmp, 0x1);	/* POLLIN */
		pv_qemu_save_tick(&m->save, 1000);
	}
	assert_int_equal(m->save.state, PV_SAVE_OVER);
	assert_false(m->save.written);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_completed_state, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_failed_state, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_refused_command, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_it_takes_too_long, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_monitor_that_says_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_monitor_that_goes, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
