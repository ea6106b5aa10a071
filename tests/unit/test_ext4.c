/* SPDX-License-Identifier: Apache-2.0 */
/* Trees become ext4 that e2fsck finds clean and debugfs reads back as it was; the same bytes each time. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "ext4.h"
#include "fsutil.h"
#include "proc.h"
#include "scratch.h"

#define MIB (1ull << 20)
#define OFFSET (3 * MIB)
#define EPOCH 1700000000
#define OLD 1500000000			/* an mtime before EPOCH */

static int enter(void **state)
{
	/* ten thousands of small files: memory is much faster */
	return scratch_enter_memory(state) < 0 || mkdir("t", 0755) < 0 ? -1 : 0;
}

/* --- making trees and images --- */

static void put(const char *path, const void *data, size_t len)
{
	pv_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(pv_write_all(fd, data, len), 0);
}

static void put_size(const char *path, size_t len, int seed)
{
	pv_autofree uint8_t *data = pv_xmalloc(len + 1);

	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(1 + (i * 31 + i / 4096 + (size_t)seed) % 251);
	put(path, data, len);
}

static void new_image(const char *path, uint64_t size)
{
	pv_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)(OFFSET + size)), 0);
}

static struct pv_ext4_options make_options(uint64_t size)
{
	struct pv_ext4_options o = {
		.offset = OFFSET, .size = size, .label = "test", .epoch = EPOCH,
		.uuid = { 0x12, 0x34, 0x56, 0x78, 1, 2, 0x43, 4, 0x85, 6, 7, 8, 9, 10, 11, 12 },
		.hash_seed = { 0xfe, 0xdc, 0xba, 0x98, 1, 2, 0x43, 4, 0x85, 6, 7, 8, 9, 10, 11, 12 },
	};

	return o;
}

static struct pv_ext4_stats write_image(const char *image, uint64_t size, const char *tree)
{
	struct pv_ext4_options o = make_options(size);
	pv_autoerror err = PV_ERROR_INIT;
	struct pv_ext4_stats stats;
	int rc;

	new_image(image, size);
	rc = pv_ext4_write(image, &o, tree, NULL, NULL, &stats, &err);
	if (rc < 0)
		print_error("%s\n", err.text);
	assert_int_equal(rc, 0);
	return stats;
}

/* --- independent eyes --- */

static void collect(void *ctx, const char *line, size_t len)
{
	pv_str_addn(ctx, line, len);
	pv_str_addc(ctx, '\n');
}

static char *output(const char *const *argv)
{
	const char *const env[] = { "TZ=UTC0", "LC_ALL=C", NULL };
	pv_autostr out = PV_STR_INIT;
	pv_autoerror err = PV_ERROR_INIT;
	struct pv_proc proc = { .argv = argv, .env = env, .on_stdout = collect, .ctx = &out };
	int rc = pv_proc_check(&proc, PV_ERR_STAGE, &err);

	if (rc < 0)
		print_error("%s\n%s", err.text, pv_str_text(&out));
	assert_int_equal(rc, 0);
	return pv_str_steal(&out);
}

static void fsck(const char *image)
{
	pv_autofree char *where = pv_fmt("%s?offset=%llu", image, OFFSET);
	pv_autofree char *out = output((const char *[]){ "e2fsck", "-fn", where, NULL });

	(void)out;
}

static char *debugfs(const char *image, const char *request)
{
	pv_autofree char *where = pv_fmt("%s?offset=%llu", image, OFFSET);

	return output((const char *[]){ "debugfs", "-R", request, where, NULL });
}

static void has(const char *text, const char *words)
{
	if (!strstr(text, words))
		fail_msg("'%s' not found in:\n%s", words, text);
}

/* What `request` prints has the words. */
static void shows(const char *image, const char *request, const char *words)
{
	pv_autofree char *out = debugfs(image, request);

	has(out, words);
}

static void same_content(const char *a, const char *b)
{
	pv_autofree char *x = NULL, *y = NULL;
	size_t n, m;

	assert_int_equal(pv_read_file(a, 1u << 30, &x, &n, NULL), 0);
	assert_int_equal(pv_read_file(b, 1u << 30, &y, &m, NULL), 0);
	if (n != m || memcmp(x, y, n) != 0)
		fail_msg("%s and %s differ", a, b);
}

