/* SPDX-License-Identifier: Apache-2.0 */
/* A root tree into an ext4 file system inside a disk image: no mount, no root, the same bytes each time. */
#ifndef PV_EXT4_H
#define PV_EXT4_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"
#include "tree.h"

/* A device node that is made whether or not the tree has it (a user namespace cannot mknod). It replaces whatever
 * has this name in the tree, except a folder; its folder must be in the tree. */
struct pv_ext4_node {
	const char *path;		/* "dev/null", no leading slash */
	mode_t mode;			/* with S_IFCHR or S_IFBLK */
	uint32_t uid, gid;
	unsigned major, minor;
};

/* console null zero full random urandom tty ptmx: what boots without devtmpfs and what chroots expect. */
extern const struct pv_ext4_node pv_ext4_dev_nodes[];
extern const size_t pv_ext4_ndev_nodes;

struct pv_ext4_options {
	uint64_t offset, size;		/* of the partition within the image, bytes, multiples of 4096 */
	uint8_t uuid[16];		/* of the file system, as printed (big endian) */
	uint8_t hash_seed[16];		/* likewise */
	const char *label;		/* at most 16 bytes; NULL: none */
	int64_t epoch;			/* seconds; every time is this, an earlier mtime stays; 0 to 2^33 */
	const char *features;		/* for mke2fs -O: "has_journal,extent,..."; "none," is put before it. NULL:
					 * PV_EXT4_FEATURES */
	const struct pv_ext4_node *nodes;
	size_t nnodes;
	const struct pv_tree_stats *stats;	/* measured before; NULL: measured here */
};

/* What every supported suite's GRUB, kernel and e2fsck know (GRUB 2.06 and e2fsprogs 1.46 on). Without orphan_file and
 * metadata_csum_seed, which GRUB before 2.12 refuses to read. */
#define PV_EXT4_FEATURES "has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super," \
	"large_file,huge_file,dir_nlink,extra_isize,metadata_csum"

struct pv_ext4_stats {
	uint64_t inodes;		/* made, the root counted */
	uint64_t data_bytes;		/* written into files */
	uint64_t hole_bytes;		/* of zeros that became holes */
	uint64_t extents;		/* of regular files, all together */
	uint64_t free_bytes;		/* left in the file system, reserved blocks counted as free */
	uint64_t sockets;		/* skipped */
	uint64_t xattrs;		/* stored */
};

/* done and total in bytes of file data. */
typedef void pv_ext4_progress_fn(void *ctx, uint64_t done, uint64_t total);

/* Formats [offset, offset+size) of the existing image file, which must read as zeros there (fresh and sparse), and
 * fills it from the folder `tree`. Owners, modes and xattrs are taken as this process sees them (so it runs inside
 * the user namespace that made the tree). Stored xattrs: security.capability (always as version 2, without a
 * namespace's root id), POSIX ACLs, user.* except user.overlay.*. Sockets are skipped. Whole 64 KiB units of zeros
 * become holes in files larger than that. Bytes depend on the tree's content and the options only.
 * Errors: PV_ERR_STAGE; a tree that does not fit is refused before a file is written, with the size it needs;
 * PV_ERR_HOST when mke2fs is missing. After an error the image is worthless. ret may be NULL. */
int pv_ext4_write(const char *image_path, const struct pv_ext4_options *options, const char *tree,
		  pv_ext4_progress_fn *progress, void *progress_ctx, struct pv_ext4_stats *ret,
		  struct pv_error *err) PV_MUST_CHECK;

/* Of the library that writes it: "1.47.0". */
const char *pv_ext4_version(void);

#endif
