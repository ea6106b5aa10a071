/* SPDX-License-Identifier: Apache-2.0 */
/* Our half of the conversation with scripts/xl/receive. */
#include "publish_xl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "fsutil.h"
#include "proc.h"

#define PIECE (1u << 20)
#define LOCK_S 600u			/* another publisher may have a whole image to send */

static void note(const struct pv_publish_xl *x, const char *line)
{
	if (x->what->note)
		x->what->note(x->what->ctx, line);
}

static void show(const struct pv_publish_xl *x, const char *step, uint64_t done, uint64_t total)
{
	if (x->what->progress)
		x->what->progress(x->what->ctx, step, done, total);
}

static int pause_s(unsigned seconds, struct pv_error *err)
{
	const struct timespec ts = { .tv_sec = seconds };

	nanosleep(&ts, NULL);
	return pv_proc_check_interrupt(err);
}

/* A lock of a connection that broke goes when the far sshd sees it. */
static int take_lock(struct pv_far_link *link, const struct pv_publish_xl *x, struct pv_error *err)
{
	pv_autostr words = PV_STR_INIT;
	uint64_t end = pv_clock_ms() + LOCK_S * 1000ull;

	for (bool first = true;; first = false) {
		if (pv_far_ask(link, &words, err, "lock") < 0)
			return -1;
		if (!pv_streq(words.data, "busy"))
			return 0;
		if (pv_clock_ms() > end)
			return pv_error_set(err, PV_ERR_ARCHIVE, "%s: somebody else publishes %s there, for more than %u "
					    "minutes", x->to->host, x->what->machine->name, LOCK_S / 60);
		if (first)
			note(x, "somebody else publishes this name there; waiting");
		if (pause_s(1, err) < 0)
			return -1;
	}
}

/* Before anything is sent: a domain that runs would be in the way in the end. */
static int check_domain(struct pv_far_link *link, const struct pv_publish_xl *x, struct pv_error *err)
{
	const char *name = x->what->machine->name;
	pv_autostr words = PV_STR_INIT;

	if (!x->what->start)
		return 0;
	if (pv_far_ask(link, &words, err, "domain") < 0)
		return -1;
	if (pv_streq(words.data, "missing"))
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: there is no xl to start %s with; leave --start out", x->to->host,
				    name);
	if (!pv_streq(words.data, "none"))
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: a domain %s runs there already; xl shutdown %s, or leave --start "
				    "out", x->to->host, name, name);
	return 0;
}

/* "DIGEST  -" or "DIGEST  FILE" */
static int take_sum(void *ctx, const char *line, struct pv_error *err)
{
	char *hex = ctx;

	if (strlen(line) < PV_SHA256_HEX || line[PV_SHA256_HEX - 1] != ' ')
		return 0;			/* a complaint, which the answer repeats */
	memcpy(hex, line, PV_SHA256_HEX - 1);
	hex[PV_SHA256_HEX - 1] = '\0';
	if (!pv_digest_valid(hex))
		return pv_error_set(err, PV_ERR_ARCHIVE, "sha256sum there gave no digest");
	return 0;
}

static int ask_sum(struct pv_far_link *link, const char *file, char ret[PV_SHA256_HEX], struct pv_error *err)
{
	ret[0] = '\0';
	return pv_far_say(link, err, "sum %s", file) < 0 ? -1 : pv_far_answer(link, take_sum, ret, NULL, err);
}

/* Sets x->already. An image that somebody uses is what its user made of it, and stays. */
static int look(struct pv_far_link *link, struct pv_publish_xl *x, struct pv_error *err)
{
	char sum[PV_SHA256_HEX];
	pv_autostr words = PV_STR_INIT;

	if (pv_far_ask(link, &words, err, "look") < 0)
		return -1;
	if (pv_starts(words.data, "used")) {
		pv_autofree char *line = pv_fmt("%s is there and used by %s; left as it is", x->disk,
						words.data + strlen("used "));
		note(x, line);
		x->already = !x->placed;
		return 0;
	}
	if (!pv_streq(words.data, "there"))
		return 0;
	show(x, "checking", 0, x->blocks->size);
	if (ask_sum(link, x->disk, sum, err) < 0)
		return -1;
	show(x, "checking", x->blocks->size, x->blocks->size);
	bool same = pv_streq(sum, x->sha256);
	x->placed = same && (x->placed || x->sent > 0);	/* the word that it was put in place may have been lost */
	x->already = same && !x->placed;
	return 0;
}

