/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the rows of a comparison of what each boot gave. */
#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "verify_brain.h"

#define REASONS_MAX 200u		/* of exits, a window */

static const char no_network[] = "no network", no_exits[] = "no VM exits";

const char *pv_compare_way_name(size_t way)
{
	static const char *const names[PV_COMPARE_WAYS] = {
		[PV_AS_PVHVM] = "pvhvm", [PV_AS_HVM] = "hvm", [PV_AS_PVH] = "pvh", [PV_AS_PV] = "pv",
	};

	return names[way];
}

const char *pv_compare_of_run(const struct pv_compare *c, const char *name)
{
	for (size_t i = 0; i < PV_COMPARE_WAYS; i++) {
		const char *value = pv_vars_get(&c->ways[i].measured, name);
		if (value)
			return value;
	}
	return NULL;
}

static struct pv_metric *add(struct pv_compare *c, const char *group, const char *name, const char *unit,
			     enum pv_metric_kind kind)
{
	c->metrics = pv_xreallocarray(c->metrics, c->nmetrics + 1, sizeof(*c->metrics));
	c->metrics[c->nmetrics] = (struct pv_metric){ .group = group, .name = pv_xstrdup(name), .unit = unit,
						      .kind = kind };
	return &c->metrics[c->nmetrics++];
}

/* A row that nobody has a value for is none. */
static void drop_empty(struct pv_compare *c)
{
	struct pv_metric *last = &c->metrics[c->nmetrics - 1];

	for (size_t i = 0; i < PV_COMPARE_WAYS; i++)
		if (last->values[i])
			return;
	free(last->name);
	c->nmetrics--;
}

static bool booted(const struct pv_compare_way *way)
{
	return way->judged && way->class != PV_CLASS_NOT_BOOTED;
}

static bool number(const struct pv_vars *vars, const char *name, uint64_t *ret)
{
	const char *text = pv_vars_get(vars, name);

	return text && pv_parse_u64(text, 0, INT64_MAX, ret) == 0;
}

static void set_number(struct pv_metric *m, size_t way, uint64_t n)
{
	m->values[way] = pv_fmt("%llu", (unsigned long long)n);
}

/* --- rows that are a value as it is --- */

struct row {
	const char *group, *name, *unit, *source;	/* source: in measured */
	enum pv_metric_kind kind;
};

static void add_rows(struct pv_compare *c, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct pv_metric *m = add(c, rows[i].group, rows[i].name, rows[i].unit, rows[i].kind);
		for (size_t k = 0; k < PV_COMPARE_WAYS; k++) {
			const char *value = pv_vars_get(&c->ways[k].measured, rows[i].source);
			uint64_t count;
			if (!booted(&c->ways[k]) || !value)
				continue;
			if (m->kind == PV_METRIC_STATE)
				m->values[k] = *value ? pv_printable(value, strlen(value)) : pv_xstrdup("none");
			else if (pv_parse_u64(value, 0, INT64_MAX, &count) == 0)
				set_number(m, k, count);
		}
		drop_empty(c);
	}
}

static void add_state(struct pv_compare *c)
{
	static const struct row rows[] = {
		{ "state", "guest type", NULL, "guest.guest_type", PV_METRIC_STATE },
		{ "state", "event callback", NULL, "dom0.callback", PV_METRIC_STATE },
		{ "state", "emulated disks unplugged", NULL, "dom0.unplugged_disk", PV_METRIC_STATE },
		{ "state", "emulated card unplugged", NULL, "dom0.unplugged_nic", PV_METRIC_STATE },
		{ "state", "root disk's driver", NULL, "guest.root_driver", PV_METRIC_STATE },
		{ "state", "network cards", NULL, "guest.nics", PV_METRIC_STATE },
		{ "state", "clock", NULL, "guest.clocksource", PV_METRIC_STATE },
	};
	struct pv_metric *m = add(c, "state", "class", NULL, PV_METRIC_STATE);

	for (size_t k = 0; k < PV_COMPARE_WAYS; k++)
		m->values[k] = pv_xstrdup(c->ways[k].judged ? pv_class_name(c->ways[k].class) : "could not be tried");
	add_rows(c, rows, PV_COUNT(rows));
}

static void add_boot(struct pv_compare *c)
{
	static const char *const phases[] = {
		"firmware", "grub", "firmware and grub", "kernel", "initramfs", "userspace", "total",
	};

	for (size_t i = 0; i < PV_COUNT(phases); i++) {
		struct pv_metric *m = add(c, "boot", phases[i], "ms", PV_METRIC_TIME);
		for (size_t k = 0; k < PV_COMPARE_WAYS; k++) {
			uint64_t ms;
			if (booted(&c->ways[k]) && number(&c->ways[k].timeline, phases[i], &ms))
				set_number(m, k, ms);
		}
		drop_empty(c);
	}
}

