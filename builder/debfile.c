/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the entries of a .deb, or one file of it: libarchive's ar reader feeds a second, tar reader. */
#include "debfile.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "proc.h"

#define OUTER_ENTRIES_MAX 8		/* debian-binary, control.tar, data.tar, and signatures of some archives */
#define BLOCK (64u << 10)
#define DATA "data.tar"
#define CONTROL "control.tar"

static void free_archive(struct archive **a)
{
	if (*a)
		archive_read_free(*a);
	*a = NULL;
}
#define autoarchive __attribute__((cleanup(free_archive))) struct archive

static int fail(struct pv_error *err, const char *name, const char *why)
{
	return pv_error_set(err, PV_ERR_ARCHIVE, "%s: %s", name, why);
}

static int fail_archive(struct pv_error *err, const char *name, struct archive *a)
{
	const char *text = archive_error_string(a);
	pv_autofree char *shown = pv_printable(text ? text : "", text ? strlen(text) : 0);

	return pv_error_set(err, PV_ERR_ARCHIVE, "%s: not a readable package: %s", name,
			    *shown ? shown : "cut short");
}

/* The tar reader's input: the bytes of the ar member. */
static la_ssize_t read_outer(struct archive *inner, void *vouter, const void **ret)
{
	struct archive *outer = vouter;
	size_t len;
	la_int64_t offset;
	int rc = archive_read_data_block(outer, ret, &len, &offset);

	if (rc == ARCHIVE_EOF)
		return 0;
	if (rc == ARCHIVE_RETRY || rc < ARCHIVE_WARN) {
		archive_set_error(inner, archive_errno(outer), "%s", "damaged");
		return -1;
	}
	return (la_ssize_t)len;
}

const char *pv_deb_plain_name(const char *path)
{
	for (;;) {
		if (pv_starts(path, "./"))
			path += 2;
		else if (*path == '/')
			path++;
		else
			return path;
	}
}

static int read_file_data(struct archive *a, const char *name, size_t max, struct pv_str *ret,
			  struct pv_error *err)
{
	pv_autofree char *buf = pv_xmalloc(BLOCK);

	for (;;) {
		la_ssize_t n = archive_read_data(a, buf, BLOCK);

		if (n < 0)
			return fail_archive(err, name, a);
		if (n == 0)
			return 0;
		if ((size_t)n > max - ret->len)
			return fail(err, name, "the file wanted from it is too large");
		pv_str_addn(ret, buf, (size_t)n);
	}
}

struct search {
	const char *name, *member;
	size_t max, count;
	struct pv_str *ret;
	uint64_t total;
	bool found;
};

/* Goes on after the file was found, so that a second one of the name is seen. */
static int take_member(void *ctx, struct archive *a, struct archive_entry *entry, struct pv_error *err)
{
	struct search *s = ctx;
	const char *path = archive_entry_pathname(entry);
	la_int64_t size = archive_entry_size(entry);

	if (s->count++ == PV_DEB_ENTRIES_MAX || size < 0 || (uint64_t)size > PV_DEB_UNPACKED_MAX - s->total)
		return fail(err, s->name, "larger than such a package may be");
	s->total += (uint64_t)size;
	if (!path || strcmp(pv_deb_plain_name(path), pv_deb_plain_name(s->member)) != 0)
		return 0;
	if (s->found)
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: has %s twice", s->name, s->member);
	if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) ||
	    archive_entry_symlink(entry))
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: %s in it is no regular file", s->name, s->member);
	if ((uint64_t)size > s->max)
		return fail(err, s->name, "the file wanted from it is too large");
	s->found = true;
	return read_file_data(a, s->name, s->max, s->ret, err);
}

static int scan_tar(struct archive *a, const char *name, pv_deb_entry_fn *fn, void *ctx, struct pv_error *err)
{
	for (;;) {
		struct archive_entry *entry;
		int rc = archive_read_next_header(a, &entry);

		if (rc == ARCHIVE_EOF)
			return 0;
		if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
			return fail_archive(err, name, a);
		if (pv_proc_check_interrupt(err) < 0 || fn(ctx, a, entry, err) < 0)
			return -1;
	}
}

