/* SPDX-License-Identifier: Apache-2.0 */
/* One read of the image gives the file and the disk's digest. */
#include "publish_file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blocks.h"
#include "container.h"
#include "export.h"
#include "export_format.h"
#include "fsutil.h"
#include "proc.h"

#define MIB (UINT64_C(1) << 20)
#define READ_LEN ((size_t)1 << 20)

struct making {
	const char *image;
	int fd;
	uint64_t size;
	void (*progress)(void *ctx, uint64_t done, uint64_t total);
	void *ctx;
	struct pv_digest *digest;
	uint8_t *zeros;
	struct pv_format_output out;
};

void pv_publish_file_done(struct pv_publish_file *f)
{
	pv_closep(&f->fd);
}

static int open_image(const char *image, const char *format, int *ret_fd, uint64_t *ret_size, struct pv_error *err)
{
	pv_autoclose int fd = open(image, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	enum pv_container kind;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot open the image", image);
	if (!S_ISREG(st.st_mode))
		return pv_error_set(err, PV_ERR_STAGE, "%s: is no file", image);
	if (st.st_size == 0 || (uint64_t)st.st_size % MIB)
		return pv_error_set(err, PV_ERR_USAGE, "%s: its %llu bytes are no whole number of MiB; pvimg export "
				    "--format raw --pad makes such an image", image, (unsigned long long)st.st_size);
	if (pv_export_check(&format, 1, (uint64_t)st.st_size, err) < 0 ||
	    pv_container_detect(fd, (uint64_t)st.st_size, image, &kind, err) < 0)
		return -1;
	if (kind != PV_CONTAINER_RAW)
		return pv_error_set(err, PV_ERR_STAGE, "%s: this is %s; make it a raw disk first: pvimg import %s", image,
				    pv_container_what(kind), image);
	*ret_size = (uint64_t)st.st_size;
	*ret_fd = pv_steal_fd(&fd);
	return 0;
}

static int hash_write(void *ctx, const struct pv_block *b, const void *slot, struct pv_error *err)
{
	const struct making *m = ctx;

	(void)slot;
	(void)err;
	pv_digest_add(m->digest, b->zero ? m->zeros : b->data, b->len);
	return 0;
}

/* The image through the digest and, where a format is open, through that. */
static int run(struct making *m, char ret_sha256[PV_SHA256_HEX], struct pv_error *err)
{
	struct pv_block_sink sinks[2] = { { NULL, hash_write, m } };
	size_t n = 1;

	if (m->out.writer)
		sinks[n++] = m->out.sink;
	const struct pv_blocks_request req = { .fd = m->fd,
					       .size = m->size,
					       .name = m->image,
					       .sinks = sinks,
					       .nsinks = n,
					       .progress = m->progress,
					       .progress_ctx = m->ctx };
	m->digest = pv_digest_new();
	m->zeros = pv_xcalloc(1, PV_BLOCK_LEN);
	int rc = pv_blocks_run(&req, err);
	if (rc == 0)
		pv_digest_hex(m->digest, ret_sha256);
	pv_digest_free(m->digest);
	free(m->zeros);
	return rc;
}

static int make_format(struct making *m, const struct pv_machine *machine, const char *format,
		       struct pv_publish_file *ret, struct pv_error *err)
{
	pv_autofree char *dir = pv_path_dir(m->image);
	pv_autoclose int fd = -1;
	char seed[PV_SHA256_HEX];
	struct stat st;

	if (pv_export_seed(m->fd, m->size, m->image, machine, 0, seed, err) < 0 || pv_container_tmp(dir, &fd, err) < 0)
		return -1;
	const struct pv_format_facts facts = { .machine = machine, .seed = seed, .size = m->size, .fd = fd,
					       .name = m->image };
	m->out.format = pv_format_find(format);
	int rc = m->out.format->open(&m->out, &facts, err);
	if (rc == 0)
		rc = run(m, ret->sha256, err);
	if (rc == 0)
		rc = m->out.format->finish(&m->out, err);
	if (m->out.writer)
		m->out.format->close(&m->out);
	if (rc < 0)
		return -1;
	if (fstat(fd, &st) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: as %s", m->image, format);
	ret->size = (uint64_t)st.st_size;
	ret->fd = pv_steal_fd(&fd);
	return 0;
}

int pv_publish_file_make(const char *image, const struct pv_machine *machine, const char *format,
			 void (*progress)(void *ctx, uint64_t done, uint64_t total), void *ctx,
			 struct pv_publish_file *ret, struct pv_error *err)
{
	struct making m = { .image = image, .fd = -1, .progress = progress, .ctx = ctx };
	struct pv_publish_file file = PV_PUBLISH_FILE_INIT;
	int rc;

	if (open_image(image, format, &m.fd, &m.size, err) < 0)
		return -1;
	if (pv_streq(format, "raw")) {
		rc = run(&m, file.sha256, err);
		file.fd = pv_steal_fd(&m.fd);
		file.size = m.size;
	} else {
		rc = make_format(&m, machine, format, &file, err);
	}
	pv_closep(&m.fd);
	file.disk_size = m.size;
	if (rc == 0)
		*ret = file;
	else
		pv_publish_file_done(&file);
	return rc;
}

static void free_mdp(EVP_MD_CTX **md)
{
	EVP_MD_CTX_free(*md);
}

int pv_publish_file_hash(const struct pv_publish_file *f, const char *algorithm, char **ret, struct pv_error *err)
{
	__attribute__((cleanup(free_mdp))) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	const EVP_MD *md = EVP_get_digestbyname(algorithm);
	pv_autofree uint8_t *buffer = pv_xmalloc(READ_LEN);
	unsigned char raw[EVP_MAX_MD_SIZE];
	pv_autostr hex = PV_STR_INIT;
	unsigned n = 0;

	*ret = NULL;
	if (!ctx || !md || EVP_DigestInit_ex(ctx, md, NULL) != 1)
		return 0;
	for (uint64_t at = 0; at < f->size;) {
		ssize_t got = pv_pread_all(f->fd, buffer, READ_LEN, (off_t)at);

		if (got <= 0)
			return pv_error_errno(err, PV_ERR_STAGE, got < 0 ? errno : ENODATA, "the image's file");
		if (pv_proc_check_interrupt(err) < 0)
			return -1;
		if (EVP_DigestUpdate(ctx, buffer, (size_t)got) != 1)
			return pv_error_set(err, PV_ERR_HOST, "OpenSSL: cannot hash by %s", algorithm);
		at += (uint64_t)got;
	}
	if (EVP_DigestFinal_ex(ctx, raw, &n) != 1)
		return pv_error_set(err, PV_ERR_HOST, "OpenSSL: cannot hash by %s", algorithm);
	for (unsigned i = 0; i < n; i++)
		pv_str_addf(&hex, "%02x", raw[i]);
	*ret = pv_str_steal(&hex);
	return 0;
}
