/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of publishing to OpenStack: make the file, log in, look, send, compare, name, tidy. */
#include "publish_glance.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "glance.h"
#include "proc.h"
#include "publish_file.h"

#define TRIES 4u
#define FIRST_PAUSE_MS 2000u		/* then twice as long each time */
#define POLL_MS 1000u
#define ACTIVE_POLLS 600u		/* some stores copy on after the last byte; ten minutes are enough or it hangs */
#define LEFT_SECONDS (24 * 3600)	/* an upload whose record nobody touched for so long has nobody any more */
#define UPLOADING ".uploading-"

struct job {
	const struct pv_publish_glance *req;
	const char *name;
	struct pv_publish_file file;
	struct pv_glance g;
	char id[37];
	struct pv_glance_image image;		/* what the service says of ours */
	bool touched;				/* something of ours may be there */
};

static void job_done(struct job *j)
{
	pv_publish_file_done(&j->file);
	pv_glance_close(&j->g);
	pv_glance_image_done(&j->image);
}
#define auto_job __attribute__((cleanup(job_done))) struct job

static void show(const struct job *j, const char *step, uint64_t done, uint64_t total)
{
	if (j->req->what->progress)
		j->req->what->progress(j->req->what->ctx, step, done, total);
}

static void show_reading(void *ctx, uint64_t done, uint64_t total)
{
	show(ctx, "reading", done, total);
}

static void show_sending(void *ctx, uint64_t done, uint64_t total)
{
	show(ctx, "sending", done, total);
}

static void note(const struct job *j, const char *line)
{
	if (j->req->what->note)
		j->req->what->note(j->req->what->ctx, line);
}

static const char *disk_format(const struct job *j)
{
	if (pv_streq(j->req->format, "vhd-tar-gz"))
		return "vhd";
	return pv_streq(j->req->format, "raw") ? "raw" : "qcow2";
}

static const char *container_format(const struct job *j)
{
	return pv_streq(j->req->format, "vhd-tar-gz") ? "ovf" : "bare";
}

/* --- what is there --- */

static bool is_uploading(const struct pv_glance_image *i, const char *name)
{
	return pv_starts(i->name, name) && pv_starts(i->name + strlen(name), UPLOADING);
}

/* One that whoever looks by name gets. */
static bool is_published(const struct pv_glance_image *i, const char *name)
{
	return pv_streq(i->name, name) && pv_streq(i->status, "active");
}

/* The newest is this very image in this very form. */
static int look(struct job *j, struct pv_publish_result *ret, struct pv_error *err)
{
	pv_autoglanceimages there = { 0 };

	if (pv_glance_list(&j->g, j->name, false, &there, err) < 0)
		return -1;
	for (size_t k = 0; k < there.n; k++) {
		const struct pv_glance_image *i = &there.v[k];

		if (!is_published(i, j->name))
			continue;
		ret->already = pv_streq(i->sha256, j->file.sha256) && i->size == j->file.size &&
			       pv_streq(i->disk_format, disk_format(j)) &&
			       pv_streq(i->container_format, container_format(j));
		if (ret->already)
			ret->id = pv_xstrdup(i->id);
		return 0;
	}
	return 0;
}

/* --- sending --- */

static int make_id(struct job *j, struct pv_error *err)
{
	uint8_t raw[16];

	if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
		return pv_error_errno(err, PV_ERR_HOST, errno, "getrandom");
	raw[6] = (uint8_t)((raw[6] & 0x0f) | 0x40);		/* RFC 9562, version 4 */
	raw[8] = (uint8_t)((raw[8] & 0x3f) | 0x80);
	pv_uuid_text(raw, j->id);
	return 0;
}

static int create(struct job *j, struct pv_error *err)
{
	if (make_id(j, err) < 0)
		return -1;
	pv_autofree char *label = pv_fmt("%s" UPLOADING "%.8s", j->name, j->id);
	const struct pv_glance_new new = { .id = j->id,
					   .name = label,
					   .disk_format = disk_format(j),
					   .container_format = container_format(j),
					   .visibility = j->req->visibility,
					   .sha256 = j->file.sha256,
					   .machine = j->req->what->machine,
					   .disk_size = j->file.disk_size };
	pv_autofree char *body = pv_glance_new(&new);
	j->touched = true;
	pv_glance_image_done(&j->image);
	memset(&j->image, 0, sizeof(j->image));
	if (pv_glance_create(&j->g, j->id, body, &j->image, err) < 0)
		return -1;
	if (!pv_streq(j->image.id, j->id))
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: it does not take our id for the new image", j->g.base);
	return 0;
}

static int refresh(struct job *j, struct pv_error *err)
{
	struct pv_glance_image now;

	if (pv_glance_show(&j->g, j->id, &now, err) < 0)
		return -1;
	pv_glance_image_done(&j->image);
	j->image = now;
	return 0;
}

