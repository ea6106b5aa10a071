/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of the boot: being written. */
#include "lint.h"

const struct pv_lint_check pv_lint_boot_checks[] = { { NULL, NULL, NULL } };
