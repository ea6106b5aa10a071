/* SPDX-License-Identifier: Apache-2.0 */
/* Opens the image and an output a format, runs the blocks through, and gives the outputs their names. */
#include "export.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blocks.h"
#include "container.h"
#include "export_format.h"
#include "fsutil.h"
#include "outfile.h"
#include "sidefiles.h"

#define MIB (UINT64_C(1) << 20)
#define OUTPUTS_MAX PV_BLOCK_SINKS

struct export {
	const struct pv_export_request *req;
	int fd;
	struct stat st;
	uint64_t file_size, size;		/* size: padded */
	char seed[PV_SHA256_HEX];
	struct pv_format_output outputs[OUTPUTS_MAX];
	struct pv_outfile files[OUTPUTS_MAX];
	size_t n;
};

const char *const *pv_export_formats(void)
{
	static const char *const words[] = { "raw", "qcow2",      "qcow2-zlib", "vhd", "vhd-tar-gz",
					     "xva", "xva-xxhash", "raw-zst",    NULL };

	return words;
}

int pv_export_check(const char *const *formats, size_t n, uint64_t size, struct pv_error *err)
{
	if (n == 0)
		return pv_error_set(err, PV_ERR_USAGE, "no format is named");
	for (size_t i = 0; i < n; i++) {
		const struct pv_format *f = pv_format_find(formats[i]);

		if (!f) {
			const char *near = pv_nearest(formats[i], pv_export_formats());
			pv_autofree char *word = pv_printable(formats[i], strlen(formats[i]));

			return pv_error_set(err, PV_ERR_USAGE, "%s: no such format%s%s%s", word,
					    near ? ", did you mean " : "", near ? near : "",
					    near ? ""
						 : "; raw, qcow2, qcow2-zlib, vhd, vhd-tar-gz, xva, "
						   "xva-xxhash or raw-zst");
		}
		for (size_t k = 0; k < i; k++)
			if (pv_streq(f->suffix, pv_format_find(formats[k])->suffix))
				return pv_error_set(err, PV_ERR_USAGE,
						    "%s and %s are the same file, NAME.%s; name one of them",
						    formats[k], formats[i], f->suffix);
		if (f->max && size > f->max)
			return pv_error_set(err, PV_ERR_USAGE,
					    "%s holds %llu GiB at most, the disk has %llu MiB; qcow2 and xva hold more",
					    f->word, (unsigned long long)(f->max >> 30),
					    (unsigned long long)(size >> 20));
	}
	return 0;
}

/* --- the image --- */

