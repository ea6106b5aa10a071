/* SPDX-License-Identifier: Apache-2.0 */
/* Reads, writes and applies SHA256SUMS. Names are flat, so that a hostile file names nothing outside its folder. */
#include "sums.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fsutil.h"

#define NAME_MAX_BYTES 200
#define HEX (PV_SHA256_HEX - 1)

void pv_sums_done(struct pv_sums *sums)
{
	for (size_t i = 0; i < sums->n; i++)
		free(sums->v[i].name);
	free(sums->v);
	*sums = (struct pv_sums){ NULL, 0 };
}

bool pv_sums_name_ok(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= NAME_MAX_BYTES && name[0] != '.' && name[0] != '-' &&
	       strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+.-") == len;
}

static bool not_covered(const char *name)
{
	return pv_streq(name, PV_SUMS_FILE) || pv_streq(name, PV_SUMS_GPG) || pv_streq(name, PV_SUMS_SSH) ||
	       pv_streq(name, "publish.json");
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct pv_sum *)a)->name, ((const struct pv_sum *)b)->name);
}

const char *pv_sums_find(const struct pv_sums *sums, const char *name)
{
	struct pv_sum key = { .name = (char *)(uintptr_t)name };
	const struct pv_sum *found = sums->n ? bsearch(&key, sums->v, sums->n, sizeof(key), by_name) : NULL;

	return found ? found->sha256 : NULL;
}

/* name is taken. */
static void add(struct pv_sums *sums, char *name, const char *hex)
{
	sums->v = pv_xreallocarray(sums->v, sums->n + 1, sizeof(*sums->v));
	sums->v[sums->n].name = name;
	memcpy(sums->v[sums->n++].sha256, hex, PV_SHA256_HEX);
}

static const char *take_line(const char *line, size_t len, struct pv_sums *sums)
{
	char hex[PV_SHA256_HEX];

	if (len < HEX + 3 || memchr(line, 0, len))
		return "no digest, two blanks and a name";
	memcpy(hex, line, HEX);
	hex[HEX] = '\0';
	if (!pv_digest_valid(hex) || line[HEX] != ' ' || line[HEX + 1] != ' ')
		return "no digest, two blanks and a name";
	pv_autofree char *name = pv_xstrndup(line + HEX + 2, len - HEX - 2);
	if (!pv_sums_name_ok(name) || not_covered(name))
		return "a name that may not be there";
	if (sums->n > 0 && strcmp(sums->v[sums->n - 1].name, name) >= 0)
		return "names are not in order, or one is there twice";
	add(sums, pv_steal(&name), hex);
	return NULL;
}

int pv_sums_parse(const char *text, size_t len, struct pv_sums *ret, struct pv_error *err)
{
	pv_autosums sums = { NULL, 0 };
	size_t pos = 0, line = 1;

	if (len > PV_SUMS_MAX)
		return pv_error_set(err, PV_ERR_ARCHIVE, PV_SUMS_FILE ": larger than %zu bytes", PV_SUMS_MAX);
	for (; pos < len; line++) {
		const char *end = memchr(text + pos, '\n', len - pos);
		const char *why = end ? take_line(text + pos, (size_t)(end - text) - pos, &sums) : "cut short";
		if (why)
			return pv_error_set(err, PV_ERR_ARCHIVE, PV_SUMS_FILE ":%zu: %s; it is none of pvimg's", line, why);
		pos = (size_t)(end - text) + 1;
	}
	if (sums.n == 0)
		return pv_error_set(err, PV_ERR_ARCHIVE, PV_SUMS_FILE ":1: names no file; it is none of pvimg's");
	*ret = sums;
	sums = (struct pv_sums){ NULL, 0 };
	return 0;
}

char *pv_sums_text(const struct pv_sums *sums)
{
	pv_autostr text = PV_STR_INIT;

	for (size_t i = 0; i < sums->n; i++)
		pv_str_addf(&text, "%s  %s\n", sums->v[i].sha256, sums->v[i].name);
	return pv_str_steal(&text);
}

