/* SPDX-License-Identifier: Apache-2.0 */
/* The installed set against the plan, and manifest.json. */
#include "manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "deb822.h"
#include "fsutil.h"
#include "intree.h"

#define COPYRIGHT_MAX ((size_t)1 << 20)		/* larger ones are left out: no license known */

#define STATUS_MAX ((size_t)64 << 20)		/* dpkg's status file: about 1 KiB a package */

#define NAMES_IN_ERROR 5

/* Reads a file of the tree with every link resolved inside the tree. NULL when it is not there or too large. */
static char *read_in_tree(int root_fd, const char *path, size_t max, size_t *ret_len)
{
	struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
				.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
	pv_autoclose int fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
	pv_autofree char *buffer = NULL;

	if (fd < 0)
		return NULL;
	buffer = pv_xmalloc(max + 1);
	ssize_t n = pv_pread_all(fd, buffer, max + 1, 0);
	if (n < 0 || (size_t)n > max)
		return NULL;
	*ret_len = (size_t)n;
	return pv_steal(&buffer);
}

struct licenses {
	struct pv_strv names;
	bool machine_readable;
};

/* DEP-5: the first stanza bears Format, each other one may bear License, whose first line is the short name. */
static int take_license(void *ctx, const struct pv_stanza *stanza)
{
	struct licenses *found = ctx;
	const char *license = pv_stanza_get(stanza, "License");

	if (pv_stanza_get(stanza, "Format"))
		found->machine_readable = true;
	if (!found->machine_readable || !license)
		return 0;
	pv_autofree char *name = pv_xstrndup(license, strcspn(license, "\n"));
	if (*name && strlen(name) < 200 && !pv_strv_has(&found->names, name))
		pv_strv_add(&found->names, name);
	return 0;
}

static json_t *licenses_json(int root_fd, const char *package)
{
	struct licenses found = { PV_STRV_INIT, false };
	pv_autofree char *path = pv_fmt("usr/share/doc/%s/copyright", package);
	size_t len = 0;
	pv_autofree char *text = read_in_tree(root_fd, path, COPYRIGHT_MAX, &len);
	pv_autoerror ignored = PV_ERROR_INIT;
	json_t *list = json_array();

	if (text && pv_deb822_each_mem(text, len, take_license, &found, &ignored) == 0) {
		pv_strv_sort(&found.names);
		for (size_t i = 0; i < found.names.n; i++)
			json_array_append_new(list, json_string(found.names.v[i]));
	}
	pv_strv_done(&found.names);
	return list;
}

/* Debian's Source field: "NAME" or "NAME (VERSION)", only where it is not the package's own name and version. */
static int take_source(void *ctx, const struct pv_stanza *stanza)
{
	const char *name = pv_stanza_get(stanza, "Package"), *source = pv_stanza_get(stanza, "Source");

	if (name && source)
		json_object_set_new(ctx, name, json_string(source));
	return 0;
}

/* name -> Source of dpkg's status; empty where the tree has none. */
static json_t *sources_json(int root_fd)
{
	size_t len = 0;
	pv_autofree char *text = read_in_tree(root_fd, "var/lib/dpkg/status", STATUS_MAX, &len);
	pv_autoerror ignored = PV_ERROR_INIT;
	json_t *sources = json_object();

	if (text && pv_deb822_each_mem(text, len, take_source, sources, &ignored) < 0)
		json_object_clear(sources);
	return sources;
}

static void set_source(json_t *object, const char *source)
{
	size_t name = strcspn(source, " ("), skip = name + strspn(source + name, " (");
	size_t version = strcspn(source + skip, ")");

	if (name == 0)
		return;
	json_object_set_new(object, "source", json_stringn(source, name));
	if (version > 0)
		json_object_set_new(object, "source_version", json_stringn(source + skip, version));
}

static json_t *package_json(int root_fd, const struct pv_package *p, const char *source)
{
	json_t *object = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I}", "name", p->name, "version", p->version,
				   "architecture", p->arch, "sha256", p->sha256, "size", (json_int_t)p->size,
				   "installed_size", (json_int_t)(p->installed_kib * 1024));
	json_t *licenses = licenses_json(root_fd, p->name);

	if (source)
		set_source(object, source);

	if (json_array_size(licenses) > 0)
		json_object_set_new(object, "licenses", licenses);
	else
		json_decref(licenses);
	return object;
}

/* Takes the manifest. */
static int write_json(json_t *manifest, const struct pv_settings *settings, const char *path, struct pv_error *err)
{
	if (settings) {
		json_object_set_new(manifest, "flavor", pv_settings_flavor_json(settings));
		json_object_set_new(manifest, "settings", pv_settings_json(settings));
	}
	pv_autofree char *text = json_dumps(manifest, JSON_INDENT(1) | JSON_SORT_KEYS);
	json_decref(manifest);
	pv_autofree char *line = pv_fmt("%s\n", text ? text : "{}");
	return pv_write_file(path, line, strlen(line), 0644, err);
}

