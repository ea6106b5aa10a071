/* SPDX-License-Identifier: Apache-2.0 */
/* Uploads to a host of the pool. HTTP's 200 comes before the host has read anything; only the task knows the end. */
#include <stdlib.h>
#include <string.h>

#include "proc.h"
#include "url.h"
#include "xapi.h"

#define POLL_MS 500u
#define QUIET_POLLS 1200u		/* a task without progress for ten minutes after the last byte is dead */
#define BROKEN_POLLS 12u		/* one whose connection broke ends at once, if it ever was the host's */
#define STOP_POLLS 6u			/* the same of one that was cancelled */

/* "https://HOST[:PORT]" of a redirect's target; nothing but https. */
static int base_of(const struct pv_xapi *x, const char *location, char **ret, struct pv_error *err)
{
	size_t scheme = strlen("https://"), len;

	if (!pv_starts(location, "https://"))
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: the host redirects uploads to something that is no https",
				    x->base);
	len = strcspn(location + scheme, "/?#");
	pv_autofree char *address = pv_xstrndup(location + scheme, len);
	return pv_xapi_base(address, "", ret, err);
}

static char *target_of(const struct pv_xapi *x, const char *path, const char *query, const char *task)
{
	return pv_fmt("%s?session_id=%s&%s%s%s", path, x->session, query, task ? "&task_id=" : "", task ? task : "");
}

int pv_xapi_probe(struct pv_xapi *x, const char *path, const char *query, char **ret_base, struct pv_error *err)
{
	pv_autofree char *target = target_of(x, path, query, NULL);
	pv_autoreply reply = { 0 };
	const struct pv_xapi_put put = { .base = x->base, .target = target };

	/* A host that would take it finds an archive of no bytes: how it puts that does not matter, where it leads does. */
	int rc = pv_xapi_wire_put(x->wire, &put, &reply, err);
	if (reply.status >= 300 && reply.status < 400 && reply.location) {
		pv_error_clear(err);
		return base_of(x, reply.location, ret_base, err);
	}
	if (rc < 0 && reply.status == 0) {
		x->may_pass = reply.again;
		return -1;
	}
	pv_error_clear(err);
	*ret_base = pv_xstrdup(x->base);
	return 0;
}

/* --- the task --- */

enum state { PENDING, SUCCESS, FAILURE };

static enum state state_of(const json_t *record)
{
	const char *status = pv_xapi_text(record, "status");

	if (pv_streq(status, "success"))
		return SUCCESS;
	return pv_streq(status, "pending") || pv_streq(status, "cancelling") ? PENDING : FAILURE;
}

/* Asks until the task has ended, or shows no progress for that many polls. */
static int await_task(struct pv_xapi *x, const char *task, unsigned quiet_max, json_t **ret, struct pv_error *err)
{
	double progress = -1;

	for (unsigned quiet = 0; quiet < quiet_max; quiet++) {
		pv_autojson *record = NULL;

		if (pv_xapi_call_ref(x, "task.get_record", task, NULL, &record, err) < 0)
			return -1;
		if (state_of(record) != PENDING) {
			*ret = json_incref(record);
			return 0;
		}
		double now = json_number_value(json_object_get(record, "progress"));
		if (now > progress)
			quiet = 0;
		progress = now;
		if (pv_xapi_pause(x, POLL_MS, err) < 0)
			return -1;
	}
	x->may_pass = true;
	return pv_error_set(err, PV_ERR_ARCHIVE, "%s: the import's task neither ends nor gets on", x->base);
}

static int judge_task(struct pv_xapi *x, const json_t *record, char **ret_result, struct pv_error *err)
{
	pv_autofree char *what = pv_fmt("%s: importing", x->base);

	if (state_of(record) == SUCCESS) {
		*ret_result = pv_xstrdup(pv_xapi_text(record, "result"));
		return 0;
	}
	pv_xapi_fault_of(json_object_get(record, "error_info"), &x->fault);
	x->may_pass = pv_xapi_may_pass(&x->fault);
	return pv_xapi_refused(what, &x->fault, err);
}

/* The host turned the request away before it made the task its own: the task would stay pending for ever. */
static int judge_status(struct pv_xapi *x, const char *base, long status, struct pv_error *err)
{
	x->may_pass = status == 401 || status == 408 || status == 429 || status >= 500 || (status >= 300 && status < 400);
	return pv_error_set(err, PV_ERR_ARCHIVE, "%s: the host answered the upload with %ld%s", base, status,
			    status == 401 ? ": the session has ended" : "");
}

static int send_and_await(struct pv_xapi *x, const char *base, const struct pv_xapi_upload *upload, const char *task,
			  char **ret_result, struct pv_error *err)
{
	pv_autofree char *target = target_of(x, upload->path, upload->query, task);
	pv_autoreply reply = { 0 };
	pv_autojson *record = NULL;
	const struct pv_xapi_put put = { .base = base,
					 .target = target,
					 .size = upload->size,
					 .fd = upload->fd,
					 .progress = upload->progress,
					 .progress_ctx = upload->progress_ctx };
	int rc = pv_xapi_wire_put(x->wire, &put, &reply, err);

	x->may_pass = reply.again;
	if (rc < 0 && (err->kind != PV_ERR_ARCHIVE || (reply.status == 0 && reply.sent == 0)))
		return -1;		/* our own disk, an interrupt, or nobody there: the task knows no more */
	if (reply.status >= 300)
		return judge_status(x, base, reply.status, err);
	pv_autoerror broken = *err;
	*err = (struct pv_error)PV_ERROR_INIT;
	if (await_task(x, task, rc < 0 ? BROKEN_POLLS : QUIET_POLLS, &record, err) == 0)
		return judge_task(x, record, ret_result, err);
	if (rc < 0 && err->kind == PV_ERR_ARCHIVE) {		/* the connection's end says more than the task's silence */
		x->may_pass = true;
		return pv_error_set(err, broken.kind, "%s", broken.text);
	}
	return -1;
}

/* An import that still runs ends by it, and takes back what it made; where it has ended, nothing happens. */
static void stop_task(struct pv_xapi *x, const char *task)
{
	pv_autojson *record = NULL;

	if (pv_proc_interrupted())
		pv_wire_tidying(x->wire);
	if (pv_xapi_call_ref(x, "task.cancel", task, NULL, NULL, NULL) == 0)
		(void)!await_task(x, task, STOP_POLLS, &record, NULL);
}

int pv_xapi_upload(struct pv_xapi *x, const char *base, const struct pv_xapi_upload *upload, char **ret_result,
		   struct pv_error *err)
{
	pv_autojson *made = NULL;

	if (pv_xapi_call(x, "task.create", json_pack("[s, s]", "pvimg publish", "upload of an image"), &made, err) < 0)
		return -1;
	const char *task = json_string_value(made);
	if (!task || !pv_xapi_is_ref(task))
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: task.create: no task came of it", x->base);
	int rc = send_and_await(x, base, upload, task, ret_result, err);
	bool may_pass = x->may_pass;
	if (rc < 0)
		stop_task(x, task);
	(void)!pv_xapi_call_ref(x, "task.destroy", task, NULL, NULL, NULL);
	x->may_pass = may_pass;
	return rc;
}
