/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's wire: whatever comes in, handlers see printable text, and answers only to commands that were sent. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent.h"
#include "text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *text)
{
	if (strlen(text) > PV_AGENT_LINE_MAX)
		abort();
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20)
			abort();
}

static void on_text(void *ctx, const char *text)
{
	(void)ctx;
	check(text);
}

static void on_event(void *ctx, const char *what, const char *text)
{
	(void)ctx;
	check(what);
	check(text);
}

static void on_reply(void *ctx, unsigned id, const char *text)
{
	(void)ctx;
	if (id < 1 || id > 2)
		abort();
	check(text);
}

static void on_end(void *ctx, unsigned id, int status)
{
	(void)ctx;
	if (id < 1 || id > 2 || status < 0 || status > 255)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct pv_agent_handler handler = { .hello = on_text, .console = on_text, .event = on_event,
						  .reply = on_reply, .end = on_end };
	pv_autoagent *agent = pv_agent_new(&handler);

	pv_agent_send(agent, "facts");
	pv_agent_send(agent, "vga");
	pv_agent_feed(agent, data, size / 2);
	pv_agent_feed(agent, data + size / 2, size - size / 2);
	return 0;
}
