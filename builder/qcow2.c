/* SPDX-License-Identifier: Apache-2.0 */
/* A qcow2's header and tables, read as hostile data. */
#include "qcow2.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "bytes.h"
#include "fsutil.h"
#include "proc.h"
#include "text.h"

/* Offsets in the header; numbers are big-endian. */
enum {
	H_VERSION = 4, H_BACKING = 8, H_CLUSTER_BITS = 20, H_SIZE = 24, H_CRYPT = 32, H_L1_ENTRIES = 36, H_L1 = 40,
	H_REFCOUNT = 48, H_REFCOUNT_CLUSTERS = 56, V2_LENGTH = 72,
	H_INCOMPATIBLE = 72, H_REFCOUNT_ORDER = 96, H_LENGTH = 100, V3_LENGTH = 104, H_COMPRESSION = 104,
};

/* Incompatible features. */
#define F_DIRTY (UINT64_C(1) << 0)		/* QEMU opens it read-only all the same */
#define F_CORRUPT (UINT64_C(1) << 1)
#define F_DATA_FILE (UINT64_C(1) << 2)
#define F_COMPRESSION (UINT64_C(1) << 3)
#define F_EXTENDED_L2 (UINT64_C(1) << 4)
#define F_KNOWN (F_DIRTY | F_CORRUPT | F_DATA_FILE | F_COMPRESSION | F_EXTENDED_L2)

#define EXT_END 0u
#define EXT_DATA_FILE 0x44415441u

#define L1_MAX (32u * 1024 * 1024 / 8)	/* QEMU's limit, in entries */
#define SIZE_MAX_BYTES (UINT64_C(1) << 56)	/* what the tables can address */
#define ENTRY_OFFSET UINT64_C(0x00fffffffffffe00)	/* of L1 and L2 entries */
#define ENTRY_COMPRESSED (UINT64_C(1) << 62)
#define UNPACK "; flatten it if you trust it (qemu-img convert -f qcow2 -O qcow2 OLD NEW), " \
	"or say --format raw if it is a raw disk"

bool pv_qcow2_magic(const uint8_t *head, size_t len)
{
	return len >= 4 && memcmp(head, "QFI\xfb", 4) == 0;
}

static int cut_off(const char *name, struct pv_error *err)
{
	return pv_error_set(err, PV_ERR_STAGE, "%s: the qcow2 image is cut off; copy or download it again", name);
}

static int damaged(const char *name, const char *what, struct pv_error *err)
{
	return pv_error_set(err, PV_ERR_STAGE, "%s: damaged qcow2 image: %s", name, what);
}

static int check_features(const uint8_t *head, uint32_t length, const char *name, struct pv_error *err)
{
	uint64_t f = pv_be64(head + H_INCOMPATIBLE);

	if (f & F_DATA_FILE)
		return pv_error_set(err, PV_ERR_STAGE, "%s: the qcow2 image keeps its data in another file, which is not "
				    "opened" UNPACK, name);
	if (f & F_CORRUPT)
		return pv_error_set(err, PV_ERR_STAGE, "%s: the qcow2 image is marked corrupt; repair a copy: "
				    "qemu-img check -r all COPY", name);
	if (f & ~F_KNOWN)
		return pv_error_set(err, PV_ERR_STAGE, "%s: the qcow2 image needs features unknown to pvimg (0x%" PRIx64
				    ")" UNPACK, name, f & ~F_KNOWN);
	if ((f & F_COMPRESSION) && (length <= H_COMPRESSION || head[H_COMPRESSION] != 1))
		return damaged(name, "its compression is of no known kind", err);
	if (pv_be32(head + H_REFCOUNT_ORDER) > 6)
		return damaged(name, "its reference counts are wider than 64 bits", err);
	return 0;
}

/* The extensions follow the header; the one that names a data file is not to be there, whatever the features say. */
static int check_extensions(const uint8_t *head, size_t len, uint32_t start, const char *name, struct pv_error *err)
{
	for (uint64_t at = start; at + 8 <= len;) {
		uint32_t type = pv_be32(head + at), size = pv_be32(head + at + 4);

		if (type == EXT_END)
			return 0;
		if (type == EXT_DATA_FILE)
			return pv_error_set(err, PV_ERR_STAGE, "%s: the qcow2 image names an external data file, which is "
					    "not opened" UNPACK, name);
		if (size > len - at - 8)
			return damaged(name, "a header extension leaves the first cluster", err);
		at += 8 + (((uint64_t)size + 7) & ~7ull);
	}
	return 0;
}

static bool within(uint64_t offset, uint64_t bytes, uint64_t file_size)
{
	return offset <= file_size && bytes <= file_size - offset;
}

static int check_tables(const uint8_t *head, uint64_t file_size, const char *name, const struct pv_qcow2 *q,
			struct pv_error *err)
{
	uint64_t cluster = 1ull << q->cluster_bits, refcount = pv_be64(head + H_REFCOUNT);
	/* a table of the second level fills a cluster */
	uint64_t covered = cluster / (q->extended_l2 ? 16 : 8) * cluster;

	if (q->l1_entries > L1_MAX || q->l1_entries < (q->size + covered - 1) / covered)
		return damaged(name, "its first table does not fit its size", err);
	if (q->l1_offset % cluster || refcount % cluster || refcount == 0)
		return damaged(name, "a table lies across clusters", err);
	if (!within(q->l1_offset, (uint64_t)q->l1_entries * 8, file_size) ||
	    !within(refcount, (uint64_t)pv_be32(head + H_REFCOUNT_CLUSTERS) * cluster, file_size))
		return cut_off(name, err);
	return 0;
}

