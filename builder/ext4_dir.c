/* SPDX-License-Identifier: Apache-2.0 */
/* Folders of the ext4 being written: one linear block, or leaves behind a hash index (htree) of one level. */
#include <stdlib.h>
#include <string.h>

#include "ext4_priv.h"
#include "text.h"

#define HASH_HALF_MD4 1			/* EXT2_HASH_HALF_MD4; the superblock says signed characters */
#define ROOT_ENTRIES_AT 32u		/* in the index block: "." and ".." (24 bytes), the root's header (8) */
#define FILL_PERCENT 80u		/* of a leaf, so that the next names find room without a split */

struct block_writer {
	uint8_t *data;			/* nblocks blocks */
	size_t nblocks, cap;
	size_t limit;			/* usable bytes of a block: without the checksum's tail */
	size_t used;			/* of the last block */
	struct ext2_dir_entry *last;	/* in it, to be stretched to its end */
};

static size_t entry_size(size_t name_len)
{
	return (8 + name_len + 3) & ~(size_t)3;
}

static void set_rec_len(struct ext2_dir_entry *entry, size_t len)
{
	entry->rec_len = ext2fs_cpu_to_le16((uint16_t)len);
}

static void end_block(struct block_writer *b)
{
	if (b->last)
		set_rec_len(b->last, ext2fs_le16_to_cpu(b->last->rec_len) + b->limit - b->used);
	b->last = NULL;
}

static uint8_t *begin_block(struct block_writer *b)
{
	uint8_t *block;

	end_block(b);
	if (b->nblocks == b->cap) {
		b->cap = b->cap ? b->cap * 2 : 2;
		b->data = pv_xreallocarray(b->data, b->cap, PV_EXT4_BLOCK);
	}
	block = b->data + b->nblocks++ * PV_EXT4_BLOCK;
	memset(block, 0, PV_EXT4_BLOCK);
	b->used = 0;
	return block;
}

/* Room was checked by the caller. */
static void add_entry(struct block_writer *b, const char *name, ext2_ino_t ino, uint8_t type)
{
	size_t len = strlen(name), size = entry_size(len);
	uint8_t *at = b->data + (b->nblocks - 1) * PV_EXT4_BLOCK + b->used;

	b->last = (struct ext2_dir_entry *)at;
	b->last->inode = ext2fs_cpu_to_le32(ino);
	set_rec_len(b->last, size);
	at[6] = (uint8_t)len;
	at[7] = type;
	memcpy(at + 8, name, len);
	b->used += size;
}

static int compare_hash(const void *a, const void *b)
{
	const struct pv_ext4_dirent *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	if (x->minor_hash != y->minor_hash)
		return x->minor_hash < y->minor_hash ? -1 : 1;
	return strcmp(x->name, y->name);
}

static int hash_entries(struct pv_ext4 *w, struct pv_ext4_dirent *entries, size_t n, const char *path,
			struct pv_error *err)
{
	for (size_t i = 0; i < n; i++) {
		ext2_dirhash_t hash, minor;
		errcode_t code = ext2fs_dirhash2(HASH_HALF_MD4, entries[i].name, (int)strlen(entries[i].name),
						 NULL, 0, w->fs->super->s_hash_seed, &hash, &minor);

		if (code)
			return pv_ext4_fail(err, code, path);
		entries[i].hash = hash & ~1u;
		entries[i].minor_hash = minor;
	}
	qsort(entries, n, sizeof(*entries), compare_hash);
	return 0;
}

static void put32(uint8_t *at, uint32_t value)
{
	value = ext2fs_cpu_to_le32(value);
	memcpy(at, &value, sizeof(value));
}

static void put16(uint8_t *at, uint16_t value)
{
	value = ext2fs_cpu_to_le16(value);
	memcpy(at, &value, sizeof(value));
}

