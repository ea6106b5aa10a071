/* SPDX-License-Identifier: Apache-2.0 */
/* The entries of a .deb's data.tar, or one file of it, or its control file, by libarchive alone: nothing is run. */
#ifndef PV_DEBFILE_H
#define PV_DEBFILE_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "text.h"

#define PV_DEB_UNPACKED_MAX (64u << 20)	/* bytes of all files in data.tar together */
#define PV_DEB_ENTRIES_MAX 10000	/* entries in data.tar */

/* Called for each entry, in the archive's order; fn reads its data with archive_read_data, or not. -1 ends it. Bounds on
 * number and sizes are fn's. */
struct archive;
struct archive_entry;
typedef int pv_deb_entry_fn(void *ctx, struct archive *a, struct archive_entry *entry, struct pv_error *err);
int pv_deb_each_entry(const char *deb_path, pv_deb_entry_fn *fn, void *ctx, struct pv_error *err) PV_MUST_CHECK;

/* The name without "./" and "/" before it. */
const char *pv_deb_plain_name(const char *path);

/* member: "usr/share/keyrings/x.gpg", "./" or "/" before it are ignored on both sides. Exactly one regular file (no link
 * of any kind) of at most max bytes must bear the name. Errors: PV_ERR_ARCHIVE. */
int pv_deb_read_member(const char *deb_path, const char *member, size_t max, struct pv_str *ret,
		       struct pv_error *err) PV_MUST_CHECK;

/* The package's control file, which says of it what an archive's index says. Errors: PV_ERR_ARCHIVE. */
#define PV_DEB_CONTROL_MAX (1u << 20)
int pv_deb_read_control(const char *deb_path, struct pv_str *ret, struct pv_error *err) PV_MUST_CHECK;

/* A member from memory, for tests and the fuzzer; `name` is for messages. */
int pv_deb_read_member_mem(const void *data, size_t len, const char *name, const char *member, size_t max,
			   struct pv_str *ret, struct pv_error *err) PV_MUST_CHECK;

#endif
