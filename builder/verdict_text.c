/* SPDX-License-Identifier: Apache-2.0 */
/* The verdict for people: what it is and why, what is red, the checks, the boot. */
#include <string.h>

#include "verdict.h"

#define NAME_COLUMN_MAX 40u
#define SERVICES_SHOWN 5u		/* the slowest */

enum color {
	RED,
	GREEN,
	YELLOW,
	BOLD,
	PLAIN,
};

static const char *code(bool color, enum color which)
{
	static const char *const codes[] = {
		[RED] = "\033[31m", [GREEN] = "\033[32m", [YELLOW] = "\033[33m", [BOLD] = "\033[1m", [PLAIN] = "\033[0m",
	};

	return color ? codes[which] : "";
}

static const struct {
	const char *word;
	enum color color;
} states[] = {
	[PV_CHECK_GREEN] = { "ok", GREEN },
	[PV_CHECK_RED] = { "RED", RED },
	[PV_CHECK_UNCHECKED] = { "?", YELLOW },
};

/* Terminal columns: a UTF-8 character is one. */
static size_t columns(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static size_t name_width(const struct pv_verdict *v)
{
	size_t width = 0;

	for (size_t i = 0; i < v->nchecks; i++) {
		size_t n = columns(v->checks[i].name);
		if (n > width && n <= NAME_COLUMN_MAX)
			width = n;
	}
	return width;
}

static void add_check(struct pv_str *out, const struct pv_check *check, size_t width, bool color)
{
	size_t n = columns(check->name);
	int pad = n < width ? (int)(width - n) : 0;

	pv_str_addf(out, "  %s%-3s%s  %s%*s  %s", code(color, states[check->state].color), states[check->state].word,
		    code(color, PLAIN), check->name, pad, "", check->seen);
	/* Where all is well, what was expected is what was seen, more or less. */
	if (check->state != PV_CHECK_GREEN)
		pv_str_addf(out, "  (expected: %s)", check->expected);
	pv_str_addc(out, '\n');
}

static void add_checks(struct pv_str *out, const struct pv_verdict *v, enum pv_check_state state, const char *title,
			 bool color)
{
	size_t n = 0, width = name_width(v);

	for (size_t i = 0; i < v->nchecks; i++) {
		if (v->checks[i].state != state)
			continue;
		if (n++ == 0)
			pv_str_addf(out, "\n%s\n", title);
		add_check(out, &v->checks[i], width, color);
	}
}

static size_t count_checks(const struct pv_verdict *v, enum pv_check_state state)
{
	size_t n = 0;

	for (size_t i = 0; i < v->nchecks; i++)
		n += v->checks[i].state == state;
	return n;
}

/* The verdict's line: the class in capitals, and why it is not green. */
static void add_head(struct pv_str *out, const struct pv_verdict *v, bool color)
{
	pv_autofree char *name = pv_xstrdup(pv_class_name(v->class));

	for (char *c = name; *c; c++)
		*c = *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
	pv_str_addf(out, "%s%s%s%s", code(color, BOLD), code(color, v->green ? GREEN : RED), name, code(color, PLAIN));
	if (v->green)
		pv_str_add(out, ", every check green\n");
	else
		pv_str_addf(out, ": %s\n", v->cause ? v->cause : "not green");
}

static void add_run(struct pv_str *out, const struct pv_verdict_run *run)
{
	pv_autofree char *image = pv_printable(run->image, strlen(run->image));
	pv_autofree char *memory = pv_size_text(run->memory), *disk = pv_size_text(run->disk_size);

	pv_str_addf(out, "  image   %s (%s, sha256 %.12s...)\n", image, run->format, run->image_sha256);
	pv_str_addf(out, "  guest   %s, %u %s, disk %s\n", memory, run->vcpus, run->vcpus == 1 ? "vcpu" : "vcpus", disk);
	pv_str_addf(out, "  driver  %s%s%s%s\n", run->driver, run->driver_why ? " (" : "",
		    run->driver_why ? run->driver_why : "", run->driver_why ? ")" : "");
	if (run->driver_facts && run->driver_facts->n > 0) {
		pv_str_add(out, "         ");
		for (size_t i = 0; i < run->driver_facts->n; i++)
			pv_str_addf(out, " %s=%s", run->driver_facts->v[i].name, run->driver_facts->v[i].value);
		pv_str_addc(out, '\n');
	}
	if (run->proves)
		pv_str_addf(out, "  proves  %s\n", run->proves);
	if (run->console_log)
		pv_str_addf(out, "  console %s\n", run->console_log);
}

static uint64_t ms_of(const struct pv_var *var)
{
	uint64_t ms;

	return pv_parse_u64(var->value, 0, INT64_MAX, &ms) == 0 ? ms : 0;
}

/* The phases in their order on one line, the slowest services on the next. */
static void add_timeline(struct pv_str *out, const struct pv_vars *timeline)
{
	const struct pv_var *slow[SERVICES_SHOWN] = { NULL };
	size_t n = 0, nslow = 0;

	for (size_t i = 0; i < timeline->n; i++) {
		const struct pv_var *var = &timeline->v[i];
		if (!pv_starts(var->name, "service ")) {
			pv_str_addf(out, "%s%s %.1f s", n++ ? ", " : "\nBoot: ", var->name, (double)ms_of(var) / 1000);
			continue;
		}
		size_t at = nslow < SERVICES_SHOWN ? nslow++ : SERVICES_SHOWN;
		while (at > 0 && ms_of(slow[at - 1]) < ms_of(var)) {
			if (at < SERVICES_SHOWN)
				slow[at] = slow[at - 1];
			at--;
		}
		if (at < SERVICES_SHOWN)
			slow[at] = var;
	}
	if (n > 0)
		pv_str_addc(out, '\n');
	for (size_t i = 0; i < nslow; i++)
		pv_str_addf(out, "%s%s %.1f s", i ? ", " : "Slowest services: ", slow[i]->name + strlen("service "),
			    (double)ms_of(slow[i]) / 1000);
	if (nslow > 0)
		pv_str_addc(out, '\n');
}

char *pv_verdict_text(const struct pv_verdict *v, const struct pv_verdict_run *run, bool color)
{
	struct pv_str out = PV_STR_INIT;

	add_head(&out, v, color);
	add_run(&out, run);
	if (v->evidence.n > 0)
		pv_str_add(&out, "\nEvidence\n");
	for (size_t i = 0; i < v->evidence.n; i++)
		pv_str_addf(&out, "  %s\n", v->evidence.v[i]);
	add_checks(&out, v, PV_CHECK_RED, "Red", color);
	if (v->class != PV_CLASS_NOT_BOOTED)
		add_checks(&out, v, PV_CHECK_UNCHECKED, "Could not be checked", color);
	else
		pv_str_addf(&out, "\n%zu checks could not be made\n", count_checks(v, PV_CHECK_UNCHECKED));
	add_checks(&out, v, PV_CHECK_GREEN, "Green", color);
	add_timeline(&out, &v->timeline);
	return pv_str_steal(&out);
}
