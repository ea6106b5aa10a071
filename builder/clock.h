/* SPDX-License-Identifier: Apache-2.0 */
/* How time passes, whatever the wall clock does meanwhile. */
#ifndef PV_CLOCK_H
#define PV_CLOCK_H

#include <stdint.h>

/* CLOCK_MONOTONIC in milliseconds. */
uint64_t pv_clock_ms(void);

#endif
