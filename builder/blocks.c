/* SPDX-License-Identifier: Apache-2.0 */
/* The ring of blocks and the threads that fill and empty it. */
#include "blocks.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fsutil.h"
#include "proc.h"
#include "text.h"

#define MAX_THREADS 12u
#define SPARE_SLOTS 2u		/* beyond one a thread: a thread need not wait for the slowest */
#define TICK_MS 100

struct slot {
	struct pv_block block;
	uint8_t *data;
	void *out[PV_BLOCK_SINKS];	/* of the steps, in their order */
	bool ready;
	unsigned left;			/* sinks that have not had it */
};

struct sink_state {
	uint64_t next;			/* index of the block it wants */
	bool busy;
	size_t step;			/* in ring.steps; nsteps: none */
};

struct ring {
	const struct pv_blocks_request *req;
	uint64_t nblocks, file_size;
	const struct pv_block_step *steps[PV_BLOCK_SINKS];
	size_t nsteps;
	struct sink_state sinks[PV_BLOCK_SINKS];
	struct slot *slots;
	unsigned nslots;
	pthread_mutex_t lock;		/* of all below, and of sinks and slots */
	pthread_cond_t changed;
	uint64_t next_read, written;	/* written: blocks that all sinks had */
	uint64_t hole_from, hole_to;	/* a hole that some thread found; it says nothing of what is before it */
	bool failed;
	struct pv_error err;
	unsigned running;
};

bool pv_block_is_zero(const struct pv_block *b, size_t offset, size_t len)
{
	size_t first = offset / PV_BLOCK_PAGE, end = (offset + len) / PV_BLOCK_PAGE;

	if (b->zero)
		return true;
	for (size_t p = first; p < end; p++)
		if (!(b->zeros[p / 64] >> (p % 64) & 1))
			return false;
	return true;
}

/* --- reading --- */

static const uint8_t zero_page[PV_BLOCK_PAGE];

static void find_zeros(struct pv_block *b)
{
	size_t zero = 0;

	memset(b->zeros, 0, sizeof(b->zeros));
	for (size_t p = 0; p < PV_BLOCK_PAGES; p++) {
		const uint8_t *page = b->data + p * PV_BLOCK_PAGE;

		if (page[0] == 0 && memcmp(page, zero_page, PV_BLOCK_PAGE) == 0) {
			b->zeros[p / 64] |= UINT64_C(1) << (p % 64);
			zero++;
		}
	}
	b->zero = zero == PV_BLOCK_PAGES;
}

/* True when the file system says that all of the block is a hole; its word spares reading it. Where it says data, the
 * bytes decide. Behind the end of a file that was cut short meanwhile is no hole: reading tells. */
static bool in_hole(struct ring *r, const struct pv_block *b)
{
	pthread_mutex_lock(&r->lock);
	bool known = b->offset >= r->hole_from && b->offset + PV_BLOCK_LEN <= r->hole_to;
	pthread_mutex_unlock(&r->lock);
	if (known)
		return true;
	off_t data = lseek(r->req->fd, (off_t)b->offset, SEEK_DATA);
	uint64_t from = data >= 0 ? (uint64_t)data : errno == ENXIO ? UINT64_MAX : b->offset;

	if (from < b->offset + PV_BLOCK_LEN)
		return false;
	if (from == UINT64_MAX && lseek(r->req->fd, 0, SEEK_END) < (off_t)r->file_size)
		return false;
	pthread_mutex_lock(&r->lock);
	r->hole_from = b->offset;
	r->hole_to = from;
	pthread_mutex_unlock(&r->lock);
	return true;
}

