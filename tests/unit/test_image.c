/* SPDX-License-Identifier: Apache-2.0 */
/* What stands in an image is read as it is; damaged and hostile ones are refused in words or read as empty. */
#include "check.h"
#include "image_help.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk.h"
#include "fsutil.h"
#include "image.h"
#include "lint.h"

#define DISK "disk.raw"
#define LONG_LINK "a-link-that-is-longer-than-sixty-bytes-and-so-has-a-block-of-its-own/and-goes-on/file"

static void need_tools(void)
{
	if (!image_tools())
		skip();
}

static void make_tree(void)
{
	image_file("tree/etc/os-release", "ID=debian\n");
	image_file("tree/etc/fstab", "UUID=x / ext4\n");
	image_file("tree/deep/a/b/c", "c");
	assert_int_equal(pv_write_file("tree/nul", "a\0b", 3, 0600, NULL), 0);
	assert_int_equal(symlink("/etc/fstab", "tree/absolute"), 0);
	assert_int_equal(symlink("../../../../etc/fstab", "tree/deep/up"), 0);
	assert_int_equal(symlink("loop", "tree/loop"), 0);
	assert_int_equal(symlink("/nowhere", "tree/dangling"), 0);
	assert_int_equal(symlink(LONG_LINK, "tree/long"), 0);
	assert_int_equal(symlink("/etc", "tree/folder"), 0);
}

static struct pv_image *open_good(const char *path)
{
	struct pv_image *image = NULL;
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_image_open(path, &image, &err) < 0)
		fail_msg("%s", err.text);
	return image;
}

static void test_disk(void **state)
{
	(void)state;
	need_tools();
	make_tree();
	image_make(DISK, "tree");
	pv_autoimage *image = open_good(DISK);
	size_t n;
	char uuid[37], id[10];
	pv_autostrv beyond = PV_STRV_INIT;

	assert_string_equal(pv_image_path(image), DISK);
	assert_int_equal(pv_image_size(image), (uint64_t)IMAGE_MIB << 20);
	assert_int_equal(pv_image_gpt_faults(image)->n, 0);
	const struct pv_image_part *parts = pv_image_parts(image, &n);
	assert_int_equal(n, 3);
	assert_int_equal(parts[0].number, 1);
	assert_string_equal(parts[0].type, PV_DISK_TYPE_ROOT);
	assert_ptr_equal(pv_image_root(image), &parts[0]);
	assert_int_equal(pv_image_part_of_type(image, PV_DISK_TYPE_ESP)->number, 15);
	assert_null(pv_image_part_of_type(image, PV_DISK_TYPE_LINUX));
	pv_image_fs_uuid(image, uuid);
	assert_string_equal(uuid, IMAGE_ROOT_UUID);
	assert_true(pv_image_fs_clean(image));
	assert_true(pv_image_fs_size(image) <= parts[0].size && pv_image_fs_size(image) > parts[0].size / 2);
	pv_image_esp_volume_id(image, id);
	assert_string_equal(id, IMAGE_ESP_ID);
	pv_image_fs_features_beyond(image, "", &beyond);
	assert_true(pv_strv_has(&beyond, "has_journal") && pv_strv_has(&beyond, "metadata_csum"));
	pv_strv_done(&beyond);
	pv_image_fs_features_beyond(image, "has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,"
				    "sparse_super,large_file,huge_file,dir_nlink,extra_isize", &beyond);
	assert_int_equal(beyond.n, 1);
	assert_string_equal(beyond.v[0], "metadata_csum");
}

static bool count_paths(void *ctx, const char *path, const struct pv_image_stat *st)
{
	size_t *n = ctx;

	assert_true(path[0] == '/' && st->inode != 0);
	return ++*n < 4;
}

static bool add_path(void *ctx, const char *path, const struct pv_image_stat *st)
{
	(void)st;
	pv_strv_add(ctx, path);
	return true;
}

