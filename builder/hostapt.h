/* SPDX-License-Identifier: Apache-2.0 */
/* What this machine's own apt and debootstrap are set to use: mirrors and proxies. Nothing here is ever changed. */
#ifndef PV_HOSTAPT_H
#define PV_HOSTAPT_H

#include "error.h"

/* The base URLs that this machine's apt uses for the distribution ("debian", "ubuntu"); the same codename is preferred,
 * another suite's mirror of the same distribution serves too. *ret_security is the one of a *-security suite (the same
 * as main on Ubuntu, mostly), or NULL. *ret_main NULL (and 0 returned) when this machine has none, or no apt.
 * Trailing slashes are cut; only http, https and file URLs are given. The caller frees both. */
int pv_hostapt_mirror(const char *distribution, const char *codename, char **ret_main, char **ret_security,
		      struct pv_error *err) PV_MUST_CHECK;

/* The same from the text of `apt-get indextargets` in PV_HOSTAPT_FORMAT, for tests. os_distribution and os_codename
 * (from os-release; may be NULL) stand in for targets whose Release file is not there yet. */
#define PV_HOSTAPT_FORMAT "$(CREATED_BY)|$(ORIGIN)|$(CODENAME)|$(RELEASE)|$(REPO_URI)"
void pv_hostapt_pick(const char *text, const char *distribution, const char *codename, const char *os_distribution,
		     const char *os_codename, char **ret_main, char **ret_security);

/* debootstrap's own default for a suite, read (never run) from its script; `script` is the one to read when there is
 * none for the codename. NULL and 0 when not found. The caller frees. */
int pv_hostapt_debootstrap_mirror(const char *codename, const char *script, const char *arch, char **ret,
				  struct pv_error *err) PV_MUST_CHECK;

/* The same from a script's text: the first default_mirror in the branches of `case $ARCH` and `case $SUITE` that hold. */
char *pv_hostapt_script_mirror(const char *script, const char *codename, const char *arch);

/* Acquire::http::Proxy and Acquire::https::Proxy of the host's apt; NULL when unset or "DIRECT". May bear
 * credentials. The caller frees both. No apt on this host is no error. */
int pv_hostapt_proxy(char **ret_http, char **ret_https, struct pv_error *err) PV_MUST_CHECK;

#endif
