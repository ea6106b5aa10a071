/* SPDX-License-Identifier: Apache-2.0 */
/* Makes an image's files and the lists of a mirror; where they go is the target's affair. */
#include "publish_version.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "export.h"
#include "export_format.h"
#include "fsutil.h"
#include "proc.h"
#include "url.h"

#define SIGN_SECONDS 300		/* somebody may have to type a passphrase */

static const char *const default_formats[] = { "qcow2" };

void pv_version_done(struct pv_version *v)
{
	for (size_t i = 0; i < v->files.n; i++) {
		free(v->items[i].ftype);
		free(v->items[i].path);
	}
	free(v->items);
	free(v->product);
	pv_strv_done(&v->ftypes);
	pv_strv_done(&v->files);
}

int pv_version_plan(const struct pv_publish *what, struct pv_error *err)
{
	const char *name = what->machine->name;

	if (!pv_url_path_ok(name) || strchr(name, '/') || name[0] == '.')
		return pv_error_set(err, PV_ERR_USAGE, "%s: such a name cannot be part of a URL; give the image another one",
				    name);
	return what->sign ? pv_proc_need("gpg", "gpg", err) : 0;
}

/* --- the image --- */

static void show(const struct pv_publish *what, const char *step, uint64_t done, uint64_t total)
{
	if (what->progress)
		what->progress(what->ctx, step, done, total);
}

static void show_writing(void *ctx, uint64_t done, uint64_t total)
{
	show(ctx, "writing", done, total);
}

/* simplestreams' own word for a qcow2 is "disk1.img"; else it is what follows the name. */
static char *ftype_of(const char *suffix)
{
	return pv_xstrdup(pv_streq(suffix, "qcow2") ? "disk1.img" : suffix);
}

static int hash_image(struct pv_version *v, struct pv_error *err)
{
	const char *image = v->what->image;
	pv_autoclose int fd = open(image, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	uint64_t size;

	if (fd < 0 || fstat(fd, &v->st) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot open the image", image);
	if (!S_ISREG(v->st.st_mode))
		return pv_error_set(err, PV_ERR_STAGE, "%s: is no file", image);
	show(v->what, "reading", 0, (uint64_t)v->st.st_size);
	if (pv_digest_fd(fd, image, v->sha256, &size, err) < 0)
		return -1;
	show(v->what, "reading", size, size);
	if (v->what->sha256 && !pv_streq(v->what->sha256, v->sha256))
		return pv_error_set(err, PV_ERR_STAGE, "%s: has the digest %s, not the %s that was verified; verify it again",
				    image, v->sha256, v->what->sha256);
	return 0;
}

int pv_version_read(const struct pv_publish *what, struct pv_version *ret, struct pv_error *err)
{
	ret->what = what;
	ret->formats = what->nformats ? what->formats : default_formats;
	ret->nformats = what->nformats ? what->nformats : PV_COUNT(default_formats);
	ret->product = pv_streams_product(what->machine->name);
	for (size_t i = 0; i < ret->nformats; i++)
		pv_strv_take(&ret->ftypes, ftype_of(pv_format_find(ret->formats[i])->suffix));
	return hash_image(ret, err);
}

/* What was exported is what was hashed: nobody wrote to the image meanwhile, or put another in its place. */
static int check_unchanged(const struct pv_version *v, struct pv_error *err)
{
	const struct stat *a = &v->st;
	struct stat b;

	if (stat(v->what->image, &b) < 0 || a->st_dev != b.st_dev || a->st_ino != b.st_ino || a->st_size != b.st_size ||
	    a->st_mtim.tv_sec != b.st_mtim.tv_sec || a->st_mtim.tv_nsec != b.st_mtim.tv_nsec ||
	    a->st_ctim.tv_sec != b.st_ctim.tv_sec || a->st_ctim.tv_nsec != b.st_ctim.tv_nsec)
		return pv_error_set(err, PV_ERR_STAGE, "%s: was changed while it was published; start again",
				    v->what->image);
	return 0;
}

/* --- its files --- */

static int add_item(struct pv_version *v, const char *path, struct pv_error *err)
{
	const char *file = strrchr(path, '/') + 1, *name = v->what->machine->name;
	struct pv_streams_item item = { 0 };

	if (pv_digest_file(path, item.sha256, &item.size, err) < 0)
		return -1;
	bool ours = pv_starts(file, name) && file[strlen(name)] == '.';
	item.ftype = ftype_of(ours ? file + strlen(name) + 1 : file);
	v->items = pv_xreallocarray(v->items, v->files.n + 1, sizeof(*v->items));
	v->items[v->files.n] = item;
	pv_strv_add(&v->files, path);
	return 0;
}

/* The records that a stranger may want to read. */
static int copy_record(struct pv_version *v, const char *dir, const char *file, struct pv_error *err)
{
	const char *image = v->what->image, *slash = strrchr(image, '/');
	pv_autofree char *from = pv_fmt("%.*s%s", slash ? (int)(slash - image) + 1 : 0, image, file),
		       *to = pv_path_join(dir, file), *text = NULL;
	size_t len = 0;

	if (!pv_exists(from))
		return 0;
	if (pv_read_file(from, PV_STREAMS_MAX, &text, &len, err) < 0 || pv_write_file(to, text, len, 0644, err) < 0)
		return -1;
	return add_item(v, to, err);
}

int pv_version_fill(struct pv_version *v, const char *dir, struct pv_error *err)
{
	pv_autostrv files = PV_STRV_INIT;
	const struct pv_export_request req = {
		.image = v->what->image, .machine = v->what->machine, .formats = v->formats, .nformats = v->nformats,
		.dir = dir, .stream_fd = -1, .progress = show_writing, .progress_ctx = (void *)(uintptr_t)v->what,
	};

	if (pv_mkdirs(dir, 0755, err) < 0 || pv_export(&req, &files, err) < 0 || check_unchanged(v, err) < 0)
		return -1;
	for (size_t i = 0; i < files.n; i++)
		if (add_item(v, files.v[i], err) < 0)
			return -1;
	/* without a verdict of this disk there is none to show */
	if (copy_record(v, dir, "manifest.json", err) < 0 ||
	    (v->what->sha256 && copy_record(v, dir, "verdict.json", err) < 0))
		return -1;
	return pv_proc_check_interrupt(err);
}

void pv_version_set_paths(struct pv_version *v, const char *version, bool by_digest)
{
	for (size_t i = 0; i < v->files.n; i++) {
		struct pv_streams_item *item = &v->items[i];

		free(item->path);
		item->path = pv_fmt("images/%s/%s/%.*s%s%s", v->what->machine->name, version, by_digest ? 16 : 0, item->sha256,
				    by_digest ? "/" : "", strrchr(v->files.v[i], '/') + 1);
	}
}

uint64_t pv_version_size(const struct pv_version *v)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < v->files.n; i++)
		sum += v->items[i].size;
	return sum;
}

