/* SPDX-License-Identifier: Apache-2.0 */
/* passwd, group, shadow and gshadow as text: numbers by table, lines in the order of numbers. */
#include "accounts.h"

#include <stdlib.h>
#include <string.h>

#include "digest.h"

/* What packages of our recipes make, and what cloud images have besides. A name keeps its number for ever: images that
 * exchange disks or backups then agree. New names at the end of their group; systemd's are from its own end of the range. */
static const struct {
	const char *name;
	uint32_t number;
} numbers[] = {
	{ "messagebus", 101 }, { "_chrony", 102 }, { "memcache", 103 }, { "sshd", 104 }, { "_ssh", 105 }, { "input", 106 },
	{ "sgx", 107 }, { "kvm", 108 }, { "render", 109 }, { "polkitd", 110 }, { "uuidd", 111 }, { "tcpdump", 112 },
	{ "syslog", 113 }, { "netdev", 114 }, { "crontab", 115 }, { "_apt", 116 }, { "rdma", 117 }, { "dhcpcd", 118 },
	{ "tss", 119 }, { "ssl-cert", 120 }, { "landscape", 121 }, { "pollinate", 122 }, { "lxd", 123 }, { "clock", 124 },
	{ "plugdev", 125 }, { "fwupd-refresh", 126 }, { "usbmux", 127 }, { "admin", 128 }, { "unbound", 129 },
	{ "_rpc", 130 }, { "statd", 131 }, { "postfix", 132 }, { "postdrop", 133 }, { "dnsmasq", 134 },
	{ "systemd-journal", 999 }, { "systemd-network", 998 }, { "systemd-resolve", 997 }, { "systemd-timesync", 996 },
	{ "systemd-coredump", 995 }, { "systemd-oom", 994 }, { "systemd-journal-remote", 993 },
	{ "systemd-journal-upload", 992 },
};

#define USERS "users"			/* static all the same; nobody else gets its number */
#define USERS_NUMBER 100u

/* Where names without a row begin: between the table's two ends. */
#define HASHED_FIRST 300u
#define HASHED_COUNT 600u

void pv_account_list_done(struct pv_account_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->v[i].name);
	free(list->v);
	*list = (struct pv_account_list){ NULL, 0 };
}

/* Column `column` (from 0) of a line that ends at '\n' or NUL; NULL: there is none. The caller frees. */
static char *field(const char *line, unsigned column)
{
	size_t len = strcspn(line, "\n");
	const char *end = line + len;

	for (; column > 0; column--) {
		const char *colon = memchr(line, ':', (size_t)(end - line));
		if (!colon)
			return NULL;
		line = colon + 1;
	}
	const char *colon = memchr(line, ':', (size_t)(end - line));
	return pv_xstrndup(line, (size_t)((colon ? colon : end) - line));
}

static const char *next_line(const char *line)
{
	const char *newline = strchr(line, '\n');

	return newline ? newline + 1 : line + strlen(line);
}

static bool number_in(const char *line, unsigned column, uint32_t *ret)
{
	pv_autofree char *text = field(line, column);
	uint64_t n;

	if (!text || pv_parse_u64(text, 0, UINT32_MAX, &n) < 0)
		return false;
	*ret = (uint32_t)n;
	return true;
}

static uint32_t wanted_number(const char *name)
{
	uint8_t raw[PV_SHA256_LEN];
	pv_autodigest *digest = NULL;

	for (size_t i = 0; i < PV_COUNT(numbers); i++)
		if (pv_streq(numbers[i].name, name))
			return numbers[i].number;
	digest = pv_digest_new();
	pv_digest_add(digest, name, strlen(name));
	pv_digest_raw(digest, raw);
	return HASHED_FIRST + ((uint32_t)raw[0] << 16 | (uint32_t)raw[1] << 8 | raw[2]) % HASHED_COUNT;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct pv_account *)a)->name, ((const struct pv_account *)b)->name);
}

void pv_accounts_number(const char *text, struct pv_account_list *ret)
{
	bool taken[PV_ACCOUNTS_LAST + 1] = { [USERS_NUMBER] = true };
	struct pv_account_list list = { NULL, 0 };

	for (const char *line = text; *line; line = next_line(line)) {
		uint32_t number;
		if (!number_in(line, 2, &number) || number < PV_ACCOUNTS_FIRST || number > PV_ACCOUNTS_LAST)
			continue;
		pv_autofree char *name = field(line, 0);
		if (number == USERS_NUMBER && pv_streq(name, USERS))
			continue;
		list.v = pv_xreallocarray(list.v, list.n + 1, sizeof(*list.v));
		list.v[list.n++] = (struct pv_account){ pv_steal(&name), number, number };
	}
	if (list.n)
		qsort(list.v, list.n, sizeof(*list.v), by_name);
	for (size_t i = 0; i < list.n; i++) {
		struct pv_account *a = &list.v[i];
		size_t same = 0;
		while (same < i && list.v[same].before != a->before)
			same++;
		if (same < i) {
			a->after = list.v[same].after;
			continue;
		}
		uint32_t number = wanted_number(a->name);
		for (uint32_t tries = 0; taken[number] && tries < PV_ACCOUNTS_LAST; tries++)
			number = number == PV_ACCOUNTS_LAST ? PV_ACCOUNTS_FIRST : number + 1;
		taken[number] = true;
		a->after = number;
	}
	*ret = list;
}

