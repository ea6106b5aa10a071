/* SPDX-License-Identifier: Apache-2.0 */
/* The sizing's promises for every memory size, and the design's three printed rows to the last
 * digit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sizing.h"
#include "text.h"

struct row {
	uint64_t mib;
	unsigned vcpus, os, m, n, limit, workers, sum, connections, threads;
	uint64_t buffers_mib;
};

/* The design's worked numbers; `sum` is rounded up to MiB there. */
static const struct row printed[] = {
	{ 1024, 1, 256, 192, 16, 20, 400, 961, 1024, 1, 4 },
	{ 2048, 2, 320, 512, 32, 40, 800, 1856, 2048, 2, 8 },
	{ 4096, 4, 448, 1280, 64, 80, 1600, 3782, 4096, 4, 16 },
};

static uint64_t sum_kib(const struct pv_sizing *s)
{
	return ((uint64_t)s->os_mib + s->page_cache_mib + s->memcached_cost_mib) * 1024 +
	       (uint64_t)s->apache_server_limit * s->apache_child_kib;
}

static void test_printed(void **state)
{
	(void)state;
	for (size_t i = 0; i < PV_COUNT(printed); i++) {
		const struct row *row = &printed[i];
		struct pv_sizing s;

		pv_sizing_compute(row->mib, row->vcpus, &s);
		assert_int_equal(s.memory_mib, row->mib);
		assert_int_equal(s.vcpus, row->vcpus);
		assert_int_equal(s.os_mib, row->os);
		assert_int_equal(s.page_cache_mib, row->mib / 8);
		assert_int_equal(s.memcached_mib, row->m);
		assert_int_equal(s.apache_max_request_workers, row->n * 25);
		assert_int_equal(s.apache_max_request_workers, row->workers);
		assert_int_equal(s.apache_server_limit, row->limit);
		assert_int_equal((sum_kib(&s) + 1023) / 1024, row->sum);
		assert_int_equal(s.memcached_connections, row->connections);
		assert_int_equal(s.memcached_threads, row->threads);
		assert_int_equal(s.memcached_nofile, row->connections * 2);
		assert_int_equal(s.apache_child_kib, 18560); /* 18.125 MiB */
		assert_int_equal(s.socket_buffer_max, row->buffers_mib << 20);
		assert_int_equal(s.somaxconn, 4096);
		assert_int_equal(s.tcp_max_syn_backlog, 4096);
		assert_int_equal(s.tcp_fin_timeout, 30);
		assert_int_equal(s.swappiness, 10);
	}
}

static void test_one_gib_spares(void **state)
{
	struct pv_sizing s;

	(void)state;
	pv_sizing_compute(1024, 1, &s);
	assert_int_equal(s.apache_start_servers, 2); /* Debian's mpm_event.conf */
	assert_int_equal(s.apache_min_spare_threads, 25);
	assert_int_equal(s.apache_max_spare_threads, 75);
}

/* What is wrong with s, or NULL. A function of words, so that the loop below stays cheap. */
static const char *fault(const struct pv_sizing *s)
{
	if (sum_kib(s) > s->memory_mib * 1024)
		return "more than the memory";
	if (s->apache_max_request_workers == 0 ||
	    s->apache_max_request_workers % s->apache_threads_per_child)
		return "MaxRequestWorkers is no multiple of ThreadsPerChild";
	if (s->apache_max_request_workers > s->apache_server_limit * s->apache_threads_per_child)
		return "MaxRequestWorkers above ServerLimit * ThreadsPerChild";
	if (s->apache_server_limit <
	    s->apache_max_request_workers / s->apache_threads_per_child + 2)
		return "no place for children that end gracefully";
	if (s->apache_threads_per_child > s->apache_thread_limit)
		return "ThreadsPerChild above ThreadLimit";
	if (s->memcached_backlog > s->somaxconn || s->apache_listen_backlog > s->somaxconn)
		return "a backlog above somaxconn";
	if (s->memcached_nofile <= s->memcached_connections + 64)
		return "LimitNOFILE too near to -c";
	if (s->apache_nofile <= 3 * s->apache_threads_per_child)
		return "Apache's LimitNOFILE below a child's connections";
	if (s->memcached_mib < 64 || s->memcached_mib % 64 ||
	    s->memcached_cost_mib <= s->memcached_mib)
		return "memcached -m";
	if (s->memcached_threads < 1 || s->memcached_threads > s->vcpus || s->memcached_threads > 4)
		return "memcached -t";
	if (s->apache_max_spare_threads <
		    s->apache_min_spare_threads + s->apache_threads_per_child ||
	    s->apache_max_spare_threads > s->apache_max_request_workers)
		return "MaxSpareThreads";
	if (s->apache_start_servers < 1 ||
	    s->apache_start_servers * s->apache_threads_per_child > s->apache_max_request_workers)
		return "StartServers";
	if (s->apache_server_limit > 20000)
		return "ServerLimit above mpm_event's hard limit";
	if (s->socket_buffer_max < 212992)
		return "socket buffers below the kernel's default";
	return NULL;
}

static void test_every_size(void **state)
{
	static const unsigned vcpus[] = { 1, 2, 3, 4, 6, 8, 16, 32, 63, 64 };

	(void)state;
	for (size_t v = 0; v < PV_COUNT(vcpus); v++) {
		struct pv_sizing before = { 0 };

		for (uint64_t mib = PV_SIZING_MIN_MIB; mib <= PV_SIZING_MAX_MIB; mib++) {
			struct pv_sizing s;
			const char *words;

			pv_sizing_compute(mib, vcpus[v], &s);
			words = fault(&s);
			if (words)
				fail_msg("%u MiB, %u vcpus: %s", (unsigned)mib, vcpus[v], words);
			/* More memory never gives memcached less. */
			assert_true(s.memcached_mib >= before.memcached_mib);
			assert_true(s.memcached_connections >= before.memcached_connections);
			before = s;
		}
	}
}

static void test_vcpus_count(void **state)
{
	(void)state;
	for (unsigned vcpus = 1; vcpus <= PV_SIZING_MAX_VCPUS; vcpus++) {
		struct pv_sizing small, large;

		pv_sizing_compute(PV_SIZING_MIN_MIB, vcpus, &small);
		pv_sizing_compute(PV_SIZING_MAX_MIB, vcpus, &large);
		assert_null(fault(&small));
		assert_null(fault(&large));
		/* With memory to spare the processors decide: 16 children each. */
		assert_int_equal(large.apache_max_request_workers, vcpus * 16 * 25);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_printed),
		cmocka_unit_test(test_one_gib_spares),
		cmocka_unit_test(test_every_size),
		cmocka_unit_test(test_vcpus_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
