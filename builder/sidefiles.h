/* SPDX-License-Identifier: Apache-2.0 */
/* What a cloud wants to be told of an image, as files beside it: made from name, system and flavor, the same bytes
 * every time. */
#ifndef PV_SIDEFILES_H
#define PV_SIDEFILES_H

#include <stdint.h>

#include "error.h"
#include "machine.h"
#include "text.h"

/* The text of NAME.xl.cfg. disk: its path there, without double quotes and backslashes; NULL: one that has to be put
 * right. bridge NULL: xenbr0. The caller frees. */
char *pv_sidefiles_xl(const struct pv_machine *m, const char *disk, const char *bridge);
/* The text of NAME.xapi.json. The caller frees. */
char *pv_sidefiles_xapi(const struct pv_machine *m, uint64_t disk_size);
/* The text of NAME.glance.json. The caller frees. */
char *pv_sidefiles_glance(const struct pv_machine *m, uint64_t disk_size);

/* Writes, and adds the paths to ret_files:
 * DIR/NAME.xl.cfg     a PVHVM guest for `xl create` (xl.cfg(5) of Xen 4.17)
 * DIR/NAME.xapi.json  the fields of a XenServer or XCP-ng template (VM.create's record, and its VBD)
 * DIR/NAME.glance.json  the body of POST /v2/images of OpenStack's Glance, for the vhd.tar.gz; properties are strings
 * DIR/NAME.ec2.json   for `aws ec2 register-image --cli-input-json`, but for the id of the imported snapshot
 * DIR/NAME.user-data, NAME.meta-data  an example for cloud-init's NoCloud data source
 * Each appears whole; those that are there are replaced. */
int pv_sidefiles_write(const struct pv_machine *m, uint64_t disk_size, const char *dir, struct pv_strv *ret_files,
		       struct pv_error *err) PV_MUST_CHECK;

#endif