static void add_interrupts(struct pv_compare *c)
{
	static const char group[] = "interrupts until the report";
	static const struct row rows[] = {
		{ group, "all", NULL, "guest.irq_total", PV_METRIC_COUNT },
		{ group, "Xen's callback", NULL, "guest.irq_callback", PV_METRIC_COUNT },
		{ group, "local timer", NULL, "guest.irq_local_timer", PV_METRIC_COUNT },
		{ group, "devices (IO-APIC, MSI)", NULL, "guest.irq_device", PV_METRIC_COUNT },
		{ group, "between processors", NULL, "guest.irq_ipi", PV_METRIC_COUNT },
		{ group, "event channels", NULL, "guest.irq_event", PV_METRIC_COUNT },
		{ group, "of these, timer", NULL, "guest.irq_event_timer", PV_METRIC_COUNT },
	};

	add_rows(c, rows, PV_COUNT(rows));
}

/* bytes and milliseconds, both in `measured`, as KiB/s */
static void add_rate(struct pv_compare *c, const char *group, const char *bytes_name, const char *ms_name)
{
	struct pv_metric *m = add(c, group, "throughput", "KiB/s", PV_METRIC_TIME);

	for (size_t k = 0; k < PV_COMPARE_WAYS; k++) {
		uint64_t bytes, ms;
		if (booted(&c->ways[k]) && number(&c->ways[k].measured, bytes_name, &bytes) &&
		    number(&c->ways[k].measured, ms_name, &ms) && ms > 0 && bytes < UINT64_MAX / 1000)
			set_number(m, k, bytes * 1000 / 1024 / ms);
	}
	drop_empty(c);
}

static void add_disk(struct pv_compare *c)
{
	static const char group[] = "reading the root disk";
	static const struct row rows[] = {
		{ group, "bytes read", "bytes", "guest.disk_read_bytes", PV_METRIC_COUNT },
		{ group, "requests of the guest", NULL, "guest.disk_read_requests", PV_METRIC_COUNT },
		{ group, "interrupts meanwhile", NULL, "guest.disk_irq_total", PV_METRIC_COUNT },
		{ group, "of these, Xen's callback", NULL, "guest.disk_irq_callback", PV_METRIC_COUNT },
		{ group, "of these, devices", NULL, "guest.disk_irq_device", PV_METRIC_COUNT },
		{ group, "time", "ms", "guest.disk_read_ms", PV_METRIC_TIME },
	};

	add_rows(c, rows, PV_COUNT(rows));
	add_rate(c, group, "guest.disk_read_bytes", "guest.disk_read_ms");
}

/* --- rows that are sums of what dom0 counted --- */

/* Of all "PREFIX*WHAT" in measured. False: there is none. */
static bool sum(const struct pv_vars *measured, const char *prefix, const char *what, uint64_t *ret)
{
	bool any = false;

	*ret = 0;
	for (size_t i = 0; i < measured->n; i++) {
		uint64_t n;
		if (!pv_starts(measured->v[i].name, prefix) || !pv_ends(measured->v[i].name, what) ||
		    pv_parse_u64(measured->v[i].value, 0, INT64_MAX / 1024, &n) < 0 || *ret > INT64_MAX / 2)
			continue;
		*ret += n;
		any = true;
	}
	return any;
}

static void add_served(struct pv_compare *c)
{
	static const struct {
		const char *name, *unit, *prefix, *what;
	} rows[] = {
		{ "paravirtual disks: reads", NULL, "seen.vbd-", ".rd_req" },
		{ "paravirtual disks: writes", NULL, "seen.vbd-", ".wr_req" },
		{ "paravirtual disks: sectors read", NULL, "seen.vbd-", ".rd_sect" },
		{ "paravirtual disks: sectors written", NULL, "seen.vbd-", ".wr_sect" },
		{ "device model's disks: reads", NULL, "seen.dm-", ".rd_operations" },
		{ "device model's disks: writes", NULL, "seen.dm-", ".wr_operations" },
		{ "device model's disks: bytes read", "bytes", "seen.dm-", ".rd_bytes" },
		{ "device model's disks: bytes written", "bytes", "seen.dm-", ".wr_bytes" },
		{ "paravirtual card: packets to the guest", NULL, "seen.vif.", "tx_packets" },
		{ "paravirtual card: packets from it", NULL, "seen.vif.", "rx_packets" },
		{ "emulated card: packets to the guest", NULL, "seen.vif-emu.", "tx_packets" },
		{ "emulated card: packets from it", NULL, "seen.vif-emu.", "rx_packets" },
	};

	for (size_t i = 0; i < PV_COUNT(rows); i++) {
		struct pv_metric *m = add(c, "served by dom0 so far", rows[i].name, rows[i].unit, PV_METRIC_COUNT);
		for (size_t k = 0; k < PV_COMPARE_WAYS; k++) {
			uint64_t n;
			if (booted(&c->ways[k]) && sum(&c->ways[k].measured, rows[i].prefix, rows[i].what, &n))
				set_number(m, k, n);
		}
		drop_empty(c);
	}
}

/* --- the network --- */

static bool has_no_card(const struct pv_compare_way *way)
{
	const char *nics = pv_vars_get(&way->measured, "guest.nics");

	return nics && *nics == '\0';
}

