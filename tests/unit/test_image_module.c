/* SPDX-License-Identifier: Apache-2.0 */
/* .modinfo of a hand-made module, plain and compressed; every cut and every wrong offset is refused. */
#include "check.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include <archive.h>
#include <archive_entry.h>

#include "image_module.h"
#include "text.h"

static const char info[] = "license=GPL\0vermagic=6.1.0 SMP mod_unload \0name=x";
static const char names[] = "\0.modinfo\0.shstrtab";

struct module {
	Elf64_Ehdr head;
	char info[sizeof(info)];
	char names[sizeof(names)];
	char pad[8 - (sizeof(info) + sizeof(names)) % 8];
	Elf64_Shdr sections[3];
};

static void make(struct module *m)
{
	*m = (struct module){ 0 };
	memcpy(m->head.e_ident, ELFMAG, SELFMAG);
	m->head.e_ident[EI_CLASS] = ELFCLASS64;
	m->head.e_ident[EI_DATA] = ELFDATA2LSB;
	m->head.e_machine = EM_X86_64;
	m->head.e_shoff = offsetof(struct module, sections);
	m->head.e_shentsize = sizeof(Elf64_Shdr);
	m->head.e_shnum = 3;
	m->head.e_shstrndx = 2;
	memcpy(m->info, info, sizeof(info));
	memcpy(m->names, names, sizeof(names));
	m->sections[1] = (Elf64_Shdr){ .sh_name = 1, .sh_type = SHT_PROGBITS, .sh_offset = offsetof(struct module, info),
				       .sh_size = sizeof(info) };
	m->sections[2] = (Elf64_Shdr){ .sh_name = 10, .sh_type = SHT_STRTAB, .sh_offset = offsetof(struct module, names),
				       .sh_size = sizeof(names) };
}

static void test_keys(void **state)
{
	(void)state;
	struct module m;
	pv_autofree char *magic = NULL, *last = NULL;
	char *none = NULL;

	make(&m);
	assert_int_equal(pv_module_info((uint8_t *)&m, sizeof(m), "vermagic", &magic, NULL), 0);
	assert_string_equal(magic, "6.1.0 SMP mod_unload ");
	assert_int_equal(pv_module_info((uint8_t *)&m, sizeof(m), "name", &last, NULL), 0);
	assert_string_equal(last, "x");
	assert_int_equal(pv_module_info((uint8_t *)&m, sizeof(m), "ver", &none, NULL), -1);
	assert_int_equal(pv_module_info((uint8_t *)&m, sizeof(m), "none", &none, NULL), -1);
	assert_null(none);
}

static size_t compress(const void *data, size_t len, int (*filter)(struct archive *), void *buf, size_t size)
{
	struct archive *a = archive_write_new();
	struct archive_entry *entry = archive_entry_new();
	size_t used = 0;

	assert_int_equal(archive_write_set_format_raw(a), ARCHIVE_OK);
	assert_int_equal(filter(a), ARCHIVE_OK);
	archive_write_set_bytes_per_block(a, 0);
	assert_int_equal(archive_write_open_memory(a, buf, size, &used), ARCHIVE_OK);
	archive_entry_set_filetype(entry, AE_IFREG);
	assert_int_equal(archive_write_header(a, entry), ARCHIVE_OK);
	assert_int_equal(archive_write_data(a, data, len), (la_ssize_t)len);
	assert_int_equal(archive_write_close(a), ARCHIVE_OK);
	archive_entry_free(entry);
	archive_write_free(a);
	return used;
}

static void test_compressed(void **state)
{
	(void)state;
	int (*const filters[])(struct archive *) = {
		archive_write_add_filter_gzip, archive_write_add_filter_xz, archive_write_add_filter_zstd,
	};
	struct module m;
	char buf[4096];

	make(&m);
	for (size_t i = 0; i < PV_COUNT(filters); i++) {
		size_t len = compress(&m, sizeof(m), filters[i], buf, sizeof(buf));
		pv_autofree char *magic = NULL;
		char *none = NULL;
		assert_int_equal(pv_module_info((uint8_t *)buf, len, "vermagic", &magic, NULL), 0);
		assert_string_equal(magic, "6.1.0 SMP mod_unload ");
		assert_int_equal(pv_module_info((uint8_t *)buf, len / 2, "vermagic", &none, NULL), -1);
	}
}

static void test_damaged(void **state)
{
	(void)state;
	char *none = NULL;
	struct module m;

	make(&m);
	for (size_t len = 0; len < sizeof(m); len++) {
		pv_autofree uint8_t *cut = pv_xmalloc(len ? len : 1);	/* for the address sanitizer */
		pv_autoerror err = PV_ERROR_INIT;
		memcpy(cut, &m, len);
		assert_int_equal(pv_module_info(cut, len, "vermagic", &none, &err), -1);
		assert_int_equal(err.kind, PV_ERR_DIFFERS);
	}
	const struct {
		size_t offset;
		uint64_t value;
		size_t len;
	} changes[] = {
		{ offsetof(Elf64_Ehdr, e_shoff), UINT64_MAX, 8 },
		{ offsetof(Elf64_Ehdr, e_shoff), sizeof(m) - 64, 8 },
		{ offsetof(Elf64_Ehdr, e_shstrndx), 0xffff, 2 },
		{ offsetof(Elf64_Ehdr, e_shentsize), 1, 2 },
		{ offsetof(Elf64_Ehdr, e_machine), EM_386, 2 },
		{ offsetof(struct module, sections[1].sh_offset), UINT64_MAX, 8 },
		{ offsetof(struct module, sections[1].sh_size), UINT64_MAX, 8 },
		{ offsetof(struct module, sections[1].sh_name), UINT32_MAX, 4 },
		{ offsetof(struct module, sections[2].sh_size), 5, 8 },
		{ offsetof(struct module, sections[2].sh_type), SHT_NOBITS, 4 },
	};
	for (size_t i = 0; i < PV_COUNT(changes); i++) {
		make(&m);
		memcpy((uint8_t *)&m + changes[i].offset, &changes[i].value, changes[i].len);
		assert_int_equal(pv_module_info((uint8_t *)&m, sizeof(m), "vermagic", &none, NULL), -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_compressed),
		cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
