/* SPDX-License-Identifier: Apache-2.0 */
/* Messages and progress for a terminal, a pipe or a program, and the build log's file. */
#include "log.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "fsutil.h"
#include "text.h"

#define LIVE_MS 100		/* between two live lines */
#define PLAIN_MS 10000		/* between two progress lines */
#define JSON_MS 1000		/* between two progress events of one unit */

struct counter {
	uint64_t done, total;
	char unit[16];		/* "": not used in this stage */
	uint64_t json_at;	/* when the last event went out */
	uint64_t json_done;	/* what it said, UINT64_MAX: none yet */
};

struct pv_log {
	enum pv_log_mode mode;
	bool verbose;
	bool live_shown;	/* a live line is on the terminal, the cursor at its end */
	FILE *file;
	char *shared;		/* the image that messages name; NULL: those of one process need not */
	uint64_t started;
	bool in_stage;
	char *image, *stage;
	uint64_t stage_started, shown_at;
	struct counter count, bytes;
	bool moved;		/* progress since the last plain line */
};

struct pv_log *pv_log_new(enum pv_log_mode mode, bool verbose)
{
	struct pv_log *log = pv_xcalloc(1, sizeof(*log));
	const char *term = getenv("TERM");

	if (mode == PV_LOG_AUTO)
		mode = isatty(STDERR_FILENO) && term && *term && !pv_streq(term, "dumb") ? PV_LOG_LIVE : PV_LOG_PLAIN;
	log->mode = mode;
	log->verbose = verbose;
	log->started = pv_clock_ms();
	return log;
}

static void live_erase(struct pv_log *log)
{
	if (!log->live_shown)
		return;
	fputs("\r\033[K", stderr);
	fflush(stderr);
	log->live_shown = false;
}

void pv_log_free(struct pv_log *log)
{
	if (!log)
		return;
	live_erase(log);
	pv_fclosep(&log->file);
	free(log->shared);
	free(log->image);
	free(log->stage);
	free(log);
}

void pv_log_share(struct pv_log *log, const char *image)
{
	if (!log)
		return;
	live_erase(log);
	if (log->mode == PV_LOG_LIVE)
		log->mode = PV_LOG_PLAIN;
	free(log->shared);
	log->shared = pv_fmt("%s: ", image);
}

void pv_log_freep(struct pv_log **log)
{
	int saved = errno;

	pv_log_free(*log);
	*log = NULL;
	errno = saved;
}

int pv_log_file(struct pv_log *log, const char *path, struct pv_error *err)
{
	FILE *file = NULL;

	if (!log)
		return 0;
	if (path) {
		file = fopen(path, "we");
		if (!file)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot create the build log", path);
		setvbuf(file, NULL, _IOLBF, 0);
	}
	pv_fclosep(&log->file);
	log->file = file;
	return 0;
}

/* --- single lines --- */

/* A full disk fails the stage that filled it; the log's own writes do not count. */
static void file_line(struct pv_log *log, const char *text)
{
	uint64_t ms = pv_clock_ms() - log->started;

	if (log->file)
		fprintf(log->file, "%5llu.%03llu %s\n", (unsigned long long)(ms / 1000),
			(unsigned long long)(ms % 1000), text);
}

static void terminal_line(struct pv_log *log, const char *text)
{
	live_erase(log);
	fprintf(stderr, "%s\n", text);
}

/* Takes the object over. */
static void json_line(json_t *object)
{
	json_dumpf(object, stdout, JSON_COMPACT);
	json_decref(object);
	fputc('\n', stdout);
	fflush(stdout);
}

static char *message(const char *fmt, va_list ap) PV_PRINTF(1, 0);
static char *message(const char *fmt, va_list ap)
{
	pv_autofree char *text = pv_vfmt(fmt, ap);

	for (char *p = text; *p; p++)
		if (*p == '\n')
			*p = ' ';
	return pv_printable(text, strlen(text));
}

static void say(struct pv_log *log, const char *event, const char *prefix, bool shown, const char *text)
{
	pv_autofree char *line = pv_fmt("%s%s", prefix, text);

	file_line(log, line);
	if (!shown)
		return;
	pv_autofree char *named = pv_fmt("%s%s", log->shared && !pv_starts(text, log->shared) ? log->shared : "", line);
	if (log->mode != PV_LOG_JSON) {
		terminal_line(log, named);
		return;
	}
	json_t *object = json_pack("{s:s, s:s}", "event", event, "text", text);
	if (log->shared)
		json_object_set_new(object, "image", json_stringn(log->shared, strlen(log->shared) - strlen(": ")));
	json_line(object);
}

