/* SPDX-License-Identifier: Apache-2.0 */
/* A comparison from canned numbers: which rows there are, how sums and differences come about, what a way that did not boot
 * looks like, and that emulated times are marked. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "fsutil.h"
#include "text.h"

#define SHA256 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char *const run[] = {
	"run.image_sha256=" SHA256, "run.format=raw", "run.driver=xen-in-qemu", "run.why=no Xen here",
	"run.memory=2147483648", "run.vcpus=2", NULL
};
static const char *const pvhvm[] = {
	"driver.accelerator=tcg", "guest.guest_type=HVM", "guest.nics=eth0=vif", "guest.irq_total=5000", "guest.irq_callback=4900",
	"guest.disk_read_bytes=33554432", "guest.disk_read_ms=2000", "guest.disk_irq_total=300",
	"seen.vbd-3-2048.rd_req=100", "seen.vbd-3-51776.rd_req=11", "seen.vbd-3-2048.rd_sect=8000", "seen.after.vbd-3-2048.rd_req=999",
	"seen.vif.rx_packets=10", "seen.vif.tx_packets=20", "seen.vif-emu.rx_packets=1", "seen.vif-emu.tx_packets=2",
	"seen.after.vif.rx_packets=110", "seen.after.vif.tx_packets=70", "seen.after.vif-emu.rx_packets=1",
	"seen.after.vif-emu.tx_packets=2", "seen.pull.bytes=8388608", "seen.pull.ms=4096",
	"seen.disk.exits_total=900", "seen.disk.exit.hlt=400", "seen.disk.exit.npf=500", "seen.net.exits=Couldn't enable trace buffers",
	NULL
};
static const char *const hvm[] = {
	"driver.accelerator=tcg", "guest.nics=", "guest.irq_total=9000", "guest.irq_device=8000", "seen.dm-ide0-hd0.rd_operations=500",
	"seen.disk.exits_total=7000", "seen.disk.exit.ioio=7000", NULL
};
static const char *const pv[] = { "guest.nics=eth0=vif", "seen.pull=timeout", "seen.disk.exits=no answer", NULL };

static void set_all(struct pv_vars *vars, const char *const *list)
{
	for (; *list; list++) {
		const char *equals = strchr(*list, '=');
		pv_autofree char *name = pv_xstrndup(*list, (size_t)(equals - *list));
		pv_vars_set(vars, name, equals + 1);
	}
}

/* PVH did not boot, PV could be tried or not. */
static void make(struct pv_compare *c)
{
	*c = (struct pv_compare){ .image = pv_xstrdup("debian-2g.raw") };
	c->ways[0] = (struct pv_compare_way){ .judged = true, .class = PV_CLASS_PVHVM };
	c->ways[1] = (struct pv_compare_way){ .judged = true, .class = PV_CLASS_HVM, .cause = pv_xstrdup("no platform device") };
	c->ways[2] = (struct pv_compare_way){ .judged = true, .class = PV_CLASS_NOT_BOOTED, .cause = pv_xstrdup("kernel panic: x") };
	c->ways[3] = (struct pv_compare_way){ .judged = true, .class = PV_CLASS_PV };
	set_all(&c->ways[0].measured, run);
	set_all(&c->ways[0].measured, pvhvm);
	set_all(&c->ways[1].measured, hvm);
	set_all(&c->ways[2].measured, pvhvm);	/* must not show: it did not boot */
	set_all(&c->ways[3].measured, pv);
	pv_vars_set(&c->ways[0].timeline, "total", "43210");
	pv_vars_set(&c->ways[1].timeline, "total", "98765");
	pv_vars_set(&c->ways[2].timeline, "total", "1");	/* nor this */
}

static const struct pv_metric *find(const struct pv_compare *c, const char *group, const char *name)
{
	for (size_t i = 0; i < c->nmetrics; i++)
		if (pv_starts(c->metrics[i].group, group) && pv_streq(c->metrics[i].name, name))
			return &c->metrics[i];
	return NULL;
}