struct compare {
	const char *from, *to;
	size_t n;
};

static int compare_entry(void *ctx, int dir_fd, const char *path, const struct pv_tree_entry *e, struct pv_error *err)
{
	struct compare *c = ctx;
	pv_autofree char *a = pv_path_join(c->from, path);
	pv_autofree char *b = pv_path_join(c->to, path);
	char la[4096], lb[4096];
	struct stat st;

	(void)dir_fd;
	(void)err;
	if (S_ISSOCK(e->st.st_mode) || S_ISFIFO(e->st.st_mode))
		return 0;		/* rdump leaves them out */
	c->n++;
	if (lstat(b, &st) < 0)
		fail_msg("%s: missing", path);
	/* rdump drops the upper three bits */
	assert_int_equal(st.st_mode, e->st.st_mode & ~(mode_t)07000);
	if (geteuid() == 0 && (st.st_uid != e->st.st_uid || st.st_gid != e->st.st_gid))
		fail_msg("%s: owner", path);
	if (S_ISREG(st.st_mode))
		same_content(a, b);
	if (S_ISLNK(st.st_mode)) {
		ssize_t n = readlink(a, la, sizeof(la));

		assert_true(n > 0 && n == readlink(b, lb, sizeof(lb)));
		assert_memory_equal(la, lb, (size_t)n);
	}
	return 0;
}

static int count_entry(void *ctx, int dir_fd, const char *path, const struct pv_tree_entry *e, struct pv_error *err)
{
	(void)dir_fd;
	(void)path;
	(void)e;
	(void)err;
	++*(size_t *)ctx;
	return 0;
}

/* debugfs takes the tree out again; it must hold the same, no more and no less. */
static void same_tree(const char *image, const char *tree)
{
	struct compare c = { .from = tree, .to = "back" };
	size_t n = 0;

	assert_int_equal(mkdir("back", 0755), 0);
	pv_autofree char *out = debugfs(image, "rdump / back");

	(void)out;
	assert_int_equal(rmdir("back/lost+found"), 0);
	assert_int_equal(pv_tree_walk(tree, compare_entry, &c, NULL), 0);
	assert_int_equal(pv_tree_walk("back", count_entry, &n, NULL), 0);
	assert_int_equal(n, c.n);
	assert_int_equal(pv_rmtree("back", NULL), 0);
}

/* --- the trees --- */

static void make_socket(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	strcpy(addr.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
}

static void set_old(const char *path)
{
	const struct timespec times[2] = { { 1, 0 }, { OLD, 123456789 } };

	assert_int_equal(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), 0);
}

/* Every kind of thing, made forwards or backwards: the order of making must not matter. */
static void make_kinds(const char *root, bool backwards)
{
	char name[256], target[200];
	pv_autofree char *base = pv_fmt("%s/", root);
	static const char *const names[] = {
		"plain", "with space", "quote'\"s", "new\nline", "back\\slash", "\xc3\xa4\xff", "-dash", "tab\t",
	};
	pv_autofree char *sub = pv_fmt("%ssub/deeper/still", base);
	pv_autofree char *cut = pv_fmt("%ssub/deeper/cut", base);
	pv_autofree char *hard = pv_fmt("%ssub/hard", base);

	memset(name, 'n', 255);
	name[255] = '\0';
	memset(target, 't', sizeof(target));
	assert_int_equal(pv_mkdirs(sub, 0755, NULL), 0);
	for (size_t i = 0; i < PV_COUNT(names); i++) {
		size_t at = backwards ? PV_COUNT(names) - 1 - i : i;
		pv_autofree char *path = pv_fmt("%s%s", base, names[at]);

		put_size(path, at * 5000, (int)at);
		assert_int_equal(chmod(path, (mode_t)(0600 | at)), 0);
		set_old(path);
	}
	for (size_t len = 57; len <= 62; len++) {
		pv_autofree char *path = pv_fmt("%ssub/link%zu", base, backwards ? 119 - len : len);

		target[backwards ? 119 - len : len] = '\0';
		assert_int_equal(symlink(target, path), 0);
		memset(target, 't', sizeof(target));
		set_old(path);
	}
	pv_autofree char *longest = pv_fmt("%ssub/%s", base, name);
	pv_autofree char *sticky = pv_fmt("%ssticky", base);
	pv_autofree char *suid = pv_fmt("%ssub/suid", base);
	pv_autofree char *fifo = pv_fmt("%sfifo", base);
	pv_autofree char *sock = pv_fmt("%ssock", base);

	put(longest, "", 0);
	put_size(suid, 4096, 1);
	if (geteuid() == 0)
		assert_int_equal(chown(suid, 70000, 80000), 0);
	assert_int_equal(chmod(suid, 06755), 0);
	assert_int_equal(mkdir(sticky, 0755), 0);
	assert_int_equal(chmod(sticky, 01777), 0);
	assert_int_equal(mkfifo(fifo, 0640), 0);
	make_socket(sock);
	put_size(backwards ? hard : cut, 100, 5);
	assert_int_equal(link(backwards ? hard : cut, backwards ? cut : hard), 0);
	const char *const old[] = { longest, suid, fifo, hard, sticky, sub };

	for (size_t i = 0; i < PV_COUNT(old); i++)
		set_old(old[i]);
}

