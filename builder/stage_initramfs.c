/* SPDX-License-Identifier: Apache-2.0 */
/* Stage initramfs: what dom0 needs of the unpacked tree, and our scripts, become one initramfs; Xen and the kernel lie
 * beside it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cpio.h"
#include "dom0files.h"
#include "fsutil.h"
#include "intree.h"
#include "manifest.h"
#include "stage.h"

#define SCRIPT_MAX 65536u
#define LIST_MAX (1u << 20)
#define XEN_MAX (64u << 20)
#define KERNEL_MAX (64u << 20)

/* What is packed is unpacked by an emulated processor, on the way of every boot; QEMU reads the rest at the host's speed. */
#define PACKING PV_CPIO_PLAIN

static int find_files(struct pv_run *run, struct pv_error *err)
{
	pv_autofree char *from = pv_path_join(run->paths->scripts_dir, "target/dom0");
	pv_autofree char *dir = pv_path_join(run->run_dir, "target");
	pv_autofree char *to = pv_path_join(dir, "dom0");
	pv_autofree char *text = NULL;
	/* The tree has no shell but this one. */
	static const char *const argv[] = { "/bin/busybox", "sh", "/run/pvimg/target/dom0", NULL };
	size_t len;

	if (pv_mkdirs(dir, 0755, err) < 0 || pv_read_file(from, SCRIPT_MAX, &text, &len, err) < 0 ||
	    pv_write_file(to, text, len, 0755, err) < 0)
		return -1;
	return pv_run_in_target(run, argv, NULL, NULL, err) < 0 ? pv_error_wrap(err, "scripts/target/dom0") : 0;
}

/* A list that the script left: one absolute path a line. */
static int read_list(const struct pv_run *run, const char *name, struct pv_strv *ret, struct pv_error *err)
{
	pv_autofree char *path = pv_fmt("out/%s", name);
	pv_autofree char *text = NULL;
	size_t len;

	if (pv_intree_read(run->run_dir, path, LIST_MAX, &text, &len, err) < 0)
		return -1;
	for (const char *line = text; *line; ) {
		size_t n = strcspn(line, "\n");
		pv_strv_take(ret, pv_xstrndup(line, n));
		line += n + (line[n] == '\n');
	}
	return 0;
}

static int collect(const struct pv_run *run, struct pv_dom0files *files, struct pv_error *err)
{
	pv_autostrv paths = PV_STRV_INIT, modules = PV_STRV_INIT;
	pv_autofree char *scripts = pv_path_join(run->paths->scripts_dir, "dom0");

	if (read_list(run, "files", &paths, err) < 0 || read_list(run, "modules", &modules, err) < 0)
		return -1;
	for (size_t i = 0; i < paths.n; i++)
		if (pv_dom0files_tree(files, paths.v[i], err) < 0)
			return -1;
	for (size_t i = 0; i < modules.n; i++)
		if (pv_dom0files_tree(files, modules.v[i], err) < 0)
			return -1;
	pv_autofree char *order = pv_strv_join(&modules, "\n");
	pv_autofree char *lines = pv_fmt("%s\n", order);
	pv_dom0files_text(files, "pvimg/modules", 0644, lines);
	return pv_dom0files_skeleton(files, scripts, err);
}

static int write_initramfs(const struct pv_run *run, const char *path, struct pv_error *err)
{
	pv_autodom0files files = { 0 };
	pv_autocpio *cpio = NULL;

	if (collect(run, &files, err) < 0 || pv_cpio_new(path, PACKING, run->plan->epoch, &cpio, err) < 0 ||
	    pv_dom0files_write(&files, run->root, cpio, err) < 0)
		return -1;
	return pv_cpio_end(cpio, err);
}

/* QEMU's multiboot loader takes an ELF file of 32 bits for x86 (elf(5)) alone. */
static int write_xen(const struct pv_run *run, const char *path, struct pv_error *err)
{
	static const char magic[] = { 0x7f, 'E', 'L', 'F', 1, 1 };
	pv_autofree char *data = NULL;
	size_t len;

	if (pv_intree_read(run->run_dir, "out/xen.elf", XEN_MAX, &data, &len, err) < 0)
		return -1;
	if (len < 52 || memcmp(data, magic, sizeof(magic)) != 0)
		return pv_error_set(err, PV_ERR_STAGE, "the archive's Xen is no 32-bit ELF file, which QEMU wants");
	return pv_write_file(path, data, len, 0644, err);
}

static int write_kernel(const struct pv_run *run, const char *path, struct pv_error *err)
{
	pv_autostrv list = PV_STRV_INIT;
	pv_autofree char *data = NULL;
	size_t len;

	if (read_list(run, "kernel", &list, err) < 0)
		return -1;
	if (list.n != 1)
		return pv_error_set(err, PV_ERR_STAGE, "dom0's packages have %zu kernels; one is wanted", list.n);
	if (pv_intree_read(run->root, list.v[0], KERNEL_MAX, &data, &len, err) < 0)
		return -1;
	return pv_write_file(path, data, len, 0644, err);
}

static int note(const struct pv_run *run, const char *name, struct pv_error *err)
{
	pv_autofree char *path = pv_path_join(run->result, name);
	char hex[PV_SHA256_HEX];
	uint64_t size;

	if (pv_digest_file(path, hex, &size, err) < 0)
		return -1;
	pv_report_artifact(run->report, name, hex, size);
	return 0;
}

int pv_stage_initramfs(struct pv_run *run, struct pv_error *err)
{
	pv_autofree char *initrd = pv_path_join(run->result, "initrd");
	pv_autofree char *xen = pv_path_join(run->result, "xen.elf");
	pv_autofree char *kernel = pv_path_join(run->result, "vmlinuz");
	pv_autofree char *manifest = pv_path_join(run->result, "manifest.json");

	if (find_files(run, err) < 0 || write_xen(run, xen, err) < 0 || write_kernel(run, kernel, err) < 0 ||
	    write_initramfs(run, initrd, err) < 0 || pv_manifest_write(run->plan, NULL, run->root, manifest, err) < 0)
		return -1;
	static const char *const artifacts[] = { "xen.elf", "vmlinuz", "initrd", "manifest.json" };
	for (size_t i = 0; i < PV_COUNT(artifacts); i++)
		if (note(run, artifacts[i], err) < 0)
			return -1;
	return 0;
}