/* values: NULL for none */
static void row(const struct pv_compare *c, const char *group, const char *name, const char *v0, const char *v1,
		const char *v2, const char *v3)
{
	const struct pv_metric *m = find(c, group, name);
	const char *const wanted[] = { v0, v1, v2, v3 };

	if (!m)
		fail_msg("no row %s: %s", group, name);
	for (size_t k = 0; k < PV_COMPARE_WAYS; k++)
		if (!pv_streq(m->values[k], wanted[k]))
			fail_msg("%s: %s: %s: '%s', wanted '%s'", group, name, pv_compare_way_name(k),
				 m->values[k] ? m->values[k] : "(none)", wanted[k] ? wanted[k] : "(none)");
}

static void test_rows(void **state)
{
	pv_autocompare c = { .image = NULL };

	(void)state;
	make(&c);
	pv_compare_measure(&c);
	assert_true(c.emulated);
	row(&c, "state", "class", "PVHVM", "HVM without PV drivers", "did not boot", "PV");
	row(&c, "state", "network cards", "eth0=vif", "none", NULL, "eth0=vif");
	row(&c, "boot", "total", "43210", "98765", NULL, NULL);
	row(&c, "interrupts", "all", "5000", "9000", NULL, NULL);
	row(&c, "reading", "throughput", "16384", NULL, NULL, NULL);
	row(&c, "a file", "bytes", "8388608", "no network", NULL, "failed: timeout");
	row(&c, "a file", "packets", "150", NULL, NULL, NULL);
	row(&c, "a file", "throughput", "2000", NULL, NULL, NULL);
	row(&c, "served", "paravirtual disks: reads", "111", NULL, NULL, NULL);
	row(&c, "served", "device model's disks: reads", NULL, "500", NULL, NULL);
	row(&c, "served", "emulated card: packets to the guest", "2", NULL, NULL, NULL);
	row(&c, "VM exits in 12 s, in which the disk", "all", "900", "7000", NULL, "no VM exits");
	row(&c, "VM exits in 12 s, in which the disk", "hlt", "400", "0", NULL, NULL);
	row(&c, "VM exits in 12 s, in which the disk", "ioio", "0", "7000", NULL, NULL);
	row(&c, "VM exits in 12 s, in which the file", "all", "Couldn't enable trace buffers", NULL, NULL, "no VM exits");
	/* nobody saw any */
	assert_null(find(&c, "boot", "kernel"));
	assert_null(find(&c, "VM exits in 12 s, in which the disk", "lost by the tracing"));
}

static size_t count(const char *text, const char *word)
{
	size_t n = 0;

	for (const char *p = strstr(text, word); p; p = strstr(p + 1, word))
		n++;
	return n;
}

/* Every row of times is marked, no other is; on real processors none. */
static void test_emulated(void **state)
{
	(void)state;
	for (int emulated = 0; emulated < 2; emulated++) {
		pv_autocompare c = { .image = NULL };
		size_t times = 0;
		make(&c);
		if (!emulated)
			for (size_t k = 0; k < PV_COMPARE_WAYS; k++)
				pv_vars_set(&c.ways[k].measured, "driver.accelerator", "kvm");
		pv_compare_measure(&c);
		for (size_t i = 0; i < c.nmetrics; i++)
			times += c.metrics[i].kind == PV_METRIC_TIME;
		assert_true(times >= 4);
		pv_autofree char *text = pv_compare_text(&c), *json = pv_compare_json(&c);
		assert_int_equal(count(text, PV_COMPARE_NOTE "\n"), emulated ? times : 0);
		assert_int_equal(count(json, "\"note\": \"" PV_COMPARE_NOTE "\""), emulated ? times : 0);
		assert_int_equal(count(json, emulated ? "\"emulated\": true" : "\"emulated\": false"), 1);
	}
}

