/* SPDX-License-Identifier: Apache-2.0 */
/* What is said to xapi over the wire. */
#include "xapi_wire.h"

#include <string.h>

#include "url.h"
#include "xapi_rpc.h"

int pv_xapi_wire_post(struct pv_wire *wire, const char *base, const char *body, struct pv_str *ret,
		      struct pv_wire_reply *reply, struct pv_error *err)
{
	static const char *const headers[] = { "Content-Type: application/json" };
	pv_autofree char *url = pv_fmt("%s/jsonrpc", base);
	pv_autostr answer = PV_STR_INIT;
	const struct pv_wire_request request = {
		.method = "POST", .url = url, .shown = base, .headers = headers, .nheaders = 1,
		.text = body, .size = strlen(body), .answer = &answer, .answer_max = PV_XAPI_ANSWER_MAX,
	};

	if (pv_wire_do(wire, &request, reply, err) < 0)
		return -1;
	if (reply->status != 200)
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: the host answered %ld; is this a XenServer or XCP-ng?",
				    base, reply->status);
	pv_str_addn(ret, pv_str_text(&answer), answer.len);
	return 0;
}

int pv_xapi_wire_put(struct pv_wire *wire, const struct pv_xapi_put *put, struct pv_wire_reply *reply,
		     struct pv_error *err)
{
	pv_autofree char *url = pv_fmt("%s%s", put->base, put->target);
	const struct pv_wire_request request = {
		.method = "PUT", .url = url, .shown = put->base, .fd = put->fd, .size = put->size,
		.progress = put->progress, .progress_ctx = put->progress_ctx,
	};

	return pv_wire_do(wire, &request, reply, err);
}

int pv_xapi_base(const char *address, const char *port, char **ret, struct pv_error *err)
{
	bool v6 = strchr(address, ':') && strchr(address, ':') != strrchr(address, ':') && *address != '[';
	pv_autofree char *text =
		pv_fmt("https://%s%s%s%s%s", v6 ? "[" : "", address, v6 ? "]" : "", *port ? ":" : "", port);
	pv_autourl url = { 0 };

	if (pv_url_split(text, &url, NULL) < 0 || *url.user || *url.password || strchr(address, '/')) {
		pv_autofree char *shown = pv_printable(address, strnlen(address, 100));

		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: no address of a host", shown);
	}
	*ret = pv_steal(&text);
	return 0;
}
