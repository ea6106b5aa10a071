/* SPDX-License-Identifier: Apache-2.0 */
/* The xl configuration of a domain as text. */
#include "domcfg.h"

#include <string.h>

#include "text.h"

#define MIB ((uint64_t)1 << 20)

/* A string for xl's parser: it knows the escapes of C, but its numeric ones do not work (libxlu_cfg.c, xlu__cfgl_dequote). */
static void add_quoted(struct pv_str *out, const char *text)
{
	pv_str_addc(out, '"');
	for (const char *p = text; *p; p++) {
		if (*p == '"' || *p == '\\')
			pv_str_addc(out, '\\');
		if (*p == '\n')
			pv_str_add(out, "\\n");
		else
			pv_str_addc(out, *p);
	}
	pv_str_addc(out, '"');
}

static void add_text(struct pv_str *out, const char *key, const char *value)
{
	pv_str_addf(out, "%s=", key);
	add_quoted(out, value);
	pv_str_addc(out, '\n');
}

/* target= comes last: it takes the rest of the words, commas and all. Files are served by the device model; the other
 * way, blkback over a loop device, needs loop devices and the host's hotplug scripts. The device model makes no
 * disk of a file that is to be read only (QEMU 7.2 opens the file so, but not the format above it: "Block node is
 * read-only"), so who gives a file must not mind. */
static void add_disk(struct pv_str *out, const char *vdev, const char *format, bool writable, const char *target)
{
	bool device = pv_streq(format, "raw");
	pv_autofree char *words = pv_fmt("format=%s,vdev=%s,access=%s,backendtype=%s,target=%s", format, vdev,
					 writable || !device ? "rw" : "ro", device ? "phy" : "qdisk", target);

	add_quoted(out, words);
	pv_str_addc(out, ',');
}

/* One disk as an NVMe drive of the device model; QEMU wants commas in a file's name twice. */
static void add_nvme(struct pv_str *out, unsigned n, const char *format, bool writable, const char *target)
{
	pv_autostr file = PV_STR_INIT;

	for (const char *p = target; *p; p++)
		pv_str_add(&file, *p == ',' ? ",," : (const char[]){ *p, '\0' });
	pv_autofree char *drive = pv_fmt("if=none,id=nvme%u-hd0,format=%s,readonly=%s,file=%s", n, format,
					 writable ? "off" : "on", file.data);
	pv_autofree char *device = pv_fmt("nvme,drive=nvme%u-hd0,serial=pvimg%u", n, n);
	pv_str_add(out, "\"-drive\",");
	add_quoted(out, drive);
	pv_str_add(out, ",\"-device\",");
	add_quoted(out, device);
	pv_str_addc(out, ',');
}

/* A guest without PV drivers: kernels for clouds have no driver of the disks that xl can name (IDE, SCSI, AHCI), but of
 * NVMe they all have. */
static void add_emulated_disks(struct pv_str *out, const struct pv_domcfg *cfg)
{
	pv_str_add(out, "device_model_args_hvm=[");
	add_nvme(out, 0, cfg->format, true, cfg->root_target);
	if (cfg->seed_target)
		add_nvme(out, 1, cfg->format, false, cfg->seed_target);
	if (cfg->extra_target)
		add_nvme(out, 2, cfg->format, false, cfg->extra_target);
	pv_str_add(out, "]\n");
}

/* HVM: a disk named sd* is an emulated SCSI disk (fast: DMA) and a PV one beside it; xvde and up are PV only
 * (libxl_dm.c: only the first four are emulated). */
static void add_disks(struct pv_str *out, const struct pv_guest *guest, const struct pv_domcfg *cfg)
{
	pv_str_add(out, "disk=[");
	add_disk(out, guest->as == PV_AS_PVHVM ? "sda" : "xvda", cfg->format, true, cfg->root_target);
	if (cfg->seed_target)
		add_disk(out, "xvde", cfg->format, false, cfg->seed_target);
	if (cfg->extra_target)
		add_disk(out, "xvdf", cfg->format, false, cfg->extra_target);
	pv_str_add(out, "]\n");
}

static void add_hvm(struct pv_str *out, const struct pv_guest *guest, const struct pv_domcfg *cfg)
{
	pv_str_addf(out, "type=\"hvm\"\nxen_platform_pci=%d\n", guest->as == PV_AS_PVHVM);
	/* GRUB's and the firmware's words are read from the text page of this card. */
	pv_str_add(out, "vga=\"stdvga\"\nnographic=1\nvnc=0\nusb=0\n");
	if (guest->uefi) {
		pv_str_add(out, "bios=\"ovmf\"\n");
		if (cfg->firmware)
			add_text(out, "bios_path_override", cfg->firmware);
	}
}

static void add_own_kernel(struct pv_str *out, const struct pv_guest *guest, const struct pv_domcfg *cfg)
{
	pv_str_addf(out, "type=\"%s\"\n", guest->as == PV_AS_PVH ? "pvh" : "pv");
	if (cfg->kernel)
		add_text(out, "kernel", cfg->kernel);
	if (cfg->initrd)
		add_text(out, "ramdisk", cfg->initrd);
	if (guest->cmdline)
		add_text(out, "cmdline", guest->cmdline);
}

char *pv_domcfg_text(const struct pv_guest *guest, const struct pv_domcfg *cfg)
{
	pv_autostr out = PV_STR_INIT;

	add_text(&out, "name", cfg->name);
	if (guest->as == PV_AS_PVHVM || guest->as == PV_AS_HVM)
		add_hvm(&out, guest, cfg);
	else
		add_own_kernel(&out, guest, cfg);
	pv_str_addf(&out, "memory=%llu\nvcpus=%u\n", (unsigned long long)(guest->memory / MIB), guest->vcpus);
	/* Without: where the TSC is not invariant each reading of the clock is an exit. */
	pv_str_add(&out, "tsc_mode=\"native\"\n");
	if (guest->as == PV_AS_HVM)
		add_emulated_disks(&out, cfg);
	else
		add_disks(&out, guest, cfg);
	if (cfg->bridge) {
		/* Here too: the one emulated card that kernels for clouds have a driver of. */
		const char *model = guest->as == PV_AS_HVM ? ",model=vmxnet3" : "";
		pv_autofree char *vif = pv_fmt("mac=%s,bridge=%s%s", cfg->mac, cfg->bridge, model);
		pv_str_add(&out, "vif=[");
		add_quoted(&out, vif);
		pv_str_add(&out, "]\n");
	}
	pv_str_add(&out, "on_poweroff=\"preserve\"\non_reboot=\"preserve\"\non_crash=\"preserve\"\non_watchdog=\"preserve\"\n");
	return pv_str_steal(&out);
}
