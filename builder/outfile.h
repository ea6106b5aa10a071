/* SPDX-License-Identifier: Apache-2.0 */
/* A large output file that appears whole or not at all: it has no name until it is done, where the file system can do
 * that, so that a killed run leaves nothing. */
#ifndef PV_OUTFILE_H
#define PV_OUTFILE_H

#include "error.h"

struct pv_outfile {
	char *path;			/* what it will be called */
	char *hidden;			/* its name meanwhile; NULL: none yet */
	int fd;				/* read and write, close-on-exec */
};
#define PV_OUTFILE_INIT { 0, 0, -1 }

/* The folder must be there. PV_ERR_STAGE. */
int pv_outfile_open(const char *path, struct pv_outfile *ret, struct pv_error *err) PV_MUST_CHECK;

/* Gives it its name, mode 0644, and closes it; replaces what had the name. */
int pv_outfile_commit(struct pv_outfile *out, struct pv_error *err) PV_MUST_CHECK;

/* Without a commit before: the file is gone. Idempotent. */
void pv_outfile_done(struct pv_outfile *out);
#define pv_autooutfile __attribute__((cleanup(pv_outfile_done))) struct pv_outfile

#endif
