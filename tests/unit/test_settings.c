/* SPDX-License-Identifier: Apache-2.0 */
/* The values a plan asks for, out of this source tree's overlays; there and back through a manifest; the parsers. */
#include "check.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "fsutil.h"
#include "planvars.h"
#include "settings.h"

static void expect(const struct pv_vars *table, const char *name, const char *value)
{
	const char *has = pv_vars_get(table, name);

	if (!pv_streq(has, value))
		fail_msg("%s: '%s', expected '%s'", name, has ? has : "(none)", value ? value : "(none)");
}

static void test_sysctl(void **state)
{
	struct pv_vars t = { 0 };

	(void)state;
	pv_settings_parse_sysctl("# comment\n; another = 1\nnet.core.somaxconn = 4096\n\nnet.ipv4.tcp_rmem=4096\t131072   8388608\n"
				 "net/ipv4/conf/eth0.100/arp_notify = 1\n-net.maybe = 1\nvm.swappiness = 60\nvm.swappiness = 10\n"
				 "net.ipv4.conf.*.rp_filter = 1\n!kernel.x\nno.value =\n$(reboot) = 1\na'b = 1\n = 5\n"
				 "last.line = yes", &t);
	expect(&t, "net.core.somaxconn", "4096");
	expect(&t, "net.ipv4.tcp_rmem", "4096 131072 8388608");
	expect(&t, "vm.swappiness", "10");
	expect(&t, "last.line", "yes");
	expect(&t, "no.value", NULL);
	/* a name with a dot in it is out of the probe's reach; globs name no one value; what may be refused is not asked for */
	assert_int_equal(t.n, 4);
	pv_vars_done(&t);
	pv_settings_parse_sysctl("net/core/rmem_max = 1\n", &t);
	expect(&t, "net.core.rmem_max", "1");
	pv_vars_done(&t);
}

static void test_memcached(void **state)
{
	struct pv_vars t = { 0 };

	(void)state;
	pv_settings_parse_memcached("# -m 1\n-d\nlogfile /var/log/memcached.log\n-u memcache\n-l 127.0.0.1\n-p 11211\n-U 0\n-m 512\n"
				    "-c2048\n  -t 2\n-b 1024\n-L\n-k\n-m x\n-m 99999999999999999999\n-", &t);
	expect(&t, "maxbytes", "536870912");
	expect(&t, "maxconns", "2048");
	expect(&t, "num_threads", "2");
	expect(&t, "tcp_backlog", "1024");
	expect(&t, "inter", "127.0.0.1");
	expect(&t, "tcpport", "11211");
	expect(&t, "udpport", "0");
	assert_int_equal(t.n, 7);
	pv_vars_done(&t);
}

static void test_apache(void **state)
{
	struct pv_vars t = { 0 };

	(void)state;
	pv_settings_parse_apache("# MaxRequestWorkers 1\nServerName x\n<IfModule mpm_event_module>\n\tMaxRequestWorkers\t\t800\n"
				 "  threadsperchild 25\n</IfModule>\nKeepAlive On\nTimeout\nAlias /x /y\n", &t);
	expect(&t, "MaxRequestWorkers", "800");
	expect(&t, "ThreadsPerChild", "25");
	expect(&t, "KeepAlive", "On");
	assert_int_equal(t.n, 3);
	pv_vars_done(&t);
}

/* ---- a plan's settings ---- */

struct world {
	struct pv_recipe recipe;
	struct pv_plan plan;
	char *overlays, *dir, *manifest;
};

