/* SPDX-License-Identifier: Apache-2.0 */
/* From an image to a verdict. */
#include "verify.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fsutil.h"
#include "ns.h"
#include "verify_brain.h"
#include "verify_job.h"
#include "workdir.h"

#define CONSOLE_MAX ((size_t)64 << 20)
#define ATTEMPTS 4u
#define SILENCE_MS 60000u

/* One verification: what is made on the way. */
struct verify {
	const struct pv_verify_request *req;
	const struct pv_driver *driver;
	char *why;			/* why this driver */
	struct pv_diskfile disk;
	struct pv_settings settings;
	bool have_settings;
	uint64_t memory, disk_size;
	unsigned vcpus;
	struct pv_evidence seen;
	struct pv_vars driver_facts;
	char sha256[PV_SHA256_HEX];
	char *label;			/* the image's name in the log */
};

static void verify_done(struct verify *v)
{
	pv_freep(&v->why);
	pv_freep(&v->label);
	pv_diskfile_done(&v->disk);
	pv_settings_done(&v->settings);
	pv_evidence_done(&v->seen);
	pv_vars_done(&v->driver_facts);
}

/* --- what is known before the boot --- */

static const char *name_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* "debian-2g.raw" belongs to the manifest of "debian-2g". */
static bool names_image(const char *manifest_name, const char *file)
{
	size_t len = strlen(manifest_name);

	return strncmp(file, manifest_name, len) == 0 && file[len] == '.' && !strchr(file + len + 1, '.');
}

static int read_settings(struct verify *v, struct pv_error *err)
{
	pv_autofree char *folder = pv_path_dir(v->req->image);
	pv_autofree char *manifest = pv_path_join(folder, "manifest.json");
	pv_autosettings found = { 0 };

	if (!pv_exists(manifest))
		return 0;
	if (pv_settings_read(manifest, &found, err) < 0)
		return -1;
	if (!found.name || !names_image(found.name, name_of(v->req->image))) {
		pv_log_info(v->req->log, "%s is of another image: its settings are not checked", manifest);
		return 0;
	}
	v->settings = found;
	found = (struct pv_settings){ 0 };
	v->have_settings = true;
	return 0;
}

static void choose_flavor(struct verify *v)
{
	const struct pv_verify_request *req = v->req;

	v->memory = req->memory ? req->memory : v->have_settings ? v->settings.memory : PV_VERIFY_MEMORY;
	v->vcpus = req->vcpus ? req->vcpus : v->have_settings ? v->settings.vcpus : PV_VERIFY_VCPUS;
	/* whole MiB, as every tool that handles it wants */
	v->disk_size = ((v->disk.size + 0xfffff) & ~(uint64_t)0xfffff) + PV_VERIFY_GROWN;
}

/* *ret_json, *ret_console: paths of the records. */
static int record_paths(const struct verify *v, char **ret_json, char **ret_console, struct pv_error *err)
{
	pv_autofree char *folder = v->req->record_dir ? pv_xstrdup(v->req->record_dir) : pv_path_dir(v->req->image);
	pv_autofree char *prefix = v->have_settings ? pv_xstrdup("") : pv_fmt("%s.", name_of(v->req->image));

	if (access(folder, W_OK) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno,
				      "%s: cannot write the verdict there; name another folder with --out DIR", folder);
	*ret_json = pv_fmt("%s/%sverdict.json", folder, prefix);
	*ret_console = pv_fmt("%s/%sconsole.log", folder, prefix);
	return 0;
}

/* --- the digest, while the guest boots --- */

struct hashing {
	const struct pv_diskfile *disk;
	char hex[PV_SHA256_HEX];
	struct pv_error err;
	int rc;
};

static void *hash(void *arg)
{
	struct hashing *h = arg;

	h->rc = pv_diskfile_digest(h->disk, h->hex, &h->err);
	return NULL;
}

/* --- the boot --- */

static unsigned workers(const struct verify *v)
{
	const char *text = v->have_settings ? pv_vars_get(&v->settings.apache, "MaxRequestWorkers") : NULL;
	uint64_t n;

	return text && pv_parse_u64(text, 1, 100000, &n) == 0 ? (unsigned)n : 0;
}

