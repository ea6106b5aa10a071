/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of an image beside its bytes: name, system, flavor, epoch, and the seed that the ids of exported files
 * come from. */
#ifndef PV_MACHINE_H
#define PV_MACHINE_H

#include <stdint.h>

#include "digest.h"
#include "error.h"

#define PV_MACHINE_MEMORY (UINT64_C(2) << 30)	/* where nobody said */
#define PV_MACHINE_VCPUS 2u

struct pv_machine {
	char *name;
	char *distribution, *suite, *version;	/* NULL: not known; version "24.04" */
	uint64_t memory;			/* bytes */
	unsigned vcpus;
	int64_t epoch;				/* seconds since 1970; 0: not known */
	char seed[PV_SHA256_HEX];		/* "": none yet; the digest of the manifest */
};

/* Of the image at path: from manifest.json in its folder, where that names this file; else its file's name alone, with
 * SOURCE_DATE_EPOCH. memory, vcpus: from the command line, 0: not said. PV_ERR_STAGE for a manifest that cannot be
 * read. */
int pv_machine_of_image(const char *path, uint64_t memory, unsigned vcpus, struct pv_machine *ret, struct pv_error *err)
	PV_MUST_CHECK;
/* "Debian 12 (bookworm), PVHVM, made by pvimg", or less where less is known. The caller frees. */
char *pv_machine_description(const struct pv_machine *m);
void pv_machine_done(struct pv_machine *m);
/* "debian 12 (bookworm), PVHVM, made by pvimg", as far as it is known; the caller frees. */
char *pv_machine_description(const struct pv_machine *m);
#define pv_automachine __attribute__((cleanup(pv_machine_done))) struct pv_machine

#endif
