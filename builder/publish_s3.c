/* SPDX-License-Identifier: Apache-2.0 */
/* An image mirror in a bucket: reads its lists, sends a version's files, and replaces the lists when nobody else does. */
#include "publish_s3.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "fsutil.h"
#include "proc.h"
#include "publish_version.h"
#include "streams.h"
#include "url.h"
#include "workdir.h"

#define LOCK ".lock"
#define LOCK_MAX ((size_t)4096)		/* somebody else may write more than a token */
#define LOCK_OLD_S 300u			/* it is held for a few small requests, each of which may be tried again for a while */
#define LOCK_WAIT_S 600u
#define ROUNDS 20u			/* each one lost to somebody who published meanwhile */
#define TOKEN_LEN 33

/* The lists as they were read. Text NULL: there is none. */
struct lists {
	char *list_text, *index_text;
	json_t *list, *index;
	bool is_signed;
};

struct job {
	const struct pv_publish *what;
	struct pv_s3 *s3;
	struct pv_version v;
	struct pv_workdir work;
	bool filled;
	char *version;			/* for which the files are there */
	uint64_t sent, before, total;	/* bytes: sent; of files that are done; of all files */
	char token[TOKEN_LEN];		/* in the lock: whose it is */
};

static void lists_done(struct lists *l)
{
	pv_freep(&l->list_text);
	pv_freep(&l->index_text);
	json_decref(l->list);
	json_decref(l->index);
	*l = (struct lists){ 0 };
}
#define auto_lists __attribute__((cleanup(lists_done))) struct lists

static void job_done(struct job *j)
{
	pv_version_done(&j->v);
	pv_workdir_free(&j->work);
	pv_s3_freep(&j->s3);
	free(j->version);
}
#define auto_job __attribute__((cleanup(job_done))) struct job

/* --- the mirror as it is --- */

static int read_texts(struct job *j, struct lists *l, struct pv_error *err)
{
	size_t len;

	return pv_s3_get(j->s3, PV_STREAMS_LIST ".json", PV_STREAMS_MAX, &l->list_text, &len, err) < 0 ||
			       pv_s3_get(j->s3, PV_STREAMS_INDEX ".json", PV_STREAMS_MAX, &l->index_text, &len, err) < 0
		       ? -1
		       : 0;
}

static int read_lists(struct job *j, struct lists *l, struct pv_error *err)
{
	struct pv_s3_head signed_index;

	if (read_texts(j, l, err) < 0 || pv_s3_stat(j->s3, PV_STREAMS_INDEX ".sjson", &signed_index, err) < 0)
		return -1;
	l->is_signed = signed_index.there;
	if (l->is_signed && !j->what->sign)
		return pv_error_set(err, PV_ERR_USAGE, "this mirror is signed; name the key with --sign KEY");
	const char *list = l->list_text, *index = l->index_text;
	return pv_streams_list_parse(list, list ? strlen(list) : 0, PV_STREAMS_LIST ".json", &l->list, err) < 0 ||
			       pv_streams_index_parse(index, index ? strlen(index) : 0, PV_STREAMS_INDEX ".json", &l->index,
						      err) < 0
		       ? -1
		       : 0;
}

/* The newest version has this disk in these formats, its files are there, and the index came to name it. */
static int is_there(struct job *j, const struct lists *l, bool *ret, struct pv_error *err)
{
	const char *newest = pv_streams_newest(l->list, j->v.product);
	pv_autostrv paths = PV_STRV_INIT;
	pv_autofree uint64_t *sizes = NULL;

	*ret = false;
	if (!newest || !pv_streams_holds(l->list, j->v.product, newest, j->v.sha256, &j->v.ftypes) ||
	    !pv_streams_index_has(l->index, j->v.product) || (j->what->sign && !l->is_signed))
		return 0;
	pv_streams_files(l->list, j->v.product, newest, &paths, &sizes);
	for (size_t i = 0; i < paths.n; i++) {
		struct pv_s3_head head;

		if (!pv_url_path_ok(paths.v[i]))
			return 0;
		if (pv_s3_stat(j->s3, paths.v[i], &head, err) < 0)
			return -1;
		if (!head.there || head.size != sizes[i])
			return 0;
	}
	*ret = true;
	return 0;
}

