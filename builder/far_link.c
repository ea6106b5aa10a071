/* SPDX-License-Identifier: Apache-2.0 */
/* Runs ssh and talks to what it starts. */
#include "far_link.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fsutil.h"
#include "proc.h"

#define LINES_MAX (64u << 20)		/* of one answer */
#define IGNORED_MAX 10000u		/* where nobody wants them: what a login says first */

struct pv_far_link {
	const char *host;
	int fd;
	bool ended;			/* the other end is gone: ssh knows why */
	char buf[65536];
	size_t from, to;
};

struct session {
	struct pv_far_link link;
	pv_far_talk_fn *talk;
	void *ctx;
	int rc;
	struct pv_error err;
};

static void *talk(void *arg)
{
	struct session *s = arg;

	s->rc = s->talk(&s->link, s->ctx, &s->err);
	shutdown(s->link.fd, SHUT_RDWR);	/* ssh sees the end, and the far side then */
	return NULL;
}

/* In the child: the wire is ssh's standard input and output. */
static int take_wire(void *ctx, struct pv_error *err)
{
	const int *fd = ctx;

	if (dup2(*fd, 0) < 0 || dup2(*fd, 1) < 0)
		return pv_error_errno(err, PV_ERR_HOST, errno, "the wire to ssh");
	return 0;
}

/* The conversation ended before its time; ssh tells why. */
static int why_ended(const struct pv_far_address *to, const struct pv_proc_result *res, bool *ret_passing, struct pv_error *err)
{
	if (res->exit_code == 255)
		return pv_far_why(to, res->tail ? res->tail : "", ret_passing, err);
	pv_autofree char *fate = pv_proc_fate(res), *last = pv_proc_last_line(res);
	return pv_error_set(err, PV_ERR_ARCHIVE, "%s: the far side's shell ended too soon (%s)%s%s", to->host, fate,
			    *last ? ": " : "", last);
}

static int move_error(struct pv_error *from, struct pv_error *to)
{
	pv_error_clear(to);
	*to = *from;
	*from = (struct pv_error)PV_ERROR_INIT;
	return -1;
}

int pv_far_run(const struct pv_far_address *to, const char *command, pv_far_talk_fn *talk_fn, void *ctx, bool *ret_passing,
	       struct pv_error *err)
{
	pv_autofree struct session *s = pv_xcalloc(1, sizeof(*s));
	pv_autoproc res = PV_PROC_RESULT_INIT;
	pv_autoerror own = PV_ERROR_INIT;
	pv_autostrv argv = PV_STRV_INIT;
	pthread_t thread;
	int pair[2];

	*ret_passing = false;
	pv_far_argv(to, &argv);
	pv_strv_add(&argv, command);
	if (pv_proc_need("ssh", "openssh-client", err) < 0)
		return -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return pv_error_errno(err, PV_ERR_HOST, errno, "cannot make a socket");
	pv_autoclose int ours = pair[0], theirs = pair[1];
	s->link = (struct pv_far_link){ .host = to->host, .fd = ours };
	s->talk = talk_fn;
	s->ctx = ctx;
	int rc = pthread_create(&thread, NULL, talk, s);
	if (rc != 0)
		return pv_error_errno(err, PV_ERR_HOST, rc, "cannot start a thread");
	const struct pv_proc proc = { .argv = (const char *const *)argv.v, .setup = take_wire, .setup_ctx = &theirs };
	int run_rc = pv_proc_run(&proc, &res, &own);
	pv_closep(&theirs);		/* whoever still waits for an answer sees the end */
	pthread_join(thread, NULL);
	if (s->rc == 0)
		return 0;
	pv_autoerror said = s->err;
	if (run_rc < 0)
		return move_error(&own, err);
	return s->link.ended ? why_ended(to, &res, ret_passing, err) : move_error(&said, err);
}