struct digests {
	uint8_t (*v)[PV_SHA256_LEN];
	size_t n, max;
	const struct pv_publish_xl *x;
};

static int take_digest(void *ctx, const char *line, struct pv_error *err)
{
	struct digests *d = ctx;
	char hex[PV_SHA256_HEX] = "";

	if (take_sum(hex, line, err) < 0)
		return -1;
	if (!*hex)
		return 0;
	if (d->n == d->max)
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: has more blocks than were asked for", d->x->to->host);
	for (size_t i = 0; i < PV_SHA256_LEN; i++) {
		const char two[3] = { hex[2 * i], hex[2 * i + 1], '\0' };

		d->v[d->n][i] = (uint8_t)strtoul(two, NULL, 16);
	}
	d->n++;
	uint64_t done = (uint64_t)d->n * PV_FAR_BLOCK, size = d->x->blocks->size;
	show(d->x, "comparing", done < size ? done : size, size);
	return 0;
}

static int ask_blocks(struct pv_far_link *link, struct pv_publish_xl *x, struct digests *d, struct pv_error *err)
{
	d->max = x->blocks->n;
	d->v = pv_xcalloc(d->max + 1, sizeof(*d->v));
	d->x = x;
	if (pv_far_say(link, err, "blocks") < 0)
		return -1;
	/* both sides at once */
	if (!x->blocks->digest && pv_far_blocks_digest(x->blocks, x->fd, x->what->image, err) < 0)
		return -1;
	if (pv_far_answer(link, take_digest, d, NULL, err) < 0)
		return -1;
	if (d->n != d->max)
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: has fewer blocks than were asked for", x->to->host);
	return 0;
}

static int send_run(struct pv_far_link *link, struct pv_publish_xl *x, const struct pv_far_run *run, uint8_t *buf,
		    uint64_t *done, uint64_t total, struct pv_error *err)
{
	if (pv_far_say(link, err, "%s %" PRIu64 " %" PRIu64, run->zero ? "zero" : "put", run->offset, run->len) < 0)
		return -1;
	for (uint64_t at = 0; at < run->len && !run->zero;) {
		size_t len = run->len - at < PIECE ? (size_t)(run->len - at) : PIECE;
		ssize_t n = pv_pread_all(x->fd, buf, len, (off_t)(run->offset + at));

		if (n != (ssize_t)len)
			return pv_error_set(err, PV_ERR_STAGE, "%s: cannot be read to its end", x->what->image);
		if (pv_far_send(link, buf, len, err) < 0)
			return -1;
		at += len;
		*done += len;
		x->sent += len;
		show(x, "sending", *done, total);
	}
	return pv_proc_check_interrupt(err);
}

static int send_runs(struct pv_far_link *link, struct pv_publish_xl *x, const struct digests *theirs, struct pv_error *err)
{
	pv_autofree uint8_t *buf = pv_xmalloc(PIECE);
	uint64_t done = 0, total = 0;
	size_t n;
	pv_autofree struct pv_far_run *runs = pv_far_runs(x->blocks, (const uint8_t (*)[PV_SHA256_LEN])theirs->v, &n);

	for (size_t i = 0; i < n; i++)
		total += runs[i].zero ? 0 : runs[i].len;
	for (size_t i = 0; i < n; i++)
		if (send_run(link, x, &runs[i], buf, &done, total, err) < 0)
			return -1;
	return 0;
}

/* What is there under a hidden name is now our image to the byte, and safe on the far disk. */
static int check_part(struct pv_far_link *link, const struct pv_publish_xl *x, struct pv_error *err)
{
	pv_autofree char *part = pv_fmt(".%s.part", x->disk);
	char sum[PV_SHA256_HEX];

	show(x, "checking", 0, x->blocks->size);
	if (pv_far_ask(link, NULL, err, "sync") < 0 || ask_sum(link, part, sum, err) < 0)
		return -1;
	show(x, "checking", x->blocks->size, x->blocks->size);
	if (pv_streq(sum, x->sha256))
		return 0;
	if (pv_far_ask(link, NULL, err, "drop") < 0)
		return -1;
	return pv_error_set(err, PV_ERR_STAGE, "%s: what came to be at %s is not this image (%s): it was changed while "
				    "it was published, or a disk there is bad; start again", x->what->image, x->to->host, sum);
}

