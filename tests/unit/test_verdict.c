/* SPDX-License-Identifier: Apache-2.0 */
/* Canned evidence (tests/golden/verdict) judged: each class, each case that must not pass, each check red once.
 *
 * A case's lines: what was seen ("console MS TEXT", "screen TEXT", "created", "failed WORDS", "ended WORD", "deadline",
 * "probe|dom0|outside|load|mark NAME=VALUE", "no TABLE" empties one, "without TABLE NAME" takes one fact away, "include
 * FILE": what was seen there), how it is judged ("foreign": no manifest; "nodom0": a driver without one; "budget RATIO
 * REFERENCE_MS"), and what must come out ("class", "cause", "green", "red CHECK" for every red one, "unchecked
 * CHECK", "proof TEXT" in the evidence, "fatal CAUSE|none" while it boots, "time PHASE MS"). */
#include "check.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fsutil.h"
#include "verdict.h"

struct test_case {
	struct pv_evidence seen;
	struct pv_settings settings;
	struct pv_expect expect;
	char *name, *class, *cause, *fatal;
	bool green;
	struct pv_strv red, unchecked, proofs, times;
};

static char *golden_dir(void)
{
	const char *slash = strrchr(__FILE__, '/');
	pv_autofree char *here = slash ? pv_xstrndup(__FILE__, (size_t)(slash - __FILE__)) : pv_xstrdup(".");

	return pv_fmt("%s/../golden/verdict", here);
}

static void case_done(struct test_case *c)
{
	pv_evidence_done(&c->seen);
	pv_settings_done(&c->settings);
	free(c->name);
	free(c->class);
	free(c->cause);
	free(c->fatal);
	pv_strv_done(&c->red);
	pv_strv_done(&c->unchecked);
	pv_strv_done(&c->proofs);
	pv_strv_done(&c->times);
}

static struct pv_vars *table_of(struct test_case *c, const char *name)
{
	return pv_streq(name, "probe") ? &c->seen.probe : pv_streq(name, "dom0") ? &c->seen.dom0 :
	       pv_streq(name, "outside") ? &c->seen.outside : pv_streq(name, "load") ? &c->seen.load :
	       pv_streq(name, "mark") ? &c->seen.marks : NULL;
}

static void set_text(char **where, const char *text)
{
	free(*where);
	*where = pv_xstrdup(text);
}

static void empty(struct test_case *c, const char *what)
{
	if (pv_streq(what, "console")) {
		for (size_t i = 0; i < c->seen.nconsole; i++)
			free(c->seen.console[i].text);
		c->seen.nconsole = 0;
		return;
	}
	struct pv_vars *table = table_of(c, what);
	if (!table)
		fail_msg("%s: no table %s", c->name, what);
	pv_vars_done(table);
}

static void take_away(struct test_case *c, char *words)
{
	char *name = strchr(words, ' ');
	*name++ = '\0';
	struct pv_vars *table = table_of(c, words), kept = { 0 };

	for (size_t i = 0; i < table->n; i++)
		if (!pv_streq(table->v[i].name, name))
			pv_vars_set(&kept, table->v[i].name, table->v[i].value);
	pv_vars_done(table);
	*table = kept;
}

static void load_file(struct test_case *c, const char *file);

/* What another case looks like, without what must come out of it. */
static void include(struct test_case *c, const char *file)
{
	load_file(c, file);
	pv_freep(&c->class);
	pv_freep(&c->cause);
	pv_freep(&c->fatal);
	c->green = false;
	pv_strv_done(&c->red);
	pv_strv_done(&c->unchecked);
	pv_strv_done(&c->proofs);
	pv_strv_done(&c->times);
}