static void test_kinds(void **state)
{
	struct pv_ext4_stats stats;

	(void)state;
	make_kinds("t", false);
	stats = write_image("d", 100 * MIB, "t");
	fsck("d");
	same_tree("d", "t");
	assert_int_equal(stats.sockets, 1);
	/* 8 names, 6 links, 255 bytes, suid, sticky, fifo, 1 file of 2 names, 3 folders, the root */
	assert_int_equal(stats.inodes, 8 + 6 + 3 + 1 + 1 + 3 + 1);
	shows("d", "stat sub/hard", "Links: 2 ");
	pv_autofree char *a = debugfs("d", "stat sub/hard");
	pv_autofree char *b = debugfs("d", "stat sub/deeper/cut");

	assert_string_equal(a, b);
	shows("d", "stat fifo", "Type: FIFO    Mode:  0640");
	shows("d", "stat sub/link59", "Fast link dest");
	shows("d", "stat sub/link60", "EXTENTS:");
	shows("d", "stat sub/suid", "Mode:  06755");
	if (geteuid() == 0)
		shows("d", "stat sub/suid", "User: 70000   Group: 80000");
	shows("d", "stat sticky", "Mode:  01777");
	shows("d", "stat sub", "Links: 3 ");
}

static void test_times(void **state)
{
	(void)state;
	put("t/new", "x", 1);
	put("t/old", "x", 1);
	set_old("t/old");
	(void)write_image("d", 64 * MIB, "t");
	shows("d", "stat new", "mtime: 0x6553f100:00000000");
	shows("d", "stat old", "mtime: 0x59682f00:00000000");
	shows("d", "stat old", "atime: 0x6553f100:00000000");
	shows("d", "stat old", "ctime: 0x6553f100:00000000");
	shows("d", "stat old", "crtime: 0x6553f100:00000000");
	shows("d", "stat old", "Generation: 0 ");
	shows("d", "stat /", "mtime: 0x6553f100:00000000");
	shows("d", "stat lost+found", "ctime: 0x6553f100");
	shows("d", "stats -h", "Filesystem UUID:          12345678-0102-4304-8506-0708090a0b0c");
	shows("d", "stats -h", "Directory Hash Seed:      fedcba98-0102-4304-8506-0708090a0b0c");
	shows("d", "stats -h", "Filesystem created:       Tue Nov 14 22:13:20 2023");
	shows("d", "stats -h", "Last write time:          Tue Nov 14 22:13:20 2023");
	shows("d", "stats -h", "Last checked:             Tue Nov 14 22:13:20 2023");
	shows("d", "stats -h", "signed_directory_hash");
	shows("d", "stats -h", "Filesystem volume name:   test");
	shows("d", "stats -h", "Last mounted on:          <not available>");
}

