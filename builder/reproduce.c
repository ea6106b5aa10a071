/* SPDX-License-Identifier: Apache-2.0 */
/* Two builds, one after the other, and the comparison; the scratch folder goes unless there is something to look at. */
#include "reproduce.h"

#include <jansson.h>
#include <string.h>

#include "fsutil.h"
#include "proc.h"
#include "reproduce_priv.h"

void pv_rebuild_done(struct pv_rebuild *b)
{
	char **const owned[] = {
		&b->dir, &b->home, &b->cache, &b->out, &b->cwd, &b->program, &b->recipes, &b->keyring, &b->user, &b->hostname,
	};

	for (size_t i = 0; i < PV_COUNT(owned); i++)
		pv_freep(owned[i]);
	pv_strv_done(&b->env);
	pv_strv_done(&b->more);
}

void pv_reproduced_done(struct pv_reproduced *r)
{
	pv_freep(&r->cause);
	pv_freep(&r->text);
	pv_freep(&r->json);
	pv_freep(&r->kept);
}

static int build(const struct pv_reproduce_request *req, struct pv_rebuild *b, struct pv_error *err)
{
	pv_log_stage_begin(req->log, req->recipe->name, b->ordinal);
	int rc = pv_reproduce_run(req, b, err);
	pv_log_stage_end(req->log, rc == 0, NULL);
	return rc;
}

static int build_both(const struct pv_reproduce_request *req, struct pv_rebuild builds[2], struct pv_error *err)
{
	json_t *plan = NULL;
	int rc = pv_reproduce_plan(req, &builds[0], &plan, err);

	if (rc == 0)
		rc = pv_reproduce_seed(plan, req->paths->cache_dir, builds[0].cache, err);
	if (rc == 0)
		rc = build(req, &builds[0], err);
	if (rc == 0)
		rc = pv_reproduce_seed(plan, builds[0].cache, builds[1].cache, err);
	json_decref(plan);
	if (rc < 0 || pv_reproduce_hand_over(&builds[1], err) < 0)
		return -1;
	return build(req, &builds[1], err);
}

static int build_and_judge(const struct pv_reproduce_request *req, struct pv_rebuild builds[2],
			   struct pv_conditions *conditions, struct pv_reproduced *ret, struct pv_error *err)
{
	if (pv_reproduce_conditions(req, builds, conditions, err) < 0 || build_both(req, builds, err) < 0)
		return -1;
	return pv_reproduce_judge(req, builds, conditions, ret, err);
}

int pv_reproduce(const struct pv_reproduce_request *req, struct pv_reproduced *ret, struct pv_error *err)
{
	struct pv_rebuild builds[2] = { { .dir = NULL }, { .dir = NULL } };
	struct pv_conditions conditions = { .n = 0 };
	pv_autoreproduced found = { .equal = false };
	pv_autofree char *scratch = NULL;
	pv_autoclose int lock = -1;
	pv_autoerror left = PV_ERROR_INIT;
	size_t swept;

	if (pv_reproduce_sweep(&swept, &left) < 0)
		pv_log_warn(req->log, "%s", left.text);
	pv_error_clear(&left);
	int rc = pv_reproduce_scratch(&scratch, &lock, err);
	if (rc == 0)
		rc = pv_reproduce_places(req, scratch, builds, err);
	if (rc == 0)
		rc = build_and_judge(req, builds, &conditions, &found, err);
	/* a stage that failed has left its log there */
	bool keep = rc == 0 ? !found.equal : scratch && err && err->kind == PV_ERR_STAGE;
	if (scratch && pv_reproduce_scratch_done(scratch, keep, &left) < 0)
		pv_log_warn(req->log, "%s", left.text);
	if (rc < 0 && keep)
		pv_log_info(req->log, "%s: what the builds left is in %s", req->recipe->name, scratch);
	if (rc == 0 && keep)
		found.kept = pv_steal(&scratch);
	if (rc == 0) {
		*ret = found;
		found = (struct pv_reproduced){ .equal = false };
	}
	pv_conditions_done(&conditions);
	pv_rebuild_done(&builds[0]);
	pv_rebuild_done(&builds[1]);
	return rc;
}
