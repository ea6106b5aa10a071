/* SPDX-License-Identifier: Apache-2.0 */
/* Checks, splits, joins and hides URLs; checks the relative paths that an archive's fields name. */
#include "url.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

#include "text.h"

#define URL_PATH_MAX 1024
#define URL_PART_MAX 255

void pv_url_done(struct pv_url *url)
{
	/* The password does not stay in freed memory. */
	if (url->password)
		explicit_bzero(url->password, strlen(url->password));
	pv_freep(&url->scheme);
	pv_freep(&url->user);
	pv_freep(&url->password);
	pv_freep(&url->host);
	pv_freep(&url->port);
	pv_freep(&url->path);
	*url = (struct pv_url){ 0 };
}

static bool is_char_of(char c, const char *more)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr(more, c));
}

static bool all_of(const char *s, size_t n, const char *more)
{
	for (size_t i = 0; i < n; i++)
		if (!is_char_of(s[i], more))
			return false;
	return true;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Percent-decodes; NULL when a % is not followed by two digits or a control character comes out. */
static char *percent_decode(const char *s, size_t n)
{
	char *out = pv_xmalloc(n + 1);
	size_t o = 0;

	for (size_t i = 0; i < n; i++) {
		int value = (unsigned char)s[i];

		if (s[i] == '%') {
			bool whole = n - i >= 3;
			int high = whole ? hex_value(s[i + 1]) : -1;
			int low = whole ? hex_value(s[i + 2]) : -1;

			value = high < 0 || low < 0 ? 0 : high * 16 + low;
			i += 2;
		}
		if (value < 0x20 || value == 0x7f) {
			explicit_bzero(out, n + 1);
			pv_freep(&out);
			return NULL;
		}
		out[o++] = (char)value;
	}
	out[o] = '\0';
	return out;
}

static bool host_ok(const char *host, size_t n)
{
	return n > 0 && n <= URL_PART_MAX && host[0] != '-' && host[0] != '.' && all_of(host, n, ".-");
}

static bool port_ok(const char *port, size_t n)
{
	unsigned value = 0;

	if (n == 0 || n > 5)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (port[i] < '0' || port[i] > '9')
			return false;
		value = value * 10 + (unsigned)(port[i] - '0');
	}
	return value > 0 && value <= 65535;
}

static bool path_ok(const char *path)
{
	const char *part = path;

	if (!all_of(path, strlen(path), "/-._~+%:=@,"))
		return false;
	while (part) {
		const char *end = strchrnul(part, '/');

		if (end - part == 2 && part[0] == '.' && part[1] == '.')
			return false;
		part = *end ? end + 1 : NULL;
	}
	/* An encoded dot, slash or NUL would be a second way to say "..". */
	for (const char *p = path; (p = strchr(p, '%')); p++) {
		int high = hex_value(p[1]);
		int low = high < 0 ? -1 : hex_value(p[2]);
		int value = high < 0 || low < 0 ? 0 : high * 16 + low;

		if (value <= 0x20 || value == 0x7f || value == '.' || value == '/' || value == '\\')
			return false;
	}
	return true;
}

/* What goes before the host, "user:password". */
static const char *split_userinfo(const char *auth, size_t n, struct pv_url *url)
{
	const char *colon = memchr(auth, ':', n);
	size_t user_len = colon ? (size_t)(colon - auth) : n;

	if (!all_of(auth, n, "-._~%!$&()*+,;=:"))
		return "characters in user name or password that have to be written as %XX";
	url->user = percent_decode(auth, user_len);
	url->password = colon ? percent_decode(colon + 1, n - user_len - 1) : pv_xstrdup("");
	if (!url->user || !url->password || !*url->user)
		return "a faulty user name or password";
	return NULL;
}

static const char *split_host(const char *text, size_t n, struct pv_url *url)
{
	const char *end = text + n;
	const char *host_end, *port = NULL;

	if (n > 0 && text[0] == '[') {
		host_end = memchr(text, ']', n);
		if (!host_end || !memchr(text, ':', (size_t)(host_end - text)) ||
		    !all_of(text + 1, (size_t)(host_end - text - 1), ":."))
			return "a faulty IPv6 address";
		url->host = pv_xstrndup(text + 1, (size_t)(host_end - text - 1));
		host_end++;
		if (host_end != end && *host_end != ':')
			return "text after the IPv6 address";
	} else {
		host_end = memchr(text, ':', n);
		if (!host_end)
			host_end = end;
		if (!host_ok(text, (size_t)(host_end - text)))
			return "no host, or a host that is no name or address";
		url->host = pv_xstrndup(text, (size_t)(host_end - text));
	}
	if (host_end != end) {
		port = host_end + 1;
		if (!port_ok(port, (size_t)(end - port)))
			return "a faulty port";
	}
	url->port = port ? pv_xstrndup(port, (size_t)(end - port)) : pv_xstrdup("");
	for (char *p = url->host; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return NULL;
}

/* NULL, or what is wrong with the text. Fills what it can. */
static const char *split(const char *text, struct pv_url *url)
{
	static const char *const schemes[] = { "http", "https", "file" };
	size_t len = strlen(text);
	const char *rest = NULL;

	if (len > PV_URL_MAX)
		return "more than 2048 characters";
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] <= 0x20 || (unsigned char)text[i] >= 0x7f)
			return "spaces, control or non-ASCII characters";
	for (size_t i = 0; i < PV_COUNT(schemes); i++) {
		size_t n = strlen(schemes[i]);

		if (strncasecmp(text, schemes[i], n) == 0 && text[n] == ':') {
			url->scheme = pv_xstrdup(schemes[i]);
			rest = text + n + 1;
		}
	}
	if (!rest)
		return "not http://, https:// or file:";
	if (pv_streq(url->scheme, "file") && rest[0] == '/' && rest[1] != '/') {
		url->host = pv_xstrdup("");
	} else if (pv_starts(rest, "//")) {
		const char *path = strchrnul(rest + 2, '/');
		const char *at = memrchr(rest + 2, '@', (size_t)(path - rest - 2));
		const char *host = at ? at + 1 : rest + 2;
		const char *wrong = NULL;

		if (at)
			wrong = split_userinfo(rest + 2, (size_t)(at - rest - 2), url);
		if (wrong)
			return wrong;
		if (pv_streq(url->scheme, "file")) {
			if (path != rest + 2)
				return "a host in a file: URL";
			url->host = pv_xstrdup("");
		} else {
			wrong = split_host(host, (size_t)(path - host), url);
			if (wrong)
				return wrong;
		}
		rest = path;
	} else {
		return "no // after the scheme";
	}
	if (strpbrk(rest, "?#"))
		return "a query or fragment";
	if (!path_ok(rest))
		return "\"..\" or odd characters in the path";
	if (pv_streq(url->scheme, "file") && rest[0] != '/')
		return "no absolute path after file:";
	url->path = pv_xstrdup(rest);
	return NULL;
}