static int take_kept(void *ctx, const char *line, struct pv_error *err)
{
	const struct pv_publish_xl *x = ctx;

	(void)err;
	pv_autofree char *words = pv_fmt("a guest had written to %s there; that is now %s", x->disk, line);
	note(x, words);
	return 0;
}

static int fill(struct pv_far_link *link, struct pv_publish_xl *x, struct pv_error *err)
{
	pv_autostr begun = PV_STR_INIT;
	struct digests theirs = { 0 };

	if (pv_far_ask(link, &begun, err, "part") < 0 || pv_far_ask(link, NULL, err, "size") < 0) {
		if (!pv_proc_interrupted())
			pv_far_last_word(link, "drop");		/* the copy found no room, perhaps */
		return -1;
	}
	int rc = 0;
	if (!pv_streq(begun.data, "empty"))
		rc = ask_blocks(link, x, &theirs, err);
	if (rc == 0)
		rc = send_runs(link, x, &theirs, err);
	free(theirs.v);
	if (rc < 0 || check_part(link, x, err) < 0 || pv_far_say(link, err, "place") < 0)
		return -1;
	if (pv_far_answer(link, take_kept, x, NULL, err) < 0)
		return -1;
	x->placed = true;
	return 0;
}

static int send_config(struct pv_far_link *link, const struct pv_publish_xl *x, struct pv_error *err)
{
	size_t len = strlen(x->config);

	if (pv_far_say(link, err, "config %zu", len) < 0 || pv_far_send(link, x->config, len, err) < 0)
		return -1;
	return pv_far_answer(link, NULL, NULL, NULL, err);
}

static int take_pruned(void *ctx, const char *line, struct pv_error *err)
{
	struct pv_publish_xl *x = ctx;

	(void)err;
	if (pv_starts(line, "removed "))
		x->removed++;
	else if (pv_starts(line, "stays "))
		note(x, line + strlen("stays "));
	return 0;
}

/* Until the guest's drivers have connected to their disks and cards. */
static int wait_for_domain(struct pv_far_link *link, const struct pv_publish_xl *x, struct pv_error *err)
{
	unsigned seconds = x->what->deadline_s ? x->what->deadline_s : PV_XL_DEADLINE_S;
	uint64_t began = pv_clock_ms(), passed;
	const char *name = x->what->machine->name;
	pv_autostr state = PV_STR_INIT;

	show(x, "starting", 0, 0);
	do {
		if (pv_far_ask(link, &state, err, "alive") < 0)
			return -1;
		if (pv_streq(state.data, "connected"))
			return pv_far_ask(link, NULL, err, "keep");
		if (!pv_starts(state.data, "waiting"))
			return pv_error_set(err, PV_ERR_ARCHIVE, "%s: the domain %s ended before its drivers had connected; "
					    "it was destroyed, %s.cfg and its disk are there", x->to->host, name, name);
		passed = (pv_clock_ms() - began) / 1000;
		if (pause_s(1, err) < 0)
			return -1;
	} while (passed < seconds);
	return pv_error_set(err, PV_ERR_ARCHIVE, "%s: the domain %s did not answer within %u s (%s); it was destroyed, %s.cfg "
			    "and its disk are there", x->to->host, name, seconds, state.data, name);
}

static int start(struct pv_far_link *link, const struct pv_publish_xl *x, struct pv_error *err)
{
	if (!x->what->start)
		return 0;
	return pv_far_ask(link, NULL, err, "create") < 0 ? -1 : wait_for_domain(link, x, err);
}

static int converse(struct pv_far_link *link, struct pv_publish_xl *x, struct pv_error *err)
{
	if (take_lock(link, x, err) < 0 || check_domain(link, x, err) < 0 || look(link, x, err) < 0)
		return -1;
	if (!x->already && !x->placed && fill(link, x, err) < 0)
		return -1;
	if (send_config(link, x, err) < 0 || pv_far_say(link, err, "prune %u", x->what->keep ? x->what->keep : 1) < 0 ||
	    pv_far_answer(link, take_pruned, x, NULL, err) < 0)
		return -1;
	return start(link, x, err);
}

int pv_publish_xl_talk(struct pv_far_link *link, void *ctx, struct pv_error *err)
{
	pv_autostr words = PV_STR_INIT;

	if (pv_far_answer(link, NULL, NULL, &words, err) < 0)
		return -1;
	if (!pv_streq(words.data, "pvimg 1"))
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s answers with something else than pvimg's own words",
				    ((struct pv_publish_xl *)ctx)->to->host);
	return converse(link, ctx, err);
}
