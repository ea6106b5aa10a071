/* SPDX-License-Identifier: Apache-2.0 */
/* From a checked recipe and a verified archive to the const plan. */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

#include "export.h"
#include "disk.h"
#include "planvars.h"
#include "resolve.h"

/* Numbers as in Canonical's and Debian's cloud images; places in disk.h. */
enum { BIOS_NUMBER = 14, ESP_NUMBER = 15, ROOT_NUMBER = 1 };

/* ext4's own share of a partition: inode tables (256 bytes for each 16 KiB), journal, bitmaps; and the 5 % that a
 * running system wants free. In hundredths, on top of what files take. */
static const uint64_t ext4_overhead_percent = 12;
/* What an installed system has beside its packages: initramfs, compiled Python, GRUB's modules, dpkg's own data. */
static const uint64_t beside_packages = 160ull * PV_DISK_MIB;

static void lay_out(struct pv_plan *plan)
{
	plan->disk_size = plan->recipe->disk;
	plan->bios = (struct pv_partition){ .number = BIOS_NUMBER, .start = PV_DISK_BIOS_START,
					    .size = PV_DISK_BIOS_SIZE };
	plan->esp = (struct pv_partition){ .number = ESP_NUMBER, .start = PV_DISK_ESP_START,
					   .size = PV_DISK_ESP_SIZE };
	plan->root = (struct pv_partition){ .number = ROOT_NUMBER, .start = PV_DISK_ROOT_START,
					    .size = pv_disk_root_size(plan->disk_size) };
}

static void name_packages(struct pv_plan *plan)
{
	const struct pv_suite *suite = plan->suite;
	struct pv_strv *names = &plan->install_packages;

	if (!pv_recipe_is_dom0(plan->recipe)) {
		pv_strv_add(names, suite->kernel_package);
		pv_strv_add_all(names, suite->boot_packages);
		pv_strv_add_all(names, suite->system_packages);
		if (suite->guest_agent)
			pv_strv_add(names, suite->guest_agent);
	}
	for (size_t i = 0; i < plan->recipe->packages.n; i++)
		pv_strv_add(names, plan->recipe->packages.v[i]);
	pv_strv_sort(names);
	pv_strv_uniq(names);
}

int pv_plan_make(const struct pv_recipe *recipe, struct pv_plan *ret, struct pv_error *err)
{
	memset(ret, 0, sizeof(*ret));
	ret->suite = pv_suite_find(recipe->distribution, recipe->suite);
	if (!ret->suite)
		return pv_error_set(err, PV_ERR_RECIPE, "%s: %s has no suite %s", recipe->name,
				    recipe->distribution, recipe->suite);
	ret->name = pv_xstrdup(recipe->name);
	ret->recipe = recipe;
	ret->arch = "amd64";
	const struct pv_strv *formats = &recipe->formats;
	if (formats->n > 0 && pv_export_check((const char *const *)formats->v, formats->n, recipe->disk, err) < 0) {
		if (err)
			err->kind = PV_ERR_RECIPE;
		return pv_error_wrap(err, "%s: formats", recipe->name);
	}
	if (!pv_recipe_is_dom0(recipe)) {
		pv_sizing_compute(recipe->memory / PV_DISK_MIB, recipe->vcpus, &ret->sizing);
		lay_out(ret);
	}
	name_packages(ret);
	return 0;
}

static int find_epoch(int64_t newest_date, int64_t *ret, struct pv_error *err)
{
	const char *text = getenv("SOURCE_DATE_EPOCH");
	uint64_t value;

	if (!text) {
		*ret = newest_date;
		return 0;
	}
	/* 2106-02-07: what 32 bits of an ext4 superblock's times hold. */
	if (pv_parse_u64(text, 0, UINT32_MAX, &value) < 0)
		return pv_error_set(err, PV_ERR_USAGE,
				    "SOURCE_DATE_EPOCH=%s: seconds since 1970 are wanted, digits only", text);
	*ret = (int64_t)value;
	return 0;
}