int pv_qcow2_header(const uint8_t *head, size_t len, uint64_t file_size, const char *name, struct pv_qcow2 *ret,
		    struct pv_error *err)
{
	struct pv_qcow2 q = { 0 };
	uint32_t version, length = V2_LENGTH;

	if (!pv_qcow2_magic(head, len))
		return pv_error_set(err, PV_ERR_STAGE, "%s: does not begin like a qcow2 image; is it --format raw?", name);
	if (len < V2_LENGTH)
		return cut_off(name, err);
	version = pv_be32(head + H_VERSION);
	if (version != 2 && version != 3)
		return pv_error_set(err, PV_ERR_STAGE, "%s: QCOW version %" PRIu32 " is not read, 2 and 3 are; convert it: "
				    "qemu-img convert -O qcow2 OLD NEW", name, version);
	if (version == 3 && len < V3_LENGTH)
		return cut_off(name, err);
	/* QEMU goes by the offset alone. */
	if (pv_be64(head + H_BACKING) != 0)
		return pv_error_set(err, PV_ERR_STAGE, "%s: the qcow2 image has a backing file, which is not opened" UNPACK,
				    name);
	if (pv_be32(head + H_CRYPT) != 0)
		return pv_error_set(err, PV_ERR_STAGE, "%s: the qcow2 image is encrypted; decrypt it first", name);
	q.cluster_bits = pv_be32(head + H_CLUSTER_BITS);
	q.size = pv_be64(head + H_SIZE);
	q.l1_entries = pv_be32(head + H_L1_ENTRIES);
	q.l1_offset = pv_be64(head + H_L1);
	if (q.cluster_bits < 9 || q.cluster_bits > 21)
		return damaged(name, "its clusters are not of 512 bytes to 2 MiB", err);
	if (q.size == 0 || q.size > SIZE_MAX_BYTES)
		return damaged(name, "its disk has no possible size", err);
	if (len > 1u << q.cluster_bits)
		len = 1u << q.cluster_bits;
	if (version == 3) {
		length = pv_be32(head + H_LENGTH);
		if (length < V3_LENGTH || length % 8 || length > 1u << q.cluster_bits)
			return damaged(name, "its header has no possible length", err);
		if (length > len)
			return cut_off(name, err);
		if (check_features(head, length, name, err) < 0)
			return -1;
		q.extended_l2 = pv_be64(head + H_INCOMPATIBLE) & F_EXTENDED_L2;
	}
	if (check_extensions(head, len, length, name, err) < 0 || check_tables(head, file_size, name, &q, err) < 0)
		return -1;
	*ret = q;
	return 0;
}

/* --- the clusters --- */

/* Where the data of an entry begins; 0: there is none. */
static uint64_t data_offset(uint64_t entry, unsigned cluster_bits)
{
	if (entry & ENTRY_COMPRESSED)
		return entry & ((1ull << (62 - (cluster_bits - 8))) - 1);
	return entry & ENTRY_OFFSET;
}

struct walk {
	int fd;
	uint64_t file_size, left;	/* left: bytes of tables that may still be read */
	const char *name;
	const struct pv_qcow2 *q;
	uint8_t *table;			/* of a cluster's size */
};

/* bytes of a table at offset into w->table. What the file lacks at its very end is zeros. */
static int read_table(struct walk *w, uint64_t offset, size_t bytes, struct pv_error *err)
{
	ssize_t n;

	if (pv_proc_check_interrupt(err) < 0)
		return -1;
	if (offset >= w->file_size)
		return cut_off(w->name, err);
	if (bytes > w->left)
		return damaged(w->name, "its tables are larger than the file", err);
	w->left -= bytes;
	n = pv_pread_all(w->fd, w->table, bytes, (off_t)offset);
	if (n < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot read", w->name);
	memset(w->table + n, 0, bytes - (size_t)n);
	return 0;
}

static int check_l2(struct walk *w, uint64_t offset, struct pv_error *err)
{
	size_t cluster = (size_t)1 << w->q->cluster_bits, step = w->q->extended_l2 ? 16 : 8;

	if (read_table(w, offset, cluster, err) < 0)
		return -1;
	for (size_t i = 0; i < cluster; i += step)
		if (data_offset(pv_be64(w->table + i), w->q->cluster_bits) >= w->file_size)
			return cut_off(w->name, err);
	return 0;
}

int pv_qcow2_check_clusters(int fd, uint64_t file_size, const char *name, const struct pv_qcow2 *q, struct pv_error *err)
{
	size_t cluster = (size_t)1 << q->cluster_bits, l1_bytes = (size_t)q->l1_entries * 8;
	pv_autofree uint8_t *l1 = pv_xmalloc(l1_bytes + 1), *table = pv_xmalloc(cluster);
	struct walk w = { .fd = fd, .file_size = file_size, .left = file_size, .name = name, .q = q, .table = l1 };

	if (l1_bytes > 0 && read_table(&w, q->l1_offset, l1_bytes, err) < 0)
		return -1;
	w.table = table;
	for (size_t i = 0; i < q->l1_entries; i++) {
		uint64_t offset = pv_be64(l1 + i * 8) & ENTRY_OFFSET;

		if (offset != 0 && check_l2(&w, offset, err) < 0)
			return -1;
	}
	return 0;
}