/* Packets both ways over both kinds of card, while the file came. */
static bool packets(const struct pv_vars *measured, uint64_t *ret)
{
	static const char *const what[] = { "rx_packets", "tx_packets" };
	uint64_t before, after;

	*ret = 0;
	for (size_t i = 0; i < PV_COUNT(what); i++) {
		if (!sum(measured, "seen.vif", what[i], &before) || !sum(measured, "seen.after.vif", what[i], &after) ||
		    after < before)
			return false;
		*ret += after - before;
	}
	return true;
}

static void add_network(struct pv_compare *c)
{
	static const char group[] = "a file fetched by dom0";
	struct pv_metric *m = add(c, group, "bytes", "bytes", PV_METRIC_COUNT);

	for (size_t k = 0; k < PV_COMPARE_WAYS; k++) {
		const struct pv_compare_way *way = &c->ways[k];
		const char *bytes = pv_vars_get(&way->measured, "seen.pull.bytes");
		const char *failed = pv_vars_get(&way->measured, "seen.pull");
		if (!booted(way))
			continue;
		if (bytes && !failed)
			m->values[k] = pv_xstrdup(bytes);
		else if (has_no_card(way))
			m->values[k] = pv_xstrdup(no_network);
		else
			m->values[k] = failed ? pv_fmt("failed: %s", failed) : pv_xstrdup("no answer");
	}
	drop_empty(c);
	m = add(c, group, "packets", NULL, PV_METRIC_COUNT);
	for (size_t k = 0; k < PV_COMPARE_WAYS; k++) {
		uint64_t n;
		if (booted(&c->ways[k]) && pv_vars_get(&c->ways[k].measured, "seen.pull.bytes") &&
		    packets(&c->ways[k].measured, &n))
			set_number(m, k, n);
	}
	drop_empty(c);
	const struct row time = { group, "time", "ms", "seen.pull.ms", PV_METRIC_TIME };
	add_rows(c, &time, 1);
	add_rate(c, group, "seen.pull.bytes", "seen.pull.ms");
}

/* --- exits --- */

/* The reasons that any way has, in the order of their names. */
static void reasons(const struct pv_compare *c, const char *prefix, struct pv_strv *ret)
{
	for (size_t k = 0; k < PV_COMPARE_WAYS; k++) {
		const struct pv_vars *measured = &c->ways[k].measured;
		for (size_t i = 0; i < measured->n && ret->n < REASONS_MAX; i++)
			if (booted(&c->ways[k]) && pv_starts(measured->v[i].name, prefix))
				pv_strv_add(ret, measured->v[i].name + strlen(prefix));
	}
	pv_strv_sort(ret);
	pv_strv_uniq(ret);
}

/* window: "disk" or "net". A reason that did not occur where others did is a zero. */
static void add_exits(struct pv_compare *c, const char *group, const char *window)
{
	pv_autofree char *prefix = pv_fmt("seen.%s.exit.", window), *total = pv_fmt("seen.%s.exits_total", window);
	pv_autofree char *failed = pv_fmt("seen.%s.exits", window), *lost = pv_fmt("seen.%s.exits_lost", window);
	pv_autostrv names = PV_STRV_INIT;
	struct pv_metric *m = add(c, group, "all", NULL, PV_METRIC_COUNT);

	for (size_t k = 0; k < PV_COMPARE_WAYS; k++) {
		const struct pv_vars *measured = &c->ways[k].measured;
		const char *why = pv_vars_get(measured, failed);
		uint64_t n;
		if (!booted(&c->ways[k]))
			continue;
		if (c->ways[k].class == PV_CLASS_PV)
			m->values[k] = pv_xstrdup(no_exits);
		else if (number(measured, total, &n))
			set_number(m, k, n);
		else if (why)
			m->values[k] = pv_printable(why, strlen(why));
	}
	drop_empty(c);
	const struct row more = { group, "lost by the tracing", NULL, lost, PV_METRIC_COUNT };
	add_rows(c, &more, 1);
	reasons(c, prefix, &names);
	for (size_t i = 0; i < names.n; i++) {
		pv_autofree char *source = pv_fmt("%s%s", prefix, names.v[i]);
		m = add(c, group, names.v[i], NULL, PV_METRIC_COUNT);
		for (size_t k = 0; k < PV_COMPARE_WAYS; k++) {
			uint64_t n = 0;
			if (booted(&c->ways[k]) && c->ways[k].class != PV_CLASS_PV &&
			    pv_vars_get(&c->ways[k].measured, total)) {
				(void)number(&c->ways[k].measured, source, &n);
				set_number(m, k, n);
			}
		}
	}
}

void pv_compare_measure(struct pv_compare *c)
{
	c->emulated = pv_streq(pv_compare_of_run(c, "driver.accelerator"), "tcg");
	add_state(c);
	add_boot(c);
	add_interrupts(c);
	add_disk(c);
	add_network(c);
	add_served(c);
	add_exits(c, "VM exits in " PV_BRAIN_TRACE_S " s, in which the disk is read", "disk");
	add_exits(c, "VM exits in " PV_BRAIN_TRACE_S " s, in which the file is fetched", "net");
}
