/* SPDX-License-Identifier: Apache-2.0 */
/* Saved dom0s in the cache. */
#include "driver_saved.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fsutil.h"
#include "text.h"

/* "pvimg.dom0/1\nHELLO_MS\nHELLO\n" and zeros; a block, so that QEMU's part begins at one. */
enum { HEADER = 4096 };
static const char magic[] = "pvimg.dom0/1\n";

/* A state that holds no booted dom0 of tens of MiB is not one. */
#define STATE_MIN ((off_t)1 << 20)

static int parse_header(char *text, struct pv_saved *ret)
{
	char *rest = text + strlen(magic), *ms, *hello;

	if (!pv_starts(text, magic))
		return -1;
	ms = strsep(&rest, "\n");
	hello = rest ? strsep(&rest, "\n") : NULL;
	if (!rest || pv_parse_u64(ms, 1, UINT32_MAX, &ret->hello_ms) < 0)
		return -1;
	ret->hello = pv_xstrdup(hello);
	return 0;
}

void pv_saved_open(const char *dir, const char *name, struct pv_saved *ret)
{
	struct pv_saved s = PV_SAVED_INIT;
	char text[HEADER + 1] = { 0 };
	struct stat st;

	s.path = pv_path_join(dir, name);
	s.fd = open(s.path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (s.fd >= 0 && (fstat(s.fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < HEADER + STATE_MIN ||
			  pv_pread_all(s.fd, text, HEADER, 0) != HEADER || parse_header(text, &s) < 0 ||
			  lseek(s.fd, HEADER, SEEK_SET) != HEADER))
		pv_closep(&s.fd);
	*ret = s;
}

int pv_saved_begin(const char *dir, const char *name, struct pv_saved *ret, struct pv_error *err)
{
	pv_autosaved s = PV_SAVED_INIT;

	s.path = pv_path_join(dir, name);
	pv_autofree char *lock = pv_fmt("%s.lock", s.path);
	if (pv_lock(lock, false, &s.lock_fd, err) < 0)
		return -1;
	if (s.lock_fd >= 0) {
		s.new_path = pv_fmt("%s.new", s.path);
		s.fd = open(s.new_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (s.fd < 0 || lseek(s.fd, HEADER, SEEK_SET) != HEADER)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot be made", s.new_path);
	}
	*ret = s;
	s = (struct pv_saved)PV_SAVED_INIT;
	return 0;
}

int pv_saved_commit(struct pv_saved *saved, const char *hello, uint64_t hello_ms, struct pv_error *err)
{
	char text[HEADER] = { 0 };
	pv_autofree char *head = pv_fmt("%s%" PRIu64 "\n%s\n", magic, hello_ms, hello);
	struct stat st;

	if (strlen(head) >= sizeof(text) || strchr(hello, '\n'))
		return pv_error_set(err, PV_ERR_STAGE, "dom0's greeting is too long to be kept");
	memcpy(text, head, strlen(head));
	if (fstat(saved->fd, &st) < 0 || pv_pwrite_all(saved->fd, text, sizeof(text), 0) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", saved->new_path);
	if (st.st_size < HEADER + STATE_MIN)
		return pv_error_set(err, PV_ERR_STAGE, "%s: QEMU wrote no state", saved->new_path);
	if (rename(saved->new_path, saved->path) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot become %s", saved->new_path, saved->path);
	pv_freep(&saved->new_path);
	return 0;
}

void pv_saved_drop(const struct pv_saved *saved)
{
	if (saved->path)
		unlink(saved->path);
}

void pv_saved_done(struct pv_saved *saved)
{
	pv_closep(&saved->fd);
	if (saved->new_path)
		unlink(saved->new_path);
	pv_freep(&saved->new_path);
	pv_freep(&saved->path);
	pv_freep(&saved->hello);
	pv_closep(&saved->lock_fd);
}
