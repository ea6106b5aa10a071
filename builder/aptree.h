/* SPDX-License-Identifier: Apache-2.0 */
/* An apt whose lists are there already, so that it needs neither update nor network. All indexes given were verified
 * before. */
#ifndef PV_APTREE_H
#define PV_APTREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "error.h"
#include "store.h"

/* One component of one suite. Strings are borrowed. */
struct pv_aptree_index {
	const char *base_url;		/* mirror the suite comes from */
	const char *suite;		/* folder below dists/: "bookworm-security" */
	const char *component;		/* "main" */
	const char *inrelease_path;	/* verified */
	const char *packages_path;	/* verified and uncompressed; may be empty */
};

/* How an apt is to be set up below `dir`: apt.conf, sources.list, lists/. */
struct pv_aptree_apt {
	const char *dir;		/* here, made if needed */
	const char *seen_dir;		/* the same folder as apt sees it: "/run/pvimg/apt", or "." with cwd there.
					 * [A-Za-z0-9/.-] only */
	const char *archive_dir;	/* the archive tree as apt sees it: "/run/pvimg/archive"; [A-Za-z0-9/.-] only. It
					 * need not exist for resolving */
	const char *arch;
	const char *extra_conf;		/* more lines for apt.conf, or NULL */
	bool private_state;		/* true: nothing outside `dir` is read or written: its own (empty or given)
					 * status, cache, preferences, no host configuration. false: the target's own
					 * dpkg status and apt.conf.d hold, only sources and lists are ours */
};

/* Writes them. Use: APT_CONFIG=SEEN_DIR/apt.conf apt-get ... With private_state the dpkg status is dir/status: written
 * empty unless it is there. */
int pv_aptree_apt(const struct pv_aptree_apt *apt, const struct pv_aptree_index *indexes, size_t nindexes,
		  struct pv_error *err) PV_MUST_CHECK;

/* Writes a stanza as it was read (comments and blanks apart), an empty line behind it. */
struct pv_stanza;
void pv_aptree_print(FILE *out, const struct pv_stanza *s);
/* Its fields but those named in the NULL-terminated list, no empty line behind them. */
void pv_aptree_print_fields(FILE *out, const struct pv_stanza *s, const char *const *without);

#endif
