/* SPDX-License-Identifier: Apache-2.0 */
/* Where the bytes of a tree lie: how much is in each folder near the top. */
#ifndef PV_FOLDERS_H
#define PV_FOLDERS_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "image.h"

#define PV_FOLDERS_DEPTH 3u			/* "/usr/share/doc" */
#define PV_FOLDERS_FROM ((uint64_t)1 << 20)	/* smaller ones are left out */

/* What a folder and all below it hold: regular files, each rounded up to PV_TREE_BLOCK, one with several names counted
 * where it is met first. The first entry is "/", which is the whole. */
struct pv_folder {
	char *path;
	uint64_t bytes;
};
struct pv_folders {
	struct pv_folder *v;		/* bytewise by path */
	size_t n;
};

/* Both give the same of the same tree. */
int pv_folders_of_tree(const char *root, struct pv_folders *ret, struct pv_error *err) PV_MUST_CHECK;
void pv_folders_of_image(const struct pv_image *image, struct pv_folders *ret);
void pv_folders_done(struct pv_folders *folders);
#define pv_autofolders __attribute__((cleanup(pv_folders_done))) struct pv_folders

#endif
