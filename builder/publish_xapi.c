/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of publishing to a pool: measure, log in, look, send, check, name, tidy. */
#include "publish_xapi.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fsutil.h"
#include "proc.h"
#include "publish_file.h"
#include "publish_xapi_vhd.h"
#include "version.h"
#include "xapi.h"
#include "xva_stream.h"

#define TRIES 4u
#define FIRST_PAUSE_MS 2000u		/* then twice as long each time */
#define UPLOADING ".uploading-"

struct job {
	const struct pv_publish_xapi *req;
	int fd;
	char *label;			/* the name until it is whole: of this run alone */
	char *words;
	struct pv_xva_machine vm;
	struct pv_xva_source src;
	struct pv_xva_measure measure;	/* or the VHD's size, and the digest */
	int vhd_fd;			/* -1: an XVA is sent */
	struct pv_xapi x;
	char *sr;
	bool touched;			/* something of ours may be on the host */
};

static void job_done(struct job *j)
{
	pv_xapi_close(&j->x);
	pv_closep(&j->fd);
	pv_closep(&j->vhd_fd);
	free(j->label);
	free(j->words);
	free(j->sr);
}

void pv_publish_xapi_result_done(struct pv_publish_xapi_result *r)
{
	pv_freep(&r->uuid);
	pv_freep(&r->base);
}

static void show_reading(void *ctx, uint64_t done, uint64_t total)
{
	const struct job *j = ctx;

	if (j->req->progress)
		j->req->progress(j->req->ctx, "reading", done, total);
}

static void show_sending(void *ctx, uint64_t done, uint64_t total)
{
	const struct job *j = ctx;

	if (j->req->progress)
		j->req->progress(j->req->ctx, "sending", done, total);
}

static void note(const struct job *j, const char *line)
{
	if (j->req->note)
		j->req->note(j->req->ctx, line);
}

/* --- the image --- */

static int make_label(struct job *j, struct pv_error *err)
{
	uint8_t raw[8];

	if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
		return pv_error_errno(err, PV_ERR_HOST, errno, "getrandom");
	j->label = pv_fmt("%s" UPLOADING "%02x%02x%02x%02x%02x%02x%02x%02x", j->req->machine->name, raw[0], raw[1], raw[2],
			  raw[3], raw[4], raw[5], raw[6], raw[7]);
	return 0;
}

