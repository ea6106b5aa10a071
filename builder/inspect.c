/* SPDX-License-Identifier: Apache-2.0 */
/* Judges a container, unpacks it where it is sound, and looks at the disk by libblkid and image.h. */
#include "inspect.h"

#include <blkid/blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "digest.h"
#include "fsutil.h"
#include "image.h"
#include "qcow2.h"
#include "vhd.h"
#include "xva.h"
#include "zstdraw.h"

#define MIB (UINT64_C(1) << 20)
#define PARTS_MAX 256
#define OS_RELEASE_MAX 65536u

struct target {
	const char *path, *tmp_dir;
	int fd;
	uint64_t file_size;
};

void pv_inspect_done(struct pv_inspect *in)
{
	for (size_t i = 0; i < in->nparts; i++) {
		pv_freep(&in->parts[i].type);
		pv_freep(&in->parts[i].name);
		pv_freep(&in->parts[i].fs);
		pv_freep(&in->parts[i].label);
		pv_freep(&in->parts[i].uuid);
	}
	pv_freep(&in->parts);
	in->nparts = 0;
	pv_strv_done(&in->facts);
	pv_strv_done(&in->faults);
	pv_strv_done(&in->notes);
	pv_freep(&in->table);
	pv_freep(&in->bare_fs);
	pv_freep(&in->system);
}

/* --- containers --- */

static int look_vhd(int fd, uint64_t file_size, const char *path, struct pv_inspect *in, struct pv_error *err)
{
	pv_autovhd vhd = PV_VHD_INIT;
	char uuid[37];

	if (pv_vhd_open(fd, file_size, path, &vhd, &in->faults, &in->notes, err) < 0)
		return -1;
	in->size = vhd.size;
	pv_uuid_text(vhd.uuid, uuid);
	pv_strv_addf(&in->facts, "type: %s", vhd.type == PV_VHD_FIXED ? "fixed" : "dynamic");
	pv_strv_addf(&in->facts, "creator: %s %u.%u", vhd.creator, vhd.creator_version >> 16,
		     vhd.creator_version & 0xffff);
	pv_strv_addf(&in->facts, "uuid: %s", uuid);
	if (vhd.type == PV_VHD_DYNAMIC)
		pv_strv_addf(&in->facts, "blocks: %u of %u, %u KiB each%s", vhd.used, vhd.nbat, vhd.block_size / 1024,
			     vhd.batmap ? ", with a batmap" : "");
	return 0;
}

static int look_vhd_tar(const struct target *t, struct pv_inspect *in, struct pv_error *err)
{
	pv_autoclose int fd = -1;

	if (!t->tmp_dir)
		return pv_error_set(err, PV_ERR_STAGE, "%s: a packed VHD is looked at unpacked only", t->path);
	if (pv_container_tmp(t->tmp_dir, &fd, err) < 0 || pv_container_vhd_of_tar(t->fd, t->path, fd, err) < 0)
		return -1;
	off_t size = lseek(fd, 0, SEEK_END);
	return look_vhd(fd, size > 0 ? (uint64_t)size : 0, t->path, in, err);
}

static int look_xva(const struct target *t, struct pv_inspect *in, struct pv_error *err)
{
	pv_autoxva xva = { .machine = NULL };

	if (pv_xva_read(t->fd, t->path, &xva, NULL, NULL, &in->faults, err) < 0)
		return -1;
	in->size = xva.size;
	pv_autofree char *memory = pv_size_text(xva.memory);
	pv_strv_addf(&in->facts, "machine: %s, %s memory, %u vcpus", xva.machine ? xva.machine : "(no name)", memory,
		     xva.vcpus);
	pv_strv_addf(&in->facts, "checksums: %s", xva.xxhash ? "xxhash" : "SHA-1");
	pv_strv_addf(&in->facts, "disks: %u; chunks of the first: %llu", xva.disks, (unsigned long long)xva.chunks);
	if (xva.disks > 1)
		pv_strv_add(&in->notes, "only the first disk is looked into");
	return 0;
}

static int look_zstd(const struct target *t, struct pv_inspect *in, struct pv_error *err)
{
	struct pv_zstdraw z;

	if (pv_zstdraw_open(t->fd, t->file_size, t->path, &z, &in->faults, err) < 0)
		return -1;
	in->size = z.size;
	if (z.seekable)
		pv_strv_addf(&in->facts, "frames: %llu, seekable", (unsigned long long)z.frames);
	else
		pv_strv_add(&in->notes, "no seek table: it can only be read from its beginning");
	return 0;
}

/* What cannot be read or unpacked is a finding; an interrupt or a lacking program is not. */
static int note_failure(struct pv_inspect *in, const struct pv_error *why, struct pv_error *err)
{
	if (why->kind != PV_ERR_STAGE)
		return pv_error_set(err, why->kind, "%s", why->text);
	pv_strv_add(&in->faults, why->text);
	return 0;
}

