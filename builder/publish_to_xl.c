/* SPDX-License-Identifier: Apache-2.0 */
/* A host that runs xl as a target: its address, the image, and conversations until one comes to its end. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "fsutil.h"
#include "proc.h"
#include "publish.h"
#include "publish_xl.h"
#include "sidefiles.h"

#define SCRIPT "xl/receive"
#define SCRIPT_MAX 65536u
#define TRIES 5u			/* in a row that bring nothing: some 15 s */
#define TRIES_ALL 25u			/* of a connection that always breaks after a while */
#define MIB (1u << 20)

struct target {
	struct pv_far_address to;
	char *script;
};

static void free_target(void *self)
{
	struct target *t = self;

	pv_far_address_done(&t->to);
	free(t->script);
	free(t);
}

static int plan(const char *to, const struct pv_publish *what, void **ret, struct pv_error *err)
{
	pv_autofree char *path = pv_path_join(what->scripts_dir, SCRIPT), *script = NULL;
	pv_autofar address = { 0 };

	if (what->nformats && !(what->nformats == 1 && pv_streq(what->formats[0], "raw")))
		return pv_error_set(err, PV_ERR_USAGE, "--format: an xl host takes raw only");
	if (what->machine->name[0] == '.' || what->machine->name[0] == '-')
		return pv_error_set(err, PV_ERR_USAGE, "%s: no name for a domain", what->machine->name);
	if (pv_far_address_parse(to, &address, err) < 0 || pv_read_file(path, SCRIPT_MAX, &script, NULL, err) < 0)
		return -1;
	struct target *t = pv_xmalloc(sizeof(*t));
	*t = (struct target){ .to = address, .script = pv_steal(&script) };
	address = (struct pv_far_address){ 0 };
	*ret = t;
	return 0;
}

struct job {
	const struct target *target;
	struct pv_publish_xl x;
	struct pv_far_blocks blocks;
	char sha256[PV_SHA256_HEX];
	char *disk, *command;
	int fd;
	unsigned tries;
};

static void job_done(struct job *j)
{
	pv_far_blocks_done(&j->blocks);
	free(j->x.config);
	free(j->disk);
	free(j->command);
	pv_closep(&j->fd);
}
#define auto_job __attribute__((cleanup(job_done))) struct job

static void show_reading(void *ctx, uint64_t done, uint64_t total)
{
	const struct job *j = ctx;

	if (j->x.what->progress)
		j->x.what->progress(j->x.what->ctx, "reading", done, total);
}

/* What the bytes are, before anybody is asked. */
static int read_image(struct job *j, struct pv_error *err)
{
	const struct pv_publish *what = j->x.what;

	j->fd = open(what->image, O_RDONLY | O_CLOEXEC);
	if (j->fd < 0)
		return pv_error_errno(err, PV_ERR_STAGE, errno, "%s: cannot open", what->image);
	if (pv_far_blocks_read(j->fd, what->image, show_reading, j, &j->blocks, j->sha256, err) < 0)
		return -1;
	if (j->blocks.size == 0 || j->blocks.size % MIB)
		return pv_error_set(err, PV_ERR_USAGE, "%s: is no whole number of MiB; pvimg export --pad fills it up",
				    what->image);
	if (what->sha256 && !pv_streq(what->sha256, j->sha256))
		return pv_error_set(err, PV_ERR_STAGE, "%s: has the digest %s, not the %s that was verified; verify it again",
				    what->image, j->sha256, what->sha256);
	return 0;
}

/* sh -c TEXT pvimg FOLDER NAME DIGEST SIZE: the far shell sees these words and none else. */
static int make_command(struct job *j, struct pv_error *err)
{
	const struct pv_publish *what = j->x.what;
	pv_autofree char *size = pv_fmt("%llu", (unsigned long long)j->blocks.size);
	const char *const words[] = { "pvimg", j->target->to.folder, what->machine->name, j->sha256, size };
	pv_autostr command = PV_STR_INIT;

	pv_str_add(&command, "exec sh -c ");
	pv_far_quote_text(&command, j->target->script);
	for (size_t i = 0; i < PV_COUNT(words); i++) {
		pv_str_addc(&command, ' ');
		if (pv_far_quote(&command, words[i]) < 0)
			return pv_error_set(err, PV_ERR_USAGE, "--to %s: has control characters", j->target->to.shown);
	}
	j->command = pv_str_steal(&command);
	j->disk = pv_fmt("%s-%.12s.raw", what->machine->name, j->sha256);
	pv_autofree char *path = pv_path_join(j->target->to.folder, j->disk);
	j->x.config = pv_sidefiles_xl(what->machine, path, j->target->to.bridge);
	return 0;
}

/* Sleeps 1, 2, 4, .. seconds; an interrupt ends it. */
static int wait_before(unsigned failed, struct pv_error *err)
{
	const struct timespec ts = { .tv_sec = 1 << (failed - 1) };

	nanosleep(&ts, NULL);
	return pv_proc_check_interrupt(err);
}

/* A try that brought something on does not count. */
static int converse(struct job *j, struct pv_error *err)
{
	const struct pv_publish *what = j->x.what;

	for (unsigned failed = 0;;) {
		pv_autoerror why = PV_ERROR_INIT;
		uint64_t before = j->x.sent;
		bool passing;

		j->tries++;
		if (pv_far_run(&j->target->to, j->command, pv_publish_xl_talk, &j->x, &passing, &why) == 0)
			return 0;
		failed = j->x.sent > before ? 1 : failed + 1;
		if (!passing || failed == TRIES || j->tries == TRIES_ALL || pv_proc_interrupted())
			return pv_error_set(err, why.kind, "%s", why.text ? why.text : "failed");
		pv_autofree char *line = pv_fmt("%s; trying again", why.text);
		if (what->note)
			what->note(what->ctx, line);
		if (wait_before(failed, err) < 0)
			return -1;
	}
}

static int send(void *self, const struct pv_publish *what, struct pv_publish_result *ret, struct pv_error *err)
{
	const struct target *t = self;
	auto_job j = { .target = t, .fd = -1, .x = { .what = what, .to = &t->to } };

	if (read_image(&j, err) < 0 || make_command(&j, err) < 0)
		return -1;
	j.x.fd = j.fd;
	j.x.blocks = &j.blocks;
	j.x.sha256 = j.sha256;
	j.x.disk = j.disk;
	if (converse(&j, err) < 0)
		return -1;
	*ret = (struct pv_publish_result){ .target = pv_xstrdup(t->to.shown), .already = j.x.already, .sent = j.x.sent,
					   .removed = j.x.removed, .tries = j.tries };
	ret->id = pv_steal(&j.disk);
	memcpy(ret->sha256, j.sha256, sizeof(ret->sha256));
	return 0;
}

const struct pv_publish_target pv_target_xl = {
	.scheme = "xl+ssh://", .form = "xl+ssh://[USER@]HOST[:PORT]/FOLDER", .kind = "disk", .starts = true,
	.plan = plan, .send = send, .free = free_target,
};
