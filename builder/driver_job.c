/* SPDX-License-Identifier: Apache-2.0 */
/* The job folder as a tar on a disk, and the firmware that rides with it. */
#include "driver_job.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "domcfg.h"
#include "fsutil.h"

#define MIB ((off_t)1 << 20)

/* Where distributions put an OvmfXen image: Fedora (edk2-ovmf-xen), openSUSE (qemu-ovmf-x86_64), a Xen built from source. */
static const char *const firmware_places[] = {
	"/usr/share/edk2/xen/OVMF.fd", "/usr/share/qemu/ovmf-x86_64-xen-4m.bin", "/usr/share/qemu/ovmf-x86_64-xen.bin",
	"/usr/share/ovmf/OVMF_XEN.fd", "/usr/lib/xen/boot/ovmf.bin", "/usr/local/lib/xen/boot/ovmf.bin",
};

int pv_driver_firmware(const struct pv_guest *guest, char **ret, struct pv_error *err)
{
	if (guest->firmware) {
		if (access(guest->firmware, R_OK) < 0)
			return pv_error_errno(err, PV_ERR_HOST, errno, "%s: cannot be read", guest->firmware);
		*ret = pv_xstrdup(guest->firmware);
		return 0;
	}
	for (size_t i = 0; i < PV_COUNT(firmware_places); i++)
		if (access(firmware_places[i], R_OK) == 0) {
			*ret = pv_xstrdup(firmware_places[i]);
			return 0;
		}
	return pv_error_set(err, PV_ERR_HOST, "no UEFI firmware for Xen here: stock OVMF has had no Xen support since 2021; "
			    "name an image of EDK2's OvmfXen with --ovmf FILE, or use --firmware bios");
}

static int archive_fail(struct archive *a, const char *name, struct pv_error *err)
{
	return pv_error_set(err, PV_ERR_STAGE, "job disk: %s: %s", name, archive_error_string(a));
}

static int add_header(struct archive *a, const char *name, mode_t mode, off_t size, struct pv_error *err)
{
	struct archive_entry *entry = archive_entry_new();

	archive_entry_set_pathname(entry, name);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_perm(entry, mode & 0777);
	archive_entry_set_size(entry, size);
	archive_entry_set_mtime(entry, 0, 0);
	int rc = archive_write_header(a, entry);
	archive_entry_free(entry);
	return rc == ARCHIVE_OK ? 0 : archive_fail(a, name, err);
}

static int add_text(struct archive *a, const char *name, const char *text, struct pv_error *err)
{
	size_t len = strlen(text);

	if (add_header(a, name, 0644, (off_t)len, err) < 0)
		return -1;
	return archive_write_data(a, text, len) == (ssize_t)len ? 0 : archive_fail(a, name, err);
}

static int add_file(struct archive *a, const char *path, const char *name, struct pv_error *err)
{
	pv_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char buf[65536];
	struct stat st;
	off_t left;

	if (fd < 0 || fstat(fd, &st) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "job disk: %s", path);
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > PV_JOB_MAX)
		return pv_error_set(err, PV_ERR_STAGE, "job disk: %s: %s", path, S_ISREG(st.st_mode) ? "too large" :
				    "no regular file");
	if (add_header(a, name, st.st_mode, st.st_size, err) < 0)
		return -1;
	for (left = st.st_size; left > 0;) {
		ssize_t n = read(fd, buf, sizeof(buf));
		if (n <= 0)
			return pv_error_errno(err, PV_ERR_STAGE, n < 0 ? errno : EIO, "job disk: %s", path);
		if (n > left)
			n = (ssize_t)left;
		if (archive_write_data(a, buf, (size_t)n) != n)
			return archive_fail(a, name, err);
		left -= n;
	}
	return 0;
}

static int add_folder(struct archive *a, const char *folder, struct pv_error *err)
{
	DIR *dir = opendir(folder);
	struct dirent *e;
	int rc = 0;

	if (!dir)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "job disk: %s", folder);
	while (rc == 0 && (e = readdir(dir))) {
		pv_autofree char *path = pv_path_join(folder, e->d_name);
		if (*e->d_name != '.')
			rc = add_file(a, path, e->d_name, err);
	}
	closedir(dir);
	return rc;
}

static int add_all(struct archive *a, const struct pv_guest *guest, struct pv_error *err)
{
	pv_autofree char *firmware = NULL, *config = NULL;
	bool own_kernel = guest->as == PV_AS_PVH || guest->as == PV_AS_PV;
	const struct pv_domcfg cfg = {
		.name = "guest", .root_target = "/dev/vda", .format = "raw",
		.seed_target = guest->seed ? "/dev/vdb" : NULL, .extra_target = guest->extra_disk ? "/dev/vdd" : NULL,
		.bridge = PV_GUEST_BRIDGE, .mac = PV_GUEST_MAC, .firmware = guest->uefi ? "/job/firmware" : NULL,
		.kernel = own_kernel ? "/job/kernel" : NULL, .initrd = own_kernel ? "/job/initrd" : NULL,
	};

	config = pv_domcfg_text(guest, &cfg);
	if ((guest->job_dir && add_folder(a, guest->job_dir, err) < 0) || add_text(a, "guest.cfg", config, err) < 0)
		return -1;
	if (!guest->uefi)
		return 0;
	if (pv_driver_firmware(guest, &firmware, err) < 0)
		return -1;
	return add_file(a, firmware, "firmware", err);
}

int pv_driver_job_tar(const struct pv_guest *guest, const char *path, struct pv_error *err)
{
	pv_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct archive *a = archive_write_new();
	int rc = 0;
	off_t size;

	if (fd < 0)
		rc = pv_error_errno(err, PV_ERR_STAGE, errno, "job disk: %s", path);
	else if (archive_write_set_format_ustar(a) != ARCHIVE_OK || archive_write_open_fd(a, fd) != ARCHIVE_OK)
		rc = archive_fail(a, path, err);
	if (rc == 0)
		rc = add_all(a, guest, err);
	if (rc == 0 && archive_write_close(a) != ARCHIVE_OK)
		rc = archive_fail(a, path, err);
	archive_write_free(a);
	if (rc < 0)
		return -1;
	size = lseek(fd, 0, SEEK_END);
	if (size > (off_t)PV_JOB_MAX)
		return pv_error_set(err, PV_ERR_STAGE, "job disk: too large");
	if (size < 0 || ftruncate(fd, (size + MIB - 1) / MIB * MIB) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "job disk: %s", path);
	return 0;
}
