/* SPDX-License-Identifier: Apache-2.0 */
/* Divides a guest's memory between system, page cache, memcached and Apache, and derives every
 * limit from that. */
#include "sizing.h"

/*
 * The design's formula for 1, 2 and 4 GiB (25, 30, 35 % of what the system leaves go to memcached),
 * carried on to every size: shares are linear between those three points, constant outside. All
 * integer.
 */
#define KIB_PER_MIB 1024u

/* The share of memcached in per mille of (memory - os). */
#define SHARE_1G                   250u
#define SHARE_2G                   300u
#define SHARE_4G                   350u
#define MEMCACHED_STEP             64u  /* MiB; memcached's own default is -m 64 */
#define MEMCACHED_OVERHEAD_PERCENT 105u /* slab and hash table; our own margin */
#define MEMCACHED_FIXED_MIB        8u   /* program, threads' buffers; our own margin */
#define MEMCACHED_CONNECTION_KIB   5u   /* memcached(1): -c 1024 is "about 5MB" */
#define MEMCACHED_CONNECTIONS_MIN  512u
#define MEMCACHED_CONNECTIONS_MAX  16384u /* it serves the loopback only */
#define MEMCACHED_CONNECTIONS_STEP 256u
#define MEMCACHED_THREADS_MAX      4u    /* memcached's default; memcached(1): no more than cores */
#define MEMCACHED_BACKLOG          1024u /* memcached's default -b */

#define APACHE_THREADS_PER_CHILD 25u                 /* mpm_event's default */
#define APACHE_THREAD_LIMIT      64u                 /* mpm_event's default */
#define APACHE_CHILD_KIB         (15u * KIB_PER_MIB) /* one process; third-party rule */
#define APACHE_THREAD_KIB        128u                /* one thread's resident part; the same rule */
#define APACHE_CHILDREN_PER_VCPU 16u                 /* more only wait for the processor */
#define APACHE_SLACK_MIN         2u /* children still ending gracefully while new ones start */
#define APACHE_SPARE_VCPUS_MAX   4u
#define APACHE_BACKLOG           511u  /* ListenBacklog's default */
#define APACHE_NOFILE            8192u /* apache2ctl's own APACHE_ULIMIT_MAX_FILES */

#define LISTEN_MAX            4096u                       /* somaxconn: Linux's default since 5.4 */
#define SOCKET_BUFFER_PER_MIB 4096u                       /* 4 MiB at 1 GiB, 16 MiB at 4 GiB */
#define SOCKET_BUFFER_MAX     (32u * KIB_PER_MIB * 1024u) /* as Rackspace's PVHVM images */

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t within(uint64_t value, uint64_t low, uint64_t high)
{
	return most(low, least(value, high));
}

static uint64_t share_permille(uint64_t mib)
{
	if (mib <= 1024)
		return SHARE_1G;
	if (mib <= 2048)
		return SHARE_1G + (SHARE_2G - SHARE_1G) * (mib - 1024) / 1024;
	if (mib <= 4096)
		return SHARE_2G + (SHARE_4G - SHARE_2G) * (mib - 2048) / 2048;
	return SHARE_4G;
}

static void size_memcached(uint64_t mib, unsigned vcpus, struct pv_sizing *ret)
{
	uint64_t share = (mib - ret->os_mib) * share_permille(mib) / 1000;
	uint64_t connections = within(mib - mib % MEMCACHED_CONNECTIONS_STEP,
				      MEMCACHED_CONNECTIONS_MIN, MEMCACHED_CONNECTIONS_MAX);
	uint64_t size = (share + MEMCACHED_STEP / 2) / MEMCACHED_STEP * MEMCACHED_STEP;
	uint64_t connections_mib =
		(connections * MEMCACHED_CONNECTION_KIB + KIB_PER_MIB - 1) / KIB_PER_MIB;

	ret->memcached_mib = (unsigned)size;
	ret->memcached_connections = (unsigned)connections;
	ret->memcached_cost_mib = (unsigned)(size * MEMCACHED_OVERHEAD_PERCENT / 100 +
					     connections_mib + MEMCACHED_FIXED_MIB);
	ret->memcached_threads = (unsigned)least(vcpus, MEMCACHED_THREADS_MAX);
	ret->memcached_backlog = MEMCACHED_BACKLOG;
	/* More than -c: listeners, the log, the signal pipe. */
	ret->memcached_nofile = (unsigned)(connections * 2);
}

static void size_apache(uint64_t mib, unsigned vcpus, struct pv_sizing *ret)
{
	uint64_t child = APACHE_CHILD_KIB + APACHE_THREADS_PER_CHILD * APACHE_THREAD_KIB;
	uint64_t left =
		(mib - ret->os_mib - ret->page_cache_mib - ret->memcached_cost_mib) * KIB_PER_MIB;
	uint64_t fit = left / child;
	uint64_t slack = most(APACHE_SLACK_MIN, fit / 5);
	uint64_t children = least(fit - slack, (uint64_t)vcpus * APACHE_CHILDREN_PER_VCPU);
	uint64_t spare = within(vcpus, 1, APACHE_SPARE_VCPUS_MAX) * APACHE_THREADS_PER_CHILD;

	ret->apache_child_kib = (unsigned)child;
	ret->apache_threads_per_child = APACHE_THREADS_PER_CHILD;
	ret->apache_thread_limit = APACHE_THREAD_LIMIT;
	/* ServerLimit is above what MaxRequestWorkers needs, so that a reload finds free places. */
	ret->apache_server_limit =
		(unsigned)(children + most(APACHE_SLACK_MIN, least(slack, children / 4)));
	ret->apache_max_request_workers = (unsigned)(children * APACHE_THREADS_PER_CHILD);
	ret->apache_start_servers =
		(unsigned)within(vcpus, 2, least(children, APACHE_SPARE_VCPUS_MAX));
	/* Debian's 25 and 75 at one vcpu; mpm_event wants at least one child between the two. */
	ret->apache_min_spare_threads = (unsigned)spare;
	ret->apache_max_spare_threads = (unsigned)least(spare + 2 * APACHE_THREADS_PER_CHILD,
							ret->apache_max_request_workers);
	ret->apache_listen_backlog = APACHE_BACKLOG;
	ret->apache_nofile = APACHE_NOFILE;
}

void pv_sizing_compute(uint64_t memory_mib, unsigned vcpus, struct pv_sizing *ret)
{
	*ret = (struct pv_sizing){ .memory_mib = memory_mib, .vcpus = vcpus };
	ret->os_mib = (unsigned)(192 + memory_mib / 16);
	ret->page_cache_mib = (unsigned)(memory_mib / 8);
	size_memcached(memory_mib, vcpus, ret);
	size_apache(memory_mib, vcpus, ret);
	ret->somaxconn = LISTEN_MAX;
	ret->tcp_max_syn_backlog = LISTEN_MAX;
	ret->tcp_fin_timeout = 30;
	ret->swappiness = 10;
	ret->socket_buffer_max = least(memory_mib * SOCKET_BUFFER_PER_MIB, SOCKET_BUFFER_MAX);
}