int pv_url_split(const char *text, struct pv_url *ret, struct pv_error *err)
{
	pv_autourl url = { 0 };
	const char *wrong = split(text, &url);

	if (wrong) {
		pv_autofree char *shown = pv_url_redacted(text);

		(void)pv_error_set(err, PV_ERR_USAGE, "URL %.200s: %s", shown, wrong);
		return -1;
	}
	if (!url.user)
		url.user = pv_xstrdup("");
	if (!url.password)
		url.password = pv_xstrdup("");
	if (!url.port)
		url.port = pv_xstrdup("");
	*ret = url;
	url = (struct pv_url){ 0 };
	return 0;
}

int pv_url_check(const char *text, struct pv_error *err)
{
	pv_autourl url = { 0 };

	return pv_url_split(text, &url, err);
}

/* Where userinfo ends ("@" before the path), or NULL. Works on any text: the last @ before path, query, fragment;
 * when in doubt too much is hidden, never too little. */
static const char *userinfo_end(const char *after_slashes)
{
	size_t n = strcspn(after_slashes, "/?#");
	const char *at = memrchr(after_slashes, '@', n);

	/* A password with an unescaped slash: the @ comes later. */
	if (!at && memchr(after_slashes, ':', n))
		at = strrchr(after_slashes + n, '@');
	return at;
}

char *pv_url_redacted(const char *text)
{
	const char *slashes = strstr(text, "//");
	const char *at;
	pv_autostr s = PV_STR_INIT;

	if (!slashes) {
		at = strrchr(text, '@');
		pv_str_add(&s, at ? at + 1 : text);
	} else {
		at = userinfo_end(slashes + 2);
		pv_str_addn(&s, text, (size_t)(slashes + 2 - text));
		pv_str_add(&s, at ? at + 1 : slashes + 2);
	}
	return pv_printable(pv_str_text(&s), s.len);
}

char *pv_url_bare(const char *text)
{
	pv_autourl url = { 0 };
	bool six;

	if (pv_url_split(text, &url, NULL) < 0)
		return NULL;
	six = strchr(url.host, ':') != NULL;
	return pv_fmt("%s://%s%s%s%s%s%s", url.scheme, six ? "[" : "", url.host, six ? "]" : "",
		      *url.port ? ":" : "", url.port, url.path);
}

char *pv_url_join(const char *base, const char *path)
{
	size_t n = strlen(base);

	while (n > 0 && base[n - 1] == '/')
		n--;
	while (*path == '/')
		path++;
	return pv_fmt("%.*s/%s", (int)n, base, path);
}

static const char *port_of(const struct pv_url *url)
{
	if (*url->port)
		return url->port;
	return pv_streq(url->scheme, "https") ? "443" : "80";
}

bool pv_url_loopback(const char *host)
{
	struct in_addr v4;

	if (inet_pton(AF_INET, host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	return pv_streq(host, "::1") || pv_streq(host, "[::1]") || pv_streq(host, "localhost");	/* curl resolves that itself */
}

bool pv_url_same_site(const char *a, const char *b)
{
	pv_autourl ua = { 0 }, ub = { 0 };

	if (pv_url_split(a, &ua, NULL) < 0 || pv_url_split(b, &ub, NULL) < 0)
		return false;
	return pv_streq(ua.scheme, ub.scheme) && pv_streq(ua.host, ub.host) &&
	       pv_streq(port_of(&ua), port_of(&ub));
}

bool pv_url_path_ok(const char *path)
{
	const char *part = path;

	if (!path || strlen(path) > URL_PATH_MAX)
		return false;
	while (part) {
		const char *end = strchrnul(part, '/');
		size_t n = (size_t)(end - part);

		if (n == 0 || n > URL_PART_MAX || !all_of(part, n, "+._~%:=@-"))
			return false;
		if ((n == 1 && part[0] == '.') || (n == 2 && part[0] == '.' && part[1] == '.'))
			return false;
		part = *end ? end + 1 : NULL;
	}
	return true;
}
