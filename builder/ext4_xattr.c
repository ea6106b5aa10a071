/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes from the tree to the ext4 being written, by a white list. */
#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

#include <linux/capability.h>

#include "ext4_priv.h"
#include "text.h"

#define CAPS "security.capability"
#define LIST_MAX 65536			/* the kernel's XATTR_LIST_MAX and XATTR_SIZE_MAX */

static bool wanted(const char *name)
{
	return pv_streq(name, CAPS) || pv_streq(name, "system.posix_acl_access") ||
	       pv_streq(name, "system.posix_acl_default") ||
	       (pv_starts(name, "user.") && !pv_starts(name, "user.overlay."));
}

/* Version 3 carries the root id of a namespace; in the image there is one root. */
static int plain_capability(uint8_t *value, size_t *len, const char *path, struct pv_error *err)
{
	uint32_t magic, rootid;

	if (*len < sizeof(magic))
		return pv_error_set(err, PV_ERR_STAGE, "%s: malformed security.capability", path);
	memcpy(&magic, value, sizeof(magic));
	magic = ext2fs_le32_to_cpu(magic);
	if ((magic & VFS_CAP_REVISION_MASK) == VFS_CAP_REVISION_2 && *len == XATTR_CAPS_SZ_2)
		return 0;
	if ((magic & VFS_CAP_REVISION_MASK) != VFS_CAP_REVISION_3 || *len != XATTR_CAPS_SZ_3)
		return pv_error_set(err, PV_ERR_STAGE, "%s: malformed security.capability", path);
	memcpy(&rootid, value + XATTR_CAPS_SZ_2, sizeof(rootid));
	if (rootid != 0)
		return pv_error_set(err, PV_ERR_STAGE,
				    "%s: its capability belongs to another user namespace (root id %u)", path,
				    ext2fs_le32_to_cpu(rootid));
	magic = ext2fs_cpu_to_le32((magic & ~VFS_CAP_REVISION_MASK) | VFS_CAP_REVISION_2);
	memcpy(value, &magic, sizeof(magic));
	*len = XATTR_CAPS_SZ_2;
	return 0;
}

static int copy_one(struct pv_ext4 *w, struct ext2_xattr_handle *handle, int fd, const char *name,
		    const char *path, struct pv_error *err)
{
	pv_autofree uint8_t *value = pv_xmalloc(LIST_MAX);
	ssize_t got = fgetxattr(fd, name, value, LIST_MAX);
	errcode_t code;

	if (got < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: xattr %s", path, name);
	size_t len = (size_t)got;

	if (pv_streq(name, CAPS) && plain_capability(value, &len, path, err) < 0)
		return -1;
	code = ext2fs_xattr_set(handle, name, value, len);
	if (code) {
		pv_autofree char *what = pv_fmt("%s: xattr %s of %zu bytes", path, name, len);

		return pv_ext4_fail(err, code, what);
	}
	w->stats.xattrs++;
	return 0;
}

static int copy_names(struct pv_ext4 *w, int fd, ext2_ino_t ino, const struct pv_strv *names, const char *path,
		      struct pv_error *err)
{
	struct ext2_xattr_handle *handle;
	errcode_t code = ext2fs_xattrs_open(w->fs, ino, &handle);
	int rc = 0;

	if (code)
		return pv_ext4_fail(err, code, path);
	code = ext2fs_xattrs_read(handle);
	if (code)
		rc = pv_ext4_fail(err, code, path);
	for (size_t i = 0; i < names->n && rc == 0; i++)
		rc = copy_one(w, handle, fd, names->v[i], path, err);
	code = ext2fs_xattrs_close(&handle);
	if (code && rc == 0)
		rc = pv_ext4_fail(err, code, path);
	pv_ext4_forget_run(w);
	return rc;
}

int pv_ext4_copy_xattrs(struct pv_ext4 *w, int fd, ext2_ino_t ino, const char *path, struct pv_error *err)
{
	char small[512];
	pv_autofree char *large = NULL;
	pv_autostrv names = PV_STRV_INIT;
	char *list = small;
	ssize_t len = flistxattr(fd, small, sizeof(small));

	if (len < 0 && errno == ERANGE) {
		list = large = pv_xmalloc(LIST_MAX);
		len = flistxattr(fd, large, LIST_MAX);
	}
	if (len < 0 && (errno == ENOTSUP || errno == ENOSYS))
		return 0;
	if (len < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: xattrs", path);
	for (ssize_t at = 0; at < len; at += (ssize_t)strlen(list + at) + 1)
		if (wanted(list + at))
			pv_strv_add(&names, list + at);
	if (names.n == 0)
		return 0;
	pv_strv_sort(&names);
	return copy_names(w, fd, ino, &names, path, err);
}
