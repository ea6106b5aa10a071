/* SPDX-License-Identifier: Apache-2.0 */
/* Verify's side of the conversation, a machine of few states moved by the agent's lines and a clock. */
#include "verify_brain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "dom0facts.h"
#include "frames.h"
#include "fsutil.h"
#include "verdict.h"

enum {
	ANSWER_LINES_MAX = 20000,
	LAST_WORDS_MS = 15000,		/* for screen and dom0's facts after the end was decided */
	QUIET_MS = 60000,		/* a guest that came up and says no more: it has no cloud-init that ran our probe */
	OUTSIDE_MS = 90000,		/* for all that is asked from outside */
	LOAD_MS = 400000,
	WATCH_S = 8,			/* how long Apache is held at its limit */
	MEASURE_MS = 150000,
	PULL_AFTER_MS = 3000,
	TRACED_MS = 40000,		/* for what is still traced when the report is here */
};

enum state { STARTING, BOOTING, ASKING, LOADING, MEASURING, LAST_WORDS };

/* What is asked of the agent; each is asked once at a time. */
enum question {
	ASK_FACTS, ASK_SCREEN, ASK_HTTP, ASK_MEMCACHED, ASK_SSH, ASK_FILL, ASK_WATCH, ASK_HOLD, ASK_CREATE,
	ASK_DISK_EXITS, ASK_STATS, ASK_NET_EXITS, ASK_PULL, ASK_STATS_AFTER,
	QUESTIONS
};

struct answer {
	unsigned id;			/* 0: not asked */
	bool over;
	int status;
	struct pv_strv lines;
};

struct pv_brain {
	struct pv_brain_request req;
	struct pv_evidence *seen;
	struct pv_agent *agent;
	struct pv_frames *frames;
	FILE *console;
	enum state state;
	uint64_t started, hello, state_since, screen_asked, heard, reported;	/* ms */
	struct answer answers[QUESTIONS];
};

static uint64_t since_start(const struct pv_brain *brain)
{
	return pv_clock_ms() - brain->started;
}

static void mark(struct pv_brain *brain, const char *name, const char *words)
{
	uint64_t ms = since_start(brain);

	if (pv_vars_get(&brain->seen->marks, name))
		return;
	pv_vars_setf(&brain->seen->marks, name, "%llu", (unsigned long long)ms);
	pv_log_info(brain->req.log, "%s: %5.1f s  %s", brain->req.image, (double)ms / 1000.0, words);
}

static void enter(struct pv_brain *brain, enum state state)
{
	brain->state = state;
	brain->state_since = pv_clock_ms();
}

static void ask(struct pv_brain *brain, enum question q, const char *command)
{
	struct answer *a = &brain->answers[q];

	pv_strv_done(&a->lines);
	a->over = false;
	a->id = pv_agent_send(brain->agent, "%s", command);
}

static uint64_t in_state(const struct pv_brain *brain)
{
	return pv_clock_ms() - brain->state_since;
}

static bool waiting(const struct pv_brain *brain, enum question q)
{
	return brain->answers[q].id != 0 && !brain->answers[q].over;
}

static bool answered(const struct pv_brain *brain, enum question q)
{
	return brain->answers[q].id != 0 && brain->answers[q].over;
}

/* --- what the answers mean --- */

static void take_http(struct pv_brain *brain, const struct answer *a)
{
	struct pv_vars *out = &brain->seen->outside;
	const char *status = a->lines.n > 0 ? strchr(a->lines.v[0], ' ') : NULL;
	size_t i = 0;

	if (!status || !pv_starts(a->lines.v[0], "HTTP/")) {
		pv_vars_set(out, "http_status", a->lines.n > 0 ? a->lines.v[0] : "no answer");
		return;
	}
	pv_vars_setf(out, "http_status", "%.3s", status + 1);
	while (i < a->lines.n && *a->lines.v[i])
		i++;
	pv_vars_set(out, "http_body", i + 1 < a->lines.n ? a->lines.v[i + 1] : "");
}

