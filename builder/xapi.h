/* SPDX-License-Identifier: Apache-2.0 */
/* A session with the master of a pool of XenServer or XCP-ng hosts, and what publishing does in it. */
#ifndef PV_XAPI_H
#define PV_XAPI_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "text.h"
#include "xapi_rpc.h"
#include "xapi_wire.h"

/* Keys of a template's other_config. */
#define PV_XAPI_KEY_NAME "pvimg-name"		/* which image it is one of */
#define PV_XAPI_KEY_SHA256 "pvimg-sha256"	/* of the raw disk */
#define PV_XAPI_KEY_SERIAL "pvimg-serial"	/* newer ones have larger ones: no clock is asked */
#define PV_XAPI_KEY_VERSION "pvimg-version"

struct pv_xapi {
	struct pv_wire *wire;
	char *base;				/* of the master, "https://HOST:PORT" */
	char *session;				/* a secret; NULL: not logged in */
	const char *user, *password;		/* borrowed */
	struct pv_xapi_fault fault;		/* of the last call that was refused */
	bool may_pass;				/* of the last failure: the same may go well later */
};

/* Logs in at host ("NAME[:PORT]"), or at the master that it names (same port, same check of its certificate).
 * trust, user and password outlive the session. PV_ERR_ARCHIVE. */
int pv_xapi_open(const char *host, const struct pv_trust *trust, const char *user, const char *password,
		 struct pv_xapi *ret, struct pv_error *err) PV_MUST_CHECK;
/* Logs out, as far as that is possible. */
void pv_xapi_close(struct pv_xapi *x);
#define pv_autoxapi __attribute__((cleanup(pv_xapi_close))) struct pv_xapi

/* A call; params is an array that is taken, or NULL; ret may be NULL. What may pass (no answer, 5xx) is tried four times
 * in 7 s, an ended session is begun anew once: what a call does must do no harm when it is done twice. */
int pv_xapi_call(struct pv_xapi *x, const char *method, json_t *params, json_t **ret, struct pv_error *err)
	PV_MUST_CHECK;
/* The same with one reference and perhaps one text. */
int pv_xapi_call_ref(struct pv_xapi *x, const char *method, const char *ref, const char *text, json_t **ret,
		     struct pv_error *err) PV_MUST_CHECK;
/* Sleeps; -1 when interrupted meanwhile, unless tidying. */
int pv_xapi_pause(const struct pv_xapi *x, unsigned ms, struct pv_error *err) PV_MUST_CHECK;

/* --- objects (xapi_objects.c) --- */

/* The storage of that name or uuid, the pool's default for NULL. PV_ERR_ARCHIVE where there is none, more than one, or
 * one that holds no disks. The caller frees. */
int pv_xapi_find_sr(struct pv_xapi *x, const char *word, char **ret, struct pv_error *err) PV_MUST_CHECK;

struct pv_xapi_template {
	char *ref, *uuid, *label, *sha256;
	uint64_t serial;
};
struct pv_xapi_templates {
	struct pv_xapi_template *v;
	size_t n;
};
/* The templates that pvimg published under that name, newest first. */
int pv_xapi_templates(struct pv_xapi *x, const char *name, struct pv_xapi_templates *ret, struct pv_error *err)
	PV_MUST_CHECK;
void pv_xapi_templates_done(struct pv_xapi_templates *t);
#define pv_autotemplates __attribute__((cleanup(pv_xapi_templates_done))) struct pv_xapi_templates

/* The disks of a VM or template. */
int pv_xapi_disks(struct pv_xapi *x, const char *vm, struct pv_strv *ret, struct pv_error *err) PV_MUST_CHECK;
/* Destroys a VM or template and the disks that nothing else uses. What is gone already is fine. */
int pv_xapi_drop_vm(struct pv_xapi *x, const char *vm, struct pv_error *err) PV_MUST_CHECK;
/* The same with whatever has that name: VMs, then disks. */
int pv_xapi_drop_named(struct pv_xapi *x, const char *label, struct pv_error *err) PV_MUST_CHECK;
/* other_config[key] = value, whatever was there. */
int pv_xapi_note(struct pv_xapi *x, const char *vm, const char *key, const char *value, struct pv_error *err)
	PV_MUST_CHECK;

/* --- uploads (xapi_upload.c) --- */

struct pv_xapi_upload {
	const char *path;			/* "/import" */
	const char *query;			/* "sr_id=OpaqueRef:..." */
	uint64_t size;
	int fd;					/* gives that many bytes */
	void (*progress)(void *ctx, uint64_t done, uint64_t total);
	void *progress_ctx;
};
/* Where an upload has to go: the host that sees the storage, by a request without body and task. It has to pass the same
 * check of its certificate; the caller frees *ret. */
int pv_xapi_probe(struct pv_xapi *x, const char *path, const char *query, char **ret_base, struct pv_error *err)
	PV_MUST_CHECK;
/* Sends, and believes nothing but the task: *ret_result is what it says (the caller frees). The task is gone afterwards.
 * -1: x->may_pass tells whether another try makes sense. err must not be NULL. */
int pv_xapi_upload(struct pv_xapi *x, const char *base, const struct pv_xapi_upload *upload, char **ret_result,
		   struct pv_error *err) PV_MUST_CHECK;

#endif
