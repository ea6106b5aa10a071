/* SPDX-License-Identifier: Apache-2.0 */
/* The driver kvm-xen: QEMU emulates Xen's interfaces on KVM. There is no dom0 and so no agent: only the console speaks, and
 * every question is answered with "not here". */
#include "driver_kvm_xen.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fsutil.h"
#include "host.h"
#include "proc.h"
#include "sandbox.h"

enum { QEMU_IMG_S = 60, NOT_HERE = 127 };

/* --- what this host must have --- */

static int probe(const struct pv_guest *guest, struct pv_error *err)
{
	pv_autofree char *version = NULL;

	if (guest->uefi || guest->as != PV_AS_PVHVM)
		return pv_error_set(err, PV_ERR_HOST, "boots PVHVM guests by BIOS only; take --driver xen-in-qemu");
	if (pv_host_qemu_version(&version, err) < 0)
		return -1;
	if (pv_host_version_cmp(version, PV_KVM_XEN_QEMU) < 0)
		return pv_error_set(err, PV_ERR_HOST, "QEMU here is %s, and emulating Xen takes " PV_KVM_XEN_QEMU
				    " or newer; take --driver xen-in-qemu", version);
	if (pv_host_kvm_probe() != PV_KVM_WORKS)
		return pv_error_set(err, PV_ERR_HOST, "no KVM that works on this host; take --driver xen-in-qemu");
	return 0;
}

/* --- arguments --- */

static void add_fd(struct pv_strv *args, int fd, unsigned set)
{
	pv_strv_add(args, "-add-fd");
	pv_strv_addf(args, "fd=%d,set=%u", fd, set);
}

/* The disk twice over one file: emulated for the firmware, PV for the kernel, which unplugs the other. */
static void add_disks(struct pv_strv *args, const struct pv_kvm_xen_files *files)
{
	add_fd(args, files->image, 1);
	add_fd(args, files->overlay, 2);
	pv_strv_add(args, "-blockdev");
	pv_strv_addf(args, "driver=%s,node-name=base,read-only=on,%sfile.driver=file,file.filename=/dev/fdset/1,"
		     "file.locking=off", pv_disk_format_name(files->format),
		     files->format == PV_FORMAT_QCOW2 ? "backing=," : "");
	pv_strv_add(args, "-blockdev");
	pv_strv_add(args, "driver=qcow2,node-name=disk,file.driver=file,file.filename=/dev/fdset/2,file.locking=off,"
		    "backing=base");
	pv_strv_add(args, "-device");
	pv_strv_add(args, "xen-disk,drive=disk,vdev=xvda,share-rw=on");
	pv_strv_add(args, "-device");
	pv_strv_add(args, "ide-hd,drive=disk,bus=ide.0,unit=0,share-rw=on");
	if (files->seed < 0)
		return;
	add_fd(args, files->seed, 3);
	pv_strv_add(args, "-blockdev");
	pv_strv_add(args, "driver=raw,node-name=seed,read-only=on,file.driver=file,file.filename=/dev/fdset/3");
	pv_strv_add(args, "-device");
	pv_strv_add(args, "xen-disk,drive=seed,vdev=xvde");
}

void pv_kvm_xen_args(const struct pv_guest *guest, const struct pv_kvm_xen_files *files, struct pv_strv *ret)
{
	static const char *const fixed[] = {
		"qemu-system-x86_64", "-name", "pvimg", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
		"-vga", "std", "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
		/* Xen 4.17; pc and not q35, whose AHCI disk is never unplugged */
		"-M", "pc", "-accel", "kvm,xen-version=0x40011,kernel-irqchip=split", "-cpu", "host,+xen-vapic",
		/* no network of the host */
		"-netdev", "user,id=net,restrict=on", "-device", "xen-net-device,netdev=net", NULL,
	};

	pv_strv_add_all(ret, fixed);
	pv_strv_add(ret, "-m");
	pv_strv_addf(ret, "%" PRIu64 "M", guest->memory >> 20);
	pv_strv_add(ret, "-smp");
	pv_strv_addf(ret, "%u", guest->vcpus);
	add_disks(ret, files);
	pv_strv_add(ret, "-chardev");
	pv_strv_addf(ret, "socket,id=console,fd=%d", files->console);
	pv_strv_add(ret, "-device");
	pv_strv_add(ret, "xen-console,chardev=console");
}

/* --- a guest at work --- */

struct at_work {
	struct pv_agent *agent;
	int console;
	bool in_line;			/* the console's line is not whole yet */
};

static void tell(struct at_work *w, const char *text)
{
	pv_agent_feed(w->agent, text, strlen(text));
}

