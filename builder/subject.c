/* SPDX-License-Identifier: Apache-2.0 */
/* Finds an image and its records, and makes tables of facts of them. The image's own word goes before a record's. */
#include "subject.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "deb822.h"
#include "folders.h"
#include "fsutil.h"
#include "lint.h"
#include "settings.h"

#define JSON_MAX ((size_t)64 << 20)
#define SYSCTL_MAX ((size_t)1 << 20)

const char *pv_subject_table_name(enum pv_subject_table table)
{
	static const char *const names[PV_SUBJECT_TABLES] = {
		[PV_SUBJECT_IMAGE] = "image", [PV_SUBJECT_PACKAGES] = "packages", [PV_SUBJECT_SYSCTL] = "sysctl",
		[PV_SUBJECT_KERNEL] = "kernel command line", [PV_SUBJECT_SETTINGS] = "settings",
		[PV_SUBJECT_SIZES] = "sizes", [PV_SUBJECT_FOLDERS] = "folders", [PV_SUBJECT_STAGES] = "build stages",
		[PV_SUBJECT_BOOT] = "boot time",
	};

	return names[table];
}

static bool has_times(enum pv_subject_table table)
{
	return table == PV_SUBJECT_STAGES || table == PV_SUBJECT_BOOT;
}

bool pv_subject_is_numeric(enum pv_subject_table table)
{
	return has_times(table) || table == PV_SUBJECT_SIZES || table == PV_SUBJECT_FOLDERS;
}

char *pv_subject_value_text(enum pv_subject_table table, const char *value)
{
	uint64_t number;

	if (!pv_subject_is_numeric(table) || pv_parse_u64(value, 0, UINT64_MAX, &number) < 0)
		return pv_xstrdup(value);
	return has_times(table) ? pv_ms_text(number) : pv_size_text(number);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct pv_var *)a)->name, ((const struct pv_var *)b)->name);
}

static void set(struct pv_subject *s, enum pv_subject_table table, const char *name, const char *value)
{
	pv_autofree char *key = pv_printable(name, strlen(name)), *text = pv_printable(value, strlen(value));

	s->tables[table].have = true;
	pv_vars_set(&s->tables[table].v, key, text);
}

static void set_number(struct pv_subject *s, enum pv_subject_table table, const char *name, uint64_t value)
{
	pv_autofree char *text = pv_fmt("%llu", (unsigned long long)value);

	set(s, table, name, text);
}

/* --- records --- */

/* NULL: not there, or not of that kind. */
static json_t *read_record(const char *path, const char *schema)
{
	pv_autofree char *text = NULL;

	if (pv_read_file(path, JSON_MAX, &text, NULL, NULL) < 0)
		return NULL;
	json_t *record = json_loads(text, 0, NULL);
	if (record && pv_streq(json_string_value(json_object_get(record, "schema")), schema))
		return record;
	json_decref(record);
	return NULL;
}

json_t *pv_subject_record(const char *dir, const char *file, const char *schema)
{
	pv_autofree char *path = pv_path_join(dir, file);

	return read_record(path, schema);
}

/* Strings and numbers of an object, each name with a prefix. */
static void take_object(struct pv_subject *s, enum pv_subject_table table, const char *prefix, json_t *object)
{
	const char *key;
	json_t *value;

	if (!json_is_object(object))
		return;
	s->tables[table].have = true;
	json_object_foreach(object, key, value) {
		pv_autofree char *name = pv_fmt("%s%s", prefix, key);
		if (json_is_string(value))
			set(s, table, name, json_string_value(value));
		else if (json_is_integer(value))
			set_number(s, table, name, (uint64_t)json_integer_value(value));
	}
}

static void take_packages(struct pv_subject *s, const json_t *manifest)
{
	const json_t *packages = json_object_get(manifest, "packages");
	uint64_t installed = 0;

	for (size_t i = 0; i < json_array_size(packages); i++) {
		const json_t *p = json_array_get(packages, i);
		const char *name = json_string_value(json_object_get(p, "name"));
		const char *version = json_string_value(json_object_get(p, "version"));
		if (name && version)
			set(s, PV_SUBJECT_PACKAGES, name, version);
		json_int_t size = json_integer_value(json_object_get(p, "installed_size"));
		installed += size > 0 ? (uint64_t)size : 0;
	}
	set_number(s, PV_SUBJECT_SIZES, "installed packages", installed);
}

