/* SPDX-License-Identifier: Apache-2.0 */
/* Rewrites a .deb without compression. */
#include "debplain.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fsutil.h"
#include "proc.h"
#include "text.h"

#define BLOCK (256u << 10)

/* deb(5): an ar archive of these members, in this order; the tar ones end in the name of their compression. ar(5):
 * "!<arch>\n", then for each member a header of 60 bytes and its data, padded with "\n" to an even length. */
static const char *const members[] = { "debian-binary", "control.tar", "data.tar" };
#define AR_MAGIC "!<arch>\n"
#define AR_HEADER 60

struct writer {
	const char *from, *to;
	int fd;
	uint64_t at, max;
	char *block;
};

static void free_reader(struct archive **a)
{
	if (*a)
		archive_read_free(*a);
	*a = NULL;
}
#define autoreader __attribute__((cleanup(free_reader))) struct archive

static int damaged(const struct writer *w, struct archive *a, struct pv_error *err)
{
	const char *why = a ? archive_error_string(a) : NULL;

	return pv_error_set(err, PV_ERR_ARCHIVE, "%s: not a readable package: %s", w->from, why ? why : "cut short");
}

static int write_at(struct writer *w, const void *data, size_t len, uint64_t offset, struct pv_error *err)
{
	if (offset + len > w->max)
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: unpacks to more than %llu bytes", w->from,
				    (unsigned long long)w->max);
	if (pv_pwrite_all(w->fd, data, len, (off_t)offset) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", w->to);
	return 0;
}

/* The inner reader's input: the bytes of the ar member that is open. */
static la_ssize_t read_member(struct archive *inner, void *outer, const void **ret)
{
	size_t len;
	la_int64_t offset;
	int rc = archive_read_data_block(outer, ret, &len, &offset);

	if (rc == ARCHIVE_EOF)
		return 0;
	if (rc < ARCHIVE_WARN) {
		archive_set_error(inner, archive_errno(outer), "%s", "damaged");
		return -1;
	}
	return (la_ssize_t)len;
}

/* What the end of a tar member's name says about it, deb(5). */
static const struct {
	const char *end;
	int filter;
} packings[] = {
	{ "", ARCHIVE_FILTER_NONE }, { ".gz", ARCHIVE_FILTER_GZIP }, { ".xz", ARCHIVE_FILTER_XZ },
	{ ".zst", ARCHIVE_FILTER_ZSTD }, { ".bz2", ARCHIVE_FILTER_BZIP2 }, { ".lzma", ARCHIVE_FILTER_LZMA },
};

/* The member's compression by its name, as dpkg takes it, and never by its bytes: libarchive would undo what lies below it
 * too, and run programs of the host for what it cannot do itself (that is ARCHIVE_WARN). */
static int add_filter(struct archive *inner, const char *end)
{
	for (size_t i = 0; i < PV_COUNT(packings); i++) {
		if (!pv_streq(packings[i].end, end))
			continue;
		if (packings[i].filter == ARCHIVE_FILTER_NONE)
			return 0;
		return archive_read_append_filter(inner, packings[i].filter) == ARCHIVE_OK ? 0 : -1;
	}
	return -1;
}

/* A reader of the member's data without its compression. "raw" refuses no data at all, which no member is. */
static struct archive *open_member(struct archive *outer, const char *end)
{
	autoreader *inner = archive_read_new();
	struct archive_entry *entry;

	if (!inner || add_filter(inner, end) < 0 || archive_read_support_format_raw(inner) != ARCHIVE_OK)
		return NULL;
	if (archive_read_open(inner, outer, NULL, read_member, NULL) != ARCHIVE_OK ||
	    archive_read_next_header(inner, &entry) != ARCHIVE_OK)
		return NULL;
	return pv_steal(&inner);
}

static int write_data(struct writer *w, struct archive *inner, struct pv_error *err)
{
	for (;;) {
		la_ssize_t n = archive_read_data(inner, w->block, BLOCK);

		if (n < 0)
			return damaged(w, inner, err);
		if (n == 0)
			return 0;
		if (write_at(w, w->block, (size_t)n, w->at, err) < 0 || pv_proc_check_interrupt(err) < 0)
			return -1;
		w->at += (uint64_t)n;
	}
}

/* end: of the member's name, behind `name`. */
static int write_member(struct writer *w, const char *name, const char *end, struct archive *outer, struct pv_error *err)
{
	char header[AR_HEADER + 1];
	uint64_t begin = w->at;
	autoreader *inner = open_member(outer, end);

	if (!inner)
		return damaged(w, outer, err);
	w->at += AR_HEADER;
	if (write_data(w, inner, err) < 0)
		return -1;
	uint64_t size = w->at - begin - AR_HEADER;
	snprintf(header, sizeof(header), "%-16s%-12d%-6d%-6d%-8s%-10llu`\n", name, 0, 0, 0, "100644",
		 (unsigned long long)size);
	if (write_at(w, header, AR_HEADER, begin, err) < 0)
		return -1;
	if (size % 2 == 0)
		return 0;
	return write_at(w, "\n", 1, w->at++, err);
}

/* "data.tar.xz" is data.tar; NULL for what is none of a package's members. */
static const char *plain_member(const char *name)
{
	for (size_t i = 0; name && i < PV_COUNT(members); i++) {
		size_t len = strlen(members[i]);
		if (pv_starts(name, members[i]) && (name[len] == '\0' || name[len] == '.' || name[len] == '/'))
			return members[i];
	}
	return NULL;
}

static int write_members(struct writer *w, struct pv_error *err)
{
	autoreader *outer = archive_read_new();
	struct archive_entry *entry;
	size_t done = 0;
	int rc;

	if (!outer || archive_read_support_format_ar(outer) < ARCHIVE_WARN ||
	    archive_read_open_filename(outer, w->from, BLOCK) != ARCHIVE_OK)
		return damaged(w, outer, err);
	if (write_at(w, AR_MAGIC, strlen(AR_MAGIC), 0, err) < 0)
		return -1;
	w->at = strlen(AR_MAGIC);
	while ((rc = archive_read_next_header(outer, &entry)) == ARCHIVE_OK) {
		const char *full = archive_entry_pathname(entry), *name = plain_member(full);
		if (!name)
			continue;	/* "_"-members may be passed over, deb(5) */
		if (done == PV_COUNT(members) || !pv_streq(name, members[done++]))
			return pv_error_set(err, PV_ERR_ARCHIVE, "%s: its members are not those of a package", w->from);
		if (write_member(w, name, full + strlen(name), outer, err) < 0)
			return -1;
	}
	if (rc != ARCHIVE_EOF)
		return damaged(w, outer, err);
	if (done != PV_COUNT(members))
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: its members are not those of a package", w->from);
	return 0;
}

int pv_debplain_write(const char *from, const char *to, uint64_t max, char ret_sha256[PV_SHA256_HEX],
		      uint64_t *ret_size, struct pv_error *err)
{
	pv_autofree char *block = pv_xmalloc(BLOCK);
	pv_autoclose int fd = open(to, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	struct writer w = { .from = from, .to = to, .fd = fd, .max = max, .block = block };

	if (fd < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", to);
	if (write_members(&w, err) == 0 && pv_digest_file(to, ret_sha256, ret_size, err) == 0)
		return 0;
	unlink(to);
	return -1;
}