static void test_files(void **state)
{
	(void)state;
	need_tools();
	pv_autoimage *image = open_good(DISK);
	struct pv_image_stat st;
	size_t len = 0, n = 0;
	pv_autofree char *text = pv_image_read(image, "/etc/os-release", 100, &len);
	pv_autofree char *through = pv_image_read(image, "/deep/up", 100, NULL);
	pv_autofree char *absolute = pv_image_read(image, "/absolute", 100, NULL);
	pv_autofree char *nul = pv_image_read(image, "/nul", 100, &len);
	pv_autofree char *link = pv_image_readlink(image, "/absolute"), *slow = pv_image_readlink(image, "/long");
	pv_autostrv names = PV_STRV_INIT, below = PV_STRV_INIT, nothing = PV_STRV_INIT;

	assert_string_equal(text, "ID=debian\n");
	assert_string_equal(through, "UUID=x / ext4\n");
	assert_string_equal(absolute, "UUID=x / ext4\n");
	assert_int_equal(len, 3);
	assert_memory_equal(nul, "a\0b", 4);
	assert_string_equal(link, "/etc/fstab");
	assert_string_equal(slow, LONG_LINK);
	assert_null(pv_image_readlink(image, "/etc"));
	assert_null(pv_image_read(image, "/etc/os-release", 9, NULL));	/* one byte too large */
	assert_null(pv_image_read(image, "/etc", 100, NULL));
	assert_null(pv_image_read(image, "/loop", 100, NULL));
	assert_null(pv_image_read(image, "/dangling", 100, NULL));
	assert_true(pv_image_exists(image, "/absolute") && !pv_image_exists(image, "/dangling"));
	assert_true(pv_image_stat(image, "/dangling", &st) && S_ISLNK(st.mode));
	assert_true(pv_image_stat(image, "/nul", &st) && st.mode == (S_IFREG | 0600) && st.size == 3);
	assert_false(pv_image_stat(image, "/none", &st));

	pv_image_list(image, "/folder", &names);
	assert_int_equal(names.n, 2);
	assert_string_equal(names.v[0], "fstab");
	pv_image_list(image, "/nul", &nothing);
	assert_int_equal(nothing.n, 0);
	pv_image_walk(image, "/deep", add_path, &below);
	pv_autofree char *joined = pv_strv_join(&below, " ");
	assert_string_equal(joined, "/deep/a /deep/a/b /deep/a/b/c /deep/up");
	pv_image_walk(image, "/", count_paths, &n);
	assert_int_equal(n, 4);
}

static void test_esp(void **state)
{
	(void)state;
	need_tools();
	/* mtools gives these characters a meaning; the path must not reach it */
	assert_int_equal(rename(DISK, "a@@1 'b.raw"), 0);
	pv_autoimage *image = open_good("a@@1 'b.raw");
	size_t len = 0;
	pv_autofree char *text = pv_image_esp_read(image, "EFI/BOOT/grub.cfg", 1000, &len);

	assert_non_null(text);
	assert_int_equal(strlen(text), len);
	assert_non_null(strstr(text, IMAGE_ROOT_UUID));
	assert_null(pv_image_esp_read(image, "EFI/BOOT/grub.cfg", len - 1, NULL));
	assert_null(pv_image_esp_read(image, "EFI/BOOT/none", 1000, NULL));
	assert_int_equal(rename("a@@1 'b.raw", DISK), 0);
}

static void refused(const char *path, enum pv_error_kind kind, const char *word)
{
	struct pv_image *image = NULL;
	pv_autoerror err = PV_ERROR_INIT;

	assert_int_equal(pv_image_open(path, &image, &err), -1);
	assert_null(image);
	assert_int_equal(err.kind, kind);
	assert_non_null(strstr(err.text, word));
	assert_null(strchr(err.text, '\n'));
}

