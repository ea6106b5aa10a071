/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU's arguments for Xen and dom0 inside it. */
#include "driver_qemu_args.h"

#include <string.h>

enum {
	DOM0_MIB = 512,			/* an initramfs of 52 MB unpacked, the device model, the load generator */
	XEN_MIB = 192,			/* Xen, and what a guest costs beside its memory (nested page tables, video) */
	COMMON_GUEST_MIB = 4096,
	TB_MIB = 1024,			/* translated code: with QEMU's default of 1/8 it is thrown away again and again */
	CPUS_MAX = 8,
	BLANK_BYTES = 1 << 20,
};

#define MIB ((uint64_t)1 << 20)

void pv_qemu_machine_for(uint64_t memory, unsigned vcpus, uint64_t host_memory, unsigned host_cpus,
			 struct pv_qemu_machine *ret)
{
	uint64_t guest = memory / MIB;
	unsigned cpus = vcpus + 1;	/* one for dom0, whose device model works while the guest does */

	if (guest < COMMON_GUEST_MIB && host_memory / MIB > COMMON_GUEST_MIB + DOM0_MIB + XEN_MIB + TB_MIB)
		guest = COMMON_GUEST_MIB;
	if (cpus > host_cpus)
		cpus = host_cpus;
	if (cpus > CPUS_MAX)
		cpus = CPUS_MAX;
	if (cpus < 2)
		cpus = 2;
	*ret = (struct pv_qemu_machine){
		.cpus = cpus, .memory_mib = (unsigned)guest + DOM0_MIB + XEN_MIB + (unsigned)(guest / 64),
		.dom0_mib = DOM0_MIB,
	};
}

uint64_t pv_qemu_memory_use(uint64_t memory)
{
	return memory + (DOM0_MIB + XEN_MIB + TB_MIB / 2) * MIB;
}

/* max makes a PV dom0 crash early; without npt there is no nested paging, which Debian's Xen needs. */
const char *pv_qemu_cpu(const struct pv_qemu_machine *m)
{
	return m->kvm ? "host" : "qemu64,+svm,+npt";
}

/* Only what Xen and dom0 see. Device addresses are fixed: the saved state names devices by them. */
static void add_machine(const struct pv_qemu_machine *m, struct pv_strv *ret)
{
	static const char *const fixed[] = {
		"-M", "pc,usb=off", "-nodefaults", "-no-user-config", "-display", "none", "-vga", "none", "-net", "none",
		"-no-reboot", "-rtc", "base=utc",
		"-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny", NULL,
	};
	static const char *const devices[] = {
		"-serial", "chardev:xen", "-device", "virtio-serial-pci,addr=0x3,max_ports=2",
		"-device", "virtserialport,chardev=wire,name=pvimg,nr=1", NULL,
	};

	pv_strv_add(ret, "qemu-system-x86_64");
	pv_strv_add_all(ret, fixed);
	pv_strv_add(ret, "-accel");
	if (m->kvm)
		pv_strv_add(ret, "kvm");
	else
		pv_strv_addf(ret, "tcg,thread=multi,tb-size=%d", TB_MIB);
	pv_strv_add(ret, "-cpu");
	pv_strv_add(ret, pv_qemu_cpu(m));
	pv_strv_add(ret, "-smp");
	pv_strv_addf(ret, "%u", m->cpus);
	pv_strv_add(ret, "-m");
	pv_strv_addf(ret, "%uM", m->memory_mib);
	pv_strv_add(ret, "-kernel");
	pv_strv_add(ret, PV_QEMU_XEN);
	pv_strv_add(ret, "-append");
	/* bootscrub=0: memory that nobody uses is not touched, here and on the host. guest_loglvl=info: Xen logs the
	 * vectors that a guest takes for its vcpus (dom0facts.h). */
	pv_strv_addf(ret, "console=com1 com1=115200,8n1 dom0_mem=%uM,max:%uM dom0_max_vcpus=1 noreboot=1 bootscrub=0 "
		     "guest_loglvl=info", m->dom0_mib, m->dom0_mib);
	pv_strv_add(ret, "-initrd");
	pv_strv_add(ret, PV_QEMU_KERNEL " console=hvc0 quiet rdinit=/init," PV_QEMU_INITRD);
	pv_strv_add_all(ret, devices);
	for (unsigned i = 0; i < 4; i++) {
		pv_strv_add(ret, "-device");
		pv_strv_addf(ret, "virtio-blk-pci,addr=0x%x,drive=vd%c", 4 + i, 'a' + (int)i);
	}
}

