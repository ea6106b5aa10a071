/* SPDX-License-Identifier: Apache-2.0 */
/* Publishing to an image mirror: a folder that any web server can serve. Files first, lists next, the index last. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fsutil.h"
#include "proc.h"
#include "publish.h"
#include "publish_version.h"
#include "streams.h"
#include "url.h"

#define SCHEME "simplestreams:"

struct mirror {
	char *dir;
};

struct job {
	const struct pv_publish *what;
	const char *dir;
	struct pv_version v;
	char *home;			/* DIR/images/NAME */
	char *version, *stage;		/* stage: HOME/.VERSION.new; NULL: none is open */
	int lock;
	json_t *list, *index;
};

static void job_done(struct job *j)
{
	if (j->stage && pv_rmtree(j->stage, NULL) < 0 && j->what->note)
		j->what->note(j->what->ctx, "what was half done stays until the next run");
	pv_version_done(&j->v);
	free(j->home);
	free(j->version);
	free(j->stage);
	json_decref(j->list);
	json_decref(j->index);
	pv_closep(&j->lock);
}
#define auto_job __attribute__((cleanup(job_done))) struct job

/* --- what can be refused before anything is done --- */

static int plan(const char *to, const struct pv_publish *what, void **ret, struct pv_error *err)
{
	const char *dir = to + sizeof(SCHEME) - 1;

	if (!*dir)
		return pv_error_set(err, PV_ERR_USAGE, "--to %s: a folder is wanted after it", to);
	if (pv_version_plan(what, err) < 0)
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
	if (pv_mkdirs(lists, 0755, err) < 0 || pv_mkdirs(j->home, 0755, err) < 0 || pv_lock(lock, true, &j->lock, err) < 0)
		return -1;
	if (load(j, PV_STREAMS_LIST, pv_streams_list_parse, &j->list, err) < 0 ||
	    load(j, PV_STREAMS_INDEX, pv_streams_index_parse, &j->index, err) < 0)
		return -1;
	return sweep(j, err);
}

/* The newest version has this disk in these formats, its files are there, and the index came to name it. */
static bool is_there(const struct job *j)
{
	const char *newest = pv_streams_newest(j->list, j->v.product);
	pv_autostrv paths = PV_STRV_INIT;
	pv_autofree uint64_t *sizes = NULL;
	struct stat st;

	pv_autofree char *signed_index = pv_fmt("%s/" PV_STREAMS_INDEX ".sjson", j->dir);
	if (!newest || !pv_streams_holds(j->list, j->v.product, newest, j->v.sha256, &j->v.ftypes) ||
	    !pv_streams_index_has(j->index, j->v.product) || (j->what->sign && !pv_exists(signed_index)))
		return false;
	pv_streams_files(j->list, j->v.product, newest, &paths, &sizes);
	for (size_t i = 0; i < paths.n; i++) {
		pv_autofree char *path = pv_path_join(j->dir, paths.v[i]);

		if (!pv_url_path_ok(paths.v[i]) || lstat(path, &st) < 0 || !S_ISREG(st.st_mode) ||
		    (uint64_t)st.st_size != sizes[i])
			return false;
	}
	return true;
}

/* --- the new version --- */

static int put(void *ctx, const char *file, const char *text, struct pv_error *err)
{
	const struct job *j = ctx;
	pv_autofree char *path = pv_path_join(j->dir, file);

	return pv_write_file(path, text, strlen(text), 0644, err);
}

/* The version's files get their place, then the lists name them, then what no list names goes. */
static int commit(struct job *j, unsigned *ret_removed, struct pv_error *err)
{
	pv_autofree char *final = pv_path_join(j->home, j->version);
	pv_autostrv dropped = PV_STRV_INIT;
	pv_autotexts texts = { 0 };

	if (pv_version_texts(&j->v, j->version, j->list, j->index, &dropped, &texts, err) < 0 ||
	    pv_proc_check_interrupt(err) < 0)
		return -1;
	if (pv_rmtree(final, err) < 0)		/* of a run that was killed before a list named it */
		return -1;
	if (rename(j->stage, final) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", final);
	pv_freep(&j->stage);
	if (pv_version_put_texts(&texts, put, j, err) < 0)
		return -1;
	for (size_t i = 0; i < dropped.n; i++) {
		pv_autofree char *old = pv_path_join(j->home, dropped.v[i]);

		if (pv_rmtree(old, err) < 0)
			return -1;
	}
	*ret_removed = (unsigned)dropped.n;
	return 0;
}

static int send_version(struct job *j, struct pv_publish_result *ret, struct pv_error *err)
{
	if (pv_streams_next(j->list, j->v.product, j->what->machine->epoch, &j->version, err) < 0)
		return -1;
	j->stage = pv_fmt("%s/.%s.new", j->home, j->version);
	if (pv_version_fill(&j->v, j->stage, err) < 0)
		return -1;
	pv_version_set_paths(&j->v, j->version, false);
	ret->sent = pv_version_size(&j->v);
	return commit(j, &ret->removed, err);
}

static int send(void *self, const struct pv_publish *what, struct pv_publish_result *ret, struct pv_error *err)
{
	const struct mirror *m = self;
	auto_job j = { .what = what, .dir = m->dir, .lock = -1 };
	struct pv_publish_result result = { 0 };

	if (pv_version_read(what, &j.v, err) < 0 || open_mirror(&j, err) < 0)
		return -1;
	result.already = is_there(&j);
	if (!result.already && send_version(&j, &result, err) < 0)
		return -1;
	result.target = pv_fmt(SCHEME "%s", m->dir);
	result.id = pv_fmt("%s %s", j.v.product, result.already ? pv_streams_newest(j.list, j.v.product) : j.version);
	memcpy(result.sha256, j.v.sha256, sizeof(result.sha256));
	*ret = result;
	return 0;
}

const struct pv_publish_target pv_target_streams = {
	.scheme = SCHEME, .form = SCHEME "DIR", .kind = "version", .plan = plan, .send = send, .free = mirror_free,
};
