/* SPDX-License-Identifier: Apache-2.0 */
/* Opens an image, decides its format by its first and last bytes, and refuses what is none of ours or is not whole. */
#include "diskfile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fsutil.h"
#include "qcow2.h"
#include "text.h"

enum { SECTOR = 512 };

/* What a file may be that is no raw disk image. qemu: qemu-img's name where that can convert it. Sources: QEMU
 * block/{vmdk,vhdx,vdi,vpc,qed,parallels,bochs}.c and docs/interop, file(1)'s magic for the packers. */
struct magic {
	size_t offset;
	const char *bytes;
	size_t len;
	const char *what, *qemu;
};
#define BYTES(text) text, sizeof(text) - 1
static const struct magic magics[] = {
	{ 0, BYTES("KDMV"), "a VMDK", "vmdk" },
	{ 0, BYTES("COWD"), "a VMDK", "vmdk" },
	{ 0, BYTES("# Disk DescriptorFile"), "a VMDK's description", "vmdk" },
	{ 0, BYTES("vhdxfile"), "a VHDX", "vhdx" },
	{ 0, BYTES("conectix"), "a VHD", "vpc" },
	{ 64, BYTES("\x7f\x10\xda\xbe"), "a VDI", "vdi" },
	{ 0, BYTES("OOOM"), "a cow image", NULL },
	{ 0, BYTES("QED\0"), "a QED", "qed" },
	{ 0, BYTES("WithoutFreeSpace"), "a Parallels image", "parallels" },
	{ 0, BYTES("WithouFreSpacExt"), "a Parallels image", "parallels" },
	{ 0, BYTES("Bochs Virtual HD Image"), "a Bochs image", "bochs" },
	{ 0, BYTES("LUKS\xba\xbe"), "an encrypted (LUKS) disk", NULL },
	{ 0, BYTES("\x1f\x8b"), "packed with gzip", NULL },
	{ 0, BYTES("\xfd" "7zXZ\0"), "packed with xz", NULL },
	{ 0, BYTES("\x28\xb5\x2f\xfd"), "packed with zstd", NULL },
	{ 0, BYTES("BZh"), "packed with bzip2", NULL },
	{ 0, BYTES("PK\x03\x04"), "a zip archive", NULL },
	{ 257, BYTES("ustar"), "a tar archive (an OVA?)", NULL },
};

void pv_diskfile_done(struct pv_diskfile *disk)
{
	pv_freep(&disk->path);
	pv_closep(&disk->fd);
}

const char *pv_disk_format_name(enum pv_disk_format format)
{
	return format == PV_FORMAT_QCOW2 ? "qcow2" : "raw";
}

/* --- which format --- */

static int refuse_magic(const char *path, const struct magic *m, struct pv_error *err)
{
	if (m->qemu)
		return pv_error_set(err, PV_ERR_STAGE, "%s: this is %s; convert it: qemu-img convert -f %s -O raw OLD NEW "
				    "(if it is a raw disk: --format raw)", path, m->what, m->qemu);
	return pv_error_set(err, PV_ERR_STAGE, "%s: this is %s; make it a raw or qcow2 disk image first (if it is a raw "
			    "disk: --format raw)", path, m->what);
}

static const struct magic *find_magic(const uint8_t *head, size_t len)
{
	for (size_t i = 0; i < PV_COUNT(magics); i++) {
		const struct magic *m = &magics[i];

		if (m->offset + m->len <= len && memcmp(head + m->offset, m->bytes, m->len) == 0)
			return m;
	}
	return NULL;
}

const char *pv_diskfile_foreign(const uint8_t *head, size_t len)
{
	const struct magic *m = find_magic(head, len);

	return m ? m->what : NULL;
}

/* A boot sector ends with 55 aa; its code may begin like anything, but not like a tar. */
static int check_magics(const struct pv_diskfile *d, const uint8_t *head, size_t len, struct pv_error *err)
{
	static const struct magic footer = { 0, BYTES("conectix"), "a VHD of fixed size", "vpc" };
	uint8_t tail[SECTOR];
	const struct magic *m = find_magic(head, len);

	if (m)
		return refuse_magic(d->path, m, err);
	/* A VHD's footer may be of 511 bytes, from old times. */
	for (uint64_t back = SECTOR - 1; back <= SECTOR; back++) {
		if (d->file_size < back)
			break;
		if (pv_pread_all(d->fd, tail, footer.len, (off_t)(d->file_size - back)) != (ssize_t)footer.len)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot read", d->path);
		if (memcmp(tail, footer.bytes, footer.len) == 0)
			return refuse_magic(d->path, &footer, err);
	}
	return 0;
}

/* --- raw --- */

static uint64_t le(const uint8_t *p, unsigned bytes)
{
	uint64_t n = 0;

	while (bytes-- > 0)
		n = n << 8 | p[bytes];
	return n;
}

/* Bytes that the disk must have by its own partition table; 0: no table tells. Sources: UEFI 2.10 section 5.2.3 (MBR)
 * and 5.3.2 (GPT header, its other copy is in the last sector). */