static void make_world(struct world *w, const char *const *overlays)
{
	const struct pv_suite *suite = pv_suite_find("debian", "bookworm");
	const char *slash = strrchr(__FILE__, '/');
	pv_autofree char *here = slash ? pv_xstrndup(__FILE__, (size_t)(slash - __FILE__)) : pv_xstrdup(".");
	char dir[] = "/tmp/pvimg-settings-XXXXXX";

	assert_non_null(suite);
	assert_non_null(mkdtemp(dir));
	*w = (struct world){ .overlays = pv_fmt("%s/../../overlays", here), .dir = pv_xstrdup(dir),
			     .manifest = pv_fmt("%s/manifest.json", dir) };
	w->recipe.name = pv_xstrdup("test");
	w->recipe.distribution = pv_xstrdup(suite->distribution);
	w->recipe.suite = pv_xstrdup(suite->codename);
	pv_strv_add_all(&w->recipe.overlays, overlays);
	w->plan = (struct pv_plan){ .name = pv_xstrdup("test-2g"), .recipe = &w->recipe, .suite = suite, .arch = "amd64",
				    .epoch = 1700000000 };
	w->plan.root.number = 1;
	pv_sizing_compute(2048, 2, &w->plan.sizing);
	pv_plan_vars(&w->plan, &w->plan.vars);
}

static void free_world(struct world *w)
{
	pv_autoerror err = PV_ERROR_INIT;

	assert_int_equal(pv_rmtree(w->dir, &err), 0);
	free(w->plan.name);
	pv_vars_done(&w->plan.vars);
	pv_recipe_done(&w->recipe);
	free(w->overlays);
	free(w->dir);
	free(w->manifest);
}

static void expect_same(const struct pv_vars *a, const struct pv_vars *b)
{
	assert_int_equal(a->n, b->n);
	for (size_t i = 0; i < a->n; i++)
		expect(b, a->v[i].name, a->v[i].value);
}

static void write_manifest(const struct world *w, const struct pv_settings *s, json_t *extra)
{
	pv_autoerror err = PV_ERROR_INIT;
	json_t *json = json_pack("{s:s, s:s, s:o, s:o}", "schema", "pvimg.manifest/1", "name", s->name, "flavor",
				 pv_settings_flavor_json(s), "settings", pv_settings_json(s));

	if (extra)
		json_object_update(json, extra);
	char *text = json_dumps(json, JSON_SORT_KEYS);
	assert_int_equal(pv_write_file(w->manifest, text, strlen(text), 0644, &err), 0);
	free(text);
	json_decref(json);
}

