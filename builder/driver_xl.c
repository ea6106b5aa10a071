/* SPDX-License-Identifier: Apache-2.0 */
/* The driver xl: this host is a dom0. The agent that works in our own dom0 elsewhere runs here as a child, and the domain and
 * the bridge it makes have names with this process's number. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "domcfg.h"
#include "driver.h"
#include "driver_job.h"
#include "driver_wire.h"
#include "fsutil.h"
#include "host.h"
#include "ns.h"
#include "proc.h"

enum {
	QEMU_IMG_S = 60,
	END_TICKS = 60,			/* half seconds for the agent's end */
	END_S = 45,			/* the same after a signal: a creation under way takes up to 30 s */
};

static int probe(const struct pv_guest *guest, struct pv_error *err)
{
	pv_autofree char *firmware = NULL;

	if (pv_host_xen() != PV_XEN_DOM0)
		return pv_error_set(err, PV_ERR_HOST, "this host is no Xen dom0; take --driver xen-in-qemu");
	if (pv_ns_active())
		return pv_error_set(err, PV_ERR_HOST, "within a build domains cannot be made; build with --no-verify and run "
				    "pvimg verify on the image, or take --driver xen-in-qemu");
	if (geteuid() != 0)
		return pv_error_set(err, PV_ERR_HOST,
				    "making domains takes root; run it as root, or take --driver xen-in-qemu");
	if (pv_proc_need("xl", "xen-utils", err) < 0 || pv_proc_need("xenstore-ls", "xenstore-utils", err) < 0 ||
	    pv_proc_need("perl", "perl-base", err) < 0 || pv_proc_need("ip", "iproute2", err) < 0 ||
	    pv_proc_need("ssh", "openssh-client", err) < 0 || pv_proc_need("qemu-img", "qemu-utils", err) < 0)
		return -1;
	return guest->uefi ? pv_driver_firmware(guest, &firmware, err) : 0;
}

/* What a guest writes goes to a qcow2 file over each disk, which the device model opens read-only. */
struct overlays {
	char *root, *seed, *extra;	/* NULL where the guest has no such disk */
};

static void overlays_done(struct overlays *o)
{
	pv_freep(&o->root);
	pv_freep(&o->seed);
	pv_freep(&o->extra);
}

/* bytes 0: as large as the file. */
static int make_overlay(const char *file, const char *format, uint64_t bytes, const char *path, struct pv_error *err)
{
	pv_autofree char *image = realpath(file, NULL);
	pv_autofree char *size = bytes ? pv_fmt("%" PRIu64, bytes) : NULL;

	if (!image)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", file);
	const char *const argv[] = { "qemu-img", "create", "-q", "-f", "qcow2", "-F", format, "-b", image, path, size, NULL };
	const struct pv_proc proc = { .argv = argv, .deadline_s = QEMU_IMG_S };
	return pv_proc_check(&proc, PV_ERR_STAGE, err);
}

static int make_overlays(const struct pv_driver_run *run, struct overlays *ret, struct pv_error *err)
{
	const struct pv_guest *guest = run->guest;

	ret->root = pv_path_join(run->work_dir, "overlay.qcow2");
	ret->seed = guest->seed ? pv_path_join(run->work_dir, "seed.qcow2") : NULL;
	ret->extra = guest->extra_disk ? pv_path_join(run->work_dir, "extra.qcow2") : NULL;
	if (make_overlay(guest->disk->path, pv_disk_format_name(guest->disk->format), guest->disk_size, ret->root, err) < 0 ||
	    (ret->seed && make_overlay(guest->seed, "raw", 0, ret->seed, err) < 0) ||
	    (ret->extra && make_overlay(guest->extra_disk, "raw", 0, ret->extra, err) < 0))
		return -1;
	return 0;
}

static int write_text(const char *dir, const char *name, const char *text, struct pv_error *err)
{
	pv_autofree char *path = pv_path_join(dir, name);

	return pv_write_file(path, text, strlen(text), 0600, err);
}