/* Lines "name=value", as scripts in the guest and `hold` print them. */
static void take_values(struct pv_vars *into, const struct answer *a, const char *prefix)
{
	for (size_t i = 0; i < a->lines.n; i++) {
		const char *equals = strchr(a->lines.v[i], '=');
		if (!equals || equals == a->lines.v[i] || strcspn(a->lines.v[i], " ") < (size_t)(equals - a->lines.v[i]))
			continue;
		pv_autofree char *name = pv_fmt("%s%.*s", prefix, (int)(equals - a->lines.v[i]), a->lines.v[i]);
		pv_vars_set(into, name, equals + 1);
	}
}

/* "held=800 answered=800 refused=0" on one line or several. */
static void take_words(struct pv_vars *into, const struct answer *a, const char *prefix)
{
	struct answer split = { 0 };

	for (size_t i = 0; i < a->lines.n; i++) {
		pv_autofree char *line = pv_xstrdup(a->lines.v[i]);
		char *rest = NULL;
		for (char *w = strtok_r(line, " ", &rest); w; w = strtok_r(NULL, " ", &rest))
			pv_strv_add(&split.lines, w);
	}
	take_values(into, &split, prefix);
	pv_strv_done(&split.lines);
}

/* name=value lines, or the words of a failure as the value of `otherwise`. */
static void take_measured(struct pv_brain *brain, const struct answer *a, const char *prefix, const char *otherwise)
{
	struct pv_vars *into = &brain->seen->measured;

	take_values(into, a, prefix);
	if (a->status != 0 && otherwise)
		pv_vars_set(into, otherwise, a->lines.n > 0 ? a->lines.v[0] : "no answer");
}

static void take_screen(struct pv_brain *brain, const struct answer *a)
{
	struct pv_strv *screen = &brain->seen->screen;
	size_t n = a->lines.n;

	while (n > 0 && a->lines.v[n - 1][strspn(a->lines.v[n - 1], " ")] == '\0')
		n--;
	if (n == 0)
		return;
	pv_strv_done(screen);
	for (size_t i = 0; i < n; i++)
		pv_strv_add(screen, a->lines.v[i]);
	mark(brain, "screen", "firmware on the screen");
	for (size_t i = 0; i < n; i++)
		if (strstr(a->lines.v[i], "GRUB") || strstr(a->lines.v[i], "Loading Linux"))
			mark(brain, "grub", "GRUB");
}

static void take_facts(struct pv_brain *brain, const struct answer *a)
{
	struct pv_dom0facts *facts = pv_dom0facts_new();

	for (size_t i = 0; i < a->lines.n; i++)
		pv_dom0facts_line(facts, a->lines.v[i]);
	pv_dom0facts_end(facts, &brain->seen->dom0);
	pv_dom0facts_free(facts);
	brain->seen->have_dom0 = a->status == 0 && a->lines.n > 0;
}

static void take_answer(struct pv_brain *brain, enum question q)
{
	const struct answer *a = &brain->answers[q];
	struct pv_evidence *seen = brain->seen;
	const char *first = a->lines.n > 0 ? a->lines.v[0] : "";

	switch (q) {
	case ASK_FACTS:
		take_facts(brain, a);
		break;
	case ASK_SCREEN:
		take_screen(brain, a);
		break;
	case ASK_HTTP:
		take_http(brain, a);
		break;
	case ASK_MEMCACHED:
		pv_vars_set(&seen->outside, "memcached", *first ? first : "no answer");
		break;
	case ASK_SSH:
		pv_vars_set(&seen->outside, "ssh", a->status == 0 && pv_streq(first, "login ok") ? "ok" :
						   *first ? first : "no answer");
		break;
	case ASK_FILL:
		take_values(&seen->load, a, "fill_");
		break;
	case ASK_WATCH:
		take_values(&seen->load, a, "");
		break;
	case ASK_HOLD:
		take_words(&seen->load, a, "hold_");
		break;
	case ASK_DISK_EXITS:
		take_measured(brain, a, "disk.", "disk.exits");
		break;
	case ASK_STATS:
		take_measured(brain, a, "", NULL);
		break;
	case ASK_NET_EXITS:
		take_measured(brain, a, "net.", "net.exits");
		break;
	case ASK_PULL:
		take_measured(brain, a, "pull.", "pull");
		break;
	case ASK_STATS_AFTER:
		take_measured(brain, a, "after.", NULL);
		break;
	default:
		break;
	}
}

/* --- the states --- */