static void test_text(void **state)
{
	pv_autocompare c = { .image = NULL };

	(void)state;
	make(&c);
	pv_compare_measure(&c);
	pv_autofree char *text = pv_compare_text(&c);
	assert_non_null(strstr(text, "debian-2g.raw (raw, sha256 0123456789ab...)"));
	assert_non_null(strstr(text, "2 GiB, vcpus: 2"));
	assert_non_null(strstr(text, "\npvh: did not boot: kernel panic: x\n"));
	assert_null(strstr(text, "no platform device"));
	/* every row ends where the head does: the columns are straight */
	const char *head = strstr(text, "pvhvm"), *line_end = strchr(head, '\n'), *line = head;
	while (line[-1] != '\n')
		line--;
	size_t width = (size_t)(line_end - line);
	const char *first = strstr(text, "\n  class");
	assert_non_null(first);
	assert_int_equal(strcspn(first + 1, "\n"), width);
}

static void test_could_not_be_tried(void **state)
{
	pv_autocompare c = { .image = NULL };

	(void)state;
	make(&c);
	c.ways[3].judged = false;
	c.ways[3].cause = pv_xstrdup("kernel for PVH and PV: \033[2J no file system");
	pv_compare_measure(&c);
	row(&c, "state", "class", "PVHVM", "HVM without PV drivers", "did not boot", "could not be tried");
	row(&c, "a file", "bytes", "8388608", "no network", NULL, NULL);
	pv_autofree char *text = pv_compare_text(&c), *json = pv_compare_json(&c);
	assert_non_null(strstr(text, "pv: could not be tried: kernel for PVH and PV: "));
	assert_null(strchr(json, '\033'));
}

/* What never was: no run, no numbers, and still a table. */
static void test_nothing(void **state)
{
	pv_autocompare c = { .image = pv_xstrdup("x\xff.raw") };

	(void)state;
	pv_compare_measure(&c);
	pv_autofree char *text = pv_compare_text(&c), *json = pv_compare_json(&c);
	assert_non_null(strstr(text, "could not be tried"));
	assert_non_null(strstr(json, "\"image_sha256\": null"));
}

/* Numbers out of bounds are no numbers. */
static void test_bounds(void **state)
{
	pv_autocompare c = { .image = NULL };

	(void)state;
	make(&c);
	pv_vars_set(&c.ways[0].measured, "guest.irq_total", "99999999999999999999999");
	pv_vars_set(&c.ways[0].measured, "guest.irq_callback", "-1");
	pv_vars_set(&c.ways[0].measured, "guest.disk_read_ms", "0");
	pv_vars_set(&c.ways[0].measured, "seen.vbd-3-2048.rd_req", "many");
	pv_vars_set(&c.ways[0].measured, "seen.after.vif.rx_packets", "9");
	pv_compare_measure(&c);
	row(&c, "interrupts", "all", NULL, "9000", NULL, NULL);
	assert_null(find(&c, "interrupts", "Xen's callback"));
	assert_null(find(&c, "reading", "throughput"));
	row(&c, "served", "paravirtual disks: reads", "11", NULL, NULL, NULL);
	assert_null(find(&c, "a file", "packets"));
}

/* For tests/schema. */
static void test_json(void **state)
{
	const char *path = getenv("PV_TEST_COMPARE");
	pv_autocompare c = { .image = NULL };

	(void)state;
	make(&c);
	pv_compare_measure(&c);
	pv_autofree char *json = pv_compare_json(&c);
	assert_true(pv_ends(json, "}\n"));
	assert_non_null(strstr(json, "\"pvhvm\": 43210"));
	assert_non_null(strstr(json, "\"hvm\": \"no network\""));
	if (path)
		assert_int_equal(pv_write_file(path, json, strlen(json), 0644, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows), cmocka_unit_test(test_emulated), cmocka_unit_test(test_text),
		cmocka_unit_test(test_could_not_be_tried), cmocka_unit_test(test_nothing), cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
