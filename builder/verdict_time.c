/* SPDX-License-Identifier: Apache-2.0 */
/* The timeline of a boot: from the driver's marks, and from the guest's own clocks where it reported. */
#include "verdict_priv.h"

#include <string.h>

/* Phases between two marks, in their order. Where GRUB was not seen on the screen, firmware and
 * GRUB are one. */
static const struct {
	const char *phase, *from, *to, *without;
} phases[] = {
	{ "dom0", NULL, "created", NULL },
	{ "firmware", "created", "grub", NULL },
	{ "grub", "grub", "kernel", NULL },
	{ "firmware and grub", "created", "kernel", "grub" },
	{ "kernel", "kernel", "initramfs", NULL },
	{ "initramfs", "initramfs", "userspace", NULL },
	{ "userspace", "userspace", "login", NULL },
	{ "total", "created", "login", NULL },
	{ "total", "created", "report", NULL },
};

bool pv_fact_u64(const struct pv_vars *facts, const char *name, uint64_t *ret)
{
	const char *value = pv_vars_get(facts, name);

	return value && pv_parse_u64(value, 0, INT64_MAX, ret) == 0;
}

static void set_ms(struct pv_vars *ret, const char *phase, uint64_t ms)
{
	pv_vars_setf(ret, phase, "%llu", (unsigned long long)ms);
}

static void between_marks(const struct pv_vars *marks, struct pv_vars *ret)
{
	for (size_t i = 0; i < PV_COUNT(phases); i++) {
		uint64_t from = 0, to;
		if (phases[i].without && pv_vars_get(marks, phases[i].without))
			continue;
		if (pv_fact_u64(marks, phases[i].to, &to) &&
		    (!phases[i].from || pv_fact_u64(marks, phases[i].from, &from)) && from <= to)
			set_ms(ret, phases[i].phase, to - from);
	}
}

/* systemd's stamps count from the kernel's start: the guest's own clock, free of the console's delay. It knows an
 * initramfs only where systemd runs there too; else the marks have to do for what is before it. */
static void of_systemd(const struct pv_vars *probe, struct pv_vars *ret)
{
	uint64_t initrd = 0, user = 0, finish = 0;

	(void)pv_fact_u64(probe, "t_initrd_us", &initrd);
	if (!pv_fact_u64(probe, "t_userspace_us", &user) || user == 0)
		return;
	if (initrd > 0 && initrd <= user) {
		set_ms(ret, "kernel", initrd / 1000);
		set_ms(ret, "initramfs", (user - initrd) / 1000);
	}
	if (pv_fact_u64(probe, "t_finish_us", &finish) && finish >= user)
		set_ms(ret, "userspace", (finish - user) / 1000);
}

/* To the end of the boot as systemd saw it; the report itself takes a while and waits for a clock. The guest's zero in
 * our time is the report's arrival less its own uptime then. */
static void of_whole(const struct pv_evidence *seen, struct pv_vars *ret)
{
	uint64_t created, report, uptime, finish;

	if (pv_fact_u64(&seen->marks, "created", &created) && pv_fact_u64(&seen->marks, "report", &report) &&
	    pv_fact_u64(&seen->probe, "report_at_ms", &uptime) &&
	    pv_fact_u64(&seen->probe, "t_finish_us", &finish) && finish > 0 && finish / 1000 <= uptime &&
	    report >= uptime && report - uptime >= created)
		set_ms(ret, "total", report - uptime + finish / 1000 - created);
}

/* "unit.apache2.service" = "START,ACTIVE" in microseconds. */
static void of_services(const struct pv_vars *probe, struct pv_vars *ret)
{
	for (size_t i = 0; i < probe->n; i++) {
		const char *name = probe->v[i].name, *value = probe->v[i].value, *comma = strchr(value, ',');
		uint64_t start, active;
		if (!pv_starts(name, "unit.") || !comma)
			continue;
		pv_autofree char *first = pv_xstrndup(value, (size_t)(comma - value));
		if (pv_parse_u64(first, 0, INT64_MAX, &start) < 0 ||
		    pv_parse_u64(comma + 1, 0, INT64_MAX, &active) < 0 || active < start || active == 0)
			continue;
		pv_autofree char *phase = pv_fmt("service %s", name + strlen("unit."));
		set_ms(ret, phase, (active - start) / 1000);
	}
}

void pv_timeline_read(const struct pv_evidence *seen, struct pv_vars *ret)
{
	between_marks(&seen->marks, ret);
	if (!seen->have_probe)
		return;
	of_systemd(&seen->probe, ret);
	of_whole(seen, ret);
	of_services(&seen->probe, ret);
}
