/* SPDX-License-Identifier: Apache-2.0 */
/* Reads .modinfo out of a kernel module, with libarchive for compressed ones. */
#include "image_module.h"

#include <archive.h>
#include <archive_entry.h>
#include <elf.h>
#include <stdbool.h>
#include <string.h>

#include "text.h"

static void free_archive(struct archive **a)
{
	archive_read_free(*a);
}
#define autoarchive __attribute__((cleanup(free_archive))) struct archive

static int refuse(struct pv_error *err, const char *why)
{
	return pv_error_set(err, PV_ERR_DIFFERS, "no kernel module: %s", why);
}

static int unpack(const uint8_t *data, size_t len, struct pv_str *ret, struct pv_error *err)
{
	autoarchive *a = archive_read_new();
	struct archive_entry *entry;
	char block[65536];
	la_ssize_t n;

	if (!a || archive_read_support_filter_gzip(a) != ARCHIVE_OK || archive_read_support_filter_xz(a) != ARCHIVE_OK ||
	    archive_read_support_filter_zstd(a) != ARCHIVE_OK || archive_read_support_format_raw(a) != ARCHIVE_OK)
		return pv_error_set(err, PV_ERR_HOST, "libarchive knows no gzip, xz or zstd");
	if (archive_read_open_memory(a, data, len) != ARCHIVE_OK || archive_read_next_header(a, &entry) != ARCHIVE_OK)
		return refuse(err, "it cannot be unpacked");
	while ((n = archive_read_data(a, block, sizeof(block))) > 0) {
		if (ret->len + (size_t)n > PV_MODULE_MAX)
			return refuse(err, "too large");
		pv_str_addn(ret, block, (size_t)n);
	}
	return n < 0 ? refuse(err, "it cannot be unpacked") : 0;
}

/* A section's bytes; false: outside the file. */
static bool section(const uint8_t *data, size_t len, const Elf64_Ehdr *head, size_t index, Elf64_Shdr *ret)
{
	uint64_t at = (uint64_t)index * sizeof(*ret);

	if (head->e_shentsize != sizeof(*ret) || index >= head->e_shnum || head->e_shoff > len ||
	    at + sizeof(*ret) > len - head->e_shoff)
		return false;
	memcpy(ret, data + head->e_shoff + at, sizeof(*ret));
	return ret->sh_type == SHT_NOBITS || (ret->sh_offset <= len && ret->sh_size <= len - ret->sh_offset);
}

/* Does the name at `offset` of the table of names say .modinfo? */
static bool is_modinfo(const uint8_t *data, const Elf64_Shdr *names, uint32_t offset)
{
	static const char wanted[] = ".modinfo";

	return offset <= names->sh_size && names->sh_size - offset >= sizeof(wanted) &&
	       memcmp(data + names->sh_offset + offset, wanted, sizeof(wanted)) == 0;
}

static int find_modinfo(const uint8_t *data, size_t len, Elf64_Shdr *ret, struct pv_error *err)
{
	Elf64_Ehdr head;
	Elf64_Shdr names;

	if (len < sizeof(head))
		return refuse(err, "too short");
	memcpy(&head, data, sizeof(head));
	if (memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_ident[EI_CLASS] != ELFCLASS64 ||
	    head.e_ident[EI_DATA] != ELFDATA2LSB || head.e_machine != EM_X86_64)
		return refuse(err, "not ELF for x86-64");
	if (!section(data, len, &head, head.e_shstrndx, &names) || names.sh_type != SHT_STRTAB)
		return refuse(err, "its section names lie outside the file");
	for (size_t i = 0; i < head.e_shnum; i++) {
		if (!section(data, len, &head, i, ret))
			return refuse(err, "a section lies outside the file");
		if (ret->sh_type == SHT_PROGBITS && is_modinfo(data, &names, ret->sh_name))
			return 0;
	}
	return refuse(err, "it has no .modinfo");
}

/* .modinfo is "key=value", NUL, "key=value", NUL. */
static int find_key(const char *info, size_t len, const char *key, char **ret, struct pv_error *err)
{
	size_t want = strlen(key);

	for (size_t at = 0; at < len; ) {
		size_t n = strnlen(info + at, len - at);
		if (n > want && memcmp(info + at, key, want) == 0 && info[at + want] == '=') {
			*ret = pv_xstrndup(info + at + want + 1, n - want - 1);
			return 0;
		}
		at += n + 1;
	}
	return refuse(err, "its .modinfo lacks an entry");
}

int pv_module_info(const uint8_t *data, size_t len, const char *key, char **ret, struct pv_error *err)
{
	pv_autostr unpacked = PV_STR_INIT;
	Elf64_Shdr info = { 0 };

	if (len < SELFMAG || memcmp(data, ELFMAG, SELFMAG) != 0) {
		if (unpack(data, len, &unpacked, err) < 0)
			return -1;
		data = (const uint8_t *)pv_str_text(&unpacked);
		len = unpacked.len;
	}
	if (find_modinfo(data, len, &info, err) < 0)
		return -1;
	return find_key((const char *)data + info.sh_offset, (size_t)info.sh_size, key, ret, err);
}