static int read_block(struct ring *r, struct slot *s, struct pv_error *err)
{
	struct pv_block *b = &s->block;
	size_t want = 0;

	if (b->offset < r->file_size)
		want = r->file_size - b->offset < b->len ? (size_t)(r->file_size - b->offset) : b->len;
	b->data = s->data;
	b->zero = true;
	if (want == 0 || in_hole(r, b))
		return 0;
	ssize_t n = pv_pread_all(r->req->fd, s->data, want, (off_t)b->offset);
	if (n < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot read", r->req->name);
	if ((size_t)n < want)
		return pv_error_set(err, PV_ERR_STAGE, "%s: was cut short while it was read", r->req->name);
	memset(s->data + want, 0, PV_BLOCK_LEN - want);
	find_zeros(b);
	return 0;
}

/* --- the threads --- */

static void fail(struct ring *r, struct pv_error *err)
{
	if (!r->failed)
		r->err = *err;
	else
		pv_error_clear(err);
	r->failed = true;
	pthread_cond_broadcast(&r->changed);
}

/* A sink whose next block is ready and that nobody serves; nsinks: none. */
static size_t sink_to_serve(const struct ring *r)
{
	for (size_t i = 0; i < r->req->nsinks; i++) {
		const struct sink_state *s = &r->sinks[i];
		const struct slot *slot = &r->slots[s->next % r->nslots];

		if (!s->busy && s->next < r->nblocks && slot->ready && slot->block.index == s->next)
			return i;
	}
	return r->req->nsinks;
}

/* Lock held, but not meanwhile. */
static void serve(struct ring *r, size_t i)
{
	struct sink_state *state = &r->sinks[i];
	struct slot *slot = &r->slots[state->next % r->nslots];
	const struct pv_block_sink *sink = &r->req->sinks[i];
	struct pv_error err = PV_ERROR_INIT;

	state->busy = true;
	pthread_mutex_unlock(&r->lock);
	int rc = sink->write(sink->ctx, &slot->block, state->step < r->nsteps ? slot->out[state->step] : NULL, &err);
	pthread_mutex_lock(&r->lock);
	state->busy = false;
	if (rc < 0) {
		fail(r, &err);
		return;
	}
	state->next++;
	if (--slot->left == 0) {
		slot->ready = false;
		r->written++;
	}
	pthread_cond_broadcast(&r->changed);
}

static bool can_read(const struct ring *r)
{
	return r->next_read < r->nblocks && r->slots[r->next_read % r->nslots].left == 0;
}

/* Lock held, but not meanwhile. */
static void fill(struct ring *r, void **threads)
{
	uint64_t index = r->next_read++, offset = index * PV_BLOCK_LEN;
	struct slot *slot = &r->slots[index % r->nslots];
	struct pv_error err = PV_ERROR_INIT;

	slot->left = (unsigned)r->req->nsinks;
	pthread_mutex_unlock(&r->lock);
	slot->block.index = index;
	slot->block.offset = offset;
	slot->block.len = r->req->size - offset < PV_BLOCK_LEN ? (size_t)(r->req->size - offset) : PV_BLOCK_LEN;
	int rc = read_block(r, slot, &err);
	for (size_t i = 0; i < r->nsteps && rc == 0; i++)
		rc = r->steps[i]->run(threads[i], &slot->block, slot->out[i], &err);
	pthread_mutex_lock(&r->lock);
	if (rc < 0) {
		fail(r, &err);
		return;
	}
	slot->ready = true;
	pthread_cond_broadcast(&r->changed);
}

static void *work(void *arg)
{
	struct ring *r = arg;
	void *threads[PV_BLOCK_SINKS] = { NULL };

	for (size_t i = 0; i < r->nsteps; i++)
		threads[i] = r->steps[i]->begin ? r->steps[i]->begin() : NULL;
	pthread_mutex_lock(&r->lock);
	while (!r->failed && r->written < r->nblocks) {
		size_t sink = sink_to_serve(r);

		if (sink < r->req->nsinks)
			serve(r, sink);
		else if (can_read(r))
			fill(r, threads);
		else
			pthread_cond_wait(&r->changed, &r->lock);
	}
	r->running--;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
	for (size_t i = 0; i < r->nsteps; i++)
		if (r->steps[i]->end)
			r->steps[i]->end(threads[i]);
	return NULL;
}

static unsigned thread_count(const struct pv_blocks_request *req)
{
	cpu_set_t set;
	unsigned n = req->threads;

	if (n == 0)
		n = sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
	return n > MAX_THREADS ? MAX_THREADS : n;
}

/* --- the caller's thread --- */

static void wait_a_tick(struct ring *r)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += TICK_MS * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	pthread_cond_timedwait(&r->changed, &r->lock, &until);
}

