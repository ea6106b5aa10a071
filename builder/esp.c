/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the EFI system partition inside the image with mkfs.vfat and mtools, times and ids pinned. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "esp.h"
#include "fsutil.h"
#include "proc.h"
#include "text.h"

#define SECTOR 512u
#define SIZE_MIN (40ull << 20)		/* FAT32 wants 65525 clusters, here of one sector, and its two tables */
#define SIZE_MAX_ESP (1ull << 40)
#define EPOCH_MIN 315532800ll		/* 1980-01-01, FAT's first day */
#define EPOCH_MAX 4354819199ll		/* 2107-12-31, its last */

static bool good_char(char c)
{
	return isalnum((unsigned char)c) || c == '.' || c == '_' || c == '-';
}

/* Also keeps ':' and wild cards, which mtools would take for itself, out. */
static bool good_path(const char *path)
{
	size_t part = 0;

	for (const char *p = path;; p++) {
		if (*p == '/' || *p == '\0') {
			if (part == 0 || part > 64 || (part <= 2 && p[-1] == '.'))
				return false;
			if (*p == '\0')
				return true;
			part = 0;
		} else if (!good_char(*p)) {
			return false;
		} else {
			part++;
		}
	}
}

static bool good_label(const char *label)
{
	size_t n = strlen(label);

	if (n < 1 || n > 11)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isupper((unsigned char)label[i]) && !isdigit((unsigned char)label[i]) &&
		    !strchr(" _-", label[i]))
			return false;
	return true;
}

static int check_options(const char *image, const struct pv_esp_options *o, const struct pv_esp_file *files,
			 size_t n, struct pv_error *err)
{
	if (o->offset % SECTOR || o->size % SECTOR || o->size < SIZE_MIN || o->size > SIZE_MAX_ESP)
		return pv_error_set(err, PV_ERR_STAGE, "%s: an EFI system partition of %llu bytes: less than 40 MiB or "
				    "no whole sectors", image, (unsigned long long)o->size);
	if (!o->label || !good_label(o->label))
		return pv_error_set(err, PV_ERR_STAGE, "%s: label %s: not 1 to 11 of A-Z, 0-9, space, _ and -", image,
				    o->label ? o->label : "(none)");
	if (o->epoch < EPOCH_MIN || o->epoch > EPOCH_MAX)
		return pv_error_set(err, PV_ERR_STAGE, "%s: epoch %lld: FAT knows 1980 to 2107", image,
				    (long long)o->epoch);
	for (size_t i = 0; i < n; i++)
		if (!good_path(files[i].path))
			return pv_error_set(err, PV_ERR_STAGE, "%s: %s: not a path for the EFI system partition",
					    image, files[i].path);
	return 0;
}

/* The image goes by its descriptor: a path with "@@" in it would confuse mtools. */
struct tools {
	int fd;
	uint64_t left;			/* bytes free for files: mcopy ends well when there is no room */
	char *image;			/* "/proc/self/fd/N", as the child sees it */
	char *drive;			/* the same and "@@OFFSET", for mtools' -i */
	const char *env[6];
};

static int run(const struct tools *t, const struct pv_strv *argv, const void *input, size_t len,
	       struct pv_error *err)
{
	struct pv_proc proc = {
		.argv = (const char *const *)argv->v, .env = t->env, .input = input, .input_len = len,
		.keep_fds = &t->fd, .nkeep_fds = 1,
	};

	return pv_proc_check(&proc, PV_ERR_STAGE, err);
}

static int format(const struct tools *t, const struct pv_esp_options *o, struct pv_error *err)
{
	const char *const fixed[] = { "mkfs.vfat", "--invariant", "-I", "-F", "32", "-s", "1", "-S", "512", "-R", "32",
				      "-f", "2", "-M", "0xf8", "-g", "255/63", NULL };
	pv_autostrv argv = PV_STRV_INIT;

	pv_strv_add_all(&argv, fixed);
	pv_strv_add(&argv, "-i");
	pv_strv_addf(&argv, "%08x", o->volume_id);
	pv_strv_add(&argv, "-n");
	pv_strv_add(&argv, o->label);
	pv_strv_add(&argv, "-h");
	pv_strv_addf(&argv, "%llu", (unsigned long long)(o->offset / SECTOR));
	pv_strv_addf(&argv, "--offset=%llu", (unsigned long long)(o->offset / SECTOR));
	pv_strv_add(&argv, "--");
	pv_strv_add(&argv, t->image);
	pv_strv_addf(&argv, "%llu", (unsigned long long)(o->size / 1024));
	return run(t, &argv, NULL, 0, err);
}

