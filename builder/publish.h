/* SPDX-License-Identifier: Apache-2.0 */
/* Publishing: one image, and the kinds of places it can go to as one table. */
#ifndef PV_PUBLISH_H
#define PV_PUBLISH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "digest.h"
#include "error.h"
#include "machine.h"
#include "wire.h"

/* What is published, for all targets alike; borrowed. */
struct pv_publish {
	const char *image;			/* raw, whole MiB */
	const struct pv_machine *machine;
	const char *sha256;			/* what the image must be, byte for byte; NULL: whatever it is */
	const char *const *formats;		/* as pv_export_check wants them; none: the target's own choice */
	size_t nformats;
	const char *sign;			/* a key that gpg knows; NULL: no signature */
	struct pv_trust trust;		/* for targets with https */
	const char *scripts_dir;
	bool start;				/* and a domain made of it, where that can be done */
	unsigned deadline_s;			/* for that; 0: the target's own choice */
	unsigned keep;				/* images of this name that stay, the new one too; 0: the target's own choice */
	/* How far a step is; what is a static word for it. */
	void (*progress)(void *ctx, const char *what, uint64_t done, uint64_t total);
	/* What a person may want to know meanwhile: a broken connection, another try. One line. */
	void (*note)(void *ctx, const char *line);
	void *ctx;
};

struct pv_publish_result {
	char *target, *id;			/* where it is, and what it is called there; owned */
	char sha256[PV_SHA256_HEX];		/* of the disk that is there */
	bool already;				/* nothing was sent: it was there */
	uint64_t sent;				/* bytes */
	unsigned removed, tries;		/* older ones that went; 0 tries where none is made twice */
};
void pv_publish_result_done(struct pv_publish_result *r);
#define pv_autopublished __attribute__((cleanup(pv_publish_result_done))) struct pv_publish_result

struct pv_publish_target {
	const char *scheme;			/* "xapi://" */
	const char *form, *kind;		/* for people: how it is written, what an image is there: "template" */
	bool starts;				/* knows --start */
	/* Reads the address and finds the credentials. Talks to nobody, writes nothing: what can be refused is refused
	 * here. PV_ERR_USAGE. */
	int (*plan)(const char *to, const struct pv_publish *what, void **ret, struct pv_error *err);
	/* Afterwards the target has the new image, or the old one, whole. Sets ret only on success. */
	int (*send)(void *self, const struct pv_publish *what, struct pv_publish_result *ret, struct pv_error *err);
	void (*free)(void *self);
	/* "https://HOST[:PORT]" of the host that is spoken to first, without credentials. PV_ERR_USAGE. NULL: there is none. */
	int (*site)(const char *to, char **ret, struct pv_error *err);
};

extern const struct pv_publish_target pv_target_xapi, pv_target_glance, pv_target_streams, pv_target_s3, pv_target_xl;

/* How addresses of targets look, for people: "xapi://HOST, ...". The caller frees. */
char *pv_publish_forms(void);
/* The target that `to` names by its scheme. PV_ERR_USAGE. */
int pv_publish_find(const char *to, const struct pv_publish_target **ret, struct pv_error *err) PV_MUST_CHECK;

/* Notes in publish.json beside the image that it is there now. Entries of other targets stay while they are of the same
 * disk. A record of a run, schema pvimg.published/1. */
int pv_publish_record(const struct pv_publish *what, const struct pv_publish_result *result, struct pv_error *err)
	PV_MUST_CHECK;

#endif
