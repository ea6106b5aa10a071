/* SPDX-License-Identifier: Apache-2.0 */
/* Comparing two images: the order of the parts, the list of differences, their words. */
#include "imgdiff.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "fsutil.h"
#include "imgdiff_priv.h"

static const struct {
	const char *name, *words;
} kinds[PV_IMGDIFF_KINDS] = {
	[PV_IMGDIFF_ONLY_FIRST] = { "only-first", "is only in the first" },
	[PV_IMGDIFF_ONLY_SECOND] = { "only-second", "is only in the second" },
	[PV_IMGDIFF_TYPE] = { "type", "type differs" },
	[PV_IMGDIFF_CONTENT] = { "content", "content differs" },
	[PV_IMGDIFF_LINK] = { "link", "link differs" },
	[PV_IMGDIFF_MODE] = { "mode", "mode differs" },
	[PV_IMGDIFF_OWNER] = { "owner", "owner differs" },
	[PV_IMGDIFF_SIZE] = { "size", "size differs" },
	[PV_IMGDIFF_LINKS] = { "links", "number of names differs" },
	[PV_IMGDIFF_DEVICE] = { "device", "device number differs" },
	[PV_IMGDIFF_XATTR] = { "xattr", "extended attribute differs" },
	[PV_IMGDIFF_MTIME] = { "mtime", "time of change differs" },
	[PV_IMGDIFF_TIMES] = { "times", "times of its inode differ" },
	[PV_IMGDIFF_INODE] = { "inode", "inode differs" },
	[PV_IMGDIFF_TABLE] = { "table", "layout differs" },
	[PV_IMGDIFF_BYTES] = { "bytes", "differs" },
};

const char *pv_imgdiff_kind_name(enum pv_imgdiff_kind kind)
{
	return kinds[kind].name;
}

struct pv_imgdiff_item *pv_imgdiff_add(struct pv_imgdiff *diff, enum pv_imgdiff_kind kind, const char *where,
				       const char *path)
{
	diff->total++;
	if (diff->n == PV_IMGDIFF_ITEMS_MAX)
		return NULL;
	if (diff->n == diff->cap) {
		diff->cap = diff->cap ? diff->cap * 2 : 16;
		diff->v = pv_xreallocarray(diff->v, diff->cap, sizeof(*diff->v));
	}
	struct pv_imgdiff_item *item = &diff->v[diff->n++];
	*item = (struct pv_imgdiff_item){ .kind = kind, .where = pv_xstrdup(where), .path = pv_xstrdup(path), .offset = -1 };
	return item;
}

void pv_imgdiff_note(struct pv_imgdiff *diff, enum pv_imgdiff_kind kind, const char *where, const char *path, char *first,
		     char *second)
{
	struct pv_imgdiff_item *item = pv_imgdiff_add(diff, kind, where, path);

	if (!item) {
		free(first);
		free(second);
		return;
	}
	item->first = first;
	item->second = second;
}

char *pv_imgdiff_hex(const uint8_t *data, size_t len)
{
	pv_autostr text = PV_STR_INIT;

	for (size_t i = 0; i < len && i < PV_IMGDIFF_SHOWN; i++)
		pv_str_addf(&text, "%s%02x", i ? " " : "", data[i]);
	return pv_str_steal(&text);
}

uint64_t pv_imgdiff_count(const uint8_t *a, const uint8_t *b, size_t len, size_t *at)
{
	uint64_t count = 0;

	if (memcmp(a, b, len) == 0)
		return 0;
	for (size_t i = 0; i < len; i++) {
		if (a[i] == b[i])
			continue;
		if (count++ == 0)
			*at = i;
	}
	return count;
}

int pv_imgdiff(const struct pv_image *first, const struct pv_image *second, const struct pv_imgdiff_options *options,
	       struct pv_imgdiff *ret, struct pv_error *err)
{
	pv_autoimgdiff diff = { 0 };
	const struct pv_imgdiff_run run = { first, second, options, &diff };

