/* SPDX-License-Identifier: Apache-2.0 */
/* Trees of files as one tar file, and back: all of them, or only what has changed since they were listed. */
#ifndef PV_SNAPSHOT_H
#define PV_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

#include "digest.h"
#include "error.h"

/* The format is POSIX pax, names as they are (hdrcharset=BINARY), owners as numbers of the builder namespace, times to the
 * nanosecond, xattrs that pv_ext4_write would take. A name that is gone stands as an empty file ".wh.NAME" before all
 * others, as in OCI layers (https://github.com/opencontainers/image-spec/blob/main/layer.md, "Whiteouts"); a tree that has
 * such a name itself is refused. Sockets are left out, device nodes refused: the builder namespace could not make them. */

/* Trees lie side by side under their names: "root/usr/bin/env". */
struct pv_snapshot_part {
	const char *name;		/* no slash */
	const char *path;		/* an existing folder */
};
#define PV_SNAPSHOT_PARTS_MAX 8u

/* What is there now: path, inode and ctime of everything. Waits until the clock that ctimes are taken from has moved on, so
 * that no change after the call goes unseen. */
struct pv_snapshot_list;
int pv_snapshot_list(const struct pv_snapshot_part *parts, size_t n, struct pv_snapshot_list **ret, struct pv_error *err)
	PV_MUST_CHECK;
void pv_snapshot_list_free(struct pv_snapshot_list *list);
void pv_snapshot_list_freep(struct pv_snapshot_list **list);
#define pv_autosnapshotlist __attribute__((cleanup(pv_snapshot_list_freep))) struct pv_snapshot_list

/* Writes them to the new file `path` (mode 0600); a failed call leaves none. since NULL: everything. Changes nothing in the
 * trees. */
int pv_snapshot_write(const char *path, const struct pv_snapshot_part *parts, size_t n, const struct pv_snapshot_list *since,
		      char ret_hex[PV_SHA256_HEX], uint64_t *ret_size, struct pv_error *err) PV_MUST_CHECK;

/* Lays a snapshot over the trees, whose folders exist: empty ones for a whole snapshot, for a changed one what was there
 * when they were listed. No name leads out of a part's folder, and no link is followed. PV_ERR_STAGE; the trees are then
 * worth nothing. */
int pv_snapshot_apply(const char *path, const struct pv_snapshot_part *parts, size_t n, struct pv_error *err) PV_MUST_CHECK;

#endif
