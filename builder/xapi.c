/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions and calls: logging in at the master, trying again what may pass. */
#include "xapi.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "proc.h"
#include "url.h"
#include "version.h"

#define TRIES 4u
#define FIRST_PAUSE_MS 1000u		/* then twice as long each time */

int pv_xapi_pause(const struct pv_xapi *x, unsigned ms, struct pv_error *err)
{
	(void)poll(NULL, 0, (int)ms);
	return pv_wire_is_tidying(x->wire) ? 0 : pv_proc_check_interrupt(err);
}

/* One try. */
static int call_once(struct pv_xapi *x, const char *method, const char *body, json_t **ret, struct pv_error *err)
{
	pv_autofree char *what = pv_fmt("%s: %s", x->base, method);
	pv_autoreply reply = { 0 };
	pv_autostr answer = PV_STR_INIT;
	int rc;

	pv_xapi_fault_done(&x->fault);
	rc = pv_xapi_wire_post(x->wire, x->base, body, &answer, &reply, err);
	x->may_pass = rc < 0 && reply.again;
	if (rc < 0)
		return -1;
	rc = pv_xapi_answer(pv_str_text(&answer), answer.len, what, ret, &x->fault, err);
	if (rc < 0)
		x->may_pass = pv_xapi_may_pass(&x->fault);
	return rc;
}

static int call_often(struct pv_xapi *x, const char *method, const char *body, json_t **ret, struct pv_error *err)
{
	unsigned pause = FIRST_PAUSE_MS;

	for (unsigned i = 1;; i++, pause *= 2) {
		pv_error_clear(err);
		int rc = call_once(x, method, body, ret, err);
		if (rc == 0 || !x->may_pass || i == TRIES || pv_streq(x->fault.code, "SESSION_INVALID"))
			return rc;
		if (pv_xapi_pause(x, pause, err) < 0)
			return -1;
	}
}

static int log_in(struct pv_xapi *x, struct pv_error *err)
{
	json_t *params = json_pack("[s, s, s, s]", x->user, x->password, "1.0", "pvimg " PV_VERSION);
	pv_autojson *result = NULL;

	if (!params)
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: user name or password is no UTF-8", x->base);
	pv_autofree char *body = pv_xapi_request("session.login_with_password", NULL, params);
	if (call_often(x, "session.login_with_password", body, &result, err) < 0)
		return -1;
	const char *session = json_string_value(result);
	if (!session || !pv_xapi_is_ref(session))
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: no session came of logging in", x->base);
	pv_freep(&x->session);
	x->session = pv_xstrdup(session);
	return 0;
}

/* A slave says where its master is; the port stays, since xapi has the same one on every host of a pool. */
static int go_to_master(struct pv_xapi *x, const char *port, struct pv_error *err)
{
	char *base = NULL;

	if (x->fault.data.n == 0 || pv_xapi_base(x->fault.data.v[0], port, &base, err) < 0)
		return -1;
	free(x->base);
	x->base = base;
	pv_error_clear(err);
	if (log_in(x, err) == 0)
		return 0;
	return pv_error_wrap(err, "the pool's master");
}

int pv_xapi_open(const char *host, const struct pv_trust *trust, const char *user, const char *password,
		 struct pv_xapi *ret, struct pv_error *err)
{
	pv_autoxapi x = { .user = user, .password = password };
	pv_autourl url = { 0 };

	if (pv_xapi_base(host, "", &x.base, err) < 0 || pv_url_split(x.base, &url, err) < 0 ||
	    pv_wire_new(trust, &x.wire, err) < 0)
		return -1;
	int rc = log_in(&x, err);
	if (rc < 0 && pv_streq(x.fault.code, "HOST_IS_SLAVE"))
		rc = go_to_master(&x, url.port, err);
	if (rc < 0)
		return -1;
	*ret = x;
	memset(&x, 0, sizeof(x));
	return 0;
}

void pv_xapi_close(struct pv_xapi *x)
{
	if (x->session) {
		pv_autofree char *body = pv_xapi_request("session.logout", x->session, NULL);
		pv_autojson *result = NULL;

		pv_wire_tidying(x->wire);
		(void)!call_once(x, "session.logout", body, &result, NULL);
	}
	pv_wire_free(x->wire);
	x->wire = NULL;
	pv_freep(&x->base);
	pv_freep(&x->session);
	pv_xapi_fault_done(&x->fault);
}

int pv_xapi_call(struct pv_xapi *x, const char *method, json_t *params, json_t **ret, struct pv_error *err)
{
	pv_autojson *list = params ? params : json_array(), *result = NULL;
	pv_autofree char *body = pv_xapi_request(method, x->session, json_deep_copy(list)), *again = NULL;
	int rc = call_often(x, method, body, &result, err);

	if (rc < 0 && pv_streq(x->fault.code, "SESSION_INVALID")) {
		pv_error_clear(err);
		if (log_in(x, err) < 0)
			return -1;
		again = pv_xapi_request(method, x->session, json_deep_copy(list));
		rc = call_often(x, method, again, &result, err);
	}
	if (rc == 0 && ret)
		*ret = json_incref(result);
	return rc;
}

int pv_xapi_call_ref(struct pv_xapi *x, const char *method, const char *ref, const char *text, json_t **ret,
		     struct pv_error *err)
{
	json_t *params = text ? json_pack("[s, s]", ref, text) : json_pack("[s]", ref);

	return pv_xapi_call(x, method, params, ret, err);
}