static void test_same_bytes(void **state)
{
	(void)state;
	make_kinds("t", false);
	assert_int_equal(chmod("t", 0755), 0);
	(void)write_image("first", 100 * MIB, "t");
	sleep(1);
	assert_int_equal(mkdir("another place", 0755), 0);
	make_kinds("another place", true);
	assert_int_equal(chdir("another place"), 0);
	(void)write_image("../second", 100 * MIB, ".");
	assert_int_equal(chdir(".."), 0);
	same_content("first", "second");
}

static void test_large_folder(void **state)
{
	(void)state;
	assert_int_equal(mkdir("t/big", 0755), 0);
	for (int i = 0; i < 5000; i++) {
		pv_autofree char *path = pv_fmt("t/big/entry-%d-of-a-folder", i);

		put(path, path, (size_t)(i % 3));
	}
	for (int i = 0; i < 300; i++) {
		pv_autofree char *path = pv_fmt("t/dir%d", i);

		assert_int_equal(mkdir(path, 0755), 0);
	}
	(void)write_image("d", 200 * MIB, "t");
	fsck("d");
	same_tree("d", "t");
	shows("d", "stat big", "Flags: 0x81000");	/* extents and index */
	shows("d", "htree_dump big", "Indirect levels: 0");
	shows("d", "stat /", "Links: 304 ");		/* lost+found, big, 300, "." and ".." */
}

/* More names than a one-level index holds: a long folder without one. */
static void test_huge_folder(void **state)
{
	char name[240];

	(void)state;
	assert_int_equal(mkdir("t/huge", 0755), 0);
	put("t/one", "", 0);
	for (int i = 0; i < 9000; i++) {
		pv_autofree char *path = NULL;

		memset(name, 'a' + i % 26, sizeof(name) - 1);
		name[sizeof(name) - 1] = '\0';
		path = pv_fmt("t/huge/%06d%s", i, name);
		assert_int_equal(link("t/one", path), 0);
	}
	(void)write_image("d", 100 * MIB, "t");
	fsck("d");
	shows("d", "stat one", "Links: 9001 ");
	shows("d", "stat huge", "Flags: 0x80000");
}

static void test_holes(void **state)
{
	pv_autoclose int fd = open("t/holes", O_WRONLY | O_CREAT, 0644);
	pv_autofree uint8_t *zeros = pv_xcalloc(1, 3 * MIB);
	struct pv_ext4_stats stats;
	struct stat st;

	(void)state;
	assert_true(fd >= 0);
	for (uint64_t at = 0; at < 100; at++)	/* a hole of the host between every two */
		assert_int_equal(pv_pwrite_all(fd, "data", 4, (off_t)(at * 2 * 65536)), 0);
	assert_int_equal(ftruncate(fd, 90 * MIB + 5), 0);
	put("t/zeros", zeros, 3 * MIB);		/* zeros the host has stored */
	put("t/small zeros", zeros, 65536);	/* stays as it is */
	put_size("t/whole", 5 * MIB + 3, 1);
	stats = write_image("d", 200 * MIB, "t");
	fsck("d");
	same_tree("d", "t");
	shows("d", "stat zeros", "Blockcount: 0");
	shows("d", "stat \"small zeros\"", "Blockcount: 128");
	shows("d", "stat whole", "(0-1280):");
	/* 100 extents and the node that holds them */
	shows("d", "stat holes", "Blockcount: 12808");
	assert_int_equal(stats.extents, 100 + 1 + 1);
	assert_int_equal(stats.hole_bytes, 3 * MIB + 90 * MIB + 4096 - 100 * 65536);
	assert_int_equal(stat("d", &st), 0);
	assert_true((uint64_t)st.st_blocks * 512 < 20 * MIB);
	/* a copy without the host's holes gives the same image */
	assert_int_equal(mkdir("u", 0755), 0);
	pv_autofree char *out = output((const char *[]){ "cp", "-a", "--sparse=never", "t/holes", "t/zeros",
						     "t/small zeros", "t/whole", "u", NULL });

	assert_int_equal(chmod("u", 0755), 0);
	(void)out;
	(void)write_image("e", 200 * MIB, "u");
	same_content("d", "e");
}

