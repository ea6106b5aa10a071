/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that decompress .debs. */
#include "repack.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "debplain.h"
#include "text.h"

#define MAX_THREADS 2

struct pv_repack {
	struct pv_repack_job *jobs;
	size_t n;
	uint64_t max;
	atomic_size_t next;		/* job to take; n or more: none */
	pthread_mutex_t lock;		/* of err */
	struct pv_error err;		/* of the first that failed */
	pthread_t threads[MAX_THREADS];
	unsigned nthreads;
};

/* The source is hashed again before its content is used: a user's cache is a user's file. */
static int do_job(struct pv_repack_job *job, uint64_t max, struct pv_error *err)
{
	char hex[PV_SHA256_HEX];

	if (pv_digest_file(job->from, hex, NULL, err) < 0)
		return -1;
	if (!pv_streq(hex, job->from_sha256)) {
		unlink(job->from);
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: was changed since it was fetched, removed; build again",
				    job->from);
	}
	return pv_debplain_write(job->from, job->to, max, job->sha256, &job->size, err);
}

static void *work(void *arg)
{
	struct pv_repack *r = arg;

	for (size_t i; (i = atomic_fetch_add(&r->next, 1)) < r->n; ) {
		struct pv_repack_job *job = &r->jobs[i];
		struct pv_error err = PV_ERROR_INIT;
		if (do_job(job, r->max, &err) == 0)
			continue;
		atomic_store(&r->next, r->n);
		pthread_mutex_lock(&r->lock);
		if (r->err.kind == PV_OK)
			r->err = err;
		else
			pv_error_clear(&err);
		pthread_mutex_unlock(&r->lock);
		break;
	}
	return NULL;
}

static unsigned thread_count(unsigned spare)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
	unsigned idle = n > (int)spare ? (unsigned)n - spare : 1;

	return idle > MAX_THREADS ? MAX_THREADS : idle;
}

static void join(struct pv_repack *r)
{
	while (r->nthreads > 0)
		pthread_join(r->threads[--r->nthreads], NULL);
}

int pv_repack_start(struct pv_repack_job *jobs, size_t n, uint64_t max, unsigned spare, struct pv_repack **ret,
		    struct pv_error *err)
{
	struct pv_repack *r = pv_xcalloc(1, sizeof(*r));
	unsigned want = thread_count(spare);
	sigset_t all, old;

	r->jobs = jobs;
	r->n = n;
	r->max = max;
	pthread_mutex_init(&r->lock, NULL);
	/* Signals are the main thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int rc = 0;
	while (rc == 0 && r->nthreads < want) {
		rc = pthread_create(&r->threads[r->nthreads], NULL, work, r);
		r->nthreads += rc == 0;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r->nthreads == 0) {
		pv_repack_free(r);
		return pv_error_errno(err, PV_ERR_STAGE, rc, "cannot start a thread");
	}
	*ret = r;
	return 0;
}

int pv_repack_wait(struct pv_repack *r, struct pv_error *err)
{
	join(r);
	if (r->err.kind == PV_OK)
		return 0;
	return pv_error_set(err, r->err.kind, "%s", r->err.text);
}

const struct pv_repack_job *pv_repack_jobs(const struct pv_repack *r, size_t *ret_n)
{
	*ret_n = r->n;
	return r->jobs;
}

void pv_repack_free(struct pv_repack *r)
{
	if (!r)
		return;
	atomic_store(&r->next, r->n);
	join(r);
	for (size_t i = 0; i < r->n; i++) {
		pv_freep(&r->jobs[i].from);
		pv_freep(&r->jobs[i].to);
	}
	free(r->jobs);
	pv_error_clear(&r->err);
	pthread_mutex_destroy(&r->lock);
	free(r);
}