static void test_refused(void **state)
{
	(void)state;
	need_tools();
	const uint8_t zeros[1024] = { 0 };
	uint8_t kept[1024];
	const uint64_t super = 66ull * PV_DISK_MIB + 1024;

	refused("none.raw", PV_ERR_STAGE, "none.raw");
	refused(".", PV_ERR_STAGE, "regular file");
	image_file("./empty.raw", "");
	refused("empty.raw", PV_ERR_DIFFERS, "GPT");
	image_file("./text.raw", "no disk at all\n");
	refused("text.raw", PV_ERR_DIFFERS, "GPT");
	assert_int_equal(truncate("text.raw", 4 << 20), 0);
	refused("text.raw", PV_ERR_DIFFERS, "no GPT");
	image_peek(DISK, super, kept, sizeof(kept));
	image_poke(DISK, super, zeros, sizeof(zeros));
	refused(DISK, PV_ERR_DIFFERS, "ext4");
	image_poke(DISK, super, kept, sizeof(kept));
	pv_image_free(open_good(DISK));
	pv_image_free(NULL);
}

static void test_gpt_faults(void **state)
{
	(void)state;
	need_tools();
	const uint64_t places[] = { 512 + 16, ((uint64_t)IMAGE_MIB << 20) - 512 + 16 };

	for (size_t i = 0; i < PV_COUNT(places); i++) {
		const uint8_t wrong[4] = { 1, 2, 3, 4 };
		uint8_t kept[4];
		image_peek(DISK, places[i], kept, 4);
		image_poke(DISK, places[i], wrong, 4);
		pv_autoimage *image = open_good(DISK);
		assert_true(pv_image_gpt_faults(image)->n > 0);
		image_poke(DISK, places[i], kept, 4);
	}
}

/* A header says where its own end is: an image cut short. */
static void test_cut_short(void **state)
{
	(void)state;
	need_tools();
	pv_autoerror err = PV_ERROR_INIT;
	struct pv_image *image = NULL;

	assert_int_equal(truncate(DISK, 100 << 20), 0);
	if (pv_image_open(DISK, &image, &err) == 0)
		assert_true(pv_image_gpt_faults(image)->n > 0);
	pv_image_free(image);
	image_make(DISK, "tree");
}

static void ignore_check(void *ctx, const struct pv_lint_check *check, const struct pv_strv *faults)
{
	(void)ctx, (void)check, (void)faults;
}

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/* Everything that lint reads, with bytes changed in the tables, the superblock, the groups and the first blocks. */
static void test_hostile(void **state)
{
	(void)state;
	need_tools();
	static const uint64_t areas[][2] = {
		{ 512, 512 }, { 1024, 512 }, { 2u << 20, 4096 }, { (66u << 20) + 1024, 1024 },
		{ (66u << 20) + 4096, 512u << 10 }, { (66u << 20) + 4096, 24u << 20 },
	};
	uint32_t seed = 1;

	for (unsigned round = 0; round < 90; round++) {
		const uint64_t *area = areas[round % PV_COUNT(areas)];
		uint64_t at[8];
		uint8_t kept[8][4];
		struct pv_image *image = NULL;
		pv_autoerror err = PV_ERROR_INIT;
		size_t total, red;

		for (unsigned i = 0; i < 8; i++) {
			uint32_t value = next_random(&seed);
			at[i] = area[0] + next_random(&seed) % (area[1] - 4);
			image_peek(DISK, at[i], kept[i], 4);
			image_poke(DISK, at[i], &value, 1 + value % 4);
		}
		if (pv_image_open(DISK, &image, &err) == 0)
			pv_lint_run(image, ignore_check, NULL, &total, &red);
		else
			assert_non_null(err.text);
		pv_image_free(image);
		for (unsigned i = 8; i-- > 0; )
			image_poke(DISK, at[i], kept[i], 4);
	}
	pv_image_free(open_good(DISK));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_disk),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_esp),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_gpt_faults),
		cmocka_unit_test(test_cut_short),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, image_enter, image_leave);
}
