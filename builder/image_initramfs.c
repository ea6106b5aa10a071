/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the names in an initramfs: plain cpio archives here, the compressed one with libarchive. */
#include "image_initramfs.h"

#include <archive.h>
#include <archive_entry.h>
#include <string.h>

#define NEWC_HEADER 110u
#define NEWC_SIZE 54u			/* places of two of its thirteen fields of eight hexadecimal digits */
#define NEWC_NAME_LEN 94u
#define NAME_MAX_LEN 4096u
#define TRAILER "TRAILER!!!"

static void free_archive(struct archive **a)
{
	archive_read_free(*a);
}
#define autoarchive __attribute__((cleanup(free_archive))) struct archive

static int refuse(struct pv_error *err, const char *why)
{
	return pv_error_set(err, PV_ERR_DIFFERS, "damaged initramfs: %s", why);
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

static bool is_newc(const uint8_t *data, size_t len)
{
	return len >= 6 && (memcmp(data, "070701", 6) == 0 || memcmp(data, "070702", 6) == 0);
}

static size_t pad4(size_t n)
{
	return (n + 3) & ~(size_t)3;
}

/* One plain archive at the beginning of data; *ret_used is its length with the trailer. */
static int read_plain(const uint8_t *data, size_t len, struct pv_strv *ret, size_t *ret_used, struct pv_error *err)
{
	for (size_t at = 0; ; ) {
		uint32_t size, name_len;
		if (len - at < NEWC_HEADER || !is_newc(data + at, len - at) ||
		    !read_hex(data + at + NEWC_SIZE, &size) || !read_hex(data + at + NEWC_NAME_LEN, &name_len))
			return refuse(err, "no cpio header where one must be");
		const char *name = (const char *)data + at + NEWC_HEADER;
		if (name_len == 0 || name_len > NAME_MAX_LEN || name_len > len - at - NEWC_HEADER)
			return refuse(err, "a name outside the file");
		size_t body = at + pad4(NEWC_HEADER + name_len);
		size_t shown = strnlen(name, name_len);
		if (shown == strlen(TRAILER) && memcmp(name, TRAILER, shown) == 0) {
			*ret_used = body < len ? body : len;
			return 0;
		}
		if (body > len || size > len - body)
			return refuse(err, "a file's end lies outside");
		if (add_name(ret, name, shown, err) < 0)
			return -1;
		at = body + pad4(size);
		if (at > len)
			return refuse(err, "cut short");
	}
}

static int read_compressed(const uint8_t *data, size_t len, struct pv_strv *ret, struct pv_error *err)
{
	autoarchive *a = archive_read_new();
	struct archive_entry *entry;
	uint64_t bytes = 0;
	int rc;

	if (!a || archive_read_support_format_cpio(a) != ARCHIVE_OK)
		return pv_error_set(err, PV_ERR_HOST, "libarchive knows no cpio");
	/* not "all": that would have programs run for formats libarchive cannot read itself */
	(void)archive_read_support_filter_gzip(a);
	(void)archive_read_support_filter_bzip2(a);
	(void)archive_read_support_filter_lzma(a);
	(void)archive_read_support_filter_xz(a);
	(void)archive_read_support_filter_lz4(a);
	(void)archive_read_support_filter_zstd(a);
	if (archive_read_open_memory(a, data, len) != ARCHIVE_OK)
		return refuse(err, "compressed in an unknown way");
	while ((rc = archive_read_next_header(a, &entry)) == ARCHIVE_OK || rc == ARCHIVE_WARN) {
		const char *name = archive_entry_pathname(entry);
		int64_t size = archive_entry_size(entry);
		bytes += size > 0 ? (uint64_t)size : 0;
		if (bytes > PV_INITRAMFS_BYTES_MAX)
			return refuse(err, "too large");
		if (name && add_name(ret, name, strlen(name), err) < 0)
			return -1;
	}
	return rc == ARCHIVE_EOF ? 0 : refuse(err, "it cannot be unpacked whole");
}

int pv_initramfs_names(const uint8_t *data, size_t len, struct pv_strv *ret, struct pv_error *err)
{
	bool any = false;

	for (size_t at = 0; ; ) {
		while (at < len && data[at] == 0)
			at++;
		if (at == len)
			return any ? 0 : refuse(err, "empty");
		if (!is_newc(data + at, len - at))
			return read_compressed(data + at, len - at, ret, err);
		size_t used = 0;
		if (read_plain(data + at, len - at, ret, &used, err) < 0)
			return -1;
		any = true;
		at += used;
	}
}
