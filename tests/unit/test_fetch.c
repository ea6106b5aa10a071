/* SPDX-License-Identifier: Apache-2.0 */
/* Downloads from a server that misbehaves in all the usual ways (tests/httpd/httpd.py). */
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fetch.h"
#include "fsutil.h"
#include "proc.h"
#include "text.h"

#define BIG_SIZE 1000000
#define FILES 40

struct fixture {
	char *dir, *served;
	pid_t server;
	int server_stdin;
	char *url;			/* "http://127.0.0.1:PORT" */
	struct pv_store *store;
	struct pv_fetch *fetch;
	char big_hex[PV_SHA256_HEX];
	char *big;
};

static int start_server(struct fixture *f)
{
	int in[2], out[2];
	char port[16] = "";
	ssize_t n;

	if (pipe(in) < 0 || pipe(out) < 0)
		return -1;
	f->server = fork();
	if (f->server == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[1]);
		close(out[0]);
		execlp("python3", "python3", "tests/httpd/httpd.py", f->served, NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	f->server_stdin = in[1];
	n = read(out[0], port, sizeof(port) - 1);
	close(out[0]);
	if (n <= 1)
		return -1;
	port[strcspn(port, "\n")] = '\0';
	f->url = pv_fmt("http://127.0.0.1:%s", port);
	return 0;
}

static int make_files(struct fixture *f)
{
	unsigned seed = 1;
	pv_autofree char *big = pv_path_join(f->served, "big");
	pv_autofree char *odd = pv_path_join(f->served, "a+b%3a1~x.deb");
	pv_autofree char *pool = pv_path_join(f->served, "pool");

	f->big = pv_xmalloc(BIG_SIZE);
	for (size_t i = 0; i < BIG_SIZE; i++)
		f->big[i] = (char)rand_r(&seed);
	pv_digest_mem(f->big, BIG_SIZE, f->big_hex);
	if (pv_mkdirs(pool, 0755, NULL) < 0 || pv_write_file(big, f->big, BIG_SIZE, 0644, NULL) < 0 ||
	    pv_write_file(odd, "odd", 3, 0644, NULL) < 0)
		return -1;
	for (unsigned i = 0; i < FILES; i++) {
		pv_autofree char *path = pv_fmt("%s/%u", pool, i);
		pv_autofree char *text = pv_fmt("file %u\n", i);

		if (pv_write_file(path, text, strlen(text), 0644, NULL) < 0)
			return -1;
	}
	return 0;
}

static int new_store(struct fixture *f)
{
	pv_autofree char *cache = pv_path_join(f->dir, "cache dir");

	pv_fetch_free(f->fetch);
	pv_store_free(f->store);
	f->fetch = NULL;
	f->store = NULL;
	if (pv_rmtree(cache, NULL) < 0 || pv_store_open(cache, &f->store, NULL) < 0)
		return -1;
	return pv_fetch_new(f->store, 0, &f->fetch, NULL);
}

static int group_setup(void **state)
{
	static const char *const names[] = { "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
					     "ALL_PROXY", "no_proxy", "NO_PROXY" };
	struct fixture *f = pv_xcalloc(1, sizeof(*f));
	const char *tmp = getenv("TMPDIR");

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < PV_COUNT(names); i++)
		unsetenv(names[i]);
	setenv(PV_FETCH_ENV_PAUSE, "20", 1);
	setenv(PV_FETCH_ENV_SLOW, "1", 1);
	f->dir = pv_fmt("%s/pvimg-fetch-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(f->dir))
		return -1;
	f->served = pv_path_join(f->dir, "served");
	*state = f;
	return pv_fetch_global_init(NULL) < 0 || make_files(f) < 0 || start_server(f) < 0 ? -1 : 0;
}

static int group_teardown(void **state)
{
	struct fixture *f = *state;

	pv_fetch_free(f->fetch);
	pv_store_free(f->store);
	close(f->server_stdin);
	if (f->server > 0)
		waitpid(f->server, NULL, 0);
	int result = pv_rmtree(f->dir, NULL);
	free(f->dir);
	free(f->served);
	free(f->url);
	free(f->big);
	free(f);
	return result;
}

static int setup(void **state)
{
	return new_store(*state);
}

/* Fetches `path` (mode/name) as if the index said it was the big file. */
static int fetch_big(struct fixture *f, const char *path, struct pv_error *err)
{
	struct pv_fetch_item item = { .base_url = f->url, .path = path, .size = BIG_SIZE };

	memcpy(item.sha256, f->big_hex, sizeof(item.sha256));
	return pv_fetch_all(f->fetch, &item, 1, NULL, NULL, err);
}

static void assert_whole(struct fixture *f)
{
	bool ok;

	assert_int_equal(pv_store_check(f->store, f->big_hex, &ok, NULL), 0);
	assert_true(ok);
	assert_int_equal(rmdir(pv_store_tmp(f->store)), 0);	/* no part left */
}

static void assert_not_there(struct fixture *f)
{
	assert_false(pv_store_has(f->store, f->big_hex, BIG_SIZE));
}

#define assert_says(err, words) do { \
	if (!strstr((err).text, words)) \
		fail_msg("\"%s\" does not say \"%s\"", (err).text, words); \
} while (0)