/* QEMU opens /dev/fdset/SET instead of a name. */
static void add_fd(struct pv_strv *ret, int fd, unsigned set)
{
	pv_strv_add(ret, "-add-fd");
	pv_strv_addf(ret, "fd=%d,set=%u", fd, set);
}

static void add_blockdev(struct pv_strv *ret, const char *words)
{
	pv_strv_add(ret, "-blockdev");
	pv_strv_add(ret, words);
}

/* Formats are said, never guessed, and no file is opened because another one names it. */
static void add_image(const struct pv_qemu_files *f, struct pv_strv *ret)
{
	add_fd(ret, f->image, 1);
	add_fd(ret, f->overlay, 2);
	pv_strv_add(ret, "-blockdev");
	pv_strv_addf(ret, "driver=%s,node-name=image-file,filename=/dev/fdset/1,read-only=on,locking=off,aio=threads",
		     f->image_is_device ? "host_device" : "file");
	if (f->format == PV_FORMAT_QCOW2)
		add_blockdev(ret, "{\"driver\":\"qcow2\",\"node-name\":\"image\",\"file\":\"image-file\","
			     "\"backing\":null,\"read-only\":true}");
	else
		add_blockdev(ret, "driver=raw,node-name=image,file=image-file,read-only=on");
	add_blockdev(ret, "driver=file,node-name=overlay-file,filename=/dev/fdset/2,locking=off,aio=threads,"
		     "cache.no-flush=on,discard=unmap");
	add_blockdev(ret, "driver=qcow2,node-name=vda,file=overlay-file,backing=image,cache.no-flush=on,discard=unmap");
}

static void add_raw(struct pv_strv *ret, char disk, int fd, unsigned set)
{
	pv_strv_add(ret, "-blockdev");
	if (fd < 0) {
		pv_strv_addf(ret, "driver=null-co,node-name=vd%c,size=%d,read-zeroes=on,read-only=on", disk, BLANK_BYTES);
		return;
	}
	pv_strv_addf(ret, "driver=file,node-name=vd%c-file,filename=/dev/fdset/%u,read-only=on,locking=off,aio=threads",
		     disk, set);
	pv_strv_add(ret, "-blockdev");
	pv_strv_addf(ret, "driver=raw,node-name=vd%c,file=vd%c-file,read-only=on", disk, disk);
	add_fd(ret, fd, set);
}

static void add_files(const struct pv_qemu_files *f, struct pv_strv *ret)
{
	if (f->image >= 0)
		add_image(f, ret);
	else	/* a dom0 to be saved: a device model of the same kind, and it can be written */
		add_blockdev(ret, "driver=null-co,node-name=vda,size=1048576,read-zeroes=on");
	add_raw(ret, 'b', f->seed, 3);
	add_raw(ret, 'c', f->job, 4);
	add_raw(ret, 'd', f->extra, 5);
	add_fd(ret, f->log, 6);
	pv_strv_add(ret, "-chardev");
	pv_strv_add(ret, "file,id=xen,path=/dev/fdset/6");
	pv_strv_add(ret, "-chardev");
	pv_strv_addf(ret, "socket,id=wire,fd=%d", f->wire);
	if (f->qmp >= 0) {
		pv_strv_add(ret, "-chardev");
		pv_strv_addf(ret, "socket,id=qmp,fd=%d", f->qmp);
		pv_strv_add(ret, "-mon");
		pv_strv_add(ret, "chardev=qmp,mode=control");
	}
	if (f->incoming >= 0) {
		pv_strv_add(ret, "-incoming");
		pv_strv_addf(ret, "fd:%d", f->incoming);
	}
}

void pv_qemu_args(const struct pv_qemu_machine *m, const struct pv_qemu_files *f, struct pv_strv *ret)
{
	add_machine(m, ret);
	add_files(f, ret);
}

void pv_qemu_machine_hash(const struct pv_qemu_machine *m, const char *version, const char *dom0_key,
			  char ret_hex[PV_SHA256_HEX])
{
	pv_autostrv words = PV_STRV_INIT;

	pv_strv_add(&words, version);
	pv_strv_add(&words, dom0_key);
	add_machine(m, &words);
	pv_autofree char *all = pv_strv_join(&words, "\n");
	pv_digest_mem(all, strlen(all), ret_hex);
}
