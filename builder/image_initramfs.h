/* SPDX-License-Identifier: Apache-2.0 */
/* Names of the files in an initramfs. */
#ifndef PV_IMAGE_INITRAMFS_H
#define PV_IMAGE_INITRAMFS_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "text.h"

#define PV_INITRAMFS_ENTRIES_MAX 200000u
#define PV_INITRAMFS_BYTES_MAX ((uint64_t)2 << 30)	/* unpacked; more is refused */

/* Adds the names to *ret, without "./" before them, unsorted. As the kernel reads it (Documentation/driver-api/early-
 * userspace/buffer-format.rst): any number of cpio archives ("newc", magic 070701 or 070702) one after the other, with
 * zeros between, of which the last may be compressed whole. PV_ERR_DIFFERS when it is damaged; *ret then holds what was
 * read until there. */
int pv_initramfs_names(const uint8_t *data, size_t len, struct pv_strv *ret, struct pv_error *err) PV_MUST_CHECK;

#endif