/* How often the server was asked for something that begins so, since it runs. */
static unsigned asked(struct fixture *f, const char *words)
{
	pv_autofree char *url = pv_fmt("%s/log", f->url);
	pv_autostr log = PV_STR_INIT;
	unsigned n = 0;

	assert_int_equal(pv_fetch_mem(f->fetch, url, 1 << 20, &log, NULL), 0);
	for (const char *p = pv_str_text(&log); (p = strstr(p, words)); p++)
		n++;
	return n;
}

static void test_mem(void **state)
{
	struct fixture *f = *state;
	pv_autofree char *url = pv_fmt("%s/ok/pool/7", f->url);
	pv_autofree char *missing = pv_fmt("http://us:SECRET@%s/ok/none", f->url + strlen("http://"));
	pv_autofree char *flaky = pv_fmt("%s/flaky/pool/3", f->url);
	pv_autofree char *big = pv_fmt("%s/ok/big", f->url);
	pv_autofree char *chunked = pv_fmt("%s/chunked/big", f->url);
	pv_autofree char *local = pv_fmt("file://%s/pool/9", f->served);
	pv_autostr s = PV_STR_INIT;
	pv_autoerror err = PV_ERROR_INIT;

	assert_int_equal(pv_fetch_mem(f->fetch, url, 7, &s, NULL), 0);
	assert_string_equal(s.data, "file 7\n");
	assert_int_equal(pv_fetch_mem(f->fetch, local, 100, &s, NULL), 0);
	assert_string_equal(s.data, "file 9\n");
	assert_int_equal(pv_fetch_mem(f->fetch, flaky, 100, &s, NULL), 0);
	assert_string_equal(s.data, "file 3\n");
	assert_int_equal(pv_fetch_mem(f->fetch, url, 6, &s, &err), -1);
	assert_says(err, "longer than the 6 bytes allowed");
	assert_string_equal(s.data, "file 3\n");	/* set on success only */
	pv_error_clear(&err);
	assert_int_equal(pv_fetch_mem(f->fetch, missing, 100, &s, &err), -1);
	assert_int_equal(err.kind, PV_ERR_ARCHIVE);
	assert_int_equal(pv_fetch_status(f->fetch), 404);
	assert_says(err, "not found (404)");
	assert_null(strstr(err.text, "SECRET"));
	pv_error_clear(&err);
	assert_int_equal(pv_fetch_mem(f->fetch, big, BIG_SIZE - 1, &s, &err), -1);
	pv_error_clear(&err);
	assert_int_equal(pv_fetch_mem(f->fetch, chunked, BIG_SIZE, &s, &err), -1);
	assert_says(err, "longer than");
}

struct seen {
	uint64_t bytes, total;
	size_t items;
};

static void note_progress(void *ctx, uint64_t done, uint64_t total, size_t items)
{
	struct seen *seen = ctx;

	assert_true(done >= seen->bytes && done <= total);
	*seen = (struct seen){ done, total, items };
}