static void last_words(struct pv_brain *brain)
{
	if (brain->state == LAST_WORDS)
		return;
	enter(brain, LAST_WORDS);
	if (!brain->seen->created)
		return;
	if (!waiting(brain, ASK_SCREEN) && !brain->seen->ended && !pv_vars_get(&brain->seen->marks, "kernel"))
		ask(brain, ASK_SCREEN, "vga");
	if (!brain->seen->have_dom0 && !waiting(brain, ASK_FACTS) && !brain->seen->ended)
		ask(brain, ASK_FACTS, "facts");
}

static void begin_asking(struct pv_brain *brain)
{
	enter(brain, ASKING);
	ask(brain, ASK_FACTS, "facts");
	ask(brain, ASK_HTTP, "http 80 /healthz");
	ask(brain, ASK_MEMCACHED, "tcp 11211");
	if (pv_frames_complete(brain->frames))
		ask(brain, ASK_SSH, "ssh login.sh");
}

static void begin_load(struct pv_brain *brain)
{
	const char *ssh = pv_vars_get(&brain->seen->outside, "ssh");

	if (!brain->req.load || !pv_streq(ssh, "ok")) {
		last_words(brain);
		return;
	}
	mark(brain, "load", "load test");
	enter(brain, LOADING);
	ask(brain, ASK_FILL, "ssh load-fill.sh");
}

static void go_on_loading(struct pv_brain *brain)
{
	if (answered(brain, ASK_FILL) && brain->answers[ASK_WATCH].id == 0) {
		pv_autofree char *hold = pv_fmt("hold %u %u", brain->req.workers, WATCH_S);
		if (brain->req.workers > 0)
			ask(brain, ASK_HOLD, hold);
		ask(brain, ASK_WATCH, "ssh load-watch.sh");
	}
	if (answered(brain, ASK_WATCH) && !waiting(brain, ASK_HOLD)) {
		mark(brain, "loaded", "load test done");
		last_words(brain);
	}
}

/* Only a guest that answers can be asked for a file. */
static void begin_measuring(struct pv_brain *brain)
{
	mark(brain, "measure", "measuring");
	enter(brain, MEASURING);
	ask(brain, ASK_STATS, "stats");
}

static bool has_file(const struct pv_brain *brain)
{
	const char *status = pv_vars_get(&brain->seen->outside, "http_status");

	return pv_frames_complete(brain->frames) && status && strlen(status) == 3;
}

static void go_on_measuring(struct pv_brain *brain)
{
	if (waiting(brain, ASK_STATS))
		return;
	if (!has_file(brain)) {
		last_words(brain);
		return;
	}
	if (brain->answers[ASK_NET_EXITS].id == 0) {
		enter(brain, MEASURING);	/* its time counts from here */
		ask(brain, ASK_NET_EXITS, "exits " PV_BRAIN_TRACE_S);
	} else if (brain->answers[ASK_PULL].id == 0 && in_state(brain) > brain->req.pull_after_ms) {
		ask(brain, ASK_PULL, "pull 80 /pvimg-pull");
	}
	if (answered(brain, ASK_PULL) && !waiting(brain, ASK_NET_EXITS) && brain->answers[ASK_STATS_AFTER].id == 0)
		ask(brain, ASK_STATS_AFTER, "stats");
	if (answered(brain, ASK_STATS_AFTER)) {
		mark(brain, "measured", "measured");
		last_words(brain);
	}
}

static bool outside_done(const struct pv_brain *brain)
{
	return !waiting(brain, ASK_FACTS) && !waiting(brain, ASK_HTTP) && !waiting(brain, ASK_MEMCACHED) &&
	       !waiting(brain, ASK_SSH);
}