static int look_qcow2(const struct target *t, struct pv_inspect *in, struct pv_error *err)
{
	pv_autofree uint8_t *head = pv_xmalloc(PV_QCOW2_HEAD_MAX);
	ssize_t n = pv_pread_all(t->fd, head, PV_QCOW2_HEAD_MAX, 0);
	struct pv_qcow2 q;

	if (n < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot read", t->path);
	if (pv_qcow2_header(head, (size_t)n, t->file_size, t->path, &q, err) < 0)
		return -1;
	in->size = q.size;
	pv_strv_addf(&in->facts, "clusters: %llu KiB", 1ull << q.cluster_bits >> 10);
	pv_autoerror why = PV_ERROR_INIT;
	if (pv_qcow2_check_clusters(t->fd, t->file_size, t->path, &q, &why) < 0)
		return note_failure(in, &why, err);
	return 0;
}

static int look(const struct target *t, struct pv_inspect *in, struct pv_error *err)
{
	switch (in->kind) {
	case PV_CONTAINER_VHD: return look_vhd(t->fd, t->file_size, t->path, in, err);
	case PV_CONTAINER_VHD_TAR: return look_vhd_tar(t, in, err);
	case PV_CONTAINER_XVA: return look_xva(t, in, err);
	case PV_CONTAINER_ZSTD: return look_zstd(t, in, err);
	case PV_CONTAINER_QCOW2: return look_qcow2(t, in, err);
	case PV_CONTAINER_RAW:
		in->size = t->file_size;
		if (t->file_size % MIB)
			pv_strv_add(&in->notes,
				    "its size is no whole number of MiB: most importers round or refuse it");
		return 0;
	case PV_CONTAINER_OTHER:
		break;
	}
	return pv_error_set(err, PV_ERR_STAGE, "%s: this is %s", t->path, pv_container_what(in->kind));
}

/* --- the disk --- */

static char *value_of(blkid_probe probe, const char *name)
{
	const char *data;
	size_t len;

	if (blkid_probe_lookup_value(probe, name, &data, &len) < 0 || len == 0)
		return NULL;
	return pv_printable(data, strnlen(data, len));
}

/* Superblocks between start and start + size; NULL in ret_fs: none. */
static void probe_fs(int fd, uint64_t start, uint64_t size, char **ret_fs, char **ret_label, char **ret_uuid)
{
	blkid_probe probe = blkid_new_probe();

	if (probe && size > 0 && blkid_probe_set_device(probe, fd, (blkid_loff_t)start, (blkid_loff_t)size) == 0) {
		blkid_probe_enable_superblocks(probe, 1);
		blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_LABEL | BLKID_SUBLKS_UUID);
		if (blkid_do_safeprobe(probe) == 0) {
			*ret_fs = value_of(probe, "TYPE");
			*ret_label = value_of(probe, "LABEL");
			*ret_uuid = value_of(probe, "UUID");
		}
	}
	blkid_free_probe(probe);
}

static void take_part(struct pv_inspect *in, blkid_partition part, int fd)
{
	struct pv_inspect_part *p = &in->parts[in->nparts++];
	const char *type = blkid_partition_get_type_string(part), *name = blkid_partition_get_name(part);
	int number = blkid_partition_get_partno(part);

	/* blkid counts in sectors of 512 bytes, always */
	*p = (struct pv_inspect_part){ .number = number > 0 ? (unsigned)number : 0 };
	p->start = (uint64_t)blkid_partition_get_start(part) * 512;
	p->size = (uint64_t)blkid_partition_get_size(part) * 512;
	p->type = type ? pv_printable(type, strlen(type)) :
			 pv_fmt("0x%02x", (unsigned)blkid_partition_get_type(part) & 0xff);
	p->name = name && *name ? pv_printable(name, strlen(name)) : NULL;
	if (p->start >= in->size || p->size > in->size - p->start)
		pv_strv_addf(&in->faults, "partition %u reaches beyond the disk's end", p->number);
	else if (!blkid_partition_is_extended(part))
		probe_fs(fd, p->start, p->size, &p->fs, &p->label, &p->uuid);
}

static void look_at_table(int fd, struct pv_inspect *in)
{
	blkid_probe probe = blkid_new_probe();
	blkid_partlist list = NULL;

	if (probe && blkid_probe_set_device(probe, fd, 0, (blkid_loff_t)in->size) == 0) {
		blkid_probe_enable_superblocks(probe, 0);
		blkid_probe_enable_partitions(probe, 1);
		list = blkid_probe_get_partitions(probe);
	}
	blkid_parttable table = list ? blkid_partlist_get_table(list) : NULL;
	if (table) {
		const char *type = blkid_parttable_get_type(table);
		int n = blkid_partlist_numof_partitions(list);

		in->table = pv_xstrdup(type ? type : "?");
		in->parts = pv_xcalloc(PARTS_MAX, sizeof(*in->parts));
		for (int i = 0; i < n && i < PARTS_MAX; i++)
			take_part(in, blkid_partlist_get_partition(list, i), fd);
	}
	blkid_free_probe(probe);
	if (!in->table) {
		pv_autofree char *label = NULL, *uuid = NULL;

		probe_fs(fd, 0, in->size, &in->bare_fs, &label, &uuid);
	}
}

