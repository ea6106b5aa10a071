/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a tree of files: folders in bytewise order, nothing followed, everything counted. */
#ifndef PV_TREE_H
#define PV_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "error.h"

#define PV_TREE_BLOCK 4096u		/* sizes are rounded up to this, ext4's block size here */
#define PV_TREE_MAX_DEPTH 200u		/* folders in folders; deeper is refused (each level holds a descriptor) */

/* One entry of a folder. The name belongs to the folder's arena. */
struct pv_tree_entry {
	const char *name;
	struct stat st;			/* of the entry itself, links not followed */
};

/* One folder's entries, sorted bytewise by name, without "." and "..". */
struct pv_tree_dir {
	struct pv_tree_entry *v;
	size_t n;
	char *names;			/* the arena */
};

/* Opens a folder below dir_fd without following a link; path is for messages only. */
int pv_tree_open_dir(int dir_fd, const char *name, const char *path, int *ret_fd, struct pv_error *err)
	PV_MUST_CHECK;

/* Reads a whole folder. dir_fd stays the caller's and open. An entry that vanishes meanwhile is an error. */
int pv_tree_read_dir(int dir_fd, const char *path, struct pv_tree_dir *ret, struct pv_error *err) PV_MUST_CHECK;
void pv_tree_dir_done(struct pv_tree_dir *dir);		/* frees; idempotent */
#define pv_autotreedir __attribute__((cleanup(pv_tree_dir_done))) struct pv_tree_dir
#define PV_TREE_DIR_INIT { 0, 0, 0 }

/* Calls fn for every entry below root (not for root itself), a folder before what is in it, in bytewise order of
 * names within each folder. path is relative to root ("etc/fstab"); dir_fd is the entry's folder. fn's -1 ends the
 * walk. Asks for interruption. */
typedef int pv_tree_walk_fn(void *ctx, int dir_fd, const char *path, const struct pv_tree_entry *entry,
			    struct pv_error *err);
int pv_tree_walk(const char *root, pv_tree_walk_fn *fn, void *ctx, struct pv_error *err) PV_MUST_CHECK;

/* What a tree holds. A file with several names counts once in files, inodes and data_bytes. */
struct pv_tree_stats {
	uint64_t files;			/* regular files */
	uint64_t dirs;			/* folders, the root not counted */
	uint64_t links;			/* symbolic links */
	uint64_t hard_links;		/* further names of files seen already */
	uint64_t special;		/* device nodes and fifos */
	uint64_t sockets;		/* skipped when written */
	uint64_t inodes;		/* what the file system needs, the root counted, sockets not */
	uint64_t data_bytes;		/* of files, each rounded up to PV_TREE_BLOCK; of a sparse file of 64 MiB or more
					 * what it takes on the host */
	uint64_t dir_bytes;		/* blocks of folders and of long symbolic links, an upper bound */
};

/* Counts by stat alone (no file is opened). */
int pv_tree_measure(const char *root, struct pv_tree_stats *ret, struct pv_error *err) PV_MUST_CHECK;

/* Bytes of a partition that surely holds the tree as ext4 made by pv_ext4_write: data, folders, inode tables,
 * journal, superblock copies, reserved blocks and a margin; a multiple of 1 MiB. */
uint64_t pv_tree_ext4_need(const struct pv_tree_stats *stats);

#endif
