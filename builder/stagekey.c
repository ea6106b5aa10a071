/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of an image's stages. */
#include "stagekey.h"

#include <archive.h>
#include <ext2fs/ext2fs.h>
#include <libfdisk/libfdisk.h>
#include <stdlib.h>
#include <string.h>

#include "bootcfg.h"
#include "fsutil.h"
#include "proc.h"
#include "stage.h"
#include "version.h"

static int add_program(struct pv_cachekey *key, const char *stage, struct pv_error *err)
{
	pv_cachekey_add(key, "stage", stage);
	pv_cachekey_add(key, "stage-version", PV_STAGE_VERSION);
	pv_cachekey_add(key, "pvimg-version", PV_VERSION);
	return pv_cachekey_file(key, "pvimg", "/proc/self/exe", err);
}

/* A program of this host, by its contents: its version is less. */
static int add_tool(struct pv_cachekey *key, const char *name, struct pv_error *err)
{
	pv_autofree char *path = pv_proc_which(name);
	pv_autofree char *line = pv_fmt("tool:%s", name);

	if (path)
		return pv_cachekey_file(key, line, path, err);
	pv_cachekey_add(key, line, "none");
	return 0;
}

static int add_debootstrap(struct pv_cachekey *key, const struct pv_suite *suite, struct pv_error *err)
{
	static const char share[] = "/usr/share/debootstrap";
	const char *const scripts[] = { suite->codename, suite->debootstrap_script };
	pv_autofree char *functions = pv_path_join(share, "functions");

	if (add_tool(key, "debootstrap", err) < 0 || pv_cachekey_file(key, "debootstrap:functions", functions, err) < 0)
		return -1;
	for (size_t i = 0; i < PV_COUNT(scripts); i++) {
		pv_autofree char *path = pv_fmt("%s/scripts/%s", share, scripts[i]);
		pv_autofree char *name = pv_fmt("debootstrap:%s", scripts[i]);
		if (!pv_cachekey_get(key, name) && pv_cachekey_file(key, name, path, err) < 0)
			return -1;
	}
	return 0;
}

static void add_packages(const struct pv_plan *plan, struct pv_cachekey *key)
{
	for (size_t i = 0; i < plan->npackages; i++) {
		const struct pv_package *p = &plan->packages[i];
		pv_autofree char *name = pv_fmt("package:%s", p->name);
		pv_cachekey_addf(key, name, "%s %s %s %s", p->version, p->sha256,
				 pv_plan_in_base(plan, p->name) ? "base" : "apt", p->requested ? "requested" : "auto");
	}
}

int pv_stagekey_system(const struct pv_plan *plan, const struct pv_paths *paths, struct pv_cachekey *ret, struct pv_error *err)
{
	pv_autofree char *held = pv_path_join(paths->scripts_dir, "stubs/held");
	pv_autofree char *answers = pv_debconf_preseed(plan);

	if (add_program(ret, "system", err) < 0)
		return -1;
	pv_cachekey_addf(ret, "suite", "%s %s %s", plan->suite->distribution, plan->suite->codename, plan->arch);
	pv_cachekey_addf(ret, "epoch", "%lld", (long long)plan->epoch);
	if (add_debootstrap(ret, plan->suite, err) < 0 || add_tool(ret, "dpkg", err) < 0 ||
	    add_tool(ret, "dpkg-deb", err) < 0 || add_tool(ret, "tar", err) < 0 ||
	    pv_cachekey_file(ret, "script:stubs/held", held, err) < 0)
		return -1;
	pv_cachekey_add(ret, "library:libarchive", archive_version_details());
	pv_cachekey_add(ret, "debconf", answers);
	add_packages(plan, ret);
	return 0;
}

static void add_entry(const struct pv_overlay_entry *e, struct pv_cachekey *key)
{
	pv_autofree char *name = pv_fmt("overlay:%s", e->path);
	pv_autofree char *mode = e->mode == PV_OVERLAY_MODE_UNSAID ? pv_xstrdup("-") : pv_fmt("%04o", (unsigned)e->mode);

	pv_cachekey_addf(key, name, "%c %s %s %s %s", e->type, mode, e->owner ? e->owner : "root", e->group ? e->group : "root",
			 e->type == 'l' ? e->data : e->len > 0 ? "filled" : "empty");
}

