/* SPDX-License-Identifier: Apache-2.0 */
/* Unpacks .debs into a tree, as dpkg would lay their files out; nothing is configured and nothing is run. */
#ifndef PV_DEBTREE_H
#define PV_DEBTREE_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

#define PV_DEBTREE_ENTRIES_MAX 200000u	/* of one package */

struct pv_debtree_options {
	uint64_t max_bytes;		/* of one package's files */
	bool owned_by_root;		/* entries get owner and group 0; else they stay the caller's */
	/* Which files and links to take, by their path without "./"; NULL: all. Folders are always taken. */
	bool (*wanted)(const char *path);
};

/* Makes the empty tree that packages of a merged-/usr suite expect: /bin, /sbin, /lib, /lib64 are links into /usr, and there
 * are dev, proc, sys, run and tmp. root exists. */
int pv_debtree_begin(const char *root, const struct pv_debtree_options *options, struct pv_error *err) PV_MUST_CHECK;

/* Unpacks one. Links of the tree are followed as the tree itself would see them and never out of it; a name with "..", a
 * file where a folder is, a hard link to anything but a file of the tree, a device or fifo, and what is beyond the
 * bounds is PV_ERR_ARCHIVE. Modes are kept but for set-id and sticky bits; times are not kept. */
int pv_debtree_unpack(const char *deb_path, const char *root, const struct pv_debtree_options *options,
		      struct pv_error *err) PV_MUST_CHECK;

#endif