/* Anything may have changed: goes as far as can be gone. */
static void advance(struct pv_brain *brain)
{
	if (brain->state == BOOTING && pv_frames_complete(brain->frames)) {
		mark(brain, "report", "the guest's report is here");
		if (brain->reported == 0)
			brain->reported = pv_clock_ms();
		/* What is asked would be among what is traced. */
		if (!waiting(brain, ASK_DISK_EXITS) || pv_clock_ms() - brain->reported > TRACED_MS)
			begin_asking(brain);
	}
	if (brain->state == BOOTING && pv_verdict_up(brain->seen) &&
	    pv_clock_ms() - brain->heard > QUIET_MS) {
		mark(brain, "quiet", "up, without a report of the guest's own");
		begin_asking(brain);
	}
	if (brain->state == ASKING && (outside_done(brain) || in_state(brain) > OUTSIDE_MS)) {
		if (brain->req.measure)
			begin_measuring(brain);
		else
			begin_load(brain);
	}
	if (brain->state == MEASURING) {
		go_on_measuring(brain);
		if (brain->state == MEASURING && in_state(brain) > MEASURE_MS)
			last_words(brain);
	}
	if (brain->state == LOADING) {
		go_on_loading(brain);
		if (brain->state == LOADING && in_state(brain) > LOAD_MS)
			last_words(brain);
	}
	if (brain->state == LAST_WORDS && ((!waiting(brain, ASK_FACTS) && !waiting(brain, ASK_SCREEN)) ||
					   in_state(brain) > LAST_WORDS_MS)) {
		mark(brain, "done", "all seen");
		pv_agent_stop(brain->agent);
	}
}

static bool fell_silent(const struct pv_brain *brain)
{
	const struct pv_vars *marks = &brain->seen->marks;

	return brain->req.silence_ms > 0 && pv_vars_get(marks, "kernel") && !pv_vars_get(marks, "initramfs") &&
	       !pv_vars_get(marks, "userspace") && pv_clock_ms() - brain->heard > brain->req.silence_ms;
}

/* Whether the boot can come to nothing more. */
static void look_for_an_end(struct pv_brain *brain)
{
	struct pv_evidence *seen = brain->seen;

	if (brain->state == LAST_WORDS)
		return;
	if (seen->failed || seen->ended || pv_verdict_fatal(seen)) {
		last_words(brain);
	} else if (fell_silent(brain)) {
		seen->silent = true;
		last_words(brain);
	} else if (brain->hello && pv_clock_ms() - brain->hello > (uint64_t)brain->req.deadline_s * 1000 &&
		   brain->state != LOADING && brain->state != MEASURING) {
		seen->deadline = true;
		last_words(brain);
	}
}

/* --- handlers --- */

static void on_hello(void *ctx, const char *facts)
{
	struct pv_brain *brain = ctx;

	if (brain->state != STARTING || brain->hello)
		return;
	brain->hello = pv_clock_ms();
	pv_autofree char *words = pv_fmt("dom0 is ready (%s)", facts);
	mark(brain, "hello", words);
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	pv_agent_send(brain->agent, "clock %lld", (long long)now.tv_sec);
	ask(brain, ASK_CREATE, "create");
	enter(brain, BOOTING);
}

/* The probe is about to read the disk. A guest that lies about it spoils its own numbers only. */
static void trace_disk(struct pv_brain *brain, const char *text)
{
	pv_autofree char *word = pv_fmt("PVIMG-MEASURE %s disk", brain->req.nonce);

	if (brain->req.measure && brain->state == BOOTING && brain->answers[ASK_DISK_EXITS].id == 0 &&
	    strstr(text, word))
		ask(brain, ASK_DISK_EXITS, "exits " PV_BRAIN_TRACE_S);
}

static const struct {
	const char *text, *mark, *words;
} phases[] = {
	{ "Linux version ", "kernel", "kernel" },
	{ "Run /init as init process", "initramfs", "initramfs" },
	{ "Welcome to ", "userspace", "userspace" },
	{ " login:", "login", "login prompt" },
};

static void on_console(void *ctx, const char *text)
{
	struct pv_brain *brain = ctx;

	brain->heard = pv_clock_ms();
	if (brain->console)
		fprintf(brain->console, "%8.2f  %s\n", (double)since_start(brain) / 1000.0, text);
	if (pv_frames_line(brain->frames, text)) {
		advance(brain);
		return;
	}
	pv_evidence_line(brain->seen, since_start(brain), text);
	trace_disk(brain, text);
	for (size_t i = 0; i < PV_COUNT(phases); i++)
		if (strstr(text, phases[i].text) && !strstr(text, "nitramfs)") && !strstr(text, "dracut"))
			mark(brain, phases[i].mark, phases[i].words);
}

