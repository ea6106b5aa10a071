/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by image.c and image_*.c only. */
#ifndef PV_IMAGE_PRIV_H
#define PV_IMAGE_PRIV_H

#include <ext2fs/ext2fs.h>

#include "image.h"

struct pv_image {
	char *path;
	int fd;
	uint64_t size;
	struct pv_image_part *parts;
	size_t nparts;
	const struct pv_image_part *root;
	struct pv_strv gpt_faults;
	ext2_filsys fs;			/* read-only */
};

#endif
