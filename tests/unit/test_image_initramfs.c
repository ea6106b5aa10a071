/* SPDX-License-Identifier: Apache-2.0 */
/* Names in an initramfs: one archive, several, a compressed last one; damage is told, not read past. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#include <archive.h>
#include <archive_entry.h>

#include "image_initramfs.h"
#include "text.h"

static void pad(struct pv_str *s)
{
	while (s->len % 4)
		pv_str_addc(s, '\0');
}

/* One entry of a newc archive. */
static void add_entry(struct pv_str *s, const char *name, const char *body)
{
	pv_str_addf(s, "070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x", 1, 0100644, 0, 0, 1, 0,
		    strlen(body), 0, 0, 0, 0, strlen(name) + 1, 0);
	pv_str_addn(s, name, strlen(name) + 1);
	pad(s);
	pv_str_add(s, body);
	pad(s);
}

static void add_end(struct pv_str *s)
{
	add_entry(s, "TRAILER!!!", "");
}

static int names_of(const struct pv_str *s, size_t len, struct pv_strv *ret)
{
	pv_autofree uint8_t *copy = pv_xmalloc(len ? len : 1);	/* for the address sanitizer */

	memcpy(copy, pv_str_text(s), len);
	return pv_initramfs_names(copy, len, ret, NULL);
}

static void test_plain(void **state)
{
	(void)state;
	pv_autostr s = PV_STR_INIT;
	pv_autostrv names = PV_STRV_INIT;

	add_entry(&s, ".", "");
	add_entry(&s, "./kernel/x86/microcode/GenuineIntel.bin", "some bytes");
	add_end(&s);
	for (unsigned i = 0; i < 700; i++)
		pv_str_addc(&s, '\0');
	add_entry(&s, "init", "x");
	add_end(&s);
	assert_int_equal(names_of(&s, s.len, &names), 0);
	assert_int_equal(names.n, 3);
	assert_string_equal(names.v[1], "kernel/x86/microcode/GenuineIntel.bin");
	assert_string_equal(names.v[2], "init");
}

static void add_compressed(struct pv_str *s, const char *const *files, int (*filter)(struct archive *))
{
	struct archive *a = archive_write_new();
	char buf[16384];
	size_t used = 0;

	assert_int_equal(archive_write_set_format_cpio_newc(a), ARCHIVE_OK);
	assert_int_equal(filter(a), ARCHIVE_OK);
	assert_int_equal(archive_write_open_memory(a, buf, sizeof(buf), &used), ARCHIVE_OK);
	for (; *files; files++) {
		struct archive_entry *entry = archive_entry_new();
		archive_entry_set_pathname(entry, *files);
		archive_entry_set_filetype(entry, AE_IFREG);
		archive_entry_set_size(entry, 4);
		assert_int_equal(archive_write_header(a, entry), ARCHIVE_OK);
		assert_int_equal(archive_write_data(a, "body", 4), 4);
		archive_entry_free(entry);
	}
	assert_int_equal(archive_write_close(a), ARCHIVE_OK);
	archive_write_free(a);
	pv_str_addn(s, buf, used);
}

static void test_compressed(void **state)
{
	(void)state;
	static const char *const files[] = { "init", "usr/lib/modules/6.1/kernel/a.ko", NULL };
	int (*const filters[])(struct archive *) = {
		archive_write_add_filter_gzip, archive_write_add_filter_xz, archive_write_add_filter_zstd,
		archive_write_add_filter_lz4,
	};

	for (size_t i = 0; i < PV_COUNT(filters); i++) {
		pv_autostr s = PV_STR_INIT;
		pv_autostrv names = PV_STRV_INIT, less = PV_STRV_INIT;
		add_entry(&s, "early", "x");
		add_end(&s);
		size_t early = s.len;
		add_compressed(&s, files, filters[i]);
		assert_int_equal(names_of(&s, s.len, &names), 0);
		assert_int_equal(names.n, 3);
		assert_string_equal(names.v[2], files[1]);
		assert_int_equal(names_of(&s, early + 40, &less), -1);
		assert_string_equal(less.v[0], "early");
	}
}

static void test_damaged(void **state)
{
	(void)state;
	pv_autostr s = PV_STR_INIT;
	const struct {
		size_t at;
		const char *text;
	} changes[] = {
		{ 0, "070700" }, { 54, "ffffffff" }, { 54, "zzzzzzzz" }, { 94, "00000000" }, { 94, "ffffffff" }, { 94, "00001000" },
	};

	add_entry(&s, "one", "1234567");
	add_entry(&s, "two", "");
	add_end(&s);
	for (size_t len = 0; len + 3 < s.len; len++) {
		pv_autostrv names = PV_STRV_INIT;
		assert_int_equal(names_of(&s, len, &names), -1);
	}
	for (size_t i = 0; i < PV_COUNT(changes); i++) {
		pv_autostrv names = PV_STRV_INIT;
		pv_autofree char *kept = pv_xstrndup(s.data + changes[i].at, strlen(changes[i].text));
		memcpy(s.data + changes[i].at, changes[i].text, strlen(kept));
		assert_int_equal(names_of(&s, s.len, &names), -1);
		memcpy(s.data + changes[i].at, kept, strlen(kept));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_compressed),
		cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