static int open_image(struct job *j, struct pv_error *err)
{
	const char *image = j->req->image;
	struct stat st;

	j->fd = open(image, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (j->fd < 0 || fstat(j->fd, &st) < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot open the image", image);
	if (!S_ISREG(st.st_mode))
		return pv_error_set(err, PV_ERR_STAGE, "%s: is no file", image);
	if (st.st_size == 0 || (uint64_t)st.st_size % PV_XVA_CHUNK)
		return pv_error_set(err, PV_ERR_USAGE, "%s: its %llu bytes are no whole number of MiB; pvimg export "
				    "--format raw --pad makes such an image", image, (unsigned long long)st.st_size);
	j->vm.disk_size = (uint64_t)st.st_size;
	return 0;
}

static int make_vhd(struct job *j, struct pv_error *err)
{
	struct pv_publish_file vhd;

	if (pv_publish_file_make(j->req->image, j->req->machine, "vhd", show_reading, j, &vhd, err) < 0)
		return -1;
	j->vhd_fd = vhd.fd;
	j->measure.size = vhd.size;
	j->vm.disk_size = vhd.disk_size;
	memcpy(j->measure.sha256, vhd.sha256, sizeof(j->measure.sha256));
	return 0;
}

static int read_image(struct job *j, struct pv_error *err)
{
	return j->req->vhd ? make_vhd(j, err) : pv_xva_measure(&j->src, &j->measure, err);
}

/* Everything that can be wrong here is found before the host is asked anything. */
static int measure(struct job *j, struct pv_error *err)
{
	const struct pv_machine *m = j->req->machine;

	j->words = pv_machine_description(m);
	if (make_label(j, err) < 0 || open_image(j, err) < 0)
		return -1;
	j->vm.name = j->label;
	j->vm.description = j->words;
	j->vm.memory = m->memory;
	j->vm.vcpus = m->vcpus;
	j->vm.seed = m->seed;
	j->src = (struct pv_xva_source){
		.fd = j->fd, .name = j->req->image, .machine = &j->vm, .progress = show_reading, .progress_ctx = j
	};
	if (read_image(j, err) < 0)
		return -1;
	if (j->req->sha256 && !pv_streq(j->req->sha256, j->measure.sha256))
		return pv_error_set(err, PV_ERR_STAGE, "%s: has SHA-256 %s, not the %s that was verified", j->req->image,
				    j->measure.sha256, j->req->sha256);
	if (!*j->vm.seed)
		j->vm.seed = j->measure.sha256;		/* ids have the same length whatever they come from */
	return 0;
}

/* --- sending --- */

static int send_vhd(struct job *j, char **ret_vm, struct pv_error *err)
{
	const struct pv_publish_vhd v = { .sr = j->sr,
					  .label = j->label,
					  .machine = j->req->machine,
					  .disk_size = j->vm.disk_size,
					  .vhd_size = j->measure.size,
					  .vhd_fd = j->vhd_fd,
					  .progress = show_sending,
					  .ctx = j };

	j->touched = true;
	return pv_publish_vhd_send(&j->x, &v, ret_vm, err);
}

static int send_xva(struct job *j, char **ret_vm, struct pv_error *err)
{
	pv_autofree char *query = pv_fmt("sr_id=%s", j->sr), *base = NULL, *result = NULL;
	struct pv_xva_stream *stream;
	char sha256[PV_SHA256_HEX];
	pv_autoerror own = PV_ERROR_INIT;
	pv_autostrv vms = PV_STRV_INIT;

	if (pv_xapi_probe(&j->x, "/import", query, &base, err) < 0 || pv_xva_stream_begin(&j->src, &stream, err) < 0)
		return -1;
	j->touched = true;
	const struct pv_xapi_upload upload = { .path = "/import",
					       .query = query,
					       .size = j->measure.size,
					       .fd = pv_xva_stream_fd(stream),
					       .progress = show_sending,
					       .progress_ctx = j };
	int rc = pv_xapi_upload(&j->x, base, &upload, &result, err);
	int made = pv_xva_stream_end(stream, sha256, &own);
	bool changed = made == 0 && !pv_streq(sha256, j->measure.sha256);
	if (rc < 0 && !changed && (err->kind != PV_ERR_STAGE || made == 0))
		return -1;
	j->x.may_pass = false;
	if (changed)
		return pv_error_set(err, PV_ERR_STAGE, "%s: changed while it was sent", j->req->image);
	if (made < 0)
		return pv_error_set(err, own.kind, "%s", own.text);
	pv_xapi_refs_of_result(result, &vms);
	if (vms.n != 1)
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: the import made %zu VMs, one was sent", j->x.base, vms.n);
	*ret_vm = pv_xstrdup(vms.v[0]);
	return 0;
}

/* What is left of a try or of this run goes; an interrupt does not stop that. */
static int tidy(struct job *j, struct pv_error *err)
{
	return j->touched ? pv_xapi_drop_named(&j->x, j->label, err) : 0;
}

/* *ret_vm is the VM that the host made of it. */
static int send(struct job *j, char **ret_vm, unsigned *ret_tries, struct pv_error *err)
{
	unsigned pause = FIRST_PAUSE_MS;

	for (unsigned i = 1;; i++, pause *= 2) {
		pv_error_clear(err);
		*ret_tries = i;
		if ((j->req->vhd ? send_vhd(j, ret_vm, err) : send_xva(j, ret_vm, err)) == 0)
			return 0;
		if (!j->x.may_pass || i == TRIES || pv_proc_interrupted())
			return -1;
		pv_autofree char *line = pv_fmt("%s; trying again in %u s", err->text, pause / 1000);
		note(j, line);
		pv_error_clear(err);
		if (tidy(j, err) < 0 || pv_xapi_pause(&j->x, pause, err) < 0)
			return -1;
	}
}

/* --- what has arrived gets its name --- */

static int check_disk(struct job *j, const char *vm, struct pv_error *err)
{
	pv_autostrv disks = PV_STRV_INIT;
	pv_autojson *record = NULL;

	if (pv_xapi_disks(&j->x, vm, &disks, err) < 0)
		return -1;
	if (disks.n != 1)
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: the imported VM has %zu disks, one was sent", j->x.base,
				    disks.n);
	if (pv_xapi_call_ref(&j->x, "VDI.get_record", disks.v[0], NULL, &record, err) < 0)
		return -1;
	uint64_t size = pv_xapi_number(record, "virtual_size");
	if (size < j->vm.disk_size)		/* some storages round up */
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: the imported disk has %llu bytes, not %llu", j->x.base,
				    (unsigned long long)size, (unsigned long long)j->vm.disk_size);
	return pv_xapi_call_ref(&j->x, "VDI.set_name_label", disks.v[0], j->req->machine->name, NULL, err);
}

static bool is_uploading(const struct pv_xapi_template *t, const char *name)
{
	return pv_starts(t->label, name) && pv_starts(t->label + strlen(name), UPLOADING);
}

static int name_it(struct job *j, const char *vm, struct pv_error *err)
{
	const char *name = j->req->machine->name;
	pv_autotemplates there = { 0 };

	if (check_disk(j, vm, err) < 0 || pv_xapi_templates(&j->x, name, &there, err) < 0)
		return -1;
	pv_autofree char *serial = pv_fmt("%llu", (unsigned long long)(there.n ? there.v[0].serial + 1 : 1));
	if (pv_xapi_note(&j->x, vm, PV_XAPI_KEY_NAME, name, err) < 0 ||
	    pv_xapi_note(&j->x, vm, PV_XAPI_KEY_SHA256, j->measure.sha256, err) < 0 ||
	    pv_xapi_note(&j->x, vm, PV_XAPI_KEY_SERIAL, serial, err) < 0 ||
	    pv_xapi_note(&j->x, vm, PV_XAPI_KEY_VERSION, PV_VERSION, err) < 0 ||
	    pv_xapi_call(&j->x, "VM.set_is_a_template", json_pack("[s, b]", vm, 1), NULL, err) < 0)
		return -1;
	/* the moment from which it counts */
	return pv_xapi_call_ref(&j->x, "VM.set_name_label", vm, name, NULL, err);
}