static void test_many(void **state)
{
	struct fixture *f = *state;
	struct pv_fetch_item items[FILES + 3] = { 0 };
	char paths[FILES][24], texts[FILES][24];
	struct seen seen = { 0 };
	uint64_t total = 2 * BIG_SIZE + 3, before;
	size_t n;

	for (n = 0; n < FILES; n++) {
		snprintf(paths[n], sizeof(paths[n]), "ok/pool/%zu", n);
		snprintf(texts[n], sizeof(texts[n]), "file %zu\n", n);
		items[n] = (struct pv_fetch_item){ f->url, paths[n], "", strlen(texts[n]) };
		pv_digest_mem(texts[n], strlen(texts[n]), items[n].sha256);
		total += items[n].size;
	}
	/* The same digest twice, and a name that has to be encoded. */
	items[n] = items[n + 1] = (struct pv_fetch_item){ f->url, "ok/big", "", BIG_SIZE };
	memcpy(items[n].sha256, f->big_hex, PV_SHA256_HEX);
	memcpy(items[n + 1].sha256, f->big_hex, PV_SHA256_HEX);
	items[n + 2] = (struct pv_fetch_item){ f->url, "ok/a+b%3a1~x.deb", "", 3 };
	pv_digest_mem("odd", 3, items[n + 2].sha256);
	n += 3;
	before = asked(f, "/ok/big");
	assert_int_equal(pv_fetch_all(f->fetch, items, n, note_progress, &seen, NULL), 0);
	assert_int_equal(asked(f, "/ok/big"), before + 1);
	assert_int_equal(seen.bytes, total);
	assert_int_equal(seen.total, total);
	assert_int_equal(seen.items, n);
	for (size_t i = 0; i < n; i++)
		assert_true(pv_store_has(f->store, items[i].sha256, items[i].size));
	assert_whole(f);
	/* Again: all from the store. */
	seen = (struct seen){ 0 };
	assert_int_equal(pv_mkdirs(pv_store_tmp(f->store), 0755, NULL), 0);
	assert_int_equal(pv_fetch_all(f->fetch, items, n, note_progress, &seen, NULL), 0);
	assert_int_equal(asked(f, "/ok/big"), before + 1);
	assert_int_equal(seen.bytes, total);
	seen = (struct seen){ 0 };
	assert_int_equal(pv_fetch_all(f->fetch, items, 0, note_progress, &seen, NULL), 0);
}

static void test_not_found(void **state)
{
	struct fixture *f = *state;
	pv_autoerror err = PV_ERROR_INIT;
	struct pv_fetch_item item = { .base_url = f->url, .path = "pool/none.deb", .size = 5 };

	memcpy(item.sha256, f->big_hex, sizeof(item.sha256));
	assert_int_equal(pv_fetch_all(f->fetch, &item, 1, NULL, NULL, &err), -1);
	assert_int_equal(err.kind, PV_ERR_ARCHIVE);
	assert_says(err, "pool/none.deb from ");
	assert_says(err, "not found (404); the mirror's index is newer or older than its pool");
	assert_says(err, f->url);
	assert_int_equal(pv_fetch_status(f->fetch), 404);
}

static void test_flaky(void **state)
{
	struct fixture *f = *state;
	unsigned before = asked(f, "/flaky/big");

	assert_int_equal(fetch_big(f, "flaky/big", NULL), 0);
	assert_int_equal(asked(f, "/flaky/big"), before + 3);
	assert_whole(f);
}

static void test_down(void **state)
{
	struct fixture *f = *state;
	unsigned before = asked(f, "/down/big");
	pv_autoerror err = PV_ERROR_INIT;

	assert_int_equal(fetch_big(f, "down/big", &err), -1);
	assert_int_equal(err.kind, PV_ERR_ARCHIVE);
	assert_says(err, "given up after 3 tries");
	assert_says(err, "503");
	assert_int_equal(asked(f, "/down/big"), before + 3);
}

