/* SPDX-License-Identifier: Apache-2.0 */
/* A disk image file from anywhere, opened read-only: which format it is, decided here and never guessed by QEMU. */
#ifndef PV_DISKFILE_H
#define PV_DISKFILE_H

#include <stddef.h>
#include <stdint.h>

#include "digest.h"
#include "error.h"

enum pv_disk_format {
	PV_FORMAT_RAW,
	PV_FORMAT_QCOW2,
};

struct pv_diskfile {
	char *path;
	int fd;				/* read-only, close-on-exec */
	enum pv_disk_format format;
	uint64_t file_size;
	uint64_t size;			/* of the disk inside: what a guest sees */
};
#define PV_DISKFILE_INIT { 0, -1, 0, 0, 0 }

/* format NULL: by the file's first bytes; "raw" or "qcow2": the caller's word. Refused: a qcow2 that qcow2.h refuses
 * (backing file, external data file, encryption, unknown features, cut off); what was not called raw and begins or ends
 * like another disk format or a packed file; a raw file that is empty, is no whole number of 512-byte sectors, or ends
 * before its own partition table says; folders, pipes and the like. A block device is fine (its size by ioctl).
 * PV_ERR_STAGE, PV_ERR_USAGE for an unknown format word; one line with the way out. */
int pv_diskfile_open(const char *path, const char *format, struct pv_diskfile *ret, struct pv_error *err)
	PV_MUST_CHECK;
void pv_diskfile_done(struct pv_diskfile *disk);
#define pv_autodiskfile __attribute__((cleanup(pv_diskfile_done))) struct pv_diskfile

/* What a file that begins like this is, when it is no raw disk: "a VMDK", "a zip archive"; NULL: nothing that is known. */
const char *pv_diskfile_foreign(const uint8_t *head, size_t len);

const char *pv_disk_format_name(enum pv_disk_format format);

/* SHA-256 of the file as it is (holes read as zeros), through disk->fd. A file that has another size than when it was
 * opened is an error. May run in a thread of its own. */
int pv_diskfile_digest(const struct pv_diskfile *disk, char ret_hex[PV_SHA256_HEX], struct pv_error *err) PV_MUST_CHECK;

#endif
