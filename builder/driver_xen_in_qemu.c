/* SPDX-License-Identifier: Apache-2.0 */
/* The driver xen-in-qemu: Xen and a small dom0 in QEMU, with a saved dom0 where there is one. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dom0.h"
#include "driver.h"
#include "driver_accel.h"
#include "driver_job.h"
#include "driver_qemu_args.h"
#include "driver_qemu_session.h"
#include "driver_saved.h"
#include "fsutil.h"
#include "host.h"
#include "proc.h"

enum {
	BOOT_S = 300,			/* to dom0's hello: 8 to 12 s on two quiet cores under TCG */
	RESTORE_S = 30,			/* 1 to 2 s */
	QEMU_IMG_S = 60,
	XEN_LOG_MAX = 4 << 20,
};

struct boot {
	const struct pv_driver_run *run;
	struct pv_dom0 dom0;
	struct pv_qemu_machine machine;
	char *version;			/* QEMU's */
	int overlay, seed, job, extra;
};

static void boot_done(struct boot *b)
{
	pv_closep(&b->overlay);
	pv_closep(&b->seed);
	pv_closep(&b->job);
	pv_closep(&b->extra);
	pv_freep(&b->version);
	pv_dom0_done(&b->dom0);
}

/* --- what this host must have --- */

static int probe(const struct pv_guest *guest, struct pv_error *err)
{
	pv_autofree char *firmware = NULL;
	uint64_t memory = 0, need = pv_qemu_memory_use(guest->memory);

	if (pv_proc_need("qemu-system-x86_64", "qemu-system-x86", err) < 0 ||
	    pv_proc_need("qemu-img", "qemu-utils", err) < 0)
		return -1;
	if (guest->uefi && pv_driver_firmware(guest, &firmware, err) < 0)
		return -1;
	if (pv_host_memory(&memory, err) < 0)
		return -1;
	if (memory < need) {
		pv_autofree char *have = pv_size_text(memory), *want = pv_size_text(need), *own = pv_size_text(guest->memory);
		return pv_error_set(err, PV_ERR_HOST, "%s of memory are available, and a guest of %s needs %s with its Xen; "
				    "free some, or take --memory", have, own, want);
	}
	return 0;
}

/* --- the disks --- */