/* Leaves sorted by hash behind the index block. false: more leaves than one index block knows. */
static bool build_indexed(struct block_writer *b, ext2_ino_t ino, ext2_ino_t parent,
			  const struct pv_ext4_dirent *entries, size_t n)
{
	size_t room = PV_EXT4_BLOCK - ROOT_ENTRIES_AT - (b->limit < PV_EXT4_BLOCK ? 8 : 0);
	size_t max = room / 8, leaves = 0;
	size_t fill = b->limit * FILL_PERCENT / 100;
	uint32_t hashes[PV_EXT4_BLOCK / 8];

	begin_block(b);
	for (size_t i = 0; i < n; i++) {
		size_t size = entry_size(strlen(entries[i].name));

		if (leaves == 0 || (b->used && b->used + size > fill)) {
			if (leaves == max)
				return false;
			/* an odd hash says that this leaf goes on with the hash that ended the last one */
			hashes[leaves++] = entries[i].hash | (i && entries[i - 1].hash == entries[i].hash);
			begin_block(b);
		}
		add_entry(b, entries[i].name, entries[i].ino, entries[i].type);
	}
	end_block(b);
	uint8_t *root = b->data;

	put32(root, ino);
	put16(root + 4, 12);
	memcpy(root + 6, "\1\2.", 3);
	put32(root + 12, parent);
	put16(root + 16, PV_EXT4_BLOCK - 12);
	memcpy(root + 18, "\2\2..", 4);
	root[28] = HASH_HALF_MD4;
	root[29] = 8;				/* length of this header */
	put16(root + ROOT_ENTRIES_AT, (uint16_t)max);
	put16(root + ROOT_ENTRIES_AT + 2, (uint16_t)leaves);
	for (size_t i = 0; i < leaves; i++) {
		if (i)
			put32(root + ROOT_ENTRIES_AT + 8 * i, hashes[i]);
		put32(root + ROOT_ENTRIES_AT + 8 * i + 4, (uint32_t)i + 1);
	}
	return true;
}

static void build_linear(struct block_writer *b, ext2_ino_t ino, ext2_ino_t parent,
			 const struct pv_ext4_dirent *entries, size_t n)
{
	b->nblocks = 0;
	begin_block(b);
	add_entry(b, ".", ino, EXT2_FT_DIR);
	add_entry(b, "..", parent, EXT2_FT_DIR);
	for (size_t i = 0; i < n; i++) {
		if (b->used + entry_size(strlen(entries[i].name)) > b->limit)
			begin_block(b);
		add_entry(b, entries[i].name, entries[i].ino, entries[i].type);
	}
	end_block(b);
}

static int checksum_blocks(struct pv_ext4 *w, struct block_writer *b, ext2_ino_t ino, bool indexed,
			   const char *path, struct pv_error *err)
{
	if (b->limit == PV_EXT4_BLOCK)
		return 0;
	for (size_t i = 0; i < b->nblocks; i++) {
		uint8_t *block = b->data + i * PV_EXT4_BLOCK;
		errcode_t code;

		if (!indexed || i)
			ext2fs_initialize_dirent_tail(w->fs, EXT2_DIRENT_TAIL(block, PV_EXT4_BLOCK));
		code = ext2fs_dir_block_csum_set(w->fs, ino, (struct ext2_dir_entry *)block);
		if (code)
			return pv_ext4_fail(err, code, path);
	}
	return 0;
}

static bool one_block(const struct pv_ext4_dirent *entries, size_t n, size_t limit)
{
	size_t size = 24;

	for (size_t i = 0; i < n && size <= limit; i++)
		size += entry_size(strlen(entries[i].name));
	return size <= limit;
}

int pv_ext4_write_dir(struct pv_ext4 *w, ext2_ino_t ino, ext2_ino_t parent, struct ext2_inode_large *inode,
		      struct pv_ext4_dirent *entries, size_t n, const char *path, struct pv_error *err)
{
	struct ext2_super_block *super = w->fs->super;
	struct block_writer b = {
		.limit = PV_EXT4_BLOCK - (ext2fs_has_feature_metadata_csum(super) ?
					  sizeof(struct ext2_dir_entry_tail) : 0),
	};
	bool indexed = false;

	if (!one_block(entries, n, b.limit) && ext2fs_has_feature_dir_index(super)) {
		if (hash_entries(w, entries, n, path, err) < 0)
			return -1;
		indexed = build_indexed(&b, ino, parent, entries, n);
	}
	if (!indexed)
		build_linear(&b, ino, parent, entries, n);
	pv_autofree uint8_t *data = b.data;

	if (indexed)
		inode->i_flags |= EXT2_INDEX_FL;
	if (ext2fs_inode_size_set(w->fs, (struct ext2_inode *)inode, (ext2_off64_t)b.nblocks * PV_EXT4_BLOCK))
		return pv_error_set(err, PV_ERR_STAGE, "%s: too many entries", path);
	/* the checksums take the inode's generation from disk: first the inode, then the blocks, then its extents */
	if (pv_ext4_write_inode(w, ino, inode, path, err) < 0 ||
	    checksum_blocks(w, &b, ino, indexed, path, err) < 0 ||
	    pv_ext4_put(w, data, 0, (uint32_t)b.nblocks, err) < 0)
		return -1;
	return pv_ext4_write_mapped(w, ino, inode, path, err);
}
