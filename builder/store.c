/* SPDX-License-Identifier: Apache-2.0 */
/* The content store: hashes what comes in, renames it into place, never changes it afterwards. */
#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fsutil.h"
#include "proc.h"
#include "text.h"

#define BLOCK (256u << 10)
#define PUT_STALE_S 3600	/* a put.* file that old was left by a killed pvimg, whoever else is here */

struct pv_store {
	char *dir;		/* cache_dir/store */
	char *tmp;
	int lock;		/* shared by all who have it open */
};

/* Removes what killed runs left: put.* files that nobody has written to for that many seconds. *.part files stay, they
 * are gone on with. */
static void clean_tmp(const char *tmp, time_t stale)
{
	DIR *dir = opendir(tmp);
	struct dirent *entry;
	time_t now = time(NULL);

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		struct stat st;

		if (!pv_starts(entry->d_name, "put."))
			continue;
		if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode) && (stale == 0 || now - st.st_mtime > stale))
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
	}
	closedir(dir);
}

static int open_lock(const char *dir, int *ret_fd, struct pv_error *err)
{
	pv_autofree char *path = pv_path_join(dir, "lock");

	*ret_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
	return *ret_fd < 0 ? pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot open the lock", path) : 0;
}

/* Whoever finds the store unused may take away what lies there half written; everybody then holds it shared, so that
 * nobody else does. */
static int lock_and_clean(struct pv_store *store, struct pv_error *err)
{
	if (open_lock(store->dir, &store->lock, err) < 0)
		return -1;
	bool alone = flock(store->lock, LOCK_EX | LOCK_NB) == 0;

	clean_tmp(store->tmp, alone ? 0 : PUT_STALE_S);
	while (flock(store->lock, LOCK_SH) < 0)		/* waits for no more than another's clean_tmp or `clean --all` */
		if (errno != EINTR)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot lock", store->dir);
	return 0;
}

