/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by snapshot*.c only. */
#ifndef PV_SNAPSHOT_PRIV_H
#define PV_SNAPSHOT_PRIV_H

#include <stdbool.h>
#include <sys/stat.h>
#include <time.h>

#include "snapshot.h"

#define PV_SNAPSHOT_GONE ".wh."

#define PV_SNAPSHOT_XATTRS_MAX 4096u	/* bytes of the names of one file's xattrs, which is what an inode and a block hold */

/* Whether snapshots have xattrs of that name. */
bool pv_snapshot_has_xattr(const char *name);

struct pv_snapshot_item {
	char *path;			/* with the part's name before it */
	ino_t ino;
	mode_t mode;
	struct timespec ctime;
};

struct pv_snapshot_list {
	struct pv_snapshot_item *v;	/* sorted by path, a folder right before all that is in it */
	size_t n, cap;
};

/* The xattrs that snapshots have: those that pv_ext4_write would take. */
#define PV_SNAPSHOT_XATTRS_MAX 4096u	/* of a file's names together */
bool pv_snapshot_has_xattr(const char *name);

const struct pv_snapshot_item *pv_snapshot_find(const struct pv_snapshot_list *list, const char *path);

#endif
