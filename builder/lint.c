/* SPDX-License-Identifier: Apache-2.0 */
/* The lint's runner and what its checks share. */
#include "lint.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deb822.h"

#define TEXT_MAX ((size_t)1 << 20)
#define STATUS_MAX ((size_t)32 << 20)

void pv_lint_fault(struct pv_lint *lint, const char *fmt, ...)
{
	char *text;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		text = pv_xstrdup(fmt);
	va_end(args);
	pv_strv_take(&lint->faults, pv_printable(text, strlen(text)));
	free(text);
}

void pv_lint_lines(const struct pv_lint *lint, const char *path, struct pv_strv *ret)
{
	pv_autofree char *text = pv_image_read(lint->image, path, TEXT_MAX, NULL);
	char *rest = text;

	for (char *line; rest && (line = strsep(&rest, "\n")); ) {
		line += strspn(line, " \t");
		size_t len = strlen(line);
		while (len > 0 && (line[len - 1] == ' ' || line[len - 1] == '\t' || line[len - 1] == '\r'))
			line[--len] = '\0';
		if (len > 0 && line[0] != '#')
			pv_strv_add(ret, line);
	}
}

bool pv_lint_has_line(const struct pv_lint *lint, const char *path, const char *line)
{
	pv_autostrv lines = PV_STRV_INIT;

	pv_lint_lines(lint, path, &lines);
	return pv_strv_has(&lines, line);
}

void pv_lint_want_line(struct pv_lint *lint, const char *path, const char *line)
{
	if (!pv_lint_has_line(lint, path, line))
		pv_lint_fault(lint, "%s has no line \"%s\"", path, line);
}

struct package_query {
	const char *name;
	char *version;
};

static int match_package(void *ctx, const struct pv_stanza *stanza)
{
	struct package_query *query = ctx;
	const char *status = pv_stanza_get(stanza, "Status");

	if (!query->version && pv_streq(pv_stanza_get(stanza, "Package"), query->name) && status &&
	    pv_ends(status, " installed"))
		query->version = pv_xstrdup(pv_stanza_get(stanza, "Version"));
	return 0;
}

char *pv_lint_package(const struct pv_lint *lint, const char *name)
{
	size_t len = 0;
	pv_autofree char *text = pv_image_read(lint->image, "/var/lib/dpkg/status", STATUS_MAX, &len);
	struct package_query query = { name, NULL };
	pv_autoerror ignored = PV_ERROR_INIT;

	if (!text || pv_deb822_each_mem(text, len, match_package, &query, &ignored) < 0)
		pv_freep(&query.version);
	return query.version;
}

void pv_lint_kernels(const struct pv_lint *lint, struct pv_strv *ret)
{
	pv_image_list(lint->image, "/lib/modules", ret);
}

/* The words of grub.cfg's first "linux" command. */
static void first_linux(const struct pv_lint *lint, struct pv_strv *ret)
{
	pv_autostrv lines = PV_STRV_INIT;

	pv_lint_lines(lint, "/boot/grub/grub.cfg", &lines);
	for (size_t i = 0; i < lines.n; i++) {
		char *rest = lines.v[i];
		if (!pv_starts(rest, "linux") || !strchr(" \t", rest[strlen("linux")]))
			continue;
		for (char *word; (word = strsep(&rest, " \t")); )
			if (*word)
				pv_strv_add(ret, word);
		return;
	}
}

char *pv_lint_default_kernel(const struct pv_lint *lint)
{
	pv_autostrv words = PV_STRV_INIT;

	first_linux(lint, &words);
	if (words.n < 2)
		return NULL;
	const char *version = strstr(words.v[1], "vmlinuz-");
	return version ? pv_xstrdup(version + strlen("vmlinuz-")) : NULL;
}

void pv_lint_cmdline(const struct pv_lint *lint, struct pv_strv *ret)
{
	pv_autostrv words = PV_STRV_INIT;

	first_linux(lint, &words);
	for (size_t i = 2; i < words.n; i++)
		pv_strv_add(ret, words.v[i]);
}

/* ID and VERSION_CODENAME of os-release, unquoted. */
static const struct pv_suite *find_suite(const struct pv_lint *lint)
{
	pv_autostrv lines = PV_STRV_INIT;
	pv_autofree char *id = NULL, *codename = NULL;

	pv_lint_lines(lint, "/usr/lib/os-release", &lines);
	for (size_t i = 0; i < lines.n; i++) {
		char *value = strchr(lines.v[i], '=');
		if (!value)
			continue;
		*value++ = '\0';
		value += strspn(value, "\"");
		value[strcspn(value, "\"")] = '\0';
		if (pv_streq(lines.v[i], "ID") && !id)
			id = pv_xstrdup(value);
		else if (pv_streq(lines.v[i], "VERSION_CODENAME") && !codename)
			codename = pv_xstrdup(value);
	}
	return id && codename ? pv_suite_find(id, codename) : NULL;
}

void pv_lint_run(const struct pv_image *image, pv_lint_result_fn *fn, void *ctx, size_t *ret_total, size_t *ret_red)
{
	const struct pv_lint_check *const tables[] = {
		pv_lint_disk_checks, pv_lint_boot_checks, pv_lint_kernel_checks, pv_lint_system_checks,
		pv_lint_service_checks,
	};
	struct pv_lint lint = { .image = image };

	*ret_total = *ret_red = 0;
	lint.suite = find_suite(&lint);
	for (size_t t = 0; t < PV_COUNT(tables); t++) {
		for (const struct pv_lint_check *check = tables[t]; check->name; check++) {
			check->run(&lint);
			fn(ctx, check, &lint.faults);
			++*ret_total;
			*ret_red += lint.faults.n > 0;
			pv_strv_done(&lint.faults);
		}
	}
}
