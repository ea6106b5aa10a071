/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of what cannot be undone in a process: in a child, as root and as an ordinary user. */
#ifndef PV_TEST_AS_USER_H
#define PV_TEST_AS_USER_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

/* In such a child: says what is wrong and ends it; cmocka's own checks would go on in a copy of the parent. */
#define CHECK(x) do { \
	if (!(x)) { \
		fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #x); \
		_exit(1); \
	} \
} while (0)

/* Whom tests run as: who[0] is the user that started them; for root who[1] is an ordinary user with subordinate ids,
 * one that is there or one made here and removed at the end. */
struct people {
	struct person {
		char name[64];
		uid_t uid;
		gid_t gid;
		char dir[64];		/* an empty folder of theirs, named with a space and a quote */
	} who[2];
	size_t n;
	char made[32];			/* the user made here, or "" */
};
void people_set_up(struct people *p);
void people_tear_down(struct people *p);

/* Runs fn(ctx) in a child as that person; its exit code (0 when fn returns), or 128 + signal. */
int run_as(const struct person *who, void (*fn)(void *ctx), void *ctx);

/* The same without waiting. */
pid_t start_as(const struct person *who, void (*fn)(void *ctx), void *ctx);

#endif