/* Two levels of extent nodes: more than the 340 of one node times four. */
static void test_many_extents(void **state)
{
	pv_autoclose int fd = open("t/many", O_WRONLY | O_CREAT, 0644);

	(void)state;
	assert_true(fd >= 0);
	for (uint64_t at = 0; at < 1500; at++)
		assert_int_equal(pv_pwrite_all(fd, "data", 4, (off_t)(at * 2 * 65536)), 0);
	put_size("t/next", 100000, 1);
	(void)write_image("d", 256 * MIB, "t");
	fsck("d");
	same_tree("d", "t");
}

static void test_nodes(void **state)
{
	struct pv_ext4_options o = make_options(64 * MIB);
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	o.nodes = pv_ext4_dev_nodes;
	o.nnodes = pv_ext4_ndev_nodes;
	new_image("none", 64 * MIB);
	assert_int_equal(pv_ext4_write("none", &o, "t", NULL, NULL, NULL, &err), -1);
	has(err.text, "device node");
	assert_int_equal(mkdir("t/dev", 0755), 0);
	put("t/dev/null", "debootstrap in a namespace leaves this", 38);
	put("t/dev/x", "", 0);
	new_image("d", 64 * MIB);
	assert_int_equal(pv_ext4_write("d", &o, "t", NULL, NULL, NULL, NULL), 0);
	fsck("d");
	shows("d", "stat dev/null", "Type: character special    Mode:  0666");
	shows("d", "stat dev/null", "Device major/minor number: 01:03");
	shows("d", "stat dev/console", "Mode:  0600");
	shows("d", "stat dev/console", "Device major/minor number: 05:01");
	shows("d", "stat dev/tty", "Group:     5");
	shows("d", "stat dev/x", "Type: regular");
	pv_error_clear(&err);
	assert_int_equal(mkdir("t/dev/full", 0755), 0);
	new_image("e", 64 * MIB);
	assert_int_equal(pv_ext4_write("e", &o, "t", NULL, NULL, NULL, &err), -1);
	has(err.text, "dev/full: a folder");
}

static void test_xattrs(void **state)
{
	/* user::rw-, user 7: r--, group::r--, mask::r--, other::--- */
	static const uint8_t acl[] = {
		2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 7, 0, 0, 0, 4, 0, 4, 0, 255, 255, 255, 255,
		16, 0, 4, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255,
	};
	char large[3000];
	struct pv_ext4_stats stats;

	(void)state;
	put("t/f", "x", 1);
	put("t/big", "x", 1);
	memset(large, 'v', sizeof(large));
	if (setxattr("t/f", "user.note", "hello", 5, 0) < 0) {
		print_message("skipped: no xattrs here (%s)\n", strerror(errno));
		skip();
	}
	assert_int_equal(setxattr("t/f", "user.overlay.opaque", "y", 1, 0), 0);
	assert_int_equal(setxattr("t/big", "user.large", large, sizeof(large), 0), 0);
	assert_int_equal(setxattr("t", "user.root", "r", 1, 0), 0);
	assert_int_equal(setxattr("t/f", "system.posix_acl_access", acl, sizeof(acl), 0), 0);
	stats = write_image("d", 64 * MIB, "t");
	assert_int_equal(stats.xattrs, 4);
	fsck("d");
	shows("d", "ea_list f", "user.note (5) = \"hello\"");
	pv_autofree char *list = debugfs("d", "ea_list f");

	has(list, "system.posix_acl_access (28)");
	assert_null(strstr(list, "overlay"));
	shows("d", "ea_list /", "user.root (1) = \"r\"");
	shows("d", "ea_list big", "user.large (3000)");
	shows("d", "stat big", "Blockcount: 16");
}

/* cap_net_raw+ep as version 2 and, of a namespace with another root, as version 3 */
static void test_capability(void **state)
{
	static const uint8_t v2[20] = { 1, 0, 0, 2, 0, 0x20 };
	static const uint8_t v3[24] = { 1, 0, 0, 3, 0, 0x20, [20] = 0xa0, 0x86, 1, 0 };
	struct pv_ext4_options o = make_options(64 * MIB);
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	put("t/ping", "x", 1);
	if (setxattr("t/ping", "security.capability", v2, sizeof(v2), 0) < 0) {
		print_message("skipped: cannot set capabilities (%s)\n", strerror(errno));
		skip();
	}
	(void)write_image("d", 64 * MIB, "t");
	fsck("d");
	shows("d", "ea_list ping", "security.capability (20) = 01 00 00 02 00 20 00 00");
	assert_int_equal(setxattr("t/ping", "security.capability", v3, sizeof(v3), 0), 0);
	new_image("e", 64 * MIB);
	assert_int_equal(pv_ext4_write("e", &o, "t", NULL, NULL, NULL, &err), -1);
	has(err.text, "another user namespace (root id 100000)");
}

