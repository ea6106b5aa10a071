/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes between pv_agent and a socket. */
#include "driver_wire.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

static short wants(void *ctx)
{
	const struct pv_agent_wire *wire = ctx;
	size_t len = 0;

	if (wire->agent)
		pv_agent_pending(wire->agent, &len);
	return len > 0 ? POLLIN | POLLOUT : POLLIN;
}

/* Line by line: the one after this one may be somebody else's. */
static void hear(struct pv_agent_wire *wire, const char *data, size_t len)
{
	while (len > 0) {
		const char *newline = memchr(data, '\n', len);
		size_t n = newline ? (size_t)(newline - data) + 1 : len;

		if (wire->agent)
			pv_agent_feed(wire->agent, data, n);
		data += n;
		len -= n;
	}
}

static bool ready(void *ctx, short revents)
{
	struct pv_agent_wire *wire = ctx;
	char buf[65536];
	size_t len = 0;
	ssize_t n;

	if ((revents & POLLOUT) && wire->agent) {
		const char *data = pv_agent_pending(wire->agent, &len);
		n = len > 0 ? send(wire->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
		if (n > 0)
			pv_agent_sent(wire->agent, (size_t)n);
	}
	if (!(revents & (POLLIN | POLLHUP | POLLERR)))
		return true;
	n = recv(wire->fd, buf, sizeof(buf), MSG_DONTWAIT);
	if (n > 0)
		hear(wire, buf, (size_t)n);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		wire->fd = -1;
	return wire->fd >= 0;
}

struct pv_proc_watch pv_agent_wire_watch(struct pv_agent_wire *wire)
{
	return (struct pv_proc_watch){ .fd = wire->fd, .want = wants, .ready = ready, .ctx = wire };
}
