/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a guest booted, and if not, why: read from console, screen and how the domain ended. */
#include "verdict_priv.h"

#include <string.h>

#define QUIET_MS 30000u			/* a console silent for longer than this at the deadline: hung, not slow (TCG) */
#define LAST_LINES 6u			/* as evidence, where no line says what is wrong */
#define LINES_BEFORE 5u
#define LINES_AFTER 3u

static const char *const fault_texts[] = {
	[PV_BOOT_FINE] = NULL,
	[PV_BOOT_NOT_CREATED] = "domain could not be created",
	[PV_BOOT_NO_DISK] = "no bootable disk",
	[PV_BOOT_GRUB] = "stopped in GRUB",
	[PV_BOOT_OOM] = "out of memory at boot",
	[PV_BOOT_NO_ROOT] = "no root file system found",
	[PV_BOOT_PANIC] = "kernel panic",
	[PV_BOOT_EMERGENCY] = "emergency mode",
	[PV_BOOT_REBOOT] = "rebooted by itself",
	[PV_BOOT_CRASH] = "crashed",
	[PV_BOOT_POWEROFF] = "powered itself off",
	[PV_BOOT_SILENT] = "nothing on the console",
	[PV_BOOT_HANG] = "hung",
	[PV_BOOT_SLOW] = "still booting at the deadline",
	[PV_BOOT_UNSEEN] = "watching ended before it was up",
};

/* Firmware's and boot loader's words, at the beginning of a line of the screen. Sources: SeaBIOS src/boot.c, EDK2
 * BdsDxe, GRUB grub-core/boot/i386/pc/boot.S, kern/rescue_reader.c, normal/main.c, normal/menu.c. */
static const struct {
	const char *begin;
	enum pv_boot_fault fault;
	bool final;			/* no proof while it still goes on: another disk may follow, a menu entry may be next */
} screen_words[] = {
	{ "No bootable device", PV_BOOT_NO_DISK, false },
	{ "BdsDxe: No bootable option", PV_BOOT_NO_DISK, false },
	{ "Shell>", PV_BOOT_NO_DISK, false },
	{ "grub rescue>", PV_BOOT_GRUB, false },
	{ "grub>", PV_BOOT_GRUB, false },
	{ "GRUB Hard Disk Error", PV_BOOT_GRUB, false },
	{ "GRUB Read Error", PV_BOOT_GRUB, false },
	{ "GRUB Geom Error", PV_BOOT_GRUB, false },
	{ "Failed to boot both default and fallback", PV_BOOT_GRUB, false },
	{ "error: ", PV_BOOT_GRUB, true },
	{ "GRUB", PV_BOOT_GRUB, true },
	{ "Boot failed: ", PV_BOOT_NO_DISK, true },
	{ "Booting from Hard Disk...", PV_BOOT_NO_DISK, true },	/* and nothing after it: the boot sector went astray */
};

/* Words of an initramfs at the beginning of a line. Sources: initramfs-tools scripts/functions and scripts/local; dracut
 * modules.d/99base, 98dracut-systemd. */
static const char *const no_root_words[] = {
	"Gave up waiting for root", "(initramfs)", "dracut-initqueue: timeout", "dracut: FATAL:",
	"Warning: Could not boot.", "dracut Warning: Could not boot.",
};

static const char *const emergency_words[] = {
	"You are in emergency mode", "You are in rescue mode", "Give root password for maintenance",
	"Press Enter for maintenance",
};

const char *pv_boot_fault_text(enum pv_boot_fault fault)
{
	return fault_texts[fault];
}

/* The end of "[    1.234567]" at `at`, or NULL. */
static const char *after_time(const char *at)
{
	at++;
	at += strspn(at, " ");
	size_t whole = strspn(at, "0123456789");
	if (whole == 0 || at[whole] != '.')
		return NULL;
	size_t part = strspn(at + whole + 1, "0123456789");
	at += whole + 1 + part;
	return part == 6 && *at == ']' ? at + 1 : NULL;
}

const char *pv_kernel_text(const char *line)
{
	/* The first time in the line counts: user space's unfinished line may stand before it, and what quotes a kernel's
	 * message has a time of its own in front. */
	for (const char *at = strchr(line, '['); at; at = strchr(at + 1, '[')) {
		const char *text = after_time(at);
		if (!text)
			continue;
		/* The caller's id, with CONFIG_PRINTK_CALLER: "[    T1]". */
		size_t id = strspn(text + (*text == '['), " ");
		if (*text == '[' && (text[1 + id] == 'T' || text[1 + id] == 'C') && strchr(text, ']'))
			text = strchr(text, ']') + 1;
		return *text == ' ' ? text + 1 : text;
	}
	return NULL;
}

static bool begins_with_any(const char *text, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (pv_starts(text, words[i]))
			return true;
	return false;
}

