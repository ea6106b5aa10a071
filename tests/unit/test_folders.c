/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes by folder: blocks, not bytes; further names of a file; depth; and the same of a tree and of the image made of it. */
#include "check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "folders.h"
#include "fsutil.h"
#include "image_help.h"
#include "text.h"

#define MIB ((uint64_t)1 << 20)

static void put(const char *path, off_t size)
{
	pv_autofree char *dir = pv_xstrdup(path);

	*strrchr(dir, '/') = '\0';
	assert_int_equal(pv_mkdirs(dir, 0755, NULL), 0);
	pv_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
}

static uint64_t bytes_of(const struct pv_folders *folders, const char *path)
{
	for (size_t i = 0; i < folders->n; i++)
		if (pv_streq(folders->v[i].path, path))
			return folders->v[i].bytes;
	return 0;
}

static void test_tree(void **state)
{
	pv_autofolders f = { .v = NULL };

	(void)state;
	put("t/a/b/c/d/deep", (off_t)(2 * MIB));
	put("t/a/b/one", (off_t)MIB);
	put("t/a/x", 1);
	put("t/z/small", 4096);
	put("t/top", 5000);
	assert_int_equal(link("t/a/b/one", "t/z/one"), 0);
	assert_int_equal(symlink("/t/a/b/one", "t/z/link"), 0);
	assert_int_equal(pv_folders_of_tree("t", &f, NULL), 0);
	assert_int_equal(f.n, 4);
	assert_string_equal(f.v[0].path, "/");
	assert_int_equal(f.v[0].bytes, 3 * MIB + 4096 + 4096 + 8192);
	assert_int_equal(bytes_of(&f, "/a"), 3 * MIB + 4096);
	assert_int_equal(bytes_of(&f, "/a/b"), 3 * MIB);
	assert_int_equal(bytes_of(&f, "/a/b/c"), 2 * MIB);
	/* four deep, and less than 1 MiB: the hard link counts where it was met first */
	assert_int_equal(bytes_of(&f, "/a/b/c/d"), 0);
	assert_int_equal(bytes_of(&f, "/z"), 0);
}

static void test_empty(void **state)
{
	pv_autofolders f = { .v = NULL };
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	assert_int_equal(pv_mkdirs("e/x", 0755, NULL), 0);
	assert_int_equal(pv_folders_of_tree("e", &f, NULL), 0);
	assert_int_equal(f.n, 0);
	assert_int_equal(pv_folders_of_tree("nowhere", &f, &err), -1);
}

static void test_image(void **state)
{
	pv_autofolders of_tree = { .v = NULL }, of_image = { .v = NULL };
	pv_autoimage *image = NULL;

	(void)state;
	if (!image_tools())
		skip();
	put("i/usr/lib/x/y/deep", (off_t)(3 * MIB));
	put("i/usr/share/one", (off_t)MIB + 1);
	assert_int_equal(link("i/usr/share/one", "i/usr/lib/two"), 0);
	image_make("disk.raw", "i");
	assert_int_equal(pv_folders_of_tree("i", &of_tree, NULL), 0);
	assert_int_equal(pv_image_open("disk.raw", &image, NULL), 0);
	pv_folders_of_image(image, &of_image);
	assert_int_equal(of_tree.n, 4);
	assert_int_equal(of_image.n, of_tree.n);
	for (size_t i = 0; i < of_tree.n; i++) {
		assert_string_equal(of_image.v[i].path, of_tree.v[i].path);
		assert_int_equal(of_image.v[i].bytes, of_tree.v[i].bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_tree), cmocka_unit_test(test_empty),
					    cmocka_unit_test(test_image) };

	return cmocka_run_group_tests(tests, image_enter, image_leave);
}