/* Every command is answered here: the domain runs already, everything else cannot be done. */
static void answer(struct at_work *w)
{
	size_t len;
	const char *commands = pv_agent_pending(w->agent, &len);
	pv_autofree char *copy = pv_xstrndup(commands, len);
	char *rest = copy;

	pv_agent_sent(w->agent, len);
	for (char *line; (line = strsep(&rest, "\n")) && *line;) {
		const char *id = strsep(&line, " ");
		bool create = line && pv_streq(line, "create");
		pv_autofree char *end = pv_fmt("%s= %s %d\n", create ? "event created 0\n" : "", id, create ? 0 : NOT_HERE);
		tell(w, end);
	}
}

static bool console_ready(void *ctx, short revents)
{
	struct at_work *w = ctx;
	char buf[65536];
	ssize_t n = recv(w->console, buf, sizeof(buf), MSG_DONTWAIT);

	(void)revents;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0)
		return false;
	for (char *from = buf, *end = buf + n; from < end;) {
		char *newline = memchr(from, '\n', (size_t)(end - from));
		char *stop = newline ? newline + 1 : end;
		if (!w->in_line)
			tell(w, "console ");
		pv_agent_feed(w->agent, from, (size_t)(stop - from));
		w->in_line = !newline;
		from = stop;
	}
	return true;
}

static void tick(void *ctx)
{
	struct at_work *w = ctx;

	pv_agent_tick(w->agent);
	answer(w);
}

static bool is_over(void *ctx)
{
	const struct at_work *w = ctx;

	return pv_agent_stopped(w->agent);
}

static int run_qemu(const struct pv_driver_run *run, const struct pv_kvm_xen_files *files, int console,
		    struct pv_error *err)
{
	pv_autostrv args = PV_STRV_INIT;
	pv_autofree char *root = pv_path_join(run->work_dir, "empty");
	struct at_work w = { .agent = run->agent, .console = console };
	const struct pv_proc_watch watch = { .fd = console, .ready = console_ready, .ctx = &w };
	const int keep[] = { files->overlay, files->image, files->console, files->seed };
	const struct pv_sandbox_bind kvm = { .source = "/dev/kvm", .target = "/dev/kvm", .writable = true };

	if (pv_mkdirs(root, 0755, err) < 0)
		return -1;
	if (chown(root, 0, 0) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", root);
	pv_kvm_xen_args(run->guest, files, &args);
	const struct pv_sandbox box = { .root = root, .host_tools = true, .binds = &kvm, .nbinds = 1, .keep_sync = true };
	const struct pv_proc proc = {
		.argv = (const char *const *)args.v, .keep_fds = keep, .nkeep_fds = PV_COUNT(keep) - (files->seed < 0),
		.watches = &watch, .nwatches = 1, .on_tick = tick, .stop = is_over, .tick_ctx = &w,
	};
	tell(&w, "hello 1\n");
	answer(&w);
	pv_autoproc res = PV_PROC_RESULT_INIT;
	if (pv_sandbox_run(&box, &proc, &res, err) < 0)
		return -1;
	if (pv_agent_stopped(run->agent))
		return 0;
	if (res.exit_code == 0) {
		tell(&w, "event ended poweroff\n");
		return 0;
	}
	pv_autofree char *fate = pv_proc_fate(&res), *last = pv_proc_last_line(&res);
	return pv_error_set(err, PV_ERR_STAGE, "QEMU: %s%s%s", fate, last ? ": " : "", last ? last : "");
}

static int run_driver(const struct pv_driver_run *run, struct pv_error *err)
{
	const struct pv_guest *guest = run->guest;
	pv_autofree char *path = pv_path_join(run->work_dir, "overlay.qcow2"), *version = NULL;
	pv_autofree char *bytes = pv_fmt("%" PRIu64, guest->disk_size);
	const char *const argv[] = { "qemu-img", "create", "-q", "-f", "qcow2", path, bytes, NULL };
	const struct pv_proc proc = { .argv = argv, .deadline_s = QEMU_IMG_S };
	int pair[2];

	if (pv_host_qemu_version(&version, err) < 0 || pv_proc_check(&proc, PV_ERR_STAGE, err) < 0)
		return -1;
	pv_vars_set(run->facts, "qemu", version);
	pv_vars_set(run->facts, "accelerator", "kvm");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return pv_error_errno(err, PV_ERR_HOST, errno, "cannot make a socket");
	pv_autoclose int ours = pair[0], theirs = pair[1];
	pv_autoclose int overlay = open(path, O_RDWR | O_CLOEXEC);
	pv_autoclose int seed = guest->seed ? open(guest->seed, O_RDONLY | O_CLOEXEC) : -1;
	if (overlay < 0 || (guest->seed && seed < 0))
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", overlay < 0 ? path : guest->seed);
	const struct pv_kvm_xen_files files = { overlay, guest->disk->fd, seed, theirs, guest->disk->format };
	return run_qemu(run, &files, ours, err);
}

const struct pv_driver pv_driver_kvm_xen = {
	.name = "kvm-xen",
	.proves = "the image with QEMU's emulation of Xen on KVM, not a Xen hypervisor",
	.needs_ns = true,
	.probe = probe,
	.run = run_driver,
};
