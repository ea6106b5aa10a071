/* SPDX-License-Identifier: Apache-2.0 */
/* Talks to QEMU's monitor: greets, sends commands with or without descriptors, takes answers and events apart. */
#include "qmp.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fsutil.h"
#include "text.h"

enum { WORDS_MAX = 300 };		/* of a text of QEMU's that is passed on */
enum { CAPABILITIES_ID = 0 };		/* of our own first command; the callers' count from 1 */

enum state {
	GREETING,			/* QEMU is to speak first */
	NEGOTIATING,			/* qmp_capabilities is not answered yet */
	OPEN,
	OVER,
};

struct request {			/* a command, until it is answered */
	json_int_t id;
	char *name;
	char *line;			/* what is to be sent; NULL: it is in `out`, or gone */
	int fd;				/* rides along; -1: none */
	pv_qmp_answer_fn *answer;
	void *ctx;
};

struct pv_qmp {
	int fd;
	struct pv_qmp_handler handler;
	enum state state;
	struct pv_str in;		/* a line that is not whole yet */
	struct pv_str out;		/* being written */
	int out_fd;			/* goes with the first byte of out; -1: none */
	json_int_t held_by;		/* nothing is added to out before this one is answered; 0: nobody */
	struct request requests[PV_QMP_QUEUE_MAX];	/* in order; the first nsent were put into out */
	size_t nrequests, nsent;
	json_int_t last_id;
	json_t *no_data;
	char *version;
	struct pv_error err;		/* the first */
};

static void request_done(struct request *r)
{
	pv_freep(&r->name);
	free(r->line);
	pv_closep(&r->fd);
}

struct pv_qmp *pv_qmp_new(int fd, const struct pv_qmp_handler *handler)
{
	struct pv_qmp *q = pv_xcalloc(1, sizeof(*q));

	q->fd = fd;
	q->handler = *handler;
	q->out_fd = -1;
	q->no_data = json_object();
	if (fd >= 0)
		(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	return q;
}

void pv_qmp_free(struct pv_qmp *q)
{
	if (!q)
		return;
	pv_closep(&q->fd);
	pv_closep(&q->out_fd);
	pv_str_done(&q->in);
	pv_str_done(&q->out);
	for (size_t i = 0; i < q->nrequests; i++)
		request_done(&q->requests[i]);
	json_decref(q->no_data);
	free(q->version);
	pv_error_clear(&q->err);
	free(q);
}

void pv_qmp_freep(struct pv_qmp **q)
{
	pv_qmp_free(*q);
	*q = NULL;
}

/* --- the end --- */

static void end(struct pv_qmp *q, const struct pv_error *err)
{
	struct request left[PV_QMP_QUEUE_MAX];
	size_t n = q->nrequests;

	if (q->state == OVER)
		return;
	q->state = OVER;
	pv_str_reset(&q->in);
	pv_str_reset(&q->out);
	pv_closep(&q->out_fd);
	memcpy(left, q->requests, n * sizeof(*left));
	q->nrequests = q->nsent = 0;
	for (size_t i = 0; i < n; i++) {
		if (left[i].answer)
			left[i].answer(left[i].ctx, NULL, err->kind != PV_OK ? err->text : "QEMU's monitor has closed");
		request_done(&left[i]);
	}
	if (q->handler.ended)
		q->handler.ended(q->handler.ctx, err);
}

static void closed(struct pv_qmp *q)
{
	const struct pv_error none = PV_ERROR_INIT;

	end(q, &none);
}

/* QEMU broke the rules. what is ours, text QEMU's. */
static void broken(struct pv_qmp *q, const char *what, const char *text, size_t len)
{
	pv_autoerror err = PV_ERROR_INIT;
	pv_autofree char *words = pv_printable(text, len < WORDS_MAX ? len : WORDS_MAX);

	pv_error_set(&err, PV_ERR_STAGE, "QEMU's monitor %s: %s", what, *words ? words : "nothing");
	if (q->err.kind == PV_OK)
		pv_error_set(&q->err, err.kind, "%s", err.text);
	end(q, &err);
}

/* --- commands --- */

/* Moves what may be sent now into out. */
static void advance(struct pv_qmp *q)
{
	while (q->state == OPEN && q->held_by == 0 && q->nsent < q->nrequests) {
		struct request *r = &q->requests[q->nsent];

		/* It goes with the first byte of a write: what stands before must be gone. */
		if (r->fd >= 0 && q->out.len > 0)
			return;
		pv_str_add(&q->out, r->line);
		pv_freep(&r->line);
		q->nsent++;
		if (r->fd >= 0) {
			q->out_fd = pv_steal_fd(&r->fd);
			q->held_by = r->id;
		}
	}
}

/* The line of a command; NULL when it cannot be one. Takes args over. */
static char *command_line(const char *command, json_t *args, json_int_t id)
{
	json_t *root = json_object();
	char *text = NULL, *line = NULL;
	bool ok = root && json_object_set_new(root, "execute", json_string(command)) == 0 &&
		  json_object_set_new(root, "id", json_integer(id)) == 0;

	if (args)
		ok = json_is_object(args) && ok && json_object_set(root, "arguments", args) == 0;
	if (ok)
		text = json_dumps(root, JSON_COMPACT | JSON_ENSURE_ASCII);
	if (text)
		line = pv_fmt("%s\n", text);
	free(text);
	json_decref(root);
	json_decref(args);
	return line;
}

/* Takes args and fd over. */
static int queue(struct pv_qmp *q, int fd, const char *command, json_t *args, pv_qmp_answer_fn *answer, void *ctx,
		 struct pv_error *err)
{
	struct request r = { .id = ++q->last_id, .fd = fd, .answer = answer, .ctx = ctx };