/* Creates and sends. A connection that breaks after the last byte takes an answer along: what counts is the record. */
static int send_once(struct job *j, struct pv_error *err)
{
	const struct pv_glance_data data = { .id = j->id, .fd = j->file.fd, .size = j->file.size,
					     .progress = show_sending, .ctx = j };

	if (create(j, err) < 0) {
		j->g.may_pass = false;			/* it was tried often enough */
		return -1;
	}
	int rc = pv_glance_upload(&j->g, &data, err);
	if (rc == 0 || !j->g.may_pass || pv_proc_interrupted())
		return rc;
	pv_autoerror own = PV_ERROR_INIT;
	if (refresh(j, &own) == 0 && pv_streq(j->image.status, "active")) {
		pv_error_clear(err);
		return 0;
	}
	j->g.may_pass = true;
	return -1;
}

/* What is left of a try or of this run goes. */
static int tidy(struct job *j, struct pv_error *err)
{
	if (!j->touched)
		return 0;
	if (pv_glance_delete(&j->g, j->id, err) < 0)
		return -1;
	j->touched = false;
	return 0;
}

static int send(struct job *j, unsigned *ret_tries, struct pv_error *err)
{
	unsigned pause = FIRST_PAUSE_MS;

	for (unsigned i = 1;; i++, pause *= 2) {
		*ret_tries = i;
		if (send_once(j, err) == 0)
			return 0;
		if (!j->g.may_pass || i == TRIES || pv_proc_interrupted())
			return -1;
		pv_autofree char *line = pv_fmt("%s; trying again in %u s", err->text, pause / 1000);
		note(j, line);
		pv_error_clear(err);
		if (tidy(j, err) < 0 || pv_glance_pause(&j->g, pause, err) < 0)
			return -1;
	}
}

/* --- what has arrived --- */

static int wait_active(struct job *j, struct pv_error *err)
{
	static const char *const meanwhile[] = { "queued", "saving", "uploading", "importing" };
	bool waiting;

	for (unsigned n = 0; n < ACTIVE_POLLS; n++) {
		if (refresh(j, err) < 0)
			return -1;
		if (pv_streq(j->image.status, "active"))
			return 0;
		waiting = false;
		for (size_t i = 0; i < PV_COUNT(meanwhile); i++)
			waiting = waiting || pv_streq(j->image.status, meanwhile[i]);
		if (!waiting)
			break;
		if (pv_glance_pause(&j->g, POLL_MS, err) < 0)
			return -1;
	}
	pv_autofree char *shown = pv_printable(j->image.status, strnlen(j->image.status, 40));
	return pv_error_set(err, PV_ERR_ARCHIVE, "%s: the image was sent and does not become active, it is \"%s\"", j->g.base,
			    shown);
}

/* By the service's own hash, else by MD5, which old ones have alone. */
static int compare(struct job *j, struct pv_error *err)
{
	const struct pv_glance_image *i = &j->image;
	const char *theirs = *i->hash_value ? i->hash_value : i->checksum;
	pv_autofree char *ours = NULL;

	if (i->size != j->file.size)
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: the image has %llu bytes there, %llu were sent", j->g.base,
				    (unsigned long long)i->size, (unsigned long long)j->file.size);
	if (pv_publish_file_hash(&j->file, *i->hash_value ? i->hash_algo : "md5", &ours, err) < 0)
		return -1;
	if (!ours || !*theirs)
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: it says no digest of the image that can be compared", j->g.base);
	if (!pv_streq(ours, theirs))
		return pv_error_set(err, PV_ERR_ARCHIVE, "%s: the image there has another digest than what was sent",
				    j->g.base);
	return 0;
}

/* A raw disk is sent from the image's own file: the bytes there are those of the file now, and it is what it was. */
static int check_unchanged(const struct job *j, struct pv_error *err)
{
	pv_autofree char *now = NULL;

	if (!pv_streq(j->req->format, "raw"))
		return 0;
	if (pv_publish_file_hash(&j->file, "sha256", &now, err) < 0)
		return -1;
	if (pv_streq(now, j->file.sha256))
		return 0;
	return pv_error_set(err, PV_ERR_STAGE, "%s: changed while it was sent", j->req->what->image);
}

/* From here on it counts. */
static int name_it(struct job *j, struct pv_error *err)
{
	pv_autoglanceimages there = { 0 };

	if (pv_glance_list(&j->g, j->name, false, &there, err) < 0)
		return -1;
	pv_autofree char *body = pv_glance_patch_name(j->name, there.n ? there.v[0].serial + 1 : 1);
	return pv_glance_patch(&j->g, j->id, body, err);
}

/* --- older ones --- */

/* Of a run that was killed: by the service's own clock alone. */
static bool is_left(const struct job *j, const struct pv_glance_image *i)
{
	return is_uploading(i, j->name) && i->updated && j->image.updated - i->updated > LEFT_SECONDS;
}

