/* SPDX-License-Identifier: Apache-2.0 */
/* Two raw images compared: which partition, which file, which bytes, and what wrote them. Nothing is changed. */
#ifndef PV_IMGDIFF_H
#define PV_IMGDIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "image.h"
#include "text.h"

enum pv_imgdiff_kind {
	PV_IMGDIFF_ONLY_FIRST,		/* a file or folder that only one of them has */
	PV_IMGDIFF_ONLY_SECOND,
	PV_IMGDIFF_TYPE,		/* a file here, a folder there */
	PV_IMGDIFF_CONTENT,		/* of a regular file; first and second are bytes in hex from `offset` on */
	PV_IMGDIFF_LINK,		/* where a symbolic link leads */
	PV_IMGDIFF_MODE,
	PV_IMGDIFF_OWNER,		/* "UID:GID" */
	PV_IMGDIFF_SIZE,		/* of a folder: a file's is in its content */
	PV_IMGDIFF_LINKS,		/* how many names it has */
	PV_IMGDIFF_DEVICE,
	PV_IMGDIFF_XATTR,
	PV_IMGDIFF_MTIME,
	PV_IMGDIFF_TIMES,		/* atime, ctime and crtime */
	PV_IMGDIFF_INODE,		/* number, flags or generation */
	PV_IMGDIFF_TABLE,		/* the disk's size, its partitions */
	PV_IMGDIFF_BYTES,		/* of no file: boot code, tables, structures of the file system */
	PV_IMGDIFF_KINDS,
};
/* "content", "only-first", ... */
const char *pv_imgdiff_kind_name(enum pv_imgdiff_kind kind);

struct pv_imgdiff_item {
	enum pv_imgdiff_kind kind;
	char *where;			/* "partition 1 (root)", "GPT" */
	char *path;			/* absolute; NULL: no file */
	int64_t offset;			/* of the first byte that differs, in the file or, without one, on the disk; -1: none */
	uint64_t count;			/* bytes that differ; of a folder that one lacks, files and folders in it */
	char *first, *second;		/* printable, short; "" where there is none */
	char *writer;			/* "package bash", "stage configure: initramfs"; never NULL */
};

#define PV_IMGDIFF_ITEMS_MAX 100000u	/* more are counted, not kept */
struct pv_imgdiff {
	struct pv_imgdiff_item *v;
	size_t n, cap;
	uint64_t total;
};

struct pv_imgdiff_options {
	/* Every byte and every time counts; else only what a user of the image can tell apart: files, their owners, modes,
	 * data and links. */
	bool exact;
	const char *overlays_dir;	/* NULL: not known */
	const struct pv_strv *overlays;	/* those that were laid, which makes them possible writers; NULL: not known */
};

/* Fills ret: in the order disk, ESP, root (bytewise by path). What is damaged and so cannot be read is told as differing.
 * PV_ERR_STAGE: an image cannot be read at all. */
int pv_imgdiff(const struct pv_image *first, const struct pv_image *second, const struct pv_imgdiff_options *options,
	       struct pv_imgdiff *ret, struct pv_error *err) PV_MUST_CHECK;
void pv_imgdiff_done(struct pv_imgdiff *diff);
#define pv_autoimgdiff __attribute__((cleanup(pv_imgdiff_done))) struct pv_imgdiff

/* One line for people: "partition 1 (root), /etc/motd: content differs at byte 12 (3 in all): 61 62, 63 64; written by
 * package base-files". The caller frees. */
char *pv_imgdiff_text(const struct pv_imgdiff_item *item);

/* A list of at most `max` items, each with the image's `file` name (jansson; a new reference). */
struct json_t;
struct json_t *pv_imgdiff_json(const struct pv_imgdiff *diff, const char *file, size_t max);

/* The same of two files that are no images (manifest.json): where they differ first. *ret_text NULL: they are equal.
 * `name` is for the words. The caller frees. */
int pv_imgdiff_files(const char *first, const char *second, const char *name, char **ret_text, struct pv_error *err)
	PV_MUST_CHECK;

#endif
