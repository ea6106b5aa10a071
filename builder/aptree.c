/* SPDX-License-Identifier: Apache-2.0 */
/* Lays out an apt configuration with its lists, by links where it can. */
#include "aptree.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "deb822.h"
#include "fsutil.h"
#include "text.h"
#include "url.h"

#define BLOCK (256u << 10)

static int copy_bytes(int in, int out, uint64_t size)
{
	pv_autofree char *block = NULL;
	uint64_t done = 0;

	if (ioctl(out, FICLONE, in) == 0)
		return 0;
	while (done < size) {
		ssize_t n = copy_file_range(in, NULL, out, NULL, size - done, 0);

		if (n <= 0)
			break;
		done += (uint64_t)n;
	}
	if (done == size)
		return 0;
	block = pv_xmalloc(BLOCK);
	while (done < size) {
		ssize_t n = pv_pread_all(in, block, BLOCK, (off_t)done);

		if (n <= 0) {
			errno = n == 0 ? EIO : errno;
			return -1;
		}
		if (pv_pwrite_all(out, block, (size_t)n, (off_t)done) < 0)
			return -1;
		done += (uint64_t)n;
	}
	return 0;
}

static int copy_file(const char *from, const char *to, struct pv_error *err)
{
	pv_autoclose int in = open(from, O_RDONLY | O_CLOEXEC);
	pv_autoclose int out = -1;
	struct stat st;

	if (in < 0 || fstat(in, &st) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot read", from);
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (out < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot make", to);
	if (copy_bytes(in, out, (uint64_t)st.st_size) < 0 || fchmod(out, 0644) < 0) {
		(void)pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot write %llu bytes", to,
				     (unsigned long long)st.st_size);
		(void)unlink(to);
		return -1;
	}
	return 0;
}

/* The folders that `path` lies in; readable by all whatever the umask. */
static int make_parents(const char *root, const char *path, struct pv_error *err)
{
	pv_autofree char *dir = pv_xstrdup(path);

	*strrchr(dir, '/') = '\0';
	if (pv_exists(dir))
		return 0;
	if (pv_mkdirs(dir, 0755, err) < 0)
		return -1;
	for (char *end = dir + strlen(dir); (size_t)(end - dir) >= strlen(root); ) {
		if (chmod(dir, 0755) < 0)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", dir);
		end = strrchr(dir, '/');
		*end = '\0';
	}
	return 0;
}

/* `from` also at `to`: by a hard link, else (another file system, not ours to link, not readable by all) a copy. */
static int place(const char *root, const char *from, const char *to, struct pv_error *err)
{
	struct stat a, b;

	if (stat(from, &a) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", from);
	if (lstat(to, &b) == 0) {
		if (a.st_dev == b.st_dev && a.st_ino == b.st_ino)
			return 0;
		if (unlink(to) < 0)
			return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot remove", to);
	} else if (make_parents(root, to, err) < 0) {
		return -1;
	}
	if ((a.st_mode & 0444) == 0444 && link(from, to) == 0)
		return 0;
	return copy_file(from, to, err);
}

static int check_indexes(const struct pv_aptree_index *indexes, size_t n, struct pv_error *err)
{
	for (size_t i = 0; i < n; i++) {
		if (!pv_url_path_ok(indexes[i].suite) || !pv_url_path_ok(indexes[i].component)) {
			pv_autofree char *bad = pv_fmt("%s %s", indexes[i].suite, indexes[i].component);
			pv_autofree char *shown = pv_printable(bad, strlen(bad));

			return pv_error_set(err, PV_ERR_ARCHIVE, "suite and component \"%.200s\": odd characters",
					    shown);
		}
		for (size_t j = 0; j < i; j++)
			if (pv_streq(indexes[i].suite, indexes[j].suite) &&
			    (pv_streq(indexes[i].component, indexes[j].component) ||
			     !pv_streq(indexes[i].inrelease_path, indexes[j].inrelease_path)))
				return pv_error_set(err, PV_ERR_ARCHIVE, "suite %s, component %s: from two mirrors",
						    indexes[i].suite, indexes[i].component);
	}
	return 0;
}

/* The name of a file in apt's lists/: the URI without its scheme, odd characters as %xx, / as _ (apt's
 * URItoFileName, apt-pkg/contrib/strutl.cc). The caller frees. */
static char *list_name(const char *archive_dir, const char *path)
{
	static const char quoted[] = "\\|{}[]<>\"^~_=!@#$%^&*";
	pv_autofree char *whole = pv_path_join(archive_dir, path);
	pv_autostr name = PV_STR_INIT;

	for (const char *p = whole; *p; p++) {
		if (*p == '/')
			pv_str_addc(&name, '_');
		else if (strchr(quoted, *p) || *p <= 0x20 || *p >= 0x7f)
			pv_str_addf(&name, "%%%02x", (unsigned)(unsigned char)*p);
		else
			pv_str_addc(&name, *p);
	}
	return pv_str_steal(&name);
}

static bool is_among(const char *name, const char *const *names)
{
	for (; *names; names++)
		if (strcasecmp(name, *names) == 0)
			return true;
	return false;
}

void pv_aptree_print_fields(FILE *out, const struct pv_stanza *s, const char *const *without)
{
	for (size_t i = 0; i < pv_stanza_count(s); i++) {
		const char *p = pv_stanza_value(s, i);

		if (is_among(pv_stanza_name(s, i), without))
			continue;
		fprintf(out, "%s: ", pv_stanza_name(s, i));
		for (const char *nl; (nl = strchr(p, '\n')); p = nl + 1)
			fprintf(out, "%.*s\n ", (int)(nl - p), p);
		fprintf(out, "%s\n", p);
	}
}

void pv_aptree_print(FILE *out, const struct pv_stanza *s)
{
	static const char *const nothing[] = { NULL };

	pv_aptree_print_fields(out, s, nothing);
	fputc('\n', out);
}

static int place_lists(const struct pv_aptree_apt *apt, const struct pv_aptree_index *indexes, size_t n,
		       struct pv_error *err)
{
	pv_autofree char *partial = pv_fmt("%s/lists/partial", apt->dir);

	if (pv_mkdirs(partial, 0755, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		pv_autofree char *release = pv_fmt("dists/%s/InRelease", indexes[i].suite);
		pv_autofree char *packages = pv_fmt("dists/%s/%s/binary-%s/Packages", indexes[i].suite,
						    indexes[i].component, apt->arch);
		pv_autofree char *release_name = list_name(apt->archive_dir, release);
		pv_autofree char *packages_name = list_name(apt->archive_dir, packages);
		pv_autofree char *release_path = pv_fmt("%s/lists/%s", apt->dir, release_name);
		pv_autofree char *packages_path = pv_fmt("%s/lists/%s", apt->dir, packages_name);

		if (place(apt->dir, indexes[i].inrelease_path, release_path, err) < 0)
			return -1;
		if (place(apt->dir, indexes[i].packages_path, packages_path, err) < 0)
			return -1;
	}
	return 0;
}

/* Settings that make apt's answer a function of lists and status alone; the same here and in the target. */
static void add_common(struct pv_str *conf, const struct pv_aptree_apt *apt)
{
	pv_str_addf(conf, "APT::Architecture \"%s\";\nAPT::Architectures { \"%s\"; };\n", apt->arch, apt->arch);
	pv_str_addf(conf, "Dir::Etc::sourcelist \"%s/sources.list\";\n", apt->seen_dir);
	pv_str_addf(conf, "Dir::State::lists \"%s/lists\";\n", apt->seen_dir);
	pv_str_add(conf,
		   "Dir::Etc::sourceparts \"/dev/null\";\n"
		   "Dir::Etc::preferences \"/dev/null\";\n"
		   "Dir::Etc::preferencesparts \"/dev/null\";\n"
		   "Dir::Cache::pkgcache \"\";\n"
		   "Dir::Cache::srcpkgcache \"\";\n"
		   "Acquire::Languages \"none\";\n"
		   "APT::Install-Recommends \"false\";\n"
		   "APT::Install-Suggests \"false\";\n"
		   "APT::Get::AutomaticRemove \"false\";\n"
		   /* Which updates are phased in depends on the machine's id otherwise. */
		   "APT::Get::Always-Include-Phased-Updates \"true\";\n");
}

/* And nothing of the host's is read or written. */
static void add_private(struct pv_str *conf, const struct pv_aptree_apt *apt)
{
	static const char *const nothing[] = { "main", "parts", "netrc", "netrcparts", "trusted", "trustedparts" };
	static const char *const paths[][2] = {
		{ "State", "state" }, { "State::status", "status" },
		{ "State::extended_states", "state/extended_states" }, { "State::cdroms", "state/cdroms.list" },
		{ "Cache", "cache" }, { "Cache::archives", "cache/archives" }, { "Log", "log" },
	};

	for (size_t i = 0; i < PV_COUNT(nothing); i++)
		pv_str_addf(conf, "Dir::Etc::%s \"/dev/null\";\n", nothing[i]);
	for (size_t i = 0; i < PV_COUNT(paths); i++)
		pv_str_addf(conf, "Dir::%s \"%s/%s\";\n", paths[i][0], apt->seen_dir, paths[i][1]);
	pv_str_add(conf, "Debug::NoLocking \"true\";\nAPT::Sandbox::User \"root\";\n");
}

static int write_text(const struct pv_aptree_apt *apt, const char *name, const struct pv_str *text,
		      struct pv_error *err)
{
	pv_autofree char *path = pv_path_join(apt->dir, name);

	return pv_write_file(path, pv_str_text(text), text->len, 0644, err);
}

/* One line a suite. trusted=yes: pvimg has checked the signatures (this apt may not even have the keys); apt still
 * holds each .deb against the digests of the indexes. */
static void add_sources(struct pv_str *list, const struct pv_aptree_apt *apt,
			const struct pv_aptree_index *indexes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		pv_str_addf(list, "deb [arch=%s trusted=yes] file:%s %s %s\n", apt->arch, apt->archive_dir,
			    indexes[i].suite, indexes[i].component);
}

static bool plain_path(const char *path)
{
	for (const char *p = path; *p; p++)
		if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
		      strchr("/.-", *p)))
			return false;
	return *path != '\0';
}

static int make_private_state(const struct pv_aptree_apt *apt, struct pv_error *err)
{
	pv_autofree char *state = pv_path_join(apt->dir, "state");
	pv_autofree char *archives = pv_path_join(apt->dir, "cache/archives/partial");
	pv_autofree char *status = pv_path_join(apt->dir, "status");

	if (pv_mkdirs(state, 0755, err) < 0 || pv_mkdirs(archives, 0755, err) < 0)
		return -1;
	return pv_exists(status) ? 0 : pv_write_file(status, "", 0, 0644, err);
}

int pv_aptree_apt(const struct pv_aptree_apt *apt, const struct pv_aptree_index *indexes, size_t nindexes,
		  struct pv_error *err)
{
	pv_autostr conf = PV_STR_INIT, list = PV_STR_INIT;

	if (!plain_path(apt->seen_dir) || !plain_path(apt->archive_dir) || !plain_path(apt->arch))
		return pv_error_set(err, PV_ERR_STAGE, "apt in %s: %s or %s has odd characters", apt->dir,
				    apt->seen_dir, apt->archive_dir);
	if (check_indexes(indexes, nindexes, err) < 0 || pv_mkdirs(apt->dir, 0755, err) < 0)
		return -1;
	if (chmod(apt->dir, 0755) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", apt->dir);
	add_common(&conf, apt);
	if (apt->private_state) {
		add_private(&conf, apt);
		if (make_private_state(apt, err) < 0)
			return -1;
	}
	if (apt->extra_conf)
		pv_str_add(&conf, apt->extra_conf);
	add_sources(&list, apt, indexes, nindexes);
	if (place_lists(apt, indexes, nindexes, err) < 0 || write_text(apt, "apt.conf", &conf, err) < 0)
		return -1;
	return write_text(apt, "sources.list", &list, err);
}
