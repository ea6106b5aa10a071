/* SPDX-License-Identifier: Apache-2.0 */
/* Downloads: which transfer runs when, what is tried again, what everything adds up to. */
#include "fetch.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "fetch_transfer.h"
#include "proc.h"
#include "url.h"

#define JOBS_DEFAULT 8
#define JOBS_MAX 64
#define TRIES 3
#define SLOW_SECONDS 30
#define PAUSE_MS 500
#define BUSY_MS 200		/* until we look again whether another pvimg has brought it */
#define POLL_MS 200		/* an interruption is noticed within that */
#define PROGRESS_MS 100
#define RETRY_AFTER_MAX_S 10
#define GOT_ON (64u << 10)	/* a try that brought so much does not count against the three */

struct pv_fetch {
	struct pv_store *store;
	CURLM *multi;
	unsigned jobs;
	char *http_proxy, *https_proxy;
	long slow_seconds;
	uint64_t pause_ms;
	uint64_t wire_bytes;
	long status;
	bool offline;
};

/* One pv_fetch_all or pv_fetch_mem. */
struct batch {
	struct pv_fetch *fetch;
	struct pv_transfer *transfers;
	size_t n;
	size_t first;		/* all before it are done */
	size_t ndone, nactive;
	uint64_t done_bytes;	/* of what is done */
	uint64_t total_bytes;
	pv_fetch_progress_fn *progress;
	void *ctx;
	uint64_t last_progress;
	uint64_t shown_bytes;	/* never less than told before, whatever has to be fetched again */
};

int pv_fetch_global_init(struct pv_error *err)
{
	CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);

	if (code != CURLE_OK)
		return pv_error_set(err, PV_ERR_HOST, "libcurl: %s", curl_easy_strerror(code));
	return 0;
}

static uint64_t env_number(const char *name, uint64_t def, uint64_t max)
{
	const char *text = getenv(name);
	uint64_t value;

	return text && pv_parse_u64(text, 1, max, &value) == 0 ? value : def;
}

int pv_fetch_new(struct pv_store *store, unsigned jobs, struct pv_fetch **ret, struct pv_error *err)
{
	pv_autofetch *fetch = pv_xcalloc(1, sizeof(*fetch));

	fetch->store = store;
	fetch->jobs = jobs == 0 ? JOBS_DEFAULT : jobs > JOBS_MAX ? JOBS_MAX : jobs;
	fetch->slow_seconds = (long)env_number(PV_FETCH_ENV_SLOW, SLOW_SECONDS, 3600);
	fetch->pause_ms = env_number(PV_FETCH_ENV_PAUSE, PAUSE_MS, 60000);
	fetch->multi = curl_multi_init();
	if (!fetch->multi)
		return pv_error_set(err, PV_ERR_HOST, "libcurl: cannot start");
	(void)curl_multi_setopt(fetch->multi, CURLMOPT_MAXCONNECTS, (long)fetch->jobs + 4);
	*ret = pv_steal(&fetch);
	return 0;
}

static void forget_secret(char **text)
{
	if (*text)
		explicit_bzero(*text, strlen(*text));
	pv_freep(text);
}

void pv_fetch_free(struct pv_fetch *fetch)
{
	if (!fetch)
		return;
	if (fetch->multi)
		curl_multi_cleanup(fetch->multi);
	forget_secret(&fetch->http_proxy);
	forget_secret(&fetch->https_proxy);
	free(fetch);
}

void pv_fetch_freep(struct pv_fetch **fetch)
{
	pv_fetch_free(*fetch);
	*fetch = NULL;
}

void pv_fetch_set_offline(struct pv_fetch *fetch)
{
	fetch->offline = true;
}

bool pv_fetch_offline(const struct pv_fetch *fetch)
{
	return fetch->offline;
}

static bool env_set(const char *name)
{
	const char *value = getenv(name);

	return value && *value;
}

void pv_fetch_set_proxy(struct pv_fetch *fetch, const char *http_proxy, const char *https_proxy)
{
	bool all = env_set("all_proxy") || env_set("ALL_PROXY");

	forget_secret(&fetch->http_proxy);
	forget_secret(&fetch->https_proxy);
	if (!all && !env_set("http_proxy"))
		fetch->http_proxy = pv_xstrdup(http_proxy);
	if (!all && !env_set("https_proxy") && !env_set("HTTPS_PROXY"))
		fetch->https_proxy = pv_xstrdup(https_proxy);
}

uint64_t pv_fetch_bytes(const struct pv_fetch *fetch)
{
	return fetch->wire_bytes;
}

long pv_fetch_status(const struct pv_fetch *fetch)
{
	return fetch->status;
}

