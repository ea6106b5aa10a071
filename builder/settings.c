/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the running values that a plan asks for out of the overlays' own files, and out of a manifest. */
#include "settings.h"

#include <fnmatch.h>
#include <jansson.h>
#include <string.h>
#include <strings.h>

#include "fsutil.h"
#include "overlay_set.h"

#define MANIFEST_MAX ((size_t)32 << 20)
#define NAME_MAX_LEN 200u
#define VALUE_MAX_LEN 1000u
#define BOOT_BUDGET_MAX 1000u
#define TABLE_MAX 1000u

/* Apache's directives that bound memory, workers and connections (mod/event, mpm_common, core); others are no sizing. */
static const char *const apache_directives[] = {
	"StartServers", "ServerLimit", "ThreadLimit", "ThreadsPerChild", "MinSpareThreads", "MaxSpareThreads",
	"MaxRequestWorkers", "MaxConnectionsPerChild", "ListenBacklog", "Timeout", "KeepAlive", "KeepAliveTimeout",
	"MaxKeepAliveRequests",
};

/* memcached(1)'s options and what "stats settings" calls them (memcached.c, process_stat_settings). */
static const struct {
	char option;
	const char *name;
	uint64_t unit;			/* 0: as it stands */
} memcached_options[] = {
	{ 'm', "maxbytes", (uint64_t)1 << 20 },
	{ 'c', "maxconns", 0 },
	{ 't', "num_threads", 0 },
	{ 'b', "tcp_backlog", 0 },
	{ 'p', "tcpport", 0 },
	{ 'U', "udpport", 0 },
	{ 'l', "inter", 0 },
	{ 'R', "reqs_per_event", 0 },
};

static bool name_is_clean(const char *name)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	size_t n = strlen(name);

	return n > 0 && n <= NAME_MAX_LEN && strchr(letters, name[0]) &&
	       strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") == n;
}

