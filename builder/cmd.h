/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of pvimg: one cmd_NAME.c each, one row in main.c's table. */
#ifndef PV_CMD_H
#define PV_CMD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "error.h"
#include "log.h"
#include "plan.h"
#include "prepare.h"
#include "text.h"

/* What the command line said. Strings are borrowed from argv; NULL: not said. */
struct pv_opts {
	const char *out, *cache, *recipes, *mirror, *security, *keyring, *suite;
	const char *ca, *accept_driver, *sign;
	struct pv_strv to, pins;
	struct pv_strv sets;		/* --set key=value, in order */
	const char *driver, *firmware, *ovmf, *format, *as, *extra_disk, *as_user;
	const char *allowed_signers, *identity;
	const char *cache_remote, *cache_signers, *cache_key, *cache_credentials;
	uint64_t memory, cache_limit;	/* bytes; 0: not said, as are the numbers below */
	unsigned jobs, vcpus, deadline_s, keep, parallel;
	bool json, verbose, no_wait, allow_older, explain, all, no_verify, no_load, no_saved, on_disk, pad;
	bool locked, no_lock, offline, update, unverified, cache_push, show_fingerprint, start;
};

struct pv_cmd_ctx {
	struct pv_opts opts;
	struct pv_paths paths;
	struct pv_log *log;
};

/* argv: the words after the command and the options, argc of them. Returns 0, or -1 with the error that main prints
 * and whose kind is the exit code. A command prints its result on stdout itself. */
typedef int pv_cmd_fn(struct pv_cmd_ctx *ctx, int argc, char **argv, struct pv_error *err);

pv_cmd_fn pv_cmd_build;
pv_cmd_fn pv_cmd_plan;
pv_cmd_fn pv_cmd_lock;
pv_cmd_fn pv_cmd_list;
pv_cmd_fn pv_cmd_lint;
pv_cmd_fn pv_cmd_verify;
pv_cmd_fn pv_cmd_compare;
pv_cmd_fn pv_cmd_reproduce;
pv_cmd_fn pv_cmd_diff;
pv_cmd_fn pv_cmd_export;
pv_cmd_fn pv_cmd_import;
pv_cmd_fn pv_cmd_inspect;
pv_cmd_fn pv_cmd_publish;
pv_cmd_fn pv_cmd_manifest;
pv_cmd_fn pv_cmd_check_signature;
pv_cmd_fn pv_cmd_doctor;
pv_cmd_fn pv_cmd_clean;
pv_cmd_fn pv_cmd_cache;

/* What the command line asks of a verification of `image`. PV_ERR_USAGE. */
struct pv_verify_request;
int pv_cmd_verify_request(const struct pv_cmd_ctx *ctx, const char *image, struct pv_verify_request *ret,
			  struct pv_error *err) PV_MUST_CHECK;
/* Whether what goes to the file may be coloured: a terminal that can, and no NO_COLOR (no-color.org). */
bool pv_cmd_color(FILE *file);
/* 0 when green, else PV_ERR_VERDICT with class and cause. */
struct pv_verdict;
int pv_cmd_verdict_error(const struct pv_verdict *verdict, const char *image, struct pv_error *err) PV_MUST_CHECK;

/* --locked, --no-lock or neither. */
enum pv_lock_use pv_cmd_lock_use(const struct pv_cmd_ctx *ctx);

/* Loads NAME with the command line's overrides; prints every finding as FILE:LINE:COLUMN: text on stderr. */
struct pv_recipe;
int pv_cmd_load_recipe(struct pv_cmd_ctx *ctx, const char *name, struct pv_recipe *ret, struct pv_error *err)
	PV_MUST_CHECK;

#endif