static void tell_progress(struct batch *b, bool at_once)
{
	uint64_t now = pv_clock_ms();
	uint64_t bytes = b->done_bytes;

	if (!b->progress || (!at_once && now - b->last_progress < PROGRESS_MS))
		return;
	b->last_progress = now;
	for (size_t i = b->first; i < b->n; i++)
		if (b->transfers[i].state == PV_TRANSFER_ACTIVE)
			bytes += b->transfers[i].have;
	if (bytes < b->shown_bytes)
		bytes = b->shown_bytes;
	b->shown_bytes = bytes;
	b->progress(b->ctx, bytes, b->total_bytes, b->ndone);
}

static void set_done(struct batch *b, struct pv_transfer *t)
{
	t->state = PV_TRANSFER_DONE;
	b->ndone++;
	b->done_bytes += t->have;
	while (b->first < b->n && b->transfers[b->first].state == PV_TRANSFER_DONE)
		b->first++;
}

/* Gives the transfer's handle back; what it brought is counted. */
static void end_curl(struct batch *b, struct pv_transfer *t)
{
	if (!t->easy)
		return;
	(void)curl_multi_remove_handle(b->fetch->multi, t->easy);
	curl_easy_cleanup(t->easy);
	t->easy = NULL;
	b->nactive--;
	if (t->have > t->start)
		b->fetch->wire_bytes += t->have - t->start;
}

static int start(struct batch *b, struct pv_transfer *t, uint64_t now, struct pv_error *err)
{
	struct pv_fetch *fetch = b->fetch;
	const struct pv_transfer_settings settings = {
		.http_proxy = fetch->http_proxy,
		.https_proxy = fetch->https_proxy,
		.slow_seconds = fetch->slow_seconds,
	};
	bool busy = false, whole = false;
	CURLMcode code;

	if (fetch->offline && (t->mem || !pv_store_has(fetch->store, t->sha256, t->size))) {
		pv_autofree char *shown = t->mem ? pv_url_redacted(t->base_url) : pv_xstrdup(t->path);
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: not in the store, and --offline fetches nothing", shown);
	}
	if (t->mem) {
		pv_str_reset(t->mem);
		t->start = t->have = 0;
	} else if (pv_part_open(t, fetch->store, &busy, &whole, err) < 0) {
		return -1;
	}
	if (whole)
		set_done(b, t);
	if (busy)
		t->not_before = now + BUSY_MS;
	if (whole || busy)
		return 0;
	if (pv_curl_begin(t, &settings, err) < 0)
		return -1;
	code = curl_multi_add_handle(fetch->multi, t->easy);
	if (code != CURLM_OK) {
		curl_easy_cleanup(t->easy);
		t->easy = NULL;
		return pv_error_set(err, PV_ERR_HOST, "libcurl: %s", curl_multi_strerror(code));
	}
	t->state = PV_TRANSFER_ACTIVE;
	b->nactive++;
	return 0;
}

/* Starts what may start now; *ret_wait_ms: how long until the next one may. */
static int start_some(struct batch *b, uint64_t *ret_wait_ms, struct pv_error *err)
{
	uint64_t now = pv_clock_ms();

	*ret_wait_ms = POLL_MS;
	for (size_t i = b->first; i < b->n && b->nactive < b->fetch->jobs; i++) {
		struct pv_transfer *t = &b->transfers[i];

		if (t->state != PV_TRANSFER_WAITING)
			continue;
		if (t->not_before > now) {
			if (t->not_before - now < *ret_wait_ms)
				*ret_wait_ms = t->not_before - now;
			continue;
		}
		if (pv_proc_check_interrupt(err) < 0 || start(b, t, now, err) < 0)
			return -1;
		tell_progress(b, false);
	}
	return 0;
}

/* When may it be tried again? */
static void plan_retry(struct batch *b, struct pv_transfer *t)
{
	curl_off_t after = 0;
	uint64_t pause = b->fetch->pause_ms << (t->tries > 0 ? t->tries - 1 : 0);

	(void)curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &after);
	if (after > RETRY_AFTER_MAX_S)
		after = RETRY_AFTER_MAX_S;
	if (after > 0 && (uint64_t)after * 1000 > pause)
		pause = (uint64_t)after * 1000;
	t->not_before = pv_clock_ms() + pause;
}

static int ended(struct batch *b, struct pv_transfer *t, CURLcode code, struct pv_error *err)
{
	enum pv_transfer_end end = pv_curl_judge(t, code, err);
	bool got_on = !t->no_range && t->have >= t->start + GOT_ON;

	b->fetch->status = t->status;
	if (end == PV_TRANSFER_AGAIN) {
		t->tries = got_on ? 1 : t->tries + 1;
		if (t->tries >= TRIES) {
			end = PV_TRANSFER_FAILED;
			(void)pv_error_wrap(err, "given up after %d tries", TRIES);
		} else {
			plan_retry(b, t);
		}
	}
	end_curl(b, t);
	if (end == PV_TRANSFER_GOOD && !t->mem)
		end = pv_part_finish(t, b->fetch->store, err);
	else if (!t->mem)
		pv_part_close(t, end != PV_TRANSFER_AFRESH);
	switch (end) {
	case PV_TRANSFER_GOOD:
		set_done(b, t);
		return 0;
	case PV_TRANSFER_AFRESH:
		t->not_before = 0;
		break;
	case PV_TRANSFER_AGAIN:
		break;
	case PV_TRANSFER_FAILED:
		return -1;
	}
	t->state = PV_TRANSFER_WAITING;
	pv_error_clear(err);
	return 0;
}

