/* SPDX-License-Identifier: Apache-2.0 */
/* A hostile QEMU at its monitor: every command is answered once at most, words are printable, the end comes once. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "qmp.h"
#include "text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { COMMANDS = 3 };

struct seen {
	struct pv_qmp *qmp;
	unsigned answers, sent, greetings, ends;
};

static void check_words(const char *text)
{
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			abort();
}

static void on_answer(void *ctx, const json_t *ret, const char *error)
{
	struct seen *s = ctx;

	if (++s->answers > s->sent || !ret == !error)
		abort();
	if (error)
		check_words(error);
	if (s->sent < 8 && pv_qmp_send(s->qmp, "again", NULL, on_answer, s, NULL) == 0)
		s->sent++;
}

static void on_greeted(void *ctx)
{
	if (++((struct seen *)ctx)->greetings > 1)
		abort();
}

static void on_event(void *ctx, const char *name, const json_t *data)
{
	(void)ctx;
	check_words(name);
	if (!json_is_object(data))
		abort();
}

static void on_ended(void *ctx, const struct pv_error *err)
{
	if (++((struct seen *)ctx)->ends > 1)
		abort();
	if (err->kind != PV_OK)
		check_words(err->text);
}

static void take_all(struct pv_qmp *qmp)
{
	size_t len;

	pv_qmp_pending(qmp, &len);
	pv_qmp_sent(qmp, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen s = { .sent = COMMANDS };
	const struct pv_qmp_handler handler = { on_greeted, on_event, on_ended, &s };
	pv_autoqmp *qmp = pv_qmp_new(-1, &handler);
	size_t at = 0;

	s.qmp = qmp;
	if (pv_qmp_send(qmp, "query-status", NULL, on_answer, &s, NULL) < 0 ||
	    pv_qmp_give_fd(qmp, 0, "state", on_answer, &s, NULL) < 0 ||
	    pv_qmp_send(qmp, "stop", NULL, on_answer, &s, NULL) < 0)
		abort();
	/* cut where the input says, by its first byte */
	for (size_t step = size ? data[0] + 1u : 1; at < size; at += step) {
		pv_qmp_feed(qmp, data + at, size - at < step ? size - at : step);
		take_all(qmp);
	}
	if (s.ends && pv_qmp_waiting(qmp) > 0)
		abort();
	return 0;
}