static int drive(struct verify *v, const struct pv_job *job, const char *work, const char *console,
		 unsigned silence_ms, struct pv_error *err)
{
	pv_autobrain *brain = NULL;
	const struct pv_brain_request think = {
		.nonce = job->nonce, .load = !v->req->no_load, .workers = workers(v),
		.measure = v->req->measure,
		.deadline_s = v->req->deadline_s ? v->req->deadline_s : PV_VERIFY_DEADLINE_S, .silence_ms = silence_ms,
		.console_path = console, .image = v->label, .log = v->req->log,
	};
	if (pv_brain_new(&think, &v->seen, &brain, err) < 0)
		return -1;
	const struct pv_guest guest = {
		.as = v->req->as, .uefi = v->req->uefi, .firmware = v->req->firmware, .memory = v->memory,
		.vcpus = v->vcpus, .disk = &v->disk, .disk_size = v->disk_size, .seed = job->seed,
		.extra_disk = v->req->extra_disk, .job_dir = job->dir, .cmdline = job->cmdline,
	};
	const struct pv_driver_run run = {
		.guest = &guest, .agent = pv_brain_agent(brain), .paths = v->req->paths, .log = v->req->log,
		.work_dir = work, .fresh = v->req->fresh, .jobs = v->req->jobs,
		.offline = v->req->offline, .facts = &v->driver_facts,
	};
	if (v->driver->run(&run, err) < 0)
		return pv_error_wrap(err, "driver %s", v->driver->name);
	return pv_brain_end(brain, err);
}

/* How emulation may have ended this boot, or NULL. A guest that restarts itself ends by a triple fault too. */
static const char *stumble(const struct verify *v)
{
	if (v->seen.silent)
		return "the kernel fell silent";
	if (pv_vars_get(&v->driver_facts, "triple_fault") && !pv_verdict_restarted(&v->seen))
		return "a processor died of a triple fault";
	return NULL;
}

/* Where processors are emulated, a sound guest stumbles now and then early in its kernel (ARCHITECTURE.md): it gets another
 * try, and the verdict says so. A guest that is broken does it each time; the last try has all the time there is. */
static int drive_on(struct verify *v, const struct pv_job *job, const char *work, const char *console,
		    struct pv_error *err)
{
	bool emulated = v->driver == &pv_driver_xen_in_qemu;

	for (unsigned attempt = 1; ; attempt++) {
		bool last = attempt == ATTEMPTS;
		if (drive(v, job, work, console, emulated && !last ? SILENCE_MS : 0, err) < 0)
			return -1;
		const char *how = stumble(v), *accelerator = pv_vars_get(&v->driver_facts, "accelerator");
		if (attempt > 1)
			pv_vars_setf(&v->driver_facts, "attempts", "%u", attempt);
		if (last || !how || (!v->seen.silent && !pv_streq(accelerator, "tcg")))
			return 0;
		pv_log_warn(v->req->log, "%s: %s, which emulation may have caused; once more", v->label, how);
		pv_evidence_done(&v->seen);
		pv_vars_done(&v->driver_facts);
		v->seen = (struct pv_evidence){ 0 };
		v->driver_facts = (struct pv_vars){ 0 };
	}
}

/* Boots and hashes side by side. */
static int drive_and_hash(struct verify *v, const struct pv_job *job, const char *work, const char *console,
			  struct pv_error *err)
{
	struct hashing h = { .disk = &v->disk };
	pthread_t thread;
	int rc, started = pthread_create(&thread, NULL, hash, &h);

	if (started != 0)
		return pv_error_errno(err, PV_ERR_HOST, started, "cannot make a thread");
	rc = drive_on(v, job, work, console, err);
	pthread_join(thread, NULL);
	if (rc == 0 && h.rc < 0)
		rc = pv_error_set(err, h.err.kind, "%s", h.err.text);
	pv_error_clear(&h.err);
	memcpy(v->sha256, h.hex, sizeof(v->sha256));
	return rc;
}

/* --- the verdict --- */

static int write_records(struct verify *v, const char *console, struct pv_verify_result *ret, struct pv_error *err)
{
	struct pv_verdict_run run = {
		.driver = v->driver->name, .driver_why = v->why, .proves = v->driver->proves,
		.driver_facts = &v->driver_facts, .image = name_of(v->req->image),
		.format = pv_disk_format_name(v->disk.format), .memory = v->memory, .disk_size = v->disk_size,
		.vcpus = v->vcpus, .console_log = name_of(ret->console_path),
	};
	pv_autofree char *log = NULL;
	size_t len = 0;

	memcpy(run.image_sha256, v->sha256, sizeof(run.image_sha256));
	if (pv_read_file(console, CONSOLE_MAX, &log, &len, err) < 0)
		return -1;
	ret->json = pv_verdict_json(&ret->verdict, &run);
	ret->text = pv_verdict_text(&ret->verdict, &run, v->req->color);
	if (pv_write_file(ret->console_path, log, len, 0644, err) < 0)
		return -1;
	return pv_write_file(ret->json_path, ret->json, strlen(ret->json), 0644, err);
}

