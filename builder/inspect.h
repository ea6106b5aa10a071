/* SPDX-License-Identifier: Apache-2.0 */
/* What a disk image file is, what is in it, and what is wrong with it: anybody's file, read as hostile data. */
#ifndef PV_INSPECT_H
#define PV_INSPECT_H

#include <stdint.h>

#include "container.h"
#include "error.h"
#include "text.h"

struct pv_inspect_part {
	unsigned number;
	uint64_t start, size;		/* bytes */
	char *type;			/* of its table: a GUID, or "0x83"; never NULL */
	char *name;			/* of a GPT; NULL: none */
	char *fs, *label, *uuid;	/* of the file system or the like in it; NULL: none known */
};

struct pv_inspect {
	enum pv_container kind;
	uint64_t file_size, size;	/* size: of the disk, 0: not known */
	struct pv_strv facts;		/* "creator: tap 1.3", for people */
	struct pv_strv faults;		/* damage: one line each */
	struct pv_strv notes;		/* legal, and yet somebody's importer trips over it */
	char *table;			/* "gpt", "dos"; NULL: none */
	char *bare_fs;			/* the file system of a disk without partitions; NULL: none */
	char *system;                   /* /etc/os-release's PRETTY_NAME of the root file system; NULL: not found */
	struct pv_inspect_part *parts;
	size_t nparts;
};

/* tmp_dir: where the disk is unpacked to meanwhile, as a file without a name; NULL: what is inside is not looked at
 * (the container is checked whole all the same). PV_ERR_STAGE when the file cannot be read or is nothing that is known.
 */
int pv_inspect(const char *path, const char *tmp_dir, struct pv_inspect *ret, struct pv_error *err) PV_MUST_CHECK;
void pv_inspect_done(struct pv_inspect *in);
#define pv_autoinspect __attribute__((cleanup(pv_inspect_done))) struct pv_inspect

/* pvimg.inspect/1, ending in a newline; the caller frees. */
char *pv_inspect_json(const struct pv_inspect *in, const char *path);

#endif
