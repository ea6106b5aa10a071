/* SPDX-License-Identifier: Apache-2.0 */
/* A registry that builders share: what a stage made is pulled when its signed record is meant for the stage's key, and pushed
 * when that was asked for. */
#ifndef PV_CACHEREMOTE_H
#define PV_CACHEREMOTE_H

#include <stdbool.h>

#include "cacherecord.h"
#include "error.h"
#include "store.h"

/* What signatures of records are for; one made for another purpose does not count. */
#define PV_CACHEREMOTE_NAMESPACE "pvimg-cache"
/* In the place of credentials: user:password. Taken out of the environment, so that no child sees it. */
#define PV_CACHEREMOTE_ENV "PVIMG_CACHE_CREDENTIALS"

struct pv_cacheremote_request {
	const char *url;		/* registry.h */
	const char *signers;		/* whose records are believed (ssh-keygen(1), ALLOWED SIGNERS) */
	const char *key;		/* signs what is pushed (sshsign.h); NULL: nothing is pushed */
	const char *credentials;	/* a file of mode 0600: user:password; NULL: the environment's, or none */
};
struct pv_cacheremote;

/* Asks the network nothing. The store is borrowed. PV_ERR_USAGE; PV_ERR_HOST without ssh-keygen. */
int pv_cacheremote_new(const struct pv_cacheremote_request *request, const struct pv_store *store,
		       struct pv_cacheremote **ret, struct pv_error *err) PV_MUST_CHECK;
void pv_cacheremote_free(struct pv_cacheremote *remote);	/* NULL is fine */
void pv_cacheremote_freep(struct pv_cacheremote **remote);
#define pv_autocacheremote __attribute__((cleanup(pv_cacheremote_freep))) struct pv_cacheremote

/* After the first failure of either a remote is let alone: the caller says it once, and the rest is done without it. */
bool pv_cacheremote_pulls(const struct pv_cacheremote *remote);		/* NULL: no */
bool pv_cacheremote_pushes(const struct pv_cacheremote *remote);	/* NULL: no */

/* The record under a tag. *ret_found false: there is none. One that is not signed by one of the signers, or is for another
 * stage or key, is an error, as is everything that the registry does wrong: PV_ERR_ARCHIVE, PV_ERR_STAGE. */
int pv_cacheremote_find(struct pv_cacheremote *remote, const char *tag, const char *stage, const char *key,
			struct pv_cacherecord *ret, bool *ret_found, struct pv_error *err) PV_MUST_CHECK;
/* Brings a found record's object into the store's tmp folder, whole and hashed; *ret_path is to be adopted or removed, the
 * caller frees. */
int pv_cacheremote_pull(struct pv_cacheremote *remote, const struct pv_cacherecord *record, char **ret_path,
			struct pv_error *err) PV_MUST_CHECK;
/* Signs the record and uploads it and its object, which is in the store, under these tags. */
int pv_cacheremote_push(struct pv_cacheremote *remote, const struct pv_cacherecord *record, const char *const *tags,
			struct pv_error *err) PV_MUST_CHECK;

#endif
