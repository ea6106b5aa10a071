/* SPDX-License-Identifier: Apache-2.0 */
/* The builder namespace: a user and a mount namespace in which this very process may do what a build needs (change
 * owners, mount, write as any subordinate id) and the host's ids, files and mounts stay out of reach. */
#ifndef PV_NS_H
#define PV_NS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

/* Ids inside: 0..65535 are subordinate ids of the host (the image's users, all 16-bit ids of a distribution);
 * PV_NS_SELF is the caller, user and group. As root PV_NS_SELF + N is the host's id N, so that root's own files and
 * other users' stay writable for pvimg itself; target code never sees these (sandbox.h). */
#define PV_NS_IDS 65536u
#define PV_NS_SELF PV_NS_IDS

/* Root without an entry of its own in /etc/subuid takes the last 65536 ids of the range that systemd sets aside for
 * containers, 524288..1879048191 (https://systemd.io/UIDS-GIDS/, "Special distribution UID ranges"). */
#define PV_NS_ROOT_BASE 0x6FFF0000u

/* A run of ids. In a map: `count` ids from `inner` inside are the ids from `outer` outside. */
struct pv_ns_extent {
	uint32_t inner, outer, count;
};
#define PV_NS_MAX_EXTENTS 16	/* pvimg's bound; the kernel takes 340 */

/* Where the subordinate ids lie on the host. */
struct pv_ns_ids {
	uint32_t uid_base, gid_base;		/* PV_NS_IDS from each */
};

/* The caller's subordinate ids: the first range of at least PV_NS_IDS in /etc/subuid and /etc/subgid under the
 * caller's name or number, else what getsubids(1) says; for root see above. PV_ERR_HOST with the way out. */
int pv_ns_ids(struct pv_ns_ids *ret, struct pv_error *err) PV_MUST_CHECK;

/* Moves this process, which must have one thread, into a new builder namespace. Afterwards it holds all capabilities
 * inside, keeps its ids (they read as PV_NS_SELF), its network and its files; mounts it makes go with it. Programs it
 * merely executes run as the caller without capabilities. PV_ERR_HOST in one line with the way out; after a failure
 * the process may be half way in and must do no more than say so and end. Within one it does nothing. */
int pv_ns_enter(struct pv_error *err) PV_MUST_CHECK;

/* Whether this process lives in a builder namespace and may mount there. */
bool pv_ns_active(void);

/* From the builder namespace into a user namespace below it, as its root: id 0 is the caller, 1 to PV_NS_IDS are the
 * subordinate ids. A program that is run there takes itself for root of a machine with other ids. */
int pv_ns_nest(struct pv_error *err) PV_MUST_CHECK;

/* Tries pv_ns_enter in a child: the same answer, without any change to this process. */
int pv_ns_probe(struct pv_error *err) PV_MUST_CHECK;

#endif