int pv_stagekey_configure(const struct pv_plan *plan, const struct pv_paths *paths, const char *system,
			  const struct pv_overlay_set *overlays, struct pv_cachekey *ret, struct pv_error *err)
{
	if (add_program(ret, "configure", err) < 0)
		return -1;
	pv_cachekey_add(ret, "system", system);
	if (pv_stage_configure_inputs(plan, paths, ret, err) < 0)
		return -1;
	for (size_t i = 0; i < overlays->n; i++)
		add_entry(&overlays->v[i], ret);
	return 0;
}

void pv_stagekey_content(const struct pv_overlay_entry *entry, struct pv_cachekey *ret)
{
	pv_autofree char *name = pv_fmt(PV_STAGEKEY_CONTENT "%s", entry->path);
	char hex[PV_SHA256_HEX];

	pv_digest_mem(entry->data, entry->len, hex);
	pv_cachekey_addf(ret, name, "%s", hex);
}

static void add_id(struct pv_cachekey *key, const char *name, const uint8_t id[16])
{
	char text[37];

	pv_uuid_text(id, text);
	pv_cachekey_add(key, name, text);
}

static void add_part(struct pv_cachekey *key, const char *name, const struct pv_partition *part)
{
	char text[37];

	pv_uuid_text(part->uuid, text);
	pv_cachekey_addf(key, name, "%u %llu %llu %s", part->number, (unsigned long long)part->start,
			 (unsigned long long)part->size, text);
}

static void add_disk(const struct pv_plan *plan, struct pv_cachekey *key)
{
	pv_cachekey_addf(key, "disk", "%llu", (unsigned long long)plan->disk_size);
	add_id(key, "disk-id", plan->disk_uuid);
	add_part(key, "partition:bios", &plan->bios);
	add_part(key, "partition:esp", &plan->esp);
	add_part(key, "partition:root", &plan->root);
	add_id(key, "filesystem", plan->root_fs_uuid);
	add_id(key, "directory-hash", plan->root_hash_seed);
	pv_cachekey_addf(key, "esp-volume", "%08x", plan->esp_volume_id);
	pv_cachekey_add(key, "ext4-features", plan->suite->ext4_features);
}

int pv_stagekey_image(const struct pv_plan *plan, const char *configure, const struct pv_overlay_set *overlays,
		      struct pv_cachekey *ret, struct pv_error *err)
{
	const char *ext2fs = NULL, *fdisk = NULL;
	static const char *const tools[] = { "mke2fs", "mkfs.vfat", "mcopy", "mmd" };

	if (add_program(ret, "image", err) < 0)
		return -1;
	pv_cachekey_add(ret, "configure", configure);
	pv_cachekey_add(ret, "name", plan->name);
	pv_cachekey_addf(ret, "archive", "%s", plan->stand_in ? "stand-in" : "distribution");
	pv_cachekey_addf(ret, "flavor", "%llu %u", (unsigned long long)plan->recipe->memory, plan->recipe->vcpus);
	pv_cachekey_addf(ret, "boot-budget", "%u", plan->recipe->boot_budget);
	add_disk(plan, ret);
	for (size_t i = 0; i < PV_COUNT(tools); i++)
		if (add_tool(ret, tools[i], err) < 0)
			return -1;
	(void)ext2fs_get_library_version(&ext2fs, NULL);
	pv_cachekey_add(ret, "library:ext2fs", ext2fs ? ext2fs : "");
	(void)fdisk_get_library_version(&fdisk);
	pv_cachekey_add(ret, "library:fdisk", fdisk ? fdisk : "");
	for (size_t i = 0; i < overlays->n; i++)
		if (overlays->v[i].type == 'f')
			pv_stagekey_content(&overlays->v[i], ret);
	return 0;
}