/* Blanks at the ends go, runs of them become one. */
static char *tidy(const char *text, size_t len)
{
	pv_autofree char *clean = pv_printable(text, len);
	struct pv_str out = PV_STR_INIT;
	char *save = NULL;

	for (char *word = strtok_r(clean, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		if (out.len > 0)
			pv_str_addc(&out, ' ');
		pv_str_add(&out, word);
	}
	return pv_str_steal(&out);
}

static void keep(struct pv_vars *ret, const char *name, const char *value)
{
	if (name_is_clean(name) && *value && strlen(value) <= VALUE_MAX_LEN &&
	    (ret->n < TABLE_MAX || pv_vars_get(ret, name)))
		pv_vars_set(ret, name, value);
}

/* The next line, tidied; NULL at the end. The caller frees. */
static char *next_line(const char **at)
{
	size_t len = strcspn(*at, "\n");
	char *line;

	if (**at == '\0')
		return NULL;
	line = tidy(*at, len);
	*at += len + ((*at)[len] == '\n');
	return line;
}

/* "net/core/x" and "net.core.x" name the same; in the first form dots are part of names, as sysctl(8) has it. */
static void dots_for_slashes(char *name)
{
	size_t first = strcspn(name, "/.");

	if (name[first] != '/')
		return;
	for (char *c = name; *c; c++)
		if (*c == '/' || *c == '.')
			*c = *c == '/' ? '.' : '/';
}

void pv_settings_parse_sysctl(const char *text, struct pv_vars *ret)
{
	char *raw;

	while ((raw = next_line(&text))) {
		pv_autofree char *line = raw;
		char *equals = strchr(line, '=');
		/* "-name": may be refused by the kernel, so nothing can be asked of it. */
		if (!equals || strchr("#;-", *line))
			continue;
		pv_autofree char *name = tidy(line, (size_t)(equals - line));
		pv_autofree char *value = tidy(equals + 1, strlen(equals + 1));
		dots_for_slashes(name);
		keep(ret, name, value);
	}
}

void pv_settings_parse_memcached(const char *text, struct pv_vars *ret)
{
	char *raw;

	while ((raw = next_line(&text))) {
		pv_autofree char *line = raw;
		if (line[0] != '-' || !line[1])
			continue;
		const char *value = line + 2 + (line[2] == ' ');
		for (size_t i = 0; i < PV_COUNT(memcached_options); i++) {
			uint64_t number, unit = memcached_options[i].unit;
			if (memcached_options[i].option != line[1])
				continue;
			if (unit == 0) {
				keep(ret, memcached_options[i].name, value);
			} else if (pv_parse_u64(value, 0, UINT64_MAX / unit, &number) == 0) {
				pv_autofree char *bytes = pv_fmt("%llu", (unsigned long long)(number * unit));
				keep(ret, memcached_options[i].name, bytes);
			}
		}
	}
}

void pv_settings_parse_apache(const char *text, struct pv_vars *ret)
{
	char *raw;

	while ((raw = next_line(&text))) {
		pv_autofree char *line = raw;
		char *blank = strchr(line, ' ');
		if (!blank)
			continue;
		*blank = '\0';
		for (size_t i = 0; i < PV_COUNT(apache_directives); i++)
			if (strcasecmp(line, apache_directives[i]) == 0)
				keep(ret, apache_directives[i], blank + 1);
	}
}

/* Later files win by their order in the target: sysctl.d by base name, Apache's conf-enabled by name. */
static const struct {
	const char *pattern;
	void (*parse)(const char *text, struct pv_vars *ret);
	size_t table;			/* offset in pv_settings */
} sources[] = {
	{ "etc/sysctl.d/*.conf", pv_settings_parse_sysctl, offsetof(struct pv_settings, sysctl) },
	{ "etc/memcached.conf", pv_settings_parse_memcached, offsetof(struct pv_settings, memcached) },
	{ "etc/apache2/apache2.conf", pv_settings_parse_apache, offsetof(struct pv_settings, apache) },
	{ "etc/apache2/mods-available/mpm_*.conf", pv_settings_parse_apache, offsetof(struct pv_settings, apache) },
	{ "etc/apache2/conf-available/*.conf", pv_settings_parse_apache, offsetof(struct pv_settings, apache) },
};

int pv_settings_of_plan(const struct pv_plan *plan, const char *overlays_dir, struct pv_settings *ret,
			struct pv_error *err)
{
	pv_autooverlayset set = { 0 };
	struct pv_settings s = { .memory = plan->sizing.memory_mib << 20, .vcpus = plan->sizing.vcpus,
				 .reserve_mib = plan->sizing.page_cache_mib,
				 .boot_budget = plan->recipe->boot_budget };

	if (pv_overlay_set_load(overlays_dir, &plan->recipe->overlays, &plan->vars, &set, err) < 0)
		return -1;
	s.name = pv_xstrdup(plan->name);
	for (size_t i = 0; i < PV_COUNT(sources); i++)
		for (size_t k = 0; k < set.n; k++) {	/* sorted by path */
			const struct pv_overlay_entry *e = &set.v[k];
			if (e->type != 'f' || fnmatch(sources[i].pattern, e->path, FNM_PATHNAME) != 0)
				continue;
			pv_autofree char *text = pv_xstrndup(e->data ? e->data : "", e->len);
			sources[i].parse(text, (struct pv_vars *)((char *)&s + sources[i].table));
		}
	*ret = s;
	return 0;
}

static json_t *table_json(const struct pv_vars *table)
{
	json_t *object = json_object();

	for (size_t i = 0; i < table->n; i++)
		json_object_set_new(object, table->v[i].name, json_string(table->v[i].value));
	return object;
}

struct json_t *pv_settings_flavor_json(const struct pv_settings *s)
{
	return json_pack("{s:I, s:i}", "memory", (json_int_t)s->memory, "vcpus", (int)s->vcpus);
}

struct json_t *pv_settings_json(const struct pv_settings *s)
{
	json_t *object = json_pack("{s:i, s:o, s:o, s:o}", "reserve_mib", (int)s->reserve_mib, "sysctl",
				   table_json(&s->sysctl), "memcached", table_json(&s->memcached), "apache",
				   table_json(&s->apache));

	if (s->boot_budget > 0)
		json_object_set_new(object, "boot_budget", json_integer(s->boot_budget));
	return object;
}

static int read_table(const char *path, const json_t *settings, const char *key, struct pv_vars *ret,
		      struct pv_error *err)
{
	json_t *table = json_object_get(settings, key), *value;
	const char *name;

	if (!json_is_object(table) || json_object_size(table) > TABLE_MAX)
		return pv_error_set(err, PV_ERR_STAGE, "%s: settings.%s is no table", path, key);
	json_object_foreach(table, name, value) {
		const char *text = json_string_value(value);
		pv_autofree char *printable = pv_printable(name, strlen(name));
		if (!name_is_clean(name) || !text || !*text || strlen(text) > VALUE_MAX_LEN)
			return pv_error_set(err, PV_ERR_STAGE, "%s: settings.%s: '%.60s' has no good name or value", path,
					    key, printable);
		pv_autofree char *clean = tidy(text, strlen(text));
		pv_vars_set(ret, name, clean);
	}
	return 0;
}

static int read_number(const char *path, const json_t *object, const char *key, uint64_t min, uint64_t max,
		       uint64_t *ret, struct pv_error *err)
{
	const json_t *number = json_object_get(object, key);
	json_int_t n = json_integer_value(number);

	if (!json_is_integer(number) || n < 0 || (uint64_t)n < min || (uint64_t)n > max)
		return pv_error_set(err, PV_ERR_STAGE, "%s: '%s' is missing or out of its range", path, key);
	*ret = (uint64_t)n;
	return 0;
}

static int read_all(const char *path, const json_t *manifest, struct pv_settings *ret, struct pv_error *err)
{
	const json_t *flavor = json_object_get(manifest, "flavor"), *settings = json_object_get(manifest, "settings");
	const char *schema = json_string_value(json_object_get(manifest, "schema"));
	const char *name = json_string_value(json_object_get(manifest, "name"));
	uint64_t vcpus = 0, reserve = 0, budget = 0;

	if (!pv_streq(schema, "pvimg.manifest/1"))
		return pv_error_set(err, PV_ERR_STAGE, "%s is no manifest of pvimg", path);
	if (!flavor || !settings)
		return pv_error_set(err, PV_ERR_STAGE,
				    "%s names no settings: it was written by an older pvimg; build the image again", path);
	if (read_number(path, flavor, "memory", (uint64_t)PV_SIZING_MIN_MIB << 20, (uint64_t)PV_SIZING_MAX_MIB << 20,
			&ret->memory, err) < 0 ||
	    read_number(path, flavor, "vcpus", 1, PV_SIZING_MAX_VCPUS, &vcpus, err) < 0 ||
	    read_number(path, settings, "reserve_mib", 0, PV_SIZING_MAX_MIB, &reserve, err) < 0)
		return -1;
	if (json_object_get(settings, "boot_budget") &&
	    read_number(path, settings, "boot_budget", 1, BOOT_BUDGET_MAX, &budget, err) < 0)
		return -1;
	if (!name || !*name || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") != strlen(name))
		return pv_error_set(err, PV_ERR_STAGE, "%s: 'name' is missing or no image's name", path);
	ret->name = pv_xstrdup(name);
	ret->vcpus = (unsigned)vcpus;
	ret->reserve_mib = (unsigned)reserve;
	ret->boot_budget = (unsigned)budget;
	if (read_table(path, settings, "sysctl", &ret->sysctl, err) < 0 ||
	    read_table(path, settings, "memcached", &ret->memcached, err) < 0 ||
	    read_table(path, settings, "apache", &ret->apache, err) < 0)
		return -1;
	return 0;
}

int pv_settings_read(const char *manifest_path, struct pv_settings *ret, struct pv_error *err)
{
	pv_autofree char *text = NULL;
	size_t len;
	json_error_t why;
	struct pv_settings s = { 0 };

	if (pv_read_file(manifest_path, MANIFEST_MAX, &text, &len, err) < 0)
		return -1;
	json_t *manifest = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	if (!manifest)
		return pv_error_set(err, PV_ERR_STAGE, "%s:%d: damaged: no JSON", manifest_path, why.line);
	int rc = read_all(manifest_path, manifest, &s, err);
	json_decref(manifest);
	if (rc < 0) {
		pv_settings_done(&s);
		return -1;
	}
	*ret = s;
	return 0;
}

void pv_settings_done(struct pv_settings *s)
{
	pv_freep(&s->name);
	pv_vars_done(&s->sysctl);
	pv_vars_done(&s->memcached);
	pv_vars_done(&s->apache);
	*s = (struct pv_settings){ 0 };
}
