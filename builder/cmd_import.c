/* SPDX-License-Identifier: Apache-2.0 */
/* pvimg import: the raw disk out of an image of any format, bit for bit. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bytes.h"
#include "cmd.h"
#include "container.h"
#include "fsutil.h"
#include "outfile.h"

#define MIB (UINT64_C(1) << 20)

/* FILE without what says how it is packed: "dir/debian-2g" of "dir/debian-2g.vhd.tar.gz". */
static char *stem(const char *file)
{
	static const char *const suffixes[] = { ".vhd.tar.gz", ".raw.zst", ".qcow2", ".vhd", ".xva",
						".tgz",        ".tar.gz",  ".zst",   ".gz",  ".img" };

	for (size_t i = 0; i < PV_COUNT(suffixes); i++)
		if (pv_ends(file, suffixes[i]) && strlen(file) > strlen(suffixes[i]))
			return pv_xstrndup(file, strlen(file) - strlen(suffixes[i]));
	return pv_xstrdup(file);
}

static char *output_path(const struct pv_cmd_ctx *ctx, const char *base)
{
	const char *slash = strrchr(base, '/');

	if (ctx->opts.out)
		return pv_fmt("%s/%s.raw", ctx->paths.out_dir, slash ? slash + 1 : base);
	return pv_fmt("%s.raw", base);
}

/* The size before an export padded it, as the file beside says; size itself where there is none. */
static int original_size(const char *base, uint64_t size, uint64_t *ret, struct pv_error *err)
{
	pv_autofree char *path = pv_fmt("%s" PV_CONTAINER_SIZE_SUFFIX, base), *text = NULL;

	*ret = size;
	if (!pv_exists(path))
		return 0;
	if (pv_read_file(path, 64, &text, NULL, err) < 0)
		return -1;
	text[strcspn(text, "\n")] = '\0';
	if (size < MIB || pv_parse_u64(text, size - MIB + 1, size, ret) < 0)
		return pv_error_set(err, PV_ERR_STAGE,
				    "%s: does not fit a disk of %llu bytes; remove it to keep the padding", path,
				    (unsigned long long)size);
	return 0;
}

/* Takes padding off the end, which is zeros: with anything else there, the size is another disk's. */
static int cut(const struct pv_outfile *out, const char *base, uint64_t size, uint64_t original, struct pv_error *err)
{
	size_t len = (size_t)(size - original);
	pv_autofree uint8_t *end = pv_xmalloc(len);

	if (pv_pread_all(out->fd, end, len, (off_t)original) != (ssize_t)len)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot read", out->path);
	if (!pv_all_zero(end, len))
		return pv_error_set(err, PV_ERR_STAGE, "%s" PV_CONTAINER_SIZE_SUFFIX
				    ": is of another disk: this one has data behind its %llu bytes; remove it", base,
				    (unsigned long long)original);
	if (ftruncate(out->fd, (off_t)original) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", out->path);
	return 0;
}

static int unpack(struct pv_cmd_ctx *ctx, const char *file, int fd, uint64_t file_size, const char *base,
		  struct pv_outfile *out, struct pv_error *err)
{
	pv_autofree char *dir = pv_path_dir(out->path);
	struct pv_unpack_request req = { .fd = fd,
					 .file_size = file_size,
					 .name = file,
					 .out_fd = out->fd,
					 .tmp_dir = dir,
					 .progress = pv_log_stage_bytes,
					 .progress_ctx = ctx->log };
	uint64_t size, original;

	if (pv_container_detect(fd, file_size, file, &req.kind, err) < 0 || pv_container_unpack(&req, &size, err) < 0 ||
	    original_size(base, size, &original, err) < 0)
		return -1;
	if (original != size && cut(out, base, size, original, err) < 0)
		return -1;
	return pv_outfile_commit(out, err);
}

int pv_cmd_import(struct pv_cmd_ctx *ctx, int argc, char **argv, struct pv_error *err)
{
	pv_autofree char *base = stem(argv[0]), *path = output_path(ctx, base);
	pv_autoclose int fd = open(argv[0], O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	pv_autooutfile out = PV_OUTFILE_INIT;
	struct stat st;

	(void)argc;
	if (fd < 0 || fstat(fd, &st) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot open", argv[0]);
	if (!S_ISREG(st.st_mode))
		return pv_error_set(err, PV_ERR_STAGE, "%s: is no file", argv[0]);
	if (pv_exists(path))
		return pv_error_set(err, PV_ERR_STAGE,
				    "%s: is there already; remove it, or name another folder with --out DIR", path);
	if (ctx->opts.out && pv_mkdirs(ctx->paths.out_dir, 0755, err) < 0)
		return -1;
	if (pv_outfile_open(path, &out, err) < 0)
		return -1;
	pv_log_stage_begin(ctx->log, argv[0], "import");
	int rc = unpack(ctx, argv[0], fd, (uint64_t)st.st_size, base, &out, err);
	pv_log_stage_end(ctx->log, rc == 0, NULL);
	if (rc == 0)
		puts(path);
	return rc;
}
