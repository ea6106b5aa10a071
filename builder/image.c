/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a raw image: partitions, root file system, raw bytes. */
#include "image.h"

#include <errno.h>
#include <fcntl.h>
#include <libfdisk.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk.h"
#include "fsutil.h"
#include "image_priv.h"

#define GPT_FAULTS_MAX 32u

static void copy_upper(char ret[37], const char *text)
{
	size_t i = 0;

	for (; text && text[i] && i < 36; i++)
		ret[i] = (char)(text[i] >= 'a' && text[i] <= 'f' ? text[i] - 'a' + 'A' : text[i]);
	ret[i] = '\0';
}

/* libfdisk says what it finds wrong in words: when it reads a table and when it is asked to verify it. */
static int note_fault(struct fdisk_context *cxt, struct fdisk_ask *ask, void *data)
{
	struct pv_image *image = data;
	const char *text = NULL;

	(void)cxt;
	if (fdisk_ask_get_type(ask) == FDISK_ASKTYPE_WARN || fdisk_ask_get_type(ask) == FDISK_ASKTYPE_WARNX)
		text = fdisk_ask_print_get_mesg(ask);
	if (text && image->gpt_faults.n < GPT_FAULTS_MAX)
		pv_strv_take(&image->gpt_faults, pv_printable(text, strlen(text)));
	return 0;
}

static void add_part(struct pv_image *image, struct fdisk_partition *pa)
{
	uint64_t sectors = image->size / PV_DISK_SECTOR;
	uint64_t start = fdisk_partition_get_start(pa), size = fdisk_partition_get_size(pa);
	struct fdisk_parttype *type = fdisk_partition_get_type(pa);

	if (start >= sectors || size > sectors - start) {
		pv_strv_addf(&image->gpt_faults, "partition %zu lies beyond the end of the disk",
			     fdisk_partition_get_partno(pa) + 1);
		return;
	}
	struct pv_image_part *part = &image->parts[image->nparts++];
	part->number = (unsigned)fdisk_partition_get_partno(pa) + 1;
	part->start = start * PV_DISK_SECTOR;
	part->size = size * PV_DISK_SECTOR;
	copy_upper(part->type, type ? fdisk_parttype_get_string(type) : NULL);
	copy_upper(part->uuid, fdisk_partition_get_uuid(pa));
}

static int read_table(struct pv_image *image, struct fdisk_context *cxt, struct pv_error *err)
{
	struct fdisk_table *table = NULL;

	fdisk_disable_dialogs(cxt, 1);
	if (fdisk_set_ask(cxt, note_fault, image) < 0 || fdisk_assign_device(cxt, image->path, 1) < 0)
		return pv_error_set(err, PV_ERR_STAGE, "%s: cannot be read as a disk", image->path);
	if (!fdisk_is_labeltype(cxt, FDISK_DISKLABEL_GPT))
		return pv_error_set(err, PV_ERR_DIFFERS, "%s: has no GPT", image->path);
	(void)fdisk_verify_disklabel(cxt);	/* its findings reach note_fault */
	if (fdisk_get_partitions(cxt, &table) < 0)
		return pv_error_set(err, PV_ERR_DIFFERS, "%s: its GPT cannot be read", image->path);
	size_t n = fdisk_table_get_nents(table);
	image->parts = pv_xcalloc(n + 1, sizeof(*image->parts));
	for (size_t i = 0; i < n; i++) {
		struct fdisk_partition *pa = fdisk_table_get_partition(table, i);
		if (pa && fdisk_partition_has_partno(pa) && fdisk_partition_has_start(pa) &&
		    fdisk_partition_has_size(pa))
			add_part(image, pa);
	}
	fdisk_unref_table(table);
	return 0;
}