static bool take_seen(struct test_case *c, const char *word, char *rest)
{
	struct pv_vars *table = table_of(c, word);

	if (table) {
		char *equals = strchr(rest, '=');
		if (!equals)
			fail_msg("%s: no '=' in %s", c->name, rest);
		*equals = '\0';
		pv_vars_set(table, rest, equals + 1);
	} else if (pv_streq(word, "console")) {
		char *end;
		unsigned long long ms = strtoull(rest, &end, 10);
		pv_evidence_line(&c->seen, ms, *end == ' ' ? end + 1 : end);
	} else if (pv_streq(word, "screen")) {
		pv_strv_add(&c->seen.screen, rest);
	} else if (pv_streq(word, "created")) {
		c->seen.created = true;
	} else if (pv_streq(word, "failed")) {
		c->seen.created = false;
		set_text(&c->seen.failed, rest);
	} else if (pv_streq(word, "ended")) {
		set_text(&c->seen.ended, rest);
	} else if (pv_streq(word, "deadline")) {
		c->seen.deadline = true;
	} else if (pv_streq(word, "no")) {
		empty(c, rest);
	} else if (pv_streq(word, "without")) {
		take_away(c, rest);
	} else if (pv_streq(word, "include")) {
		include(c, rest);
	} else {
		return false;
	}
	return true;
}

static bool take_expected(struct test_case *c, const char *word, const char *rest)
{
	if (pv_streq(word, "class")) {
		set_text(&c->class, rest);
	} else if (pv_streq(word, "cause")) {
		set_text(&c->cause, rest);
	} else if (pv_streq(word, "fatal")) {
		set_text(&c->fatal, rest);
	} else if (pv_streq(word, "green")) {
		c->green = true;
	} else if (pv_streq(word, "red")) {
		pv_strv_add(&c->red, rest);
	} else if (pv_streq(word, "unchecked")) {
		pv_strv_add(&c->unchecked, rest);
	} else if (pv_streq(word, "proof")) {
		pv_strv_add(&c->proofs, rest);
	} else if (pv_streq(word, "time")) {
		pv_strv_add(&c->times, rest);
	} else if (pv_streq(word, "foreign")) {
		c->expect.settings = NULL;
	} else if (pv_streq(word, "nodom0")) {
		c->expect.no_dom0 = true;
	} else if (pv_streq(word, "budget")) {
		char *end;
		c->expect.boot_budget = strtod(rest, &end);
		c->expect.reference_ms = strtoull(end, NULL, 10);
	} else {
		return false;
	}
	return true;
}

static void load_file(struct test_case *c, const char *file)
{
	pv_autofree char *dir = golden_dir(), *path = pv_path_join(dir, file), *text = NULL;
	pv_autoerror err = PV_ERROR_INIT;
	char *rest, *line;

	if (pv_read_file(path, 1 << 20, &text, NULL, &err) < 0)
		fail_msg("%s", err.text);
	for (rest = text; (line = strsep(&rest, "\n"));) {
		if (*line == '\0' || *line == '#')
			continue;
		char *blank = strchr(line, ' '), *words = blank ? blank + 1 : line + strlen(line);
		if (blank)
			*blank = '\0';
		if (!take_seen(c, line, words) && !take_expected(c, line, words))
			fail_msg("%s: what is '%s'?", file, line);
	}
}

/* A small flavor's settings. */
static void fill_settings(struct pv_settings *s)
{
	s->memory = (uint64_t)2 << 30;
	s->vcpus = 2;
	s->reserve_mib = 256;
	pv_vars_set(&s->sysctl, "net.core.somaxconn", "4096");
	pv_vars_set(&s->sysctl, "net.ipv4.tcp_rmem", "4096 131072 8388608");
	pv_vars_set(&s->memcached, "maxbytes", "536870912");
	pv_vars_set(&s->apache, "MaxRequestWorkers", "800");
}