/* --- files --- */

static void show_sending(void *ctx, uint64_t done, uint64_t total)
{
	const struct job *j = ctx;

	(void)total;
	if (j->what->progress)
		j->what->progress(j->what->ctx, "sending", j->before + done, j->total);
}

static void tell(void *ctx, const char *line)
{
	const struct job *j = ctx;

	if (j->what->note)
		j->what->note(j->what->ctx, line);
}

/* Made once, in a work folder: the same bytes again in a next run, so that what it left half sent still fits. */
static int make_files(struct job *j, struct pv_error *err)
{
	pv_autofree char *cache = pv_cache_dir();

	if (j->filled)
		return 0;
	if (!cache)
		return pv_error_set(err, PV_ERR_HOST, "no place for a cache: set XDG_CACHE_HOME or HOME");
	if (pv_workdir_create(cache, "publish", 0, &j->work, err) < 0 || pv_version_fill(&j->v, j->work.path, err) < 0)
		return -1;
	j->filled = true;
	return 0;
}

static int send_files(struct job *j, struct pv_error *err)
{
	j->before = 0;
	j->total = pv_version_size(&j->v);
	for (size_t i = 0; i < j->v.files.n; i++) {
		const struct pv_streams_item *item = &j->v.items[i];
		uint64_t sent;

		show_sending(j, 0, 0);
		if (pv_proc_check_interrupt(err) < 0 ||
		    pv_s3_put_file(j->s3, item->path, j->v.files.v[i], item->size, &sent, err) < 0)
			return -1;
		j->sent += sent;
		j->before += item->size;
	}
	show_sending(j, 0, 0);
	return 0;
}

/* The version after those in the list; its files are sent unless they are there under this very version. */
static int send_version(struct job *j, const struct lists *l, struct pv_error *err)
{
	pv_autofree char *version = NULL;

	if (pv_streams_next(l->list, j->v.product, j->what->machine->epoch, &version, err) < 0)
		return -1;
	if (pv_streq(version, j->version))
		return 0;
	if (make_files(j, err) < 0)
		return -1;
	pv_version_set_paths(&j->v, version, true);
	if (send_files(j, err) < 0)
		return -1;
	free(j->version);
	j->version = pv_steal(&version);
	return 0;
}

/* --- the lock --- */

static int make_token(char ret[TOKEN_LEN], struct pv_error *err)
{
	unsigned char raw[(TOKEN_LEN - 1) / 2];

	if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
		return pv_error_errno(err, PV_ERR_HOST, errno, "getrandom");
	for (size_t i = 0; i < sizeof(raw); i++) {
		ret[2 * i] = "0123456789abcdef"[raw[i] >> 4];
		ret[2 * i + 1] = "0123456789abcdef"[raw[i] & 15];
	}
	ret[TOKEN_LEN - 1] = '\0';
	return 0;
}

/* Also after a PUT that was answered with a refusal only when it was tried again. */
static int is_mine(struct job *j, bool *ret, struct pv_error *err)
{
	pv_autofree char *text = NULL;
	size_t len;

	if (pv_s3_get(j->s3, LOCK, LOCK_MAX, &text, &len, err) < 0)
		return -1;
	*ret = pv_streq(text, j->token);
	return 0;
}

/* A second, or what comes. */
static int wait_a_bit(struct pv_error *err)
{
	const struct timespec slice = { .tv_nsec = 100000000 };

	for (unsigned i = 0; i < 10; i++) {
		if (pv_proc_check_interrupt(err) < 0)
			return -1;
		(void)nanosleep(&slice, NULL);
	}
	return pv_proc_check_interrupt(err);
}