static bool has_kernel(const struct pv_evidence *seen)
{
	for (size_t i = 0; i < seen->nconsole; i++)
		if (pv_kernel_text(seen->console[i].text))
			return true;
	return false;
}

/* A getty's issue ("Debian GNU/Linux 12 debian hvc0"), its prompt, systemd's last target, cloud-init's last word. */
static bool line_is_up(const char *line)
{
	if (strstr(line, "Reached target") && (strstr(line, "ulti-") || strstr(line, "Graphical")))
		return true;
	if (strstr(line, "Cloud-init v. ") && strstr(line, " finished at "))
		return true;
	if (pv_kernel_text(line))
		return false;
	return pv_ends(line, " hvc0") || strstr(line, " login: ") || pv_ends(line, " login:");
}

/* The system proper runs: what an initramfs said before it was no end. */
static bool line_is_userspace(const char *line)
{
	return line_is_up(line) || strstr(line, "cloud-init[") ||
	       (pv_starts(line, "Welcome to ") && !strstr(line, "nitramfs"));
}

static size_t find_line(const struct pv_evidence *seen, bool (*is)(const char *line))
{
	size_t i = 0;

	while (i < seen->nconsole && !is(seen->console[i].text))
		i++;
	return i;
}

bool pv_verdict_up(const struct pv_evidence *seen)
{
	return find_line(seen, line_is_up) < seen->nconsole;
}

/* kernel_restart() of kernel/reboot.c and panic() of kernel/panic.c; both go to consoles however quiet they are. */
static bool line_restarts(const char *line)
{
	const char *text = pv_kernel_text(line);

	return text && (pv_starts(text, "reboot: Restarting system") || pv_starts(text, "Rebooting in "));
}

bool pv_verdict_restarted(const struct pv_evidence *seen)
{
	return find_line(seen, line_restarts) < seen->nconsole;
}

static const char *panic_text(const char *line, bool times)
{
	const char *text = times ? pv_kernel_text(line) : line;

	return text && pv_starts(text, "Kernel panic - not syncing: ") ? text : NULL;
}

/* A panic is a kernel's message with nothing but kernel's messages after it: a log that quotes one is none. */
static size_t find_panic(const struct pv_evidence *seen)
{
	bool times = has_kernel(seen);
	size_t found = seen->nconsole;

	for (size_t i = 0; i < seen->nconsole; i++) {
		const char *line = seen->console[i].text;
		if (found == seen->nconsole && panic_text(line, times))
			found = i;
		else if (found < seen->nconsole && *line && times && !pv_kernel_text(line))
			found = seen->nconsole;
	}
	return found;
}

/* "ALERT!  UUID=... does not exist.  Dropping to a shell!": names the root, so it is the better proof. */
static bool line_is_alert(const char *line)
{
	return !pv_kernel_text(line) && strstr(line, "ALERT!") && strstr(line, "does not exist");
}

static bool line_has_no_root(const char *line)
{
	const char *text = pv_kernel_text(line);

	if (text && pv_starts(text, "dracut-initqueue["))
		return strstr(text, "Could not boot") != NULL;
	return begins_with_any(text ? text : line, no_root_words, PV_COUNT(no_root_words));
}

static bool line_is_emergency(const char *line)
{
	return begins_with_any(line, emergency_words, PV_COUNT(emergency_words));
}

static bool line_is_oom(const char *line)
{
	const char *text = pv_kernel_text(line);

	return text && (pv_starts(text, "Out of memory: Killed process") || pv_starts(text, "Memory cgroup out of memory") ||
			strstr(text, " invoked oom-killer: "));
}

static bool console_fault(const struct pv_evidence *seen, struct pv_boot_finding *ret)
{
	size_t panic = find_panic(seen), none = seen->nconsole, line;

	if (panic < none) {
		const char *text = seen->console[panic].text;
		ret->line = panic;
		ret->fault = strstr(text, "Unable to mount root fs") ? PV_BOOT_NO_ROOT :
			     strstr(text, "deadlocked on memory") || strstr(text, "ut of memory") ? PV_BOOT_OOM : PV_BOOT_PANIC;
		return true;
	}
	line = find_line(seen, line_is_alert);
	if (line == none)
		line = find_line(seen, line_has_no_root);
	if (line < none && find_line(seen, line_is_userspace) == none) {
		*ret = (struct pv_boot_finding){ PV_BOOT_NO_ROOT, line, ret->screen };
		return true;
	}
	line = find_line(seen, line_is_emergency);
	if (line < none) {
		*ret = (struct pv_boot_finding){ PV_BOOT_EMERGENCY, line, ret->screen };
		return true;
	}
	return false;
}

