/* SPDX-License-Identifier: Apache-2.0 */
/* What of two disks is no file: boot code, partition tables, structures of the file system. */
#include <stdlib.h>
#include <string.h>

#include "disk.h"
#include "imgdiff_priv.h"
#include "proc.h"

#define UNIT 4096u			/* differences are gathered in pieces of this */
#define PLACES_MAX 65536u		/* pieces noted; more are counted only */

/* GPT: UEFI 2.10, 5.3; 128 entries of 128 bytes, a header before the first and behind the last ones. */
#define MBR_CODE 440u
#define GPT_FIRST 34u			/* sectors of protective MBR, header and entries */
#define GPT_LAST 33u

/* Pieces of the disk that differ. */
struct place {
	uint64_t start;			/* of the piece */
	uint32_t at;			/* the first byte in it that differs */
	uint32_t count;
	uint8_t first[PV_IMGDIFF_SHOWN], second[PV_IMGDIFF_SHOWN];
};
struct places {
	struct place *v;
	size_t n, cap;
	uint64_t total;			/* pieces, those not kept too */
};

static void add_place(struct places *places, uint64_t start, const uint8_t *a, const uint8_t *b, size_t len)
{
	size_t at = 0;
	uint64_t count = pv_imgdiff_count(a, b, len, &at);

	if (count == 0)
		return;
	places->total++;
	if (places->n == PLACES_MAX)
		return;
	if (places->n == places->cap) {
		places->cap = places->cap ? places->cap * 2 : 64;
		places->v = pv_xreallocarray(places->v, places->cap, sizeof(*places->v));
	}
	struct place *place = &places->v[places->n++];
	size_t shown = len - at < PV_IMGDIFF_SHOWN ? len - at : PV_IMGDIFF_SHOWN;
	*place = (struct place){ .start = start, .at = (uint32_t)at, .count = (uint32_t)count };
	memcpy(place->first, a + at, shown);
	memcpy(place->second, b + at, shown);
}

/* Every byte that both have. */
static int compare_bytes(const struct pv_imgdiff_run *run, struct places *places, struct pv_error *err)
{
	pv_autofree uint8_t *a = pv_xmalloc(PV_IMGDIFF_CHUNK), *b = pv_xmalloc(PV_IMGDIFF_CHUNK);
	uint64_t size_a = pv_image_size(run->first), size_b = pv_image_size(run->second);
	uint64_t both = size_a < size_b ? size_a : size_b;

	for (uint64_t offset = 0; offset < both; offset += PV_IMGDIFF_CHUNK) {
		size_t len = both - offset < PV_IMGDIFF_CHUNK ? (size_t)(both - offset) : PV_IMGDIFF_CHUNK;
		if (pv_proc_check_interrupt(err) < 0 || pv_image_pread(run->first, a, len, offset, err) < 0 ||
		    pv_image_pread(run->second, b, len, offset, err) < 0)
			return -1;
		if (memcmp(a, b, len) == 0)
			continue;
		for (size_t at = 0; at < len; at += UNIT)
			add_place(places, offset + at, a + at, b + at, len - at < UNIT ? len - at : UNIT);
	}
	return 0;
}

/* --- the layout, as libfdisk reads it --- */

static void note_table(const struct pv_imgdiff_run *run, const char *where, char *first, char *second)
{
	pv_imgdiff_note(run->diff, PV_IMGDIFF_TABLE, where, NULL, first, second);
}

static const struct pv_image_part *part_of_number(const struct pv_image *image, unsigned number)
{
	size_t n;
	const struct pv_image_part *parts = pv_image_parts(image, &n);

	for (size_t i = 0; i < n; i++)
		if (parts[i].number == number)
			return &parts[i];
	return NULL;
}

static char *part_words(const struct pv_image_part *part)
{
	return part ? pv_fmt("type %s, id %s, %llu bytes at %llu", part->type, part->uuid, (unsigned long long)part->size,
			     (unsigned long long)part->start) : NULL;
}

static void compare_layout(const struct pv_imgdiff_run *run)
{
	uint64_t size_a = pv_image_size(run->first), size_b = pv_image_size(run->second);

	if (size_a != size_b)
		note_table(run, "the disk's size", pv_fmt("%llu", (unsigned long long)size_a),
			   pv_fmt("%llu", (unsigned long long)size_b));
	for (unsigned number = 1; number <= 128; number++) {
		pv_autofree char *a = part_words(part_of_number(run->first, number));
		pv_autofree char *b = part_words(part_of_number(run->second, number));
		pv_autofree char *where = pv_fmt("GPT, partition %u", number);
		if (!pv_streq(a, b))
			note_table(run, where, pv_steal(&a), pv_steal(&b));
	}
}

/* --- bytes that belong to no file --- */

/* Fields of ext4's superblock that runs and hosts are known to leak into: Documentation/filesystems/ext4, "Super Block". */
static const struct {
	unsigned offset, len;
	const char *name;
} super_fields[] = {
	{ 0x2c, 4, "s_mtime" }, { 0x30, 4, "s_wtime" }, { 0x40, 4, "s_lastcheck" }, { 0x68, 16, "s_uuid" },
	{ 0xec, 16, "s_hash_seed" }, { 0x108, 4, "s_mkfs_time" }, { 0x160, 4, "s_flags" },
	{ 0x178, 8, "s_kbytes_written" }, { 0x270, 4, "s_checksum_seed" }, { 0x3fc, 4, "s_checksum" },
};