/* libarchive would run a program for a filter that it was built without, and says so by ARCHIVE_WARN. */
static bool tar_reader_ok(struct archive *a)
{
	return a && archive_read_support_format_tar(a) == ARCHIVE_OK &&
	       archive_read_support_filter_xz(a) == ARCHIVE_OK &&
	       archive_read_support_filter_zstd(a) == ARCHIVE_OK &&
	       archive_read_support_filter_gzip(a) == ARCHIVE_OK;
}

static int read_tar(struct archive *outer, const char *name, pv_deb_entry_fn *fn, void *ctx,
			 struct pv_error *err)
{
	autoarchive *inner = archive_read_new();

	if (!tar_reader_ok(inner))
		return pv_error_set(err, PV_ERR_HOST, "libarchive lacks xz, zstd or gzip");
	if (archive_read_open(inner, outer, NULL, read_outer, NULL) != ARCHIVE_OK)
		return fail_archive(err, name, inner);
	return scan_tar(inner, name, fn, ctx, err);
}

/* which: the ar member's name without its packing's end. */
static int read_deb(struct archive *outer, const char *name, const char *which, pv_deb_entry_fn *fn, void *ctx,
		    struct pv_error *err)
{
	bool found = false;

	for (int count = 0;; count++) {
		struct archive_entry *entry;
		int rc = archive_read_next_header(outer, &entry);
		const char *path;

		if (rc == ARCHIVE_EOF)
			break;
		if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
			return fail_archive(err, name, outer);
		path = archive_entry_pathname(entry);
		if (count == OUTER_ENTRIES_MAX || !path || (count == 0 && strcmp(path, "debian-binary") != 0))
			return fail(err, name, "not a Debian package");
		if (!pv_starts(path, which))
			continue;
		if (found)
			return pv_error_set(err, PV_ERR_ARCHIVE, "%s: has two %s", name, which);
		if (read_tar(outer, name, fn, ctx, err) < 0)
			return -1;
		found = true;
	}
	if (!found)
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: has no %s", name, which);
	return 0;
}

static struct archive *ar_reader(void)
{
	struct archive *a = archive_read_new();

	if (a && archive_read_support_format_ar(a) != ARCHIVE_OK)
		free_archive(&a);
	return a;
}

static int open_file(struct archive *outer, const char *deb_path, struct pv_error *err)
{
	if (!outer)
		return pv_error_set(err, PV_ERR_HOST, "libarchive cannot read ar archives");
	return archive_read_open_filename(outer, deb_path, BLOCK) == ARCHIVE_OK ? 0 : fail_archive(err, deb_path, outer);
}

int pv_deb_each_entry(const char *deb_path, pv_deb_entry_fn *fn, void *ctx, struct pv_error *err)
{
	autoarchive *outer = ar_reader();

	return open_file(outer, deb_path, err) < 0 ? -1 : read_deb(outer, deb_path, DATA, fn, ctx, err);
}

static int read_member(struct archive *outer, const char *name, const char *which, const char *member, size_t max,
		       struct pv_str *ret, struct pv_error *err)
{
	pv_autostr content = PV_STR_INIT;
	struct search s = { .name = name, .member = member, .max = max, .ret = &content };

	if (read_deb(outer, name, which, take_member, &s, err) < 0)
		return -1;
	if (!s.found)
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: has no %s", name, member);
	*ret = content;
	content = (struct pv_str)PV_STR_INIT;
	return 0;
}

int pv_deb_read_member(const char *deb_path, const char *member, size_t max, struct pv_str *ret,
		       struct pv_error *err)
{
	autoarchive *outer = ar_reader();

	return open_file(outer, deb_path, err) < 0 ? -1 : read_member(outer, deb_path, DATA, member, max, ret, err);
}

int pv_deb_read_control(const char *deb_path, struct pv_str *ret, struct pv_error *err)
{
	autoarchive *outer = ar_reader();

	if (open_file(outer, deb_path, err) < 0)
		return -1;
	return read_member(outer, deb_path, CONTROL, "control", PV_DEB_CONTROL_MAX, ret, err);
}

int pv_deb_read_member_mem(const void *data, size_t len, const char *name, const char *member, size_t max,
			   struct pv_str *ret, struct pv_error *err)
{
	autoarchive *outer = ar_reader();

	if (!outer)
		return pv_error_set(err, PV_ERR_HOST, "libarchive cannot read ar archives");
	if (archive_read_open_memory(outer, data, len) != ARCHIVE_OK)
		return fail_archive(err, name, outer);
	return read_member(outer, name, DATA, member, max, ret, err);
}
