/* SPDX-License-Identifier: Apache-2.0 */
/* The accounts of a finished tree, made independent of the order in which packages were set up: system users and groups
 * get their numbers by a table, and by a hash of their name where the table has none. */
#ifndef PV_ACCOUNTS_H
#define PV_ACCOUNTS_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "text.h"

/* Debian Policy 9.2.2: 100 to 999 are given out dynamically, but for base-passwd's group users, which has 100. */
#define PV_ACCOUNTS_FIRST 100u
#define PV_ACCOUNTS_LAST 999u

/* One line of passwd or group: old and new number. */
struct pv_account {
	char *name;
	uint32_t before, after;
};
struct pv_account_list {
	struct pv_account *v;
	size_t n;
};
void pv_account_list_done(struct pv_account_list *list);
#define pv_autoaccounts __attribute__((cleanup(pv_account_list_done))) struct pv_account_list

/* The lines of passwd(5) or group(5) with a dynamic number, and what they become; a function of the set of names alone. Two
 * lines with one number keep having one: that of the name that is first bytewise. */
void pv_accounts_number(const char *text, struct pv_account_list *ret);

/* The same text with new numbers in column 3 and, in a passwd, those of the groups in column 4 (`groups` NULL: a group
 * file), sorted by number. Lines that are none keep their order at the end. The caller frees. */
char *pv_accounts_rewrite(const char *text, const struct pv_account_list *own, const struct pv_account_list *groups);

/* shadow(5): root has no password, and every account was changed on the day of `epoch`; the lines in the order of passwd.
 * The caller frees. */
char *pv_accounts_shadow(const char *shadow, const char *passwd, int64_t epoch);

/* The lines in the order that `like` has these names in; others keep theirs, at the end: for gshadow(5). The caller frees. */
char *pv_accounts_ordered(const char *text, const char *like);

/* Does it all to a tree: passwd, group, shadow, gshadow, and every file's owner (modes, capabilities and ACLs kept). */
int pv_accounts_normalise(const char *root, int64_t epoch, struct pv_error *err) PV_MUST_CHECK;

#endif