/* On a server that puts without conditions only: who was last has it, as everybody sees when all have had time to write. */
static int put_lock_blindly(struct job *j, struct pv_error *err)
{
	struct pv_s3_head head;

	if (pv_s3_stat(j->s3, LOCK, &head, err) < 0)
		return -1;
	if (head.there)
		return 0;
	return pv_s3_put(j->s3, LOCK, j->token, err) < 0 ? -1 : wait_a_bit(err);
}

/* One try. */
static int try_lock(struct job *j, bool *ret_mine, struct pv_error *err)
{
	bool knows;

	if (pv_s3_put_new(j->s3, LOCK, j->token, &knows, err) < 0 || (!knows && put_lock_blindly(j, err) < 0))
		return -1;
	return is_mine(j, ret_mine, err);
}

static int take_lock(struct job *j, struct pv_error *err)
{
	for (unsigned waited = 0; waited < LOCK_WAIT_S; waited++) {
		struct pv_s3_head head;
		bool mine;

		if (try_lock(j, &mine, err) < 0)
			return -1;
		if (mine)
			return 0;
		if (waited == 0)
			tell(j, "somebody else is publishing there; waiting");
		if (pv_s3_stat(j->s3, LOCK, &head, err) < 0)
			return -1;
		if (head.there && head.age > LOCK_OLD_S) {
			tell(j, "the lock there is of a run that was killed; it is taken away");
			if (pv_s3_remove(j->s3, LOCK, err) < 0)
				return -1;
		}
		if (wait_a_bit(err) < 0)
			return -1;
	}
	return pv_error_set(err, PV_ERR_ARCHIVE, "somebody else holds " LOCK " all the time; try again later");
}

/* It is given back whatever happened; of an error before, only that one is told. */
static int give_lock(struct job *j, int rc, struct pv_error *err)
{
	pv_autoerror why = PV_ERROR_INIT;
	bool mine = false;

	if (rc < 0)
		pv_s3_tidying(j->s3);
	int given = is_mine(j, &mine, &why);
	if (given == 0 && mine)
		given = pv_s3_remove(j->s3, LOCK, &why);
	if (rc < 0)
		return -1;
	return given < 0 ? pv_error_set(err, why.kind, "%s", why.text) : 0;
}

/* --- lists --- */

static int put(void *ctx, const char *path, const char *text, struct pv_error *err)
{
	const struct job *j = ctx;

	return pv_s3_put(j->s3, path, text, err);
}

/* Where a server knows no conditions two may have written at once: the list tells who was last. */
static int is_listed(struct job *j, bool *ret, struct pv_error *err)
{
	pv_autofree char *text = NULL;
	json_t *list = NULL;
	size_t len;

	if (pv_s3_get(j->s3, PV_STREAMS_LIST ".json", PV_STREAMS_MAX, &text, &len, err) < 0 ||
	    pv_streams_list_parse(text, len, PV_STREAMS_LIST ".json", &list, err) < 0)
		return -1;
	*ret = pv_streams_has_path(list, j->v.product, j->v.items[0].path);
	json_decref(list);
	return 0;
}

/* *ret: they are written. Not where they were changed since they were read. */
static int replace_lists(struct job *j, const struct lists *l, const struct pv_version_texts *texts, bool *ret,
			 struct pv_error *err)
{
	auto_lists now = { 0 };

	*ret = false;
	if (read_texts(j, &now, err) < 0)
		return -1;
	if (!pv_streq(now.list_text, l->list_text) || !pv_streq(now.index_text, l->index_text))
		return 0;
	if (pv_proc_check_interrupt(err) < 0 || pv_version_put_texts(texts, put, j, err) < 0)
		return -1;
	return is_listed(j, ret, err);
}

