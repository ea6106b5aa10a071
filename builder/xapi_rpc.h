/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of xapi, the daemon of XenServer and XCP-ng, as JSON-RPC 2.0 text: requests made, answers read as hostile
 * data. Sources: xapi-project/xen-api doc/content/xen-api/wire-protocol.md, ocaml/xapi-consts/api_errors.ml. */
#ifndef PV_XAPI_RPC_H
#define PV_XAPI_RPC_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "text.h"

#define PV_XAPI_ANSWER_MAX ((size_t)64 << 20)	/* all templates of a large pool are some MiB */
#define PV_XAPI_NULL "OpaqueRef:NULL"

void pv_json_decrefp(json_t **j);
#define pv_autojson __attribute__((cleanup(pv_json_decrefp))) json_t

/* What xapi refused, in its own words; code NULL: nothing was refused. */
struct pv_xapi_fault {
	char *code;			/* "HOST_IS_SLAVE" */
	struct pv_strv data;		/* its parameters */
};
void pv_xapi_fault_done(struct pv_xapi_fault *f);
#define pv_autofault __attribute__((cleanup(pv_xapi_fault_done))) struct pv_xapi_fault

/* {"jsonrpc":"2.0","id":1,"method":METHOD,"params":[SESSION,PARAMS...]}: session NULL leaves it out; params is an
 * array that is taken, or NULL. The caller frees. */
char *pv_xapi_request(const char *method, const char *session, json_t *params);

/* The result of an answer. -1: it is none, or xapi refused: then ret_fault has the code and err the words. `what` names
 * the call in errors. PV_ERR_ARCHIVE. */
int pv_xapi_answer(const char *text, size_t len, const char *what, json_t **ret, struct pv_xapi_fault *ret_fault,
		   struct pv_error *err) PV_MUST_CHECK;

/* "WHAT: CODE, PARAMETERS: way out" of code and parameters as an answer or a task's error_info has them. Always -1. */
int pv_xapi_refused(const char *what, const struct pv_xapi_fault *fault, struct pv_error *err);
/* An array of strings, first the code, as a task's error_info. */
void pv_xapi_fault_of(const json_t *list, struct pv_xapi_fault *ret);
/* Whether the same may go well when it is tried again: a cut connection, an ended session. */
bool pv_xapi_may_pass(const struct pv_xapi_fault *fault);

/* A reference as xapi makes them: "OpaqueRef:" and letters, digits and "-"; not the null one. */
bool pv_xapi_is_ref(const char *text);
/* The references in a task's result, "<value><array><data><value>OpaqueRef:...</value>...", added to ret. */
void pv_xapi_refs_of_result(const char *result, struct pv_strv *ret);

/* Members of a record; "", false, 0 and an empty list for what is not there or of another type. Numbers come as numbers
 * or as strings, depending on the host's age. */
const char *pv_xapi_text(const json_t *record, const char *key);
bool pv_xapi_flag(const json_t *record, const char *key);
uint64_t pv_xapi_number(const json_t *record, const char *key);
void pv_xapi_refs(const json_t *record, const char *key, struct pv_strv *ret);

#endif