static void check_lists(const struct test_case *c, const struct pv_verdict *v)
{
	struct pv_strv red = PV_STRV_INIT;

	for (size_t i = 0; i < v->nchecks; i++) {
		assert_non_null(v->checks[i].expected);
		assert_non_null(v->checks[i].seen);
		if (v->checks[i].state == PV_CHECK_RED)
			pv_strv_add(&red, v->checks[i].name);
	}
	pv_autofree char *want = pv_strv_join(&c->red, ", "), *has = pv_strv_join(&red, ", ");
	pv_strv_done(&red);
	if (!pv_streq(want, has))
		fail_msg("%s: red: %s\nexpected: %s", c->name, has, want);
	for (size_t k = 0; k < c->unchecked.n; k++) {
		size_t i = 0;
		while (i < v->nchecks && !pv_streq(v->checks[i].name, c->unchecked.v[k]))
			i++;
		if (i == v->nchecks || v->checks[i].state != PV_CHECK_UNCHECKED)
			fail_msg("%s: check '%s' is not unchecked", c->name, c->unchecked.v[k]);
	}
	for (size_t k = 0; k < c->times.n; k++) {
		char *blank = strrchr(c->times.v[k], ' ');
		*blank = '\0';
		const char *ms = pv_vars_get(&v->timeline, c->times.v[k]);
		if (!pv_streq(ms, blank + 1))
			fail_msg("%s: %s took %s, expected %s", c->name, c->times.v[k], ms ? ms : "nothing", blank + 1);
	}
}

static void check_proofs(const struct test_case *c, const struct pv_verdict *v)
{
	pv_autofree char *all = pv_strv_join(&v->evidence, "\n");

	for (size_t i = 0; i < c->proofs.n; i++)
		if (!strstr(all, c->proofs.v[i]))
			fail_msg("%s: no '%s' in the evidence:\n%s", c->name, c->proofs.v[i], all);
	if (v->evidence.n == 0 && !strstr(c->name, "no-words"))
		fail_msg("%s: no evidence", c->name);
}

/* Both renderings exist for every case, and say the class. PV_TEST_CASE=pvhvm.case judges one and shows it. */
static void check_words(const struct test_case *c, const struct pv_verdict *v)
{
	const struct pv_verdict_run run = { .driver = "xen-in-qemu", .image = "x.raw", .format = "raw", .memory = 1 << 30,
					    .vcpus = 1, .image_sha256 = "00" };
	pv_autofree char *json = pv_verdict_json(v, &run), *text = pv_verdict_text(v, &run, false);
	pv_autofree char *class = pv_fmt("\"class\": \"%s\"", c->class);

	assert_non_null(strstr(json, class));
	if (v->cause)
		assert_non_null(strstr(text, v->cause));
	if (getenv("PV_TEST_CASE"))
		print_message("%s", text);
}

static void judge_case(const char *file)
{
	pv_autofree char *name = pv_xstrndup(file, strlen(file) - strlen(".case"));
	__attribute__((cleanup(case_done))) struct test_case c = { .name = pv_xstrdup(name) };
	pv_autoverdict v = { 0 };

	fill_settings(&c.settings);
	c.expect = (struct pv_expect){ .settings = &c.settings, .memory = c.settings.memory, .vcpus = 2,
				       .disk_size = (uint64_t)5 << 30 };
	load_file(&c, file);
	c.seen.have_probe = c.seen.probe.n > 0;
	c.seen.have_dom0 = c.seen.dom0.n > 0;
	const char *fatal = pv_verdict_fatal(&c.seen);
	if (!pv_streq(fatal ? fatal : "none", c.fatal ? c.fatal : "none"))
		fail_msg("%s: fatal: %s, expected %s", name, fatal ? fatal : "none", c.fatal ? c.fatal : "none");
	pv_verdict_judge(&c.seen, &c.expect, &v);
	if (!pv_streq(pv_class_name(v.class), c.class))
		fail_msg("%s: class %s (%s), expected %s", name, pv_class_name(v.class), v.cause, c.class);
	if (!pv_streq(v.cause, c.cause))
		fail_msg("%s: cause '%s', expected '%s'", name, v.cause, c.cause);
	assert_int_equal(v.green, c.green);
	check_lists(&c, &v);
	check_proofs(&c, &v);
	check_words(&c, &v);
}

