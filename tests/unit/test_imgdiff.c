/* SPDX-License-Identifier: Apache-2.0 */
/* Images that differ in one thing: it is named, with its partition, its bytes and its writer, and nothing else is. */
#include "check.h"
#include "image_help.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fsutil.h"
#include "image.h"
#include "imgdiff.h"
#include "proc.h"
#include "text.h"

#define MARK "a text that stands nowhere else on the disk"
#define ROOT_OFFSET "?offset=69206016"	/* image_help.c's ROOT_START */

static int make(void **state)
{
	if (image_enter(state) < 0)
		return -1;
	if (!image_tools())
		return 0;
	image_file("tree/usr/bin/hello", "one\n" MARK "\nthree\n");
	image_file("tree/usr/bin/merged", "merged\n");
	image_file("tree/etc/motd", "hi\n");
	image_file("tree/etc/made", "by hand\n");
	image_file("tree/boot/initrd.img-6.1", "initrd\n");
	image_file("tree/var/lib/dpkg/info/hello:amd64.list", "/.\n/usr/bin\n/usr/bin/hello\n");
	image_file("tree/var/lib/dpkg/info/merger.list", "/bin/merged\n");
	image_file("overlays/base/etc/motd.in", "hi\n");
	image_make("a.raw", "tree");
	return 0;
}

static void need(const char *program)
{
	pv_autofree char *path = pv_proc_which(program);

	if (!image_tools() || !path)
		skip();
}

/* A fresh copy of the image, in b.raw. */
static void copy(void)
{
	const char *const argv[] = { "cp", "--sparse=always", "a.raw", "b.raw", NULL };
	const struct pv_proc proc = { .argv = argv };

	assert_int_equal(pv_proc_check(&proc, PV_ERR_STAGE, NULL), 0);
}

static void run(const char *const *argv)
{
	const struct pv_proc proc = { .argv = argv };
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_proc_check(&proc, PV_ERR_STAGE, &err) < 0)
		fail_msg("%s", err.text);
}

static void debugfs(const char *command)
{
	const char *const argv[] = { "debugfs", "-w", "-R", command, "b.raw" ROOT_OFFSET, NULL };

	run(argv);
}

static void compare(bool exact, struct pv_imgdiff *ret)
{
	pv_autoimage *a = NULL, *b = NULL;
	pv_autostrv overlays = PV_STRV_INIT;
	pv_autoerror err = PV_ERROR_INIT;

	pv_strv_add(&overlays, "base");
	const struct pv_imgdiff_options options = { .exact = exact, .overlays_dir = "overlays", .overlays = &overlays };
	if (pv_image_open("a.raw", &a, &err) < 0 || pv_image_open("b.raw", &b, &err) < 0 ||
	    pv_imgdiff(a, b, &options, ret, &err) < 0)
		fail_msg("%s", err.text);
}

static const struct pv_imgdiff_item *find(const struct pv_imgdiff *diff, enum pv_imgdiff_kind kind, const char *path)
{
	for (size_t i = 0; i < diff->n; i++)
		if (diff->v[i].kind == kind && pv_streq(diff->v[i].path, path))
			return &diff->v[i];
	fail_msg("no item of kind %s for %s among %zu", pv_imgdiff_kind_name(kind), path ? path : "no file", diff->n);
	return NULL;
}

static void test_equal(void **state)
{
	pv_autoimgdiff diff = { 0 };

	(void)state;
	need("cp");
	copy();
	compare(true, &diff);
	assert_int_equal(diff.total, 0);
}

static uint64_t offset_of(const char *path, const char *text)
{
	pv_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	static char block[1 << 20];
	ssize_t n;

	for (off_t at = 0; (n = pread(fd, block, sizeof(block), at)) > 0; at += n) {
		const char *found = memmem(block, (size_t)n, text, strlen(text));
		if (found)
			return (uint64_t)at + (uint64_t)(found - block);
	}
	fail_msg("%s is not in %s", text, path);
	return 0;
}

static void test_one_byte(void **state)
{
	pv_autoimgdiff diff = { 0 }, exact = { 0 };

	(void)state;
	need("cp");
	copy();
	image_poke("b.raw", offset_of("b.raw", MARK) + 2, "T", 1);
	compare(false, &diff);
	assert_int_equal(diff.total, 1);
	const struct pv_imgdiff_item *item = find(&diff, PV_IMGDIFF_CONTENT, "/usr/bin/hello");
	assert_int_equal(item->offset, 4 + 2);
	assert_int_equal(item->count, 1);
	assert_string_equal(item->first, "74 65 78 74 20 74 68 61");
	assert_string_equal(item->second, "54 65 78 74 20 74 68 61");
	assert_string_equal(item->writer, "package hello");
	pv_autofree char *line = pv_imgdiff_text(item);
	assert_string_equal(line, "partition 1 (root), /usr/bin/hello: content differs at byte 6: 74 65 78 74 20 74 68 61 | "
				  "54 65 78 74 20 74 68 61; written by package hello");
	compare(true, &exact);
	assert_int_equal(exact.total, 2);	/* and where on the disk */
	assert_non_null(strstr(find(&exact, PV_IMGDIFF_BYTES, NULL)->where, "data blocks"));
}

