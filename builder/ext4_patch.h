/* SPDX-License-Identifier: Apache-2.0 */
/* Other contents for a small file of a root file system that pv_ext4_write made, so that the result is to the byte what
 * pv_ext4_write would have made of the changed tree. */
#ifndef PV_EXT4_PATCH_H
#define PV_EXT4_PATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

/* Bytes of the image that change. */
struct pv_patch_write {
	uint64_t offset;
	uint8_t *before, *after;	/* len each */
	size_t len;
};
struct pv_patch {
	struct pv_patch_write *v;
	size_t n;
};

/* A file that takes another number of blocks moves all that lie behind it; one larger than this may have holes. */
#define PV_PATCH_FILE_MAX 65536u

/* Adds what must be written so that the file `path` ("etc/hosts"; links on the way are followed inside the image) has these
 * contents. The image is only read. *ret_possible false: the file is no regular one, has several names, or would take
 * another number of blocks. Each path once. */
int pv_ext4_patch(const char *image, uint64_t partition, const char *path, const void *data, size_t len, struct pv_patch *patch,
		  bool *ret_possible, struct pv_error *err) PV_MUST_CHECK;

/* Adds len bytes at this offset that were `before`; nothing where they are the same. Both are copied. */
void pv_patch_add(struct pv_patch *patch, uint64_t offset, const void *before, const void *after, size_t len);

/* Writes all of it, or what was there before. */
int pv_patch_apply(const struct pv_patch *patch, int fd, const char *image, struct pv_error *err) PV_MUST_CHECK;
void pv_patch_done(struct pv_patch *patch);
#define pv_autopatch __attribute__((cleanup(pv_patch_done))) struct pv_patch

#endif
