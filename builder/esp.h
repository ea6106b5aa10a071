/* SPDX-License-Identifier: Apache-2.0 */
/* The EFI system partition: FAT32 made by mkfs.vfat and mtools in place, the same bytes each time. */
#ifndef PV_ESP_H
#define PV_ESP_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct pv_esp_file {
	const char *path;		/* "EFI/BOOT/BOOTX64.EFI": parts of 1 to 64 of [A-Za-z0-9._-]; folders are made */
	const char *source;		/* a file on the host, or NULL: data */
	const void *data;
	size_t len;
};

struct pv_esp_options {
	uint64_t offset, size;		/* of the partition within the image; multiples of 512; size 40 MiB or more */
	uint32_t volume_id;
	const char *label;		/* at most 11 of [A-Z0-9 _-] */
	int64_t epoch;			/* of all files; FAT knows 1980 to 2107 */
};

/* Formats [offset, offset+size) of the image, which must read as zeros there, and puts the files in, in this order.
 * work_dir: an existing folder for a passing small file (mtools' own settings). PV_ERR_HOST when a tool is missing. */
int pv_esp_write(const char *image_path, const struct pv_esp_options *options, const struct pv_esp_file *files,
		 size_t nfiles, const char *work_dir, struct pv_error *err) PV_MUST_CHECK;

#endif