static const char *super_field(uint64_t offset)
{
	for (size_t i = 0; i < PV_COUNT(super_fields); i++)
		if (offset >= super_fields[i].offset && offset < super_fields[i].offset + super_fields[i].len)
			return super_fields[i].name;
	return NULL;
}


static void note_bytes(const struct pv_imgdiff_run *run, const struct places *places, const char *where, uint64_t start,
		       uint64_t end)
{
	struct pv_imgdiff_item *item = NULL;

	for (size_t i = 0; i < places->n; i++) {
		const struct place *p = &places->v[i];
		if (p->start + p->at < start || p->start + p->at >= end)
			continue;
		if (!item)
			item = pv_imgdiff_add(run->diff, PV_IMGDIFF_BYTES, where, NULL);
		if (!item)
			return;
		if (item->offset < 0) {
			item->offset = (int64_t)(p->start + p->at);
			item->first = pv_imgdiff_hex(p->first, sizeof(p->first));
			item->second = pv_imgdiff_hex(p->second, sizeof(p->second));
		}
		item->count += p->count;
	}
}

/* The first and the last sectors, and partitions that hold no file system pvimg reads. */
static void note_outside(const struct pv_imgdiff_run *run, const struct places *places)
{
	uint64_t size = pv_image_size(run->first), tail = size - GPT_LAST * PV_DISK_SECTOR;
	uint64_t head = GPT_FIRST * PV_DISK_SECTOR, last = head;
	size_t n;
	const struct pv_image_part *parts = pv_image_parts(run->first, &n);

	note_bytes(run, places, "MBR, boot code", 0, MBR_CODE);
	note_bytes(run, places, "MBR", MBR_CODE, PV_DISK_SECTOR);
	note_bytes(run, places, "GPT, header", PV_DISK_SECTOR, 2 * PV_DISK_SECTOR);
	note_bytes(run, places, "GPT, entries", 2 * PV_DISK_SECTOR, head);
	for (size_t i = 0; i < n; i++) {
		const struct pv_image_part *part = &parts[i];
		pv_autofree char *where = pv_fmt("partition %u", part->number);
		if (part->start + part->size > last)
			last = part->start + part->size;
		if (part != pv_image_root(run->first))
			note_bytes(run, places, where, part->start, part->start + part->size);
	}
	note_bytes(run, places, "GPT, backup", tail > last ? tail : last, size);
}

/* Blocks of the root file system by what they are for; data blocks are what files and folders tell. */
static void note_root(const struct pv_imgdiff_run *run, const struct places *places)
{
	static const char *const names[PV_BLOCK_USES] = {
		[PV_BLOCK_DATA] = "data blocks", [PV_BLOCK_SUPER] = "superblock", [PV_BLOCK_GROUPS] = "group descriptors",
		[PV_BLOCK_BLOCK_BITMAP] = "block bitmap", [PV_BLOCK_INODE_BITMAP] = "inode bitmap",
		[PV_BLOCK_INODES] = "inode tables", [PV_BLOCK_JOURNAL] = "journal",
	};
	const struct pv_image_part *root = pv_image_root(run->first);
	unsigned block = pv_image_fs_block(run->first);
	pv_autofree uint64_t *blocks = pv_xcalloc(places->n + 1, sizeof(*blocks));
	pv_autofree enum pv_image_block_use *uses = pv_xcalloc(places->n + 1, sizeof(*uses));
	pv_autofree struct place *sorted = pv_xcalloc(places->n + 1, sizeof(*sorted));
	size_t n = 0;

	for (size_t i = 0; i < places->n; i++) {
		const struct place *p = &places->v[i];
		uint64_t at = p->start + p->at;
		if (at < root->start || at >= root->start + root->size)
			continue;
		sorted[n] = *p;
		blocks[n++] = (at - root->start) / block;
	}
	pv_image_block_uses(run->first, blocks, n, uses);
	for (unsigned use = 0; use < PV_BLOCK_USES; use++) {
		struct places one = { .cap = n + 1, .v = pv_xcalloc(n + 1, sizeof(*one.v)) };
		for (size_t i = 0; i < n; i++)
			if (uses[i] == use)
				one.v[one.n++] = sorted[i];
		const char *field = use == PV_BLOCK_SUPER && one.n && one.v[0].start == root->start && one.v[0].at >= 1024
					    ? super_field(one.v[0].at - 1024) : NULL;
		pv_autofree char *where = pv_fmt("partition %u (root), %s%s%s", root->number, names[use], field ? ", " : "",
						 field ? field : "");
		note_bytes(run, &one, where, root->start, root->start + root->size);
		free(one.v);
	}
}

int pv_imgdiff_disk(const struct pv_imgdiff_run *run, struct pv_error *err)
{
	struct places places = { 0 };

	compare_layout(run);
	if (!run->options->exact)
		return 0;
	int rc = compare_bytes(run, &places, err);
	if (rc == 0 && places.n) {
		note_outside(run, &places);
		note_root(run, &places);
	}
	free(places.v);
	return rc;
}