static void test_unreachable(void **state)
{
	struct fixture *f = *state;
	struct pv_fetch_item item = { .base_url = "http://u:SECRET@127.0.0.1:9", .path = "x", .size = 1 };
	pv_autoerror err = PV_ERROR_INIT;

	memcpy(item.sha256, f->big_hex, sizeof(item.sha256));
	assert_int_equal(pv_fetch_all(f->fetch, &item, 1, NULL, NULL, &err), -1);
	assert_int_equal(err.kind, PV_ERR_ARCHIVE);
	assert_says(err, "http://127.0.0.1:9");
	assert_says(err, "--mirror");
	assert_null(strstr(err.text, "SECRET"));
}

static void test_cut_resumes(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fetch_big(f, "cut/big", NULL), 0);
	assert_int_equal(asked(f, "/cut/big bytes=500000-"), 1);
	assert_whole(f);
}

static void test_always_cut_gets_on(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fetch_big(f, "always-cut/big", NULL), 0);
	assert_int_equal(asked(f, "/always-cut/big bytes=900000-"), 1);
	assert_whole(f);
}

static void write_part(struct fixture *f, const char *data, size_t len)
{
	pv_autofree char *part = pv_store_part_path(f->store, f->big_hex);

	assert_int_equal(pv_write_file(part, data, len, 0600, NULL), 0);
}

/* What an earlier run left is gone on with. */
static void test_resume_of_earlier_run(void **state)
{
	struct fixture *f = *state;
	uint64_t before;

	write_part(f, f->big, 123456);
	before = pv_fetch_bytes(f->fetch);
	assert_int_equal(fetch_big(f, "ok/big", NULL), 0);
	assert_int_equal(asked(f, "/ok/big bytes=123456-"), 1);
	assert_in_range(pv_fetch_bytes(f->fetch) - before, BIG_SIZE - 123456, BIG_SIZE - 123456 + 20000);
	assert_whole(f);
}

static void test_resume_of_whole(void **state)
{
	struct fixture *f = *state;

	write_part(f, f->big, BIG_SIZE);
	assert_int_equal(fetch_big(f, "down/big", NULL), 0);
	assert_whole(f);
}

/* A part that is wrong, too long, or that the server will not go on with: from the first byte. */
static void test_resume_of_rubbish(void **state)
{
	struct fixture *f = *state;
	pv_autofree char *rubbish = pv_xcalloc(1, BIG_SIZE + 1);
	static const struct { size_t len; const char *path; } cases[] = {
		{ 1000, "ok/big" }, { BIG_SIZE, "ok/big" }, { BIG_SIZE + 1, "ok/big" }, { 1000, "norange/big" },
		{ BIG_SIZE - 1, "norange/big" },
	};

	for (size_t i = 0; i < PV_COUNT(cases); i++) {
		pv_autoerror err = PV_ERROR_INIT;

		assert_int_equal(new_store(f), 0);
		write_part(f, rubbish, cases[i].len);
		if (fetch_big(f, cases[i].path, &err) < 0)
			fail_msg("case %zu: %s", i, err.text);
		assert_whole(f);
	}
}

static void test_slow(void **state)
{
	struct fixture *f = *state;
	pv_autoerror err = PV_ERROR_INIT;
	time_t begin = time(NULL);

	assert_int_equal(fetch_big(f, "slow/big", &err), -1);
	assert_int_equal(err.kind, PV_ERR_ARCHIVE);
	assert_says(err, "too slow");
	assert_in_range(time(NULL) - begin, 0, 15);
	assert_not_there(f);
}

static void test_wrong(void **state)
{
	struct fixture *f = *state;
	pv_autoerror err = PV_ERROR_INIT;
	pv_autofree char *part = pv_store_part_path(f->store, f->big_hex);

	assert_int_equal(fetch_big(f, "wrong/big", &err), -1);
	assert_int_equal(err.kind, PV_ERR_ARCHIVE);
	assert_says(err, "wrong/big");
	assert_says(err, "wrong digest");
	assert_says(err, f->big_hex);
	assert_false(pv_exists(part));
	assert_not_there(f);
}