/* The lock is of the store that is there: `clean --all` may have removed it just now. */
static bool is_there(const struct pv_store *store)
{
	pv_autofree char *path = pv_path_join(store->dir, "lock");
	struct stat a, b;

	return fstat(store->lock, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int pv_store_open(const char *cache_dir, struct pv_store **ret, struct pv_error *err)
{
	pv_autostore *store = pv_xcalloc(1, sizeof(*store));
	pv_autofree char *objects = NULL;

	store->lock = -1;
	store->dir = pv_path_join(cache_dir, "store");
	store->tmp = pv_path_join(store->dir, "tmp");
	objects = pv_path_join(store->dir, "sha256");
	do {
		pv_closep(&store->lock);
		if (pv_mkdirs(objects, 0755, err) < 0 || pv_mkdirs(store->tmp, 0755, err) < 0)
			return pv_error_wrap(err, "store");
		if (access(objects, W_OK | X_OK) < 0 || access(store->tmp, W_OK | X_OK) < 0)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "store %s: not writable", store->dir);
		if (lock_and_clean(store, err) < 0)
			return -1;
	} while (!is_there(store));
	*ret = pv_steal(&store);
	return 0;
}

int pv_store_remove(const char *cache_dir, bool *ret_busy, struct pv_error *err)
{
	pv_autofree char *dir = pv_path_join(cache_dir, "store");
	pv_autoclose int lock = -1;

	*ret_busy = false;
	if (!pv_exists(dir))
		return 0;
	if (open_lock(dir, &lock, err) < 0)
		return -1;
	*ret_busy = flock(lock, LOCK_EX | LOCK_NB) < 0;
	return *ret_busy ? 0 : pv_rmtree(dir, err);
}

void pv_store_free(struct pv_store *store)
{
	if (!store)
		return;
	pv_closep(&store->lock);
	free(store->dir);
	free(store->tmp);
	free(store);
}

void pv_store_freep(struct pv_store **store)
{
	pv_store_free(*store);
	*store = NULL;
}

/* A digest that is none would become a path from outside: no caller may let it come this far. */
static void must_be_digest(const char *sha256)
{
	if (!pv_digest_valid(sha256)) {
		fputs("pvimg: bug: the store was asked for something that is no SHA-256\n", stderr);
		abort();
	}
}

char *pv_store_path(const struct pv_store *store, const char *sha256)
{
	must_be_digest(sha256);
	return pv_fmt("%s/sha256/%.2s/%s", store->dir, sha256, sha256);
}

char *pv_store_part_path(const struct pv_store *store, const char *sha256)
{
	must_be_digest(sha256);
	return pv_fmt("%s/%s.part", store->tmp, sha256);
}

const char *pv_store_tmp(const struct pv_store *store)
{
	return store->tmp;
}

bool pv_store_has(const struct pv_store *store, const char *sha256, uint64_t size)
{
	pv_autofree char *path = pv_store_path(store, sha256);
	struct stat st;

	return lstat(path, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == size;
}

int pv_store_check(const struct pv_store *store, const char *sha256, bool *ret_ok, struct pv_error *err)
{
	pv_autofree char *path = pv_store_path(store, sha256);
	char hex[PV_SHA256_HEX];
	struct stat st;

	if (lstat(path, &st) < 0 && errno == ENOENT) {
		*ret_ok = false;
		return 0;
	}
	if (pv_digest_file(path, hex, NULL, err) < 0)
		return -1;
	*ret_ok = pv_streq(hex, sha256);
	if (!*ret_ok && unlink(path) < 0 && errno != ENOENT)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: damaged, and cannot be removed",
				      path);
	return 0;
}

static int write_error(struct pv_error *err, int errnum, const struct pv_store *store, uint64_t bytes)
{
	pv_autofree char *size = pv_size_text(bytes);

	if (errnum == ENOSPC || errnum == EDQUOT)
		return pv_error_errno(err, PV_ERR_STAGE, errnum,
				      "store %s: a file of %s (%llu bytes) does not fit; make room, or "
				      "give another folder with --cache", store->dir, size,
				      (unsigned long long)bytes);
	return pv_error_errno(err, PV_ERR_STAGE, errnum, "store %s: cannot write", store->dir);
}

/* A new file store/tmp/put.PID.N, named in *ret_path. */
static int open_put(const struct pv_store *store, char **ret_path, int *ret_fd, struct pv_error *err)
{
	for (unsigned n = 0; n < 10000; n++) {
		char *path = pv_fmt("%s/put.%ld.%u", store->tmp, (long)getpid(), n);
		int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

		if (fd >= 0) {
			*ret_path = path;
			*ret_fd = fd;
			return 0;
		}
		free(path);
		if (errno != EEXIST) {
			(void)write_error(err, errno, store, 0);
			return -1;
		}
	}
	return pv_error_set(err, PV_ERR_STAGE, "store %s: too many files; run `pvimg clean`", store->tmp);
}

int pv_store_adopt(const struct pv_store *store, const char *tmp_path, const char *sha256,
		   struct pv_error *err)
{
	pv_autofree char *path = pv_store_path(store, sha256);
	char *slash = strrchr(path, '/');

	*slash = '\0';
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return write_error(err, errno, store, 0);
	*slash = '/';
	if (chmod(tmp_path, 0444) < 0 || rename(tmp_path, path) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "store: cannot move %s to %s", tmp_path,
				      path);
	return 0;
}

/* Closes and moves what was written, or removes it. */
static int finish_put(const struct pv_store *store, int fd, const char *tmp_path, const char *sha256,
		      uint64_t size, bool good, struct pv_error *err)
{
	if (close(fd) < 0 && good) {
		(void)write_error(err, errno, store, size);
		good = false;
	}
	if (good && pv_store_adopt(store, tmp_path, sha256, err) == 0)
		return 0;
	(void)unlink(tmp_path);
	return -1;
}

int pv_store_put_mem(const struct pv_store *store, const void *data, size_t len,
		     char ret_hex[PV_SHA256_HEX], struct pv_error *err)
{
	char hex[PV_SHA256_HEX];
	pv_autofree char *tmp = NULL;
	bool good;
	int fd;

	pv_digest_mem(data, len, hex);
	if (!pv_store_has(store, hex, len)) {
		if (open_put(store, &tmp, &fd, err) < 0)
			return -1;
		good = pv_write_all(fd, data, len) == 0;
		if (!good)
			(void)write_error(err, errno, store, len);
		if (finish_put(store, fd, tmp, hex, len, good, err) < 0)
			return -1;
	}
	if (ret_hex)
		memcpy(ret_hex, hex, sizeof(hex));
	return 0;
}

/* Copies from `in` to `out` until its end. */
static int copy_hashed(const struct pv_store *store, const char *path, int in, int out,
		       char hex[PV_SHA256_HEX], uint64_t *ret_size, struct pv_error *err)
{
	pv_autodigest *digest = pv_digest_new();
	pv_autofree char *block = pv_xmalloc(BLOCK);
	uint64_t size = 0;

	for (;;) {
		ssize_t n = read(in, block, BLOCK);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot read", path);
		if (n == 0)
			break;
		if (pv_proc_check_interrupt(err) < 0)
			return -1;
		pv_digest_add(digest, block, (size_t)n);
		size += (uint64_t)n;
		if (pv_write_all(out, block, (size_t)n) < 0)
			return write_error(err, errno, store, size);
	}
	pv_digest_hex(digest, hex);
	*ret_size = size;
	return 0;
}

int pv_store_put_file(const struct pv_store *store, const char *path, const char *sha256,
		      char ret_hex[PV_SHA256_HEX], struct pv_error *err)
{
	pv_autoclose int in = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	pv_autofree char *tmp = NULL;
	char hex[PV_SHA256_HEX];
	uint64_t size = 0;
	bool good;
	int fd;

	if (in < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot open", path);
	if (open_put(store, &tmp, &fd, err) < 0)
		return -1;
	good = copy_hashed(store, path, in, fd, hex, &size, err) == 0;
	if (good && sha256 && !pv_streq(hex, sha256)) {
		(void)pv_error_set(err, PV_ERR_ARCHIVE, "%s: wrong digest: expected %s, is %s", path,
				   sha256, hex);
		good = false;
	}
	if (finish_put(store, fd, tmp, hex, size, good, err) < 0)
		return -1;
	if (ret_hex)
		memcpy(ret_hex, hex, sizeof(hex));
	return 0;
}

int pv_store_need(const struct pv_store *store, uint64_t bytes, struct pv_error *err)
{
	uint64_t available;
	pv_autofree char *need = NULL;
	pv_autofree char *have = NULL;

	if (pv_free_space(store->dir, &available, err) < 0)
		return -1;
	if (bytes <= available)
		return 0;
	need = pv_size_text(bytes);
	have = pv_size_text(available);
	return pv_error_set(err, PV_ERR_STAGE, "store %s: needs %s (%llu bytes), %s free; make room, or "
			    "give another folder with --cache", store->dir, need,
			    (unsigned long long)bytes, have);
}