static void take_vars(struct pv_vars *into, const char *prefix, const struct pv_vars *from)
{
	for (size_t i = 0; i < from->n; i++) {
		pv_autofree char *name = pv_fmt("%s.%s", prefix, from->v[i].name);
		pv_vars_set(into, name, from->v[i].value);
	}
}

static void take_measured(const struct verify *v, struct pv_vars *ret)
{
	take_vars(ret, "guest", &v->seen.probe);
	take_vars(ret, "dom0", &v->seen.dom0);
	take_vars(ret, "driver", &v->driver_facts);
	take_vars(ret, "seen", &v->seen.measured);
	take_vars(ret, "outside", &v->seen.outside);
	pv_vars_set(ret, "run.image_sha256", v->sha256);
	pv_vars_set(ret, "run.format", pv_disk_format_name(v->disk.format));
	pv_vars_set(ret, "run.driver", v->driver->name);
	pv_vars_set(ret, "run.why", v->why ? v->why : "");
	pv_vars_setf(ret, "run.memory", "%llu", (unsigned long long)v->memory);
	pv_vars_setf(ret, "run.vcpus", "%u", v->vcpus);
}

static void judge(struct verify *v, struct pv_verdict *ret)
{
	const char *reference = pv_vars_get(&v->driver_facts, "reference_ms");
	struct pv_expect expect = {
		.settings = v->have_settings ? &v->settings : NULL, .memory = v->memory, .vcpus = v->vcpus,
		.disk_size = v->disk_size, .boot_budget = v->have_settings ? v->settings.boot_budget : 0,
		.no_dom0 = v->driver == &pv_driver_kvm_xen,
	};

	if (reference && pv_parse_u64(reference, 1, UINT64_MAX, &expect.reference_ms) < 0)
		expect.reference_ms = 0;
	pv_verdict_judge(&v->seen, &expect, ret);
}

static int verify_in(struct verify *v, const char *work, struct pv_verify_result *ret, struct pv_error *err)
{
	pv_autojob job = { .dir = NULL };
	pv_autofree char *console = pv_path_join(work, "console.log");

	if (pv_job_make(v->req, v->have_settings ? &v->settings : NULL, work, &job, err) < 0 ||
	    drive_and_hash(v, &job, work, console, err) < 0)
		return -1;
	judge(v, &ret->verdict);
	if (v->req->measure) {
		take_measured(v, &ret->measured);
		return 0;
	}
	return write_records(v, console, ret, err);
}

static int verify(struct verify *v, struct pv_verify_result *ret, struct pv_error *err)
{
	pv_autoworkdir work = PV_WORKDIR_INIT;

	if (pv_diskfile_open(v->req->image, v->req->format, &v->disk, err) < 0 || read_settings(v, err) < 0)
		return -1;
	choose_flavor(v);
	const struct pv_guest guest = {
		.as = v->req->as, .uefi = v->req->uefi, .firmware = v->req->firmware, .memory = v->memory,
		.vcpus = v->vcpus, .disk = &v->disk, .disk_size = v->disk_size,
	};
	if (pv_driver_choose(v->req->driver, &guest, &v->driver, &v->why, err) < 0 ||
	    record_paths(v, &ret->json_path, &ret->console_path, err) < 0)
		return -1;
	if ((v->driver->needs_ns && pv_ns_enter(err) < 0) ||
	    pv_workdir_create(v->req->paths->cache_dir, "verify", 0, &work, err) < 0)
		return -1;
	return verify_in(v, work.path, ret, err);
}

int pv_verify_possible(const struct pv_verify_request *req, uint64_t memory, struct pv_error *err)
{
	const struct pv_driver *driver;
	const struct pv_guest guest = {
		.as = req->as, .uefi = req->uefi, .firmware = req->firmware, .memory = memory, .vcpus = PV_VERIFY_VCPUS,
	};
	pv_autofree char *why = NULL;

	return pv_driver_choose(req->driver, &guest, &driver, &why, err);
}

int pv_verify(const struct pv_verify_request *req, struct pv_verify_result *ret, struct pv_error *err)
{
	struct verify v = { .req = req, .disk = PV_DISKFILE_INIT, .label = pv_xstrdup(name_of(req->image)) };
	pv_autoverified res = { .json = NULL };

	v.label[strcspn(v.label, ".")] = '\0';
	int rc = verify(&v, &res, err);
	verify_done(&v);
	if (rc < 0)
		return pv_error_wrap(err, "verify");
	*ret = res;
	res = (struct pv_verify_result){ .json = NULL };
	return 0;
}

void pv_verify_result_done(struct pv_verify_result *res)
{
	pv_verdict_done(&res->verdict);
	pv_freep(&res->json_path);
	pv_freep(&res->console_path);
	pv_freep(&res->json);
	pv_freep(&res->text);
	pv_vars_done(&res->measured);
}
