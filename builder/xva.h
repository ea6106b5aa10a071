/* SPDX-License-Identifier: Apache-2.0 */
/* XVA, what `xe vm-import` and PUT /import of XenServer and XCP-ng take: written from nothing but a disk and a flavor,
 * and read back as hostile data.
 *
 * An XVA is a tar (ustar): ova.xml, then the disk in chunks of 1 MiB named "Ref:NNN/%08u", each followed by its
 * checksum. Chunks of zeros are left out, but never the first or the last. Sources: xapi-project/xen-api
 * ocaml/xapi/{export,import,importexport, stream_vdi}.ml, and, for the fields that an object must have,
 * vatesfr/xen-orchestra @xen-orchestra/xva/templates. */
#ifndef PV_XVA_H
#define PV_XVA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "blocks.h"
#include "error.h"
#include "text.h"

#define PV_XVA_CHUNK ((size_t)1 << 20)
#define PV_XVA_MAX (UINT64_C(100000000) << 20)		/* eight digits of chunks */

struct pv_xva_machine {
	const char *name, *description;
	const char *seed;		/* every id is a function of it */
	uint64_t memory;		/* bytes */
	unsigned vcpus;
	uint64_t disk_size;		/* whole MiB */
};

/* --- writing --- */

/* The names of the disk's chunks begin with it; the importer reads disks in the order of these ids. */
#define PV_XVA_VDI "Ref:005"

/* ova.xml, export version 2, importable by xapi 1.20 (2018) and newer. The caller frees. */
char *pv_xva_ova(const struct pv_xva_machine *machine);

struct pv_xva_writer;
/* Writes to fd, a pipe may be fine; the descriptor stays the caller's. xxhash: XXH64 sums (xapi of 2019 and newer)
 * instead of SHA-1. name: for errors. */
int pv_xva_writer_new(const struct pv_xva_machine *machine, bool xxhash, int fd, const char *name,
		      struct pv_xva_writer **ret, struct pv_error *err) PV_MUST_CHECK;
void pv_xva_writer_free(struct pv_xva_writer *w);
const struct pv_block_step *pv_xva_step(bool xxhash);
int pv_xva_write(void *writer, const struct pv_block *b, const void *slot, struct pv_error *err);
int pv_xva_finish(struct pv_xva_writer *w, struct pv_error *err) PV_MUST_CHECK;

/* --- reading --- */

struct pv_xva {
	char *machine;			/* the VM's name, printable; NULL: none */
	uint64_t memory;		/* 0: not said */
	unsigned vcpus, disks;		/* disks: VDIs in ova.xml */
	uint64_t size;			/* of the first disk */
	bool xxhash;
	uint64_t chunks;		/* of the first disk, that are there */
};
void pv_xva_done(struct pv_xva *xva);
#define pv_autoxva __attribute__((cleanup(pv_xva_done))) struct pv_xva

/* ova.xml alone: machine, memory, vcpus, disks, size of the VDI whose id is *ret_vdi (caller frees). faults: what is
 * missing or refers to nothing. Bounded: PV_XVA_OVA_MAX bytes, no entities, 64 levels. PV_ERR_STAGE where no VDI can be
 * found. */
#define PV_XVA_OVA_MAX ((size_t)16 << 20)
int pv_xva_ova_read(const char *xml, size_t len, const char *name, struct pv_xva *ret, char **ret_vdi,
		    struct pv_strv *faults, struct pv_error *err) PV_MUST_CHECK;

/* What a disk chunk is given to, in order; what is between was left out and is zeros. */
typedef int pv_xva_chunk_fn(void *ctx, uint64_t offset, const uint8_t *data, size_t len, struct pv_error *err);

/* Reads an XVA (gzip and zstd around it too) from fd from its beginning; fn may be NULL. Only the first disk's chunks
 * go to fn; the others are checked all the same. faults: wrong checksums, order, missing chunks, as an importer would
 * see them. */
int pv_xva_read(int fd, const char *name, struct pv_xva *ret, pv_xva_chunk_fn *fn, void *ctx, struct pv_strv *faults,
		struct pv_error *err) PV_MUST_CHECK;

#endif