static void take_manifest(struct pv_subject *s, const json_t *manifest)
{
	static const char *const plain[] = { "name", "distribution", "suite", "architecture", "archive", "epoch" };
	const json_t *settings = json_object_get(manifest, "settings");

	for (size_t i = 0; i < PV_COUNT(plain); i++) {
		json_t *value = json_object_get(manifest, plain[i]);
		if (json_is_string(value))
			set(s, PV_SUBJECT_IMAGE, plain[i], json_string_value(value));
		else if (json_is_integer(value))
			set_number(s, PV_SUBJECT_IMAGE, plain[i], (uint64_t)json_integer_value(value));
	}
	take_object(s, PV_SUBJECT_IMAGE, "flavor ", json_object_get(manifest, "flavor"));
	take_object(s, PV_SUBJECT_SYSCTL, "", json_object_get(settings, "sysctl"));
	take_object(s, PV_SUBJECT_SETTINGS, "memcached ", json_object_get(settings, "memcached"));
	take_object(s, PV_SUBJECT_SETTINGS, "apache ", json_object_get(settings, "apache"));
	json_int_t disk = json_integer_value(json_object_get(manifest, "disk_size"));
	if (disk > 0)
		set_number(s, PV_SUBJECT_SIZES, "disk", (uint64_t)disk);
	take_packages(s, manifest);
}

/* What the cache had took no time that says anything. */
static void take_stages(struct pv_subject *s, const json_t *stages)
{
	for (size_t i = 0; i < json_array_size(stages); i++) {
		const json_t *stage = json_array_get(stages, i);
		const char *name = json_string_value(json_object_get(stage, "name"));
		const char *state = json_string_value(json_object_get(stage, "state"));
		json_int_t ms = json_integer_value(json_object_get(stage, "wall_ms"));
		if (name && pv_streq(state, "done") && ms >= 0)
			set_number(s, PV_SUBJECT_STAGES, name, (uint64_t)ms);
		else if (name && state)
			set(s, PV_SUBJECT_STAGES, name, state);
	}
}

static void take_folders(struct pv_subject *s, const json_t *folders)
{
	for (size_t i = 0; i < json_array_size(folders); i++) {
		const json_t *folder = json_array_get(folders, i);
		const char *path = json_string_value(json_object_get(folder, "path"));
		json_int_t bytes = json_integer_value(json_object_get(folder, "bytes"));
		if (path && bytes >= 0)
			set_number(s, PV_SUBJECT_FOLDERS, path, (uint64_t)bytes);
	}
}

static void take_verdict(struct pv_subject *s, const json_t *verdict)
{
	const char *class = json_string_value(json_object_get(verdict, "class"));
	const char *cause = json_string_value(json_object_get(verdict, "cause"));

	take_object(s, PV_SUBJECT_BOOT, "", json_object_get(verdict, "timeline"));
	if (!class)
		return;
	pv_autofree char *words = cause ? pv_fmt("%s: %s", class, cause) : pv_xstrdup(class);
	set(s, PV_SUBJECT_BOOT, "verdict", words);
}

static void take_report(struct pv_subject *s, const json_t *report)
{
	const json_t *artifacts = json_object_get(report, "artifacts");

	json_int_t wall = json_integer_value(json_object_get(report, "wall_ms"));
	if (wall > 0)
		set_number(s, PV_SUBJECT_STAGES, PV_SUBJECT_WHOLE_BUILD, (uint64_t)wall);
	take_stages(s, json_object_get(report, "stages"));
	take_folders(s, json_object_get(report, "folders"));
	for (size_t i = 0; i < json_array_size(artifacts); i++) {
		const json_t *a = json_array_get(artifacts, i);
		const char *file = json_string_value(json_object_get(a, "file"));
		json_int_t size = json_integer_value(json_object_get(a, "size"));
		const char *dot = file ? strrchr(file, '.') : NULL;
		if (!dot || size < 0)
			continue;
		/* the file's name has the image's in it, which the table of the image tells */
		pv_autofree char *name = pv_fmt("file *%s", pv_ends(file, ".json") ? file : dot);
		set_number(s, PV_SUBJECT_SIZES, name, (uint64_t)size);
	}
}

/* NULL: that one is not there. */
static void take_records(struct pv_subject *s, const json_t *manifest, const json_t *report, const json_t *verdict)
{
	if (manifest)
		take_manifest(s, manifest);
	if (report)
		take_report(s, report);
	if (verdict)
		take_verdict(s, verdict);
}

