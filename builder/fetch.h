/* SPDX-License-Identifier: Apache-2.0 */
/* Downloads by libcurl: in parallel, resumable, every byte counted and hashed on its way into the store. */
#ifndef PV_FETCH_H
#define PV_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "digest.h"
#include "error.h"
#include "store.h"
#include "text.h"

/* For tests only: seconds of less than 1 KiB/s after which a transfer is given up and tried again (default 30), and
 * milliseconds of the first pause between tries (default 500, doubled each time). */
#define PV_FETCH_ENV_SLOW "PVIMG_FETCH_SLOW_SECONDS"
#define PV_FETCH_ENV_PAUSE "PVIMG_FETCH_PAUSE_MS"

struct pv_fetch;

/* libcurl's process-wide start; main() calls it once before any thread. PV_ERR_HOST. */
int pv_fetch_global_init(struct pv_error *err) PV_MUST_CHECK;

/* jobs: transfers at a time (0: the default, 8). The store is borrowed. */
int pv_fetch_new(struct pv_store *store, unsigned jobs, struct pv_fetch **ret, struct pv_error *err) PV_MUST_CHECK;
void pv_fetch_free(struct pv_fetch *fetch);		/* NULL is fine */
void pv_fetch_freep(struct pv_fetch **fetch);
#define pv_autofetch __attribute__((cleanup(pv_fetch_freep))) struct pv_fetch

/* Proxy to use where the environment (http_proxy, https_proxy, no_proxy) names none for that scheme: the host's apt
 * has one (hostapt.h). NULL forgets. Copied; may bear credentials; never shown. */
void pv_fetch_set_proxy(struct pv_fetch *fetch, const char *http_proxy, const char *https_proxy);

/* From now on nothing is transferred, not even by file: what the store lacks is PV_ERR_ARCHIVE. */
void pv_fetch_set_offline(struct pv_fetch *fetch);
bool pv_fetch_offline(const struct pv_fetch *fetch);

/* One small file into memory, at most `max` bytes. Not kept in the store. Errors as below. */
int pv_fetch_mem(struct pv_fetch *fetch, const char *url, size_t max, struct pv_str *ret, struct pv_error *err)
	PV_MUST_CHECK;

struct pv_fetch_item {
	const char *base_url;		/* http, https or file; may bear user and password */
	const char *path;		/* below it; must pass pv_url_path_ok */
	char sha256[PV_SHA256_HEX];
	uint64_t size;			/* exactly */
};

/* done_bytes counts what the store had, too. Called from this thread, at most ten times a second and at the end. */
typedef void pv_fetch_progress_fn(void *ctx, uint64_t done_bytes, uint64_t total_bytes, size_t done_items);

/* Brings all items into the store; what it has is not fetched, the same digest twice is fetched once. A cut transfer
 * goes on where it was (also in a later run); transient failures (connection, timeout, 408, 429, 5xx) are tried three
 * times. The first item that fails for good ends all; what was fetched until then stays in the store, and parts stay
 * to be resumed. PV_ERR_ARCHIVE for server and content ("PATH: not found on MIRROR (404); ...", "PATH: wrong digest
 * ..."), PV_ERR_STAGE for the local disk, PV_ERR_SIGINT/SIGTERM within half a second. progress may be NULL. */
int pv_fetch_all(struct pv_fetch *fetch, const struct pv_fetch_item *items, size_t n,
		 pv_fetch_progress_fn *progress, void *ctx, struct pv_error *err) PV_MUST_CHECK;

/* What came over the wire since pv_fetch_new (resumed parts and the store's own not counted), for the report. */
uint64_t pv_fetch_bytes(const struct pv_fetch *fetch);

/* After a failure: the server's HTTP status (404 also for a file: URL that is not there); 0 when there was none. For
 * callers that know another place to look. */
long pv_fetch_status(const struct pv_fetch *fetch);

#endif