static int open_disk(const char *path, int *ret, struct pv_error *err)
{
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (path && fd < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", path);
	*ret = fd;
	return 0;
}

static int make_overlay(const char *path, uint64_t size, struct pv_error *err)
{
	pv_autofree char *bytes = pv_fmt("%" PRIu64, size);
	const char *const argv[] = { "qemu-img", "create", "-q", "-f", "qcow2", path, bytes, NULL };
	const struct pv_proc proc = { .argv = argv, .deadline_s = QEMU_IMG_S };

	return pv_proc_check(&proc, PV_ERR_STAGE, err);
}

static int make_disks(struct boot *b, struct pv_error *err)
{
	const struct pv_guest *guest = b->run->guest;
	pv_autofree char *overlay = pv_path_join(b->run->work_dir, "overlay.qcow2");
	pv_autofree char *job = pv_path_join(b->run->work_dir, "job.tar");

	if (make_overlay(overlay, guest->disk_size, err) < 0 || pv_driver_job_tar(guest, job, err) < 0)
		return -1;
	b->overlay = open(overlay, O_RDWR | O_CLOEXEC);
	if (b->overlay < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s", overlay);
	if (open_disk(guest->seed, &b->seed, err) < 0 || open_disk(job, &b->job, err) < 0)
		return -1;
	return open_disk(guest->extra_disk, &b->extra, err);
}

static void set_files(const struct boot *b, struct pv_qemu_files *ret)
{
	const struct pv_diskfile *disk = b->run->guest->disk;
	struct stat st;

	*ret = (struct pv_qemu_files)PV_QEMU_FILES_INIT;
	ret->image = disk->fd;
	ret->format = disk->format;
	ret->image_is_device = fstat(disk->fd, &st) == 0 && S_ISBLK(st.st_mode);
	ret->overlay = b->overlay;
	ret->seed = b->seed;
	ret->job = b->job;
	ret->extra = b->extra;
}

/* --- facts --- */

/* The hello's "xen=4.17.5 hap=yes ..." */
static void set_hello_facts(const char *hello, struct pv_vars *facts)
{
	pv_autofree char *words = pv_xstrdup(hello);
	char *rest = NULL;

	for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		char *equals = strchr(word, '=');
		if (!equals)
			continue;
		*equals = '\0';
		if (strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(word) && *word >= 'a')
			pv_vars_set(facts, word, equals + 1);
	}
}

/* Whether Xen saw a processor of the guest die of faults while faulting. Under TCG that happens now and then to a sound
 * guest. */
static bool saw_triple_fault(const struct boot *b)
{
	pv_autofree char *path = pv_path_join(b->run->work_dir, "xen.log");
	pv_autofree char *text = NULL;
	size_t len = 0;

	return pv_read_file(path, XEN_LOG_MAX, &text, &len, NULL) == 0 && strstr(text, "Triple fault");
}

static void set_facts(const struct boot *b, const struct pv_qemu_session *s, uint64_t boot_ms)
{
	struct pv_vars *facts = b->run->facts;

	set_hello_facts(s->hello ? s->hello : "", facts);
	for (size_t i = 0; i < b->dom0.versions.n; i++)
		pv_vars_set(facts, b->dom0.versions.v[i].name, b->dom0.versions.v[i].value);
	pv_vars_set(facts, "qemu", b->version);
	pv_vars_set(facts, "accelerator", b->machine.kvm ? "kvm" : "tcg");
	pv_vars_set(facts, "cpu", pv_qemu_cpu(&b->machine));
	pv_vars_setf(facts, "cpus", "%u", b->machine.cpus);
	pv_vars_set(facts, "restored", s->restored ? "yes" : "no");
	if (saw_triple_fault(b))
		pv_vars_set(facts, "triple_fault", "yes");
	pv_vars_setf(facts, "dom0_ms", "%" PRIu64, s->hello_ms);
	/* How long the same dom0 takes to boot on this host: the measure of its speed. */
	if (boot_ms > 0)
		pv_vars_setf(facts, "reference_ms", "%" PRIu64, boot_ms);
}

/* --- the boot --- */

static struct pv_qemu_session new_session(const struct boot *b)
{
	struct pv_qemu_session s = {
		.machine = &b->machine, .dom0 = &b->dom0, .work_dir = b->run->work_dir, .agent = b->run->agent,
		.save_fd = -1, .hello_s = BOOT_S,
	};

	set_files(b, &s.files);
	return s;
}

/* *ret_done: the guest was driven to its end, or there is an error for good. Otherwise the state was of no use: nothing was
 * asked of the agent yet, and a plain boot can follow. */
static int run_restored(const struct boot *b, const struct pv_saved *saved, bool *ret_done, struct pv_error *err)
{
	struct pv_qemu_session s = new_session(b);
	int rc;

	s.restored = saved->hello;
	s.files.incoming = saved->fd;
	s.hello_s = RESTORE_S;
	rc = pv_qemu_session_run(&s, err);
	*ret_done = s.hello != NULL || pv_agent_stopped(b->run->agent) || pv_proc_interrupted();
	if (*ret_done)
		set_facts(b, &s, saved->hello_ms);
	pv_qemu_session_done(&s);
	return rc;
}

struct saving {
	struct pv_saved *saved;
	struct pv_log *log;
};

/* At once: whatever becomes of the guest, the next run has it. */
static void keep_state(void *ctx, const char *hello, uint64_t hello_ms)
{
	const struct saving *saving = ctx;
	pv_autoerror err = PV_ERROR_INIT;

	if (pv_saved_commit(saving->saved, hello, hello_ms, &err) < 0)
		pv_log_debug(saving->log, "dom0 was not saved: %s", err.text);
}

/* Boots dom0, saves it on the way if `saved` was begun, and goes on. */
static int run_plain(const struct boot *b, struct pv_saved *saved, struct pv_error *err)
{
	struct pv_qemu_session s = new_session(b);
	struct saving saving = { .saved = saved, .log = b->run->log };
	int rc;

	s.save_fd = saved->fd;
	s.on_saved = keep_state;
	s.ctx = &saving;
	rc = pv_qemu_session_run(&s, err);
	set_facts(b, &s, s.hello_ms);
	if (s.save_error)
		pv_log_debug(b->run->log, "dom0 was not saved: %s", s.save_error);
	if (rc == 0 && !s.hello && !pv_agent_stopped(b->run->agent))
		rc = pv_error_set(err, PV_ERR_STAGE, "Xen in QEMU: dom0 was not ready within %d s; last words: %s", BOOT_S,
				  s.last_words ? s.last_words : "none");
	pv_qemu_session_done(&s);
	return rc;
}

static int run_boot(const struct boot *b, struct pv_error *err)
{
	const struct pv_driver_run *run = b->run;
	pv_autosaved saved = PV_SAVED_INIT, making = PV_SAVED_INIT;
	pv_autofree char *name = NULL;
	char hash[PV_SHA256_HEX];
	bool done = false;

	pv_qemu_machine_hash(&b->machine, b->version, b->dom0.key, hash);
	name = pv_fmt("state-%.16s", hash);
	/* Not with KVM: it boots dom0 in no time, and a state of the host's own processor fits no other. */
	if (!run->fresh && !b->machine.kvm) {
		pv_autoerror why = PV_ERROR_INIT;
		pv_saved_open(b->dom0.dir, name, &saved);
		if (saved.fd >= 0) {
			int rc = run_restored(b, &saved, &done, &why);
			if (done && rc < 0)
				return pv_error_set(err, why.kind, "%s", why.text);
			if (done)
				return 0;
			pv_log_warn(run->log, "the saved dom0 did not wake (%s); dom0 boots anew",
				    why.text ? why.text : "no answer");
			pv_saved_drop(&saved);
		}
		pv_error_clear(&why);
		if (pv_saved_begin(b->dom0.dir, name, &making, &why) < 0)
			pv_log_debug(run->log, "dom0 cannot be saved: %s", why.text);
	}
	return run_plain(b, &making, err);
}

static int prepare(struct boot *b, struct pv_error *err)
{
	const struct pv_driver_run *run = b->run;
	long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE), cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (pv_dom0_get(run, &b->dom0, err) < 0 || pv_host_qemu_version(&b->version, err) < 0)
		return -1;
	pv_qemu_machine_for(run->guest->memory, run->guest->vcpus, pages > 0 ? (uint64_t)pages * (uint64_t)page : 0,
			    cpus > 0 ? (unsigned)cpus : 1, &b->machine);
	if (pv_driver_accel(run, &b->dom0, b->version, &b->machine, err) < 0)
		return -1;
	return make_disks(b, err);
}

static int run_driver(const struct pv_driver_run *run, struct pv_error *err)
{
	struct boot b = { .run = run, .dom0.lock_fd = -1, .overlay = -1, .seed = -1, .job = -1, .extra = -1 };
	int rc = prepare(&b, err);

	if (rc == 0)
		rc = run_boot(&b, err);
	boot_done(&b);
	return rc;
}

const struct pv_driver pv_driver_xen_in_qemu = {
	.name = "xen-in-qemu",
	.proves = "the image under a real Xen hypervisor, which runs in QEMU",
	.needs_ns = true,
	.probe = probe,
	.run = run_driver,
};
