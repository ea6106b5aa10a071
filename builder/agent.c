/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's lines taken apart; commands queued. */
#include "agent.h"

#include <stdlib.h>
#include <string.h>

#include "text.h"

#define STATUS_MAX 255u
#define ID_MAX 1000000000u

struct pv_agent {
	struct pv_agent_handler handler;
	struct pv_str line;		/* the one that is not whole yet */
	struct pv_str pending;
	size_t sent;			/* of pending */
	size_t dropped;
	unsigned last_id;
	bool too_long;			/* the rest of this line is passed over */
	bool stopped;
};

struct pv_agent *pv_agent_new(const struct pv_agent_handler *handler)
{
	struct pv_agent *agent = pv_xcalloc(1, sizeof(*agent));

	agent->handler = *handler;
	return agent;
}

void pv_agent_free(struct pv_agent *agent)
{
	if (!agent)
		return;
	pv_str_done(&agent->line);
	pv_str_done(&agent->pending);
	free(agent);
}

void pv_agent_freep(struct pv_agent **agent)
{
	pv_agent_free(*agent);
	*agent = NULL;
}

/* Cuts the first word off: "> 12 text" -> ">", *rest = "12 text". Within the line itself. */
static char *word(char **rest)
{
	char *start = *rest, *end = start + strcspn(start, " ");

	*rest = *end ? end + 1 : end;
	*end = '\0';
	return start;
}

static bool take_reply(struct pv_agent *agent, bool last, char *rest)
{
	const struct pv_agent_handler *h = &agent->handler;
	uint64_t id, status;

	if (pv_parse_u64(word(&rest), 1, ID_MAX, &id) < 0 || id > agent->last_id)
		return false;
	if (!last) {
		if (h->reply)
			h->reply(h->ctx, (unsigned)id, rest);
		return true;
	}
	if (pv_parse_u64(rest, 0, STATUS_MAX, &status) < 0)
		return false;
	if (h->end)
		h->end(h->ctx, (unsigned)id, (int)status);
	return true;
}

static bool take_hello(struct pv_agent *agent, char *rest)
{
	uint64_t version;

	if (pv_parse_u64(word(&rest), PV_AGENT_VERSION, PV_AGENT_VERSION, &version) < 0)
		return false;
	if (agent->handler.hello)
		agent->handler.hello(agent->handler.ctx, rest);
	return true;
}

static bool take_event(struct pv_agent *agent, char *rest)
{
	const char *what = word(&rest);

	if (!*what)
		return false;
	if (agent->handler.event)
		agent->handler.event(agent->handler.ctx, what, rest);
	return true;
}

/* Without what only a terminal can use: colours and cursor movements (ECMA-48 control sequences), carriage returns. */
static char *plain(const char *data, size_t len)
{
	pv_autostr out = PV_STR_INIT;

	for (size_t i = 0; i < len; i++) {
		if (data[i] == '\r')
			continue;
		if (data[i] != '\033' || i + 1 >= len || data[i + 1] != '[') {
			pv_str_addc(&out, data[i]);
			continue;
		}
		i += 2;
		while (i < len && data[i] >= 0x20 && data[i] < 0x40)
			i++;
	}
	return pv_printable(pv_str_text(&out), out.len);
}

static void take_line(struct pv_agent *agent, const char *data, size_t len)
{
	pv_autofree char *text = plain(data, len);
	char *rest = text;
	bool known = true;
	const char *kind = word(&rest);

	if (pv_streq(kind, "console")) {
		if (agent->handler.console)
			agent->handler.console(agent->handler.ctx, rest);
	} else if (pv_streq(kind, ">") || pv_streq(kind, "=")) {
		known = take_reply(agent, *kind == '=', rest);
	} else if (pv_streq(kind, "event")) {
		known = take_event(agent, rest);
	} else if (pv_streq(kind, "hello")) {
		known = take_hello(agent, rest);
	} else {
		known = false;
	}
	agent->dropped += !known;
}

void pv_agent_feed(struct pv_agent *agent, const void *data, size_t len)
{
	const char *from = data, *end = from + len;

	while (from < end) {
		const char *newline = memchr(from, '\n', (size_t)(end - from));
		const char *stop = newline ? newline : end;
		if (!agent->too_long)
			pv_str_addn(&agent->line, from, (size_t)(stop - from));
		if (agent->line.len > PV_AGENT_LINE_MAX) {
			agent->too_long = true;
			agent->dropped++;
			pv_str_reset(&agent->line);
		}
		if (!newline)
			return;
		if (!agent->too_long)
			take_line(agent, pv_str_text(&agent->line), agent->line.len);
		agent->too_long = false;
		pv_str_reset(&agent->line);
		from = newline + 1;
	}
}

void pv_agent_tick(struct pv_agent *agent)
{
	if (agent->handler.tick)
		agent->handler.tick(agent->handler.ctx);
}

const char *pv_agent_pending(const struct pv_agent *agent, size_t *ret_len)
{
	*ret_len = agent->pending.len - agent->sent;
	return pv_str_text(&agent->pending) + agent->sent;
}

void pv_agent_sent(struct pv_agent *agent, size_t len)
{
	agent->sent += len;
	if (agent->sent >= agent->pending.len) {
		pv_str_reset(&agent->pending);
		agent->sent = 0;
	}
}

unsigned pv_agent_send(struct pv_agent *agent, const char *fmt, ...)
{
	va_list ap;

	pv_str_addf(&agent->pending, "%u ", ++agent->last_id);
	va_start(ap, fmt);
	pv_str_vaddf(&agent->pending, fmt, ap);
	va_end(ap);
	pv_str_addc(&agent->pending, '\n');
	return agent->last_id;
}

bool pv_agent_stopped(const struct pv_agent *agent)
{
	return agent->stopped;
}

void pv_agent_stop(struct pv_agent *agent)
{
	agent->stopped = true;
}

size_t pv_agent_dropped(const struct pv_agent *agent)
{
	return agent->dropped;
}