static void test_devices(void **state)
{
	(void)state;
	if (mknod("t/c", S_IFCHR | 0620, makedev(5, 1)) < 0) {
		print_message("skipped: cannot make device nodes (%s)\n", strerror(errno));
		skip();
	}
	assert_int_equal(mknod("t/b", S_IFBLK | 0660, makedev(259, 70000)), 0);
	(void)write_image("d", 64 * MIB, "t");
	fsck("d");
	shows("d", "stat c", "Device major/minor number: 05:01");
	shows("d", "stat b", "(New-style) Device major/minor number: 259:70000");
}

static void test_too_small(void **state)
{
	struct pv_ext4_options o = make_options(64 * MIB);
	pv_autoerror err = PV_ERROR_INIT;
	struct pv_tree_stats stats;

	(void)state;
	put_size("t/large", 60 * MIB, 1);
	new_image("d", 64 * MIB);
	assert_int_equal(pv_ext4_write("d", &o, "t", NULL, NULL, NULL, &err), -1);
	assert_int_equal(err.kind, PV_ERR_STAGE);
	has(err.text, "do not fit into a root partition of 64");
	/* what it says is enough */
	assert_int_equal(pv_tree_measure("t", &stats, NULL), 0);
	(void)write_image("e", pv_tree_ext4_need(&stats), "t");
}

static void test_too_many_files(void **state)
{
	struct pv_ext4_options o = make_options(64 * MIB);
	pv_autoerror err = PV_ERROR_INIT;
	struct pv_tree_stats stats;

	(void)state;
	for (int i = 0; i < 5000; i++) {
		pv_autofree char *path = pv_fmt("t/%d", i);

		put(path, "", 0);
	}
	new_image("d", 64 * MIB);
	assert_int_equal(pv_ext4_write("d", &o, "t", NULL, NULL, NULL, &err), -1);
	has(err.text, "5001 files do not fit");
	assert_int_equal(pv_tree_measure("t", &stats, NULL), 0);
	(void)write_image("e", pv_tree_ext4_need(&stats), "t");
	fsck("e");
}

static void test_bad_input(void **state)
{
	struct pv_ext4_options o = make_options(64 * MIB);
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	assert_int_equal(pv_ext4_write("none", &o, "t", NULL, NULL, NULL, &err), -1);
	has(err.text, "none: No such file");
	new_image("d", 64 * MIB);
	pv_error_clear(&err);
	assert_int_equal(pv_ext4_write("d", &o, "no tree", NULL, NULL, NULL, &err), -1);
	has(err.text, "no tree: No such file");
	assert_int_equal(mkdir("t/lost+found", 0755), 0);
	assert_int_equal(pv_ext4_write("d", &o, "t", NULL, NULL, NULL, NULL), 0);
	put("t/lost+found/x", "", 0);
	pv_error_clear(&err);
	assert_int_equal(pv_ext4_write("d", &o, "t", NULL, NULL, NULL, &err), -1);
	has(err.text, "lost+found: not empty");
	o.label = "seventeen letters";
	assert_int_equal(pv_ext4_write("d", &o, "t", NULL, NULL, NULL, NULL), -1);
	o = make_options(1000);
	assert_int_equal(pv_ext4_write("d", &o, "t", NULL, NULL, NULL, NULL), -1);
	o = make_options(64 * MIB);
	o.epoch = -1;
	assert_int_equal(pv_ext4_write("d", &o, "t", NULL, NULL, NULL, NULL), -1);
	if (geteuid() == 0)
		return;
	assert_int_equal(pv_rmtree("t/lost+found", NULL), 0);
	put("t/secret", "x", 1);
	assert_int_equal(chmod("t/secret", 0), 0);
	o = make_options(64 * MIB);
	pv_error_clear(&err);
	assert_int_equal(pv_ext4_write("d", &o, "t", NULL, NULL, NULL, &err), -1);
	has(err.text, "t: secret: Permission denied");
}

