/* SPDX-License-Identifier: Apache-2.0 */
/* Sizing: the flavor, the running values against the plan's, and how it all holds under load. */
#include "verdict_priv.h"

#include <string.h>

/* Of the flavor's memory, MemTotal lacks what firmware, video memory and the kernel itself took: 45 MiB and 2 % seen. */
#define MEMORY_LEAST_PERCENT 85u
#define MIB ((uint64_t)1 << 20)

/* Apache holds nearly all: one worker answers the status page, one process may be ending. */
#define BUSY_LEAST_PERCENT 95u
/* Items take whole slab pages, so "bytes" ends below maxbytes also when memcached evicts. */
#define FILLED_LEAST_PERCENT 80u

static enum pv_check_state when(bool good)
{
	return good ? PV_CHECK_GREEN : PV_CHECK_RED;
}

static bool reported(const struct pv_judging *j)
{
	return j->v->class != PV_CLASS_NOT_BOOTED && j->seen->have_probe;
}

static void check_flavor(struct pv_judging *j)
{
	uint64_t vcpus = 0, kib = 0, memory = j->expect->memory;
	bool have = reported(j);
	pv_autofree char *want_cpus = pv_fmt("%u", j->expect->vcpus), *want = pv_size_text(memory);
	pv_autofree char *least = pv_fmt("%s less what the kernel takes", want);

	if (!have) {
		pv_check_add(j, "vcpus", PV_CHECK_UNCHECKED, want_cpus, "no report from the guest");
		pv_check_add(j, "memory", PV_CHECK_UNCHECKED, least, "no report from the guest");
		return;
	}
	bool has_cpus = pv_fact_u64(&j->seen->probe, "vcpus", &vcpus);
	bool has_memory = pv_fact_u64(&j->seen->probe, "mem_total_kib", &kib);
	pv_autofree char *cpus = pv_fmt("%llu", (unsigned long long)vcpus);
	pv_autofree char *total = pv_fmt("%llu MiB", (unsigned long long)(kib / 1024));
	pv_check_add(j, "vcpus", when(has_cpus && vcpus == j->expect->vcpus), want_cpus, has_cpus ? cpus : "not reported");
	pv_check_add(j, "memory",
		     when(has_memory && kib <= memory / 1024 && kib >= memory / 1024 * MEMORY_LEAST_PERCENT / 100), least,
		     has_memory ? total : "not reported");
}

/* Equal but for blanks: /proc/sys has tabs between numbers. */
static bool same_value(const char *a, const char *b)
{
	for (;;) {
		a += strspn(a, " \t");
		b += strspn(b, " \t");
		size_t na = strcspn(a, " \t"), nb = strcspn(b, " \t");
		if (na != nb || strncmp(a, b, na) != 0)
			return false;
		if (na == 0)
			return true;
		a += na;
		b += nb;
	}
}

static void check_table(struct pv_judging *j, const char *kind, const struct pv_vars *table)
{
	for (size_t i = 0; i < table->n; i++) {
		pv_autofree char *name = pv_fmt("%s %s", kind, table->v[i].name);
		pv_autofree char *fact = pv_fmt("%s.%s", kind, table->v[i].name);
		const char *want = table->v[i].value, *value = pv_vars_get(&j->seen->probe, fact);
		if (!reported(j))
			pv_check_add(j, name, PV_CHECK_UNCHECKED, want, "no report from the guest");
		else
			pv_check_add(j, name, when(value && same_value(value, want)), want,
				     !value ? "not reported" : *value ? value : "none");
	}
}

/* A number of the load test against its least. */
static void check_least(struct pv_judging *j, const char *name, const char *fact, uint64_t least, const char *unit)
{
	uint64_t n = 0;
	bool have = pv_fact_u64(&j->seen->load, fact, &n);
	pv_autofree char *want = pv_fmt("%llu%s or more", (unsigned long long)least, unit);
	pv_autofree char *has = pv_fmt("%llu%s", (unsigned long long)n, unit);

	pv_check_add(j, name, when(have && n >= least), want, have ? has : "not reported");
}

