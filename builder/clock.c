/* SPDX-License-Identifier: Apache-2.0 */
/* The monotonic clock. */
#include "clock.h"

#include <time.h>

uint64_t pv_clock_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}