int pv_manifest_write(const struct pv_plan *plan, const struct pv_settings *settings, const char *root, const char *path,
		      struct pv_error *err)
{
	pv_autoclose int root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	json_t *packages = json_array();

	if (root_fd < 0) {
		json_decref(packages);
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", root);
	}
	json_t *sources = sources_json(root_fd);
	for (size_t i = 0; i < plan->npackages; i++)
		json_array_append_new(packages, package_json(root_fd, &plan->packages[i], json_string_value(
								json_object_get(sources, plan->packages[i].name))));
	json_decref(sources);
	json_t *manifest = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:o}", "schema",
				     "pvimg.manifest/1", "name", plan->name, "distribution",
				     plan->suite->distribution, "suite", plan->suite->codename, "architecture",
				     plan->arch, "archive", plan->stand_in ? "stand-in" : "distribution", "epoch",
				     (json_int_t)plan->epoch, "disk_size", (json_int_t)plan->disk_size,
				     "packages", packages);
	return write_json(manifest, settings, path, err);
}

static json_t *load(const char *from, struct pv_error *err)
{
	json_error_t why;
	json_t *manifest = json_load_file(from, JSON_REJECT_DUPLICATES, &why);

	if (!manifest)
		pv_error_set(err, PV_ERR_STAGE, "%s: %s", from, why.text);
	return manifest;
}

int pv_manifest_with_settings(const char *from, const struct pv_settings *settings, const char *path, struct pv_error *err)
{
	json_t *manifest = load(from, err);

	return manifest ? write_json(manifest, settings, path, err) : -1;
}

int pv_manifest_of_sibling(const char *from, const struct pv_plan *plan, const struct pv_settings *settings, const char *path,
			   struct pv_error *err)
{
	json_t *manifest = load(from, err);

	if (!manifest)
		return -1;
	json_object_set_new(manifest, "name", json_string(plan->name));
	return write_json(manifest, settings, path, err);
}

struct installed {
	const struct pv_plan *plan;
	bool *seen;			/* one a planned package */
	struct pv_strv differ;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(a, ((const struct pv_package *)b)->name);
}

static int check_installed(void *ctx, const struct pv_stanza *stanza)
{
	struct installed *state = ctx;
	const char *name = pv_stanza_get(stanza, "Package");
	const char *version = pv_stanza_get(stanza, "Version");
	const char *status = pv_stanza_get(stanza, "Status");

	if (!name || !version || !status)
		return 0;
	const struct pv_package *p = bsearch(name, state->plan->packages, state->plan->npackages,
					     sizeof(*p), by_name);
	if (!p) {
		pv_strv_addf(&state->differ, "%s %s is installed and not planned", name, version);
		return 0;
	}
	state->seen[p - state->plan->packages] = true;
	if (!pv_streq(status, "install ok installed"))
		pv_strv_addf(&state->differ, "%s is \"%s\"", name, status);
	else if (!pv_streq(version, p->version))
		pv_strv_addf(&state->differ, "%s is %s, planned %s", name, version, p->version);
	else if (!pv_streq(pv_stanza_get(stanza, "Architecture"), p->arch))
		pv_strv_addf(&state->differ, "%s is not of architecture %s", name, p->arch);
	return 0;
}

int pv_manifest_check_installed(const struct pv_plan *plan, const char *root, struct pv_error *err)
{
	pv_autofree bool *seen = pv_xcalloc(plan->npackages + 1, sizeof(*seen));
	pv_autofree char *status = NULL;
	struct installed state = { plan, seen, PV_STRV_INIT };
	size_t len;

	if (pv_intree_read(root, "var/lib/dpkg/status", STATUS_MAX, &status, &len, err) < 0)
		return -1;
	if (pv_deb822_each_mem(status, len, check_installed, &state, err) < 0) {
		pv_strv_done(&state.differ);
		return -1;
	}
	for (size_t i = 0; i < plan->npackages; i++)
		if (!seen[i])
			pv_strv_addf(&state.differ, "%s is missing", plan->packages[i].name);
	if (state.differ.n == 0)
		return 0;
	size_t n = state.differ.n;
	while (state.differ.n > NAMES_IN_ERROR)
		pv_freep(&state.differ.v[--state.differ.n]);
	pv_autofree char *words = pv_strv_join(&state.differ, ", ");
	pv_strv_done(&state.differ);
	return pv_error_set(err, PV_ERR_STAGE, "the installed set is not the %s one (%zu differ): %s",
			    state.plan->locked ? "locked" : "planned", n, words);
}
