/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the EFI system partition, by mtools. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "disk.h"
#include "fsutil.h"
#include "image_priv.h"
#include "proc.h"

/* FAT32 and FAT16 keep the volume id at different places of the first sector: Microsoft, "FAT: General Overview of
 * On-Disk Format", 1.03, BS_VolID. */
#define FAT32_VOLUME_ID 67
#define FAT16_VOLUME_ID 39
#define ESP_NAMES_MAX 10000u
#define FAT32_TYPE 82		/* "FAT32   " stands there */

/* A damaged FAT may give a file of any length. */
static int limit_output(void *ctx, struct pv_error *err)
{
	const struct rlimit limit = { *(const size_t *)ctx + 1, *(const size_t *)ctx + 1 };

	if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
		return pv_error_errno(err, PV_ERR_HOST, errno, "setrlimit");
	return 0;
}

static char *drive_of(const struct pv_image *image, const struct pv_image_part *esp)
{
	/* by its descriptor: mtools gives "@@" in a path a meaning */
	return pv_fmt("/proc/self/fd/%d@@%llu", image->fd, (unsigned long long)esp->start);
}

static const char *const mtools_env[] = {
	"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "MTOOLSRC=/dev/null", "LC_ALL=C", "MTOOLS_SKIP_CHECK=1", NULL,
};

/* One path a line, "::/EFI/BOOT/"; folders end in a slash. */
static void take_esp_name(void *ctx, const char *line, size_t len)
{
	struct pv_strv *names = ctx;
	pv_autofree char *name = pv_printable(line, len);

	if (pv_starts(name, "::/") && !pv_ends(name, "/") && names->n < ESP_NAMES_MAX)
		pv_strv_add(names, name + 2);
}

void pv_image_esp_list(const struct pv_image *image, struct pv_strv *ret)
{
	const struct pv_image_part *esp = pv_image_part_of_type(image, PV_DISK_TYPE_ESP);
	pv_autoproc res = PV_PROC_RESULT_INIT;
	pv_autoerror ignored = PV_ERROR_INIT;

	if (!esp)
		return;
	pv_autofree char *drive = drive_of(image, esp);
	const char *const argv[] = { "mdir", "-i", drive, "-/", "-b", "-a", "::/", NULL };
	const struct pv_proc proc = {
		.argv = argv, .env = mtools_env, .on_stdout = take_esp_name, .ctx = ret, .deadline_s = 30,
		.keep_fds = &image->fd, .nkeep_fds = 1,
	};
	if (pv_proc_run(&proc, &res, &ignored) < 0)
		pv_error_clear(&ignored);
	pv_strv_sort(ret);
}

char *pv_image_esp_read(const struct pv_image *image, const char *path, size_t max, size_t *ret_len)
{
	const struct pv_image_part *esp = pv_image_part_of_type(image, PV_DISK_TYPE_ESP);
	pv_autofclose FILE *sink = NULL;
	pv_autoproc res = PV_PROC_RESULT_INIT;

	if (!esp || !(sink = tmpfile()))
		return NULL;
	pv_autofree char *drive = drive_of(image, esp);
	pv_autofree char *name = pv_fmt("::%s", path);
	const char *const argv[] = { "mtype", "-i", drive, name, NULL };
	const struct pv_proc proc = {
		.argv = argv, .env = mtools_env, .stdout_fd = fileno(sink), .deadline_s = 30, .keep_fds = &image->fd,
		.nkeep_fds = 1, .setup = limit_output, .setup_ctx = &max,
	};
	pv_autoerror ignored = PV_ERROR_INIT;
	if (pv_proc_run(&proc, &res, &ignored) < 0 || res.exit_code != 0)
		return NULL;
	off_t size = lseek(fileno(sink), 0, SEEK_END);
	if (size < 0 || (size_t)size > max)
		return NULL;
	pv_autofree char *data = pv_xmalloc((size_t)size + 1);
	if (pv_pread_all(fileno(sink), data, (size_t)size, 0) != size)
		return NULL;
	data[size] = '\0';
	if (ret_len)
		*ret_len = (size_t)size;
	return pv_steal(&data);
}

void pv_image_esp_volume_id(const struct pv_image *image, char ret[10])
{
	const struct pv_image_part *esp = pv_image_part_of_type(image, PV_DISK_TYPE_ESP);
	uint8_t sector[PV_DISK_SECTOR];
	pv_autoerror ignored = PV_ERROR_INIT;

	ret[0] = '\0';
	if (!esp || pv_image_pread(image, sector, sizeof(sector), esp->start, &ignored) < 0)
		return;
	const uint8_t *id = sector + (memcmp(sector + FAT32_TYPE, "FAT32", 5) == 0 ? FAT32_VOLUME_ID
										    : FAT16_VOLUME_ID);
	snprintf(ret, 10, "%02X%02X-%02X%02X", id[3], id[2], id[1], id[0]);
}
