/* SPDX-License-Identifier: Apache-2.0 */
/* Each format's row: thin, around the writer that does it. */
#include "export_format.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "clusters.h"
#include "fsutil.h"
#include "qcow2_write.h"
#include "text.h"
#include "vhd.h"
#include "vhdtar.h"
#include "xva.h"
#include "zstdraw.h"

static void free_writer(struct pv_format_output *out)
{
	free(out->writer);
	out->writer = NULL;
}

/* --- raw --- */

struct raw {
	int fd;
	const char *name;
};

/* Pages of zeros are left out: the file is new, they are holes. */
static int raw_write(void *ctx, const struct pv_block *b, const void *slot, struct pv_error *err)
{
	const struct raw *raw = ctx;

	(void)slot;
	for (size_t at = 0, end; at < b->len && !b->zero; at = end) {
		bool zero = pv_block_is_zero(b, at, PV_BLOCK_PAGE);

		end = at + PV_BLOCK_PAGE;
		while (end < b->len && pv_block_is_zero(b, end, PV_BLOCK_PAGE) == zero)
			end += PV_BLOCK_PAGE;
		if (end > b->len)
			end = b->len;
		if (!zero && pv_pwrite_all(raw->fd, b->data + at, end - at, (off_t)(b->offset + at)) < 0)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot write", raw->name);
	}
	return 0;
}