	if (pv_imgdiff_disk(&run, err) < 0)
		return -1;
	pv_imgdiff_esp(&run);
	if (pv_imgdiff_tree(&run, err) < 0)
		return -1;
	pv_imgdiff_writers(&run);
	for (size_t i = 0; i < diff.n; i++) {
		diff.v[i].first = diff.v[i].first ? diff.v[i].first : pv_xstrdup("");
		diff.v[i].second = diff.v[i].second ? diff.v[i].second : pv_xstrdup("");
	}
	*ret = diff;
	diff = (struct pv_imgdiff){ 0 };
	return 0;
}

void pv_imgdiff_done(struct pv_imgdiff *diff)
{
	for (size_t i = 0; i < diff->n; i++) {
		struct pv_imgdiff_item *item = &diff->v[i];
		free(item->where);
		free(item->path);
		free(item->first);
		free(item->second);
		free(item->writer);
	}
	free(diff->v);
	*diff = (struct pv_imgdiff){ 0 };
}

char *pv_imgdiff_text(const struct pv_imgdiff_item *item)
{
	pv_autostr text = PV_STR_INIT;
	bool inside = item->kind == PV_IMGDIFF_ONLY_FIRST || item->kind == PV_IMGDIFF_ONLY_SECOND;

	pv_str_add(&text, item->where);
	if (item->path) {
		pv_autofree char *shown = pv_printable(item->path, strlen(item->path));
		pv_str_addf(&text, ", %s", shown);
	}
	pv_str_addf(&text, ": %s", kinds[item->kind].words);
	if (item->offset >= 0)
		pv_str_addf(&text, " at byte %lld", (long long)item->offset);
	if (inside && item->count)
		pv_str_addf(&text, ", with %llu in it", (unsigned long long)item->count);
	else if (item->count > 1)
		pv_str_addf(&text, " (%llu bytes in all)", (unsigned long long)item->count);
	if (*item->first || *item->second)
		pv_str_addf(&text, ": %s | %s", *item->first ? item->first : "none", *item->second ? item->second : "none");
	pv_str_addf(&text, "; written by %s", item->writer);
	return pv_str_steal(&text);
}

static int open_pair(const char *first, const char *second, int ret_fd[2], struct pv_error *err)
{
	ret_fd[0] = open(first, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (ret_fd[0] < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", first);
	ret_fd[1] = open(second, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (ret_fd[1] < 0) {
		int cause = errno;
		pv_closep(&ret_fd[0]);
		return pv_error_errno(err, PV_ERR_STAGE, cause, "%s", second);
	}
	return 0;
}

static char *words_at(const char *name, uint64_t offset, uint64_t line, const uint8_t *a, size_t alen, const uint8_t *b,
		      size_t blen)
{
	pv_autofree char *left = pv_imgdiff_hex(a, alen), *right = pv_imgdiff_hex(b, blen);

	return pv_fmt("%s: differs at byte %llu (line %llu): %s | %s", name, (unsigned long long)offset,
		      (unsigned long long)line, alen ? left : "its end", blen ? right : "its end");
}

int pv_imgdiff_files(const char *first, const char *second, const char *name, char **ret_text, struct pv_error *err)
{
	pv_autofree uint8_t *a = pv_xmalloc(PV_IMGDIFF_CHUNK), *b = pv_xmalloc(PV_IMGDIFF_CHUNK);
	int fd[2] = { -1, -1 };
	uint64_t offset = 0, line = 1;

	if (open_pair(first, second, fd, err) < 0)
		return -1;
	pv_autoclose int fd_a = fd[0], fd_b = fd[1];
	for (;;) {
		ssize_t na = pv_pread_all(fd_a, a, PV_IMGDIFF_CHUNK, (off_t)offset);
		ssize_t nb = pv_pread_all(fd_b, b, PV_IMGDIFF_CHUNK, (off_t)offset);
		if (na < 0 || nb < 0)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", na < 0 ? first : second);
		size_t both = (size_t)(na < nb ? na : nb), at = both;
		(void)pv_imgdiff_count(a, b, both, &at);
		for (size_t i = 0; i < at; i++)
			line += a[i] == '\n';
		if (at < both || na != nb) {
			*ret_text = words_at(name, offset + at, line, a + at, (size_t)na - at, b + at, (size_t)nb - at);
			return 0;
		}
		if (na == 0)
			break;
		offset += both;
	}
	*ret_text = NULL;
	return 0;
}
