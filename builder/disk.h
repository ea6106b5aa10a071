/* SPDX-License-Identifier: Apache-2.0 */
/* A sparse disk image with a GPT, by libfdisk: every id is given, nothing is random. */
#ifndef PV_DISK_H
#define PV_DISK_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

#define PV_DISK_SECTOR 512u
#define PV_DISK_MIB (1024u * 1024u)

/* Layout of every image. Root is last so that it can grow. */
#define PV_DISK_BIOS_START (1ull * PV_DISK_MIB)
#define PV_DISK_BIOS_SIZE (3ull * PV_DISK_MIB)
#define PV_DISK_ESP_START (4ull * PV_DISK_MIB)
#define PV_DISK_ESP_SIZE (124ull * PV_DISK_MIB)
#define PV_DISK_ROOT_START (128ull * PV_DISK_MIB)

/* Partition types. Root: the Discoverable Partitions Specification's root for x86-64. */
#define PV_DISK_TYPE_BIOS "21686148-6449-6E6F-744E-656564454649"
#define PV_DISK_TYPE_ESP "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
#define PV_DISK_TYPE_ROOT "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"
#define PV_DISK_TYPE_LINUX "0FC63DAF-8483-4772-8E79-3D69D8477DE4"

struct pv_disk_part {
	unsigned number;		/* 1 to 128 */
	uint64_t start, size;		/* bytes, multiples of 1 MiB */
	const char *type_guid;		/* one of PV_DISK_TYPE_* */
	uint8_t uuid[16];		/* as printed (big endian), not as GPT stores it */
	const char *name;		/* at most 36 characters of ASCII; NULL: none */
};

/* Bytes the root partition gets on a disk of this size: from PV_DISK_ROOT_START to the last whole MiB before the
 * backup GPT; 0 when the disk is too small for any root. */
uint64_t pv_disk_root_size(uint64_t disk_size);
/* The other way round: the smallest disk (a multiple of 1 MiB) whose root has at least root_size bytes. */
uint64_t pv_disk_size_for_root(uint64_t root_size);

/* Makes the file (it must not exist), sparse, of `size` bytes (a multiple of 1 MiB), with a standard protective
 * MBR and a GPT that holds exactly these partitions. A failed call leaves no file. */
int pv_disk_create(const char *path, uint64_t size, const uint8_t disk_uuid[16], const struct pv_disk_part *parts,
		   size_t nparts, struct pv_error *err) PV_MUST_CHECK;

#endif
