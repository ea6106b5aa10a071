/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by reproduce.c and reproduce_*.c only. */
#ifndef PV_REPRODUCE_PRIV_H
#define PV_REPRODUCE_PRIV_H

#include <stdint.h>
#include <sys/types.h>

#include "reproduce.h"
#include "text.h"

/* One of the two builds: where it is and under which conditions it runs. Paths are absolute and owned. */
struct pv_rebuild {
	const char *ordinal;		/* "first", "second" */
	char *dir, *home, *cache, *out, *cwd;
	char *program, *recipes;	/* the second has copies */
	char *keyring;
	char *user;			/* NULL: the caller's own */
	uid_t uid;
	gid_t gid;
	bool nested;			/* as root of a user namespace */
	bool one_core, on_disk;
	char *hostname;			/* NULL: as it is */
	mode_t umask;
	struct pv_strv env;
	struct pv_strv more;		/* options it alone gets */
	int64_t began;			/* CLOCK_REALTIME */
	uint64_t wall_ms;
};
void pv_rebuild_done(struct pv_rebuild *b);

/* What was varied (both said) and what not (`why`). */
struct pv_condition {
	const char *what;
	char *first, *second, *why;
};
#define PV_CONDITIONS_MAX 24u
struct pv_conditions {
	struct pv_condition v[PV_CONDITIONS_MAX];
	size_t n;
};
void pv_conditions_done(struct pv_conditions *c);
/* All strings are taken over. */
void pv_condition_varied(struct pv_conditions *c, const char *what, char *first, char *second);
void pv_condition_same(struct pv_conditions *c, const char *what, char *why);

/* reproduce_scratch.c: a fresh folder below TMPDIR or /var/tmp, mode 0755, and the descriptor that locks it. */
int pv_reproduce_scratch(char **ret, int *ret_lock, struct pv_error *err) PV_MUST_CHECK;
/* Removes it; keep: only the builds' caches, and from then on no sweep takes the rest. */
int pv_reproduce_scratch_done(const char *scratch, bool keep, struct pv_error *err) PV_MUST_CHECK;

/* reproduce_place.c: both builds' places in the scratch folder. */
int pv_reproduce_places(const struct pv_reproduce_request *req, const char *scratch, struct pv_rebuild builds[2],
			struct pv_error *err) PV_MUST_CHECK;
/* The plan as JSON, made with b's program and the caller's cache. New reference (jansson). */
struct json_t;
int pv_reproduce_plan(const struct pv_reproduce_request *req, const struct pv_rebuild *b, struct json_t **ret,
		      struct pv_error *err) PV_MUST_CHECK;
/* The plan's packages, as far as the one cache's store has them, into the other's. */
int pv_reproduce_seed(const struct json_t *plan, const char *from_cache, const char *to_cache, struct pv_error *err)
	PV_MUST_CHECK;
/* All below b->dir is its user's. */
int pv_reproduce_hand_over(const struct pv_rebuild *b, struct pv_error *err) PV_MUST_CHECK;

/* reproduce_conditions.c: sets both builds' conditions and notes them. */
int pv_reproduce_conditions(const struct pv_reproduce_request *req, struct pv_rebuild builds[2], struct pv_conditions *ret,
			    struct pv_error *err) PV_MUST_CHECK;

/* reproduce_child.c: runs the build; or just tries its conditions. */
int pv_reproduce_run(const struct pv_reproduce_request *req, struct pv_rebuild *b, struct pv_error *err) PV_MUST_CHECK;
int pv_reproduce_try(const struct pv_rebuild *b, struct pv_error *err) PV_MUST_CHECK;
/* The error of a pvimg that ended with another exit code than 0: of its kind, in its words. Always -1. */
struct pv_proc_result;
int pv_reproduce_failed(const struct pv_proc_result *res, struct pv_error *err);

/* reproduce_judge.c */
int pv_reproduce_judge(const struct pv_reproduce_request *req, const struct pv_rebuild builds[2],
		       const struct pv_conditions *conditions, struct pv_reproduced *ret, struct pv_error *err) PV_MUST_CHECK;

#endif
