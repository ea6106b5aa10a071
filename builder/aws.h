/* SPDX-License-Identifier: Apache-2.0 */
/* Who one is to Amazon's cloud and those that are like it: the environment, then ~/.aws, as that cloud's own tools have it
 * (AWS SDKs and Tools Reference Guide, "Shared config and credentials files"). */
#ifndef PV_AWS_H
#define PV_AWS_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"

struct pv_aws {
	char *key_id, *secret, *token;		/* token NULL: none */
	char *region, *endpoint;		/* NULL: nobody said */
};
void pv_aws_done(struct pv_aws *aws);
#define pv_autoaws __attribute__((cleanup(pv_aws_done))) struct pv_aws

/* AWS_ACCESS_KEY_ID and its like, else the profile AWS_PROFILE ("default") of ~/.aws/credentials or
 * AWS_SHARED_CREDENTIALS_FILE, which nobody else may read. Region: AWS_REGION, AWS_DEFAULT_REGION; endpoint:
 * AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL; both else from ~/.aws/config or AWS_CONFIG_FILE. PV_ERR_USAGE, without secrets. */
int pv_aws_load(struct pv_aws *ret, struct pv_error *err) PV_MUST_CHECK;

/* The values of `keys` in [section] of such a file; *ret[i] is NULL where it has none, else owned. Indented lines belong to
 * nested settings and are passed over. *ret_found: there is such a section. name: for errors, which show no value.
 * PV_ERR_USAGE for a line that is neither comment, section nor setting, and for a key that is there twice. */
int pv_aws_ini(const char *text, const char *name, const char *section, const char *const *keys, char **const *ret,
	       size_t n, bool *ret_found, struct pv_error *err) PV_MUST_CHECK;

#endif
