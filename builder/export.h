/* SPDX-License-Identifier: Apache-2.0 */
/* A raw disk image in the formats that clouds take: all of them from one read, whole or not at all, the same bytes
 * every time. */
#ifndef PV_EXPORT_H
#define PV_EXPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "machine.h"
#include "text.h"

/* NULL-terminated words of --format and formats:. */
const char *const *pv_export_formats(void);
/* 0, or -1 with words that name what is wrong: an unknown word, one that is there twice, two for the same file, one
 * that holds no disk of that size (bytes; 0: not known yet). PV_ERR_USAGE. */
int pv_export_check(const char *const *formats, size_t n, uint64_t size, struct pv_error *err) PV_MUST_CHECK;

struct pv_export_request {
	const char *image;			/* raw: a file or a block device */
	const struct pv_machine *machine;
	const char *const *formats;		/* as pv_export_check wants them */
	size_t nformats;
	const char *dir;			/* exists; files are DIR/NAME.SUFFIX */
	int stream_fd;				/* >= 0: the one format goes there, dir is NULL; else -1 */
	bool pad;				/* fill up to whole MiB instead of refusing */
	unsigned threads;			/* 0: one a processor */
	void (*progress)(void *ctx, uint64_t done, uint64_t total);
	void *progress_ctx;
};

/* Adds the paths of the files made to ret_files, in the order of the formats, side files last. Not there afterwards:
 * anything of a run that failed. A "raw" that would be the image itself is left out; PV_ERR_USAGE where it wants padding,
 * and for what a format cannot hold. PV_ERR_STAGE. */
int pv_export(const struct pv_export_request *req, struct pv_strv *ret_files, struct pv_error *err) PV_MUST_CHECK;

/* What the ids of exported files come from: the machine's seed, or where it has none a digest of the disk's blocks.
 * PV_ERR_STAGE. */
int pv_export_seed(int fd, uint64_t size, const char *name, const struct pv_machine *machine, unsigned threads,
		   char ret[PV_SHA256_HEX], struct pv_error *err) PV_MUST_CHECK;

#endif
