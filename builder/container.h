/* SPDX-License-Identifier: Apache-2.0 */
/* What a disk image is packed in, found by its bytes, and the raw disk out of it. Files are hostile. */
#ifndef PV_CONTAINER_H
#define PV_CONTAINER_H

#include <stdint.h>

#include "error.h"
#include "text.h"

enum pv_container {
	PV_CONTAINER_RAW,
	PV_CONTAINER_QCOW2,
	PV_CONTAINER_VHD,
	PV_CONTAINER_VHD_TAR,		/* a tar of 0.vhd, in gzip mostly */
	PV_CONTAINER_XVA,
	PV_CONTAINER_ZSTD,		/* something in zstd; unpacked only where it is a raw disk */
	PV_CONTAINER_OTHER,		/* something else that is known, and not read: a VMDK, a zip archive */
};

/* Of NAME.vhd and the others: NAME.original-size has the disk's size before it was padded, in bytes. */
#define PV_CONTAINER_SIZE_SUFFIX ".original-size"

/* By the first bytes, the last ones (a VHD of fixed size), and a tar's first member. */
int pv_container_detect(int fd, uint64_t file_size, const char *name, enum pv_container *ret, struct pv_error *err)
	PV_MUST_CHECK;
/* "a VHD", "raw": for messages; "vhd": for programs. */
const char *pv_container_what(enum pv_container kind);
const char *pv_container_word(enum pv_container kind);

struct pv_unpack_request {
	int fd;				/* the file, a descriptor that lseek works on */
	uint64_t file_size;
	const char *name;		/* for errors */
	enum pv_container kind;
	int out_fd;			/* an empty file: the disk's zeros become holes */
	const char *tmp_dir;		/* for a file without a name, where a tar's VHD is put meanwhile */
	void (*progress)(void *ctx, uint64_t done, uint64_t total);	/* NULL: none; qcow2 tells nothing */
	void *progress_ctx;
};

/* The whole disk, bit for bit; *ret_size: its size. Faults of the container are an error: what would come out is not
 * what went in. qcow2 takes qemu-img (PV_ERR_HOST without), with the file as a descriptor and its format told; backing
 * files and the like are refused before. */
int pv_container_unpack(const struct pv_unpack_request *req, uint64_t *ret_size, struct pv_error *err) PV_MUST_CHECK;

/* Copies a tar's first member, which must be a VHD of at most PV_VHD_MAX and its tables, to out_fd. */
int pv_container_vhd_of_tar(int fd, const char *name, int out_fd, struct pv_error *err) PV_MUST_CHECK;

/* A file without a name in dir, gone when closed. */
int pv_container_tmp(const char *dir, int *ret_fd, struct pv_error *err) PV_MUST_CHECK;

#endif
