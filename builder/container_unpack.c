/* SPDX-License-Identifier: Apache-2.0 */
/* The raw disk out of a container. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "container.h"
#include "fsutil.h"
#include "proc.h"
#include "qcow2.h"
#include "vhd.h"
#include "xva.h"
#include "zstdraw.h"

#define STEP ((size_t)1 << 20)
#define PAGE ((size_t)4096)
#define UNPACK_MAX (UINT64_C(1) << 46)		/* 64 TiB: larger disks are a damaged size */

struct out {
	const struct pv_unpack_request *req;
	uint64_t total;
};

/* Pages of zeros stay holes. */
static int put(void *ctx, uint64_t offset, const uint8_t *data, size_t len, struct pv_error *err)
{
	const struct out *out = ctx;

	if (pv_proc_check_interrupt(err) < 0)
		return -1;
	for (size_t at = 0, end; at < len; at = end) {
		size_t page = PAGE - (size_t)((offset + at) % PAGE);

		end = len - at < page ? len : at + page;
		if (pv_all_zero(data + at, end - at))
			continue;
		while (end < len && !pv_all_zero(data + end, len - end < PAGE ? len - end : PAGE))
			end += len - end < PAGE ? len - end : PAGE;
		if (pv_pwrite_all(out->req->out_fd, data + at, end - at, (off_t)(offset + at)) < 0)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot write what is in it",
					      out->req->name);
	}
	if (out->req->progress)
		out->req->progress(out->req->progress_ctx, offset + len, out->total);
	return 0;
}

static int refuse_faults(const struct pv_unpack_request *req, const struct pv_strv *faults, struct pv_error *err)
{
	if (faults->n == 0)
		return 0;
	return pv_error_set(err, PV_ERR_STAGE, "%s: damaged: %s%s; pvimg inspect shows all", req->name, faults->v[0],
			    faults->n > 1 ? " (and more)" : "");
}

static int unpack_vhd(struct out *out, int fd, uint64_t file_size, uint64_t *ret_size, struct pv_error *err)
{
	const char *name = out->req->name;
	pv_autovhd vhd = PV_VHD_INIT;
	pv_autostrv faults = PV_STRV_INIT;
	pv_autofree uint8_t *data = pv_xmalloc(STEP);

	if (pv_vhd_open(fd, file_size, name, &vhd, &faults, NULL, err) < 0 || refuse_faults(out->req, &faults, err) < 0)
		return -1;
	size_t step = vhd.type == PV_VHD_DYNAMIC && vhd.block_size < STEP ? vhd.block_size : STEP;
	out->total = vhd.size;
	for (uint64_t at = 0; at < vhd.size; at += step) {
		size_t len = vhd.size - at < step ? (size_t)(vhd.size - at) : step;
		bool zero;

		if (pv_vhd_read(&vhd, fd, name, at, len, data, &zero, err) < 0 ||
		    (!zero && put(out, at, data, len, err) < 0))
			return -1;
	}
	*ret_size = vhd.size;
	return 0;
}

