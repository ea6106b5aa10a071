/* SPDX-License-Identifier: Apache-2.0 */
/* URLs of mirrors and proxies, and the relative paths that archives name: checked, split, never shown with a password. */
#ifndef PV_URL_H
#define PV_URL_H

#include <stdbool.h>

#include "error.h"

#define PV_URL_MAX 2048

/* The parts of an accepted URL; every member is owned, "" when absent. */
struct pv_url {
	char *scheme;		/* "http", "https", "file" */
	char *user, *password;	/* percent-decoded */
	char *host;		/* lower case, without []; "" for file */
	char *port;
	char *path;		/* begins with '/' or is "" */
};
void pv_url_done(struct pv_url *url);
#define pv_autourl __attribute__((cleanup(pv_url_done))) struct pv_url

/* http, https and file; at most PV_URL_MAX bytes; no control characters, spaces, quotes, backslashes, "..", query or
 * fragment; a host that is a name or an address; file has no host. PV_ERR_USAGE; the words never hold userinfo. */
int pv_url_split(const char *text, struct pv_url *ret, struct pv_error *err) PV_MUST_CHECK;
int pv_url_check(const char *text, struct pv_error *err) PV_MUST_CHECK;

/* The text without its userinfo and made printable: for messages, whatever the text is. The caller frees. */
char *pv_url_redacted(const char *text);

/* The URL without userinfo, as curl is given it. NULL when pv_url_check would refuse it. The caller frees. */
char *pv_url_bare(const char *text);

/* "BASE/PATH" with exactly one slash between. The caller frees. */
char *pv_url_join(const char *base, const char *path);

/* Same scheme, host and port (userinfo and path do not count). */
bool pv_url_same_site(const char *a, const char *b);

/* A host as URLs have it (an IPv6 address with or without []) that is this machine's own loopback, the one place to which
 * plain http carries what must not be heard. */
bool pv_url_loopback(const char *host);

/* A path as the fields of an archive name them ("pool/main/a/apt/apt_2.6.1_amd64.deb"): relative, at most 1024 bytes,
 * parts of [A-Za-z0-9+._~%:=@-], none empty, none "." or "..", none longer than 255 bytes. */
bool pv_url_path_ok(const char *path);

#endif