/* Makes the folders above path that are not in `made` yet. */
static int make_parents(const struct tools *t, const char *path, struct pv_strv *made, struct pv_error *err)
{
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		pv_autofree char *dir = pv_xstrndup(path, (size_t)(slash - path));
		pv_autostrv argv = PV_STRV_INIT;
		const char *const fixed[] = { "mmd", "-D", "s", "-i", t->drive, NULL };

		if (pv_strv_has(made, dir))
			continue;
		pv_strv_add_all(&argv, fixed);
		pv_strv_addf(&argv, "::/%s", dir);
		if (run(t, &argv, NULL, 0, err) < 0)
			return -1;
		pv_strv_add(made, dir);
	}
	return 0;
}

/* Always through stdin: a source's name and time stay out. */
static int copy_file(struct tools *t, const struct pv_esp_file *file, size_t max, struct pv_error *err)
{
	const char *const fixed[] = { "mcopy", "-D", "o", "-i", t->drive, "-", NULL };
	pv_autofree char *loaded = NULL;
	const void *data = file->data;
	size_t len = file->len;
	pv_autostrv argv = PV_STRV_INIT;

	if (file->source) {
		if (pv_read_file(file->source, max, &loaded, &len, err) < 0)
			return -1;
		data = loaded;
	}
	uint64_t need = (len + SECTOR - 1) / SECTOR * SECTOR;

	if (need > t->left)
		return pv_error_set(err, PV_ERR_STAGE, "no room for %zu bytes: %llu are left", len,
				    (unsigned long long)t->left);
	t->left -= need;
	pv_strv_add_all(&argv, fixed);
	pv_strv_addf(&argv, "::/%s", file->path);
	return run(t, &argv, len ? data : "", len, err);
}

int pv_esp_write(const char *image_path, const struct pv_esp_options *options, const struct pv_esp_file *files,
		 size_t nfiles, const char *work_dir, struct pv_error *err)
{
	pv_autoclose int fd = -1;
	pv_autofree char *rc_path = pv_path_join(work_dir, "mtoolsrc");
	pv_autofree char *rc_env = pv_fmt("MTOOLSRC=%s", rc_path);
	pv_autofree char *epoch_env = pv_fmt("SOURCE_DATE_EPOCH=%lld", (long long)options->epoch);
	pv_autofree char *image = NULL;
	pv_autofree char *drive = NULL;
	pv_autostrv made = PV_STRV_INIT;
	int rc;

	if (check_options(image_path, options, files, nfiles, err) < 0)
		return -1;
	fd = open(image_path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", image_path);
	image = pv_fmt("/proc/self/fd/%d", fd);
	drive = pv_fmt("%s@@%llu", image, (unsigned long long)options->offset);
	/* two tables of 4 bytes a cluster; reserved sectors, and folders of a few hundred entries in all */
	uint64_t left = options->size - 2 * 4 * (options->size / SECTOR) - (256u << 10);
	struct tools t = {
		.fd = fd, .left = left, .image = image, .drive = drive,
		.env = { rc_env, epoch_env, "TZ=UTC0", "LC_ALL=C", "MTOOLS_SKIP_CHECK=1", NULL },
	};

	/* an own settings file: ~/.mtoolsrc changes nothing */
	if (pv_write_file(rc_path, "", 0, 0600, err) < 0)
		return -1;
	rc = format(&t, options, err);
	for (size_t i = 0; i < nfiles && rc == 0; i++) {
		rc = make_parents(&t, files[i].path, &made, err);
		if (rc == 0)
			rc = copy_file(&t, &files[i], options->size, err);
		if (rc < 0)
			(void)pv_error_wrap(err, "EFI system partition: %s", files[i].path);
	}
	(void)unlink(rc_path);
	return rc;
}