static int unpack_vhd_tar(struct out *out, uint64_t *ret_size, struct pv_error *err)
{
	pv_autoclose int fd = -1;

	if (pv_container_tmp(out->req->tmp_dir, &fd, err) < 0 ||
	    pv_container_vhd_of_tar(out->req->fd, out->req->name, fd, err) < 0)
		return -1;
	off_t size = lseek(fd, 0, SEEK_END);
	if (size < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", out->req->name);
	return unpack_vhd(out, fd, (uint64_t)size, ret_size, err);
}

static int unpack_xva(struct out *out, uint64_t *ret_size, struct pv_error *err)
{
	pv_autoxva xva = { .machine = NULL };
	pv_autostrv faults = PV_STRV_INIT;

	if (pv_xva_read(out->req->fd, out->req->name, &xva, put, out, &faults, err) < 0 ||
	    refuse_faults(out->req, &faults, err) < 0)
		return -1;
	*ret_size = xva.size;
	return 0;
}

static int unpack_zstd(struct out *out, uint64_t *ret_size, struct pv_error *err)
{
	struct pv_zstdraw z;
	enum pv_container inside;
	pv_autostrv faults = PV_STRV_INIT;

	if (pv_zstdraw_open(out->req->fd, out->req->file_size, out->req->name, &z, &faults, err) < 0 ||
	    refuse_faults(out->req, &faults, err) < 0)
		return -1;
	out->total = z.size;
	if (pv_zstdraw_read(out->req->fd, out->req->name, UNPACK_MAX, put, out, ret_size, err) < 0)
		return -1;
	if (z.seekable && *ret_size != z.size)
		return pv_error_set(err, PV_ERR_STAGE, "%s: unpacks to %llu bytes, its seek table says %llu",
				    out->req->name, (unsigned long long)*ret_size, (unsigned long long)z.size);
	/* zstd packs anything */
	if (pv_container_detect(out->req->out_fd, *ret_size, out->req->name, &inside, err) < 0)
		return -1;
	if (inside != PV_CONTAINER_RAW)
		return pv_error_set(err, PV_ERR_STAGE, "%s: what is packed in it is %s, no raw disk; unpack it first: zstd -d",
				    out->req->name, pv_container_what(inside));
	return 0;
}

/* QEMU opens by name; this name is the descriptor itself. */
static char *fd_image(const char *driver, int fd)
{
	return pv_fmt("driver=%s,file.driver=file,file.filename=/proc/self/fd/%d,file.locking=off", driver, fd);
}

static int unpack_qcow2(struct out *out, uint64_t *ret_size, struct pv_error *err)
{
	const struct pv_unpack_request *req = out->req;
	pv_autofree uint8_t *head = pv_xmalloc(PV_QCOW2_HEAD_MAX);
	ssize_t n = pv_pread_all(req->fd, head, PV_QCOW2_HEAD_MAX, 0);
	struct pv_qcow2 q;

	if (n < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot read", req->name);
	if (pv_qcow2_header(head, (size_t)n, req->file_size, req->name, &q, err) < 0 ||
	    pv_qcow2_check_clusters(req->fd, req->file_size, req->name, &q, err) < 0 ||
	    pv_proc_need("qemu-img", "qemu-utils", err) < 0)
		return -1;
	if (q.size > UNPACK_MAX)
		return pv_error_set(err, PV_ERR_STAGE, "%s: its disk is larger than 64 TiB", req->name);
	if (ftruncate(req->out_fd, (off_t)q.size) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot write what is in it", req->name);
	pv_autofree char *from = fd_image("qcow2", req->fd), *to = fd_image("raw", req->out_fd);
	const char *const argv[] = {
		"qemu-img", "convert", "--image-opts", "-n", "--target-image-opts", "--target-is-zero", from, to, NULL
	};
	const int keep[] = { req->fd, req->out_fd };
	const struct pv_proc proc = { .argv = argv, .keep_fds = keep, .nkeep_fds = PV_COUNT(keep) };
	if (pv_proc_check(&proc, PV_ERR_STAGE, err) < 0)
		return pv_error_wrap(err, "%s", req->name);
	*ret_size = q.size;
	return 0;
}

static int copy_raw(struct out *out, struct pv_error *err)
{
	pv_autofree uint8_t *data = pv_xmalloc(STEP);
	uint64_t size = out->req->file_size;

	out->total = size;
	for (uint64_t at = 0; at < size; at += STEP) {
		size_t len = size - at < STEP ? (size_t)(size - at) : STEP;
		ssize_t n = pv_pread_all(out->req->fd, data, len, (off_t)at);

		if (n < 0)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot read", out->req->name);
		if ((size_t)n != len)
			return pv_error_set(err, PV_ERR_STAGE, "%s: was cut short while it was read", out->req->name);
		if (put(out, at, data, len, err) < 0)
			return -1;
	}
	return 0;
}

static int unpack(struct out *out, uint64_t *ret_size, struct pv_error *err)
{
	const struct pv_unpack_request *req = out->req;

	switch (req->kind) {
	case PV_CONTAINER_RAW:
		*ret_size = req->file_size;
		return copy_raw(out, err);
	case PV_CONTAINER_QCOW2:
		return unpack_qcow2(out, ret_size, err);
	case PV_CONTAINER_VHD:
		return unpack_vhd(out, req->fd, req->file_size, ret_size, err);
	case PV_CONTAINER_VHD_TAR:
		return unpack_vhd_tar(out, ret_size, err);
	case PV_CONTAINER_XVA:
		return unpack_xva(out, ret_size, err);
	case PV_CONTAINER_ZSTD:
		return unpack_zstd(out, ret_size, err);
	case PV_CONTAINER_OTHER:
		break;
	}
	return pv_error_set(err, PV_ERR_STAGE, "%s: this is %s; raw, qcow2, vhd, vhd-tar-gz, xva and raw-zst are",
			    req->name, pv_container_what(req->kind));
}

int pv_container_unpack(const struct pv_unpack_request *req, uint64_t *ret_size, struct pv_error *err)
{
	struct out out = { .req = req };
	uint64_t size = 0;

	if (unpack(&out, &size, err) < 0)
		return -1;
	if (ftruncate(req->out_fd, (off_t)size) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot write what is in it", req->name);
	*ret_size = size;
	return 0;
}
