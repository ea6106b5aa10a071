/* SPDX-License-Identifier: Apache-2.0 */
/* Stages: the steps that turn a const plan into an image, or into a dom0. Each knows the run and no other stage. */
#ifndef PV_STAGE_H
#define PV_STAGE_H

#include "error.h"
#include "fetch.h"
#include "log.h"
#include "plan.h"
#include "proc.h"
#include "repack.h"
#include "report.h"
#include "store.h"

/* One build of one image: the only object that stages may change. All paths are absolute. */
struct pv_run {
	const struct pv_plan *plan;
	const struct pv_paths *paths;
	struct pv_log *log;
	struct pv_report *report;
	struct pv_store *store;
	struct pv_fetch *fetch;
	char *work;			/* work folder, owned by the caller (workdir.h) */
	char *root;			/* the target's tree */
	char *archive_dir;		/* the planned archive (planned.h), and keyring.gpg to check it */
	struct pv_repack *repack;	/* of what apt installs: at work from stage fetch to install; the caller frees */
	char *run_dir;			/* seen inside as /run/pvimg: bin/ stubs, apt/, scripts; held/ and out/, which alone are
					 * writable there: what lies in them is hostile */
	char *result;			/* hidden folder beside the final one; renamed when all is done */
	struct pv_chunks *chunks;	/* the disk's, from stage image; the caller frees */
	struct pv_stagecache *cache;	/* NULL: nothing is kept */
};

/* PATH inside: the stubs of stage install come first. */
#define PV_TARGET_PATH "/run/pvimg/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Runs a program inside the target's tree, in the sandbox, with no network, as the target's root. env adds to a
 * minimal environment. `input` is its stdin (NULL: none). Output goes to the build log; the child is noted in the
 * report; on failure the error bears the last lines. */
int pv_run_in_target(struct pv_run *run, const char *const *argv, const char *const *env, const char *input,
		     struct pv_error *err) PV_MUST_CHECK;

/* The same with binds and a line callback. */
struct pv_sandbox_bind;
struct pv_target_call {
	const char *const *argv;
	const char *const *env;			/* added to the minimal environment; NULL: nothing */
	const char *input;
	const struct pv_sandbox_bind *binds;	/* beside /run/pvimg */
	size_t nbinds;
	pv_proc_line_fn *on_line;		/* sees every line of output too; NULL: nobody */
	void *ctx;
};
int pv_run_call(struct pv_run *run, const struct pv_target_call *call, struct pv_error *err) PV_MUST_CHECK;

/* Any program in any sandbox, noted in the report as `name`; a failure bears how it ended and its last lines. */
struct pv_sandbox;
int pv_run_sandbox(struct pv_run *run, const struct pv_sandbox *box, const struct pv_proc *proc, const char *name,
		   struct pv_error *err) PV_MUST_CHECK;

/* What stage configure depends on besides the tree and the overlays: its scripts and what they are told. */
struct pv_cachekey;
int pv_stage_configure_inputs(const struct pv_plan *plan, const struct pv_paths *paths, struct pv_cachekey *key,
			      struct pv_error *err) PV_MUST_CHECK;

/* The plan's disk with its partitions, all of them empty. A failed call leaves no file. */
int pv_stage_make_disk(const struct pv_plan *plan, const char *image, struct pv_error *err) PV_MUST_CHECK;

typedef int pv_stage_fn(struct pv_run *run, struct pv_error *err);
pv_stage_fn pv_stage_fetch;
pv_stage_fn pv_stage_bootstrap;
pv_stage_fn pv_stage_install;
pv_stage_fn pv_stage_configure;
pv_stage_fn pv_stage_image;
pv_stage_fn pv_stage_unpack;
pv_stage_fn pv_stage_initramfs;

/* Runs all stages of the plan's kind in order with log and report, those not whose results the cache has; wraps a failure
 * with image and stage. */
int pv_stages_run(struct pv_run *run, struct pv_error *err) PV_MUST_CHECK;

#endif