/* Lock held, but not meanwhile. */
static void tell(struct ring *r, uint64_t *told)
{
	uint64_t written = r->written, done = written == r->nblocks ? r->req->size : written * PV_BLOCK_LEN;

	if (!r->req->progress || written == *told)
		return;
	*told = written;
	pthread_mutex_unlock(&r->lock);
	r->req->progress(r->req->progress_ctx, done, r->req->size);
	pthread_mutex_lock(&r->lock);
}

static void watch(struct ring *r)
{
	uint64_t told = UINT64_MAX;

	pthread_mutex_lock(&r->lock);
	while (r->running > 0) {
		struct pv_error err = PV_ERROR_INIT;

		if (!r->failed && pv_proc_check_interrupt(&err) < 0)
			fail(r, &err);
		tell(r, &told);
		if (r->running > 0)
			wait_a_tick(r);
	}
	tell(r, &told);
	pthread_mutex_unlock(&r->lock);
}

static void make_ring(struct ring *r, unsigned threads)
{
	pthread_condattr_t attr;

	for (size_t i = 0; i < r->req->nsinks; i++) {
		const struct pv_block_step *step = r->req->sinks[i].step;
		size_t k = 0;

		while (step && k < r->nsteps && r->steps[k] != step)
			k++;
		if (step && k == r->nsteps)
			r->steps[r->nsteps++] = step;
		r->sinks[i].step = step ? k : PV_BLOCK_SINKS;
	}
	r->nslots = threads + SPARE_SLOTS;
	if (r->nslots > r->nblocks)
		r->nslots = (unsigned)r->nblocks;
	r->slots = pv_xcalloc(r->nslots, sizeof(*r->slots));
	for (unsigned i = 0; i < r->nslots; i++) {
		r->slots[i].data = pv_xmalloc(PV_BLOCK_LEN);
		for (size_t k = 0; k < r->nsteps; k++)
			r->slots[i].out[k] = pv_xmalloc(r->steps[k]->slot_size);
	}
	pthread_mutex_init(&r->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&r->changed, &attr);
	pthread_condattr_destroy(&attr);
}

static void free_ring(struct ring *r)
{
	for (unsigned i = 0; i < r->nslots; i++) {
		free(r->slots[i].data);
		for (size_t k = 0; k < r->nsteps; k++)
			free(r->slots[i].out[k]);
	}
	free(r->slots);
	pthread_cond_destroy(&r->changed);
	pthread_mutex_destroy(&r->lock);
	pv_error_clear(&r->err);
}

/* Returns how many run; *ret_rc: why not more. */
static unsigned start(struct ring *r, pthread_t *ids, unsigned want, int *ret_rc)
{
	sigset_t all, old;
	unsigned n = 0;

	/* Signals are the caller's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r->running = want;
	*ret_rc = 0;
	while (n < want && *ret_rc == 0) {
		*ret_rc = pthread_create(&ids[n], NULL, work, r);
		n += *ret_rc == 0;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_mutex_lock(&r->lock);
	r->running -= want - n;
	pthread_mutex_unlock(&r->lock);
	return n;
}

static int run_ring(struct ring *r, unsigned threads, struct pv_error *err)
{
	pthread_t ids[MAX_THREADS];
	int rc;
	unsigned n = start(r, ids, threads, &rc);

	if (n == 0)
		return pv_error_errno(err, PV_ERR_STAGE, rc, "cannot start a thread");
	watch(r);
	while (n > 0)
		pthread_join(ids[--n], NULL);
	if (r->failed)
		return pv_error_set(err, r->err.kind, "%s", r->err.text ? r->err.text : "failed");
	return 0;
}

int pv_blocks_run(const struct pv_blocks_request *req, struct pv_error *err)
{
	struct ring r = { .req = req, .nblocks = (req->size + PV_BLOCK_LEN - 1) / PV_BLOCK_LEN };
	unsigned threads = thread_count(req);
	off_t end = lseek(req->fd, 0, SEEK_END);	/* of a block device too, which is padded like a file */

	if (end < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", req->name);
	r.file_size = (uint64_t)end;
	if (r.nblocks == 0)
		return 0;
	make_ring(&r, threads);
	int rc = run_ring(&r, threads, err);
	free_ring(&r);
	return rc;
}
