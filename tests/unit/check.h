/* SPDX-License-Identifier: Apache-2.0 */
/* What every unit test includes: cmocka with its headers in the order it wants. */
#ifndef PV_TEST_CHECK_H
#define PV_TEST_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