static uint64_t told_size(const uint8_t *head, size_t len)
{
	uint64_t last = 0;

	if (len >= 2 * SECTOR && memcmp(head + SECTOR, "EFI PART", 8) == 0)
		last = le(head + SECTOR + 32, 8) + 1;
	else if (len >= SECTOR && head[510] == 0x55 && head[511] == 0xaa)
		for (const uint8_t *p = head + 446; p < head + 510; p += 16) {
			uint64_t end = le(p + 8, 4) + le(p + 12, 4);

			/* a file system's boot sector has code here: an entry's first byte is 0 or 80 */
			if (p[0] & 0x7f)
				return 0;
			if (p[4] != 0 && p[4] != 0xee && end > last)
				last = end;
		}
	return last <= UINT64_MAX / SECTOR ? last * SECTOR : UINT64_MAX;
}

static int check_raw(struct pv_diskfile *d, const uint8_t *head, size_t len, struct pv_error *err)
{
	uint64_t told = told_size(head, len);

	if (d->file_size % SECTOR)
		return pv_error_set(err, PV_ERR_STAGE, "%s: no disk image, or cut off: its %" PRIu64 " bytes are no whole "
				    "number of sectors of 512", d->path, d->file_size);
	if (told > d->file_size) {
		pv_autofree char *is = pv_size_text(d->file_size), *needs = pv_size_text(told);

		return pv_error_set(err, PV_ERR_STAGE, "%s: cut off: it has %s, its partition table needs %s; copy or "
				    "download it again", d->path, is, needs);
	}
	d->size = d->file_size;
	return 0;
}

/* --- opening --- */

static int find_size(struct pv_diskfile *d, struct pv_error *err)
{
	struct stat st;
	uint64_t bytes;

	if (fstat(d->fd, &st) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", d->path);
	if (S_ISDIR(st.st_mode))
		return pv_error_set(err, PV_ERR_STAGE, "%s: is a folder; name the image in it", d->path);
	if (S_ISBLK(st.st_mode)) {
		if (ioctl(d->fd, BLKGETSIZE64, &bytes) < 0)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: has no size", d->path);
		d->file_size = bytes;
	} else if (S_ISREG(st.st_mode)) {
		d->file_size = (uint64_t)st.st_size;
	} else {
		return pv_error_set(err, PV_ERR_STAGE, "%s: is no disk image, but a pipe, a socket or a character device",
				    d->path);
	}
	if (d->file_size == 0)
		return pv_error_set(err, PV_ERR_STAGE, "%s: is empty", d->path);
	return 0;
}

static int open_file(const char *path, struct pv_diskfile *d, struct pv_error *err)
{
	int flags;

	d->path = pv_xstrdup(path);
	/* Not blocking: a pipe would wait for its writer. */
	d->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (d->fd < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot open the image", path);
	flags = fcntl(d->fd, F_GETFL);
	if (flags < 0 || fcntl(d->fd, F_SETFL, flags & ~O_NONBLOCK) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", path);
	return find_size(d, err);
}

static int open_qcow2(struct pv_diskfile *d, const uint8_t *head, size_t len, struct pv_error *err)
{
	struct pv_qcow2 q;

	if (pv_qcow2_header(head, len, d->file_size, d->path, &q, err) < 0 ||
	    pv_qcow2_check_clusters(d->fd, d->file_size, d->path, &q, err) < 0)
		return -1;
	d->format = PV_FORMAT_QCOW2;
	d->size = q.size;
	return 0;
}

/* A disk has an MBR or a GPT (UEFI specification 5.3.2: the header is in the second sector). What has neither is no
 * disk, unless the caller says that it is. */
static int check_table(const struct pv_diskfile *d, const uint8_t *head, size_t len, struct pv_error *err)
{
	if (len >= 512 && head[510] == 0x55 && head[511] == 0xaa)
		return 0;
	if (len >= 520 && memcmp(head + 512, "EFI PART", 8) == 0)
		return 0;
	return pv_error_set(err, PV_ERR_STAGE, "%s: no disk image: it has no partition table; say --format raw if it is a disk",
			    d->path);
}

int pv_diskfile_open(const char *path, const char *format, struct pv_diskfile *ret, struct pv_error *err)
{
	pv_autodiskfile d = PV_DISKFILE_INIT;
	pv_autofree uint8_t *head = pv_xmalloc(PV_QCOW2_HEAD_MAX);
	ssize_t n;
	int rc;

	if (format && !pv_streq(format, "raw") && !pv_streq(format, "qcow2"))
		return pv_error_set(err, PV_ERR_USAGE, "--format %s: unknown; raw or qcow2", format);
	if (open_file(path, &d, err) < 0)
		return -1;
	n = pv_pread_all(d.fd, head, PV_QCOW2_HEAD_MAX, 0);
	if (n < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot read", path);
	if (pv_streq(format, "qcow2") || (!format && pv_qcow2_magic(head, (size_t)n)))
		rc = open_qcow2(&d, head, (size_t)n, err);
	else if (!format && check_magics(&d, head, (size_t)n, err) < 0)
		rc = -1;
	else
		rc = check_raw(&d, head, (size_t)n, err);
	if (rc == 0 && !format && d.format == PV_FORMAT_RAW)
		rc = check_table(&d, head, (size_t)n, err);
	if (rc < 0)
		return -1;
	*ret = d;
	d = (struct pv_diskfile)PV_DISKFILE_INIT;
	return 0;
}

int pv_diskfile_digest(const struct pv_diskfile *disk, char ret_hex[PV_SHA256_HEX], struct pv_error *err)
{
	uint64_t size;

	if (pv_digest_fd(disk->fd, disk->path, ret_hex, &size, err) < 0)
		return -1;
	if (size != disk->file_size)
		return pv_error_set(err, PV_ERR_STAGE, "%s: was changed by somebody while it was read", disk->path);
	return 0;
}