void pv_log_info(struct pv_log *log, const char *fmt, ...)
{
	pv_autofree char *text = NULL;
	va_list ap;

	if (!log)
		return;
	va_start(ap, fmt);
	text = message(fmt, ap);
	va_end(ap);
	say(log, "info", "", true, text);
}

void pv_log_warn(struct pv_log *log, const char *fmt, ...)
{
	pv_autofree char *text = NULL;
	va_list ap;

	if (!log)
		return;
	va_start(ap, fmt);
	text = message(fmt, ap);
	va_end(ap);
	say(log, "warn", "warning: ", true, text);
}

void pv_log_debug(struct pv_log *log, const char *fmt, ...)
{
	pv_autofree char *text = NULL;
	va_list ap;

	if (!log || (!log->verbose && !log->file))
		return;
	va_start(ap, fmt);
	text = message(fmt, ap);
	va_end(ap);
	say(log, "debug", "debug: ", log->verbose, text);
}

/* --- progress --- */

/* The caller frees. */
static char *elapsed(uint64_t ms)
{
	unsigned long long s = ms / 1000;

	if (s >= 3600)
		return pv_fmt("%llu:%02llu:%02llu", s / 3600, s / 60 % 60, s % 60);
	return pv_fmt("%llu:%02llu", s / 60, s % 60);
}

/* "  201/388 MiB", "  980 KiB/388 MiB", "  17 files" */
static void add_counter(struct pv_str *s, const struct counter *c, bool is_size)
{
	pv_autofree char *done = NULL, *total = NULL;
	const char *unit;

	if (!c->unit[0])
		return;
	if (!is_size) {
		pv_str_addf(s, "  %llu", (unsigned long long)c->done);
		if (c->total > 0)
			pv_str_addf(s, "/%llu", (unsigned long long)c->total);
		pv_str_addf(s, " %s", c->unit);
		return;
	}
	done = pv_size_text(c->done);
	total = pv_size_text(c->total);
	unit = strchr(total, ' ');
	if (c->total == 0)
		pv_str_addf(s, "  %s", done);
	else if (unit && pv_ends(done, unit))
		pv_str_addf(s, "  %.*s/%s", (int)strcspn(done, " "), done, total);
	else
		pv_str_addf(s, "  %s/%s", done, total);
}

/* The caller frees. */
static char *progress_line(const struct pv_log *log, uint64_t now)
{
	pv_autofree char *time_text = elapsed(now - log->stage_started);
	struct pv_str s = PV_STR_INIT;

	pv_str_addf(&s, "%s  %s", log->image, log->stage);
	add_counter(&s, &log->count, false);
	add_counter(&s, &log->bytes, true);
	pv_str_addf(&s, "  %s", time_text);
	return pv_str_steal(&s);
}

static size_t terminal_columns(void)
{
	struct winsize ws;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col > 1)
		return ws.ws_col;
	return 80;
}

/* Cuts printable UTF-8 after so many characters. */
static void cut_columns(char *text, size_t columns)
{
	size_t seen = 0;

	for (char *p = text; *p; p++) {
		if (((unsigned char)*p & 0xc0) == 0x80)
			continue;
		if (seen++ == columns) {
			*p = '\0';
			return;
		}
	}
}

static void live_refresh(struct pv_log *log, bool now_please)
{
	uint64_t now = pv_clock_ms();
	pv_autofree char *line = NULL;

	if (log->mode != PV_LOG_LIVE || !log->in_stage)
		return;
	if (!now_please && now - log->shown_at < LIVE_MS)
		return;
	line = progress_line(log, now);
	/* One column stays free: a full line would make the terminal wrap. */
	cut_columns(line, terminal_columns() - 1);
	fprintf(stderr, "\r%s\033[K", line);
	fflush(stderr);
	log->live_shown = true;
	log->shown_at = now;
}

void pv_log_tick(struct pv_log *log)
{
	if (log)
		live_refresh(log, false);
}

static void plain_progress(struct pv_log *log)
{
	uint64_t now = pv_clock_ms();
	pv_autofree char *line = NULL;

	if (log->mode != PV_LOG_PLAIN || !log->moved || now - log->shown_at < PLAIN_MS)
		return;
	line = progress_line(log, now);
	terminal_line(log, line);
	log->shown_at = now;
	log->moved = false;
}

/* The caller adds to it. */
static json_t *stage_event(const struct pv_log *log, const char *state)
{
	return json_pack("{s:s, s:s, s:s, s:s}", "event", "stage", "image", log->image, "stage", log->stage, "state",
			 state);
}