static void test_of_plan(void **state)
{
	static const char *const all[] = { "base", "sysctl", "memcached", "apache2", NULL };
	struct world w;
	pv_autoerror err = PV_ERROR_INIT;
	pv_autosettings s = { 0 }, back = { 0 };

	(void)state;
	make_world(&w, all);
	if (pv_settings_of_plan(&w.plan, w.overlays, &s, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(s.name, "test-2g");
	assert_int_equal(s.memory, (uint64_t)2 << 30);
	assert_int_equal(s.vcpus, 2);
	assert_int_equal(s.reserve_mib, w.plan.sizing.page_cache_mib);
	expect(&s.sysctl, "net.core.somaxconn", pv_vars_get(&w.plan.vars, "somaxconn"));
	expect(&s.sysctl, "vm.swappiness", "10");
	expect(&s.sysctl, "net.ipv4.tcp_rmem", "4096 131072 8388608");
	expect(&s.memcached, "maxbytes", "536870912");
	expect(&s.memcached, "num_threads", "2");
	expect(&s.apache, "MaxRequestWorkers", pv_vars_get(&w.plan.vars, "apache_max_request_workers"));
	expect(&s.apache, "ListenBacklog", "511");
	write_manifest(&w, &s, NULL);
	if (pv_settings_read(w.manifest, &back, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(back.name, "test-2g");
	assert_int_equal(back.memory, s.memory);
	assert_int_equal(back.vcpus, s.vcpus);
	assert_int_equal(back.reserve_mib, s.reserve_mib);
	expect_same(&s.sysctl, &back.sysctl);
	expect_same(&s.memcached, &back.memcached);
	expect_same(&s.apache, &back.apache);
	free_world(&w);
}

/* Without an overlay there is nothing to ask for. */
static void test_without_overlays(void **state)
{
	static const char *const few[] = { "base", NULL };
	struct world w;
	pv_autoerror err = PV_ERROR_INIT;
	pv_autosettings s = { 0 };

	(void)state;
	make_world(&w, few);
	assert_int_equal(pv_settings_of_plan(&w.plan, w.overlays, &s, &err), 0);
	assert_int_equal(s.sysctl.n + s.memcached.n + s.apache.n, 0);
	free_world(&w);
}

/* What lies beside an image may be anybody's: names go into a script in the guest. */
static void test_bad_manifests(void **state)
{
	static const struct {
		const char *extra, *words;
	} rows[] = {
		{ "{\"schema\": \"pvimg.plan/1\"}", "no manifest of pvimg" },
		{ "{\"name\": \"../x\"}", "'name'" },
		{ "{\"name\": 5}", "'name'" },
		{ "{\"flavor\": {\"memory\": 1, \"vcpus\": 1}}", "'memory'" },
		{ "{\"flavor\": {\"memory\": 1073741824, \"vcpus\": 65}}", "'vcpus'" },
		{ "{\"flavor\": {\"memory\": -5, \"vcpus\": 1}}", "'memory'" },
		{ "{\"flavor\": []}", "'memory'" },
		{ "{\"settings\": null}", "'reserve_mib'" },
		{ "{\"settings\": {\"reserve_mib\": 1}}", "settings.sysctl is no table" },
		{ "{\"settings\": {\"reserve_mib\": 1, \"sysctl\": {\"a;reboot\": \"1\"}, \"memcached\": {}, \"apache\": {}}}",
		  "settings.sysctl: 'a;reboot'" },
		{ "{\"settings\": {\"reserve_mib\": 1, \"sysctl\": {\"a\": 1}, \"memcached\": {}, \"apache\": {}}}", "'a'" },
		{ "{\"settings\": {\"reserve_mib\": 1, \"sysctl\": {\"a\": \"\"}, \"memcached\": {}, \"apache\": {}}}", "'a'" },
		{ "{\"settings\": {\"reserve_mib\": 1, \"sysctl\": {}, \"memcached\": {}, \"apache\": []}}", "settings.apache" },
	};
	static const char *const few[] = { "base", NULL };
	struct world w;
	pv_autosettings s = { 0 };
	pv_autoerror err = PV_ERROR_INIT;

	(void)state;
	make_world(&w, few);
	assert_int_equal(pv_settings_of_plan(&w.plan, w.overlays, &s, &err), 0);
	for (size_t i = 0; i < PV_COUNT(rows); i++) {
		pv_autosettings back = { 0 };
		json_t *extra = json_loads(rows[i].extra, 0, NULL);
		assert_non_null(extra);
		write_manifest(&w, &s, extra);
		json_decref(extra);
		assert_int_equal(pv_settings_read(w.manifest, &back, &err), -1);
		assert_int_equal(err.kind, PV_ERR_STAGE);
		if (!strstr(err.text, rows[i].words))
			fail_msg("%s\nfor %s", err.text, rows[i].extra);
		assert_int_equal(back.memory, 0);
		pv_error_clear(&err);
	}
	assert_int_equal(pv_write_file(w.manifest, "{", 1, 0644, &err), 0);
	assert_int_equal(pv_settings_read(w.manifest, &s, &err), -1);
	pv_error_clear(&err);
	const char old[] = "{\"schema\": \"pvimg.manifest/1\", \"name\": \"x\"}";
	assert_int_equal(pv_write_file(w.manifest, old, sizeof(old) - 1, 0644, &err), 0);
	assert_int_equal(pv_settings_read(w.manifest, &s, &err), -1);
	assert_non_null(strstr(err.text, "older pvimg"));
	free_world(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sysctl),
		cmocka_unit_test(test_memcached),
		cmocka_unit_test(test_apache),
		cmocka_unit_test(test_of_plan),
		cmocka_unit_test(test_without_overlays),
		cmocka_unit_test(test_bad_manifests),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
