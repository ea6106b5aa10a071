/* SPDX-License-Identifier: Apache-2.0 */
/* Collects what happened in one run and writes it as JSON. */
#include "report.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "clock.h"
#include "fsutil.h"
#include "text.h"
#include "version.h"

#define REPORT_MAX_CHILDREN 10000	/* a run has some dozens */

struct pv_report {
	json_t *root;			/* without what is known only when it is written */
	json_t *stages, *children, *artifacts, *findings, *numbers;	/* borrowed from root */
	json_t *stage;			/* the open one, borrowed from stages; NULL: none */
	uint64_t started, stage_started;
};

/* Text from outside may be no UTF-8, which jansson refuses. */
static json_t *text_json(const char *text)
{
	pv_autofree char *clean = pv_printable(text, strlen(text));

	return json_string(clean);
}

static json_t *number_json(uint64_t value)
{
	return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

static json_t *add_array(json_t *root, const char *key)
{
	json_t *array = json_array();

	json_object_set_new(root, key, array);
	return array;
}

struct pv_report *pv_report_new(const char *name)
{
	struct pv_report *report = pv_xcalloc(1, sizeof(*report));

	report->started = pv_clock_ms();
	report->root = json_object();
	json_object_set_new(report->root, "schema", json_string("pvimg.report/1"));
	json_object_set_new(report->root, "pvimg", json_string(PV_VERSION));
	json_object_set_new(report->root, "name", text_json(name));
	json_object_set_new(report->root, "verified", json_string("not verified"));
	report->stages = add_array(report->root, "stages");
	report->children = add_array(report->root, "children");
	report->artifacts = add_array(report->root, "artifacts");
	report->findings = add_array(report->root, "findings");
	report->numbers = json_object();
	json_object_set_new(report->root, "numbers", report->numbers);
	return report;
}

void pv_report_free(struct pv_report *report)
{
	if (!report)
		return;
	json_decref(report->root);
	free(report);
}

void pv_report_freep(struct pv_report **report)
{
	int saved = errno;

	pv_report_free(*report);
	*report = NULL;
	errno = saved;
}

void pv_report_stage_begin(struct pv_report *report, const char *stage)
{
	if (!report)
		return;
	if (report->stage)
		pv_report_stage_end(report, "failed");
	report->stage = json_object();
	json_object_set_new(report->stage, "name", text_json(stage));
	json_object_set_new(report->stage, "state", json_string("failed"));
	json_object_set_new(report->stage, "wall_ms", json_integer(0));
	json_array_append_new(report->stages, report->stage);
	report->stage_started = pv_clock_ms();
}

void pv_report_stage_end(struct pv_report *report, const char *state)
{
	if (!report || !report->stage)
		return;
	json_object_set_new(report->stage, "state", json_string(state));
	json_object_set_new(report->stage, "wall_ms", number_json(pv_clock_ms() - report->stage_started));
	report->stage = NULL;
}

void pv_report_child(struct pv_report *report, const char *argv0, const struct pv_proc_result *res)
{
	json_t *child, *stage;

	if (!report || json_array_size(report->children) >= REPORT_MAX_CHILDREN)
		return;
	child = json_object();
	stage = report->stage ? json_object_get(report->stage, "name") : NULL;
	json_object_set(child, "stage", stage ? stage : json_null());
	json_object_set_new(child, "argv0", text_json(argv0));
	json_object_set_new(child, "exit", res->exit_code >= 0 ? json_integer(res->exit_code) : json_null());
	json_object_set_new(child, "signal", res->signal ? json_integer(res->signal) : json_null());
	json_object_set_new(child, "timed_out", json_boolean(res->timed_out));
	json_object_set_new(child, "wall_ms", number_json(res->wall_ms));
	json_object_set_new(child, "max_rss_kib", number_json(res->max_rss_kib));
	json_array_append_new(report->children, child);
}

static void add_artifact(struct pv_report *report, const char *file, const char *kind, const char *digest, uint64_t size)
{
	json_t *artifact;

	if (!report)
		return;
	artifact = json_object();
	json_object_set_new(artifact, "file", text_json(file));
	json_object_set_new(artifact, kind, json_string(digest));
	json_object_set_new(artifact, "size", number_json(size));
	json_array_append_new(report->artifacts, artifact);
}

void pv_report_recipe(struct pv_report *report, const char *file, const char sha256[PV_SHA256_HEX])
{
	if (!report)
		return;
	json_t *list = json_object_get(report->root, "recipe");
	if (!list)
		list = add_array(report->root, "recipe");
	json_array_append_new(list, json_pack("{s:o, s:s}", "file", text_json(file), "sha256", sha256));
}

void pv_report_artifact(struct pv_report *report, const char *file, const char sha256[PV_SHA256_HEX], uint64_t size)
{
	add_artifact(report, file, "sha256", sha256, size);
}

void pv_report_disk(struct pv_report *report, const char *file, const char chunks_sha256[PV_SHA256_HEX], uint64_t size)
{
	add_artifact(report, file, "chunks_sha256", chunks_sha256, size);
}

void pv_report_finding(struct pv_report *report, const char *fmt, ...)
{
	pv_autofree char *text = NULL;
	va_list ap;

	if (!report)
		return;
	va_start(ap, fmt);
	text = pv_vfmt(fmt, ap);
	va_end(ap);
	json_array_append_new(report->findings, text_json(text));
}

void pv_report_error(struct pv_report *report, const struct pv_error *cause)
{
	json_t *error;

	if (!report || cause->kind == PV_OK)
		return;
	error = json_object();
	json_object_set_new(error, "exit", json_integer(cause->kind));
	json_object_set_new(error, "text", text_json(cause->text ? cause->text : ""));
	json_object_set_new(report->root, "error", error);
}

void pv_report_number(struct pv_report *report, const char *key, uint64_t value)
{
	if (report)
		json_object_set_new(report->numbers, key, number_json(value));
}

void pv_report_folders(struct pv_report *report, const struct pv_folders *folders)
{
	if (!report)
		return;
	json_t *list = add_array(report->root, "folders");
	for (size_t i = 0; i < folders->n; i++) {
		json_t *folder = json_object();
		json_object_set_new(folder, "path", text_json(folders->v[i].path));
		json_object_set_new(folder, "bytes", number_json(folders->v[i].bytes));
		json_array_append_new(list, folder);
	}
}

void pv_report_folders_json(struct pv_report *report, json_t *folders)
{
	if (report && json_is_array(folders))
		json_object_set(report->root, "folders", folders);
}

void pv_report_since(struct pv_report *report, json_t *sections)
{
	if (report)
		json_object_set_new(report->root, "since", sections);
	else
		json_decref(sections);
}

void pv_report_verified(struct pv_report *report, const char *words)
{
	if (report)
		json_object_set_new(report->root, "verified", json_string(words));
}

void pv_report_archive(struct pv_report *report, int64_t epoch, int stand_in)
{
	if (!report)
		return;
	json_object_set_new(report->root, "epoch", json_integer(epoch));
	json_object_set_new(report->root, "archive", json_string(stand_in ? "stand-in" : "distribution"));
}

int pv_report_write(const struct pv_report *report, const char *path, struct pv_error *err)
{
	json_auto_t *root = NULL;
	pv_autofree char *text = NULL;
	pv_autofree char *line = NULL;
	struct rusage self;

	if (!report)
		return 0;
	root = json_copy(report->root);
	if (getrusage(RUSAGE_SELF, &self) == 0)
		json_object_set_new(root, "self_max_rss_kib", number_json((uint64_t)self.ru_maxrss));
	json_object_set_new(root, "wall_ms", number_json(pv_clock_ms() - report->started));
	if (!json_object_get(root, "error"))
		json_object_set_new(root, "error", json_null());
	text = json_dumps(root, JSON_INDENT(2) | JSON_SORT_KEYS);
	if (!text)
		return pv_error_set(err, PV_ERR_STAGE, "%s: cannot make the report's JSON", path);
	line = pv_fmt("%s\n", text);
	return pv_write_file(path, line, strlen(line), 0644, err);
}
