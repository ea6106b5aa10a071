/* SPDX-License-Identifier: Apache-2.0 */
/* Publishing to an image mirror: a folder that any web server can serve. Files first, lists next, the index last. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "export.h"
#include "export_format.h"
#include "fsutil.h"
#include "proc.h"
#include "publish.h"
#include "streams.h"
#include "url.h"

#define SCHEME "simplestreams:"
#define KEEP 3u				/* a reader that has just read the list still finds the files of the version before */
#define SIGN_SECONDS 300		/* somebody may have to type a passphrase */

static const char *const default_formats[] = { "qcow2" };

struct mirror {
	char *dir;
};

struct job {
	const struct pv_publish *what;
	const char *dir;
	char *product, *home;		/* home: DIR/images/NAME */
	char *version, *stage;		/* stage: HOME/.VERSION.new; NULL: none is open */
	int fd, lock;
	struct stat st;
	char sha256[PV_SHA256_HEX];
	json_t *list, *index;
	struct pv_streams_item *items;
	size_t nitems;
	uint64_t sent;
};

static void job_done(struct job *j)
{
	if (j->stage && pv_rmtree(j->stage, NULL) < 0 && j->what->note)
		j->what->note(j->what->ctx, "what was half done stays until the next run");
	for (size_t i = 0; i < j->nitems; i++) {
		free(j->items[i].ftype);
		free(j->items[i].path);
	}
	free(j->items);
	free(j->product);
	free(j->home);
	free(j->version);
	free(j->stage);
	json_decref(j->list);
	json_decref(j->index);
	pv_closep(&j->fd);
	pv_closep(&j->lock);
}
#define auto_job __attribute__((cleanup(job_done))) struct job

/* --- what can be refused before anything is done --- */

static int plan(const char *to, const struct pv_publish *what, void **ret, struct pv_error *err)
{
	const char *dir = to + sizeof(SCHEME) - 1, *name = what->machine->name;

	if (!*dir)
		return pv_error_set(err, PV_ERR_USAGE, "--to %s: a folder is wanted after it", to);
	if (!pv_url_path_ok(name) || strchr(name, '/') || name[0] == '.')
		return pv_error_set(err, PV_ERR_USAGE, "%s: such a name cannot be part of a URL; give the image another one",
				    name);
	if (what->sign && pv_proc_need("gpg", "gpg", err) < 0)
		return -1;
	pv_autofree char *signed_index = pv_fmt("%s/" PV_STREAMS_INDEX ".sjson", dir);
	if (!what->sign && pv_exists(signed_index))
		return pv_error_set(err, PV_ERR_USAGE, "%s: this mirror is signed; name the key with --sign KEY", dir);
	struct mirror *m = pv_xcalloc(1, sizeof(*m));
	m->dir = pv_xstrdup(dir);
	*ret = m;
	return 0;
}

static void mirror_free(void *self)
{
	struct mirror *m = self;

	free(m->dir);
	free(m);
}

/* --- the image --- */

static void show(const struct job *j, const char *step, uint64_t done, uint64_t total)
{
	if (j->what->progress)
		j->what->progress(j->what->ctx, step, done, total);
}

static void show_writing(void *ctx, uint64_t done, uint64_t total)
{
	show(ctx, "writing", done, total);
}

