/* SPDX-License-Identifier: Apache-2.0 */
/* Stage image: the tree becomes a bootable disk: GPT, ext4, ESP, GRUB for BIOS; then manifest and digests. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "bootcfg.h"
#include "chunks.h"
#include "disk.h"
#include "esp.h"
#include "ext4.h"
#include "folders.h"
#include "fsutil.h"
#include "grub.h"
#include "intree.h"
#include "manifest.h"
#include "stage.h"
#include "tree.h"

#define ROOT_LABEL "cloudimg-rootfs"	/* what Canonical's and Debian's cloud images are labelled */
#define ESP_LABEL "UEFI"

static struct pv_disk_part disk_part(const struct pv_partition *p, const char *type, const char *name)
{
	struct pv_disk_part part = { .number = p->number, .start = p->start, .size = p->size, .type_guid = type,
				     .name = name };

	memcpy(part.uuid, p->uuid, sizeof(part.uuid));
	return part;
}

int pv_stage_make_disk(const struct pv_plan *plan, const char *image, struct pv_error *err)
{
	const struct pv_disk_part parts[] = {
		disk_part(&plan->root, PV_DISK_TYPE_ROOT, "root"),
		disk_part(&plan->bios, PV_DISK_TYPE_BIOS, "bios"),
		disk_part(&plan->esp, PV_DISK_TYPE_ESP, "esp"),
	};
	return pv_disk_create(image, plan->disk_size, plan->disk_uuid, parts, PV_COUNT(parts), err);
}

static void show_progress(void *ctx, uint64_t done, uint64_t total)
{
	struct pv_run *run = ctx;

	pv_log_stage_progress(run->log, done, total, "bytes");
}

static int check_fits(const struct pv_run *run, struct pv_tree_stats *ret_stats, struct pv_error *err)
{
	if (pv_tree_measure(run->root, ret_stats, err) < 0)
		return -1;
	uint64_t need = pv_tree_ext4_need(ret_stats);
	if (need <= run->plan->root.size)
		return 0;
	return pv_error_set(err, PV_ERR_RECIPE, "flavor.disk is too small for the tree: give at least %lluMiB",
			    (unsigned long long)(pv_disk_size_for_root(need) / PV_DISK_MIB));
}

static int write_root(struct pv_run *run, const char *image, const struct pv_tree_stats *stats, struct pv_error *err)
{
	const struct pv_plan *plan = run->plan;
	struct pv_ext4_options options = {
		.offset = plan->root.start, .size = plan->root.size, .label = ROOT_LABEL, .epoch = plan->epoch,
		.features = plan->suite->ext4_features, .nodes = pv_ext4_dev_nodes,
		.nnodes = pv_ext4_ndev_nodes, .stats = stats,
	};

	memcpy(options.uuid, plan->root_fs_uuid, sizeof(options.uuid));
	memcpy(options.hash_seed, plan->root_hash_seed, sizeof(options.hash_seed));
	return pv_ext4_write(image, &options, run->root, show_progress, run, NULL, err);
}

static int write_esp(struct pv_run *run, const char *image, struct pv_error *err)
{
	const struct pv_plan *plan = run->plan;
	const struct pv_esp_options options = {
		.offset = plan->esp.start, .size = plan->esp.size, .volume_id = plan->esp_volume_id,
		.label = ESP_LABEL, .epoch = plan->epoch,
	};
	struct pv_bootcfg_esp esp = { 0 };

	if (pv_bootcfg_esp_files(plan, run->root, run->run_dir, &esp, err) < 0)
		return -1;
	int rc = pv_esp_write(image, &options, esp.files, esp.n, run->work, err);
	pv_bootcfg_esp_done(&esp);
	return rc;
}

static int embed_grub(struct pv_run *run, const char *image, struct pv_error *err)
{
	pv_autofree char *boot = NULL, *core = NULL;
	size_t boot_len, core_len;

	/* Target code wrote them: no link in out/ leads to a file of the host. */
	if (pv_intree_read(run->run_dir, "out/boot.img", PV_GRUB_BOOT_LEN, &boot, &boot_len, err) < 0 ||
	    pv_intree_read(run->run_dir, "out/core.img", PV_GRUB_CORE_MAX, &core, &core_len, err) < 0)
		return -1;
	pv_autoclose int fd = open(image, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", image);
	if (pv_grub_embed(fd, (const uint8_t *)boot, boot_len, (const uint8_t *)core, core_len,
			  run->plan->bios.start, run->plan->bios.size, err) < 0)
		return -1;
	/* No fsync: a run that dies leaves the hidden name behind, and after a power cut one builds again. */
	if (close(pv_steal_fd(&fd)) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", image);
	return 0;
}

static int note_digest(struct pv_run *run, const char *path, struct pv_error *err)
{
	char hex[PV_SHA256_HEX];
	uint64_t size;

	if (pv_digest_file(path, hex, &size, err) < 0)
		return -1;
	pv_report_artifact(run->report, strrchr(path, '/') + 1, hex, size);
	return 0;
}

static int note_disk(struct pv_run *run, const char *path, struct pv_error *err)
{
	char hex[PV_SHA256_HEX];

	if (pv_chunks_file(path, run->chunks, err) < 0)
		return -1;
	pv_chunks_digest(run->chunks, hex);
	pv_report_disk(run->report, strrchr(path, '/') + 1, hex, run->chunks->size);
	return 0;
}

static int write_manifest(const struct pv_run *run, const char *path, struct pv_error *err)
{
	pv_autosettings settings = { 0 };

	if (pv_settings_of_plan(run->plan, run->paths->overlays_dir, &settings, err) < 0)
		return -1;
	return pv_manifest_write(run->plan, &settings, run->root, path, err);
}

static int note_folders(const struct pv_run *run, struct pv_error *err)
{
	pv_autofolders folders = { .v = NULL };

	if (pv_folders_of_tree(run->root, &folders, err) < 0)
		return -1;
	pv_report_folders(run->report, &folders);
	return 0;
}

int pv_stage_image(struct pv_run *run, struct pv_error *err)
{
	pv_autofree char *image = pv_fmt("%s/%s.raw", run->result, run->plan->name);
	pv_autofree char *manifest = pv_path_join(run->result, "manifest.json");
	struct pv_tree_stats stats;

	/* Wherever the tree came from, it has what was planned or locked. */
	if (pv_manifest_check_installed(run->plan, run->root, err) < 0 || check_fits(run, &stats, err) < 0)
		return -1;
	if (pv_stage_make_disk(run->plan, image, err) < 0 || write_root(run, image, &stats, err) < 0)
		return -1;
	if (write_esp(run, image, err) < 0 || embed_grub(run, image, err) < 0)
		return -1;
	if (write_manifest(run, manifest, err) < 0 || note_folders(run, err) < 0)
		return -1;
	return note_disk(run, image, err) < 0 || note_digest(run, manifest, err) < 0 ? -1 : 0;
}