static void read_records(struct pv_subject *s, const char *dir, const char *verdict_path)
{
	json_t *manifest = pv_subject_record(dir, "manifest.json", "pvimg.manifest/1");
	json_t *report = pv_subject_record(dir, "report.json", "pvimg.report/1");
	json_t *verdict = read_record(verdict_path, "pvimg.verdict/1");

	take_records(s, manifest, report, verdict);
	json_decref(manifest);
	json_decref(report);
	json_decref(verdict);
}

/* --- the image itself --- */

static int take_status(void *ctx, const struct pv_stanza *stanza)
{
	struct pv_subject *s = ctx;
	const char *name = pv_stanza_get(stanza, "Package"), *version = pv_stanza_get(stanza, "Version");
	const char *status = pv_stanza_get(stanza, "Status");

	if (name && version && status && pv_ends(status, " installed"))
		set(s, PV_SUBJECT_PACKAGES, name, version);
	return 0;
}

static void ask_packages(struct pv_subject *s)
{
	size_t len = 0;
	pv_autofree char *text = pv_image_read(s->image, PV_LINT_STATUS, PV_LINT_STATUS_MAX, &len);
	pv_autoerror ignored = PV_ERROR_INIT;

	if (!text)
		return;
	pv_vars_done(&s->tables[PV_SUBJECT_PACKAGES].v);
	s->tables[PV_SUBJECT_PACKAGES].have = true;
	if (pv_deb822_each_mem(text, len, take_status, s, &ignored) < 0)
		pv_error_clear(&ignored);	/* what was read until there */
}

/* One file of a name counts, that in /etc before that in /usr/lib; all files in the order of their names: sysctl.d(5). */
static void ask_sysctl(struct pv_subject *s)
{
	static const char *const folders[] = { "/etc/sysctl.d", "/usr/lib/sysctl.d" };
	pv_autostrv names = PV_STRV_INIT;
	struct pv_vars found = { 0 };

	for (size_t i = 0; i < PV_COUNT(folders); i++)
		pv_image_list(s->image, folders[i], &names);
	pv_strv_sort(&names);
	pv_strv_uniq(&names);
	pv_strv_add(&names, "../sysctl.conf");
	for (size_t i = 0; i < names.n; i++) {
		pv_autofree char *text = NULL;
		for (size_t k = 0; k < PV_COUNT(folders) && !text; k++) {
			pv_autofree char *path = pv_path_join(folders[k], names.v[i]);
			if (pv_ends(path, ".conf"))
				text = pv_image_read(s->image, path, SYSCTL_MAX, NULL);
		}
		if (text)
			pv_settings_parse_sysctl(text, &found);
	}
	pv_vars_done(&s->tables[PV_SUBJECT_SYSCTL].v);
	s->tables[PV_SUBJECT_SYSCTL].have = true;
	for (size_t i = 0; i < found.n; i++)
		set(s, PV_SUBJECT_SYSCTL, found.v[i].name, found.v[i].value);
	pv_vars_done(&found);
}

/* Of what GRUB boots by default. A word that is there twice counts twice: console=tty0 console=hvc0. */
static void ask_kernel(struct pv_subject *s)
{
	const struct pv_lint lint = { .image = s->image };
	pv_autostrv lines = PV_STRV_INIT, words = PV_STRV_INIT;

	pv_lint_linux_lines(&lint, &lines);
	if (lines.n == 0)
		return;
	pv_lint_words(lines.v[0], &words);
	s->tables[PV_SUBJECT_KERNEL].have = true;
	for (size_t i = 0; i < words.n; i++) {
		const char *equals = i == 0 ? NULL : strchr(words.v[i], '=');
		pv_autofree char *name = i == 0 ? pv_xstrdup("kernel")
					       : pv_xstrndup(words.v[i], strcspn(words.v[i], "="));
		const char *before = pv_vars_get(&s->tables[PV_SUBJECT_KERNEL].v, name);
		const char *value = i == 0 ? words.v[0] : equals ? equals + 1 : "";
		pv_autofree char *both = before ? pv_fmt("%s, %s", before, value) : pv_xstrdup(value);
		set(s, PV_SUBJECT_KERNEL, name, both);
	}
}

static void ask_folders(struct pv_subject *s)
{
	pv_autofolders folders = { .v = NULL };

	pv_folders_of_image(s->image, &folders);
	pv_vars_done(&s->tables[PV_SUBJECT_FOLDERS].v);
	for (size_t i = 0; i < folders.n; i++)
		set_number(s, PV_SUBJECT_FOLDERS, folders.v[i].path, folders.v[i].bytes);
}

