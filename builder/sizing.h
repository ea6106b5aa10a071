/* SPDX-License-Identifier: Apache-2.0 */
/* Memory and worker limits of a flavor, computed from memory and vcpus. Pure: no I/O, no state. */
#ifndef PV_SIZING_H
#define PV_SIZING_H

#include <stdint.h>

struct pv_sizing {
	uint64_t memory_mib;
	unsigned vcpus;
	unsigned os_mib;			/* kept for kernel, systemd, ssh, cloud-init */
	unsigned page_cache_mib;		/* kept free for the page cache */
	unsigned memcached_mib;			/* -m */
	unsigned memcached_connections;		/* -c */
	unsigned memcached_threads;		/* -t */
	unsigned memcached_backlog;		/* -b */
	unsigned memcached_cost_mib;		/* what -m and -c really take */
	unsigned memcached_nofile;		/* LimitNOFILE */
	unsigned apache_threads_per_child, apache_thread_limit;
	unsigned apache_server_limit, apache_max_request_workers;
	unsigned apache_start_servers, apache_min_spare_threads, apache_max_spare_threads;
	unsigned apache_listen_backlog;
	unsigned apache_child_kib;		/* what one child takes */
	unsigned apache_nofile;
	unsigned somaxconn, tcp_max_syn_backlog, tcp_fin_timeout, swappiness;
	uint64_t socket_buffer_max;		/* bytes: net.core.rmem_max and wmem_max */
};

#define PV_SIZING_MIN_MIB 512u
#define PV_SIZING_MAX_MIB 65536u
#define PV_SIZING_MAX_VCPUS 64u

/* memory_mib within [PV_SIZING_MIN_MIB, PV_SIZING_MAX_MIB], vcpus within [1, PV_SIZING_MAX_VCPUS]; the caller
 * checked. */
void pv_sizing_compute(uint64_t memory_mib, unsigned vcpus, struct pv_sizing *ret);

#endif