static bool is_same_owner(const struct job *j, const struct pv_glance_image *i)
{
	return pv_streq(i->owner, j->image.owner);
}

static int drop_one(struct job *j, const struct pv_glance_image *i, struct pv_publish_result *ret, struct pv_error *err)
{
	pv_autofree char *body = NULL;

	if (j->req->old == PV_GLANCE_DELETE) {
		ret->removed++;
		return pv_glance_delete(&j->g, i->id, err);
	}
	pv_autofree char *line = pv_fmt("the older image %s is hidden now", i->id);
	body = pv_glance_patch_hidden();
	if (pv_glance_patch(&j->g, i->id, body, err) < 0)
		return -1;
	note(j, line);
	return 0;
}

/* place: how many newer ones there are. */
static int drop_of(struct job *j, const struct pv_glance_images *there, unsigned *place, struct pv_publish_result *ret,
		   struct pv_error *err)
{
	for (size_t k = 0; k < there->n; k++) {
		const struct pv_glance_image *i = &there->v[k];

		if (!is_same_owner(j, i))
			continue;
		if (is_left(j, i) && pv_glance_delete(&j->g, i->id, err) < 0)
			return -1;
		if (j->req->old == PV_GLANCE_KEEP || !is_published(i, j->name) || (*place)++ < j->req->keep)
			continue;
		if (drop_one(j, i, ret, err) < 0)
			return -1;
	}
	return 0;
}

static int drop_older(struct job *j, struct pv_publish_result *ret, struct pv_error *err)
{
	pv_autoglanceimages there = { 0 }, hidden = { 0 };
	unsigned place = 0;

	if (pv_glance_list(&j->g, j->name, false, &there, err) < 0 || drop_of(j, &there, &place, ret, err) < 0)
		return -1;
	if (j->req->old != PV_GLANCE_DELETE)
		return 0;
	if (pv_glance_list(&j->g, j->name, true, &hidden, err) < 0)
		return -1;
	return drop_of(j, &hidden, &place, ret, err);
}

/* --- the whole --- */

static int measure(struct job *j, struct pv_error *err)
{
	const struct pv_publish *what = j->req->what;

	if (pv_publish_file_make(what->image, what->machine, j->req->format, show_reading, j, &j->file, err) < 0)
		return -1;
	if (what->sha256 && !pv_streq(what->sha256, j->file.sha256))
		return pv_error_set(err, PV_ERR_STAGE, "%s: has SHA-256 %s, not the %s that was verified", what->image,
				    j->file.sha256, what->sha256);
	return 0;
}

static int send_and_name(struct job *j, struct pv_publish_result *ret, struct pv_error *err)
{
	if (send(j, &ret->tries, err) < 0 || wait_active(j, err) < 0 || compare(j, err) < 0 || check_unchanged(j, err) < 0 ||
	    name_it(j, err) < 0)
		return -1;
	ret->sent = j->file.size;
	ret->id = pv_xstrdup(j->id);
	return 0;
}

/* The error stays the one that is there; an interrupt does not stop this. */
static void tidy_after_failure(struct job *j, struct pv_error *err)
{
	pv_autoerror own = PV_ERROR_INIT;

	if (!j->touched)
		return;
	pv_wire_tidying(j->g.wire);
	if (tidy(j, &own) == 0)
		return;
	pv_autofree char *words = pv_steal(&err->text);
	(void)pv_error_set(err, err->kind, "%s; what was sent could not be removed (%s): remove the image %s by hand",
			   words ? words : "failed", own.text, j->id);
}

static int run(struct job *j, struct pv_publish_result *ret, struct pv_error *err)
{
	const struct pv_publish_glance *req = j->req;
	const struct pv_publish *what = req->what;

	if (measure(j, err) < 0)
		return -1;
	if (pv_glance_open(req->cloud, req->endpoint, &what->trust, &j->g, err) < 0 || look(j, ret, err) < 0)
		return -1;
	memcpy(ret->sha256, j->file.sha256, sizeof(ret->sha256));
	if (ret->already)
		return 0;
	if (send_and_name(j, ret, err) < 0) {
		tidy_after_failure(j, err);
		return -1;
	}
	if (drop_older(j, ret, err) < 0)
		return pv_error_wrap(err, "%s is published as %s, but older ones are still there", j->name, j->id);
	return 0;
}

int pv_publish_glance(const struct pv_publish_glance *req, struct pv_publish_result *ret, struct pv_error *err)
{
	auto_job j = { .req = req, .name = req->what->machine->name, .file = PV_PUBLISH_FILE_INIT };
	struct pv_publish_result result = { 0 };
	pv_autoerror own = PV_ERROR_INIT;
	int rc = run(&j, &result, &own);

	if (rc == 0) {
		*ret = result;
	} else {
		pv_publish_result_done(&result);
		(void)pv_error_set(err, own.kind, "%s", own.text);
	}
	return rc;
}