/* guest.cfg and env of the job folder. A bridge's name has at most 15 characters (IFNAMSIZ). */
static int write_job(const struct pv_driver_run *run, const struct overlays *disks, struct pv_error *err)
{
	const struct pv_guest *guest = run->guest;
	pv_autofree char *firmware = NULL, *name = pv_fmt("pvimg-%d", (int)getpid()), *bridge = pv_fmt("pvi%d", (int)getpid());
	pv_autofree char *kernel = pv_path_join(guest->job_dir, "kernel"), *initrd = pv_path_join(guest->job_dir, "initrd");
	bool own_kernel = guest->as == PV_AS_PVH || guest->as == PV_AS_PV;

	if (guest->uefi && pv_driver_firmware(guest, &firmware, err) < 0)
		return -1;
	const struct pv_domcfg cfg = {
		.name = name, .root_target = disks->root, .seed_target = disks->seed, .extra_target = disks->extra,
		.format = "qcow2", .bridge = bridge, .mac = PV_GUEST_MAC, .firmware = firmware,
		.kernel = own_kernel ? kernel : NULL, .initrd = own_kernel ? initrd : NULL,
	};
	pv_autofree char *config = pv_domcfg_text(guest, &cfg);
	pv_autofree char *env = pv_fmt("BRIDGE=%s\nMAC=%s\n", bridge, PV_GUEST_MAC);
	if (write_text(guest->job_dir, "guest.cfg", config, err) < 0)
		return -1;
	return write_text(guest->job_dir, "env", env, err);
}

/* In the child: the wire is its standard input and output. */
static int take_wire(void *ctx, struct pv_error *err)
{
	const int *fd = ctx;

	if (dup2(*fd, 0) < 0 || dup2(*fd, 1) < 0)
		return pv_error_errno(err, PV_ERR_HOST, errno, "the agent's wire");
	return 0;
}

/* An agent at work. When all was seen it is asked to end, so that it can take the domain and the bridge away; it gets a
 * signal only if it does not. */
struct at_work {
	struct pv_agent *agent;
	struct pv_agent_wire wire;
	unsigned ticks_left;		/* after `end` was sent; 0: it was not */
};

static void tick(void *ctx)
{
	struct at_work *w = ctx;

	pv_agent_tick(w->agent);
	if (w->ticks_left > 1)
		w->ticks_left--;
}

static bool is_over(void *ctx)
{
	struct at_work *w = ctx;

	if (!pv_agent_stopped(w->agent))
		return false;
	if (w->ticks_left == 0) {
		pv_agent_send(w->agent, "end");
		w->ticks_left = END_TICKS;
	}
	return w->ticks_left == 1;
}

static int run_agent(const struct pv_driver_run *run, struct pv_error *err)
{
	pv_autofree char *script = pv_path_join(run->paths->scripts_dir, "dom0/agent");
	const char *const argv[] = { "sh", script, run->guest->job_dir, "host", NULL };
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return pv_error_errno(err, PV_ERR_HOST, errno, "cannot make a socket");
	pv_autoclose int ours = pair[0], theirs = pair[1];
	struct at_work w = { .agent = run->agent, .wire = { ours, run->agent } };
	const struct pv_proc_watch watch = pv_agent_wire_watch(&w.wire);
	const struct pv_proc proc = {
		.argv = argv, .setup = take_wire, .setup_ctx = &theirs, .watches = &watch, .nwatches = 1,
		/* Only the agent can take domain and bridge away. */
		.grace_s = END_S, .death_signal = SIGTERM,
		.on_tick = tick, .stop = is_over, .tick_ctx = &w,
	};
	pv_autoproc res = PV_PROC_RESULT_INIT;
	if (pv_proc_run(&proc, &res, err) < 0)
		return -1;
	if (pv_agent_stopped(run->agent))
		return 0;
	pv_autofree char *fate = pv_proc_fate(&res), *last = pv_proc_last_line(&res);
	return pv_error_set(err, PV_ERR_STAGE, "dom0's agent: %s%s%s", fate, last ? ": " : "", last ? last : "");
}

static int run_driver(const struct pv_driver_run *run, struct pv_error *err)
{
	__attribute__((cleanup(overlays_done))) struct overlays disks = { 0 };

	pv_vars_set(run->facts, "accelerator", "xen");
	if (make_overlays(run, &disks, err) < 0 || write_job(run, &disks, err) < 0)
		return -1;
	return run_agent(run, err);
}

const struct pv_driver pv_driver_xl = {
	.name = "xl",
	.proves = "the image under the Xen hypervisor of this host",
	.needs_ns = false,
	.probe = probe,
	.run = run_driver,
};
