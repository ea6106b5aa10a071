/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of the services: memcached and Apache where they are installed, and the limits that hold both. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lint.h"

#define MEMCACHED "/etc/memcached.conf"
#define APACHE "/etc/apache2"
#define UNITS "/etc/systemd/system"
#define THREADS_MAX 64u

/* The value of "-l 127.0.0.1" in memcached.conf, the last of several; NULL: none. */
static char *memcached_option(const struct pv_lint *lint, const char *option)
{
	pv_autostrv lines = PV_STRV_INIT;
	pv_autofree char *value = NULL;

	pv_lint_lines(lint, MEMCACHED, &lines);
	for (size_t i = 0; i < lines.n; i++) {
		pv_autostrv words = PV_STRV_INIT;
		pv_lint_words(lines.v[i], &words);
		if (words.n > 1 && pv_streq(words.v[0], option)) {
			pv_freep(&value);
			value = pv_xstrdup(words.v[1]);
		}
	}
	return pv_steal(&value);
}

/* 0 for NULL and for what is no number. */
static uint64_t number(const char *text)
{
	uint64_t value;

	return text && pv_parse_u64(text, 0, UINT32_MAX, &value) == 0 ? value : 0;
}

static uint64_t memcached_number(const struct pv_lint *lint, const char *option)
{
	pv_autofree char *text = memcached_option(lint, option);

	return number(text);
}

static void check_memcached_listen(struct pv_lint *lint)
{
	pv_autostrv lines = PV_STRV_INIT;
	bool any = false;

	if (!pv_lint_has_package(lint, "memcached"))
		return;
	pv_lint_lines(lint, MEMCACHED, &lines);
	for (size_t i = 0; i < lines.n; i++) {
		if (!pv_starts(lines.v[i], "-l") && !pv_starts(lines.v[i], "--listen"))
			continue;
		any = true;
		if (!pv_streq(lines.v[i], "-l 127.0.0.1"))
			pv_lint_fault(lint, "%s: %s", MEMCACHED, lines.v[i]);
	}
	if (!any)
		pv_lint_fault(lint, "%s has no -l 127.0.0.1: it would listen to the world", MEMCACHED);
	pv_lint_want_line(lint, MEMCACHED, "-U 0");
}

static void check_memcached_size(struct pv_lint *lint)
{
	uint64_t threads = memcached_number(lint, "-t");

	if (!pv_lint_has_package(lint, "memcached"))
		return;
	if (memcached_number(lint, "-m") == 0 || memcached_number(lint, "-c") == 0)
		pv_lint_fault(lint, "%s: -m or -c is missing", MEMCACHED);
	if (threads == 0 || threads > THREADS_MAX)
		pv_lint_fault(lint, "%s: -t is missing or above %u", MEMCACHED, THREADS_MAX);
}

/* The files that hold Apache's global settings, in the order it reads them. */
static void apache_files(const struct pv_lint *lint, struct pv_strv *ret)
{
	pv_strv_add(ret, APACHE "/apache2.conf");
	pv_lint_files(lint, APACHE "/mods-enabled", ".conf", ret);
	pv_lint_files(lint, APACHE "/conf-enabled", ".conf", ret);
}

/* The last value of a directive; NULL: none. */
static char *apache_setting(const struct pv_lint *lint, const char *name)
{
	pv_autostrv files = PV_STRV_INIT;
	pv_autofree char *value = NULL;

	apache_files(lint, &files);
	for (size_t f = 0; f < files.n; f++) {
		pv_autostrv lines = PV_STRV_INIT;
		pv_lint_lines(lint, files.v[f], &lines);
		for (size_t i = 0; i < lines.n; i++) {
			pv_autostrv words = PV_STRV_INIT;
			pv_lint_words(lines.v[i], &words);
			if (words.n > 1 && strcasecmp(words.v[0], name) == 0) {
				pv_freep(&value);
				value = pv_xstrdup(words.v[1]);
			}
		}
	}
	return pv_steal(&value);
}

static uint64_t apache_number(const struct pv_lint *lint, const char *name)
{
	pv_autofree char *text = apache_setting(lint, name);

	return number(text);
}

