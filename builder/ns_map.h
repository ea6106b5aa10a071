/* SPDX-License-Identifier: Apache-2.0 */
/* Id maps as values: parsing and placing ranges, no system calls. Only ns.c and tests use this. */
#ifndef PV_NS_MAP_H
#define PV_NS_MAP_H

#include "ns.h"

/* The first range of at least PV_NS_IDS ids in text (the form of /etc/subuid: "owner:first:count" lines) that belongs
 * to `name` (may be NULL) or to `id`. 0, or -1 when there is none. Bad lines are skipped. */
int pv_ns_subid_parse(const char *text, const char *name, uint32_t id, uint32_t *ret_base) PV_MUST_CHECK;

/* The form of /proc/PID/uid_map: at most `max` extents; returns how many, -1 when text is not such a map. */
int pv_ns_map_parse(const char *text, struct pv_ns_extent *ret, size_t max) PV_MUST_CHECK;

/* Root's map: 0..65535 at base.., then from PV_NS_SELF on the host's ids in order as far as `have` (the map of the
 * namespace root itself lives in) has them and they are not in base's range. Returns the number of extents, -1 when
 * base's range is not wholly in one extent of `have`, id 0 is not in it, or there are too many pieces. */
int pv_ns_root_map(const struct pv_ns_extent *have, size_t nhave, uint32_t base, struct pv_ns_extent *ret,
		   size_t max) PV_MUST_CHECK;

/* PV_NS_ROOT_BASE if `have` has all of that range, else the highest range that one extent has whole and that leaves
 * out id 0. 0 or -1. */
int pv_ns_root_base(const struct pv_ns_extent *have, size_t nhave, uint32_t *ret_base) PV_MUST_CHECK;

#endif