static void write_id(const char *path, unsigned id)
{
	char line[32];
	pv_autoclose int fd = open(path, O_WRONLY);

	snprintf(line, sizeof(line), "0 %u 1", id);
	if (fd < 0 || pv_write_all(fd, line, strlen(line)) < 0)
		_exit(77);
}

/* In a child with a small file system of its own. 0: as wanted, 77: not possible here. */
static void full_host(void)
{
	struct pv_ext4_options o = make_options(200 * MIB);
	pv_autoerror err = PV_ERROR_INIT;
	unsigned uid = getuid(), gid = getgid();
	int fd;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		_exit(77);
	write_id("/proc/self/uid_map", uid);
	fd = open("/proc/self/setgroups", O_WRONLY);
	if (fd < 0 || pv_write_all(fd, "deny", 4) < 0 || close(fd) < 0)
		_exit(77);
	write_id("/proc/self/gid_map", gid);
	if (mkdir("small", 0755) < 0 || mount("none", "small", "tmpfs", 0, "size=8m") < 0)
		_exit(77);
	fd = open("small/d", O_WRONLY | O_CREAT, 0644);
	if (fd < 0 || ftruncate(fd, (off_t)(OFFSET + o.size)) < 0)
		_exit(2);
	close(fd);
	if (pv_ext4_write("small/d", &o, "t", NULL, NULL, NULL, &err) == 0)
		_exit(3);
	_exit(err.kind == PV_ERR_STAGE && strstr(err.text, "small/d: No space left on device") ? 0 : 4);
}

static void test_full_host(void **state)
{
	int status = 0;
	pid_t pid;

	(void)state;
	put_size("t/large", 20 * MIB, 1);
	pid = fork();
	if (pid == 0)
		full_host();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("skipped: no user namespace with a tmpfs\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void raise_at(void *ctx, uint64_t done, uint64_t total)
{
	uint64_t *last = ctx;

	assert_true(done >= *last && done <= total);
	*last = done;
	if (done == total / 2)
		raise(SIGTERM);
}

static void test_interrupt(void **state)
{
	int status = 0;
	pid_t pid;

	(void)state;
	put_size("t/1", MIB, 1);
	put_size("t/2", MIB, 2);
	new_image("d", 64 * MIB);
	pid = fork();
	if (pid == 0) {
		struct pv_ext4_options o = make_options(64 * MIB);
		pv_autoerror err = PV_ERROR_INIT;
		uint64_t last = 0;

		pv_proc_catch_signals();
		if (pv_ext4_write("d", &o, "t", raise_at, &last, NULL, &err) == 0)
			_exit(1);
		_exit(err.kind == PV_ERR_SIGTERM ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* For tests/boot/40-guestfs-audit.sh: test_ext4 --write IMAGE MIB TREE */
static int write_only(char **args)
{
	struct pv_ext4_options o;
	pv_autoerror err = PV_ERROR_INIT;
	uint64_t mib;

	if (pv_parse_u64(args[1], 64, 1 << 20, &mib) < 0)
		return 2;
	o = make_options(mib * MIB);
	o.nodes = pv_ext4_dev_nodes;
	o.nnodes = pv_ext4_ndev_nodes;
	new_image(args[0], o.size);
	if (pv_ext4_write(args[0], &o, args[2], NULL, NULL, NULL, &err) == 0)
		return 0;
	print_error("%s\n", err.text);
	return 1;
}

int main(int argc, char **argv)
{
#define T(f) cmocka_unit_test_setup_teardown(f, enter, scratch_leave)
	const struct CMUnitTest tests[] = {
		T(test_kinds), T(test_times), T(test_same_bytes), T(test_large_folder), T(test_huge_folder),
		T(test_holes), T(test_many_extents), T(test_nodes), T(test_xattrs), T(test_capability),
		T(test_devices), T(test_too_small), T(test_too_many_files), T(test_bad_input), T(test_full_host),
		T(test_interrupt),
	};

	if (argc == 5 && pv_streq(argv[1], "--write"))
		return write_only(argv + 2);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
