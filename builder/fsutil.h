/* SPDX-License-Identifier: Apache-2.0 */
/* Files: descriptors that close themselves, whole-file reads, outputs that appear whole, trees, locks. */
#ifndef PV_FSUTIL_H
#define PV_FSUTIL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "error.h"
#include "text.h"

/* Closes *fd when >= 0 and sets it to -1; keeps errno. */
void pv_closep(int *fd);
#define pv_autoclose __attribute__((cleanup(pv_closep)))
/* Hands the descriptor out of a cleanup variable. */
int pv_steal_fd(int *fd);
void pv_fclosep(FILE **f);
#define pv_autofclose __attribute__((cleanup(pv_fclosep)))

/* Reads a whole regular file of at most `max` bytes; *ret is NUL-terminated (the NUL is not in *ret_len) and the
 * caller frees it. ret_len may be NULL: then a file with a NUL byte in it is an error. */
int pv_read_file(const char *path, size_t max, char **ret, size_t *ret_len, struct pv_error *err) PV_MUST_CHECK;

/* Writes path whole or not at all: a temporary name beside it, flushed, close checked, renamed. `mode` is exact, the
 * umask does not matter. */
int pv_write_file(const char *path, const void *data, size_t len, mode_t mode, struct pv_error *err)
	PV_MUST_CHECK;

/* All of it or -1 with errno. */
int pv_write_all(int fd, const void *data, size_t len) PV_MUST_CHECK;
int pv_pwrite_all(int fd, const void *data, size_t len, off_t offset) PV_MUST_CHECK;
ssize_t pv_pread_all(int fd, void *data, size_t len, off_t offset) PV_MUST_CHECK;	/* short only at end of file */

/* mkdir -p. An existing folder is fine. */
int pv_mkdirs(const char *path, mode_t mode, struct pv_error *err) PV_MUST_CHECK;

/* rm -rf that never follows a link and never crosses a mount point (bind mounts too). A path that is not there is
 * fine. Makes folders it owns writable where it must. Removes what it can and reports the first thing it could not. */
int pv_rmtree(const char *path, struct pv_error *err) PV_MUST_CHECK;

/* The names in a folder but "." and "..", sorted bytewise; a folder that is not there has none. */
int pv_list_dir(const char *path, struct pv_strv *ret, struct pv_error *err) PV_MUST_CHECK;

/* Takes an exclusive flock on path (made if needed, mode 0600, close-on-exec). wait=false: *ret_fd = -1 and 0
 * when somebody else holds it. Waiting ends when the program is interrupted. The lock goes when the descriptor does. */
int pv_lock(const char *path, bool wait, int *ret_fd, struct pv_error *err) PV_MUST_CHECK;

/* Bytes an ordinary user may still write below path, or below its nearest ancestor that exists (statvfs f_bavail). */
int pv_free_space(const char *path, uint64_t *ret_bytes, struct pv_error *err) PV_MUST_CHECK;

/* "a/b": exactly one slash between; the caller frees. */
char *pv_path_join(const char *dir, const char *name);

/* The folder that holds path: "a" of "a/b", "/" of "/b", "." of "b"; the caller frees. */
char *pv_path_dir(const char *path);

/* $XDG_CACHE_HOME/pvimg or ~/.cache/pvimg; the caller frees. NULL when neither variable is usable. */
char *pv_cache_dir(void);

bool pv_exists(const char *path);		/* a dangling link counts */

#endif