static void check_apache_mpm(struct pv_lint *lint)
{
	static const char *const others[] = { "mpm_prefork", "mpm_worker" };

	if (!pv_lint_has_package(lint, "apache2"))
		return;
	if (!pv_image_exists(lint->image, APACHE "/mods-enabled/mpm_event.load"))
		pv_lint_fault(lint, "%s/mods-enabled/mpm_event.load is missing", APACHE);
	for (size_t i = 0; i < PV_COUNT(others); i++) {
		pv_autofree char *path = pv_fmt("%s/mods-enabled/%s.load", APACHE, others[i]);
		if (pv_image_exists(lint->image, path))
			pv_lint_fault(lint, "%s is enabled too", path);
	}
}

static void check_apache_size(struct pv_lint *lint)
{
	uint64_t workers = apache_number(lint, "MaxRequestWorkers"), per_child = apache_number(lint, "ThreadsPerChild");
	uint64_t children = apache_number(lint, "ServerLimit");

	if (!pv_lint_has_package(lint, "apache2"))
		return;
	if (workers == 0 || per_child == 0 || children == 0)
		return pv_lint_fault(lint, "%s: MaxRequestWorkers, ThreadsPerChild or ServerLimit is missing", APACHE);
	if (workers > children * per_child || workers % per_child)
		pv_lint_fault(lint, "%s: MaxRequestWorkers %llu does not fit ServerLimit %llu x ThreadsPerChild %llu", APACHE,
			      (unsigned long long)workers, (unsigned long long)children, (unsigned long long)per_child);
	if (apache_number(lint, "ThreadLimit") < per_child)
		pv_lint_fault(lint, "%s: ThreadLimit is below ThreadsPerChild", APACHE);
}

static void check_apache_quiet(struct pv_lint *lint)
{
	static const struct {
		const char *name, *value;
	} wanted[] = { { "ServerTokens", "Prod" }, { "ServerSignature", "Off" }, { "TraceEnable", "Off" } };

	if (!pv_lint_has_package(lint, "apache2"))
		return;
	for (size_t i = 0; i < PV_COUNT(wanted); i++) {
		pv_autofree char *value = apache_setting(lint, wanted[i].name);
		if (!value || strcasecmp(value, wanted[i].value) != 0)
			pv_lint_fault(lint, "%s: %s is %s, wanted %s", APACHE, wanted[i].name, value ? value : "not set",
				      wanted[i].value);
	}
}

/* "Alias /healthz FILE" with a file that is there. */
static void check_apache_health(struct pv_lint *lint)
{
	pv_autostrv files = PV_STRV_INIT;

	if (!pv_lint_has_package(lint, "apache2"))
		return;
	apache_files(lint, &files);
	for (size_t f = 0; f < files.n; f++) {
		pv_autostrv lines = PV_STRV_INIT;
		pv_lint_lines(lint, files.v[f], &lines);
		for (size_t i = 0; i < lines.n; i++) {
			pv_autostrv words = PV_STRV_INIT;
			pv_lint_words(lines.v[i], &words);
			if (words.n < 3 || strcasecmp(words.v[0], "Alias") != 0 || !pv_streq(words.v[1], "/healthz"))
				continue;
			if (!pv_image_exists(lint->image, words.v[2]))
				pv_lint_fault(lint, "%s: /healthz is %s, which is missing", files.v[f], words.v[2]);
			return;
		}
	}
	pv_lint_fault(lint, "%s: no health page: no Alias /healthz", APACHE);
}

/* The last LimitNOFILE= of a unit's drop-ins; 0: none. */
static uint64_t unit_nofile(const struct pv_lint *lint, const char *unit)
{
	pv_autofree char *dir = pv_fmt("%s/%s.d", UNITS, unit);
	pv_autostrv files = PV_STRV_INIT;
	uint64_t limit = 0;

	pv_lint_files(lint, dir, ".conf", &files);
	for (size_t f = 0; f < files.n; f++) {
		pv_autostrv lines = PV_STRV_INIT;
		pv_lint_lines(lint, files.v[f], &lines);
		for (size_t i = 0; i < lines.n; i++)
			if (pv_starts(lines.v[i], "LimitNOFILE="))
				(void)!pv_parse_u64(lines.v[i] + strlen("LimitNOFILE="), 0, UINT32_MAX, &limit);
	}
	return limit;
}