static void check_filled(struct pv_judging *j, const struct pv_settings *s)
{
	uint64_t limit = 0, bytes = 0, evictions = 0;
	bool have = pv_fact_u64(&j->seen->load, "memcached_bytes", &bytes);

	if (!pv_fact_u64(&s->memcached, "maxbytes", &limit))
		return;
	(void)pv_fact_u64(&j->seen->load, "memcached_evictions", &evictions);
	pv_autofree char *want = pv_fmt("%llu MiB, then evictions", (unsigned long long)(limit / MIB));
	pv_autofree char *has = pv_fmt("%llu MiB, %llu evictions", (unsigned long long)(bytes / MIB),
				       (unsigned long long)evictions);
	pv_check_add(j, "load: memcached filled",
		     when(have && evictions > 0 && bytes >= limit / 100 * FILLED_LEAST_PERCENT), want,
		     have ? has : "not reported");
}

static void check_same(struct pv_judging *j, const char *name, const char *fact, const char *want)
{
	const char *value = pv_vars_get(&j->seen->load, fact);

	/* "none" wanted: no text and 0 are the same. */
	bool good = value && (pv_streq(value, want) ||
			      (pv_streq(want, "none") && (*value == '\0' || pv_streq(value, "0"))));
	pv_check_add(j, name, when(good), want, !value ? "not reported" : *value ? value : "none");
}

static void check_busy(struct pv_judging *j, const struct pv_settings *s)
{
	uint64_t workers = 0, held;

	if (!pv_fact_u64(&s->apache, "MaxRequestWorkers", &workers))
		return;
	/* A slow host holds fewer: the load's size is the load test's word, but never above the limit. */
	if (pv_fact_u64(&j->seen->load, "hold_held", &held) && held > 0 && held < workers)
		workers = held;
	check_least(j, "load: Apache's busy workers", "apache_busy", workers * BUSY_LEAST_PERCENT / 100, "");
}

static void check_load(struct pv_judging *j, const struct pv_settings *s)
{
	uint64_t low = 0;

	if (j->seen->load.n == 0) {
		pv_check_add(j, "load", PV_CHECK_UNCHECKED, "nothing killed, memory left", "no load test was made");
		return;
	}
	check_filled(j, s);
	check_busy(j, s);
	if (pv_fact_u64(&j->seen->load, "mem_available_kib", &low)) {
		pv_autofree char *want = pv_fmt("more than %u MiB", s->reserve_mib);
		pv_autofree char *has = pv_fmt("%llu MiB", (unsigned long long)(low / 1024));
		pv_check_add(j, "load: memory available", when(low > (uint64_t)s->reserve_mib * 1024), want, has);
	} else {
		check_same(j, "load: memory available", "mem_available_kib", "reported");
	}
	check_same(j, "load: OOM kills", "oom_kills", "none");
	check_same(j, "load: failed units", "failed_units", "none");
	/* A service that came back at once has no failed unit. */
	if (s->memcached.n > 0)
		check_same(j, "load: memcached lived on", "memcached_pid_same", "yes");
	if (s->apache.n > 0)
		check_same(j, "load: Apache lived on", "apache_pid_same", "yes");
}

static void check_budget(struct pv_judging *j)
{
	uint64_t total = 0;

	if (j->expect->boot_budget <= 0)
		return;
	bool have = pv_fact_u64(&j->v->timeline, "total", &total);
	pv_autofree char *want = pv_fmt("%.2f times the reference boot or less", j->expect->boot_budget);
	if (!have || j->expect->reference_ms == 0) {
		pv_check_add(j, "boot budget", PV_CHECK_UNCHECKED, want,
			     have ? "no reference boot on this host" : "the end of the boot was not seen");
		return;
	}
	double ratio = (double)total / (double)j->expect->reference_ms;
	pv_autofree char *has = pv_fmt("%.2f times: %.1f s against %.1f s", ratio, (double)total / 1000,
				       (double)j->expect->reference_ms / 1000);
	pv_check_add(j, "boot budget", when(ratio <= j->expect->boot_budget), want, has);
}

void pv_checks_sizing(struct pv_judging *j)
{
	const struct pv_settings *s = j->expect->settings;

	check_flavor(j);
	if (s) {
		check_table(j, "sysctl", &s->sysctl);
		check_table(j, "memcached", &s->memcached);
		check_table(j, "apache", &s->apache);
	} else {
		pv_check_add(j, "running values", PV_CHECK_UNCHECKED, "those of the plan", "the image has no manifest of ours");
	}
	if (s && j->v->class != PV_CLASS_NOT_BOOTED)
		check_load(j, s);
	check_budget(j);
}