static int reap(struct batch *b, struct pv_error *err)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(b->fetch->multi, &left))) {
		struct pv_transfer *t = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		if (curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t) != CURLE_OK || !t)
			continue;
		if (ended(b, t, message->data.result, err) < 0)
			return -1;
	}
	return 0;
}

static int run(struct batch *b, struct pv_error *err)
{
	while (b->ndone < b->n) {
		uint64_t wait_ms;
		CURLMcode code;
		int running;

		if (pv_proc_check_interrupt(err) < 0 || start_some(b, &wait_ms, err) < 0)
			return -1;
		code = curl_multi_perform(b->fetch->multi, &running);
		if (code != CURLM_OK)
			return pv_error_set(err, PV_ERR_HOST, "libcurl: %s", curl_multi_strerror(code));
		if (reap(b, err) < 0)
			return -1;
		tell_progress(b, false);
		if (b->ndone < b->n && ((size_t)running == b->nactive || b->nactive == 0))
			(void)curl_multi_poll(b->fetch->multi, NULL, 0, (int)wait_ms, NULL);
	}
	tell_progress(b, true);
	return 0;
}

/* Whatever happened, no handle and no lock stays. */
static int run_and_end(struct batch *b, struct pv_error *err)
{
	int result = run(b, err);

	for (size_t i = 0; i < b->n; i++) {
		end_curl(b, &b->transfers[i]);
		pv_part_close(&b->transfers[i], true);
	}
	return result;
}

int pv_fetch_mem(struct pv_fetch *fetch, const char *url, size_t max, struct pv_str *ret, struct pv_error *err)
{
	pv_autostr mem = PV_STR_INIT;
	struct pv_transfer t = { .base_url = url, .size = max, .mem = &mem, .fd = -1 };
	struct batch b = { .fetch = fetch, .transfers = &t, .n = 1 };

	fetch->status = 0;
	if (run_and_end(&b, err) < 0)
		return -1;
	pv_str_done(ret);
	*ret = mem;
	mem = (struct pv_str)PV_STR_INIT;
	return 0;
}

/* Large ones first: no long tail at the end. */
static int by_size(const void *a, const void *b)
{
	const struct pv_transfer *ta = a, *tb = b;

	return ta->size < tb->size ? 1 : ta->size > tb->size ? -1 : strcmp(ta->path, tb->path);
}

/* Bytes that are still to be written; the same digest twice counts twice, which harms nobody. */
static uint64_t missing_bytes(const struct pv_fetch *fetch, const struct pv_fetch_item *items, size_t n)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < n; i++)
		if (!pv_store_has(fetch->store, items[i].sha256, items[i].size))
			bytes += items[i].size;
	return bytes;
}

static int check_items(const struct pv_fetch_item *items, size_t n, uint64_t *ret_total, struct pv_error *err)
{
	uint64_t total = 0;

	for (size_t i = 0; i < n; i++) {
		pv_autofree char *shown = NULL;

		if (pv_url_path_ok(items[i].path) && pv_digest_valid(items[i].sha256) &&
		    items[i].size <= INT64_MAX / 2 - total) {
			total += items[i].size;
			continue;
		}
		shown = pv_printable(items[i].path, strlen(items[i].path));
		return pv_error_set(err, PV_ERR_ARCHIVE, "%.200s: faulty path, size or digest in the index", shown);
	}
	*ret_total = total;
	return 0;
}

int pv_fetch_all(struct pv_fetch *fetch, const struct pv_fetch_item *items, size_t n,
		 pv_fetch_progress_fn *progress, void *ctx, struct pv_error *err)
{
	pv_autofree struct pv_transfer *transfers = NULL;
	struct batch b = { .fetch = fetch, .n = n, .progress = progress, .ctx = ctx };

	fetch->status = 0;
	if (check_items(items, n, &b.total_bytes, err) < 0 ||
	    pv_store_need(fetch->store, missing_bytes(fetch, items, n), err) < 0)
		return -1;
	transfers = pv_xcalloc(n + 1, sizeof(*transfers));
	for (size_t i = 0; i < n; i++)
		transfers[i] = (struct pv_transfer){
			.base_url = items[i].base_url, .path = items[i].path, .sha256 = items[i].sha256,
			.size = items[i].size, .fd = -1,
		};
	if (n > 1)
		qsort(transfers, n, sizeof(*transfers), by_size);
	b.transfers = transfers;
	return run_and_end(&b, err);
}
