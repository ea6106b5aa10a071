/* SPDX-License-Identifier: Apache-2.0 */
/* Saves a running QEMU's state to a file: migration to a descriptor, over the monitor. */
#include "driver_qemu_save.h"

#include <stdlib.h>

#include "text.h"

enum { TIME_LIMIT_MS = 30000, PAUSE_MS = 2000 };

/* QEMU's default keeps to 128 MiB/s for networks. */
#define BANDWIDTH ((json_int_t)16 << 30)

static void resumed(void *ctx, const json_t *ret, const char *error)
{
	struct pv_qemu_save *save = ctx;

	(void)ret;
	if (error && !save->error)
		save->error = pv_fmt("cont: %s", error);
	save->state = PV_SAVE_OVER;
}

/* Whatever came of it: the machine goes on. */
static void resume(struct pv_qemu_save *save)
{
	if (save->state != PV_SAVE_WRITING)
		return;
	save->state = PV_SAVE_RESUMING;
	if (pv_qmp_send(save->qmp, "cont", NULL, resumed, save, NULL) < 0)
		save->state = PV_SAVE_OVER;
}

static void failed(struct pv_qemu_save *save, const char *why)
{
	if (!save->error)
		save->error = pv_xstrdup(why);
	resume(save);
}

/* For commands whose answer is only that they worked. */
static void answered(void *ctx, const json_t *ret, const char *error)
{
	(void)ret;
	if (error)
		failed(ctx, error);
}

static void progressed(void *ctx, const json_t *ret, const char *error)
{
	struct pv_qemu_save *save = ctx;
	const char *status = ret ? json_string_value(json_object_get(ret, "status")) : NULL;

	save->asking = false;
	if (save->state != PV_SAVE_WRITING)
		return;
	if (error) {
		failed(save, error);
	} else if (pv_streq(status, "completed")) {
		save->written = true;
		resume(save);
	} else if (pv_streq(status, "failed") || pv_streq(status, "cancelled")) {
		const char *why = json_string_value(json_object_get(ret, "error-desc"));
		failed(save, why ? why : "migration failed");
	}
}

void pv_qemu_save_begin(struct pv_qemu_save *save, uint64_t now_ms)
{
	save->state = PV_SAVE_WRITING;
	save->begun_ms = now_ms;
	if (pv_qmp_send(save->qmp, "migrate-set-parameters",
			json_pack("{s:I,s:i}", "max-bandwidth", BANDWIDTH, "downtime-limit", PAUSE_MS), answered, save,
			NULL) < 0 ||
	    pv_qmp_give_fd(save->qmp, save->fd, "state", answered, save, NULL) < 0 ||
	    pv_qmp_send(save->qmp, "migrate", json_pack("{s:s}", "uri", "fd:state"), answered, save, NULL) < 0)
		failed(save, "the monitor is gone");
}

void pv_qemu_save_tick(struct pv_qemu_save *save, uint64_t now_ms)
{
	if (save->state == PV_SAVE_IDLE || save->state == PV_SAVE_OVER)
		return;
	if (pv_qmp_over(save->qmp) || now_ms - save->begun_ms > 2 * (uint64_t)TIME_LIMIT_MS) {
		save->state = PV_SAVE_OVER;
		return;
	}
	if (save->state != PV_SAVE_WRITING)
		return;
	if (now_ms - save->begun_ms > TIME_LIMIT_MS) {
		(void)!pv_qmp_send(save->qmp, "migrate_cancel", NULL, answered, save, NULL);
		failed(save, "it took too long");
	} else if (!save->asking) {
		save->asking = pv_qmp_send(save->qmp, "query-migrate", NULL, progressed, save, NULL) == 0;
	}
}

void pv_qemu_save_done(struct pv_qemu_save *save)
{
	pv_freep(&save->error);
}