static void want_nofile(struct pv_lint *lint, const char *package, uint64_t connections)
{
	pv_autofree char *unit = pv_fmt("%s.service", package);
	uint64_t limit = unit_nofile(lint, unit);

	if (pv_lint_has_package(lint, package) && limit <= connections)
		pv_lint_fault(lint, "%s: LimitNOFILE is %llu for %llu connections", unit, (unsigned long long)limit,
			      (unsigned long long)connections);
}

static void check_nofile(struct pv_lint *lint)
{
	want_nofile(lint, "memcached", memcached_number(lint, "-c"));
	want_nofile(lint, "apache2", apache_number(lint, "MaxRequestWorkers"));
}

/* The last value of a key in /etc/sysctl.d; 0 with *ret_any false: none. */
static uint64_t sysctl_value(const struct pv_lint *lint, const char *key, bool *ret_any)
{
	pv_autostrv files = PV_STRV_INIT;
	uint64_t value = 0;

	*ret_any = false;
	pv_lint_files(lint, "/etc/sysctl.d", ".conf", &files);
	for (size_t f = 0; f < files.n; f++) {
		pv_autostrv lines = PV_STRV_INIT;
		pv_lint_lines(lint, files.v[f], &lines);
		for (size_t i = 0; i < lines.n; i++) {
			pv_autostrv words = PV_STRV_INIT;
			pv_lint_words(lines.v[i], &words);
			if (words.n == 3 && pv_streq(words.v[0], key) && pv_streq(words.v[1], "=") &&
			    pv_parse_u64(words.v[2], 0, UINT32_MAX, &value) == 0)
				*ret_any = true;
		}
	}
	return value;
}

static void check_sysctl(struct pv_lint *lint)
{
	bool any;

	if (!pv_lint_has_package(lint, "memcached") && !pv_lint_has_package(lint, "apache2"))
		return;
	uint64_t queue = sysctl_value(lint, "net.core.somaxconn", &any);
	if (!any)
		pv_lint_fault(lint, "/etc/sysctl.d: net.core.somaxconn is not set");
	if (memcached_number(lint, "-b") > queue || apache_number(lint, "ListenBacklog") > queue)
		pv_lint_fault(lint, "/etc/sysctl.d: net.core.somaxconn %llu is below what memcached or Apache listen with",
			      (unsigned long long)queue);
	if (sysctl_value(lint, "net.ipv4.conf.all.arp_notify", &any) != 1)
		pv_lint_fault(lint, "/etc/sysctl.d: net.ipv4.conf.all.arp_notify is not 1: switches lose a migrated guest");
	if (sysctl_value(lint, "vm.overcommit_memory", &any) == 2)
		pv_lint_fault(lint, "/etc/sysctl.d: vm.overcommit_memory 2 leaves Apache no room for its threads' stacks");
}

static void check_enabled(struct pv_lint *lint)
{
	static const char *const packages[] = { "memcached", "apache2" };

	for (size_t i = 0; i < PV_COUNT(packages); i++) {
		pv_autofree char *unit = pv_fmt("%s.service", packages[i]);
		if (pv_lint_has_package(lint, packages[i]))
			pv_lint_want_enabled(lint, "multi-user.target", unit);
	}
}

const struct pv_lint_check pv_lint_service_checks[] = {
	{ "services", "memcached and Apache start at boot", check_enabled },
	{ "memcached-listen", "memcached: this host only, TCP only", check_memcached_listen },
	{ "memcached-size", "memcached: memory, connections and threads are set", check_memcached_size },
	{ "apache-mpm", "Apache: mpm_event and no other", check_apache_mpm },
	{ "apache-size", "Apache: its workers fit its children and threads", check_apache_size },
	{ "apache-quiet", "Apache: tells no version, answers no TRACE", check_apache_quiet },
	{ "apache-health", "Apache: a health page for load balancers", check_apache_health },
	{ "nofile", "file descriptors for every connection", check_nofile },
	{ "sysctl", "the kernel's queues hold what the services listen with", check_sysctl },
	{ NULL, NULL, NULL },
};
