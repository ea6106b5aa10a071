/* SPDX-License-Identifier: Apache-2.0 */
/* The lint's runner and what its checks share. */
#include "lint.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "deb822.h"

#define TEXT_MAX ((size_t)1 << 20)

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

void pv_lint_words(const char *line, struct pv_strv *ret)
{
	static const char blanks[] = " \t";

	for (size_t len; *(line += strspn(line, blanks)); line += len) {
		len = strcspn(line, blanks);
		pv_strv_take(ret, pv_xstrndup(line, len));
	}
}

void pv_lint_files(const struct pv_lint *lint, const char *dir, const char *suffix, struct pv_strv *ret)
{
	pv_autostrv names = PV_STRV_INIT;

	pv_image_list(lint->image, dir, &names);
	for (size_t i = 0; i < names.n; i++) {
		pv_autofree char *path = pv_fmt("%s/%s", dir, names.v[i]);
		struct pv_image_stat st;
		if (pv_ends(names.v[i], suffix) && pv_image_stat(lint->image, path, &st) && !S_ISDIR(st.mode))
			pv_strv_add(ret, path);
	}
}

static int note_package(void *ctx, const struct pv_stanza *stanza)
{
	const char *name = pv_stanza_get(stanza, "Package"), *version = pv_stanza_get(stanza, "Version");
	const char *status = pv_stanza_get(stanza, "Status");

	if (name && version && status && pv_ends(status, " installed"))
		pv_strv_addf(ctx, "%s=%s", name, version);
	return 0;
}

static void load_packages(struct pv_lint *lint)
{
	size_t len = 0;
	pv_autofree char *text = pv_image_read(lint->image, PV_LINT_STATUS, PV_LINT_STATUS_MAX, &len);
	pv_autoerror ignored = PV_ERROR_INIT;

	/* what is wrong with the file is told by the check "packages" */
	if (text)
		(void)!pv_deb822_each_mem(text, len, note_package, &lint->packages, &ignored);
	pv_strv_sort(&lint->packages);
}

char *pv_lint_package(const struct pv_lint *lint, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < lint->packages.n; i++)
		if (pv_starts(lint->packages.v[i], name) && lint->packages.v[i][len] == '=')
			return pv_xstrdup(lint->packages.v[i] + len + 1);
	return NULL;
}

bool pv_lint_has_package(const struct pv_lint *lint, const char *name)
{
	pv_autofree char *version = pv_lint_package(lint, name);

	return version != NULL;
}

void pv_lint_kernels(const struct pv_lint *lint, struct pv_strv *ret)
{
	pv_image_list(lint->image, "/lib/modules", ret);
}

void pv_lint_linux_lines(const struct pv_lint *lint, struct pv_strv *ret)
{
	pv_autostrv lines = PV_STRV_INIT;

	pv_lint_lines(lint, "/boot/grub/grub.cfg", &lines);
	for (size_t i = 0; i < lines.n; i++) {
		size_t len = strcspn(lines.v[i], " \t");
		const char *rest = lines.v[i] + len + strspn(lines.v[i] + len, " \t");
		if (*rest && (strncmp(lines.v[i], "linux", len) == 0 || strncmp(lines.v[i], "linuxefi", len) == 0) && len >= 5)
			pv_strv_add(ret, rest);
	}
}

const char *pv_lint_kernel_version(const char *path)
{
	const char *name = strstr(path, "vmlinuz-");

	return name && name[strlen("vmlinuz-")] ? name + strlen("vmlinuz-") : NULL;
}

void pv_lint_want_enabled(struct pv_lint *lint, const char *target, const char *unit)
{
	static const char *const roots[] = { "/etc/systemd/system", "/usr/lib/systemd/system" };

	for (size_t i = 0; i < PV_COUNT(roots); i++) {
		pv_autofree char *wants = pv_fmt("%s/%s.wants/%s", roots[i], target, unit);
		struct pv_image_stat st;
		if (!pv_image_stat(lint->image, wants, &st))
			continue;
		if (!pv_image_exists(lint->image, wants))
			pv_lint_fault(lint, "%s leads nowhere", wants);
		return;
	}
	pv_lint_fault(lint, "%s is not enabled: no link in /etc/systemd/system/%s.wants", unit, target);
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
		pv_lint_clean_checks, pv_lint_service_checks,
	};
	struct pv_lint lint = { .image = image };

	*ret_total = *ret_red = 0;
	lint.suite = find_suite(&lint);
	load_packages(&lint);
	for (size_t t = 0; t < PV_COUNT(tables); t++) {
		for (const struct pv_lint_check *check = tables[t]; check->name; check++) {
			check->run(&lint);
			fn(ctx, check, &lint.faults);
			++*ret_total;
			*ret_red += lint.faults.n > 0;
			pv_strv_done(&lint.faults);
		}
	}
	pv_strv_done(&lint.packages);
}