static int is_case(const struct dirent *entry)
{
	return pv_ends(entry->d_name, ".case");
}

static void test_cases(void **state)
{
	pv_autofree char *dir = golden_dir();
	struct dirent **list = NULL;
	int n = scandir(dir, &list, is_case, alphasort);

	(void)state;
	assert_true(n >= 30);
	for (int i = 0; i < n; i++) {
		if (!getenv("PV_TEST_CASE") || pv_streq(getenv("PV_TEST_CASE"), list[i]->d_name))
			judge_case(list[i]->d_name);
		free(list[i]);
	}
	free(list);
}

/* With one fact of a good boot changed, exactly this check must turn red. */
static void test_each_check_red(void **state)
{
	static const struct {
		const char *table, *fact, *value, *red;
	} rows[] = {
		{ "probe", "guest_type", "PVH", "guest type" },
		{ "probe", "callback", "no", "guest callback vector" },
		{ "probe", "unplug_nics", "no", "guest unplugged NICs" },
		{ "probe", "unplug_disks", "no", "guest unplugged disks" },
		{ "probe", "root_driver", "sd", "guest root on vbd" },
		{ "probe", "nics", "eth0=vif eth1=e1000", "guest NICs on vif" },
		{ "probe", "nics", "", "guest NICs on vif" },
		{ "dom0", "vbd", "1 of 2 connected", "dom0 vbd connected" },
		{ "dom0", "vbd", "0 of 0 connected", "dom0 vbd connected" },
		{ "dom0", "vif", "0 of 1 connected", "dom0 vif connected" },
		{ "dom0", "callback", "none", "dom0 callback vector" },
		{ "dom0", "callback", "gsi", "dom0 callback vector" },
		{ "dom0", "channels", "0", "dom0 event channels" },
		{ "dom0", "unplugged_nic", "no", "dom0 NIC unplugged" },
		{ "dom0", "unplugged_disk", "no", "dom0 disk unplugged" },
		{ "dom0", "domain_type", "", "dom0 domain type" },
		{ "probe", "disk_bytes", "4294967296", "disk size" },
		{ "probe", "root_bytes", "4037869568", "root grown to the disk" },
		{ "probe", "cloud_init", "error", "cloud-init" },
		{ "probe", "cloud_init", "running", "cloud-init" },
		{ "probe", "cloud_init_errors", "('scripts-user', RuntimeError)", "cloud-init errors" },
		{ "probe", "failed_units", "apache2.service", "failed units" },
		{ "probe", "chrony", "no", "clock synchronised" },
		{ "probe", "chrony", "none", "clock synchronised" },
		{ "probe", "swap_kib", "1048576", "swap" },
		{ "probe", "oom_kills", "1", "OOM kills" },
		{ "probe", "apache", "failed", "Apache" },
		{ "probe", "http_local", "503", "HTTP inside" },
		{ "outside", "http_status", "connection refused", "HTTP from outside" },
		{ "outside", "http_body", "It works!", "health page" },
		{ "probe", "memcached_setget", "no", "memcached set and get inside" },
		{ "outside", "memcached", "open", "memcached from outside" },
		{ "outside", "ssh", "Permission denied (publickey).", "ssh login" },
		{ "probe", "vcpus", "1", "vcpus" },
		{ "probe", "mem_total_kib", "1000000", "memory" },
		{ "probe", "mem_total_kib", "2097153", "memory" },
		{ "probe", "sysctl.net.core.somaxconn", "128", "sysctl net.core.somaxconn" },
		{ "probe", "sysctl.net.ipv4.tcp_rmem", "4096 131072 6291456", "sysctl net.ipv4.tcp_rmem" },
		{ "probe", "memcached.maxbytes", "67108864", "memcached maxbytes" },
		{ "probe", "apache.MaxRequestWorkers", "150", "apache MaxRequestWorkers" },
		{ "load", "memcached_evictions", "0", "load: memcached filled" },
		{ "load", "memcached_bytes", "1000", "load: memcached filled" },
		{ "load", "apache_busy", "150", "load: Apache's busy workers" },
		{ "load", "mem_available_kib", "200000", "load: memory available" },
		{ "load", "oom_kills", "2", "load: OOM kills" },
		{ "load", "memcached_pid_same", "no", "load: memcached lived on" },
		{ "load", "apache_pid_same", "no", "load: Apache lived on" },
		{ "load", "failed_units", "memcached.service", "load: failed units" },
	};

	(void)state;
	for (size_t i = 0; i < PV_COUNT(rows); i++) {
		__attribute__((cleanup(case_done))) struct test_case c = { .name = pv_xstrdup(rows[i].red) };
		pv_autoverdict v = { 0 };
		struct pv_strv red = PV_STRV_INIT;
		fill_settings(&c.settings);
		load_file(&c, "pvhvm.case");
		pv_vars_set(table_of(&c, rows[i].table), rows[i].fact, rows[i].value);
		c.seen.have_probe = c.seen.have_dom0 = true;
		c.expect = (struct pv_expect){ .settings = &c.settings, .memory = c.settings.memory, .vcpus = 2,
					       .disk_size = (uint64_t)5 << 30 };
		pv_verdict_judge(&c.seen, &c.expect, &v);
		for (size_t k = 0; k < v.nchecks; k++)
			if (v.checks[k].state == PV_CHECK_RED)
				pv_strv_add(&red, v.checks[k].name);
		pv_autofree char *has = pv_strv_join(&red, ", ");
		pv_strv_done(&red);
		if (!pv_streq(has, rows[i].red))
			fail_msg("%s=%s: red: %s; expected: %s", rows[i].fact, rows[i].value, has, rows[i].red);
		assert_false(v.green);
		bool sign = pv_starts(rows[i].red, "guest ") || pv_starts(rows[i].red, "dom0 ");
		assert_int_equal(v.class, sign ? PV_CLASS_HVM : PV_CLASS_PVHVM);
	}
}

