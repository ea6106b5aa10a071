/* SPDX-License-Identifier: Apache-2.0 */
/* Makes sparse disk images with a GPT through libfdisk. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <libfdisk/libfdisk.h>

#include "disk.h"
#include "fsutil.h"
#include "text.h"

#define GUID_TEXT 37

static void guid_text(const uint8_t guid[16], char ret[GUID_TEXT])
{
	size_t at = 0;

	for (unsigned i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			ret[at++] = '-';
		at += (size_t)snprintf(ret + at, GUID_TEXT - at, "%02X", guid[i]);
	}
}

uint64_t pv_disk_root_size(uint64_t disk_size)
{
	/* the last MiB is for the backup GPT (33 sectors) */
	uint64_t end = disk_size / PV_DISK_MIB;

	if (end < PV_DISK_ROOT_START / PV_DISK_MIB + 2)
		return 0;
	return (end - 1) * PV_DISK_MIB - PV_DISK_ROOT_START;
}

uint64_t pv_disk_size_for_root(uint64_t root_size)
{
	uint64_t mib = (root_size + PV_DISK_MIB - 1) / PV_DISK_MIB;

	return (mib + 1) * PV_DISK_MIB + PV_DISK_ROOT_START;
}

static int check_parts(const char *path, uint64_t size, const struct pv_disk_part *parts, size_t n,
		       struct pv_error *err)
{
	if (size % PV_DISK_MIB || size < 4ull * PV_DISK_MIB)
		return pv_error_set(err, PV_ERR_STAGE, "%s: a disk of %llu bytes: not a multiple of 1 MiB, or too small",
				    path, (unsigned long long)size);
	for (size_t i = 0; i < n; i++) {
		const struct pv_disk_part *p = &parts[i];

		if (p->number < 1 || p->number > 128 || p->start % PV_DISK_MIB || p->size % PV_DISK_MIB ||
		    p->start < PV_DISK_MIB || p->size == 0 || p->start > size || p->size > size - p->start ||
		    p->start + p->size > size - PV_DISK_MIB)
			return pv_error_set(err, PV_ERR_STAGE, "%s: partition %u of %llu bytes at %llu does not fit "
					    "on a disk of %llu bytes", path, p->number, (unsigned long long)p->size,
					    (unsigned long long)p->start, (unsigned long long)size);
		for (size_t j = 0; j < i; j++)
			if (p->number == parts[j].number || (p->start < parts[j].start + parts[j].size &&
							     parts[j].start < p->start + p->size))
				return pv_error_set(err, PV_ERR_STAGE, "%s: partitions %u and %u overlap", path,
						    parts[j].number, p->number);
	}
	return 0;
}

static void unref_context(struct fdisk_context **cxt)
{
	fdisk_unref_context(*cxt);
}

static void unref_partition(struct fdisk_partition **pa)
{
	fdisk_unref_partition(*pa);
}

static void unref_type(struct fdisk_parttype **type)
{
	fdisk_unref_parttype(*type);
}

/* libfdisk returns -errno. */
static int fdisk_fail(struct pv_error *err, int rc, const char *path, const char *what)
{
	return pv_error_errno(err, PV_ERR_STAGE, rc < 0 ? -rc : EIO, "%s: %s", path, what);
}

static int add_part(struct fdisk_context *cxt, const char *path, const struct pv_disk_part *p, struct pv_error *err)
{
	__attribute__((cleanup(unref_partition))) struct fdisk_partition *pa = fdisk_new_partition();
	__attribute__((cleanup(unref_type))) struct fdisk_parttype *type =
		fdisk_label_parse_parttype(fdisk_get_label(cxt, NULL), p->type_guid);
	char uuid[GUID_TEXT];
	int rc;

	guid_text(p->uuid, uuid);
	if (!pa || !type)
		return fdisk_fail(err, -ENOMEM, path, "partition");
	rc = fdisk_partition_set_partno(pa, p->number - 1);
	if (rc == 0)
		rc = fdisk_partition_set_start(pa, p->start / PV_DISK_SECTOR);
	if (rc == 0)
		rc = fdisk_partition_set_size(pa, p->size / PV_DISK_SECTOR);
	if (rc == 0)
		rc = fdisk_partition_size_explicit(pa, 1);
	if (rc == 0)
		rc = fdisk_partition_set_type(pa, type);
	if (rc == 0)
		rc = fdisk_partition_set_uuid(pa, uuid);
	if (rc == 0 && p->name)
		rc = fdisk_partition_set_name(pa, p->name);
	if (rc == 0)
		rc = fdisk_add_partition(cxt, pa, NULL);
	return rc ? fdisk_fail(err, rc, path, "cannot add a partition") : 0;
}

static int write_gpt(const char *path, const uint8_t disk_uuid[16], const struct pv_disk_part *parts, size_t n,
		     struct pv_error *err)
{
	__attribute__((cleanup(unref_context))) struct fdisk_context *cxt = fdisk_new_context();
	char uuid[GUID_TEXT];
	int rc;

	if (!cxt)
		return fdisk_fail(err, -ENOMEM, path, "libfdisk");
	fdisk_disable_dialogs(cxt, 1);
	rc = fdisk_assign_device(cxt, path, 0);
	if (rc)
		return fdisk_fail(err, rc, path, "cannot open");
	if (fdisk_get_sector_size(cxt) != PV_DISK_SECTOR)
		return pv_error_set(err, PV_ERR_STAGE, "%s: sectors of %lu bytes instead of 512", path,
				    fdisk_get_sector_size(cxt));
	guid_text(disk_uuid, uuid);
	rc = fdisk_create_disklabel(cxt, "gpt");
	if (rc == 0)
		rc = fdisk_set_disklabel_id_from_string(cxt, uuid);
	if (rc)
		return fdisk_fail(err, rc, path, "cannot make a GPT");
	for (size_t i = 0; i < n; i++)
		if (add_part(cxt, path, &parts[i], err) < 0)
			return -1;
	rc = fdisk_write_disklabel(cxt);
	if (rc == 0)
		rc = fdisk_deassign_device(cxt, 1);	/* 1: no sync, the image is not finished yet */
	return rc ? fdisk_fail(err, rc, path, "cannot write the GPT") : 0;
}

int pv_disk_create(const char *path, uint64_t size, const uint8_t disk_uuid[16], const struct pv_disk_part *parts,
		   size_t nparts, struct pv_error *err)
{
	pv_autoclose int fd = -1;

	if (check_parts(path, size, parts, nparts, err) < 0)
		return -1;
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", path);
	if (ftruncate(fd, (off_t)size) < 0) {
		(void)pv_error_errno(err, PV_ERR_STAGE, errno, "%s", path);
	} else if (write_gpt(path, disk_uuid, parts, nparts, err) == 0) {
		return 0;
	}
	(void)unlink(path);
	return -1;
}
