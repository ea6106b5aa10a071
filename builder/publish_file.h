/* SPDX-License-Identifier: Apache-2.0 */
/* The one file that a target takes, in its format: made without a name beside the image, or the image itself. */
#ifndef PV_PUBLISH_FILE_H
#define PV_PUBLISH_FILE_H

#include <stdint.h>

#include "digest.h"
#include "error.h"
#include "machine.h"

struct pv_publish_file {
	int fd;
	uint64_t size;				/* bytes of the file */
	uint64_t disk_size;
	char sha256[PV_SHA256_HEX];		/* of the disk */
};
void pv_publish_file_done(struct pv_publish_file *f);
#define PV_PUBLISH_FILE_INIT { -1, 0, 0, "" }

/* format: a word of export; "raw" is the image's own file, which may change later: ask pv_publish_file_hash. Anything else
 * is gone when closed, and nobody else can reach it. PV_ERR_STAGE; PV_ERR_USAGE for a disk of no whole MiB, or one that the
 * format does not hold. */
int pv_publish_file_make(const char *image, const struct pv_machine *machine, const char *format,
			 void (*progress)(void *ctx, uint64_t done, uint64_t total), void *ctx,
			 struct pv_publish_file *ret, struct pv_error *err) PV_MUST_CHECK;

/* The hash of the file's bytes in hex, by OpenSSL's name of the algorithm ("sha512"); the caller frees. *ret is NULL where
 * OpenSSL knows no such one. */
int pv_publish_file_hash(const struct pv_publish_file *f, const char *algorithm, char **ret, struct pv_error *err)
	PV_MUST_CHECK;

#endif
