/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses, quoting and ssh's command line. */
#include "far.h"

#include <stdlib.h>
#include <string.h>

#define SCHEME "xl+ssh://"
#define WANTED SCHEME "[USER@]HOST[:PORT]/FOLDER[?bridge=NAME]"
#define NAME_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
#define FOLDER_MAX 1024u
#define BRIDGE_MAX 15u			/* IFNAMSIZ - 1 */

void pv_far_address_done(struct pv_far_address *a)
{
	pv_freep(&a->user);
	pv_freep(&a->port);
	pv_freep(&a->host);
	pv_freep(&a->folder);
	pv_freep(&a->bridge);
	pv_freep(&a->shown);
}

/* A word that no program takes for an option. */
static bool is_name(const char *word, const char *more)
{
	pv_autofree char *chars = pv_fmt(NAME_CHARS "%s", more);

	return *word && *word != '-' && word[strspn(word, chars)] == '\0' && strlen(word) < 256;
}

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* -1: a percent sign without two digits. */
static int decode(const char *text, struct pv_str *out)
{
	for (; *text; text++) {
		int high = *text == '%' ? hex(text[1]) : 0, low = *text == '%' && high >= 0 ? hex(text[2]) : 0;

		if (high < 0 || low < 0)
			return -1;
		pv_str_addc(out, *text == '%' ? (char)(high << 4 | low) : *text);
		text += *text == '%' ? 2 : 0;
	}
	return 0;
}

/* Printable and UTF-8: what pv_printable leaves as it is. */
static bool is_plain(const char *text, size_t len)
{
	pv_autofree char *same = pv_printable(text, len);

	return strlen(text) == len && pv_streq(same, text);
}

static int take_folder(const char *path, struct pv_far_address *a, struct pv_error *err)
{
	pv_autostr text = PV_STR_INIT;

	if (decode(path, &text) < 0 || text.len > FOLDER_MAX || !is_plain(pv_str_text(&text), text.len) ||
	    strpbrk(pv_str_text(&text), ",:\"\\"))
		return pv_error_set(err, PV_ERR_USAGE, "--to %s: a folder's name is wanted without commas, colons, double "
				    "quotes, backslashes and control characters; xl reads them its own way", a->shown);
	while (text.len > 0 && text.data[text.len - 1] == '/')
		text.data[--text.len] = '\0';
	pv_autofree char *whole = pv_fmt("%s/", pv_str_text(&text));
	if (text.len == 0 || strstr(whole, "//") || strstr(whole, "/./") || strstr(whole, "/../"))
		return pv_error_set(err, PV_ERR_USAGE, "--to %s: a folder is wanted after the host, with its whole path",
				    a->shown);
	a->folder = pv_str_steal(&text);
	return 0;
}

/* HOST[:PORT], HOST a name, or an IPv6 address in [] */
static int take_host(char *text, struct pv_far_address *a, struct pv_error *err)
{
	bool six = *text == '[';
	char *end = six ? strchr(text, ']') : text + strcspn(text, ":");
	uint64_t port;

	if (six && end) {
		*end++ = '\0';
		text++;
	}
	if (end && *end == ':') {
		*end++ = '\0';
		if (pv_parse_u64(end, 1, 65535, &port) < 0)
			return pv_error_set(err, PV_ERR_USAGE, "--to %s: the port is a number from 1 to 65535", a->shown);
		a->port = pv_xstrdup(end);
	} else if (!end || *end) {
		return pv_error_set(err, PV_ERR_USAGE, "--to %s: " WANTED " is wanted", a->shown);
	}
	if (!is_name(text, six ? ":%" : ""))
		return pv_error_set(err, PV_ERR_USAGE, "--to %s: " WANTED " is wanted", a->shown);
	a->host = pv_xstrdup(text);
	return 0;
}

static int take_query(const char *query, struct pv_far_address *a, struct pv_error *err)
{
	if (!pv_starts(query, "bridge=") || !is_name(query + 7, "") || strlen(query + 7) > BRIDGE_MAX)
		return pv_error_set(err, PV_ERR_USAGE, "--to %s: after \"?\" there is bridge=NAME, of 15 characters at most",
				    a->shown);
	a->bridge = pv_xstrdup(query + 7);
	return 0;
}

/* A password is not repeated. */
static char *shown(const char *to)
{
	const char *rest = to + strlen(SCHEME), *end = rest + strcspn(rest, "/?");
	const char *at = memrchr(rest, '@', (size_t)(end - rest)), *colon = at ? memchr(rest, ':', (size_t)(at - rest)) : NULL;
	pv_autofree char *text = pv_fmt(SCHEME "%.*s%s", colon ? (int)(colon - rest) : 0, rest, colon ? at : rest);

	text[strcspn(text, "?")] = '\0';
	return pv_printable(text, strlen(text));
}

