/* SPDX-License-Identifier: Apache-2.0 */
/* Compressed qcow2, written in one forward pass. qemu-img can write it too, but reads the disk once more, and gives the
 * same bytes twice only with one thread: `-W`, without which its threads wait for each other, writes clusters as they
 * come. Source of the layout: QEMU docs/interop/qcow2.txt. */
#ifndef PV_QCOW2_WRITE_H
#define PV_QCOW2_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "blocks.h"
#include "error.h"

struct pv_qcow2_writer;
/* Writes to fd, from its beginning. zlib: what readers older than QEMU 5.1 know; else zstd. size: whole 512-byte
 * sectors. */
int pv_qcow2_writer_new(uint64_t size, bool zlib, int fd, const char *name, struct pv_qcow2_writer **ret,
			struct pv_error *err) PV_MUST_CHECK;
void pv_qcow2_writer_free(struct pv_qcow2_writer *w);
/* The sink, whose step is pv_clusters_zstd or pv_clusters_deflate. */
int pv_qcow2_write(void *writer, const struct pv_block *b, const void *slot, struct pv_error *err);
int pv_qcow2_finish(struct pv_qcow2_writer *w, struct pv_error *err) PV_MUST_CHECK;

#endif
