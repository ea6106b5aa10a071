/* SPDX-License-Identifier: Apache-2.0 */
/* The part of pvimg publish that publishes nothing. */
#ifndef PV_CMD_FINGERPRINT_H
#define PV_CMD_FINGERPRINT_H

#include "cmd.h"

/* Prints the certificate that the host of a target shows. It is asked without a word of credentials. */
int pv_cmd_show_fingerprint(const struct pv_cmd_ctx *ctx, const char *to, struct pv_error *err) PV_MUST_CHECK;

#endif