static void json_progress(struct pv_log *log, struct counter *c)
{
	uint64_t now = pv_clock_ms();
	bool last = c->total > 0 && c->done == c->total;
	json_t *event;

	if (log->mode != PV_LOG_JSON || c->json_done == c->done)
		return;
	if (!last && c->json_done != UINT64_MAX && now - c->json_at < JSON_MS)
		return;
	event = stage_event(log, "progress");
	json_object_set_new(event, "done", json_integer((json_int_t)c->done));
	json_object_set_new(event, "total", json_integer((json_int_t)c->total));
	json_object_set_new(event, "unit", json_string(c->unit));
	json_object_set_new(event, "ms", json_integer((json_int_t)(now - log->stage_started)));
	json_line(event);
	c->json_at = now;
	c->json_done = c->done;
}

void pv_log_child(struct pv_log *log, const char *line, size_t len)
{
	pv_autofree char *text = NULL;
	const char *start;

	if (!log)
		return;
	while (len > 0 && line[len - 1] == '\r')
		len--;
	/* What a terminal would show in the end of a line that was rewritten. */
	start = len > 0 ? memrchr(line, '\r', len) : NULL;
	start = start ? start + 1 : line;
	if (log->file || log->verbose) {
		text = pv_printable(start, len - (size_t)(start - line));
		say(log, "output", "  | ", log->verbose, text);
	}
	live_refresh(log, false);
}

void pv_log_stage_begin(struct pv_log *log, const char *image, const char *stage)
{
	const struct counter none = { .json_done = UINT64_MAX };
	pv_autofree char *line = NULL;

	if (!log)
		return;
	free(log->image);
	free(log->stage);
	log->image = pv_printable(image, strlen(image));
	log->stage = pv_printable(stage, strlen(stage));
	log->in_stage = true;
	log->stage_started = log->shown_at = pv_clock_ms();
	log->count = log->bytes = none;
	log->moved = false;
	line = pv_fmt("%s  %s", log->image, log->stage);
	file_line(log, line);
	if (log->mode == PV_LOG_JSON)
		json_line(stage_event(log, "begin"));
	else if (log->mode == PV_LOG_PLAIN)
		terminal_line(log, line);
	else
		live_refresh(log, true);
}

void pv_log_stage_progress(struct pv_log *log, uint64_t done, uint64_t total, const char *unit)
{
	struct counter *c;

	if (!log || !log->in_stage)
		return;
	c = pv_streq(unit, "bytes") ? &log->bytes : &log->count;
	if (!pv_streq(c->unit, unit))
		snprintf(c->unit, sizeof(c->unit), "%s", unit);
	if (c->done != done || c->total != total)
		log->moved = true;
	c->done = done;
	c->total = total;
	live_refresh(log, false);
	plain_progress(log);
	json_progress(log, c);
}

void pv_log_stage_bytes(void *log, uint64_t done, uint64_t total)
{
	pv_log_stage_progress(log, done, total, "bytes");
}

void pv_log_stage_end(struct pv_log *log, bool ok, const char *note)
{
	pv_autofree char *line = NULL, *time_text = NULL, *words = NULL;
	uint64_t ms;

	if (!log || !log->in_stage)
		return;
	ms = pv_clock_ms() - log->stage_started;
	time_text = elapsed(ms);
	words = note ? pv_printable(note, strlen(note)) : NULL;
	line = pv_fmt("%s  %s  %s%s%s  %s", log->image, log->stage, ok ? "done" : "failed", words ? "  " : "",
		      words ? words : "", time_text);
	file_line(log, line);
	log->in_stage = false;
	if (log->mode == PV_LOG_JSON) {
		json_t *event = stage_event(log, "end");

		json_object_set_new(event, "ok", json_boolean(ok));
		if (words)
			json_object_set_new(event, "note", json_string(words));
		json_object_set_new(event, "ms", json_integer((json_int_t)ms));
		json_line(event);
	} else {
		terminal_line(log, line);
	}
}

/* --- the end --- */

void pv_log_result(struct pv_log *log, const char *image, const char *path)
{
	pv_autofree char *name = pv_printable(image, strlen(image)), *where = pv_printable(path, strlen(path));

	if (log && log->mode == PV_LOG_JSON)
		json_line(json_pack("{s:s, s:s, s:s}", "event", "result", "image", name, "path", where));
}

void pv_log_error(struct pv_log *log, const struct pv_error *cause)
{
	const char *words = cause->text ? cause->text : "failed";
	pv_autofree char *text = pv_printable(words, strlen(words));

	if (log && log->mode == PV_LOG_JSON)
		json_line(json_pack("{s:s, s:i, s:s}", "event", "error", "exit", (int)cause->kind, "text", text));
}