int pv_sums_list(const char *dir, struct pv_strv *ret, struct pv_error *err)
{
	pv_autostrv names = PV_STRV_INIT;

	if (pv_list_dir(dir, &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.n; i++)
		if (!not_covered(names.v[i]))
			pv_strv_add(ret, names.v[i]);
	return 0;
}

/* *ret: the descriptor, or -1 with 0 when something else than a regular file has the name. */
static int open_regular(const char *dir, const char *name, int *ret, off_t *ret_size, struct pv_error *err)
{
	pv_autofree char *path = pv_path_join(dir, name), *shown = pv_printable(path, strlen(path));
	struct stat st;
	/* O_NONBLOCK: a fifo under that name must not hold us up. */
	pv_autoclose int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 && (errno == ELOOP || errno == ENXIO)) {
		*ret = -1;
		return 0;
	}
	if (fd < 0 || fstat(fd, &st) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", shown);
	*ret = S_ISREG(st.st_mode) ? pv_steal_fd(&fd) : -1;
	if (ret_size)
		*ret_size = st.st_size;
	return 0;
}

static int no_regular(const char *dir, const char *name, struct pv_error *err)
{
	pv_autofree char *shown = pv_printable(name, strlen(name));

	return pv_error_set(err, PV_ERR_STAGE, "%s/%s: no regular file; take it away", dir, shown);
}

int pv_sums_hash(const char *dir, const char *name, char ret_hex[PV_SHA256_HEX], struct pv_error *err)
{
	pv_autoclose int fd = -1;

	if (open_regular(dir, name, &fd, NULL, err) < 0)
		return -1;
	return fd < 0 ? no_regular(dir, name, err) : pv_digest_fd(fd, name, ret_hex, NULL, err);
}

int pv_sums_read(const char *dir, const char *name, size_t max, char **ret, size_t *ret_len, struct pv_error *err)
{
	pv_autoclose int fd = -1;
	off_t size = 0;

	if (open_regular(dir, name, &fd, &size, err) < 0)
		return -1;
	if (fd < 0)
		return no_regular(dir, name, err);
	if (size < 0 || (uint64_t)size > max)
		return pv_error_set(err, PV_ERR_STAGE, "%s/%s: larger than %zu bytes", dir, name, max);
	pv_autofree char *text = pv_xmalloc((size_t)size + 1);
	if (pv_pread_all(fd, text, (size_t)size, 0) != size)
		return pv_error_set(err, PV_ERR_STAGE, "%s/%s: cannot be read whole", dir, name);
	text[size] = '\0';
	*ret = pv_steal(&text);
	*ret_len = (size_t)size;
	return 0;
}

int pv_sums_make(const char *dir, const struct pv_sum *known, struct pv_sums *ret, struct pv_error *err)
{
	pv_autosums sums = { NULL, 0 };
	pv_autostrv names = PV_STRV_INIT;

	if (pv_sums_list(dir, &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		char hex[PV_SHA256_HEX];
		if (!pv_sums_name_ok(names.v[i])) {
			pv_autofree char *shown = pv_printable(names.v[i], strlen(names.v[i]));
			return pv_error_set(err, PV_ERR_STAGE, "%s/%s: a name that " PV_SUMS_FILE " cannot hold; take it away",
					    dir, shown);
		}
		if (known && pv_streq(known->name, names.v[i]))
			memcpy(hex, known->sha256, sizeof(hex));
		else if (pv_sums_hash(dir, names.v[i], hex, err) < 0)
			return -1;
		add(&sums, pv_xstrdup(names.v[i]), hex);
	}
	*ret = sums;
	sums = (struct pv_sums){ NULL, 0 };
	return 0;
}

static void find(struct pv_strv *findings, const char *what, const char *name)
{
	pv_autofree char *shown = pv_printable(name, strlen(name));

	pv_strv_addf(findings, "%s %s", what, shown);
}

static int compare_one(const char *dir, const struct pv_sum *sum, struct pv_strv *findings, struct pv_error *err)
{
	pv_autoclose int fd = -1;
	char hex[PV_SHA256_HEX];

	if (open_regular(dir, sum->name, &fd, NULL, err) < 0)
		return -1;
	if (fd < 0) {
		find(findings, "no regular file", sum->name);
		return 0;
	}
	if (pv_digest_fd(fd, sum->name, hex, NULL, err) < 0)
		return -1;
	if (!pv_streq(hex, sum->sha256))
		find(findings, "changed", sum->name);
	return 0;
}

int pv_sums_compare(const char *dir, const struct pv_sums *sums, struct pv_strv *ret_findings, struct pv_error *err)
{
	pv_autostrv names = PV_STRV_INIT;

	if (pv_sums_list(dir, &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.n; i++)
		if (!pv_sums_find(sums, names.v[i]))
			find(ret_findings, "extra", names.v[i]);
	for (size_t i = 0; i < sums->n; i++) {
		if (!pv_strv_has(&names, sums->v[i].name))
			find(ret_findings, "missing", sums->v[i].name);
		else if (compare_one(dir, &sums->v[i], ret_findings, err) < 0)
			return -1;
	}
	return 0;
}