/* PRETTY_NAME="..." of the root file system, where image.h finds one; and the GPT's faults. */
static void look_at_system(int fd, struct pv_inspect *in)
{
	static const char key[] = "PRETTY_NAME=";
	pv_autofree char *self = pv_fmt("/proc/self/fd/%d", fd), *text = NULL;
	pv_autoimage *image = NULL;
	pv_autoerror ignored = PV_ERROR_INIT;

	if (!pv_streq(in->table, "gpt") || pv_image_open(self, &image, &ignored) < 0)
		return;
	const struct pv_strv *faults = pv_image_gpt_faults(image);
	for (size_t i = 0; i < faults->n; i++)
		pv_strv_add(&in->faults, faults->v[i]);
	text = pv_image_read(image, "/etc/os-release", OS_RELEASE_MAX, NULL);
	char *line = text ? strstr(text, key) : NULL;
	if (!line)
		return;
	line += strlen(key);
	line += strspn(line, "\"");
	in->system = pv_printable(line, strcspn(line, "\"\n"));
}

static int look_inside(const struct target *t, struct pv_inspect *in, struct pv_error *err)
{
	pv_autoclose int unpacked = -1;
	int fd = t->fd;

	if (in->kind != PV_CONTAINER_RAW) {
		if (pv_container_tmp(t->tmp_dir, &unpacked, err) < 0)
			return -1;
		const struct pv_unpack_request req = { .fd = t->fd,
						       .file_size = t->file_size,
						       .name = t->path,
						       .kind = in->kind,
						       .out_fd = unpacked,
						       .tmp_dir = t->tmp_dir };
		if (pv_container_unpack(&req, &in->size, err) < 0)
			return -1;
		fd = unpacked;
	}
	look_at_table(fd, in);
	look_at_system(fd, in);
	return 0;
}

int pv_inspect(const char *path, const char *tmp_dir, struct pv_inspect *ret, struct pv_error *err)
{
	pv_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct pv_inspect in = { .kind = PV_CONTAINER_RAW };
	pv_autoerror inside = PV_ERROR_INIT;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot open", path);
	if (!S_ISREG(st.st_mode) || st.st_size == 0)
		return pv_error_set(err, PV_ERR_STAGE, "%s: is %s", path, S_ISREG(st.st_mode) ? "empty" : "no file");
	const struct target t = { path, tmp_dir, fd, (uint64_t)st.st_size };
	in.file_size = t.file_size;
	if (pv_container_detect(fd, t.file_size, path, &in.kind, err) < 0 || look(&t, &in, err) < 0) {
		pv_inspect_done(&in);
		return -1;
	}
	if (tmp_dir && in.faults.n == 0 && look_inside(&t, &in, &inside) < 0 && note_failure(&in, &inside, err) < 0) {
		pv_inspect_done(&in);
		return -1;
	}
	*ret = in;
	return 0;
}

/* --- JSON --- */

static json_t *list_json(const struct pv_strv *sv)
{
	json_t *list = json_array();

	for (size_t i = 0; i < sv->n; i++)
		json_array_append_new(list, json_string(sv->v[i]));
	return list;
}

static void set_text(json_t *object, const char *key, const char *value)
{
	if (value)
		json_object_set_new(object, key, json_string(value));
}

static json_t *parts_json(const struct pv_inspect *in)
{
	json_t *list = json_array();

	for (size_t i = 0; i < in->nparts; i++) {
		const struct pv_inspect_part *p = &in->parts[i];
		json_t *object = json_pack("{s:i, s:I, s:I, s:s}", "number", (int)p->number, "start",
					   (json_int_t)p->start, "size", (json_int_t)p->size, "type", p->type);

		set_text(object, "name", p->name);
		set_text(object, "filesystem", p->fs);
		set_text(object, "label", p->label);
		set_text(object, "uuid", p->uuid);
		json_array_append_new(list, object);
	}
	return list;
}

char *pv_inspect_json(const struct pv_inspect *in, const char *path)
{
	pv_autofree char *shown = pv_printable(path, strlen(path));
	json_t *root =
		json_pack("{s:s, s:s, s:s, s:I, s:I, s:b, s:o, s:o, s:o, s:o}", "schema", "pvimg.inspect/1", "file",
			  shown, "format", pv_container_word(in->kind), "file_size", (json_int_t)in->file_size, "size",
			  (json_int_t)in->size, "sound", in->faults.n == 0, "facts", list_json(&in->facts), "faults",
			  list_json(&in->faults), "notes", list_json(&in->notes), "partitions", parts_json(in));

	set_text(root, "table", in->table);
	set_text(root, "filesystem", in->bare_fs);
	set_text(root, "system", in->system);
	pv_autofree char *text = json_dumps(root, JSON_INDENT(1) | JSON_SORT_KEYS);
	json_decref(root);
	return pv_fmt("%s\n", text ? text : "{}");
}
