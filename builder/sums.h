/* SPDX-License-Identifier: Apache-2.0 */
/* SHA256SUMS of a folder: the file's text, and what it says of the files that are there. */
#ifndef PV_SUMS_H
#define PV_SUMS_H

#include <stdbool.h>
#include <stddef.h>

#include "digest.h"
#include "error.h"
#include "text.h"

#define PV_SUMS_FILE "SHA256SUMS"
#define PV_SUMS_GPG "SHA256SUMS.gpg"		/* detached OpenPGP signature */
#define PV_SUMS_SSH "SHA256SUMS.sig"		/* of ssh-keygen -Y sign */
#define PV_SUMS_MAX ((size_t)1 << 20)		/* bytes; about 4000 files */

struct pv_sum {
	char *name;
	char sha256[PV_SHA256_HEX];
};

/* Sorted bytewise by name, each name once. */
struct pv_sums {
	struct pv_sum *v;
	size_t n;
};
void pv_sums_done(struct pv_sums *sums);
#define pv_autosums __attribute__((cleanup(pv_sums_done))) struct pv_sums

/* A name that may stand in the file: [A-Za-z0-9_+.-], neither '.' nor '-' first, 200 bytes at most. So no name leads
 * out of the folder. */
bool pv_sums_name_ok(const char *name);
/* NULL when it does not list the name. */
const char *pv_sums_find(const struct pv_sums *sums, const char *name);

/* Strict: lines "HEX  NAME\n" in bytewise order, and nothing else; what sha256sum -c reads too. PV_ERR_ARCHIVE
 * "SHA256SUMS:LINE: what is wrong". */
int pv_sums_parse(const char *text, size_t len, struct pv_sums *ret, struct pv_error *err) PV_MUST_CHECK;
/* The file's text; the caller frees. */
char *pv_sums_text(const struct pv_sums *sums);

/* The names of DIR that SHA256SUMS covers, sorted: all but SHA256SUMS itself, its signatures and publish.json (which is
 * written after signing). Any kind of file, names that are not ok too: the caller judges. */
int pv_sums_list(const char *dir, struct pv_strv *ret, struct pv_error *err) PV_MUST_CHECK;
/* SHA-256 of a regular file DIR/NAME; a link is refused. PV_ERR_STAGE. */
int pv_sums_hash(const char *dir, const char *name, char ret_hex[PV_SHA256_HEX], struct pv_error *err) PV_MUST_CHECK;
/* A whole regular file DIR/NAME of at most max bytes, no link; the caller frees. PV_ERR_STAGE. */
int pv_sums_read(const char *dir, const char *name, size_t max, char **ret, size_t *ret_len, struct pv_error *err)
	PV_MUST_CHECK;

/* Hashes all files that pv_sums_list finds; a name that is not ok, a folder or a link is PV_ERR_STAGE. known (may be NULL):
 * a digest that the caller has just seen and that is not taken again. */
int pv_sums_make(const char *dir, const struct pv_sum *known, struct pv_sums *ret, struct pv_error *err) PV_MUST_CHECK;
/* Adds "changed NAME", "missing NAME", "extra NAME", "no regular file NAME" (names printable). 0: the folder was read,
 * whatever was found. */
int pv_sums_compare(const char *dir, const struct pv_sums *sums, struct pv_strv *ret_findings, struct pv_error *err)
	PV_MUST_CHECK;

#endif
