/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by imgdiff.c and imgdiff_*.c only. */
#ifndef PV_IMGDIFF_PRIV_H
#define PV_IMGDIFF_PRIV_H

#include "imgdiff.h"

#define PV_IMGDIFF_SHOWN 8u		/* bytes shown on each side */
#define PV_IMGDIFF_CHUNK (1u << 20)

struct pv_imgdiff_run {
	const struct pv_image *first, *second;
	const struct pv_imgdiff_options *options;
	struct pv_imgdiff *diff;
};

/* A new item; its members are the caller's to fill. NULL: enough are kept. */
struct pv_imgdiff_item *pv_imgdiff_add(struct pv_imgdiff *diff, enum pv_imgdiff_kind kind, const char *where,
				       const char *path);

/* The same with both sides' words, which it takes over. */
void pv_imgdiff_note(struct pv_imgdiff *diff, enum pv_imgdiff_kind kind, const char *where, const char *path, char *first,
		     char *second);

/* "61 62 63" of at most PV_IMGDIFF_SHOWN bytes. The caller frees. */
char *pv_imgdiff_hex(const uint8_t *data, size_t len);

/* Two buffers of the same length; *at is the first byte that differs (untouched when none does). Returns how many do. */
uint64_t pv_imgdiff_count(const uint8_t *a, const uint8_t *b, size_t len, size_t *at);

/* imgdiff_disk.c: what is no file. */
int pv_imgdiff_disk(const struct pv_imgdiff_run *run, struct pv_error *err) PV_MUST_CHECK;
/* imgdiff_tree.c: files of the root and of the ESP. */
int pv_imgdiff_tree(const struct pv_imgdiff_run *run, struct pv_error *err) PV_MUST_CHECK;
void pv_imgdiff_esp(const struct pv_imgdiff_run *run);
/* imgdiff_writer.c: fills the writer of every item that has none. */
void pv_imgdiff_writers(const struct pv_imgdiff_run *run);

#endif