static int find_size(struct export *e, struct pv_error *err)
{
	const char *image = e->req->image;
	uint64_t bytes;

	if (fstat(e->fd, &e->st) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", image);
	if (S_ISREG(e->st.st_mode)) {
		e->file_size = (uint64_t)e->st.st_size;
	} else if (S_ISBLK(e->st.st_mode)) {
		if (ioctl(e->fd, BLKGETSIZE64, &bytes) < 0)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: has no size", image);
		e->file_size = bytes;
	} else {
		return pv_error_set(err, PV_ERR_STAGE, "%s: is neither a file nor a block device", image);
	}
	if (e->file_size == 0)
		return pv_error_set(err, PV_ERR_STAGE, "%s: is empty", image);
	return 0;
}

static int open_image(struct export *e, struct pv_error *err)
{
	const char *image = e->req->image;
	enum pv_container kind;

	e->fd = open(image, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (e->fd < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot open the image", image);
	if (find_size(e, err) < 0 || pv_container_detect(e->fd, e->file_size, image, &kind, err) < 0)
		return -1;
	if (kind != PV_CONTAINER_RAW)
		return pv_error_set(err, PV_ERR_STAGE, "%s: this is %s; make it a raw disk first: pvimg import %s",
				    image, pv_container_what(kind), image);
	e->size = (e->file_size + MIB - 1) / MIB * MIB;
	if (e->size != e->file_size && !e->req->pad)
		return pv_error_set(err, PV_ERR_STAGE,
				    "%s: its %llu bytes are no whole number of MiB, and importers round or refuse "
				    "such a disk; --pad fills it up with zeros",
				    image, (unsigned long long)e->file_size);
	return 0;
}

/* --- the seed of a disk that nothing is known of: a digest of its blocks' digests, zeros left out --- */

struct hash_slot {
	uint8_t raw[PV_SHA256_LEN];
};

static int hash_run(void *thread, const struct pv_block *b, void *slot, struct pv_error *err)
{
	struct hash_slot *h = slot;

	(void)thread;
	(void)err;
	if (b->zero)
		return 0;
	pv_autodigest *d = pv_digest_new();
	pv_digest_add(d, b->data, PV_BLOCK_LEN);
	pv_digest_raw(d, h->raw);
	return 0;
}

static int hash_write(void *ctx, const struct pv_block *b, const void *slot, struct pv_error *err)
{
	(void)err;
	if (b->zero)
		return 0;
	pv_autofree char *where = pv_fmt("%llu", (unsigned long long)b->index);
	pv_digest_add(ctx, where, strlen(where) + 1);
	pv_digest_add(ctx, ((const struct hash_slot *)slot)->raw, PV_SHA256_LEN);
	return 0;
}

int pv_export_seed(int fd, uint64_t size, const char *name, const struct pv_machine *machine, unsigned threads,
		   char ret[PV_SHA256_HEX], struct pv_error *err)
{
	static const struct pv_block_step step = { sizeof(struct hash_slot), NULL, NULL, hash_run };

	memcpy(ret, machine->seed, PV_SHA256_HEX);
	if (*ret)
		return 0;
	pv_autodigest *d = pv_digest_new();
	pv_autofree char *bytes = pv_fmt("%llu", (unsigned long long)size);
	pv_digest_add(d, bytes, strlen(bytes) + 1);
	const struct pv_block_sink sink = { &step, hash_write, d };
	const struct pv_blocks_request blocks = {
		.fd = fd, .size = size, .name = name, .sinks = &sink, .nsinks = 1, .threads = threads
	};
	if (pv_blocks_run(&blocks, err) < 0)
		return -1;
	pv_digest_hex(d, ret);
	return 0;
}

/* --- the outputs --- */

/* True when the output would be the image: nothing to do, and nothing to overwrite. */
static bool is_image(const struct export *e, const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_dev == e->st.st_dev && st.st_ino == e->st.st_ino;
}

static int open_output(struct export *e, const struct pv_format *format, struct pv_error *err)
{
	const struct pv_export_request *req = e->req;
	struct pv_outfile *file = &e->files[e->n];
	struct pv_format_output *out = &e->outputs[e->n];
	pv_autofree char *path = req->dir ? pv_fmt("%s/%s.%s", req->dir, req->machine->name, format->suffix) : NULL;

	*file = (struct pv_outfile)PV_OUTFILE_INIT;
	*out = (struct pv_format_output){ .format = format };
	if (path && is_image(e, path)) {
		if (pv_streq(format->word, "raw") && e->size == e->file_size)
			return 0;
		return pv_error_set(err, PV_ERR_USAGE, "%s: is the image itself; give another folder with --out DIR", path);
	}
	if (path && pv_outfile_open(path, file, err) < 0)
		return -1;
	const struct pv_format_facts facts = {
		.machine = req->machine, .seed = e->seed, .size = e->size,
		.fd = path ? file->fd : req->stream_fd, .name = path ? file->path : "standard output",
	};
	e->n++;
	return format->open(out, &facts, err);
}

static void close_all(struct export *e)
{
	for (size_t i = 0; i < e->n; i++) {
		if (e->outputs[i].writer)
			e->outputs[i].format->close(&e->outputs[i]);
		pv_outfile_done(&e->files[i]);
	}
	pv_closep(&e->fd);
}

static int run_blocks(struct export *e, struct pv_error *err)
{
	struct pv_block_sink sinks[OUTPUTS_MAX];
	const struct pv_blocks_request blocks = {
		.fd = e->fd,
		.size = e->size,
		.name = e->req->image,
		.sinks = sinks,
		.nsinks = e->n,
		.threads = e->req->threads,
		.progress = e->req->progress,
		.progress_ctx = e->req->progress_ctx,
	};

	if (e->n == 0)
		return 0;
	for (size_t i = 0; i < e->n; i++)
		sinks[i] = e->outputs[i].sink;
	if (pv_blocks_run(&blocks, err) < 0)
		return -1;
	for (size_t i = 0; i < e->n; i++)
		if (e->outputs[i].format->finish(&e->outputs[i], err) < 0)
			return -1;
	return 0;
}

/* The outputs, and the size before padding, for who wants the disk back bit for bit. That of an earlier export goes
 * first: a run that is killed in between leaves no wrong one. */
static int commit_sized(struct export *e, struct pv_strv *files, struct pv_error *err)
{
	pv_autofree char *path = pv_fmt("%s/%s" PV_CONTAINER_SIZE_SUFFIX, e->req->dir, e->req->machine->name);
	pv_autofree char *text = pv_fmt("%llu\n", (unsigned long long)e->file_size);

	if (unlink(path) < 0 && errno != ENOENT)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot remove it", path);
	for (size_t i = 0; i < e->n; i++) {
		if (pv_outfile_commit(&e->files[i], err) < 0)
			return -1;
		pv_strv_add(files, e->files[i].path);
	}
	if (e->file_size == e->size)
		return 0;
	if (pv_write_file(path, text, strlen(text), 0644, err) < 0)
		return -1;
	pv_strv_add(files, path);
	return 0;
}

static int commit_all(struct export *e, struct pv_strv *files, struct pv_error *err)
{
	if (!e->req->dir)
		return 0;
	if (commit_sized(e, files, err) == 0 &&
	    pv_sidefiles_write(e->req->machine, e->size, e->req->dir, files, err) == 0)
		return 0;
	for (size_t i = 0; i < files->n; i++)
		unlink(files->v[i]);
	return -1;
}

static int check_stream(const struct pv_export_request *req, struct pv_error *err)
{
	if (req->stream_fd < 0)
		return 0;
	if (req->nformats == 1 && pv_format_find(req->formats[0])->streams)
		return 0;
	return pv_error_set(err, PV_ERR_USAGE,
			    "--out -: one format that streams is wanted: xva, xva-xxhash or raw-zst");
}

int pv_export(const struct pv_export_request *req, struct pv_strv *ret_files, struct pv_error *err)
{
	struct export e = { .req = req, .fd = -1 };
	pv_autostrv files = PV_STRV_INIT;
	int rc;

	if (pv_export_check(req->formats, req->nformats, 0, err) < 0 || check_stream(req, err) < 0)
		return -1;
	rc = open_image(&e, err);
	if (rc == 0)
		rc = pv_export_check(req->formats, req->nformats, e.size, err);
	if (rc == 0)
		rc = pv_export_seed(e.fd, e.size, req->image, req->machine, req->threads, e.seed, err);
	for (size_t i = 0; i < req->nformats && rc == 0; i++)
		rc = open_output(&e, pv_format_find(req->formats[i]), err);
	if (rc == 0)
		rc = run_blocks(&e, err);
	if (rc == 0)
		rc = commit_all(&e, &files, err);
	close_all(&e);
	for (size_t i = 0; i < files.n && rc == 0; i++)
		pv_strv_add(ret_files, files.v[i]);
	return rc;
}