static int ended(struct pv_far_link *link, struct pv_error *err)
{
	link->ended = true;
	return pv_error_set(err, PV_ERR_ARCHIVE, "%s: the connection ended", link->host);
}

/* One line without its newline, in the link's buffer until the next call. NULL: err is set. */
static const char *read_line(struct pv_far_link *link, struct pv_error *err)
{
	for (;;) {
		char *begin = link->buf + link->from, *nl = memchr(begin, '\n', link->to - link->from);

		if (nl) {
			*nl = '\0';
			link->from += (size_t)(nl - begin) + 1;
			return begin;
		}
		if (link->to - link->from > PV_FAR_LINE)
			return (void)pv_error_set(err, PV_ERR_ARCHIVE, "%s: says what no pvimg wants to hear (a line without "
						  "end)", link->host), NULL;
		memmove(link->buf, begin, link->to - link->from);
		link->to -= link->from;
		link->from = 0;
		ssize_t n = recv(link->fd, link->buf + link->to, sizeof(link->buf) - link->to, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return (void)ended(link, err), NULL;
		link->to += (size_t)n;
	}
}

/* "= error WORDS": its cause is in the words, else in the line before. */
static int far_error(const struct pv_far_link *link, const char *words, const char *before, struct pv_error *err)
{
	while (*words == ' ')
		words++;
	const char *text = *words ? words : before;
	pv_autofree char *plain = pv_printable(text, strlen(text));
	return pv_error_set(err, PV_ERR_ARCHIVE, "%s: %s", link->host, *plain ? plain : "failed there, without a word");
}

int pv_far_answer(struct pv_far_link *link, pv_far_line_fn *on_line, void *ctx, struct pv_str *ret_words,
		  struct pv_error *err)
{
	pv_autofree char *before = pv_xstrdup("");

	for (size_t n = 0; n < (on_line ? LINES_MAX : IGNORED_MAX); n++) {
		const char *line = read_line(link, err);

		if (!line)
			return -1;
		if (pv_starts(line, "= ok")) {
			if (ret_words)
				pv_str_reset(ret_words);
			if (ret_words)
				pv_str_add(ret_words, line[4] ? line + 5 : "");
			return 0;
		}
		if (pv_starts(line, "= error"))
			return far_error(link, line + 7, before, err);
		if (on_line && on_line(ctx, line, err) < 0)
			return -1;
		pv_freep(&before);
		before = pv_xstrdup(line);
	}
	return pv_error_set(err, PV_ERR_ARCHIVE, "%s: talks without end", link->host);
}

int pv_far_send(struct pv_far_link *link, const void *data, size_t len, struct pv_error *err)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = send(link->fd, p, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)	/* it may have said why before it went */
			return pv_far_answer(link, NULL, NULL, NULL, err) < 0 ? -1 : ended(link, err);
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

void pv_far_last_word(struct pv_far_link *link, const char *word)
{
	pv_autofree char *line = pv_fmt("%s\n", word);

	(void)send(link->fd, line, strlen(line), MSG_NOSIGNAL);
}

static int say(struct pv_far_link *link, struct pv_error *err, const char *fmt, va_list ap) PV_PRINTF(3, 0);
static int say(struct pv_far_link *link, struct pv_error *err, const char *fmt, va_list ap)
{
	pv_autostr line = PV_STR_INIT;

	pv_str_vaddf(&line, fmt, ap);
	pv_str_addc(&line, '\n');
	return pv_far_send(link, line.data, line.len, err);
}

int pv_far_say(struct pv_far_link *link, struct pv_error *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int rc = say(link, err, fmt, ap);
	va_end(ap);
	return rc;
}

int pv_far_ask(struct pv_far_link *link, struct pv_str *ret_words, struct pv_error *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int rc = say(link, err, fmt, ap);
	va_end(ap);
	return rc < 0 ? -1 : pv_far_answer(link, NULL, NULL, ret_words, err);
}
