/* SPDX-License-Identifier: Apache-2.0 */
/* Who wrote what differs: the package whose list has the path, an overlay, or the step of the build that makes such
 * files. */
#include <stdlib.h>
#include <string.h>

#include "fsutil.h"
#include "imgdiff_priv.h"

#define INFO "/var/lib/dpkg/info"
#define LIST_MAX ((size_t)32 << 20)	/* of one package; the largest kernels have about 1 MiB */

/* Files that no package's list has, by what makes them. The first row that fits counts. */
static const struct {
	const char *prefix, *suffix, *writer;
} makers[] = {
	{ "/boot/initrd.img-", "", "stage configure: update-initramfs or dracut" },
	{ "/boot/grub/", "", "stage configure: GRUB's files and grub.cfg" },
	{ "/", ".pyc", "stage configure: py3compile" },
	{ "/", "/__pycache__", "stage configure: py3compile" },
	{ "/usr/lib/modules/", "", "depmod, in a kernel package's script" },
	{ "/lib/modules/", "", "depmod, in a kernel package's script" },
	{ "/etc/apt/sources.list", "", "stage configure: apt's sources" },
	{ "/etc/passwd", "", "accounts: maintainer scripts, numbered by stage configure" },
	{ "/etc/group", "", "accounts: maintainer scripts, numbered by stage configure" },
	{ "/etc/shadow", "", "accounts: maintainer scripts, dated by stage configure" },
	{ "/etc/gshadow", "", "accounts: maintainer scripts" },
	{ "/etc/alternatives/", "", "update-alternatives, in a maintainer script" },
	{ "/var/lib/dpkg/alternatives/", "", "update-alternatives, in a maintainer script" },
	{ "/etc/ssl/certs/", "", "update-ca-certificates, in a maintainer script" },
	{ "/etc/ld.so.cache", "", "ldconfig, in a trigger" },
	{ "/etc/systemd/system/", "", "systemctl or deb-systemd-helper, in a maintainer script" },
	{ "/var/lib/systemd/deb-systemd-helper-enabled/", "", "deb-systemd-helper, in a maintainer script" },
	{ "/var/lib/dpkg/", "", "dpkg, in stages bootstrap and install" },
	{ "/var/lib/apt/", "", "apt, in stage install" },
	{ "/var/cache/debconf/", "", "debconf, in a maintainer script" },
	{ "/var/log/", "", "a log of stages bootstrap, install or configure" },
	{ "/var/cache/", "", "a cache of stages bootstrap, install or configure" },
};

/* What is no file. */
static const struct {
	const char *where, *writer;
} places[] = {
	{ "the disk's size", "stage image: the plan's size" },
	{ "GPT", "stage image: the plan's layout and ids" },
	{ "MBR, boot code", "stage image: GRUB's boot.img" },
	{ "MBR", "stage image: the plan's layout and ids" },
	{ "ESP", "stage image: the ESP's files" },
	{ "partition 14", "stage image: GRUB's core.img" },
	{ "partition 15", "stage image: mkfs.fat and mtools" },
	{ "partition", "stage image: mke2fs and the ext4 writer" },
};

/* A path without an owner yet. */
struct wanted {
	const char *path;
	struct pv_imgdiff_item *item;
};

static int compare_wanted(const void *a, const void *b)
{
	return strcmp(((const struct wanted *)a)->path, ((const struct wanted *)b)->path);
}

struct owners {
	struct wanted *v;
	size_t n;
};

static void set_owner(const struct owners *owners, const char *path, const char *package)
{
	const struct wanted key = { path, NULL };
	const struct wanted *found = bsearch(&key, owners->v, owners->n, sizeof(key), compare_wanted);

	if (!found)
		return;
	/* several items of one path stand side by side */
	while (found > owners->v && pv_streq(found[-1].path, path))
		found--;
	for (; found < owners->v + owners->n && pv_streq(found->path, path); found++)
		if (!found->item->writer)
			found->item->writer = pv_fmt("package %s", package);
}

/* "/bin/ls" in a list is /usr/bin/ls where /bin is a link. */
static void take_list(const struct owners *owners, char *text, const char *package)
{
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		pv_autofree char *merged = pv_fmt("/usr%s", line);
		set_owner(owners, line, package);
		if (pv_starts(line, "/bin/") || pv_starts(line, "/sbin/") || pv_starts(line, "/lib"))
			set_owner(owners, merged, package);
	}
}

static void ask_dpkg(const struct pv_image *image, const struct owners *owners)
{
	pv_autostrv names = PV_STRV_INIT;

	pv_image_list(image, INFO, &names);
	for (size_t i = 0; i < names.n; i++) {
		if (!pv_ends(names.v[i], ".list"))
			continue;
		pv_autofree char *path = pv_path_join(INFO, names.v[i]);
		pv_autofree char *text = pv_image_read(image, path, LIST_MAX, NULL);
		pv_autofree char *package = pv_xstrndup(names.v[i], strcspn(names.v[i], ":") < strlen(names.v[i])
							       ? strcspn(names.v[i], ":")
							       : strlen(names.v[i]) - strlen(".list"));
		if (text)
			take_list(owners, text, package);
	}
}

static char *overlay_of(const struct pv_imgdiff_options *options, const char *path)
{
	for (size_t i = options->overlays_dir && options->overlays ? options->overlays->n : 0; i-- > 0; ) {
		pv_autofree char *file = pv_fmt("%s/%s%s", options->overlays_dir, options->overlays->v[i], path);
		pv_autofree char *template = pv_fmt("%s.in", file);
		if (pv_exists(file) || pv_exists(template))
			return pv_fmt("overlay %s", options->overlays->v[i]);
	}
	return NULL;
}

static const char *maker_of(const char *path)
{
	for (size_t i = 0; i < PV_COUNT(makers); i++)
		if (pv_starts(path, makers[i].prefix) && pv_ends(path, makers[i].suffix))
			return makers[i].writer;
	return "a maintainer script or stage configure: no package's list has it";
}

static const char *place_writer(const char *where)
{
	for (size_t i = 0; i < PV_COUNT(places); i++)
		if (pv_starts(where, places[i].where))
			return places[i].writer;
	return "stage image";
}

void pv_imgdiff_writers(const struct pv_imgdiff_run *run)
{
	struct pv_imgdiff *diff = run->diff;
	struct owners owners = { pv_xcalloc(diff->n + 1, sizeof(*owners.v)), 0 };

	for (size_t i = 0; i < diff->n; i++) {
		struct pv_imgdiff_item *item = &diff->v[i];
		if (!item->path || pv_starts(item->where, "ESP")) {
			item->writer = pv_xstrdup(place_writer(item->where));
			continue;
		}
		item->writer = overlay_of(run->options, item->path);
		owners.v[owners.n++] = (struct wanted){ item->path, item };
	}
	qsort(owners.v, owners.n, sizeof(*owners.v), compare_wanted);
	if (owners.n) {
		ask_dpkg(run->first, &owners);
		ask_dpkg(run->second, &owners);
	}
	for (size_t i = 0; i < owners.n; i++)
		if (!owners.v[i].item->writer)
			owners.v[i].item->writer = pv_xstrdup(maker_of(owners.v[i].path));
	free(owners.v);
}
