/* SPDX-License-Identifier: Apache-2.0 */
/* /etc/subuid and /proc/PID/uid_map: what is taken from them are whole ranges that do not wrap around. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "ns_map.h"
#include "text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	pv_autofree char *text = pv_xstrndup((const char *)data, size);
	struct pv_ns_extent have[PV_NS_MAX_EXTENTS], map[PV_NS_MAX_EXTENTS];
	uint32_t base;

	if (pv_ns_subid_parse(text, "user", 1000, &base) == 0 && base > UINT32_MAX - PV_NS_IDS)
		abort();
	int n = pv_ns_map_parse(text, have, PV_NS_MAX_EXTENTS);
	if (n > PV_NS_MAX_EXTENTS)
		abort();
	if (n < 0 || pv_ns_root_base(have, (size_t)n, &base) < 0)
		return 0;
	if (base == 0 || base > UINT32_MAX - PV_NS_IDS || pv_ns_root_map(have, (size_t)n, base, map, PV_NS_MAX_EXTENTS) == 0)
		abort();
	return 0;
}
