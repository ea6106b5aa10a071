/* SPDX-License-Identifier: Apache-2.0 */
/* Formats a partition of a disk image with mke2fs and has it filled; everything that could vary is pinned here. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ext4_priv.h"
#include "fsutil.h"
#include "proc.h"
#include "text.h"

#define EPOCH_MAX (1ll << 33)		/* ext4's 34 bits of time reach further */
#define RESERVED_PERCENT "1"
#define INODE_RATIO "16384"		/* bytes per inode: mke2fs's default, pinned */

const struct pv_ext4_node pv_ext4_dev_nodes[] = {
	{ "dev/console", S_IFCHR | 0600, 0, 0, 5, 1 },
	{ "dev/full", S_IFCHR | 0666, 0, 0, 1, 7 },
	{ "dev/null", S_IFCHR | 0666, 0, 0, 1, 3 },
	{ "dev/ptmx", S_IFCHR | 0666, 0, 5, 5, 2 },
	{ "dev/random", S_IFCHR | 0666, 0, 0, 1, 8 },
	{ "dev/tty", S_IFCHR | 0666, 0, 5, 5, 0 },
	{ "dev/urandom", S_IFCHR | 0666, 0, 0, 1, 9 },
	{ "dev/zero", S_IFCHR | 0666, 0, 0, 1, 5 },
};
const size_t pv_ext4_ndev_nodes = PV_COUNT(pv_ext4_dev_nodes);

static void uuid_text(const uint8_t uuid[16], char ret[37])
{
	size_t at = 0;

	for (unsigned i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			ret[at++] = '-';
		at += (size_t)snprintf(ret + at, 37 - at, "%02x", uuid[i]);
	}
}

/* mke2fs's own default, pinned: a small journal on a small file system. */
static unsigned journal_mib(uint64_t size)
{
	if (size < 1ull << 30)
		return 16;
	return size < 2ull << 30 ? 32 : 64;
}

static int check_options(const char *image, const struct pv_ext4_options *o, struct pv_error *err)
{
	if (o->offset % PV_EXT4_BLOCK || o->size % PV_EXT4_BLOCK || o->size < 64u << 20 || o->size > 16ull << 40)
		return pv_error_set(err, PV_ERR_STAGE, "%s: a root of %llu bytes at %llu: not within 64 MiB to 16 TiB "
				    "in whole blocks", image, (unsigned long long)o->size,
				    (unsigned long long)o->offset);
	if (o->label && strlen(o->label) > 16)
		return pv_error_set(err, PV_ERR_STAGE, "%s: label %s: more than 16 bytes", image, o->label);
	if (o->epoch < 0 || o->epoch > EPOCH_MAX)
		return pv_error_set(err, PV_ERR_STAGE, "%s: epoch %lld: out of range", image, (long long)o->epoch);
	return 0;
}

static int format(const char *image, const struct pv_ext4_options *o, struct pv_error *err)
{
	char uuid[37], seed[37];
	pv_autostrv argv = PV_STRV_INIT;
	pv_autofree char *now = pv_fmt("E2FSPROGS_FAKE_TIME=%lld", (long long)o->epoch);
	/* no mke2fs.conf: the host's taste stays out; PATH: pv_proc finds the program, mke2fs runs nothing */
	const char *const env[] = { "MKE2FS_CONFIG=/dev/null", now, "LC_ALL=C", "TZ=UTC0", NULL };
	const char *const fixed[] = { "mke2fs", "-F", "-q", "-b", "4096", "-I", "256", "-g", "32768", "-G", "16",
				      "-i", INODE_RATIO, "-m", RESERVED_PERCENT, "-o", "linux", "-e", "continue",
				      NULL };

	uuid_text(o->uuid, uuid);
	uuid_text(o->hash_seed, seed);
	pv_strv_add_all(&argv, fixed);
	pv_strv_add(&argv, "-O");
	pv_strv_addf(&argv, "none,%s", o->features ? o->features : PV_EXT4_FEATURES);
	pv_strv_add(&argv, "-J");
	pv_strv_addf(&argv, "size=%u", journal_mib(o->size));
	pv_strv_add(&argv, "-U");
	pv_strv_add(&argv, uuid);
	pv_strv_add(&argv, "-L");
	pv_strv_add(&argv, o->label ? o->label : "");
	pv_strv_add(&argv, "-E");
	pv_strv_addf(&argv, "offset=%llu,hash_seed=%s,assume_storage_prezeroed=1,nodiscard,lazy_itable_init=0,"
		     "lazy_journal_init=0,root_owner=0:0", (unsigned long long)o->offset, seed);
	pv_strv_add(&argv, "--");
	pv_strv_add(&argv, image);
	pv_strv_addf(&argv, "%llu", (unsigned long long)(o->size / PV_EXT4_BLOCK));
	struct pv_proc proc = { .argv = (const char *const *)argv.v, .env = env };

	return pv_proc_check(&proc, PV_ERR_STAGE, err);
}

