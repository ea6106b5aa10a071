/* SPDX-License-Identifier: Apache-2.0 */
/* GRUB's stubs, the ESP's files and debconf's answers. */
#include "bootcfg.h"

#include <stdlib.h>
#include <string.h>

#include "fsutil.h"
#include "intree.h"
#include "text.h"

#define EFI_FILE_MAX ((size_t)16 << 20)		/* signed GRUB has 2.5 to 5 MiB, shim 1 MiB */

/* Where shim-signed and grub-efi-amd64-signed put them, on Debian and Ubuntu alike (Ubuntu's by alternatives). */
#define SHIM "usr/lib/shim/shimx64.efi.signed"
#define SHIM_MOK "usr/lib/shim/mmx64.efi.signed"
#define SHIM_MOK_UNSIGNED "usr/lib/shim/mmx64.efi"
#define SHIM_CSV "usr/lib/shim/BOOTX64.CSV"
#define GRUB_SIGNED "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed"

char *pv_bootcfg_grub_stub(const char *root_uuid)
{
	return pv_fmt("search.fs_uuid %s root\nset prefix=($root)'/boot/grub'\nconfigfile $prefix/grub.cfg\n", root_uuid);
}

char *pv_bootcfg_grub_early(const char *root_uuid)
{
	return pv_fmt("search.fs_uuid %s root\nset prefix=($root)'/boot/grub'\n", root_uuid);
}

bool pv_bootcfg_has_signed(const char *root)
{
	return pv_intree_is_file(root, SHIM) && pv_intree_is_file(root, GRUB_SIGNED);
}

/* Puts the same contents at EFI/BOOT/boot_name and EFI/<id>/id_name; either may be NULL. */
static void add_file(struct pv_bootcfg_esp *esp, const char *id, const char *boot_name, const char *id_name,
		     const char *data, size_t len)
{
	const char *const folders[] = { "BOOT", id }, *const names[] = { boot_name, id_name };

	for (size_t i = 0; i < PV_COUNT(names); i++) {
		if (!names[i])
			continue;
		esp->files = pv_xreallocarray(esp->files, esp->n + 1, sizeof(*esp->files));
		esp->files[esp->n++] = (struct pv_esp_file){
			.path = pv_fmt("EFI/%s/%s", folders[i], names[i]), .data = data, .len = len,
		};
	}
}

static int read_own(struct pv_bootcfg_esp *esp, const char *root, const char *path, const char **ret, size_t *ret_len,
		    struct pv_error *err)
{
	if (pv_intree_read(root, path, EFI_FILE_MAX, &esp->own[esp->nown], ret_len, err) < 0)
		return -1;
	*ret = esp->own[esp->nown++];
	return 0;
}

static int add_signed(struct pv_bootcfg_esp *esp, const char *root, const char *id, struct pv_error *err)
{
	const char *mok = pv_intree_is_file(root, SHIM_MOK) ? SHIM_MOK : SHIM_MOK_UNSIGNED;
	const char *data;
	size_t len;

	if (read_own(esp, root, SHIM, &data, &len, err) < 0)
		return -1;
	add_file(esp, id, "BOOTX64.EFI", "shimx64.efi", data, len);
	if (read_own(esp, root, GRUB_SIGNED, &data, &len, err) < 0)
		return -1;
	add_file(esp, id, "grubx64.efi", "grubx64.efi", data, len);
	if (pv_intree_is_file(root, mok)) {
		if (read_own(esp, root, mok, &data, &len, err) < 0)
			return -1;
		add_file(esp, id, "mmx64.efi", "mmx64.efi", data, len);
	}
	/* What fallback would read to make boot entries; fallback itself is left out, since it would do so at every
	 * boot of a new guest and reset it. */
	if (pv_intree_is_file(root, SHIM_CSV)) {
		if (read_own(esp, root, SHIM_CSV, &data, &len, err) < 0)
			return -1;
		add_file(esp, id, NULL, "BOOTX64.CSV", data, len);
	}
	return 0;
}

static int add_unsigned(struct pv_bootcfg_esp *esp, const char *run_dir, const char *id, struct pv_error *err)
{
	size_t len;

	if (pv_intree_read(run_dir, "out/grubx64.efi", EFI_FILE_MAX, &esp->own[esp->nown], &len, err) < 0)
		return pv_error_wrap(err, "no signed GRUB in the tree, and");
	const char *data = esp->own[esp->nown++];
	add_file(esp, id, "BOOTX64.EFI", "grubx64.efi", data, len);
	return 0;
}

int pv_bootcfg_esp_files(const struct pv_plan *plan, const char *root, const char *run_dir,
			 struct pv_bootcfg_esp *ret, struct pv_error *err)
{
	const char *id = plan->suite->grub_efi_id;
	struct pv_bootcfg_esp esp = { 0 };
	char uuid[37];
	int rc = pv_bootcfg_has_signed(root) ? add_signed(&esp, root, id, err) : add_unsigned(&esp, run_dir, id, err);

	if (rc < 0) {
		pv_bootcfg_esp_done(&esp);
		return -1;
	}
	pv_uuid_text(plan->root_fs_uuid, uuid);
	char *stub = esp.own[esp.nown++] = pv_bootcfg_grub_stub(uuid);
	add_file(&esp, id, "grub.cfg", "grub.cfg", stub, strlen(stub));
	*ret = esp;
	return 0;
}

void pv_bootcfg_esp_done(struct pv_bootcfg_esp *esp)
{
	for (size_t i = 0; i < esp->n; i++)
		free((char *)(uintptr_t)esp->files[i].path);
	free(esp->files);
	for (size_t i = 0; i < esp->nown; i++)
		free(esp->own[i]);
	*esp = (struct pv_bootcfg_esp){ 0 };
}

/* cloud_style_installation: GRUB's upgrades find the disk by themselves and ask nothing. Unknown templates do no harm
 * (grub-cloud-amd64 asks nothing at all). install_devices is empty: nothing is written to any disk at build time. */
static const char answers[] =
	"grub-pc grub-pc/cloud_style_installation boolean true\n"
	"grub-pc grub-pc/install_devices multiselect\n"
	"grub-pc grub-pc/install_devices_empty boolean true\n"
	"grub-pc grub2/update_nvram boolean false\n"
	"grub-efi-amd64 grub-efi/cloud_style_installation boolean true\n"
	"grub-efi-amd64 grub-efi/install_devices multiselect\n"
	"grub-efi-amd64 grub-efi/install_devices_empty boolean true\n"
	"grub-efi-amd64 grub2/update_nvram boolean false\n"
	"grub-efi-amd64 grub2/force_efi_extra_removable boolean true\n"
	"cloud-init cloud-init/datasources multiselect NoCloud, ConfigDrive, Ec2, None\n";

char *pv_debconf_preseed(const struct pv_plan *plan)
{
	(void)plan;
	return pv_xstrdup(answers);
}
