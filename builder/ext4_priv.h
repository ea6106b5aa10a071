/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by ext4*.c only: the file system being written. */
#ifndef PV_EXT4_PRIV_H
#define PV_EXT4_PRIV_H

#include <sys/stat.h>

#include <ext2fs/ext2_fs.h>
#include <ext2fs/ext2fs.h>
#include <ext2fs/ext3_extents.h>

#include "ext4.h"

#define PV_EXT4_BLOCK 4096u
#define PV_EXT4_HOLE_UNIT (64u * 1024u)
#define PV_EXT4_BUFFER (1024u * 1024u)		/* a multiple of PV_EXT4_HOLE_UNIT */

/* A run of blocks of one file. */
struct pv_ext4_run {
	uint64_t physical;
	uint32_t logical, len;
};

struct pv_ext4_runs {
	struct pv_ext4_run *v;
	size_t n, cap;
};

struct pv_ext4 {
	ext2_filsys fs;
	int fd;				/* the image, for data written past libext2fs */
	const char *image;		/* its path, for messages */
	const struct pv_ext4_options *options;
	uint64_t offset;		/* of the partition */

	/* free blocks are handed out upwards, inodes too */
	uint64_t run_start, run_end;	/* known to be free: [run_start, run_end) */
	ext2_ino_t last_ino;

	/* blocks that follow each other on disk, waiting for one write */
	uint8_t *buffer;
	size_t fill;
	uint64_t buffer_block;

	struct pv_ext4_runs runs;	/* of the file at hand */
	void *hard_links;		/* tsearch tree */
	size_t nodes_placed;		/* of options->nodes */
	ext2_ino_t lost_found;
	struct pv_ext4_stats stats;
	uint64_t done, total;		/* progress */
	pv_ext4_progress_fn *progress;
	void *progress_ctx;
};

/* com_err's words into an error; what names the thing at hand. Always -1. */
int pv_ext4_fail(struct pv_error *err, errcode_t code, const char *what);

/* ext4_file.c */

/* Allocates n blocks in as few pieces as there are, appends them to w->runs at logical, and writes the data there
 * (through the buffer; src may lie within it behind the fill mark). */
int pv_ext4_put(struct pv_ext4 *w, const uint8_t *src, uint32_t logical, uint32_t n, struct pv_error *err)
	PV_MUST_CHECK;
int pv_ext4_flush(struct pv_ext4 *w, struct pv_error *err) PV_MUST_CHECK;
/* The free run at hand is no longer trusted: libext2fs has allocated blocks by itself. */
void pv_ext4_forget_run(struct pv_ext4 *w);
/* Copies size bytes of fd. Fills w->runs. */
int pv_ext4_copy(struct pv_ext4 *w, int fd, const struct stat *st, const char *path, struct pv_error *err)
	PV_MUST_CHECK;
/* Writes the inode with w->runs as its extents, and empties w->runs. */
int pv_ext4_write_mapped(struct pv_ext4 *w, ext2_ino_t ino, struct ext2_inode_large *inode, const char *path,
			 struct pv_error *err) PV_MUST_CHECK;
int pv_ext4_write_inode(struct pv_ext4 *w, ext2_ino_t ino, struct ext2_inode_large *inode, const char *path,
			struct pv_error *err) PV_MUST_CHECK;

/* ext4_dir.c */

struct pv_ext4_dirent {
	const char *name;
	ext2_ino_t ino;
	uint8_t type;			/* EXT2_FT_* */
	uint32_t hash, minor_hash;
};

/* Writes a folder's blocks and its inode; indexed (htree) when it takes more than one block. Sorts entries. */
int pv_ext4_write_dir(struct pv_ext4 *w, ext2_ino_t ino, ext2_ino_t parent, struct ext2_inode_large *inode,
		      struct pv_ext4_dirent *entries, size_t n, const char *path, struct pv_error *err)
	PV_MUST_CHECK;

/* ext4_tree.c: everything below the folder `tree`, the root inode too. */
int pv_ext4_write_tree(struct pv_ext4 *w, const char *tree, struct pv_error *err) PV_MUST_CHECK;
void pv_ext4_forget_links(struct pv_ext4 *w);

/* ext4_xattr.c: copies the white-listed xattrs of fd to the inode, which is written already. */
int pv_ext4_copy_xattrs(struct pv_ext4 *w, int fd, ext2_ino_t ino, const char *path, struct pv_error *err)
	PV_MUST_CHECK;

#endif
