/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 of memory, streams and files, and ids derived from it. */
#include "digest.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fsutil.h"
#include "proc.h"
#include "text.h"

#define FILE_BLOCK (256u * 1024)
#define HOLE_PIECE (64ull << 20)

struct pv_digest {
	EVP_MD_CTX *ctx;
};

/* OpenSSL without SHA-256 or without memory: nothing could be checked, so nothing may go on. */
static void must(int ok)
{
	if (ok == 1)
		return;
	fputs("pvimg: OpenSSL refuses SHA-256\n", stderr);
	abort();
}

struct pv_digest *pv_digest_new(void)
{
	struct pv_digest *d = pv_xcalloc(1, sizeof(*d));

	d->ctx = EVP_MD_CTX_new();
	must(d->ctx != NULL);
	must(EVP_DigestInit_ex(d->ctx, EVP_sha256(), NULL));
	return d;
}

void pv_digest_add(struct pv_digest *d, const void *data, size_t len)
{
	if (len > 0)
		must(EVP_DigestUpdate(d->ctx, data, len));
}

void pv_digest_raw(struct pv_digest *d, uint8_t ret[PV_SHA256_LEN])
{
	must(EVP_DigestFinal_ex(d->ctx, ret, NULL));
}

static void to_hex(const uint8_t *raw, size_t len, char *ret)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		ret[2 * i] = digits[raw[i] >> 4];
		ret[2 * i + 1] = digits[raw[i] & 15];
	}
	ret[2 * len] = '\0';
}

void pv_digest_hex(struct pv_digest *d, char ret_hex[PV_SHA256_HEX])
{
	uint8_t raw[PV_SHA256_LEN];

	pv_digest_raw(d, raw);
	to_hex(raw, sizeof(raw), ret_hex);
}

void pv_digest_free(struct pv_digest *d)
{
	if (!d)
		return;
	EVP_MD_CTX_free(d->ctx);
	free(d);
}

void pv_digest_freep(struct pv_digest **d)
{
	int saved = errno;

	pv_digest_free(*d);
	*d = NULL;
	errno = saved;
}

void pv_digest_mem(const void *data, size_t len, char ret_hex[PV_SHA256_HEX])
{
	pv_autodigest *d = pv_digest_new();

	pv_digest_add(d, data, len);
	pv_digest_hex(d, ret_hex);
}

/* Where the hole at `at` ends: `at` itself when there is data, or when the file system knows no holes. */
static uint64_t end_of_hole(int fd, uint64_t at, uint64_t size)
{
	off_t data = lseek(fd, (off_t)at, SEEK_DATA);

	if (data < 0)
		return errno == ENXIO && at < size ? size : at;
	return (uint64_t)data < size ? (uint64_t)data : size;
}

static void add_zeros(struct pv_digest *d, uint64_t n)
{
	static const uint8_t zeros[FILE_BLOCK];

	for (; n > FILE_BLOCK; n -= FILE_BLOCK)
		pv_digest_add(d, zeros, FILE_BLOCK);
	pv_digest_add(d, zeros, (size_t)n);
}

/* Blocks, holes at their beginnings not read: reading one fills memory with zeros. */
static int add_file(struct pv_digest *d, int fd, const char *path, uint64_t *ret_size, struct pv_error *err)
{
	pv_autofree uint8_t *buf = pv_xmalloc(FILE_BLOCK);
	struct stat st;
	uint64_t at = 0;

	if (fstat(fd, &st) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot read", path);
	for (;;) {
		if (pv_proc_check_interrupt(err) < 0)
			return -1;
		uint64_t end = S_ISREG(st.st_mode) ? end_of_hole(fd, at, (uint64_t)st.st_size) : at;
		if (end > at) {
			/* A piece at a time, so that an interrupt is seen. */
			uint64_t piece = end - at < HOLE_PIECE ? end - at : HOLE_PIECE;
			add_zeros(d, piece);
			at += piece;
			continue;
		}
		ssize_t n = pread(fd, buf, FILE_BLOCK, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot read", path);
		if (n == 0)
			break;
		pv_digest_add(d, buf, (size_t)n);
		at += (uint64_t)n;
	}
	*ret_size = at;
	return 0;
}

int pv_digest_fd(int fd, const char *name, char ret_hex[PV_SHA256_HEX], uint64_t *ret_size, struct pv_error *err)
{
	pv_autodigest *d = pv_digest_new();
	uint64_t size = 0;

	if (add_file(d, fd, name, &size, err) < 0)
		return -1;
	pv_digest_hex(d, ret_hex);
	if (ret_size)
		*ret_size = size;
	return 0;
}

int pv_digest_file(const char *path, char ret_hex[PV_SHA256_HEX], uint64_t *ret_size, struct pv_error *err)
{
	pv_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot open", path);
	return pv_digest_fd(fd, path, ret_hex, ret_size, err);
}

bool pv_digest_valid(const char *hex)
{
	return hex && strlen(hex) == PV_SHA256_HEX - 1 && strspn(hex, "0123456789abcdef") == PV_SHA256_HEX - 1;
}

void pv_uuid_derive(const char *seed, const char *purpose, uint8_t ret[16])
{
	pv_autodigest *d = pv_digest_new();
	uint8_t raw[PV_SHA256_LEN];

	/* Each part goes in with its NUL: ("ab", "c") and ("a", "bc") differ. */
	pv_digest_add(d, "pvimg uuid", sizeof("pvimg uuid"));
	pv_digest_add(d, seed, strlen(seed) + 1);
	pv_digest_add(d, purpose, strlen(purpose) + 1);
	pv_digest_raw(d, raw);
	memcpy(ret, raw, 16);
	ret[6] = (ret[6] & 0x0f) | 0x80;	/* RFC 9562 section 5.8: version 8 */
	ret[8] = (ret[8] & 0x3f) | 0x80;	/* section 4.1: variant 10 */
}

void pv_uuid_text(const uint8_t uuid[16], char ret[37])
{
	static const uint8_t groups[] = { 4, 2, 2, 2, 6 };
	size_t in = 0, out = 0;

	for (size_t g = 0; g < PV_COUNT(groups); g++) {
		if (g > 0)
			ret[out++] = '-';
		to_hex(uuid + in, groups[g], ret + out);
		in += groups[g];
		out += 2 * (size_t)groups[g];
	}
}
