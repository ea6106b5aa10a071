/* SPDX-License-Identifier: Apache-2.0 */
/* Writes an initramfs: a newc cpio archive whose bytes are a function of its entries alone. */
#ifndef PV_CPIO_H
#define PV_CPIO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"

struct pv_cpio;

enum pv_cpio_packing {
	PV_CPIO_PLAIN,
	PV_CPIO_GZIP,
	PV_CPIO_ZSTD,
};

/* Makes `path` (it must not exist). mtime: of every entry. Entries come in bytewise order of their names, each once, and
 * belong to root; inode numbers count up. Names are relative ("usr/bin"), without "." and "..". Anything else is
 * PV_ERR_STAGE, as is what the disk says. */
int pv_cpio_new(const char *path, enum pv_cpio_packing packing, int64_t mtime, struct pv_cpio **ret,
		struct pv_error *err) PV_MUST_CHECK;

int pv_cpio_dir(struct pv_cpio *c, const char *name, mode_t mode, struct pv_error *err) PV_MUST_CHECK;
int pv_cpio_link(struct pv_cpio *c, const char *name, const char *target, struct pv_error *err) PV_MUST_CHECK;
int pv_cpio_data(struct pv_cpio *c, const char *name, mode_t mode, const void *data, size_t len, struct pv_error *err)
	PV_MUST_CHECK;
/* A regular file, from where the descriptor stands to its end. */
int pv_cpio_file(struct pv_cpio *c, const char *name, mode_t mode, int fd, struct pv_error *err) PV_MUST_CHECK;

/* Writes the end; without it the archive is not whole. */
int pv_cpio_end(struct pv_cpio *c, struct pv_error *err) PV_MUST_CHECK;
void pv_cpio_free(struct pv_cpio *c);		/* NULL is fine */
void pv_cpio_freep(struct pv_cpio **c);
#define pv_autocpio __attribute__((cleanup(pv_cpio_freep))) struct pv_cpio

#endif
