/* SPDX-License-Identifier: Apache-2.0 */
/* An XVA that is sent while it is made: its exact length first, from a reading of the disk that makes nothing, then its
 * bytes through a pipe. No file in between. */
#ifndef PV_XVA_STREAM_H
#define PV_XVA_STREAM_H

#include <stdint.h>

#include "digest.h"
#include "error.h"
#include "xva.h"

struct pv_xva_measure {
	uint64_t size;				/* of the XVA */
	char sha256[PV_SHA256_HEX];		/* of the raw disk */
};

struct pv_xva_source {				/* borrowed */
	int fd;					/* the raw disk */
	const char *name;			/* for errors */
	const struct pv_xva_machine *machine;	/* its disk_size is that of the file */
	void (*progress)(void *ctx, uint64_t done, uint64_t total);	/* of measuring; NULL: none */
	void *progress_ctx;
};

/* Reads the whole disk. */
int pv_xva_measure(const struct pv_xva_source *src, struct pv_xva_measure *ret, struct pv_error *err) PV_MUST_CHECK;

/* Starts to write the XVA to a pipe, in a thread. src and what it names outlive the stream. */
struct pv_xva_stream;
int pv_xva_stream_begin(const struct pv_xva_source *src, struct pv_xva_stream **ret, struct pv_error *err) PV_MUST_CHECK;
/* Where the bytes come out; the stream's own. */
int pv_xva_stream_fd(const struct pv_xva_stream *s);
/* Closes the pipe, waits for the thread and frees the stream. 0: all of it was written; ret_sha256: of the raw disk as
 * it was read for this stream. -1: the writing failed, or nobody read to the end. */
int pv_xva_stream_end(struct pv_xva_stream *s, char ret_sha256[PV_SHA256_HEX], struct pv_error *err) PV_MUST_CHECK;

#endif