	r.line = command_line(command, args, r.id);
	r.name = pv_xstrdup(command);
	if (!r.line)
		pv_error_set(err, PV_ERR_STAGE, "QEMU's monitor: arguments of %s cannot be sent", command);
	else if (q->state == OVER)
		pv_error_set(err, PV_ERR_STAGE, "QEMU's monitor has closed: cannot send %s", command);
	else if (q->nrequests == PV_QMP_QUEUE_MAX)
		pv_error_set(err, PV_ERR_STAGE, "QEMU's monitor: %u commands wait for an answer, no room for %s",
			     PV_QMP_QUEUE_MAX, command);
	else {
		q->requests[q->nrequests++] = r;
		advance(q);
		return 0;
	}
	request_done(&r);
	return -1;
}

int pv_qmp_send(struct pv_qmp *qmp, const char *command, json_t *args, pv_qmp_answer_fn *answer, void *ctx,
		struct pv_error *err)
{
	return queue(qmp, -1, command, args, answer, ctx, err);
}

int pv_qmp_send_fd(struct pv_qmp *qmp, int fd, const char *command, json_t *args, pv_qmp_answer_fn *answer, void *ctx,
		   struct pv_error *err)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	if (copy < 0) {
		json_decref(args);
		return pv_error_errno(err, PV_ERR_STAGE, errno, "QEMU's monitor: cannot pass descriptor %d", fd);
	}
	return queue(qmp, copy, command, args, answer, ctx, err);
}

int pv_qmp_give_fd(struct pv_qmp *qmp, int fd, const char *name, pv_qmp_answer_fn *answer, void *ctx,
		   struct pv_error *err)
{
	json_t *args = json_object();

	json_object_set_new(args, "fdname", json_string(name));
	return pv_qmp_send_fd(qmp, fd, "getfd", args, answer, ctx, err);
}

/* --- what QEMU says --- */

static int version_part(const json_t *qemu, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(qemu, key));

	return n >= 0 && n < 100000 ? (int)n : 0;
}

static void on_greeting(struct pv_qmp *q, const json_t *root)
{
	const json_t *qemu = json_object_get(json_object_get(json_object_get(root, "QMP"), "version"), "qemu");

	q->version = pv_fmt("%d.%d.%d", version_part(qemu, "major"), version_part(qemu, "minor"),
			    version_part(qemu, "micro"));
	q->state = NEGOTIATING;
	pv_str_addf(&q->out, "{\"execute\":\"qmp_capabilities\",\"id\":%d}\n", CAPABILITIES_ID);
}

/* "GenericError: words", printable; the caller frees. */
static char *error_words(const json_t *error)
{
	const char *class = json_string_value(json_object_get(error, "class"));
	const char *desc = json_string_value(json_object_get(error, "desc"));
	pv_autofree char *all = pv_fmt("%s: %s", class ? class : "error", desc ? desc : "no reason given");
	size_t len = strlen(all);

	return pv_printable(all, len < WORDS_MAX ? len : WORDS_MAX);
}

static void on_event(struct pv_qmp *q, const json_t *root, const char *line, size_t len)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
	const char *name = json_string_value(json_object_get(root, "event"));
	const json_t *data = json_object_get(root, "data");

	if (!name || !*name || name[strspn(name, letters)] != '\0' || (data && !json_is_object(data))) {
		broken(q, "told of no proper event", line, len);
		return;
	}
	if (q->handler.event)
		q->handler.event(q->handler.ctx, name, data ? data : q->no_data);
}

static void negotiated(struct pv_qmp *q, const char *error)
{
	if (error) {
		broken(q, "refused qmp_capabilities", error, strlen(error));
		return;
	}
	q->state = OPEN;
	advance(q);
	if (q->handler.greeted)
		q->handler.greeted(q->handler.ctx);
}

static void answered(struct pv_qmp *q, size_t i, const json_t *ret, const char *error)
{
	struct request r = q->requests[i];

	memmove(&q->requests[i], &q->requests[i + 1], (q->nrequests - i - 1) * sizeof(r));
	q->nrequests--;
	q->nsent--;
	if (q->held_by == r.id)
		q->held_by = 0;
	if (r.answer)
		r.answer(r.ctx, ret, error);
	else if (error && q->err.kind == PV_OK)
		pv_error_set(&q->err, PV_ERR_STAGE, "QEMU's monitor: %s: %s", r.name, error);
	request_done(&r);
	advance(q);
}