static void ask_image(struct pv_subject *s)
{
	ask_folders(s);
	set_number(s, PV_SUBJECT_SIZES, "disk", pv_image_size(s->image));
	set_number(s, PV_SUBJECT_SIZES, "root in use", pv_image_fs_used(s->image));
	ask_packages(s);
	ask_sysctl(s);
	ask_kernel(s);
}

/* --- finding it --- */

/* The image that the folder's manifest names, when it is there. */
static char *image_in(const char *dir)
{
	json_t *manifest = pv_subject_record(dir, "manifest.json", "pvimg.manifest/1");
	const char *name = json_string_value(json_object_get(manifest, "name"));
	pv_autofree char *image = name && !strchr(name, '/') ? pv_fmt("%s/%s.raw", dir, name) : NULL;

	json_decref(manifest);
	return image && pv_exists(image) ? pv_steal(&image) : NULL;
}

/* A folder, or one of its records: the whole folder is meant. */
static int open_folder(struct pv_subject *s, const char *dir, bool records_only, struct pv_error *err)
{
	pv_autofree char *verdict = pv_path_join(dir, "verdict.json"), *image = records_only ? NULL : image_in(dir);

	read_records(s, dir, verdict);
	if (image)
		return pv_image_open(image, &s->image, err);
	for (size_t i = 0; i < PV_SUBJECT_TABLES; i++)
		if (s->tables[i].have)
			return 0;
	return pv_error_set(err, PV_ERR_STAGE, "%s: neither an image with a manifest nor a record of pvimg is there", dir);
}

/* A record under another name, "yesterday.json": it stands for itself alone. True when it is one. */
static bool open_alone(struct pv_subject *s, const char *path)
{
	json_t *report = read_record(path, "pvimg.report/1"), *manifest = read_record(path, "pvimg.manifest/1");
	json_t *verdict = read_record(path, "pvimg.verdict/1");
	bool found = report || manifest || verdict;

	take_records(s, manifest, report, verdict);
	json_decref(manifest);
	json_decref(report);
	json_decref(verdict);
	return found;
}

static bool has_records_name(const char *path)
{
	static const char *const names[] = { "report.json", "manifest.json", "verdict.json" };
	const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;

	for (size_t i = 0; i < PV_COUNT(names); i++)
		if (pv_streq(base, names[i]))
			return true;
	return false;
}

static int open_image(struct pv_subject *s, const char *path, struct pv_error *err)
{
	pv_autofree char *dir = pv_path_dir(path), *of_dir = image_in(dir);
	pv_autofree char *own_verdict = pv_fmt("%s.verdict.json", path), *verdict = pv_path_join(dir, "verdict.json");
	const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;

	if (pv_image_open(path, &s->image, err) < 0)
		return -1;
	/* the folder's records are this image's */
	if (of_dir && pv_streq(strrchr(of_dir, '/') + 1, base))
		read_records(s, dir, pv_exists(own_verdict) ? own_verdict : verdict);
	return 0;
}

int pv_subject_open(const char *path, bool records_only, struct pv_subject *ret, struct pv_error *err)
{
	pv_autosubject s = { .path = NULL };
	struct stat st;

	if (stat(path, &st) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", path);
	s.path = pv_xstrdup(path);
	pv_autofree char *dir = pv_path_dir(path);
	int rc;
	if (S_ISDIR(st.st_mode))
		rc = open_folder(&s, path, records_only, err);
	else if (pv_ends(path, ".json") && !has_records_name(path) && open_alone(&s, path))
		rc = 0;
	else if (records_only || pv_ends(path, ".json"))
		rc = open_folder(&s, dir, records_only, err);
	else
		rc = open_image(&s, path, err);
	if (rc < 0)
		return -1;
	if (s.image)
		ask_image(&s);
	for (size_t i = 0; i < PV_SUBJECT_TABLES; i++)
		if (s.tables[i].v.n)
			qsort(s.tables[i].v.v, s.tables[i].v.n, sizeof(*s.tables[i].v.v), by_name);
	*ret = s;
	s = (struct pv_subject){ .path = NULL };
	return 0;
}

void pv_subject_done(struct pv_subject *s)
{
	pv_freep(&s->path);
	pv_image_freep(&s->image);
	for (size_t i = 0; i < PV_SUBJECT_TABLES; i++)
		pv_vars_done(&s->tables[i].v);
}