static void on_event(void *ctx, const char *what, const char *text)
{
	struct pv_brain *brain = ctx;
	struct pv_evidence *seen = brain->seen;

	if (pv_streq(what, "created")) {
		seen->created = true;
		brain->screen_asked = pv_clock_ms();
		mark(brain, "created", "domain created");
	} else if (pv_streq(what, "failed") && !seen->failed) {
		seen->failed = pv_xstrdup(text);
	} else if (pv_streq(what, "ended") && !seen->ended && brain->state != LAST_WORDS) {
		pv_autofree char *words = pv_fmt("the guest ended: %s", text);
		seen->ended = pv_xstrdup(text);
		mark(brain, "ended", words);
	}
	look_for_an_end(brain);
	advance(brain);
}

static struct answer *answer_of(struct pv_brain *brain, unsigned id)
{
	for (size_t i = 0; i < QUESTIONS; i++)
		if (brain->answers[i].id == id)
			return &brain->answers[i];
	return NULL;
}

static void on_reply(void *ctx, unsigned id, const char *text)
{
	struct answer *a = answer_of(ctx, id);

	if (a && !a->over && a->lines.n < ANSWER_LINES_MAX)
		pv_strv_add(&a->lines, text);
}

static void on_end(void *ctx, unsigned id, int status)
{
	struct pv_brain *brain = ctx;
	struct answer *a = answer_of(brain, id);

	if (!a || a->over)
		return;
	a->over = true;
	a->status = status;
	take_answer(brain, (enum question)(a - brain->answers));
	look_for_an_end(brain);
	advance(brain);
}

static void on_tick(void *ctx)
{
	struct pv_brain *brain = ctx;
	uint64_t now = pv_clock_ms();

	pv_log_tick(brain->req.log);
	if (brain->console)
		fflush(brain->console);
	/* Before the kernel speaks only the screen tells how far the boot is. */
	if (brain->state == BOOTING && brain->seen->created && !pv_vars_get(&brain->seen->marks, "kernel") &&
	    !waiting(brain, ASK_SCREEN) && now - brain->screen_asked > brain->req.screen_every_ms) {
		brain->screen_asked = now;
		ask(brain, ASK_SCREEN, "vga");
	}
	look_for_an_end(brain);
	advance(brain);
}

/* --- life --- */

int pv_brain_new(const struct pv_brain_request *req, struct pv_evidence *seen, struct pv_brain **ret,
		 struct pv_error *err)
{
	FILE *console = fopen(req->console_path, "we");

	if (!console)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", req->console_path);
	struct pv_brain *brain = pv_xcalloc(1, sizeof(*brain));
	const struct pv_agent_handler handler = { .hello = on_hello, .console = on_console, .event = on_event,
						  .reply = on_reply, .end = on_end, .tick = on_tick, .ctx = brain };
	brain->req = *req;
	if (brain->req.screen_every_ms == 0)
		brain->req.screen_every_ms = PV_BRAIN_SCREEN_MS;
	if (brain->req.pull_after_ms == 0)
		brain->req.pull_after_ms = PULL_AFTER_MS;
	brain->seen = seen;
	brain->console = console;
	brain->frames = pv_frames_new(req->nonce);
	brain->agent = pv_agent_new(&handler);
	brain->started = brain->state_since = pv_clock_ms();
	*ret = brain;
	return 0;
}

struct pv_agent *pv_brain_agent(const struct pv_brain *brain)
{
	return brain->agent;
}

int pv_brain_end(struct pv_brain *brain, struct pv_error *err)
{
	FILE *console = brain->console;
	pv_autoerror damaged = PV_ERROR_INIT;

	brain->console = NULL;
	bool bad = ferror(console) != 0;
	if ((fclose(console) != 0) | bad)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", brain->req.console_path);
	if (!pv_frames_complete(brain->frames))
		return 0;
	if (pv_frames_report(brain->frames, &brain->seen->probe, &damaged) < 0)
		pv_log_warn(brain->req.log, "%s: the guest's report: %s", brain->req.image, damaged.text);
	else
		brain->seen->have_probe = true;
	return 0;
}

void pv_brain_free(struct pv_brain *brain)
{
	if (!brain)
		return;
	if (brain->console)
		fclose(brain->console);
	for (size_t i = 0; i < QUESTIONS; i++)
		pv_strv_done(&brain->answers[i].lines);
	pv_frames_free(brain->frames);
	pv_agent_free(brain->agent);
	free(brain);
}

void pv_brain_freep(struct pv_brain **brain)
{
	pv_brain_free(*brain);
	*brain = NULL;
}