static void test_files(void **state)
{
	pv_autoimgdiff diff = { 0 };

	(void)state;
	need("debugfs");
	copy();
	image_file("./new", "new\n");
	debugfs("write new etc/extra");
	debugfs("sif /usr/bin/merged mode 0100755");
	debugfs("ea_set /etc/motd user.x y");
	debugfs("unlink /boot/initrd.img-6.1");
	debugfs("sif /etc/made uid 5");
	compare(false, &diff);
	assert_int_equal(diff.total, 5);
	assert_string_equal(find(&diff, PV_IMGDIFF_ONLY_SECOND, "/etc/extra")->where, "partition 1 (root)");
	const struct pv_imgdiff_item *mode = find(&diff, PV_IMGDIFF_MODE, "/usr/bin/merged");
	assert_string_equal(mode->first, "0644");
	assert_string_equal(mode->second, "0755");
	assert_string_equal(mode->writer, "package merger");	/* whose list says /bin/merged */
	const struct pv_imgdiff_item *xattr = find(&diff, PV_IMGDIFF_XATTR, "/etc/motd");
	assert_string_equal(xattr->first, "");
	assert_string_equal(xattr->second, "user.x=79");
	assert_string_equal(xattr->writer, "overlay base");
	assert_non_null(strstr(find(&diff, PV_IMGDIFF_ONLY_FIRST, "/boot/initrd.img-6.1")->writer, "update-initramfs"));
	assert_non_null(strstr(find(&diff, PV_IMGDIFF_OWNER, "/etc/made")->second, "5:"));
}

static void test_times(void **state)
{
	pv_autoimgdiff diff = { 0 }, exact = { 0 };

	(void)state;
	need("debugfs");
	copy();
	debugfs("sif /etc/made mtime 1000000000");
	compare(false, &diff);
	assert_int_equal(diff.total, 0);
	compare(true, &exact);
	assert_string_equal(find(&exact, PV_IMGDIFF_MTIME, "/etc/made")->second, "1000000000");
}

static void test_tables(void **state)
{
	pv_autoimgdiff diff = { 0 };

	(void)state;
	need("sfdisk");
	copy();
	const char *const argv[] = { "sfdisk", "-q", "--part-uuid", "b.raw", "14", "11111111-2222-3333-4444-555555555555", NULL };
	run(argv);
	image_poke("b.raw", 3, "X", 1);			/* boot code */
	image_poke("b.raw", 1 << 20, "CORE", 4);	/* the BIOS partition */
	compare(true, &diff);
	const struct pv_imgdiff_item *table = find(&diff, PV_IMGDIFF_TABLE, NULL);
	assert_string_equal(table->where, "GPT, partition 14");
	assert_non_null(strstr(table->second, "11111111-2222-3333-4444-555555555555"));
	bool boot = false, core = false;
	for (size_t i = 0; i < diff.n; i++) {
		boot = boot || (pv_streq(diff.v[i].where, "MBR, boot code") && diff.v[i].offset == 3);
		core = core || (pv_streq(diff.v[i].where, "partition 14") && diff.v[i].offset == 1 << 20);
		assert_true(!diff.v[i].path);
	}
	assert_true(boot && core);
}

static void test_superblock(void **state)
{
	pv_autoimgdiff diff = { 0 };
	const uint32_t other = 7;

	(void)state;
	need("cp");
	copy();
	/* s_kbytes_written; the checksum does not fit any more, which libext2fs tells by refusing */
	image_poke("b.raw", 69206016 + 1024 + 0x178, &other, sizeof(other));
	pv_autoimage *b = NULL;
	if (pv_image_open("b.raw", &b, NULL) < 0)
		debugfs("set_super_value kbytes_written 7");
	compare(true, &diff);
	assert_non_null(strstr(find(&diff, PV_IMGDIFF_BYTES, NULL)->where, "superblock, s_"));
}

static void test_esp(void **state)
{
	pv_autoimgdiff diff = { 0 };
	static const char more[] = "b.raw@@2097152";

	(void)state;
	need("mcopy");
	copy();
	image_file("./new", "configfile\n");
	const char *const add[] = { "mcopy", "-i", more, "-o", "new", "::/EFI/BOOT/grub.cfg", NULL };
	run(add);
	const char *const another[] = { "mcopy", "-i", more, "new", "::/EFI/new.txt", NULL };
	run(another);
	compare(false, &diff);
	assert_int_equal(diff.total, 2);
	assert_int_equal(find(&diff, PV_IMGDIFF_CONTENT, "/EFI/BOOT/grub.cfg")->offset, 0);
	assert_string_equal(find(&diff, PV_IMGDIFF_ONLY_SECOND, "/EFI/new.txt")->where, "ESP");
}

static void test_plain_files(void **state)
{
	pv_autofree char *words = NULL, *none = NULL;

	(void)state;
	image_file("./one", "a\nb\nc\n");
	image_file("./two", "a\nb\nd\n");
	image_file("./three", "a\nb\n");
	assert_int_equal(pv_imgdiff_files("one", "one", "x", &none, NULL), 0);
	assert_null(none);
	assert_int_equal(pv_imgdiff_files("one", "two", "x", &words, NULL), 0);
	assert_string_equal(words, "x: differs at byte 4 (line 3): 63 0a | 64 0a");
	pv_freep(&words);
	assert_int_equal(pv_imgdiff_files("one", "three", "x", &words, NULL), 0);
	assert_string_equal(words, "x: differs at byte 4 (line 3): 63 0a | its end");
	assert_int_equal(pv_imgdiff_files("one", "nothing", "x", &none, NULL), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_one_byte),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_superblock),
		cmocka_unit_test(test_esp),
		cmocka_unit_test(test_plain_files),
	};

	return cmocka_run_group_tests(tests, make, image_leave);
}
