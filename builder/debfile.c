/* SPDX-License-Identifier: Apache-2.0 */
/* Reads one regular file out of a .deb: libarchive's ar reader feeds a second, tar reader. */
#include "debfile.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "proc.h"

#define OUTER_ENTRIES_MAX 8		/* debian-binary, control.tar, data.tar, and signatures of some archives */
#define BLOCK (64u << 10)

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

/* The tar reader's input: the bytes of the ar member data.tar*. */
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

static const char *plain_name(const char *path)
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

/* Walks the whole data.tar, so that a second file of the name is seen. */
static int scan_tar(struct archive *a, const char *name, const char *member, size_t max, struct pv_str *ret,
		    struct pv_error *err)
{
	uint64_t total = 0;
	bool found = false;

	for (size_t count = 0;; count++) {
		struct archive_entry *entry;
		int rc = archive_read_next_header(a, &entry);
		const char *path;
		la_int64_t size;

		if (rc == ARCHIVE_EOF)
			break;
		if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
			return fail_archive(err, name, a);
		size = archive_entry_size(entry);
		if (count == PV_DEB_ENTRIES_MAX || size < 0 ||
		    (uint64_t)size > PV_DEB_UNPACKED_MAX - total)
			return fail(err, name, "larger than such a package may be");
		total += (uint64_t)size;
		if (pv_proc_check_interrupt(err) < 0)
			return -1;
		path = archive_entry_pathname(entry);
		if (!path || strcmp(plain_name(path), plain_name(member)) != 0)
			continue;
		if (found)
			return pv_error_set(err, PV_ERR_ARCHIVE, "%s: has %s twice", name, member);
		if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) ||
		    archive_entry_symlink(entry))
			return pv_error_set(err, PV_ERR_ARCHIVE, "%s: %s in it is no regular file", name,
					    member);
		if ((uint64_t)size > max)
			return fail(err, name, "the file wanted from it is too large");
		if (read_file_data(a, name, max, ret, err) < 0)
			return -1;
		found = true;
	}
	if (!found)
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: has no %s", name, member);
	return 0;
}

/* libarchive would run a program for a filter that it was built without, and says so by ARCHIVE_WARN. */
static bool tar_reader_ok(struct archive *a)
{
	return a && archive_read_support_format_tar(a) == ARCHIVE_OK &&
	       archive_read_support_filter_xz(a) == ARCHIVE_OK &&
	       archive_read_support_filter_zstd(a) == ARCHIVE_OK &&
	       archive_read_support_filter_gzip(a) == ARCHIVE_OK;
}

static int read_data_tar(struct archive *outer, const char *name, const char *member, size_t max,
			 struct pv_str *ret, struct pv_error *err)
{
	autoarchive *inner = archive_read_new();

	if (!tar_reader_ok(inner))
		return pv_error_set(err, PV_ERR_HOST, "libarchive lacks xz, zstd or gzip");
	if (archive_read_open(inner, outer, NULL, read_outer, NULL) != ARCHIVE_OK)
		return fail_archive(err, name, inner);
	return scan_tar(inner, name, member, max, ret, err);
}

static int read_deb(struct archive *outer, const char *name, const char *member, size_t max,
		    struct pv_str *ret, struct pv_error *err)
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
		if (!pv_starts(path, "data.tar"))
			continue;
		if (found)
			return fail(err, name, "has two data.tar");
		if (read_data_tar(outer, name, member, max, ret, err) < 0)
			return -1;
		found = true;
	}
	if (!found)
		return fail(err, name, "has no data.tar");
	return 0;
}

static struct archive *ar_reader(void)
{
	struct archive *a = archive_read_new();

	if (a && archive_read_support_format_ar(a) != ARCHIVE_OK)
		free_archive(&a);
	return a;
}

int pv_deb_read_member(const char *deb_path, const char *member, size_t max, struct pv_str *ret,
		       struct pv_error *err)
{
	autoarchive *outer = ar_reader();
	pv_autostr content = PV_STR_INIT;

	if (!outer)
		return pv_error_set(err, PV_ERR_HOST, "libarchive cannot read ar archives");
	if (archive_read_open_filename(outer, deb_path, BLOCK) != ARCHIVE_OK)
		return fail_archive(err, deb_path, outer);
	if (read_deb(outer, deb_path, member, max, &content, err) < 0)
		return -1;
	*ret = content;
	content = (struct pv_str)PV_STR_INIT;
	return 0;
}

int pv_deb_read_member_mem(const void *data, size_t len, const char *name, const char *member, size_t max,
			   struct pv_str *ret, struct pv_error *err)
{
	autoarchive *outer = ar_reader();
	pv_autostr content = PV_STR_INIT;

	if (!outer)
		return pv_error_set(err, PV_ERR_HOST, "libarchive cannot read ar archives");
	if (archive_read_open_memory(outer, data, len) != ARCHIVE_OK)
		return fail_archive(err, name, outer);
	if (read_deb(outer, name, member, max, &content, err) < 0)
		return -1;
	*ret = content;
	content = (struct pv_str)PV_STR_INIT;
	return 0;
}