/* A guest that prints without end cannot fill our memory, and its first and last words are kept. */
static void test_console_bound(void **state)
{
	pv_autoevidence seen = { 0 };
	pv_autofree char *line = NULL;

	(void)state;
	for (unsigned i = 0; i < 3 * PV_EVIDENCE_LINES; i++) {
		free(line);
		line = pv_fmt("line %u", i);
		pv_evidence_line(&seen, i, line);
	}
	assert_true(seen.nconsole <= PV_EVIDENCE_LINES);
	assert_int_equal(seen.nconsole + seen.console_dropped, 3 * PV_EVIDENCE_LINES);
	assert_string_equal(seen.console[0].text, "line 0");
	assert_string_equal(seen.console[seen.nconsole - 1].text, line);
	pv_autofree char *longer = pv_xmalloc(5001);
	memset(longer, 'x', 5000);
	longer[5000] = '\0';
	pv_evidence_line(&seen, 1, longer);
	assert_int_equal(strlen(seen.console[seen.nconsole - 1].text), PV_EVIDENCE_LINE_MAX);
	pv_evidence_line(&seen, 1, "[?[0;32m  OK  ?[0m] Reached ?[0;1;39mx?[0m? what?[");
	assert_string_equal(seen.console[seen.nconsole - 1].text, "[  OK  ] Reached x? what?[");
}