static int raw_open(struct pv_format_output *out, const struct pv_format_facts *facts, struct pv_error *err)
{
	struct raw *raw = pv_xcalloc(1, sizeof(*raw));

	*raw = (struct raw){ facts->fd, facts->name };
	out->writer = raw;
	out->sink = (struct pv_block_sink){ NULL, raw_write, raw };
	if (ftruncate(facts->fd, (off_t)facts->size) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot write", facts->name);
	return 0;
}

static int raw_finish(struct pv_format_output *out, struct pv_error *err)
{
	(void)out;
	(void)err;
	return 0;
}

/* --- qcow2 --- */

static int open_qcow2(struct pv_format_output *out, const struct pv_format_facts *facts, bool zlib,
		      struct pv_error *err)
{
	struct pv_qcow2_writer *w;

	if (pv_qcow2_writer_new(facts->size, zlib, facts->fd, facts->name, &w, err) < 0)
		return -1;
	out->writer = w;
	out->sink = (struct pv_block_sink){ zlib ? &pv_clusters_deflate : &pv_clusters_zstd, pv_qcow2_write, w };
	return 0;
}

static int qcow2_open(struct pv_format_output *out, const struct pv_format_facts *facts, struct pv_error *err)
{
	return open_qcow2(out, facts, false, err);
}

static int qcow2_zlib_open(struct pv_format_output *out, const struct pv_format_facts *facts, struct pv_error *err)
{
	return open_qcow2(out, facts, true, err);
}

static int qcow2_finish(struct pv_format_output *out, struct pv_error *err)
{
	return pv_qcow2_finish(out->writer, err);
}

static void qcow2_close(struct pv_format_output *out)
{
	pv_qcow2_writer_free(out->writer);
	out->writer = NULL;
}

/* --- VHD --- */

static int init_vhd(const struct pv_format_facts *facts, struct pv_vhd_writer *ret, struct pv_error *err)
{
	uint8_t uuid[16];

	pv_uuid_derive(facts->seed, "vhd", uuid);
	if (pv_vhd_writer_init(facts->size, uuid, facts->machine->epoch, ret, err) < 0)
		return pv_error_wrap(err, "%s", facts->name);
	return 0;
}

static int vhd_open(struct pv_format_output *out, const struct pv_format_facts *facts, struct pv_error *err)
{
	struct pv_vhd_file *file = pv_xcalloc(1, sizeof(*file));

	out->writer = file;
	file->fd = facts->fd;
	file->name = facts->name;
	out->sink = (struct pv_block_sink){ NULL, pv_vhd_file_write, file };
	return init_vhd(facts, &file->w, err);
}

static int vhd_finish(struct pv_format_output *out, struct pv_error *err)
{
	return pv_vhd_file_finish(out->writer, err);
}

static void vhd_close(struct pv_format_output *out)
{
	struct pv_vhd_file *file = out->writer;

	pv_vhd_writer_done(&file->w);
	free_writer(out);
}

static int vhdtar_open(struct pv_format_output *out, const struct pv_format_facts *facts, struct pv_error *err)
{
	struct pv_vhdtar_writer *w = pv_xcalloc(1, sizeof(*w));

	out->writer = w;
	w->fd = facts->fd;
	w->name = facts->name;
	out->sink = (struct pv_block_sink){ &pv_vhdtar_step, pv_vhdtar_write, w };
	return init_vhd(facts, &w->vhd, err);
}

static int vhdtar_finish(struct pv_format_output *out, struct pv_error *err)
{
	return pv_vhdtar_finish(out->writer, err);
}

static void vhdtar_close(struct pv_format_output *out)
{
	struct pv_vhdtar_writer *w = out->writer;

	pv_vhd_writer_done(&w->vhd);
	free_writer(out);
}

/* --- XVA --- */

static int open_xva(struct pv_format_output *out, const struct pv_format_facts *facts, bool xxhash,
		    struct pv_error *err)
{
	const struct pv_machine *m = facts->machine;
	pv_autofree char *description = pv_machine_description(m);
	const struct pv_xva_machine machine = {
		.name = m->name,
		.description = description,
		.seed = facts->seed,
		.memory = m->memory,
		.vcpus = m->vcpus,
		.disk_size = facts->size,
	};
	struct pv_xva_writer *w;

	if (pv_xva_writer_new(&machine, xxhash, facts->fd, facts->name, &w, err) < 0)
		return -1;
	out->writer = w;
	out->sink = (struct pv_block_sink){ pv_xva_step(xxhash), pv_xva_write, w };
	return 0;
}

static int xva_open(struct pv_format_output *out, const struct pv_format_facts *facts, struct pv_error *err)
{
	return open_xva(out, facts, false, err);
}

static int xva_xxhash_open(struct pv_format_output *out, const struct pv_format_facts *facts, struct pv_error *err)
{
	return open_xva(out, facts, true, err);
}

static int xva_finish(struct pv_format_output *out, struct pv_error *err)
{
	return pv_xva_finish(out->writer, err);
}

static void xva_close(struct pv_format_output *out)
{
	pv_xva_writer_free(out->writer);
	out->writer = NULL;
}

/* --- raw in zstd --- */

static int zst_open(struct pv_format_output *out, const struct pv_format_facts *facts, struct pv_error *err)
{
	struct pv_zstdraw_writer *w = pv_xmalloc(sizeof(*w));

	(void)err;
	pv_zstdraw_writer_init(facts->fd, facts->name, w);
	out->writer = w;
	out->sink = (struct pv_block_sink){ &pv_clusters_zstd, pv_zstdraw_write, w };
	return 0;
}

static int zst_finish(struct pv_format_output *out, struct pv_error *err)
{
	return pv_zstdraw_finish(out->writer, err);
}

static void zst_close(struct pv_format_output *out)
{
	pv_zstdraw_writer_done(out->writer);
	free_writer(out);
}

static const struct pv_format formats[] = {
	{ "raw", "raw", false, 0, raw_open, raw_finish, free_writer },
	{ "qcow2", "qcow2", false, 0, qcow2_open, qcow2_finish, qcow2_close },
	{ "qcow2-zlib", "qcow2", false, 0, qcow2_zlib_open, qcow2_finish, qcow2_close },
	{ "vhd", "vhd", false, PV_VHD_MAX, vhd_open, vhd_finish, vhd_close },
	{ "vhd-tar-gz", "vhd.tar.gz", false, PV_VHD_MAX, vhdtar_open, vhdtar_finish, vhdtar_close },
	{ "xva", "xva", true, 0, xva_open, xva_finish, xva_close },
	{ "xva-xxhash", "xva", true, 0, xva_xxhash_open, xva_finish, xva_close },
	{ "raw-zst", "raw.zst", true, 0, zst_open, zst_finish, zst_close },
};

const struct pv_format *pv_format_find(const char *word)
{
	for (size_t i = 0; i < PV_COUNT(formats); i++)
		if (pv_streq(formats[i].word, word))
			return &formats[i];
	return NULL;
}