/* --- lists --- */

/* A clearsigned copy: text and signature in one file, so that no reader sees one without the other. */
static int sign(const char *key, const char *text, char **ret, struct pv_error *err)
{
	const char *const argv[] = { "gpg", "--batch", "--no-tty", "--quiet", "--local-user", key, "--clearsign", NULL };
	pv_autoclose int fd = memfd_create("pvimg-signed", MFD_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return pv_error_errno(err, PV_ERR_HOST, errno, "memfd_create");
	const struct pv_proc proc = { .argv = argv, .input = text, .input_len = strlen(text), .stdout_fd = fd,
				      .deadline_s = SIGN_SECONDS };
	if (pv_proc_check(&proc, PV_ERR_HOST, err) < 0)
		return pv_error_wrap(err, "--sign %s", key);
	if (fstat(fd, &st) < 0)
		return pv_error_errno(err, PV_ERR_HOST, errno, "memfd_create");
	pv_autofree char *out = pv_xcalloc((size_t)st.st_size + 1, 1);
	if (pv_pread_all(fd, out, (size_t)st.st_size, 0) != st.st_size || !pv_starts(out, "-----BEGIN PGP SIGNED MESSAGE-----"))
		return pv_error_set(err, PV_ERR_HOST, "--sign %s: gpg gave no signed text", key);
	*ret = pv_steal(&out);
	return 0;
}

void pv_version_texts_done(struct pv_version_texts *t)
{
	free(t->list);
	free(t->index);
	free(t->signed_list);
	free(t->signed_index);
	*t = (struct pv_version_texts){ 0 };
}

/* All of them, before the first is written: a key that does not sign leaves the mirror as it was. */
int pv_version_texts(const struct pv_version *v, const char *version, json_t *list, json_t *index,
		     struct pv_strv *ret_dropped, struct pv_version_texts *ret, struct pv_error *err)
{
	const char *key = v->what->sign;
	pv_autotexts t = { 0 };
	time_t now = time(NULL);

	pv_streams_add(list, v->what->machine, version, v->sha256, v->items, v->files.n);
	pv_streams_prune(list, v->product, v->what->keep ? v->what->keep : PV_VERSION_KEEP, ret_dropped);
	t.list = pv_streams_text(list, now);
	pv_streams_index_update(index, list, false);
	t.index = pv_streams_text(index, now);
	if (key) {
		pv_streams_index_update(index, list, true);
		pv_autofree char *text = pv_streams_text(index, now);

		if (sign(key, t.list, &t.signed_list, err) < 0 || sign(key, text, &t.signed_index, err) < 0)
			return -1;
	}
	*ret = t;
	memset(&t, 0, sizeof(t));
	return 0;
}

int pv_version_put_texts(const struct pv_version_texts *t,
			 int (*put)(void *ctx, const char *path, const char *text, struct pv_error *err), void *ctx,
			 struct pv_error *err)
{
	if (t->signed_list && put(ctx, PV_STREAMS_LIST ".sjson", t->signed_list, err) < 0)
		return -1;
	if (put(ctx, PV_STREAMS_LIST ".json", t->list, err) < 0)
		return -1;
	if (t->signed_index && put(ctx, PV_STREAMS_INDEX ".sjson", t->signed_index, err) < 0)
		return -1;
	return put(ctx, PV_STREAMS_INDEX ".json", t->index, err);
}
