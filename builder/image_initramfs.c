/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the names in an initramfs, as a stream: only names are ever held, whatever sizes it claims. */
#include "image_initramfs.h"

#include <archive.h>
#include <archive_entry.h>
#include <string.h>

#define NEWC_HEADER 110u
#define NEWC_SIZE 54u			/* places of two of its thirteen fields of eight hexadecimal digits */
#define NEWC_NAME_LEN 94u
#define NEWC_MAGIC_LEN 6u
#define NAME_MAX_LEN 4096u
#define TRAILER "TRAILER!!!"

/* Plain bytes, or what libarchive unpacks from them. */
struct source {
	const uint8_t *data;
	size_t len, at;
	struct archive *packed;		/* NULL: plain */
	uint64_t done;			/* bytes handed out */
};

static void free_archive(struct archive **a)
{
	archive_read_free(*a);
}
#define autoarchive __attribute__((cleanup(free_archive))) struct archive

static int refuse(struct pv_error *err, const char *why)
{
	return pv_error_set(err, PV_ERR_DIFFERS, "damaged initramfs: %s", why);
}

/* The next bytes, up to len of them; 0 at the end. */
static int take(struct source *s, void *buf, size_t len, size_t *ret_len, struct pv_error *err)
{
	size_t got = 0;

	if (!s->packed) {
		got = len < s->len - s->at ? len : s->len - s->at;
		memcpy(buf, s->data + s->at, got);
		s->at += got;
	}
	while (s->packed && got < len) {
		la_ssize_t n = archive_read_data(s->packed, (char *)buf + got, len - got);
		if (n < 0)
			return refuse(err, "it cannot be unpacked whole");
		if (n == 0)
			break;
		got += (size_t)n;
	}
	s->done += got;
	if (s->done > PV_INITRAMFS_BYTES_MAX)
		return refuse(err, "too large");
	*ret_len = got;
	return 0;
}

static int take_all(struct source *s, void *buf, size_t len, struct pv_error *err)
{
	size_t got = 0;

	if (take(s, buf, len, &got, err) < 0)
		return -1;
	return got == len ? 0 : refuse(err, "cut short");
}

static int skip(struct source *s, uint64_t len, struct pv_error *err)
{
	char block[32768];

	while (len > 0) {
		size_t n = len < sizeof(block) ? (size_t)len : sizeof(block);
		if (take_all(s, block, n, err) < 0)
			return -1;
		len -= n;
	}
	return 0;
}

static int add_name(struct pv_strv *ret, const char *name, size_t len, struct pv_error *err)
{
	if (ret->n >= PV_INITRAMFS_ENTRIES_MAX)
		return refuse(err, "too many files");
	while (len >= 2 && name[0] == '.' && name[1] == '/')
		name += 2, len -= 2;
	pv_strv_take(ret, pv_xstrndup(name, len));
	return 0;
}

static bool read_hex(const uint8_t *digits, uint32_t *ret)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < 8; i++) {
		uint8_t c = digits[i];
		unsigned digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : 16;
		if (digit > 15)
			return false;
		value = value << 4 | digit;
	}
	*ret = value;
	return true;
}

static bool is_newc(const uint8_t magic[NEWC_MAGIC_LEN])
{
	return memcmp(magic, "070701", NEWC_MAGIC_LEN) == 0 || memcmp(magic, "070702", NEWC_MAGIC_LEN) == 0;
}

/* One entry whose magic was taken; *ret_end: it was the trailer. */
static int read_entry(struct source *s, struct pv_strv *ret, bool *ret_end, struct pv_error *err)
{
	uint8_t rest[NEWC_HEADER - NEWC_MAGIC_LEN] = { 0 };
	char name[NAME_MAX_LEN];
	uint32_t size = 0, name_len = 0;

	if (take_all(s, rest, sizeof(rest), err) < 0)
		return -1;
	if (!read_hex(rest + NEWC_SIZE - NEWC_MAGIC_LEN, &size) || !read_hex(rest + NEWC_NAME_LEN - NEWC_MAGIC_LEN, &name_len))
		return refuse(err, "a cpio header that is none");
	if (name_len == 0 || name_len > sizeof(name))
		return refuse(err, "a name of an impossible length");
	if (take_all(s, name, name_len, err) < 0)
		return -1;
	size_t shown = strnlen(name, name_len);
	*ret_end = shown == strlen(TRAILER) && memcmp(name, TRAILER, shown) == 0;
	if (*ret_end)
		return 0;	/* what fills it up to a multiple of four are zeros, as are those between archives */
	if (add_name(ret, name, shown, err) < 0 || skip(s, (4 - (NEWC_HEADER + name_len) % 4) % 4, err) < 0)
		return -1;
	return skip(s, ((uint64_t)size + 3) & ~(uint64_t)3, err);
}

/* Archives one after the other, *ret_n of them, until the end or until bytes come that are none: *ret_taken of these
 * (none at the end) were taken. */
static int read_archives(struct source *s, struct pv_strv *ret, size_t *ret_n, size_t *ret_taken, struct pv_error *err)
{
	bool inside = false;

	*ret_n = 0;
	for (;;) {
		uint8_t magic[NEWC_MAGIC_LEN];
		size_t got = 0;
		if (take(s, magic, 1, &got, err) < 0)
			return -1;
		*ret_taken = got;
		if (got == 0 && !inside)
			return 0;
		if (got == 1 && magic[0] == 0 && !inside)
			continue;
		size_t more = 0;
		if (take(s, magic + 1, sizeof(magic) - 1, &more, err) < 0)
			return -1;
		*ret_taken = got + more;
		if (*ret_taken < sizeof(magic) || !is_newc(magic))
			return inside ? refuse(err, "no cpio header where one must be") : 0;
		bool end = false;
		if (read_entry(s, ret, &end, err) < 0)
			return -1;
		*ret_n += end;
		inside = !end;
	}
}

static int read_packed(const uint8_t *data, size_t len, struct pv_strv *ret, struct pv_error *err)
{
	autoarchive *a = archive_read_new();
	struct archive_entry *entry;
	size_t n = 0, taken = 0;

	/* what the suites' initramfs makers write; "all" would have programs run for formats libarchive cannot read itself */
	if (!a || archive_read_support_format_raw(a) != ARCHIVE_OK || archive_read_support_filter_gzip(a) != ARCHIVE_OK ||
	    archive_read_support_filter_xz(a) != ARCHIVE_OK || archive_read_support_filter_lz4(a) != ARCHIVE_OK ||
	    archive_read_support_filter_zstd(a) != ARCHIVE_OK)
		return pv_error_set(err, PV_ERR_HOST, "libarchive knows no gzip, xz, lz4 or zstd");
	if (archive_read_open_memory(a, data, len) != ARCHIVE_OK || archive_read_next_header(a, &entry) != ARCHIVE_OK)
		return refuse(err, "compressed in an unknown way");
	struct source inner = { .packed = a };
	if (read_archives(&inner, ret, &n, &taken, err) < 0)
		return -1;
	return n > 0 && taken == 0 ? 0 : refuse(err, "no cpio archive in the compressed part");
}

int pv_initramfs_names(const uint8_t *data, size_t len, struct pv_strv *ret, struct pv_error *err)
{
	struct source plain = { .data = data, .len = len };
	size_t n = 0, taken = 0;

	if (read_archives(&plain, ret, &n, &taken, err) < 0)
		return -1;
	if (taken > 0)
		return read_packed(data + plain.at - taken, len - plain.at + taken, ret, err);
	return n > 0 ? 0 : refuse(err, "empty");
}