static bool words_fault(const char *line, bool final, enum pv_boot_fault *ret)
{
	line += strspn(line, " ");
	for (size_t i = 0; i < PV_COUNT(screen_words); i++)
		if ((final || !screen_words[i].final) && pv_starts(line, screen_words[i].begin)) {
			*ret = screen_words[i].fault;
			return true;
		}
	return false;
}

/* The newest word counts: "Boot failed" of one disk, and then GRUB from the next. */
static bool screen_fault(const struct pv_evidence *seen, bool final, struct pv_boot_finding *ret)
{
	for (size_t i = seen->screen.n; i-- > 0;)
		if (words_fault(seen->screen.v[i], final, &ret->fault)) {
			ret->screen = i;
			return true;
		}
	/* Where firmware and GRUB talk on the console too. */
	for (size_t i = seen->nconsole; i-- > 0;)
		if (words_fault(seen->console[i].text, final, &ret->fault)) {
			ret->line = i;
			return true;
		}
	return false;
}

static enum pv_boot_fault end_fault(const struct pv_evidence *seen)
{
	if (!seen->ended)
		return PV_BOOT_FINE;
	if (pv_streq(seen->ended, "reboot"))
		return PV_BOOT_REBOOT;
	return pv_streq(seen->ended, "poweroff") ? PV_BOOT_POWEROFF : PV_BOOT_CRASH;
}

/* Time ran out and no line says why. */
static void deadline_fault(const struct pv_evidence *seen, struct pv_boot_finding *ret)
{
	uint64_t now;

	if (seen->nconsole == 0) {
		ret->fault = PV_BOOT_SILENT;
		return;
	}
	const struct pv_seen_line *last = &seen->console[seen->nconsole - 1];
	size_t oom = find_line(seen, line_is_oom);
	if (oom < seen->nconsole) {
		ret->fault = PV_BOOT_OOM;
		ret->line = oom;
		return;
	}
	bool stuck = strstr(last->text, "A start job is running for") || strstr(last->text, "soft lockup") ||
		     strstr(last->text, "blocked for more than") || strstr(last->text, "self-detected stall");
	bool fresh = pv_fact_u64(&seen->marks, "done", &now) && now < last->ms + QUIET_MS;
	ret->fault = fresh && !stuck ? PV_BOOT_SLOW : PV_BOOT_HANG;
	ret->line = seen->nconsole - 1;
}

struct pv_boot_finding pv_boot_find(const struct pv_evidence *seen, bool final)
{
	struct pv_boot_finding found = { PV_BOOT_FINE, seen->nconsole, seen->screen.n };
	/* While it goes on, the report's arrival is known and not yet whether it is sound. */
	bool reported = seen->have_probe || (!final && pv_vars_get(&seen->marks, "report"));

	if (seen->failed || (final && !seen->created))
		found.fault = PV_BOOT_NOT_CREATED;
	if (found.fault || (reported && final))
		return found;	/* a guest that has reported booted; how it ended is a check */
	if (!reported && console_fault(seen, &found))
		return found;
	found.fault = end_fault(seen);
	if (found.fault || reported || pv_verdict_up(seen))
		return found;
	if (!has_kernel(seen) && screen_fault(seen, final, &found))
		return found;
	if (final && seen->deadline)
		deadline_fault(seen, &found);
	else if (final)
		found.fault = PV_BOOT_UNSEEN;
	return found;
}

const char *pv_verdict_fatal(const struct pv_evidence *seen)
{
	return pv_boot_fault_text(pv_boot_find(seen, false).fault);
}

static void add_console(const struct pv_evidence *seen, size_t from, size_t to, struct pv_strv *ret)
{
	for (size_t i = from; i < to && i < seen->nconsole; i++)
		if (*seen->console[i].text)
			pv_strv_addf(ret, "console: %s", seen->console[i].text);
}

void pv_boot_evidence(const struct pv_evidence *seen, const struct pv_boot_finding *finding, struct pv_strv *ret)
{
	size_t line = finding->line, n = seen->nconsole;
	bool at_end = line >= n || finding->fault == PV_BOOT_HANG || finding->fault == PV_BOOT_SLOW;

	if (seen->failed)
		pv_strv_addf(ret, "dom0: %s", seen->failed);
	if (seen->ended)
		pv_strv_addf(ret, "dom0: the domain ended by itself: %s", seen->ended);
	if (finding->screen < seen->screen.n || (n == 0 && seen->created))
		for (size_t i = seen->screen.n > LAST_LINES ? seen->screen.n - LAST_LINES : 0; i < seen->screen.n; i++)
			if (*seen->screen.v[i])
				pv_strv_addf(ret, "screen: %s", seen->screen.v[i]);
	if (at_end)
		add_console(seen, n > LAST_LINES ? n - LAST_LINES : 0, n, ret);
	else
		add_console(seen, line > LINES_BEFORE ? line - LINES_BEFORE : 0, line + LINES_AFTER + 1, ret);
}
