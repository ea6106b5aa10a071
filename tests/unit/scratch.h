/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of a test's own: the working folder while it runs, gone afterwards. */
#ifndef PV_TEST_SCRATCH_H
#define PV_TEST_SCRATCH_H

#include <stdbool.h>

/* Makes and enters an empty folder below /tmp, or in memory where that is to be had; umask 022. For cmocka: 0 or -1. */
int scratch_enter(void **state);
int scratch_enter_memory(void **state);
/* Removes it with all that is in it. */
int scratch_leave(void **state);

#endif