/* Ids that programs in the tree get to know (fstab, grub.cfg) are the same for all images of a suite and epoch, so that
 * these share one configured tree; so is what the root file system's layout depends on, so that they share its blocks. Those
 * of the disk alone are the image's own. */
static void derive_ids(struct pv_plan *plan)
{
	uint8_t id[16];
	pv_autofree char *shared = pv_fmt("%s/%s/%s/%lld", plan->suite->distribution, plan->suite->codename, plan->arch,
					  (long long)plan->epoch);
	pv_autofree char *seed = pv_fmt("%s/%s/%s/%s/%lld", plan->name, plan->suite->distribution,
					plan->suite->codename, plan->arch, (long long)plan->epoch);

	pv_uuid_derive(seed, "disk", plan->disk_uuid);
	pv_uuid_derive(seed, "partition bios", plan->bios.uuid);
	pv_uuid_derive(seed, "partition esp", plan->esp.uuid);
	pv_uuid_derive(shared, "partition root", plan->root.uuid);
	pv_uuid_derive(shared, "filesystem root", plan->root_fs_uuid);
	pv_uuid_derive(shared, "directory hash", plan->root_hash_seed);
	pv_uuid_derive(shared, "filesystem esp", id);
	plan->esp_volume_id = (uint32_t)id[0] << 24 | (uint32_t)id[1] << 16 | (uint32_t)id[2] << 8 | id[3];
}

int pv_plan_set_epoch(struct pv_plan *plan, int64_t newest_date, bool stand_in, struct pv_error *err)
{
	if (find_epoch(newest_date, &plan->epoch, err) < 0)
		return -1;
	plan->stand_in = stand_in;
	if (!pv_recipe_is_dom0(plan->recipe)) {
		derive_ids(plan);
		pv_plan_vars(plan, &plan->vars);
	}
	return 0;
}

static int check_disk(const struct pv_plan *plan, struct pv_error *err)
{
	uint64_t files = plan->installed_bytes + beside_packages;
	uint64_t need = files + files * ext4_overhead_percent / 100;

	if (need <= plan->root.size)
		return 0;
	uint64_t disk = pv_disk_size_for_root(need) / PV_DISK_MIB;
	pv_autofree char *have = pv_size_text(plan->disk_size);
	return pv_error_set(err, PV_ERR_RECIPE,
			    "%s: flavor.disk is %s, its packages need %lluMiB; give flavor.disk at least that",
			    plan->name, have, (unsigned long long)disk);
}

int pv_plan_set_packages(struct pv_plan *plan, struct pv_resolution *res, struct pv_error *err)
{
	plan->packages = pv_steal(&res->packages);
	plan->npackages = res->npackages;
	plan->base = pv_steal(&res->base);
	plan->nbase = res->nbase;
	plan->download_bytes = plan->installed_bytes = 0;
	for (size_t i = 0; i < plan->npackages; i++) {
		plan->download_bytes += plan->packages[i].size;
		plan->installed_bytes += plan->packages[i].installed_kib * 1024;
	}
	return pv_recipe_is_dom0(plan->recipe) ? 0 : check_disk(plan, err);
}

static int by_name(const void *name, const void *package)
{
	return strcmp(name, ((const struct pv_package *)package)->name);
}

bool pv_plan_in_base(const struct pv_plan *plan, const char *name)
{
	return plan->nbase > 0 && bsearch(name, plan->base, plan->nbase, sizeof(*plan->base), by_name);
}

void pv_plan_done(struct pv_plan *plan)
{
	pv_freep(&plan->name);
	pv_vars_done(&plan->vars);
	pv_strv_done(&plan->install_packages);
	pv_strv_done(&plan->locked_tools);
	pv_packages_free(plan->packages, plan->npackages);
	pv_packages_free(plan->base, plan->nbase);
	memset(plan, 0, sizeof(*plan));
}