static int parse(const char *to, struct pv_far_address *a, struct pv_error *err)
{
	const char *rest = to + strlen(SCHEME), *slash = rest + strcspn(rest, "/?"), *query = strchr(rest, '?');
	pv_autofree char *site = pv_xstrndup(rest, (size_t)(slash - rest));
	pv_autofree char *path = pv_xstrndup(slash, query ? (size_t)(query - slash) : strlen(slash));
	char *at = strrchr(site, '@'), *host = at ? at + 1 : site;

	a->shown = shown(to);
	if (at) {
		*at = '\0';
		if (strchr(site, ':'))
			return pv_error_set(err, PV_ERR_USAGE, "--to %s: a password in a URL would be seen by others, and ssh "
					    "takes none; use a key and ssh-agent", a->shown);
		if (!is_name(site, ""))
			return pv_error_set(err, PV_ERR_USAGE, "--to %s: " WANTED " is wanted", a->shown);
		a->user = pv_xstrdup(site);
	}
	if (take_host(host, a, err) < 0 || take_folder(path, a, err) < 0)
		return -1;
	return query ? take_query(query + 1, a, err) : 0;
}

int pv_far_address_parse(const char *to, struct pv_far_address *ret, struct pv_error *err)
{
	pv_autofar a = { 0 };

	if (parse(to, &a, err) < 0)
		return -1;
	*ret = a;
	a = (struct pv_far_address){ 0 };
	return 0;
}

void pv_far_quote_text(struct pv_str *out, const char *text)
{
	pv_str_addc(out, '\'');
	for (; *text; text++) {
		if (*text == '\'')
			pv_str_add(out, "'\\''");
		else
			pv_str_addc(out, *text);
	}
	pv_str_addc(out, '\'');
}

int pv_far_quote(struct pv_str *out, const char *word)
{
	for (const char *p = word; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return -1;
	pv_far_quote_text(out, word);
	return 0;
}

void pv_far_argv(const struct pv_far_address *to, struct pv_strv *ret)
{
	static const char *const options[] = {
		"ssh", "-T", "-x", "-a", "-oBatchMode=yes", "-oStrictHostKeyChecking=yes", "-oUpdateHostKeys=no",
		"-oVerifyHostKeyDNS=no", "-oClearAllForwardings=yes", "-oPermitLocalCommand=no", "-oRemoteCommand=none",
		"-oControlMaster=no", "-oControlPath=none", "-oConnectTimeout=20", "-oServerAliveInterval=15",
		"-oServerAliveCountMax=4", "-oLogLevel=INFO", NULL };

	pv_strv_add_all(ret, options);
	if (to->port) {
		pv_strv_add(ret, "-p");
		pv_strv_add(ret, to->port);
	}
	if (to->user) {
		pv_strv_add(ret, "-l");
		pv_strv_add(ret, to->user);
	}
	pv_strv_add(ret, "--");
	pv_strv_add(ret, to->host);
}

static char *last_line(const char *tail)
{
	size_t len = strlen(tail);

	while (len > 0 && strchr("\r\n?", tail[len - 1]))	/* ssh's \r is a ? by now */
		len--;
	size_t from = len;
	while (from > 0 && tail[from - 1] != '\n')
		from--;
	return pv_printable(tail + from, len - from);
}

/* The words are those of OpenSSH's sshconnect.c, sshconnect2.c and ssh.c, which it does not translate. */
int pv_far_why(const struct pv_far_address *to, const char *tail, bool *ret_passing, struct pv_error *err)
{
	pv_autofree char *port = to->port ? pv_fmt("-p %s ", to->port) : pv_xstrdup(""), *last = last_line(tail);

	*ret_passing = false;
	if (strstr(tail, "REMOTE HOST IDENTIFICATION HAS CHANGED"))
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: its host key is not the one in known_hosts: somebody may listen "
				    "in; if the host was set up anew, remove the old key with ssh-keygen -R and log in once by "
				    "ssh %s%s", to->host, port, to->host);
	if (strstr(tail, "Host key verification failed"))
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: its host key is not known here; compare what \"ssh-keyscan %s%s "
				    "| ssh-keygen -lf -\" prints with what its administrator says, then log in once by ssh "
				    "%s%s", to->host, port, to->host, port, to->host);
	if (strstr(tail, "Permission denied (") || strstr(tail, "Too many authentication failures"))
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: does not let us in (%s); is the key in ssh-agent, and its public "
				    "half in authorized_keys there?", to->host, last);
	if (strstr(tail, "Could not resolve hostname") || strstr(tail, "Bad configuration option") ||
	    strstr(tail, "terminating, "))
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: %s", to->host, last);
	*ret_passing = true;
	return pv_error_set(err, PV_ERR_ARCHIVE, "%s: the connection broke: %s", to->host,
			    *last ? last : "ssh says no more");
}