static uint32_t number_after(const struct pv_account_list *list, uint32_t before)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->v[i].before == before)
			return list->v[i].after;
	return before;
}

/* A line with its place in the file. */
struct line {
	uint32_t number;
	size_t index;
	char *text;
};

static int by_number(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return (x->index > y->index) - (x->index < y->index);
}

/* All lines, sorted, into one text. */
static char *join_lines(struct line *lines, size_t n)
{
	pv_autostr text = PV_STR_INIT;

	if (n)
		qsort(lines, n, sizeof(*lines), by_number);
	for (size_t i = 0; i < n; i++) {
		pv_str_addf(&text, "%s\n", lines[i].text);
		free(lines[i].text);
	}
	free(lines);
	return pv_str_steal(&text);
}

static void add_line(struct line **lines, size_t *n, uint32_t number, char *text)
{
	*lines = pv_xreallocarray(*lines, *n + 1, sizeof(**lines));
	(*lines)[*n] = (struct line){ number, *n, text };
	(*n)++;
}

char *pv_accounts_rewrite(const char *text, const struct pv_account_list *own, const struct pv_account_list *groups)
{
	struct line *lines = NULL;
	size_t n = 0;

	for (const char *line = text; *line; line = next_line(line)) {
		uint32_t number = UINT32_MAX, group = 0;
		pv_autostr changed = PV_STR_INIT;
		if (!number_in(line, 2, &number) || (groups && !number_in(line, 3, &group))) {
			add_line(&lines, &n, UINT32_MAX, pv_xstrndup(line, strcspn(line, "\n")));
			continue;
		}
		pv_autofree char *name = field(line, 0), *password = field(line, 1);
		const char *rest = line;
		for (unsigned colons = groups ? 4 : 3; colons > 0 && *rest && *rest != '\n'; rest++)
			colons -= *rest == ':';
		number = number_after(own, number);
		pv_str_addf(&changed, "%s:%s:%u:", name, password, number);
		if (groups)
			pv_str_addf(&changed, "%u:", number_after(groups, group));
		pv_str_addn(&changed, rest, strcspn(rest, "\n"));
		add_line(&lines, &n, number, pv_str_steal(&changed));
	}
	return join_lines(lines, n);
}

/* Which line of `names` bears the name of this line. */
static uint32_t place_in(const char *names, const char *name)
{
	uint32_t place = 0;

	for (const char *line = names; *line; line = next_line(line), place++) {
		pv_autofree char *other = field(line, 0);
		if (pv_streq(other, name))
			return place;
	}
	return UINT32_MAX;
}

/* Columns from the fourth on of a shadow line; "" when there are none. */
static const char *after_day(const char *line)
{
	for (unsigned colons = 3; colons > 0 && *line && *line != '\n'; line++)
		colons -= *line == ':';
	return line;
}

char *pv_accounts_shadow(const char *shadow, const char *passwd, int64_t epoch)
{
	struct line *lines = NULL;
	size_t n = 0;

	for (const char *line = shadow; *line; line = next_line(line)) {
		pv_autofree char *name = field(line, 0), *password = field(line, 1);
		uint32_t place = place_in(passwd, name);
		if (!password || place == UINT32_MAX) {
			add_line(&lines, &n, UINT32_MAX, pv_xstrndup(line, strcspn(line, "\n")));
			continue;
		}
		const char *rest = after_day(line);
		add_line(&lines, &n, place, pv_fmt("%s:%s:%lld:%.*s", name, pv_streq(name, "root") ? "*" : password,
						   (long long)(epoch / 86400), (int)strcspn(rest, "\n"), rest));
	}
	return join_lines(lines, n);
}

char *pv_accounts_ordered(const char *text, const char *like)
{
	struct line *lines = NULL;
	size_t n = 0;

	for (const char *line = text; *line; line = next_line(line)) {
		pv_autofree char *name = field(line, 0);
		add_line(&lines, &n, place_in(like, name), pv_xstrndup(line, strcspn(line, "\n")));
	}
	return join_lines(lines, n);
}