/* *ret: the mirror has this version now. */
static int commit(struct job *j, struct lists *l, struct pv_strv *dropped, bool *ret, struct pv_error *err)
{
	pv_autotexts texts = { 0 };

	/* signed before the lock is taken: somebody may have to type a passphrase */
	if (pv_version_texts(&j->v, j->version, l->list, l->index, dropped, &texts, err) < 0)
		return -1;
	int rc = take_lock(j, err);
	if (rc == 0)
		rc = replace_lists(j, l, &texts, ret, err);
	return give_lock(j, rc, err);
}

/* --- what no list names --- */

struct sweep {
	const struct job *job;
	const json_t *list;
	char *home;			/* "images/NAME/" */
};

/* Of a version up to ours, and in no list: it can come into none any more, since whoever still sends files of such a version
 * finds the list changed and takes a later one. */
static bool is_left(void *ctx, const char *key)
{
	const struct sweep *s = ctx;
	const char *rest = key + strlen(s->home);
	pv_autofree char *version = pv_xstrndup(rest, strcspn(rest, "/"));

	return pv_starts(key, s->home) && pv_streams_version_valid(version) && strcmp(version, s->job->version) <= 0 &&
	       !pv_streams_has_path(s->list, s->job->v.product, key);
}

static int sweep(struct job *j, const json_t *list, struct pv_error *err)
{
	pv_autofree char *home = pv_fmt("images/%s/", j->what->machine->name);
	struct sweep s = { .job = j, .list = list, .home = home };
	pv_autostrv keys = PV_STRV_INIT;

	if (pv_s3_list(j->s3, home, &keys, err) < 0)
		return -1;
	for (size_t i = 0; i < keys.n; i++)
		if (is_left(&s, keys.v[i]) && pv_s3_remove(j->s3, keys.v[i], err) < 0)
			return -1;
	return pv_s3_abort_uploads(j->s3, home, is_left, &s, err);
}

/* --- all of it --- */

static int publish(struct job *j, struct pv_publish_result *ret, struct pv_error *err)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		auto_lists l = { 0 };
		pv_autostrv dropped = PV_STRV_INIT;
		bool done = false;

		if (read_lists(j, &l, err) < 0 || is_there(j, &l, &ret->already, err) < 0)
			return -1;
		if (ret->already) {
			ret->id = pv_fmt("%s %s", j->v.product, pv_streams_newest(l.list, j->v.product));
			return 0;
		}
		if (send_version(j, &l, err) < 0 || commit(j, &l, &dropped, &done, err) < 0)
			return -1;
		if (done) {
			ret->id = pv_fmt("%s %s", j->v.product, j->version);
			ret->removed = (unsigned)dropped.n;
			return sweep(j, l.list, err);
		}
	}
	return pv_error_set(err, PV_ERR_ARCHIVE, "others publish there all the time; try again later");
}

int pv_publish_s3(const struct pv_s3_place *place, const char *shown, const struct pv_publish *what,
		  struct pv_publish_result *ret, struct pv_error *err)
{
	auto_job j = { .what = what, .work = { .lock_fd = -1 } };
	struct pv_s3_place told = *place;
	pv_autopublished result = { 0 };

	told.note = tell;
	told.progress = show_sending;
	told.ctx = &j;
	if (make_token(j.token, err) < 0 || pv_version_read(what, &j.v, err) < 0 ||
	    pv_s3_new(&told, &what->trust, &j.s3, err) < 0)
		return -1;
	int rc = publish(&j, &result, err);
	pv_s3_freep(&j.s3);		/* before `told` ends */
	if (rc < 0)
		return pv_error_wrap(err, "%s", shown);
	result.target = pv_xstrdup(shown);
	memcpy(result.sha256, j.v.sha256, sizeof(result.sha256));
	result.sent = j.sent;
	*ret = result;
	result = (struct pv_publish_result){ 0 };
	return 0;
}