static int open_fs(struct pv_ext4 *w, struct pv_error *err)
{
	pv_autofree char *where = pv_fmt("offset=%llu", (unsigned long long)w->offset);
	errcode_t code = ext2fs_open2(w->image, where, EXT2_FLAG_RW | EXT2_FLAG_64BITS, 0, 0, unix_io_manager, &w->fs);

	if (!code)
		code = ext2fs_read_bitmaps(w->fs);
	if (code)
		return pv_ext4_fail(err, code, w->image);
	w->fs->now = w->options->epoch;
	return 0;
}

/* Upper bounds all the way, but counted: what passes here does not fail later. */
static int check_fit(struct pv_ext4 *w, const struct pv_tree_stats *stats, const char *tree, struct pv_error *err)
{
	uint64_t payload = stats->data_bytes + stats->dir_bytes;
	uint64_t blocks = payload / PV_EXT4_BLOCK + stats->data_bytes / (512ull << 20) + 64;

	if (blocks <= ext2fs_free_blocks_count(w->fs->super) &&
	    stats->inodes + w->options->nnodes < w->fs->super->s_free_inodes_count)
		return 0;
	pv_autofree char *need = pv_size_text(pv_tree_ext4_need(stats));
	pv_autofree char *have = pv_size_text(w->options->size);
	pv_autofree char *data = pv_size_text(payload);

	return pv_error_set(err, PV_ERR_STAGE, "%s: %s in %llu files do not fit into a root partition of %s; it "
			    "needs %s: make the disk larger", tree, data, (unsigned long long)stats->inodes, have,
			    need);
}

/* What the library or mke2fs took from this run or this host. */
static void pin_superblock(struct pv_ext4 *w)
{
	struct ext2_super_block *super = w->fs->super;

	super->s_flags = (super->s_flags & ~(uint32_t)EXT2_FLAGS_UNSIGNED_HASH) | EXT2_FLAGS_SIGNED_HASH;
	super->s_kbytes_written = 0;	/* 0 also keeps the library from counting */
	super->s_default_mount_opts |= EXT2_DEFM_XATTR_USER | EXT2_DEFM_ACL;
	super->s_mtime = 0;
	ext2fs_mark_super_dirty(w->fs);
}

static int fill(struct pv_ext4 *w, const char *tree, struct pv_error *err)
{
	struct pv_tree_stats stats;
	errcode_t code;

	if (w->options->stats)
		stats = *w->options->stats;
	else if (pv_tree_measure(tree, &stats, err) < 0)
		return -1;
	if (format(w->image, w->options, err) < 0 || open_fs(w, err) < 0 || check_fit(w, &stats, tree, err) < 0)
		return -1;
	w->total = stats.data_bytes;
	pin_superblock(w);
	if (pv_ext4_write_tree(w, tree, err) < 0)
		return -1;
	w->stats.free_bytes = ext2fs_free_blocks_count(w->fs->super) * PV_EXT4_BLOCK;
	code = ext2fs_close2(w->fs, EXT2_FLAG_FLUSH_NO_SYNC);
	if (code)
		return pv_ext4_fail(err, code, w->image);
	w->fs = NULL;
	return 0;
}

int pv_ext4_write(const char *image_path, const struct pv_ext4_options *options, const char *tree,
		  pv_ext4_progress_fn *progress, void *progress_ctx, struct pv_ext4_stats *ret,
		  struct pv_error *err)
{
	pv_autofree uint8_t *buffer = NULL;
	pv_autoclose int fd = -1;
	struct pv_ext4 w = {
		.image = image_path, .options = options, .offset = options->offset,
		.progress = progress, .progress_ctx = progress_ctx,
	};
	int rc;

	if (check_options(image_path, options, err) < 0)
		return -1;
	fd = open(image_path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", image_path);
	initialize_ext2_error_table();
	buffer = pv_xmalloc(PV_EXT4_BUFFER);
	w.buffer = buffer;
	w.fd = fd;
	rc = fill(&w, tree, err);
	if (w.fs)
		ext2fs_free(w.fs);
	pv_ext4_forget_links(&w);
	free(w.runs.v);
	if (rc == 0 && ret)
		*ret = w.stats;
	return rc;
}

const char *pv_ext4_version(void)
{
	const char *version;

	(void)ext2fs_get_library_version(&version, NULL);
	return version;
}