/* --- older ones --- */

static int drop_older(struct job *j, unsigned *ret_removed, struct pv_error *err)
{
	const char *name = j->req->machine->name;
	pv_autotemplates there = { 0 };
	unsigned place = 0;

	if (pv_xapi_templates(&j->x, name, &there, err) < 0)
		return -1;
	for (size_t i = 0; i < there.n; i++) {
		const struct pv_xapi_template *t = &there.v[i];

		if (is_uploading(t, name))		/* another publisher's, at this moment */
			continue;
		pv_autofree char *older = pv_fmt("%s (older, %llu)", name, (unsigned long long)t->serial);
		if (place > 0 && pv_streq(t->label, name) &&
		    pv_xapi_call_ref(&j->x, "VM.set_name_label", t->ref, older, NULL, err) < 0)
			return -1;
		if (place++ < j->req->keep)
			continue;
		if (pv_xapi_drop_vm(&j->x, t->ref, err) < 0)
			return -1;
		(*ret_removed)++;
	}
	return 0;
}

/* --- the whole --- */

static bool is_there(const struct job *j, const struct pv_xapi_templates *t)
{
	for (size_t i = 0; i < t->n; i++)
		if (!is_uploading(&t->v[i], j->req->machine->name))
			return pv_streq(t->v[i].sha256, j->measure.sha256) &&
			       pv_streq(t->v[i].label, j->req->machine->name);
	return false;
}

static int look(struct job *j, struct pv_publish_xapi_result *ret, struct pv_error *err)
{
	pv_autotemplates there = { 0 };

	if (pv_xapi_templates(&j->x, j->req->machine->name, &there, err) < 0)
		return -1;
	ret->already = is_there(j, &there);
	for (size_t i = 0; i < there.n && ret->already && !ret->uuid; i++)
		if (pv_streq(there.v[i].sha256, j->measure.sha256))
			ret->uuid = pv_xstrdup(there.v[i].uuid);
	return ret->already ? 0 : pv_xapi_find_sr(&j->x, j->req->sr, &j->sr, err);
}

static int send_and_name(struct job *j, struct pv_publish_xapi_result *ret, struct pv_error *err)
{
	pv_autofree char *vm = NULL;
	pv_autojson *uuid = NULL;

	if (send(j, &vm, &ret->tries, err) < 0 || pv_xapi_call_ref(&j->x, "VM.get_uuid", vm, NULL, &uuid, err) < 0 ||
	    name_it(j, vm, err) < 0)
		return -1;
	/* a call that was made twice because its first answer was lost may have made two of something */
	if (tidy(j, err) < 0)
		return -1;
	ret->sent = j->measure.size;
	ret->uuid = pv_xstrdup(json_string_value(uuid));
	return 0;
}

/* The error stays the one that is there. */
static void tidy_after_failure(struct job *j, struct pv_error *err)
{
	pv_autoerror own = PV_ERROR_INIT;

	if (!j->touched)
		return;
	pv_wire_tidying(j->x.wire);
	if (tidy(j, &own) == 0)
		return;
	pv_autofree char *words = pv_steal(&err->text);
	(void)pv_error_set(err, err->kind, "%s; what was sent could not be removed (%s): remove the VM %s by hand",
			   words ? words : "failed", own.text, j->label);
}

static int run(struct job *j, struct pv_publish_xapi_result *ret, struct pv_error *err)
{
	const struct pv_publish_xapi *req = j->req;

	if (measure(j, err) < 0 || pv_xapi_open(req->host, &req->trust, req->user, req->password, &j->x, err) < 0 ||
	    look(j, ret, err) < 0)
		return -1;
	memcpy(ret->sha256, j->measure.sha256, sizeof(ret->sha256));
	ret->base = pv_xstrdup(j->x.base);
	if (!ret->already && send_and_name(j, ret, err) < 0) {
		tidy_after_failure(j, err);
		return -1;
	}
	if (drop_older(j, &ret->removed, err) < 0)
		return pv_error_wrap(err, "%s is published as %s, but older ones are still there", req->machine->name,
				     ret->uuid);
	return 0;
}

int pv_publish_xapi(const struct pv_publish_xapi *req, struct pv_publish_xapi_result *ret, struct pv_error *err)
{
	struct job j = { .req = req, .fd = -1, .vhd_fd = -1 };
	struct pv_publish_xapi_result result = { 0 };
	pv_autoerror own = PV_ERROR_INIT;
	int rc = run(&j, &result, &own);

	if (rc == 0) {
		*ret = result;
	} else {
		pv_publish_xapi_result_done(&result);
		(void)pv_error_set(err, own.kind, "%s", own.text);
	}
	job_done(&j);
	return rc;
}