/* Written out for tests/schema when asked to. */
static void test_json_and_text(void **state)
{
	__attribute__((cleanup(case_done))) struct test_case c = { .name = pv_xstrdup("pvhvm") };
	pv_autoverdict v = { 0 };
	struct pv_vars facts = { 0 };
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	fill_settings(&c.settings);
	load_file(&c, "pvhvm.case");
	c.seen.have_probe = c.seen.have_dom0 = true;
	pv_vars_set(&c.seen.outside, "http_body", "<\033[31m\xff\">");
	c.expect = (struct pv_expect){ .settings = &c.settings, .memory = c.settings.memory, .vcpus = 2 };
	pv_verdict_judge(&c.seen, &c.expect, &v);
	pv_vars_set(&facts, "qemu", "7.2.22");
	const struct pv_verdict_run run = {
		.driver = "xen-in-qemu", .driver_why = "no Xen here", .proves = "the image under a real Xen hypervisor",
		.driver_facts = &facts, .image = "b\xff.raw", .format = "raw", .memory = (uint64_t)2 << 30, .vcpus = 2,
		.image_sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", .disk_size = 1 << 30,
		.console_log = "console.log",
	};
	pv_autofree char *json = pv_verdict_json(&v, &run), *text = pv_verdict_text(&v, &run, false),
			 *colored = pv_verdict_text(&v, &run, true);
	pv_vars_done(&facts);
	assert_null(strchr(text, '\033'));
	assert_null(strchr(json, '\033'));
	assert_non_null(strstr(colored, "\033[31m"));
	assert_true(pv_starts(text, "PVHVM: 1 check is red: health page\n"));
	assert_true(strstr(text, "RED") < strstr(text, "Green"));
	assert_non_null(strstr(json, "\"image\": \"b?.raw\""));
	assert_non_null(strstr(json, "\"schema\": \"pvimg.verdict/1\""));
	const char *path = getenv("PV_TEST_VERDICT");
	if (path)
		assert_int_equal(pv_write_file(path, json, strlen(json), 0644, &err), 0);
}

static void test_up(void **state)
{
	static const struct {
		const char *line;
		bool up;
	} rows[] = {
		{ "Debian GNU/Linux 12 debian hvc0", true },
		{ "debian login: ", true },
		{ "localhost login:", true },
		{ "[  OK  ] Reached target multi-user.target - Multi-User System.", true },
		{ "[  OK  ] Reached target Multi-User System.", true },
		{ "[?[0;32m  OK  ?[0m] Reached target ?[0;1;39mmulti-user.target?[0m - Multi-User System.", true },
		{ "[\033[0;32m  OK  \033[0m] Reached target \033[0;1;39mMulti-User System\033[0m.", true },
		{ "Debian GNU/Linux 12 pvimg ttyS0?[0m", false },
		{ "?[H?[J?[?25hpvimg login: ", true },
		{ "[?[0;32m  OK  ?[0m] Started ?[0;1;39msystemd-logind.se?ice?[0m - User Login Management...", false },
		{ "[   21.303030] cloud-init[700]: Cloud-init v. 22.4.2 finished at Sun, 22 Nov 2026", true },
		{ "[    0.400000] printk: console [hvc0] enabled hvc0", false },
		{ "[  OK  ] Reached target sysinit.target - System Initialization.", false },
		{ "", false },
	};

	(void)state;
	for (size_t i = 0; i < PV_COUNT(rows); i++) {
		pv_autoevidence seen = { .created = true };
		pv_evidence_line(&seen, 1, rows[i].line);
		if (pv_verdict_up(&seen) != rows[i].up)
			fail_msg("'%s'", rows[i].line);
	}
}

static void test_restarted(void **state)
{
	static const struct {
		const char *line;
		bool restarted;
	} rows[] = {
		{ "[   20.100000] reboot: Restarting system", true },
		{ "[    3.141592] Rebooting in 1 seconds..", true },
		{ "reboot: Restarting system", false },	/* anybody can print that */
		{ "[   20.100000] kernel: Rebooting in 1 seconds..", false },
		{ "[   20.100000] reboot: Power down", false },
	};

	(void)state;
	for (size_t i = 0; i < PV_COUNT(rows); i++) {
		pv_autoevidence seen = { .created = true };
		pv_evidence_line(&seen, 1, rows[i].line);
		if (pv_verdict_restarted(&seen) != rows[i].restarted)
			fail_msg("'%s'", rows[i].line);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_each_check_red),
		cmocka_unit_test(test_console_bound),
		cmocka_unit_test(test_json_and_text),
		cmocka_unit_test(test_up),
		cmocka_unit_test(test_restarted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
