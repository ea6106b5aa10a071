/* SPDX-License-Identifier: Apache-2.0 */
/* A journal of what a patch overwrites. */
#include "undo.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "digest.h"
#include "fsutil.h"

#define NAME ".undo"
#define UNDO_MAX ((size_t)64 << 20)
#define MAGIC "pvimg.undo/1\n"

/* The journal: MAGIC, for each write offset and length (8 bytes each, this host's order: it never leaves it) and the bytes. */
static void write_journal(const struct pv_patch *patch, struct pv_str *ret)
{
	pv_str_add(ret, MAGIC);
	for (size_t i = 0; i < patch->n; i++) {
		const uint64_t head[2] = { patch->v[i].offset, patch->v[i].len };
		pv_str_addn(ret, head, sizeof(head));
		pv_str_addn(ret, patch->v[i].before, patch->v[i].len);
	}
}

/* A lease to write is given only when no other process has the file open. */
static bool is_ours_alone(const char *disk)
{
	pv_autoclose int fd = open(disk, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	/* Who opens it now is told of to us by a signal: one that is ignored by default, where SIGIO would end us. */
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1 || fcntl(fd, F_SETSIG, SIGURG) < 0 ||
	    fcntl(fd, F_SETLEASE, F_WRLCK) < 0)
		return false;
	(void)fcntl(fd, F_SETLEASE, F_UNLCK);
	return true;
}

int pv_undo_take(const char *disk, const char *hidden, const struct pv_patch *patch, bool *ret_moved, struct pv_error *err)
{
	pv_autofree char *journal = pv_path_join(hidden, NAME);
	pv_autofree char *to = pv_path_join(hidden, strrchr(disk, '/') + 1);
	pv_autostr text = PV_STR_INIT;

	*ret_moved = false;
	if (!is_ours_alone(disk))
		return 0;
	write_journal(patch, &text);
	if (text.len > UNDO_MAX)
		return 0;
	if (pv_write_file(journal, text.data, text.len, 0600, err) < 0)
		return -1;
	if (rename(disk, to) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", disk);
	*ret_moved = true;
	/* Who opened it since then has an old file that changes: look again, now that its name is gone. */
	if (is_ours_alone(to))
		return 0;
	*ret_moved = false;
	if (rename(to, disk) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", disk);
	(void)unlink(journal);
	return 0;
}

static int write_back(const char *disk, const char *text, size_t len, struct pv_error *err)
{
	pv_autoclose int fd = open(disk, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	size_t at = strlen(MAGIC);

	if (fd < 0 || fstat(fd, &st) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", disk);
	while (at < len) {
		uint64_t head[2];
		if (len - at < sizeof(head))
			return pv_error_set(err, PV_ERR_STAGE, "%s: its journal is damaged", disk);
		memcpy(head, text + at, sizeof(head));
		at += sizeof(head);
		if (head[1] > len - at || head[0] > (uint64_t)st.st_size || head[1] > (uint64_t)st.st_size - head[0])
			return pv_error_set(err, PV_ERR_STAGE, "%s: its journal is damaged", disk);
		if (pv_pwrite_all(fd, text + at, (size_t)head[1], (off_t)head[0]) < 0)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", disk);
		at += (size_t)head[1];
	}
	return 0;
}

int pv_undo_recover(const char *hidden, const char *final, const char *disk_name, struct pv_error *err)
{
	pv_autofree char *journal = pv_path_join(hidden, NAME);
	pv_autofree char *from = pv_path_join(hidden, disk_name);
	pv_autofree char *to = pv_path_join(final, disk_name);
	pv_autofree char *text = NULL;
	size_t len;

	if (!pv_exists(journal) || !pv_exists(from) || !pv_exists(final) || pv_exists(to))
		return 0;
	if (pv_read_file(journal, UNDO_MAX, &text, &len, err) < 0)
		return -1;
	if (!pv_starts(text, MAGIC))
		return pv_error_set(err, PV_ERR_STAGE, "%s: no journal of ours", journal);
	if (write_back(from, text, len, err) < 0)
		return -1;
	if (rename(from, to) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", to);
	(void)unlink(journal);
	return 0;
}

void pv_undo_forget(const char *final)
{
	pv_autofree char *journal = pv_path_join(final, NAME);

	(void)unlink(journal);
}