static void on_answer(struct pv_qmp *q, const json_t *root, const char *line, size_t len)
{
	const json_t *id = json_object_get(root, "id"), *ret = json_object_get(root, "return");
	pv_autofree char *error = ret ? NULL : error_words(json_object_get(root, "error"));

	if (q->state == NEGOTIATING && json_is_integer(id) && json_integer_value(id) == CAPABILITIES_ID) {
		negotiated(q, error);
		return;
	}
	for (size_t i = 0; json_is_integer(id) && i < q->nsent; i++) {
		if (q->requests[i].id == json_integer_value(id)) {
			answered(q, i, ret, error);
			return;
		}
	}
	broken(q, "answered what was not asked", line, len);
}

static void on_line(struct pv_qmp *q, const char *line, size_t len)
{
	json_t *root;

	while (len > 0 && (line[len - 1] == '\r' || line[len - 1] == ' '))
		len--;
	if (len == 0)
		return;
	root = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(root))
		broken(q, "said what is no JSON object", line, len);
	else if (q->state == GREETING && json_is_object(json_object_get(root, "QMP")))
		on_greeting(q, root);
	else if (q->state == GREETING)
		broken(q, "did not greet", line, len);
	else if (json_object_get(root, "event"))
		on_event(q, root, line, len);
	else if (json_object_get(root, "return") || json_object_get(root, "error"))
		on_answer(q, root, line, len);
	else
		broken(q, "said what is no answer", line, len);
	json_decref(root);
}

void pv_qmp_feed(struct pv_qmp *q, const void *data, size_t len)
{
	const char *p = data;

	while (len > 0 && q->state != OVER) {
		const char *newline = memchr(p, '\n', len);
		size_t n = newline ? (size_t)(newline - p) : len;

		if (n > PV_QMP_LINE_MAX - q->in.len) {
			broken(q, "sent a line without end", pv_str_text(&q->in), q->in.len);
			return;
		}
		pv_str_addn(&q->in, p, n);
		if (newline) {
			/* Whole and our own: a callback may make us drop q->in. */
			struct pv_str line = q->in;

			q->in = (struct pv_str)PV_STR_INIT;
			on_line(q, pv_str_text(&line), line.len);
			pv_str_done(&line);
			n++;
		}
		p += n;
		len -= n;
	}
}

/* --- the socket --- */

const char *pv_qmp_pending(const struct pv_qmp *q, size_t *ret_len)
{
	*ret_len = q->out.len;
	return pv_str_text(&q->out);
}

void pv_qmp_sent(struct pv_qmp *q, size_t len)
{
	if (len == 0 || len > q->out.len)
		return;
	pv_closep(&q->out_fd);
	memmove(q->out.data, q->out.data + len, q->out.len - len + 1);
	q->out.len -= len;
	advance(q);
}

static void write_some(struct pv_qmp *q)
{
	union {
		struct cmsghdr head;	/* for its alignment */
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .room = { 0 } };
	struct iovec iov = { .iov_base = q->out.data, .iov_len = q->out.len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (q->out_fd >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control.room);
		control.head = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET,
						 .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(&control.head), &q->out_fd, sizeof(int));
	}
	n = sendmsg(q->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n > 0)
		pv_qmp_sent(q, (size_t)n);
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		closed(q);
}

short pv_qmp_want(void *qmp)
{
	const struct pv_qmp *q = qmp;

	if (q->state == OVER)
		return 0;
	return q->out.len > 0 ? POLLIN | POLLOUT : POLLIN;
}

bool pv_qmp_ready(void *qmp, short revents)
{
	struct pv_qmp *q = qmp;
	char buf[16384];

	/* Input first: the last words of a QEMU that is gone are to be heard. */
	if (q->state != OVER && (revents & (POLLIN | POLLHUP | POLLERR))) {
		ssize_t n = recv(q->fd, buf, sizeof(buf), MSG_DONTWAIT);

		if (n > 0)
			pv_qmp_feed(q, buf, (size_t)n);
		else if (n == 0 || (errno != EAGAIN && errno != EINTR))
			closed(q);
	}
	if (q->state != OVER && (revents & POLLOUT) && !(revents & (POLLHUP | POLLERR)) && q->out.len > 0)
		write_some(q);
	return q->state != OVER;
}

/* --- questions --- */

bool pv_qmp_greeted(const struct pv_qmp *q)
{
	return q->state == OPEN;
}

bool pv_qmp_over(const struct pv_qmp *q)
{
	return q->state == OVER;
}

size_t pv_qmp_waiting(const struct pv_qmp *q)
{
	return q->nrequests;
}

const char *pv_qmp_version(const struct pv_qmp *q)
{
	return q->version;
}

int pv_qmp_error(const struct pv_qmp *q, struct pv_error *err)
{
	if (q->err.kind == PV_OK)
		return 0;
	return pv_error_set(err, q->err.kind, "%s", q->err.text);
}