static int read_image(struct job *j, struct pv_error *err)
{
	const char *image = j->what->image;
	uint64_t size;

	j->fd = open(image, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (j->fd < 0 || fstat(j->fd, &j->st) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot open the image", image);
	if (!S_ISREG(j->st.st_mode))
		return pv_error_set(err, PV_ERR_STAGE, "%s: is no file", image);
	show(j, "reading", 0, (uint64_t)j->st.st_size);
	if (pv_digest_fd(j->fd, image, j->sha256, &size, err) < 0)
		return -1;
	show(j, "reading", size, size);
	if (j->what->sha256 && !pv_streq(j->what->sha256, j->sha256))
		return pv_error_set(err, PV_ERR_STAGE, "%s: has the digest %s, not the %s that was verified; verify it again",
				    image, j->sha256, j->what->sha256);
	return 0;
}

/* What was exported is what was hashed: nobody wrote to the image meanwhile, or put another in its place. */
static int check_unchanged(const struct job *j, struct pv_error *err)
{
	const struct stat *a = &j->st;
	struct stat b;

	if (stat(j->what->image, &b) < 0 || a->st_dev != b.st_dev || a->st_ino != b.st_ino || a->st_size != b.st_size ||
	    a->st_mtim.tv_sec != b.st_mtim.tv_sec || a->st_mtim.tv_nsec != b.st_mtim.tv_nsec ||
	    a->st_ctim.tv_sec != b.st_ctim.tv_sec || a->st_ctim.tv_nsec != b.st_ctim.tv_nsec)
		return pv_error_set(err, PV_ERR_STAGE, "%s: was changed while it was published; start again",
				    j->what->image);
	return 0;
}

/* --- the mirror as it is --- */

typedef int parse_fn(const char *text, size_t len, const char *name, json_t **ret, struct pv_error *err);

static int load(const struct job *j, const char *file, parse_fn *parse, json_t **ret, struct pv_error *err)
{
	pv_autofree char *path = pv_fmt("%s/%s.json", j->dir, file), *text = NULL;
	size_t len = 0;

	if (pv_exists(path) && pv_read_file(path, PV_STREAMS_MAX, &text, &len, err) < 0)
		return -1;
	return parse(text, len, path, ret, err);
}

/* What a killed run left. A whole folder that no list names is replaced when its version comes again. */
static int sweep(const struct job *j, struct pv_error *err)
{
	pv_autostrv names = PV_STRV_INIT;

	if (pv_list_dir(j->home, &names, err) < 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		pv_autofree char *path = pv_path_join(j->home, names.v[i]);

		if (names.v[i][0] == '.' && pv_ends(names.v[i], ".new") && pv_rmtree(path, err) < 0)
			return -1;
	}
	return 0;
}

static int open_mirror(struct job *j, struct pv_error *err)
{
	pv_autofree char *lists = pv_fmt("%s/streams/v1", j->dir), *lock = pv_fmt("%s/.lock", j->dir);

	j->home = pv_fmt("%s/images/%s", j->dir, j->what->machine->name);
	j->product = pv_streams_product(j->what->machine->name);
	if (pv_mkdirs(lists, 0755, err) < 0 || pv_mkdirs(j->home, 0755, err) < 0 || pv_lock(lock, true, &j->lock, err) < 0)
		return -1;
	if (load(j, PV_STREAMS_LIST, pv_streams_list_parse, &j->list, err) < 0 ||
	    load(j, PV_STREAMS_INDEX, pv_streams_index_parse, &j->index, err) < 0)
		return -1;
	return sweep(j, err);
}

/* The newest version has this disk in these formats, its files are there, and the index came to name it. */
static bool is_there(const struct job *j, const struct pv_strv *ftypes)
{
	const char *newest = pv_streams_newest(j->list, j->product);
	pv_autostrv paths = PV_STRV_INIT;
	pv_autofree uint64_t *sizes = NULL;
	struct stat st;

	pv_autofree char *signed_index = pv_fmt("%s/" PV_STREAMS_INDEX ".sjson", j->dir);
	if (!newest || !pv_streams_holds(j->list, j->product, newest, j->sha256, ftypes) ||
	    !pv_streams_index_has(j->index, j->product) || (j->what->sign && !pv_exists(signed_index)))
		return false;
	pv_streams_files(j->list, j->product, newest, &paths, &sizes);
	for (size_t i = 0; i < paths.n; i++) {
		pv_autofree char *path = pv_path_join(j->dir, paths.v[i]);

		if (!pv_url_path_ok(paths.v[i]) || lstat(path, &st) < 0 || !S_ISREG(st.st_mode) ||
		    (uint64_t)st.st_size != sizes[i])
			return false;
	}
	return true;
}

/* --- the new version --- */

/* simplestreams' own word for a qcow2 is "disk1.img"; else it is what follows the name. */
static char *ftype_of(const char *suffix)
{
	return pv_xstrdup(pv_streq(suffix, "qcow2") ? "disk1.img" : suffix);
}

static int add_item(struct job *j, const char *path, struct pv_error *err)
{
	const char *file = strrchr(path, '/') + 1, *name = j->what->machine->name;
	struct pv_streams_item item;

	if (pv_digest_file(path, item.sha256, &item.size, err) < 0)
		return -1;
	bool ours = pv_starts(file, name) && file[strlen(name)] == '.';
	item.ftype = ftype_of(ours ? file + strlen(name) + 1 : file);
	item.path = pv_fmt("images/%s/%s/%s", name, j->version, file);
	j->sent += item.size;
	j->items = pv_xreallocarray(j->items, j->nitems + 1, sizeof(*j->items));
	j->items[j->nitems++] = item;
	return 0;
}

/* The records that a stranger may want to read. */
static int copy_record(struct job *j, const char *file, struct pv_error *err)
{
	const char *slash = strrchr(j->what->image, '/');
	pv_autofree char *from = pv_fmt("%.*s%s", slash ? (int)(slash - j->what->image) + 1 : 0, j->what->image, file),
		       *to = pv_path_join(j->stage, file), *text = NULL;
	size_t len;

	if (!pv_exists(from))
		return 0;
	if (pv_read_file(from, PV_STREAMS_MAX, &text, &len, err) < 0 || pv_write_file(to, text, len, 0644, err) < 0)
		return -1;
	return add_item(j, to, err);
}

static int fill_stage(struct job *j, const char *const *formats, size_t n, struct pv_error *err)
{
	pv_autostrv files = PV_STRV_INIT;
	const struct pv_export_request req = {
		.image = j->what->image, .machine = j->what->machine, .formats = formats, .nformats = n, .dir = j->stage,
		.stream_fd = -1, .progress = show_writing, .progress_ctx = j,
	};

	if (pv_mkdirs(j->stage, 0755, err) < 0 || pv_export(&req, &files, err) < 0 || check_unchanged(j, err) < 0)
		return -1;
	for (size_t i = 0; i < files.n; i++)
		if (add_item(j, files.v[i], err) < 0)
			return -1;
	/* without a verdict of this disk there is none to show */
	if (copy_record(j, "manifest.json", err) < 0 || (j->what->sha256 && copy_record(j, "verdict.json", err) < 0))
		return -1;
	return pv_proc_check_interrupt(err);
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

struct texts {
	char *list, *index, *signed_list, *signed_index;
};

static void texts_done(struct texts *t)
{
	free(t->list);
	free(t->index);
	free(t->signed_list);
	free(t->signed_index);
}
#define auto_texts __attribute__((cleanup(texts_done))) struct texts

/* All of them, before the first is written: a key that does not sign leaves the mirror as it was. */
static int make_texts(struct job *j, struct texts *t, struct pv_error *err)
{
	const char *key = j->what->sign;
	time_t now = time(NULL);

	t->list = pv_streams_text(j->list, now);
	pv_streams_index_update(j->index, j->list, false);
	t->index = pv_streams_text(j->index, now);
	if (!key)
		return 0;
	pv_streams_index_update(j->index, j->list, true);
	pv_autofree char *index = pv_streams_text(j->index, now);
	return sign(key, t->list, &t->signed_list, err) < 0 || sign(key, index, &t->signed_index, err) < 0 ? -1 : 0;
}

static int put(const struct job *j, const char *file, const char *suffix, const char *text, struct pv_error *err)
{
	pv_autofree char *path = pv_fmt("%s/%s%s", j->dir, file, suffix);

	return text ? pv_write_file(path, text, strlen(text), 0644, err) : 0;
}

/* Of each pair the plain one last: it is what the next run goes by. */
static int write_texts(const struct job *j, const struct texts *t, struct pv_error *err)
{
	if (put(j, PV_STREAMS_LIST, ".sjson", t->signed_list, err) < 0 || put(j, PV_STREAMS_LIST, ".json", t->list, err) < 0)
		return -1;
	if (put(j, PV_STREAMS_INDEX, ".sjson", t->signed_index, err) < 0)
		return -1;
	return put(j, PV_STREAMS_INDEX, ".json", t->index, err);
}

/* The version's files get their place, then the lists name them, then what no list names goes. */
static int commit(struct job *j, unsigned *ret_removed, struct pv_error *err)
{
	pv_autofree char *final = pv_path_join(j->home, j->version);
	pv_autostrv dropped = PV_STRV_INIT;
	auto_texts texts = { 0 };

	pv_streams_add(j->list, j->what->machine, j->version, j->sha256, j->items, j->nitems);
	pv_streams_prune(j->list, j->product, j->what->keep ? j->what->keep : KEEP, &dropped);
	if (make_texts(j, &texts, err) < 0 || pv_proc_check_interrupt(err) < 0)
		return -1;
	if (pv_rmtree(final, err) < 0)		/* of a run that was killed before a list named it */
		return -1;
	if (rename(j->stage, final) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", final);
	pv_freep(&j->stage);
	if (write_texts(j, &texts, err) < 0)
		return -1;
	for (size_t i = 0; i < dropped.n; i++) {
		pv_autofree char *old = pv_path_join(j->home, dropped.v[i]);

		if (pv_rmtree(old, err) < 0)
			return -1;
	}
	*ret_removed = (unsigned)dropped.n;
	return 0;
}

static void wanted(const char *const *formats, size_t n, struct pv_strv *ret)
{
	for (size_t i = 0; i < n; i++)
		pv_strv_take(ret, ftype_of(pv_format_find(formats[i])->suffix));
}

static int send_version(struct job *j, const char *const *formats, size_t n, struct pv_publish_result *ret,
			struct pv_error *err)
{
	if (pv_streams_next(j->list, j->product, j->what->machine->epoch, &j->version, err) < 0)
		return -1;
	j->stage = pv_fmt("%s/.%s.new", j->home, j->version);
	if (fill_stage(j, formats, n, err) < 0)
		return -1;
	return commit(j, &ret->removed, err);
}

static int send(void *self, const struct pv_publish *what, struct pv_publish_result *ret, struct pv_error *err)
{
	const struct mirror *m = self;
	const char *const *formats = what->nformats ? what->formats : default_formats;
	size_t n = what->nformats ? what->nformats : PV_COUNT(default_formats);
	auto_job j = { .what = what, .dir = m->dir, .fd = -1, .lock = -1 };
	struct pv_publish_result result = { 0 };
	pv_autostrv ftypes = PV_STRV_INIT;

	wanted(formats, n, &ftypes);
	if (read_image(&j, err) < 0 || open_mirror(&j, err) < 0)
		return -1;
	result.already = is_there(&j, &ftypes);
	if (!result.already && send_version(&j, formats, n, &result, err) < 0)
		return -1;
	result.target = pv_fmt(SCHEME "%s", m->dir);
	result.id = pv_fmt("%s %s", j.product, result.already ? pv_streams_newest(j.list, j.product) : j.version);
	memcpy(result.sha256, j.sha256, sizeof(result.sha256));
	result.sent = j.sent;
	*ret = result;
	return 0;
}

const struct pv_publish_target pv_target_streams = {
	.scheme = SCHEME, .form = SCHEME "DIR", .kind = "version", .plan = plan, .send = send, .free = mirror_free,
};