static void test_wrong_length(void **state)
{
	static const struct { const char *path, *words; } cases[] = {
		{ "long/big", "longer than" }, { "chunked/big", "longer than" }, { "short/big", "shorter than" },
		{ "no-place/big", "answered 302" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < PV_COUNT(cases); i++) {
		pv_autoerror err = PV_ERROR_INIT;

		assert_int_equal(fetch_big(f, cases[i].path, &err), -1);
		assert_int_equal(err.kind, PV_ERR_ARCHIVE);
		assert_says(err, cases[i].words);
		assert_not_there(f);
	}
}

static void test_redirects(void **state)
{
	struct fixture *f = *state;
	pv_autoerror err = PV_ERROR_INIT;

	assert_int_equal(fetch_big(f, "loop/big", &err), -1);
	assert_says(err, "redirected more than 5 times");
	pv_error_clear(&err);
	assert_int_equal(fetch_big(f, "to-file/big", &err), -1);
	assert_int_equal(err.kind, PV_ERR_ARCHIVE);
	assert_says(err, "redirected to where pvimg does not go");
	assert_not_there(f);
	assert_int_equal(fetch_big(f, "redirect/big", NULL), 0);
	assert_whole(f);
}

static void test_auth(void **state)
{
	struct fixture *f = *state;
	pv_autofree char *good = pv_fmt("http://us%%20er:p%%40ss%%3Aw%%2Fd@%s", f->url + strlen("http://"));
	struct pv_fetch_item item = { .base_url = f->url, .path = "auth/big", .size = BIG_SIZE };
	pv_autoerror err = PV_ERROR_INIT;

	memcpy(item.sha256, f->big_hex, sizeof(item.sha256));
	assert_int_equal(pv_fetch_all(f->fetch, &item, 1, NULL, NULL, &err), -1);
	assert_says(err, "refused (401)");
	item.base_url = good;
	assert_int_equal(pv_fetch_all(f->fetch, &item, 1, NULL, NULL, NULL), 0);
	assert_whole(f);
	/* Sent to another host they would be a leak: /bare answers 400 then. */
	assert_int_equal(new_store(f), 0);
	item.path = "auth-away/big";
	pv_error_clear(&err);
	if (pv_fetch_all(f->fetch, &item, 1, NULL, NULL, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(asked(f, "/bare/big auth"), 0);
	assert_whole(f);
}

static void test_proxy(void **state)
{
	struct fixture *f = *state;
	struct pv_fetch_item item = { .base_url = "http://nowhere.invalid", .path = "ok/big",
				      .size = BIG_SIZE };
	pv_autofree char *proxy = pv_fmt("http://me:SECRET@%s", f->url + strlen("http://"));
	pv_autoerror err = PV_ERROR_INIT;

	memcpy(item.sha256, f->big_hex, sizeof(item.sha256));
	pv_fetch_set_proxy(f->fetch, proxy, NULL);
	assert_int_equal(pv_fetch_all(f->fetch, &item, 1, NULL, NULL, NULL), 0);
	pv_fetch_set_proxy(f->fetch, NULL, NULL);
	assert_int_equal(asked(f, "/ok/big proxy+auth"), 1);
	assert_whole(f);
	/* The environment's goes before the host's apt's. */
	assert_int_equal(new_store(f), 0);
	setenv("http_proxy", f->url, 1);
	pv_fetch_set_proxy(f->fetch, "http://me:SECRET@127.0.0.1:9", NULL);
	assert_int_equal(pv_fetch_all(f->fetch, &item, 1, NULL, NULL, NULL), 0);
	setenv("no_proxy", "nowhere.invalid", 1);
	assert_int_equal(new_store(f), 0);
	assert_int_equal(pv_fetch_all(f->fetch, &item, 1, NULL, NULL, &err), -1);
	unsetenv("http_proxy");
	unsetenv("no_proxy");
	pv_error_clear(&err);
	assert_int_equal(new_store(f), 0);
	pv_fetch_set_proxy(f->fetch, "http://me:SECRET@127.0.0.1:9", NULL);
	assert_int_equal(pv_fetch_all(f->fetch, &item, 1, NULL, NULL, &err), -1);
	assert_null(strstr(err.text, "SECRET"));
}

static void test_file_url(void **state)
{
	struct fixture *f = *state;
	pv_autofree char *base = pv_fmt("file://%s", f->served);
	struct pv_fetch_item item = { .base_url = base, .path = "big", .size = BIG_SIZE };
	pv_autoerror err = PV_ERROR_INIT;

	memcpy(item.sha256, f->big_hex, sizeof(item.sha256));
	write_part(f, f->big, 1000);
	assert_int_equal(pv_fetch_all(f->fetch, &item, 1, NULL, NULL, NULL), 0);
	assert_whole(f);
	assert_int_equal(new_store(f), 0);
	item.path = "none";
	assert_int_equal(pv_fetch_all(f->fetch, &item, 1, NULL, NULL, &err), -1);
	assert_says(err, "not found");
	assert_int_equal(pv_fetch_status(f->fetch), 404);
}

static void test_hostile_items(void **state)
{
	struct fixture *f = *state;
	struct pv_fetch_item item = { .base_url = f->url, .path = "../x", .size = 1 };
	pv_autoerror err = PV_ERROR_INIT;

	memcpy(item.sha256, f->big_hex, sizeof(item.sha256));
	assert_int_equal(pv_fetch_all(f->fetch, &item, 1, NULL, NULL, &err), -1);
	item.path = "x";
	item.size = UINT64_MAX;
	assert_int_equal(pv_fetch_all(f->fetch, &item, 1, NULL, NULL, NULL), -1);
	item.size = INT64_MAX / 4;	/* no disk takes that */
	pv_error_clear(&err);
	assert_int_equal(pv_fetch_all(f->fetch, &item, 1, NULL, NULL, &err), -1);
	assert_int_equal(err.kind, PV_ERR_STAGE);
	item.size = 1;
	item.sha256[0] = 'X';
	assert_int_equal(pv_fetch_all(f->fetch, &item, 1, NULL, NULL, NULL), -1);
}

/* Another pvimg has the part locked, dies, and we go on with what it had. */
static void test_shared_part(void **state)
{
	struct fixture *f = *state;
	pv_autofree char *part = pv_store_part_path(f->store, f->big_hex);
	pid_t pid;
	int ready[2];
	char c;

	write_part(f, f->big, 200000);
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		int fd = open(part, O_RDWR);

		if (fd < 0 || flock(fd, LOCK_EX) < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		usleep(400000);
		_exit(0);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(fetch_big(f, "ok/big", NULL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(asked(f, "/ok/big bytes=200000-"), 1);
	assert_whole(f);
	close(ready[0]);
	close(ready[1]);
}

/* Last: the signal stays noted. */
static void test_interrupt(void **state)
{
	struct fixture *f = *state;
	pv_autoerror err = PV_ERROR_INIT;
	struct timespec begin, end;
	pid_t pid, self = getpid();
	int64_t ms;

	pv_proc_catch_signals();
	pid = fork();
	if (pid == 0) {
		usleep(300000);
		kill(self, SIGTERM);
		_exit(0);
	}
	clock_gettime(CLOCK_MONOTONIC, &begin);
	assert_int_equal(fetch_big(f, "slow/big", &err), -1);
	clock_gettime(CLOCK_MONOTONIC, &end);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(err.kind, PV_ERR_SIGTERM);
	ms = (end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000;
	assert_in_range(ms, 300, 800);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_mem), TEST(test_many), TEST(test_not_found), TEST(test_flaky), TEST(test_down),
		TEST(test_unreachable), TEST(test_cut_resumes), TEST(test_always_cut_gets_on),
		TEST(test_resume_of_earlier_run), TEST(test_resume_of_whole), TEST(test_resume_of_rubbish),
		TEST(test_slow), TEST(test_wrong), TEST(test_wrong_length), TEST(test_redirects),
		TEST(test_auth), TEST(test_proxy), TEST(test_file_url), TEST(test_hostile_items),
		TEST(test_shared_part), TEST(test_interrupt),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