static int find_root(struct pv_image *image, struct pv_error *err)
{
	for (size_t i = 0; i < image->nparts; i++) {
		const struct pv_image_part *part = &image->parts[i];
		if (!pv_streq(part->type, PV_DISK_TYPE_ROOT) && !pv_streq(part->type, PV_DISK_TYPE_LINUX))
			continue;
		if (!image->root || part->start > image->root->start)
			image->root = part;
	}
	if (!image->root)
		return pv_error_set(err, PV_ERR_DIFFERS, "%s: has no root partition", image->path);
	return 0;
}

static int open_fs(struct pv_image *image, struct pv_error *err)
{
	pv_autofree char *options = pv_fmt("offset=%llu", (unsigned long long)image->root->start);
	errcode_t rc = ext2fs_open2(image->path, options, EXT2_FLAG_64BITS, 0, 0, unix_io_manager, &image->fs);

	if (rc)
		return pv_error_set(err, PV_ERR_DIFFERS, "%s: partition %u holds no ext4: %s", image->path,
				    image->root->number, error_message(rc));
	return 0;
}

static int open_file(struct pv_image *image, struct pv_error *err)
{
	struct stat st;

	image->fd = open(image->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (image->fd < 0 || fstat(image->fd, &st) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", image->path);
	if (!S_ISREG(st.st_mode))
		return pv_error_set(err, PV_ERR_STAGE, "%s: no regular file; a raw image is wanted", image->path);
	image->size = (uint64_t)st.st_size;
	if (image->size < PV_DISK_MIB)
		return pv_error_set(err, PV_ERR_DIFFERS, "%s: %llu bytes are too few for a disk with a GPT", image->path,
				    (unsigned long long)image->size);
	return 0;
}

int pv_image_open(const char *path, struct pv_image **ret, struct pv_error *err)
{
	pv_autoimage *image = pv_xcalloc(1, sizeof(*image));

	image->fd = -1;
	image->path = pv_xstrdup(path);
	if (open_file(image, err) < 0)
		return -1;
	initialize_ext2_error_table();
	struct fdisk_context *cxt = fdisk_new_context();
	if (!cxt)
		return pv_error_set(err, PV_ERR_STAGE, "%s: no memory for its partition table", path);
	int rc = read_table(image, cxt, err);
	fdisk_unref_context(cxt);
	if (rc < 0 || find_root(image, err) < 0 || open_fs(image, err) < 0)
		return -1;
	*ret = pv_steal(&image);
	return 0;
}

void pv_image_free(struct pv_image *image)
{
	if (!image)
		return;
	if (image->fs)
		ext2fs_close_free(&image->fs);
	pv_closep(&image->fd);
	pv_strv_done(&image->gpt_faults);
	free(image->parts);
	free(image->path);
	free(image);
}

void pv_image_freep(struct pv_image **image)
{
	pv_image_free(*image);
	*image = NULL;
}

const char *pv_image_path(const struct pv_image *image)
{
	return image->path;
}

uint64_t pv_image_size(const struct pv_image *image)
{
	return image->size;
}

const struct pv_image_part *pv_image_parts(const struct pv_image *image, size_t *ret_n)
{
	*ret_n = image->nparts;
	return image->parts;
}

const struct pv_image_part *pv_image_part_of_type(const struct pv_image *image, const char *type_guid)
{
	for (size_t i = 0; i < image->nparts; i++)
		if (pv_streq(image->parts[i].type, type_guid))
			return &image->parts[i];
	return NULL;
}

const struct pv_image_part *pv_image_root(const struct pv_image *image)
{
	return image->root;
}

const struct pv_strv *pv_image_gpt_faults(const struct pv_image *image)
{
	return &image->gpt_faults;
}

int pv_image_pread(const struct pv_image *image, void *data, size_t len, uint64_t offset, struct pv_error *err)
{
	ssize_t n = pv_pread_all(image->fd, data, len, (off_t)offset);

	if (n < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", image->path);
	if ((size_t)n < len)
		return pv_error_set(err, PV_ERR_DIFFERS, "%s: ends before byte %llu", image->path,
				    (unsigned long long)(offset + len));
	return 0;
}
