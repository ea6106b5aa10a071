/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "turns.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct pv_turn_limits two = { .slots = 2, .memory = 100 };

static void first_that_can(void **state)
{
	struct pv_turn_seat seats[] = {
		{ .holds = PV_TURN_PLAN }, { .wants = PV_TURN_PLAN }, { .wants = PV_TURN_WORK, .bytes = 500 },
		{ .wants = PV_TURN_WORK, .bytes = 1 },
	};

	(void)state;
	/* one plans at a time; more memory than there is goes to who is alone with memory */
	assert_int_equal(pv_turns_next(seats, COUNT(seats), &two), 2);
	seats[0] = (struct pv_turn_seat){ .holds = PV_TURN_WORK, .bytes = 60 };
	assert_int_equal(pv_turns_next(seats, COUNT(seats), &two), 1);
	seats[1] = (struct pv_turn_seat){ .holds = PV_TURN_NONE };
	assert_int_equal(pv_turns_next(seats, COUNT(seats), &two), 3);
	seats[3].bytes = 40;
	assert_int_equal(pv_turns_next(seats, COUNT(seats), &two), 3);
	seats[3].bytes = 41;
	assert_int_equal(pv_turns_next(seats, COUNT(seats), &two), 4);
	seats[3].bytes = UINT64_MAX;
	assert_int_equal(pv_turns_next(seats, COUNT(seats), &two), 4);
	seats[0].ended = true;
	assert_int_equal(pv_turns_next(seats, COUNT(seats), &two), 2);
}

static void slots_are_counted(void **state)
{
	struct pv_turn_seat seats[] = {
		{ .holds = PV_TURN_WORK, .bytes = 1 }, { .holds = PV_TURN_PLAN }, { .wants = PV_TURN_WORK, .bytes = 1 },
	};

	(void)state;
	assert_int_equal(pv_turns_next(seats, COUNT(seats), &two), 3);
	seats[1].holds = PV_TURN_NONE;
	assert_int_equal(pv_turns_next(seats, COUNT(seats), &two), 2);
}

static void proofs_have_quiet(void **state)
{
	struct pv_turn_seat seats[] = {
		{ .wants = PV_TURN_PROOF }, { .wants = PV_TURN_PROOF }, { .holds = PV_TURN_WORK, .bytes = 1 },
	};

	(void)state;
	assert_int_equal(pv_turns_next(seats, COUNT(seats), &two), 3);
	seats[2].holds = PV_TURN_NONE;		/* waits for something outside, and will work again */
	assert_int_equal(pv_turns_next(seats, COUNT(seats), &two), 3);
	seats[2].ended = true;
	assert_int_equal(pv_turns_next(seats, COUNT(seats), &two), 0);
	seats[0] = (struct pv_turn_seat){ .holds = PV_TURN_PROOF };
	assert_int_equal(pv_turns_next(seats, COUNT(seats), &two), 3);
}

/* --- processes: no namespace here, so a job's own mounts cannot be had without root's rights --- */

struct seen {
	unsigned good, bad;
	enum pv_error_kind kind;
	char words[256];
};

static void note(void *ctx, size_t job, const struct pv_error *cause)
{
	struct seen *seen = ctx;

	(void)job;
	if (!cause) {
		seen->good++;
		return;
	}
	seen->bad++;
	seen->kind = cause->kind;
	strncpy(seen->words, cause->text, sizeof(seen->words) - 1);
}

static int each_ends_otherwise(void *ctx, size_t job, struct pv_turn *turn, struct pv_error *err)
{
	(void)ctx;
	if (pv_turn_take(turn, PV_TURN_PLAN, 0, err) < 0 || pv_turn_take(turn, PV_TURN_NONE, 0, err) < 0 ||
	    pv_turn_take(turn, PV_TURN_WORK, 1000, err) < 0 || pv_turn_take(turn, PV_TURN_PROOF, 0, err) < 0)
		return -1;
	if (job == 1)
		return pv_error_set(err, PV_ERR_ARCHIVE, "as it was asked to");
	if (job == 2)
		raise(SIGKILL);
	return 0;
}

static void all_run_to_their_end(void **state)
{
	struct seen seen = { 0 };
	pv_autoerror err = PV_ERROR_INIT;
	const struct pv_turn_limits one = { .slots = 1, .memory = 10 };

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(pv_turns_run(2, &one, each_ends_otherwise, note, &seen, &err), 0);
	assert_int_equal(seen.good, 1);
	assert_int_equal(seen.bad, 1);
	assert_int_equal(seen.kind, PV_ERR_ARCHIVE);
	assert_string_equal(seen.words, "as it was asked to");
	memset(&seen, 0, sizeof(seen));
	assert_int_equal(pv_turns_run(3, &one, each_ends_otherwise, note, &seen, &err), 0);
	assert_int_equal(seen.good, 1);
	assert_int_equal(seen.bad, 2);
}

static void who_builds_alone_never_waits(void **state)
{
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	assert_int_equal(pv_turn_take(NULL, PV_TURN_PROOF, 0, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_that_can), cmocka_unit_test(slots_are_counted), cmocka_unit_test(proofs_have_quiet),
		cmocka_unit_test(all_run_to_their_end), cmocka_unit_test(who_builds_alone_never_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
